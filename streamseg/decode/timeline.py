"""Time that only goes forward: demuxed packets over jumps of the source's clock, and decoded pictures over bad or missing pts."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import av

    Packet = av.Packet[Any]

__all__ = ["DecodeCounters", "Splicer", "Timeline"]

JUMP = 0.25
"""Seconds: dts that go back by more are a new clock (files joined, a camera restarted); less is disorder within one."""


@dataclass(slots=True)
class DecodeCounters:
    """What was met while decoding; read it at any time."""

    frames: int = 0
    """Frames given."""
    corrupt: int = 0
    """Frames given although the decoder reported damage in them."""
    decode_errors: int = 0
    """Packets of which the decoder made nothing."""
    synthetic_pts: int = 0
    """Frames that came without a pts."""
    non_monotonic: int = 0
    """Frames whose pts did not increase, and was moved by the least that makes it."""
    jumps: int = 0
    """Times the source's clock jumped back, and was rebased to go on."""
    format_changes: int = 0
    """Times the size or the pixel format changed."""
    reconnects: int = 0
    gaps: int = 0
    """Live: places where pictures are missing by the nominal rate."""
    skipped: int = 0
    """Live: pictures not even decoded, since decoding alone could not keep up."""
    ended_early: int = 0
    """1 if the source ended before the time its header tells."""


class Splicer:
    """Shifts packets so that a clock that jumps back, or starts anew after a reconnect, goes on where the old one was.

    Between two jumps lies a segment, with one offset for all streams, so sound stays with its picture. At a seam the streams are
    interleaved: some packets of the old segment come behind the first of the new one. So each stream changes over by itself.
    """

    def __init__(self) -> None:
        self._offsets = [Fraction(0)]
        self._segments: dict[int, int] = {}
        self._ends: dict[int, Fraction] = {}
        self._restart_at: Fraction | None = None

    @property
    def end(self) -> Fraction:
        """Where the furthest stream has come to, seconds."""
        return max(self._ends.values(), default=Fraction(0))

    def restart(self, at: float) -> None:
        """The next packet is the first of a new connection; put it at `at` seconds, or behind all before it."""
        self._restart_at = max(Fraction(at).limit_denominator(1_000_000), self.end)

    def place(self, packet: Packet, leads: bool = True) -> bool:
        """Shift `packet` in place; True if its stream enters another segment with it.

        leads: a jump of this packet's stream is one of the whole source; else it is taken for a fault of this stream alone.
        """
        ticks = packet.dts if packet.dts is not None else packet.pts
        if ticks is None:
            return False
        time_base: Fraction = packet.time_base
        index, time = packet.stream_index, ticks * time_base
        if self._restart_at is not None:
            self._offsets = [self._restart_at - time]
            self._segments.clear()
            self._ends.clear()
            self._restart_at = None
        before = self._segments.get(index)
        segment = self._nearest(time, before or 0)
        last = self._ends.get(index)
        if leads and last is not None and time + self._offsets[segment] < last - Fraction(JUMP):
            self._offsets.append(self.end - time)
            segment = len(self._offsets) - 1
        self._segments[index] = segment
        if self._offsets[segment]:
            shift = round(self._offsets[segment] / time_base)
            packet.pts = None if packet.pts is None else packet.pts + shift
            packet.dts = None if packet.dts is None else packet.dts + shift
            time = (ticks + shift) * time_base
        self._ends[index] = time + (packet.duration or 0) * time_base
        return before is not None and segment != before

    def _nearest(self, time: Fraction, first: int) -> int:
        """The segment, from `first` on, in which `time` lies nearest to where the source has come to."""
        if first == len(self._offsets) - 1:
            return first
        end = self.end
        return min(range(first, len(self._offsets)), key=lambda s: abs(time + self._offsets[s] - end))


class Timeline:
    """Gives each picture, in order, a pts of the run: in the run's time base, strictly increasing.

    `rate` (frames a second, nominal) is used only where the source gives no pts.
    """

    def __init__(self, time_base: Fraction, rate: Fraction | None, counters: DecodeCounters) -> None:
        self.time_base = time_base
        self._step = 1 / (rate or Fraction(25)) / time_base
        self._counters = counters
        self._last: int | None = None
        self._exact = Fraction(0)
        self._offset = 0

    def stamp(self, pts: int | None, time_base: Fraction, *, first: int = 0) -> tuple[int, bool, bool]:
        """(pts of the run, whether it was made up, whether time jumped back and a new epoch begins).

        pts: what the source says, in units of `time_base`; None if nothing. first: where to begin if the first picture has none.
        """
        jumped = False
        if pts is None:
            self._exact = Fraction(first) if self._last is None else self._exact + self._step
            value = round(self._exact)
        else:
            value = pts if time_base == self.time_base else round(pts * time_base / self.time_base)
            value += self._offset
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
        self._counters.synthetic_pts += pts is None
        self._counters.jumps += jumped
        self._last = value
        return value, pts is None, jumped
