"""The packets of an opened container, as PyAV gives them, without times that no source can mean.

PyAV 18 counts the streams once, when a container is opened. In FLV, MPEG-PS and MPEG-TS a stream may appear later: its packets are
not given, and after the last packet PyAV may fail to look it up. All packets have been read by then.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.stream import Stream

    Packet = av.Packet[Any]

__all__ = ["demux"]

LATEST = 2**33
"""Seconds, 272 years: a clock that is farther from zero is damage. (One that counts from 1900, as NTP does, has 2**32 in 2036.)"""
_MOST_TICKS = 2**62
"""Largest time, in ticks: it leaves room in libav's 64 bits to move times and to add durations."""


def demux(container: InputContainer, *streams: Stream) -> Iterator[Packet]:
    """Like `InputContainer.demux`: packets in the order of the file, of `streams` or of all; empty ones at the end.

    Times that no clock shows are taken off, so that they count as missing. libav's exceptions pass through.
    """
    try:
        for packet in container.demux(*streams):
            packet.pts, packet.dts = _shown(packet.pts, packet.time_base), _shown(packet.dts, packet.time_base)
            if _shown(packet.duration, packet.time_base) is None:
                packet.duration = 0
            yield packet
    except IndexError:
        return


def _shown(ticks: int | None, time_base: Fraction | None) -> int | None:
    if ticks is None or abs(ticks) >= _MOST_TICKS:
        return None
    late = time_base is not None and abs(ticks) * time_base.numerator > LATEST * time_base.denominator
    return None if late else ticks
