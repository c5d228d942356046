"""The state of a run that outlives a connection: clock, counters, warnings, and packets of the other streams."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from av.codec.hwaccel import HWAccel

from streamseg.decode.address import Address
from streamseg.decode.passthrough import PassThroughHub
from streamseg.decode.tap import PacketTap
from streamseg.decode.timeline import DecodeCounters, Splicer

__all__ = ["SharedState", "inspecting"]


@dataclass(slots=True)
class SharedState:
    """What all readers of one run share, since it outlives a connection."""

    address: Address
    hub: PassThroughHub
    splicer: Splicer
    counters: DecodeCounters
    warnings: list[str]
    max_pixels: int
    threads: int
    stopped: Callable[[], bool]
    accel: HWAccel | None = None
    """Hardware to decode with, where it can."""
    tap: PacketTap | None = None
    """Hears of every packet that is read."""


def inspecting(address: Address) -> SharedState:
    """A state of its own for code that only looks at packets, outside of a run."""
    return SharedState(address, PassThroughHub(), Splicer(), DecodeCounters(), [], 2**62, 1, lambda: False)
