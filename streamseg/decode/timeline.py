"""Makes time go forward only: of packets, over jumps of the source's clock; of pictures, over bad or missing pts."""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import av

    Packet = av.Packet[Any]

__all__ = ["DecodeCounters", "ShownOrder", "Splicer", "Timeline"]

JUMP = 0.25
"""Seconds: a clock that goes back by more has started anew (joined files, a camera restarted); less is disorder within one."""
LEAP = 10.0
"""Seconds: a clock that goes ahead by more has started anew, too, where that may happen (`leaps`); elsewhere it is a pause."""
_FORMER = 8
"""How many former clocks are remembered, so that one that comes back is recognised."""
HELD_BACK = 16
"""How many pictures a decoder of H.264 or H.265 may hold back (max_num_reorder_frames, sps_max_num_reorder_pics), at most."""


@dataclass(slots=True)
class DecodeCounters:
    """What happened while decoding; can be read at any time."""

    frames: int = 0
    """Frames given."""
    corrupt: int = 0
    """Frames given although the decoder reported damage in them."""
    decode_errors: int = 0
    """Packets that the decoder could not decode."""
    synthetic_pts: int = 0
    """Frames that came without a pts."""
    non_monotonic: int = 0
    """Frames whose pts did not increase, and was moved by as little as makes it increase."""
    jumps: int = 0
    """Times the source's clock started anew (see JUMP and LEAP), and was rebased to go on."""
    format_changes: int = 0
    """Times the size or the pixel format changed."""
    reconnects: int = 0
    gaps: int = 0
    """Live: places where pictures are missing by the nominal rate."""
    skipped: int = 0
    """Live: pictures not even decoded, since decoding alone could not keep up."""
    ended_early: int = 0
    """1 if the source ended before the time its header tells."""


@dataclass(slots=True)
class _Clock:
    """Where one stream has come to, on the run's clock, in units of `time_base`."""

    time_base: Fraction
    segment: int = 0
    shift: int = 0
    """Of the segment."""
    shown: list[int] = field(default_factory=list)
    """The latest presentation times of the segment, ascending: as many as may still be followed by an earlier one, and one."""
    decoded: int | None = None
    """The last dts of the segment."""
    tells_dts: bool = True
    """No packet came with a pts alone: then dts are the container's own. Else libav derives them, and may err after a jump."""
    end: int | None = None
    step: int = 0
    """From a picture to the next."""

    def went_back(self, pts: int | None, dts: int | None, held_back: int) -> bool:
        """Whether times that come next belong to another clock: pts are compared with pts, dts with dts.

        held_back: so many pictures may precede in the file, yet be shown later.
        """
        if pts is not None and self.shown:
            if len(self.shown) > held_back and self._before(pts, self.shown[-1 - held_back]):
                return True
            if pts >= self.shown[-1] or not self.tells_dts:
                return False
        return dts is not None and self.decoded is not None and self._before(dts, self.decoded)

    def _before(self, time: int, other: int) -> bool:
        return time < other and (other - time) * self.time_base > JUMP

    def note(self, pts: int | None, dts: int | None, time: int, duration: int) -> None:
        """A packet with these times belongs to the segment."""
        latest = self.shown[-1] if self.shown else self.decoded
        if latest is not None and time > latest:
            self.step = time - latest
        if pts is not None:
            self.tells_dts &= dts is not None
            insort(self.shown, pts)
            del self.shown[: -1 - HELD_BACK]
        self.decoded = self.decoded if dts is None else dts
        end = time + (duration or self.step)
        self.end = end if self.end is None else max(self.end, end)

    def enter(self, segment: int, offset: Fraction) -> None:
        """What comes next is of a segment with this offset, seconds."""
        self.segment, self.shift, self.decoded = segment, round(offset / self.time_base), None
        self.shown.clear()


