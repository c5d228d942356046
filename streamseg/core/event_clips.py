"""Which events of a film get a clip, and how long it is: a noun of the pipeline file (`encode: {clips: ...}`) and of `encode`."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["KINDS", "EventClips"]

KINDS = MappingProxyType(
    {
        True: ("alert", "near_miss", "cut_in", "crossing"),
        False: ("cross", "enter", "leave", "dwell"),
    }
)
"""Whether the scene is watched (docs/drive.md) → the kinds of events that get a clip where none were named."""


@dataclass(frozen=True, slots=True)
class EventClips:
    """What one output of clips is to hold."""

    kinds: tuple[str, ...] = ()
    """Of events; empty: `KINDS`."""
    before: float = 5.0
    """Seconds that are to be seen before an event; a clip begins with the key frame before that."""
    after: float = 5.0
    """Seconds after it."""
    longest: float = 300.0
    """Seconds: events whose clips overlap share one, unless it became longer."""
    limit: int = 20_000_000_000
    """Bytes of all clips together, from which on none is begun; 0: no limit."""
