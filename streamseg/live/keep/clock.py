"""Lets the times of a camera's packets go forward: cameras restart their clocks, leap, or send no times at all."""

from __future__ import annotations

from dataclasses import replace

from streamseg.live.keep.packets import StoredPacket

__all__ = ["SteadyClock"]

_BACK = 0.1
"""Seconds: a stream that goes back further has a new clock."""
_AHEAD = 10.0
"""Seconds: a stream that goes ahead further, while much less time has passed, has one too."""


class SteadyClock:
    """Moves packets of one connection so that each stream goes on where it was, after as long as passed until its packet came."""

    def __init__(self) -> None:
        self._shift: dict[int, int] = {}
        self._last: dict[int, tuple[int, float]] = {}
        """Ticks after shifting, and arrival, of each stream's last packet."""
        self.leaps = 0

    def __call__(self, packet: StoredPacket) -> StoredPacket:
        """The packet with a time, not far from the one before it."""
        index, tick = packet.stream, float(packet.time_base)
        last = self._last.get(index)
        passed = 0 if last is None else max(1, round((packet.at - last[1]) / tick))
        if packet.ticks is None:
            expected = 0 if last is None else last[0] + passed
            packet = replace(packet, pts=expected, dts=expected)
            self._last[index] = (expected, packet.at)
            return packet
        shift = self._shift.get(index, 0)
        now = packet.ticks + shift
        if last is not None:
            ahead = (now - last[0]) * tick
            if ahead < -_BACK or ahead > max(_AHEAD, 2 * (packet.at - last[1]) + 5):
                self.leaps += 1
                shift = self._shift[index] = last[0] + passed - packet.ticks
                now = last[0] + passed
        self._last[index] = (now, packet.at)
        if not shift:
            return packet
        pts, dts = (None if ticks is None else ticks + shift for ticks in (packet.pts, packet.dts))
        return replace(packet, pts=pts, dts=dts)
