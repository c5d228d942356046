"""The times of all pictures of a film and of its key frames, read from its packets, without decoding them."""

from __future__ import annotations

import json
import os
import zlib
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import Self

from streamseg.decode.address import parse_source
from streamseg.decode.container import open_container
from streamseg.decode.demux import demux
from streamseg.decode.ending import Guarded
from streamseg.decode.entry import stands_alone
from streamseg.decode.faults import AV_ERRORS
from streamseg.decode.numbering import makes_a_picture
from streamseg.decode.passthrough import PassThroughHub
from streamseg.decode.reader import PacketReader
from streamseg.decode.shared import SharedState
from streamseg.decode.timeline import DecodeCounters, Splicer
from streamseg.errors import Unreadable

__all__ = ["Timetable", "read_timetable"]


@dataclass(frozen=True, slots=True)
class Timetable:
    """What the packets of a film say of its pictures, in the order of display. Pts are the run's, in units of `time_base`."""

    time_base: Fraction
    pts: list[int]
    keys: list[int]
    """Those of the key frames."""
    decoded: list[int]
    """When each key frame is decoded: its dts; its pts where it has none."""
    jumps: list[int]
    """When the source's clock becomes another: the pictures from then on are of another epoch."""
    places: dict[int, int]
    """Of the key frames: where each lies in the file, bytes, and its pts."""
    origin: int | None
    """Where `Decoder` counts its `start` from, if the container tells."""
    unsure: frozenset[int] = frozenset()
    """Those of key frames that promise only that a decoder recovers there (`entry`)."""
    by_place: bool = False
    """Key frames can be sought by where they lie in the file: also those that others share their time with, on another clock."""
    problem: str = ""
    """Where the film breaks off, or ends before it should, in words; empty: it ends well."""

    def seek(self, reader: PacketReader, pts: int, back: int = 0) -> bool:
        """Go to the key frame that is `back` before the last one not later than `pts`, or, where no seek leads right there, to an
        earlier one; False where it cannot be told where a seek leads.

        Some containers find it by its pts, some by its dts, and behind some edit lists it is found where the next one should be.
        """
        at = bisect_right(self.keys, pts) - 1 - back
        if at < 0:
            return False
        if self.jumps:
            return self._seek_place(reader, self.keys[at])
        behind = self.keys[at + 1] if at + 1 < len(self.keys) else self.pts[-1]
        best: tuple[int, int] | None = None
        for target in dict.fromkeys((self.keys[at], self.decoded[at], behind)):
            found = self._key_at(reader, target)
            if found is not None and found <= self.keys[at] and (best is None or found > best[0]):
                best = found, target
            if found == self.keys[at]:
                break
        return best is not None and self._key_at(reader, best[1], stay=True) == best[0]

    def _seek_place(self, reader: PacketReader, key: int) -> bool:
        """Go to where a key frame lies, and let the clock there be the run's."""
        place = next((place for place, pts in self.places.items() if pts == key), None)
        if place is None or not self.by_place:
            return False
        container, stream = reader.container, reader.stream
        try:
            container.seek(place, unsupported_byte_offset=True)
            first = next((packet for packet in demux(container, stream) if packet.size), None)
            container.seek(place, unsupported_byte_offset=True)
        except AV_ERRORS:
            return False
        if first is None or first.pos != place or first.pts is None or not first.is_keyframe:
            return False
        reader.move_clock((key - first.pts) * self.time_base)
        return True

    def _key_at(self, reader: PacketReader, target: int, stay: bool = False) -> int | None:
        """The pts of the key frame that a seek to `target` leads to; None: to none that is known. stay: to read on from there."""
        container, stream = reader.container, reader.stream
        try:
            container.seek(target, stream=stream)
            first = next((packet for packet in demux(container, stream) if packet.size), None)
            if stay:
                container.seek(target, stream=stream)
        except AV_ERRORS:
            return None
        if first is None or first.pos is None or first.pts is None or self.places.get(first.pos) != first.pts:
            return None
        at = bisect_left(self.keys, first.pts)
        return first.pts if at < len(self.keys) and self.keys[at] == first.pts else None

    def number_of(self, reader: PacketReader, pts: int | None) -> int | None:
        """As `numbering.number_of`, which says what has to hold."""
        log = reader.log
        if pts is None or log.began_at is None or not log.began_with_key or self.places.get(log.began_at) != log.began_with:
            return None
        return bisect_left(self.pts, pts)

    def start_for(self, number: int) -> tuple[int, Fraction]:
        """The number of the key frame to decode from, and what `Decoder` takes as `start` for that, seconds."""
        at = bisect_right(self.keys, self.pts[number]) - 1
        if at < 0:
            return 0, Fraction(0)
        key = self.keys[at]
        origin = self.pts[0] if self.origin is None else self.origin
        return bisect_left(self.pts, key), max(Fraction(0), (key - origin) * self.time_base)

    def packed(self) -> bytes:
        """As bytes, for who reads a part of the film elsewhere: a byte or so a picture."""
        rows = (self.pts, self.keys, self.decoded, self.jumps, sorted(self.unsure))
        steps = [[row[0], *(b - a for a, b in pairwise(row))] if row else [] for row in rows]
        base = [self.time_base.numerator, self.time_base.denominator, self.origin, self.by_place, self.problem]
        return zlib.compress(json.dumps([base, *steps, list(self.places.items())], separators=(",", ":")).encode())

    @classmethod
    def unpacked(cls, data: bytes) -> Self:
        """What `packed` gave. Raises ValueError or zlib.error for what is none."""
        base, *rows, places = json.loads(zlib.decompress(data))
        pts, keys, decoded, jumps, unsure = (list(accumulate(steps)) for steps in rows)
        when = {int(place): int(time) for place, time in places}
        return cls(Fraction(*base[:2]), pts, keys, decoded, jumps, when, base[2], frozenset(unsure), *base[3:])


