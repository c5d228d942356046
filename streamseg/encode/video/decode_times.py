"""Corrects decoding times at both ends of a film, so that players compute its length and start from them rightly.

mp4 and mov store when each picture is decoded, and how much later it is shown. Where an encoder reorders pictures, the first one is
decoded earlier than it is shown, by the time between the first pictures; the last one by the time between the last pictures. With a
pause among these, a film would seem minutes too long or too short, or would start late (MPEG-TS). So the decoding times at both
ends are moved closer. Presentation times stay what they are.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import av

    Packet = av.Packet[Any]

__all__ = ["DecodingTimes"]

_MOST = 17
"""Packets: more are held back by no encoder."""


class DecodingTimes:
    """Passes on the packets of one stream, in order. It holds the first ones back until their times are known.

    measured: hold back the last packet, too: players take the end of the film from its decoding time.
    """

    def __init__(self, measured: bool = True) -> None:
        self._measured = measured
        self._opening: list[Packet] | None = []
        self._kept: Packet | None = None
        self._ahead = 0
        """By how much the first picture is decoded before it is shown."""
        self._shown: int | None = None
        self._end = 0

    def push(self, packet: Packet) -> list[Packet]:
        """The packets that can be written now."""
        if packet.pts is not None and (self._shown is None or packet.pts > self._shown):
            self._shown, self._end = packet.pts, packet.pts + (packet.duration or 0)
        if self._opening is None:
            return self._pass([packet])
        self._opening.append(packet)
        if packet.dts is None or packet.pts is None or packet.dts >= _first(self._opening) or len(self._opening) > _MOST:
            return self._pass(self._correct_first())
        return []

    def flush(self) -> list[Packet]:
        """The rest. The last picture lasts to the end of the film, and is decoded as long before it is shown as the first."""
        ready = self._pass(self._correct_first())
        packet, self._kept = self._kept, None
        if packet is None:
            return ready
        if packet.pts is not None:
            # FFmpeg 8.1 ends the edit list of a hybrid file with the last fragment's last time in decoding order. Where B-frames
            # put the picture that is shown last into an earlier fragment, players would leave that one out.
            packet.duration = max(packet.duration or 0, self._end - packet.pts)
        if packet.pts is not None and packet.pts == self._shown and packet.dts is not None:
            packet.dts = max(packet.dts, packet.pts - self._ahead)
        return [*ready, packet]

    def _pass(self, packets: list[Packet]) -> list[Packet]:
        if not packets or not self._measured:
            return packets
        ready = packets if self._kept is None else [self._kept, *packets]
        self._kept = ready[-1]
        return ready[:-1]

    def _correct_first(self) -> list[Packet]:
        """The first packets, decoded no earlier than their pictures' distance asks for."""
        opening, self._opening = self._opening or [], None
        times = sorted(p.pts for p in opening if p.pts is not None)
        step = min((b - a for a, b in pairwise(times) if b > a), default=0)
        for packet, following in reversed(list(pairwise(opening))):
            if step and packet.dts is not None and following.dts is not None:
                packet.dts = max(packet.dts, following.dts - step)
        if opening and opening[0].dts is not None:
            self._ahead = max(0, _first(opening) - opening[0].dts)
        return opening


def _first(packets: list[Packet]) -> int:
    return min((p.pts for p in packets if p.pts is not None), default=0)
