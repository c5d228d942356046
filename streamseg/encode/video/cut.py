"""Cuts a part out of films by copying packets: nothing is decoded. It begins with the key frame before the time that was asked for.

A film is read twice around the cut: once to find the key frame, then to copy from there on, so that memory does not grow with the
distance between key frames.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av

from streamseg.decode.address import limits
from streamseg.decode.demux import demux
from streamseg.decode.passthrough import clone
from streamseg.encode.video.copied import CopiedStreams, choose_container, streams_of
from streamseg.encode.video.packet_copy import PacketCopy
from streamseg.encode.video.remux import AV_ERRORS
from streamseg.errors import OutputError
from streamseg.system.output_files import part_of

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.stream import Stream

    Packet = av.Packet[Any]

__all__ = ["Cut", "FilmPart", "cut"]

_BACK = (0.0, 3.0, 12.0, 48.0, None)
"""Seconds before the wanted time to which is sought until there is a key frame; None: the film's beginning."""
_MOST_UNTIMED = 64
"""Packets that are looked at for the first time of decoding."""
_INTERLEAVED = 1.0
"""Seconds by which sound may lie behind the picture that it belongs to, in a file."""


@dataclass(frozen=True, slots=True)
class FilmPart:
    """One of the files that make up a source."""

    path: Path
    shift: Fraction = Fraction(0)
    """Seconds from the file's own clock to that of the source."""


@dataclass(frozen=True, slots=True)
class Cut:
    """What was written."""

    path: Path
    begin: float
    """When its first picture is shown, seconds of the source."""
    seconds: float
    """From its first picture to its last."""
    size: int
    """Bytes."""
    said: str = ""
    """What could not be taken over."""


def cut(parts: Sequence[FilmPart], begin: float, end: float, target: Path, title: str) -> Cut | None:
    """Copy what is shown from `begin` to `end`, seconds of the source, into a file; None where there is no picture then.

    parts: the files that hold this time, in order; those that come behind the first go on in the same film while they are of its
    kind. `target` gets the suffix .mp4, or .mkv where that cannot hold the streams, and is replaced. Raises OutputError.
    """
    writing = _Writing(target, title, end)
    for part in parts:
        try:
            with contextlib.closing(_packets(part, None if writing.copy else begin)) as packets:
                if not writing.take(packets):
                    break
        except AV_ERRORS as error:
            if writing.copy is None:
                raise OutputError(f"{target}: a clip cannot be cut out of {part.path}: {error}") from error
            break  # a film that is damaged here ends here
    return writing.finish()


class _Writing:
    """The file that is written, once there is a picture for it."""

    def __init__(self, target: Path, title: str, end: float) -> None:
        self._target, self._title, self._end = target, title, Fraction(end)
        self.copy: PacketCopy | None = None
        self._path, self._first, self._said = target, 0.0, ""
        self._last = Fraction(-(1 << 62))
        """When the last of the pictures is shown."""

    def take(self, packets: Iterator[tuple[InputContainer, Packet]]) -> bool:
        """Write what is wanted of a file's packets; whether another file may go on. Raises OutputError, and leaves no file then."""
        begun = False
        for container, packet in packets:
            if not begun:
                begun = True
                streams = streams_of(tuple(container.streams))
                if streams is None or (self.copy is not None and not _alike(self._streams, streams)):
                    return False
                if self.copy is None:
                    self._begin(streams, packet)
            if not self._wanted(packet):
                if self._past(packet):
                    return False
                continue
            assert self.copy is not None
            try:
                self.copy.write(packet.stream_index, packet)
            except OutputError:
                self.copy.discard()
                raise
        return True

    def _wanted(self, packet: Packet) -> bool:
        """Whether it is seen or heard until the end. Pictures that were decoded before one that is shown behind them are."""
        at, shown = _decoded(packet), _shown(packet)
        if packet.stream_index != self._streams.video or at is None or shown is None:
            return at is None or at <= self._end
        wanted = at <= self._end or shown < self._last
        if wanted:
            self._last = max(self._last, shown)
        return wanted

    def _past(self, packet: Packet) -> bool:
        """Whether all has come: sound may lie behind its picture."""
        at = _decoded(packet)
        return packet.stream_index == self._streams.video and at is not None and at > self._end + _INTERLEAVED

    def _begin(self, streams: CopiedStreams, packet: Packet) -> None:
        suffix, kind, held, self._said = choose_container(streams)
        self._streams, self._first = streams, float(_shown(packet) or 0)
        self._path = self._target.with_name(f"{self._target.name}{suffix}")
        self.copy = PacketCopy(_fresh(part_of(self._path)), kind, streams, held, tags={"title": self._title})

    def finish(self) -> Cut | None:
        """Give the file its name. Raises OutputError or OSError, and leaves no file then."""
        copy = self.copy
        if copy is None:
            return None
        try:
            copy.finish()
            copy.output.path.replace(self._path)
        except (OSError, OutputError):
            copy.discard()
            raise
        return Cut(self._path, self._first, copy.seconds, self._path.stat().st_size, self._said)


