"""Whether the disk has room for what a run will write: guessed before it begins, measured while it runs."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from streamseg.encode import is_address
from streamseg.errors import OutputError
from streamseg.pipeline.build import Pipeline
from streamseg.system.callbacks import Message
from streamseg.system.standard_streams import is_stdout

__all__ = ["Room", "in_words"]

_WORTH_SAYING = 100e6
"""Bytes from which on a guess is told."""
_OFF = 4.0
"""A guess may be so many times too large (`encode.video.sizes`)."""
_SPARE = 64e6
"""Bytes that a run leaves free for the ends of its files, at most a twentieth of what was free."""
_EVERY = 2.0
"""Seconds between two looks."""
_ENOUGH = 50
"""Pictures after which what was measured counts."""


class Room:
    """The room on the disks that one run writes to."""

    def __init__(self, pipeline: Pipeline, on_message: Message | None = None, *, kept: Path | None = None) -> None:
        """kept: where parts of each video are kept until the end."""
        self._pipeline, self._say = pipeline, on_message or (lambda _: None)
        self._total = None if pipeline.live else pipeline.info.frame_count
        self._sinks = [(Path(t.path), sink) for t, sink in pipeline.sinks if not is_address(t.path) and not is_stdout(t.path)]
        self._times, self._kept = 1 if kept is None else 2, kept
        self._free = {self._disk(path): self._free_at(path) for path, _ in self._sinks}
        self._spare = {disk: min(_SPARE, free / 20) for disk, free in self._free.items()}
        self._looked, self._warned = 0.0, False
        self.full = ""
        """Why the run was ended."""

    @staticmethod
    def _there(path: Path) -> Path:
        """The nearest folder that exists."""
        path = Path(os.path.abspath(path)).parent
        while not path.is_dir() and path != path.parent:
            path = path.parent
        return path

    def _disk(self, path: Path) -> int:
        return self._there(path).stat().st_dev

    def _free_at(self, path: Path) -> float:
        return float(shutil.disk_usage(self._there(path)).free)

    def before(self) -> None:
        """Tell how much will be written. Raises OutputError where a quarter of it has no room."""
        if not self._total:
            return
        needs: dict[int, float] = {}
        told = []
        for path, sink in self._sinks:
            a_picture = getattr(sink, "expected", lambda: 0.0)()
            size = a_picture * self._total
            needs[self._disk(path)] = needs.get(self._disk(path), 0.0) + size * (self._times if sink_is_video(sink) else 1)
            if size:
                told.append(f"{path} {in_words(size)}")
        for disk, need in needs.items():
            free = self._free[disk] + self._written_before(disk)
            if need / _OFF > free:
                raise OutputError(
                    f"{self._sinks[0][0].parent}: the disk has no room: about {in_words(need)} will be written "
                    f"({', '.join(told)}), and {in_words(free)} are free; free some, write elsewhere, or choose a smaller codec "
                    "(--codec, --crf)"
                )
            if need > free:
                self._say(f"room: about {in_words(need)} will be written, and {in_words(free)} are free: it may not fit")
            elif need >= _WORTH_SAYING:
                self._say(f"room: about {in_words(need)} will be written ({', '.join(told)}); {in_words(free)} are free")

    def _written_before(self, disk: int) -> float:
        """Bytes of what is there and will be replaced, or used again."""
        paths = [path for path, _ in self._sinks if path.is_file()] + ([] if self._kept is None else [*self._kept.rglob("*")])
        return float(sum(path.stat().st_size for path in paths if path.is_file() and path.stat().st_dev == disk))

    def watch(self, on_tick: Callable[[Pipeline], None] | None) -> Callable[[Pipeline], None]:
        """`on_tick`, and now and then a look at the disk: the run is ended in order before it is full."""

        def look(pipeline: Pipeline) -> None:
            if on_tick is not None:
                on_tick(pipeline)
            now = time.monotonic()
            if now - self._looked >= _EVERY and not self.full:
                self._looked = now
                self._look()

        return look

    def _look(self) -> None:
        for disk in self._free:
            path = next(path for path, _ in self._sinks if self._disk(path) == disk)
            free = self._free_at(path)
            if free < self._spare[disk]:
                self.full = (
                    f"{path}: ended because the disk is nearly full ({in_words(free)} are free); what is written is kept"
                )
                self._pipeline.runtime.stop()
                return
            left = self._left(disk)
            if left is not None and left > free and not self._warned:
                self._warned = True
                self._say(
                    f"room: {in_words(left)} more will be written at this rate, and {in_words(free)} are free: it will not fit"
                )

    def _left(self, disk: int) -> float | None:
        """Bytes that are still to be written to a disk, by what was written so far."""
        left = 0.0
        for path, sink in self._sinks:
            frames = sink.counters.frames
            if not self._total or frames < _ENOUGH:
                return None
            if self._disk(path) == disk:
                times = self._times if sink_is_video(sink) else 1
                left += times * sink.counters.bytes / frames * max(0, self._total - frames)
        return left

    def check(self) -> None:
        """Raise OutputError where the run was ended for want of room."""
        if self.full:
            raise OutputError(self.full)


def sink_is_video(sink: object) -> bool:
    """Whether its parts are kept beside it."""
    return bool(getattr(sink, "tracks", False))


def in_words(size: float) -> str:
    """`1.2 GB`."""
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}" if size < 100 * unit else f"{size / unit:.0f} {name}"
    return f"{size / 1e3:.0f} kB"