class Splicer:
    """Shifts packets so that a clock that starts anew goes on where the old one was: after a jump, or a reconnect.

    Between two jumps lies a segment, with one offset for all streams, so sound stays with its picture. At a seam the streams are
    interleaved: some packets of the old segment come behind the first of the new one. So each stream changes over by itself.

    A clock has jumped if it went back by more than JUMP. In the order of decoding, times of presentation go back where there are
    B-frames, but never before those of a key frame's predecessors; so a key frame's is compared with the latest so far, and any
    other's with the latest that no decoder would hold back any more. dts, which only go forward, count where the container has
    them; where it has none (Matroska, NUT) libav gives no dts to the first packets, so that the two kinds must not be mixed.
    """

    def __init__(self) -> None:
        self._offsets = [Fraction(0)]
        self._streams: dict[int, _Clock] = {}
        self._restart_at: Fraction | None = None
        self.gap = Fraction(0)
        """Seconds by which the last new clock was ahead of where the source had come to; below zero: behind."""

    @property
    def end(self) -> Fraction:
        """Where the furthest stream has come to, seconds."""
        return max((c.end * c.time_base for c in self._streams.values() if c.end is not None), default=Fraction(0))

    def restart(self, at: float) -> None:
        """The next packet is the first of a new connection; put it at `at` seconds, or behind all before it."""
        self._restart_at = max(Fraction(at).limit_denominator(1_000_000), self.end)

    def begin_at(self, offset: Fraction) -> None:
        """The next packet is the first of another file, whose clock is moved by `offset` seconds."""
        self._offsets, self._restart_at = [offset], None
        self._streams.clear()

    def place(self, packet: Packet, leads: bool = True, *, reorders: bool = False, leaps: bool = False) -> bool:
        """Shift `packet` in place; True if its stream enters another segment with it.

        leads: a jump of this packet's stream is one of the whole source; else it is taken for a fault of this stream alone.
        reorders: the stream's pictures may come in another order than they are shown. leaps: a clock that goes ahead of all
        streams by more than LEAP is a new one.
        """
        pts, dts, time_base = packet.pts, packet.dts, packet.time_base
        time = pts if pts is not None else dts
        if time is None:
            return False
        if self._restart_at is not None:
            self._offsets = [self._restart_at - (time if dts is None else dts) * time_base]
            self._streams.clear()
            self._restart_at = None
        stream = self._streams.get(packet.stream_index)
        fresh = stream is None
        if stream is None:
            stream = self._streams[packet.stream_index] = _Clock(time_base)
            stream.enter(0, self._offsets[0])
        held_back = HELD_BACK if reorders and not packet.is_keyframe else 0
        segment = self._nearest(time * time_base, stream.segment)
        entered = segment != stream.segment
        shift = stream.shift if not entered else round(self._offsets[segment] / time_base)
        if leads and not fresh:
            back = stream.went_back(_moved(pts, shift), _moved(dts, shift), held_back)
            if back or (leaps and self._leaps(time + shift, stream)):
                # Before a picture that is not a key frame others may be shown that come later.
                first = (dts if dts is not None and held_back else time) * time_base
                self.gap = first + self._offsets[segment] - self.end
                segment, entered = self._segment_from(first), True
        if entered:
            stream.enter(segment, self._offsets[segment])
        if stream.shift:
            packet.pts = pts = _moved(pts, stream.shift)
            packet.dts = dts = _moved(dts, stream.shift)
        stream.note(pts, dts, time + stream.shift, packet.duration or 0)
        return entered and not fresh

    def _segment_from(self, time: Fraction) -> int:
        """The segment for a clock that says `time` at this point of the source: a former one that goes on, else a new one.

        Some recorders stamp single pictures hours away, and then go on as before.
        """
        for segment in range(len(self._offsets) - 1, max(-1, len(self._offsets) - 1 - _FORMER), -1):
            if abs(time + self._offsets[segment] - self.end) <= JUMP:
                return segment
        self._offsets.append(self.end - time)
        return len(self._offsets) - 1

    def _leaps(self, time: int, stream: _Clock) -> bool:
        """Whether a stream goes ahead of all others, and not by its usual step, as a time lapse does."""
        if stream.end is None or not stream.step or (time - stream.end) * stream.time_base <= LEAP:
            return False
        return time * stream.time_base - self.end > max(Fraction(LEAP), 10 * stream.step * stream.time_base)

    def _nearest(self, time: Fraction, first: int) -> int:
        """The segment, from `first` on, in which `time` lies nearest to where the source has come to."""
        if first == len(self._offsets) - 1:
            return first
        end = self.end
        return min(range(first, len(self._offsets)), key=lambda s: abs(time + self._offsets[s] - end))