def _fresh(path: Path) -> Path:
    """Where nothing is: a run that was cut off may have left something."""
    with contextlib.suppress(OSError):
        path.unlink()
    return path


def _packets(part: FilmPart, begin: float | None) -> Generator[tuple[InputContainer, Packet]]:
    """Copies of a file's packets, their times those of the source, from the last key frame at `begin` or before on; None: all."""
    at = None if begin is None else Fraction(begin) - part.shift
    sought, key = (None, None) if at is None else _key_before(part.path, at)
    if at is not None and key is None:
        return  # its packets have no times
    with _opened(part.path, sought) as container:
        video = _video(container)
        for packet in _decodable(_from(container, video, key), video):
            moved, ticks = clone(packet), round(part.shift / packet.time_base)
            moved.pts, moved.dts = (None if t is None else t + ticks for t in (moved.pts, moved.dts))
            yield container, moved


def _from(container: InputContainer, video: Stream, key: Fraction | None) -> Iterator[Packet]:
    """All packets of pictures and sound from the key frame on that is shown at `key`; None: from the first."""
    for packet in demux(container, *(s for s in container.streams if s.type in ("video", "audio"))):
        if not packet.size:
            continue
        if key is not None:
            if packet.stream is not video or not packet.is_keyframe or _shown(packet) != key:
                continue
            key = None
        yield packet


def _decodable(packets: Iterator[Packet], video: Stream) -> Iterator[Packet]:
    """The same, each picture with the time at which it is decoded: libav does not know that of the first ones behind a seek."""
    held: list[Packet] = []
    known = False
    for packet in packets:
        known = known or (packet.stream is video and packet.dts is not None) or len(held) > _MOST_UNTIMED
        if not known:
            held.append(packet)
            continue
        if held:
            pictures = [each for each in held if each.stream is video]
            if packet.stream is video and packet.dts is not None:
                step = packet.duration or 1
                for back, each in enumerate(reversed(pictures), 1):
                    each.dts = packet.dts - back * step
            yield from held
            held = []
        yield packet
    yield from held


def _key_before(path: Path, time: Fraction) -> tuple[Fraction | None, Fraction | None]:
    """To where is to be sought, None for the beginning, and the time of the last key frame at `time` or before, or the first."""
    for back in _BACK:
        sought = None if back is None else time - Fraction(back)
        found: Fraction | None = None
        with _opened(path, sought) as container:
            for packet in demux(container, _video(container)):
                shown = _shown(packet)
                if not packet.size or shown is None or not packet.is_keyframe:
                    continue
                if shown > time:
                    found = shown if back is None and found is None else found
                    break
                found = shown
        if found is not None:
            return sought, found
    return None, None


@contextlib.contextmanager
def _opened(path: Path, sought: Fraction | None) -> Iterator[InputContainer]:
    with av.open(f"file:{path}", options=limits("file", playlists=False), metadata_errors="replace") as container:
        if sought is not None:
            video = _video(container)
            with contextlib.suppress(*AV_ERRORS):  # what cannot be sought is read from its beginning
                container.seek(int(sought / (video.time_base or Fraction(1))), stream=video)
        yield container


def _video(container: InputContainer) -> Stream:
    streams = streams_of(tuple(container.streams), sound=False)
    if streams is None:
        raise OutputError(f"{container.name}: there is no video in it any more")
    return container.streams[streams.video]


def _shown(packet: Packet) -> Fraction | None:
    """When a picture is shown, seconds of the file."""
    ticks = packet.pts if packet.pts is not None else packet.dts
    return None if ticks is None else ticks * packet.time_base


def _decoded(packet: Packet) -> Fraction | None:
    ticks = packet.dts if packet.dts is not None else packet.pts
    return None if ticks is None else ticks * packet.time_base


def _alike(first: CopiedStreams, second: CopiedStreams) -> bool:
    """Whether a file's streams can go on where those of another end."""
    if first.video != second.video or first.kept.keys() != second.kept.keys():
        return False
    return all(_kind(second.kept[index]) == _kind(kept) for index, kept in first.kept.items())


def _kind(stream: Stream) -> tuple[Any, ...]:
    context: Any = stream.codec_context
    return (
        ()
        if context is None
        else (context.name, context.extradata, getattr(context, "width", 0), getattr(context, "height", 0))
    )
