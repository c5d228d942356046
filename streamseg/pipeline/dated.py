"""Outputs that are called after the time: `door_%Y-%m-%d_%H-%M.mp4`, a file for each full hour, day or minutes where that is asked.

What stands in a name is the time where this machine is (`TZ` says otherwise), of the first frame's capture where the camera or its
arrival tells that. Files are never overwritten: where one is there already, as after a run that was killed in the same minute, the
next is `door_2026-11-30_17-08_2.mp4`.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamseg.core.utc import as_local
from streamseg.encode import RenderedPicture, Sink, SinkCounters
from streamseg.encode.images.sequence import IMAGE_SUFFIXES
from streamseg.errors import OutputError

if TYPE_CHECKING:
    from streamseg.core.types import Frame
    from streamseg.decode import SourceInfo
    from streamseg.encode.video.other_streams import Packets

__all__ = ["DatedSink", "Relay", "is_dated", "name_at"]

_ALLOWED = "YymdjHIMSpzZaAbBF"
_FIELD = re.compile(r"%(.?)")
_ALONE, _TOGETHER = frozenset("YFHj"), frozenset("ymdMS")


def is_dated(path: str) -> bool:
    """Whether a name holds the time: `%Y`, `%F`, `%H` or `%j`, or two of `%y %m %d %M %S`; of images it holds numbers alone."""
    if "://" in path or Path(path).suffix.lower() in IMAGE_SUFFIXES:
        return False
    fields = {found for found in _FIELD.findall(path) if found}
    return bool(fields & _ALONE) or len(fields & _TOGETHER) > 1


def name_at(path: str, moment: datetime) -> str:
    """`path` with the time in it. Raises OutputError for what cannot stand in it."""

    def filled(match: re.Match[str]) -> str:
        kind = match[1]
        if kind == "%":
            return "%"
        if not kind or kind not in _ALLOWED:
            fields = " ".join(f"%{each}" for each in _ALLOWED)
            raise OutputError(f"{path}: {match[0]} is no part of a time; allowed: {fields}, and %% for a percent sign")
        return moment.strftime(match[0]).replace("/", "-").replace(":", "-")

    return _FIELD.sub(filled, path)


class Relay:
    """The source's other packets for one file after the other: each gets what is due up to its end, and none closes the source."""

    def __init__(self, packets: Packets) -> None:
        self._packets = packets
        self.until: float | None = None
        """When the file ends that is written now, seconds on the source's clock; None: with the source."""
        self.streams, self.window = packets.streams, packets.window

    def take(self, until: float | None = None) -> list[Any]:
        """See Packets."""
        return self._packets.take(self.until if until is None else until)

    def lead(self, stream: Any) -> None:
        """See Packets."""
        self._packets.lead(stream)

    def discard(self, stream: Any) -> None:
        """See Packets: no file can hold it, since they are all of one kind."""
        self._packets.discard(stream)

    def close(self) -> None:
        """Nothing: the next file wants more."""

    def end(self) -> None:
        """No more files come."""
        self._packets.close()


class DatedSink:
    """Writes one file after the other, each called after the time at which it begins."""

    def __init__(
        self,
        path: str,
        info: SourceInfo,
        make: Callable[[str, SourceInfo], Sink],
        *,
        segment: float | None = None,
        relay: Relay | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`make` makes the sink of a path, not open yet. segment: a new file at each full so many seconds; None: one for all."""
        self.path, self._info, self._make = path, info, make
        self._segment, self._relay, self._now = segment, relay, now
        self._sink: Sink | None = None
        self._ready: Sink | None = None
        """Opened before the first frame, under the name of that time."""
        self._period = (0, 0.0)
        self._begin: float | None = None
        """UTC of the presentation time 0, of a source that does not tell when its frames were captured."""
        self._closed, self._latest = False, path
        self.warnings: list[str] = []
        """Each once, however many files it is said of."""
        self.counters = SinkCounters()
        """Of all files."""
        self._done = SinkCounters()
        self.files = 0
        """That were begun."""

    @property
    def name(self) -> str:
        """The file that is written now or was last, and how many there are."""
        return self._latest if self.files < 2 else f"{self._latest} (the last of {self.files} files)"

    def open(self) -> None:
        """Check that such a file can be written. Raises OutputError."""
        self._ready = self._opened(self._now(), self._info)
        self._hear(self._ready)

    def __call__(self, rendered: RenderedPicture, /) -> None:
        """Write one picture, into a new file where a full period begins. Raises OutputError."""
        frame = rendered.result.frame
        utc = self._utc(frame)
        period = self._period_of(utc)
        if self._sink is None or period != self._period:
            again = self._sink is not None
            self._finish(frame.time)
            self._discard_ready()
            info = replace(self._info, start=max(self._info.start, frame.time)) if again and not self._info.live else self._info
            self._sink, self._period = self._opened(utc, info), period
            self.files, self._latest = self.files + 1, self._sink.name
        self._sink(rendered)
        self.counters = _sum(self._done, self._sink.counters)
        self._hear(self._sink)

    def _hear(self, sink: Sink) -> None:
        self.warnings += [text for text in sink.warnings if text not in self.warnings]

    def _utc(self, frame: Frame) -> float:
        if frame.utc is not None:
            return frame.utc
        if self._begin is None:
            self._begin = self._now() - frame.time
        return self._begin + frame.time

    def _period_of(self, utc: float) -> tuple[int, float]:
        """In which period a moment lies: periods begin with full ones of the local clock, and where that is put back or ahead."""
        if self._segment is None:
            return 0, 0.0
        offset = as_local(utc).utcoffset()
        ahead = 0.0 if offset is None else offset.total_seconds()
        return int((utc + ahead) // self._segment), ahead

    def _opened(self, utc: float, info: SourceInfo) -> Sink:
        sink = self._make(_free(name_at(self.path, as_local(utc))), info)
        sink.open()
        return sink

    def _finish(self, at: float | None) -> None:
        """End the file that is written now; `at`: seconds on the source's clock at which the next begins."""
        sink, self._sink = self._sink, None
        if sink is None:
            return
        if self._relay is not None:
            self._relay.until = at
        try:
            sink.close()
        finally:
            self._hear(sink)
            self.counters = self._done = _sum(self._done, sink.counters)
            if self._relay is not None:
                self._relay.until = None

    def _discard_ready(self) -> None:
        """What was opened to see whether it can be has written nothing."""
        ready, self._ready = self._ready, None
        if ready is not None:
            ready.close()

    def close(self) -> None:
        """Finalise the last file. Raises OutputError."""
        if self._closed:
            return
        self._closed = True
        try:
            self._discard_ready()
            self._finish(None)
        finally:
            if self._relay is not None:
                self._relay.end()

    def abort(self) -> None:
        """Stop at once; what is written stays playable."""
        if self._closed:
            return
        self._closed = True
        for sink in (self._ready, self._sink):
            if sink is not None:
                sink.abort()
        if self._relay is not None:
            self._relay.end()


def _sum(one: SinkCounters, other: SinkCounters) -> SinkCounters:
    return SinkCounters(
        one.frames + other.frames,
        one.bytes + other.bytes,
        one.packets_copied + other.packets_copied,
        one.packets_skipped + other.packets_skipped,
        one.resized + other.resized,
        one.dropped + other.dropped,
    )


def _free(path: str) -> str:
    """`path`, or with `_2`, `_3` ... behind its stem the first that is not there yet."""
    place, number = Path(path), 1
    while os.path.lexists(path):
        number += 1
        path = str(place.with_name(f"{place.stem}_{number}{place.suffix}"))
    return path