def _moved(time: int | None, by: int) -> int | None:
    return None if time is None else time + by


class ShownOrder:
    """Tells which time of a decoded picture is the one at which it is shown: its pts, the dts at which it came out, or neither.

    A decoder gives pictures in the order of display. If their pts go back nevertheless, these only count packets in the order of
    decoding (as libav's do for AVI, or those of a muxer that knew no B-frames). From there on the dts is taken.
    """

    def __init__(self, trusted: bool = True) -> None:
        """trusted: False if the container is known to have no pts."""
        self._trusted = trusted
        self._told = False
        self._latest: int | None = None

    def time(self, pts: int | None, dts: int | None, reorders: bool) -> int | None:
        """The time of the next picture. reorders: pictures may come in another order than they are shown."""
        if pts is not None and self._trusted:
            self._told = True
            self._trusted = not reorders or self._latest is None or pts >= self._latest or dts is None
            self._latest = pts
        if not self._trusted:
            return dts
        return dts if pts is None and not (reorders and self._told) else pts

    def restart(self) -> None:
        """What comes next is another segment's."""
        self._latest = None


class Timeline:
    """Gives each picture, in order, a pts of the run: in the run's time base, strictly increasing.

    A picture without one follows the one before by the source's steps so far, or, if shorter, by that of `rate` (frames a second,
    nominal).
    """

    def __init__(self, time_base: Fraction, rate: Fraction | None, counters: DecodeCounters) -> None:
        self.time_base = time_base
        self._step = 1 / (rate or Fraction(25)) / time_base
        self._counters = counters
        self._last: int | None = None
        self._told: tuple[int, int] | None = None
        """The last pts that the source gave, and how many pictures came since."""
        self._seen = Fraction(0)
        """From one picture to the next, by the last two pts."""
        self._exact = Fraction(0)
        self._offset = 0

    def stamp(
        self, pts: int | None, time_base: Fraction, *, first: int = 0, lasted: Fraction = Fraction(0)
    ) -> tuple[int, bool, bool]:
        """(pts of the run, whether it was made up, whether time jumped back and a new epoch begins).

        pts: what the source says, in units of `time_base`; None if nothing. first: where to begin if the first picture has none.
        lasted: how long the picture before lasts, seconds; 0: unknown.
        """
        jumped = False
        if pts is None:
            seen = self._seen or lasted / self.time_base
            self._exact = (
                Fraction(first) if self._last is None else self._exact + (min(seen, self._step) if seen else self._step)
            )
            value = round(self._exact)
        else:
            value = pts if time_base == self.time_base else round(pts * time_base / self.time_base)
            value += self._offset
            if self._told is not None and value > self._told[0]:
                self._seen = Fraction(value - self._told[0], self._told[1])
            if self._last is not None and (self._last - value) * self.time_base > JUMP:
                shift = self._last + max(1, round(self._step)) - value
                self._offset += shift
                value += shift
                jumped = True
        repeated = self._last is not None and value <= self._last
        if self._last is not None and repeated:
            value = self._last + 1
            self._counters.non_monotonic += 1
        if pts is not None or repeated:
            self._exact = Fraction(value)
        if pts is not None:
            self._told = (value, 1)
        elif self._told is not None:
            self._told = (self._told[0], self._told[1] + 1)
        self._counters.synthetic_pts += pts is None
        self._counters.jumps += jumped
        self._last = value
        return value, pts is None, jumped
