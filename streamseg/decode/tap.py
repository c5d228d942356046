"""Who wants a source's packets as they come, before anything is left out or decoded: a recording without re-encoding.

The calls come from the thread that reads the source. They must not wait and must not raise; what is wanted of a packet is copied.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from streamseg.decode.demux import demux

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.stream import Stream

    Packet = av.Packet[Any]

__all__ = ["PacketTap", "tapped"]


class PacketTap(Protocol):
    """Hears of every packet of a source, over all its connections."""

    def opened(self, streams: Sequence[Stream]) -> None:
        """A connection is open; these streams are the source's, and are closed with it."""

    def packet(self, packet: Packet, at: float) -> None:
        """A packet was read, at this time (monotonic seconds). Its times are the source's own."""

    def ended(self, reason: str) -> None:
        """The connection is over; `reason` may be empty."""


def tapped(container: InputContainer, tap: PacketTap | None, clock: Any) -> Iterator[Packet]:
    """`demux`, with `tap` (None: nobody) hearing of each packet first. `clock`: gives monotonic seconds."""
    if tap is None:
        yield from demux(container)
        return
    tap.opened(tuple(container.streams))
    try:
        for packet in demux(container):
            if packet.size:
                tap.packet(packet, clock())
            yield packet
    finally:
        tap.ended("")