def read_timetable(source: str | os.PathLike[str], max_pixels: int, threads: int) -> Timetable | None:
    """Read the packets of a file; None where they do not tell, or where a seek would not lead where it says."""
    address = parse_source(source)
    if address.kind != "file" or address.threaded:
        return None
    try:
        with open_container(address, 5.0) as container:
            shared = SharedState(
                address, PassThroughHub(), Splicer(), DecodeCounters(), [], max_pixels, threads, lambda: False, None
            )
            reader = PacketReader(container, shared)
            return _timetable(reader, shared) if reader.may_seek else None
    except AV_ERRORS:
        return None


def _timetable(reader: PacketReader, shared: SharedState) -> Timetable | None:
    pts: list[int] = []
    keys: list[tuple[int, int]] = []
    jumps: list[int] = []
    places: dict[int, int] = {}
    unsure: set[int] = set()
    first, packets = True, Guarded(demux(reader.container))
    for packet, entered in reader.placed(packets):
        if first and not packet.is_keyframe:
            return None  # it begins amid a group of pictures: some of the first ones cannot be decoded
        first = False
        if not makes_a_picture(packet, reader.stream):
            continue
        if packet.pts is None:
            if not pts:
                return None
            continue  # the second field of a picture
        pts.append(packet.pts)
        if packet.is_keyframe:
            keys.append((packet.pts, packet.pts if packet.dts is None else packet.dts))
            if not stands_alone(reader.stream.codec_context.name, reader.stream.codec_context.extradata, memoryview(packet)):
                unsure.add(packet.pts)
            if packet.pos is not None:
                places[packet.pos] = packet.pts
        if entered:
            jumps.append(packet.pts)
    time_base = reader.stream.time_base
    if not pts or time_base is None:
        return None
    pts.sort()
    shown = dict(zip(accumulate(pts, lambda last, time: max(time, last + 1)), pts, strict=True))  # as `Timeline` does
    repeated = {time for time, following in pairwise(pts) if time == following}
    keys = sorted(key for key in keys if shown.get(key[0]) == key[0] and key[0] not in repeated)
    times, decoded = [time for time, _ in keys], [time for _, time in keys]
    problem = _problem(reader, shared, packets.problem, jumps)
    origin = reader.stream.start_time
    by_place = reader.container.format.name == "mpegts"
    jumps.sort()
    return Timetable(time_base, pts, times, decoded, jumps, places, origin, frozenset(unsure), by_place, problem)


def _problem(reader: PacketReader, shared: SharedState, error: BaseException | None, jumps: list[int]) -> str:
    """Where it breaks off, or ends early; what the header of joined recordings says is that of one."""
    try:
        reader.judge_end(error)
    except Unreadable as problem:
        return str(problem)
    return shared.warnings[-1] if shared.counters.ended_early and not jumps else ""
