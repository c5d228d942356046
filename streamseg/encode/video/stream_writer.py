"""Places the packets of one stream beside the picture (sound, subtitles) in an output: in order, in the output's ticks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.bitstream import BitStreamFilterContext
    from av.stream import Stream

    from streamseg.encode.video.other_streams import Converter

__all__ = ["StreamWriter"]

_LONGEST = 60
"""Seconds of sound that one packet can hold."""
_MOST_MOVED = Fraction(1, 10)
"""Seconds by which a packet may be moved so that it comes behind the one before."""


@dataclass(slots=True)
class StreamWriter:
    """A stream of the output, and how far it has come."""

    stream: Stream
    converter: Converter | None = None
    """Makes its packets, where they are not copied."""
    unpack: BitStreamFilterContext | None = None
    """Takes a header off each packet."""
    last_dts: int | None = None
    damaged: int = 0
    """Packets that could not be written as they are."""
    _duration: int = 0
    """Of the packet before."""

    @property
    def lost(self) -> int:
        """Packets that could not be written, or not be decoded to be converted."""
        return self.damaged + (self.converter.damaged if self.converter is not None else 0)

    def place(self, packet: Any, *, repeats: bool, timed: bool) -> bool:
        """Bring a packet's times into the output's ticks, behind the packet before; False if it has none, or comes too late.

        repeats: dts may stay where they were; timed: False where the container counts packets instead.
        """
        packet.dts = packet.pts if packet.dts is None else packet.dts
        if packet.dts is None:
            return False
        _rescale(packet, self.stream.time_base or packet.time_base)
        if not timed:
            packet.dts = packet.pts = max(0, packet.dts)
        lowest = None if self.last_dts is None else self.last_dts + (not repeats)
        if lowest is not None and packet.dts < lowest:
            if (lowest - packet.dts) * packet.time_base > _MOST_MOVED:
                return False
            packet.dts = lowest
            packet.pts = lowest if packet.pts is None else max(packet.pts, lowest)
        # Without a duration mp4 would end before the last packet, and players would leave it out. Ogg's last packet of Vorbis may
        # be shorter than nothing, which libav takes for a day.
        absurd = self.stream.type == "audio" and (packet.duration or 0) * packet.time_base > _LONGEST
        packet.duration = self._duration = self._duration if absurd else packet.duration or self._duration
        self.last_dts = packet.dts
        return True


def _rescale(packet: Any, time_base: Fraction) -> None:
    """To the ticks of the output, in which alone it can be seen whether one packet comes behind the other."""
    if packet.time_base == time_base:
        return
    ratio = packet.time_base / time_base
    packet.pts, packet.dts, packet.duration = (
        # A half goes down, where Matroska's muxer, which adds Opus' pre-skip of six and a half, lets it go up.
        None if ticks is None else math.ceil(ticks * ratio - Fraction(1, 2))
        for ticks in (packet.pts, packet.dts, packet.duration or 0)
    )
    packet.time_base = time_base
