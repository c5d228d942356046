"""Records clips: what was to be seen some seconds before an event, during it, and some seconds after."""

from __future__ import annotations

from dataclasses import dataclass, field

from streamseg.errors import OutputError
from streamseg.live.keep.packets import StoredPacket
from streamseg.live.keep.recording import RecordingFile
from streamseg.live.keep.ring import Ring
from streamseg.live.keep.shelf import Shelf

__all__ = ["LATE", "Clips"]

LATE = 10.0
"""Seconds after which an event may be told at most, for the picture before it to be there still: it must become certain, and a slow
network takes its time."""


@dataclass(slots=True)
class _Clip:
    """A clip that is wanted, and as far as it is written."""

    begin: float
    """Monotonic seconds, as the other times."""
    end: float
    events: list[str] = field(default_factory=list)
    file: RecordingFile | None = None
    last: StoredPacket | None = None
    """Of what lies in memory, the last that was written."""


class Clips:
    """At most one clip at a time; an event within it, or shortly after it, makes it longer."""

    def __init__(self, shelf: Shelf, *, before: float, after: float, longest: float) -> None:
        """`before`, `after`: seconds round an event; `longest`: seconds after which a clip goes on in another file."""
        self._shelf, self._before, self._after, self._longest = shelf, before, after, longest
        self._ring = Ring(before + LATE)
        self._clip: _Clip | None = None
        self._said = False
        self._done: RecordingFile | None = None
        """The last clip that was finished."""

    def notice(self, id: str, at: float) -> None:
        """An event happened at `at`."""
        if self._done is not None and self._done.begin <= at <= self._done.begin + self._done.seconds:
            self._shelf.ledger.shows(self._done.left, id)  # the camera was lost meanwhile
        begin, end = at - self._before, at + self._after
        if self._clip is not None and begin > self._clip.end:
            self._close()
        if self._clip is None:
            self._clip = _Clip(begin, end)
        self._clip.events.append(id)
        self._clip.end = max(self._clip.end, end)
        self._write()

    def add(self, packet: StoredPacket, begins: bool) -> None:
        """One more packet of the camera; `begins`: a picture that leans on none before it."""
        self._ring.add(packet, begins)
        if self._ring.shortened and not self._said:
            self._said = True
            self._shelf.ledger.warn(
                self._shelf.camera, "its stream is too large for what clips show of the time before an event: they begin later"
            )
        clip = self._clip
        if clip is None:
            return
        if clip.file is not None and begins and packet.at - clip.file.begin >= self._longest:
            self._finish(clip)
            clip.begin, clip.last = packet.at, None
        self._write()
        if packet.at > clip.end + self._before + LATE:
            self._close()

    def _write(self) -> None:
        """Write what lies in memory and belongs to the clip."""
        clip = self._clip
        if clip is None:
            return
        ready = self._ring.since(clip.begin) if clip.last is None else self._ring.behind(clip.last)
        for packet in ready:
            if packet.at > clip.end:
                break
            if clip.file is None:
                clip.file = self._shelf.open(packet, clip=True)
                if clip.file is None:
                    return
            try:
                clip.file.write(packet)
            except OutputError as error:
                self._shelf.give_up(clip.file, error, clip=True, events=tuple(clip.events))
                clip.file, clip.last, clip.begin = None, None, packet.at
                return
            clip.last = packet

    def _finish(self, clip: _Clip) -> None:
        file, clip.file = clip.file, None
        if file is not None:
            self._done = file
            self._shelf.close(file, clip=True, events=tuple(clip.events))
            self._shelf.works()

    def _close(self) -> None:
        if self._clip is not None:
            self._finish(self._clip)
        self._clip = None

    def lost(self, at: float) -> None:
        """The connection is over: what comes has other streams. A clip that should go on does so in another file."""
        clip = self._clip
        if clip is not None:
            self._finish(clip)
            clip.last, clip.begin = None, at
        self._ring.clear()

    def tick(self, now: float) -> None:
        """Nothing came: a clip that no event can lengthen is finished."""
        if self._clip is not None and now > self._clip.end + self._before + LATE:
            self._close()

    def end(self) -> None:
        """Finish the clip that is being written."""
        self._close()
