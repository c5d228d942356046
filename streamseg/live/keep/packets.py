"""Packets of a camera outside of the connection that they came over."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, get_args

import av
from av.packet import PacketSideData, PktSideDataT

if TYPE_CHECKING:
    Packet = av.Packet[Any]

__all__ = ["StoredPacket"]

_KINDS = get_args(PktSideDataT)
_WANTED = ("new_extradata", "param_change", "skip_samples", "palette")
"""Side data without which a packet cannot be decoded; the rest tells of the connection."""


@dataclass(frozen=True, slots=True)
class StoredPacket:
    """A packet's bytes and times, independent of any container."""

    stream: int
    """Index in the source."""
    data: bytes
    pts: int | None
    dts: int | None
    duration: int
    time_base: Fraction
    key: bool
    at: float
    """When it was read, monotonic seconds."""
    side: tuple[tuple[str, bytes], ...] = ()

    @classmethod
    def of(cls, packet: Packet, at: float) -> StoredPacket:
        """A copy of what `packet` holds."""
        side = tuple((each.data_type, bytes(each)) for each in packet.iter_sidedata() if each.data_type in _WANTED)
        times = (packet.pts, packet.dts, packet.duration or 0)
        return cls(packet.stream_index, bytes(packet), *times, packet.time_base, packet.is_keyframe, at, side)

    @property
    def ticks(self) -> int | None:
        """Its decoding time, or where that is missing, when it is shown."""
        return self.dts if self.dts is not None else self.pts

    def packet(self) -> Packet:
        """A packet for a muxer, to be used once."""
        made: Packet = av.Packet(len(self.data))
        made.update(self.data)
        made.time_base = self.time_base
        made.pts, made.dts, made.duration = self.pts, self.dts, self.duration
        made.is_keyframe = self.key
        for kind, data in self.side:
            beside = PacketSideData(_KINDS.index(kind), len(data))  # type: ignore[call-arg]
            if data:
                beside.update(data)
            made.set_sidedata(beside, move=True)
        return made
