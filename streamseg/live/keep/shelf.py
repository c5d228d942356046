"""Opens the files of one camera's recordings, and knows what to do when the disk has no room: wait, say so once, and go on."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from streamseg.encode.video.copied import CopiedStreams, choose_container
from streamseg.errors import OutputError
from streamseg.live.keep.names import recording_path
from streamseg.live.keep.packets import StoredPacket
from streamseg.live.keep.recording import RecordingFile

__all__ = ["Ledger", "Recorded", "Shelf", "utc_of"]

_FIRST_WAIT, _LONGEST_WAIT = 2.0, 10.0
"""Seconds until it is tried again to write, at first and at most."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recording that is finished, or was cut off."""

    path: Path
    camera: str
    clip: bool
    begin_utc: float
    end_utc: float
    size: int
    """Bytes."""
    events: tuple[str, ...] = ()
    """Ids of those that it shows."""


class Ledger(Protocol):
    """Hears what becomes of recordings. Called from the cameras' recording threads; does not raise."""

    def recorded(self, recorded: Recorded) -> None:
        """A file is there, under its name."""

    def shows(self, path: Path, event: str) -> None:
        """A clip that was told of shows one more event, which was told late."""

    def gap(self, camera: str, begin_utc: float, end_utc: float, reason: str) -> None:
        """Nothing was recorded in between."""

    def warn(self, camera: str, text: str) -> None:
        """Something that a person should know."""

    def make_room(self, path: Path) -> bool:
        """The disk on which `path` lies is full: whether something old was deleted."""


def utc_of(at: float) -> float:
    """The wall-clock time of a monotonic one, as the clock stands now."""
    return at + time.time() - time.monotonic()


class Shelf:
    """Where one camera's recordings go."""

    def __init__(
        self, folder: Path, camera: str, ledger: Ledger, container: str = "auto", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.folder, self.camera, self.ledger = folder, camera, ledger
        self._container, self._clock = container, clock
        self._streams: CopiedStreams | None = None
        self._chosen: tuple[str, ...] = ()
        self._said: set[str] = set()
        self._again = 0.0
        self._wait = _FIRST_WAIT
        self.full = ""
        """Why nothing can be written now; empty: it can."""

    def streams(self, streams: CopiedStreams) -> None:
        """What comes from now on."""
        self._streams = streams
        self._suffix, self._kind, self._held, said = choose_container(streams, self._container)
        for text in (said, *(f"{name} is not recorded: nobody could play it" for name in streams.unknown)):
            if text and text not in self._said:
                self._said.add(text)
                self.ledger.warn(self.camera, text)

    def open(self, first: StoredPacket, *, clip: bool, note: str = "") -> RecordingFile | None:
        """A file that begins with this packet; None where it cannot be written now."""
        if self._streams is None or self._clock() < self._again:
            return None
        utc = utc_of(first.at)
        path = recording_path(self.folder, self.camera, utc, self._suffix, clip=clip)
        for last in (False, True):
            try:
                return RecordingFile(path, self.camera, self._streams, self._kind, self._held, note)
            except OutputError as error:
                if last or not self.ledger.make_room(self.folder):
                    self.failed(error)
                    return None
        return None

    def failed(self, error: OutputError) -> None:
        """Writing failed: nothing is tried for a while."""
        if not self.full:
            self.ledger.warn(self.camera, f"recording stands still: {error}; it goes on when there is room")
        self.full = getattr(error.__cause__, "strerror", None) or str(error)
        self._again = self._clock() + self._wait
        self._wait = min(2 * self._wait, _LONGEST_WAIT)

    def works(self) -> None:
        """Something was written and lies on the disk."""
        if self.full:
            self.ledger.warn(self.camera, "recording goes on")
        self.full, self._wait = "", _FIRST_WAIT

    def close(self, file: RecordingFile, *, clip: bool, events: tuple[str, ...] = ()) -> None:
        """Finish a file, and note it; one without a picture is removed."""
        if not file.pictures:
            file.discard()
            return
        size = file.size
        try:
            path = file.finish()
        except OutputError as error:
            self.failed(error)
            path = file.left
        self._note(file, path, size, clip, events)

    def give_up(self, file: RecordingFile, error: OutputError, *, clip: bool, events: tuple[str, ...] = ()) -> None:
        """Writing a file failed: keep what is in it."""
        if file.pictures > 1:
            self._note(file, file.leave(), file.size, clip, events)
        else:
            file.discard()
        if not self.ledger.make_room(self.folder):
            self.failed(error)

    def _note(self, file: RecordingFile, path: Path, size: int, clip: bool, events: tuple[str, ...]) -> None:
        begin = utc_of(file.begin)
        with contextlib.suppress(OSError):
            size = path.stat().st_size
        self.ledger.recorded(Recorded(path, self.camera, clip, begin, begin + file.seconds, size, events))
