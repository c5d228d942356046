"""What the tracker gives where a later stage looks at it again with the future known: what it shows, and what it leaves out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from streamseg.core.result import Result
from streamseg.core.types import Instances
from streamseg.system.unchanging import unchanging

__all__ = ["Tracked"]


@unchanging
@dataclass(frozen=True, slots=True, eq=False)
class Tracked(Result):
    """A result, and what was detected beside it."""

    others: Instances | None = None
    """Detections with lower scores that are not shown: with the `track_ids` of tracks that they carry on unseen, 0 for those of no
    track. Second detections of what is shown are not among them."""
    seen_as: Mapping[int, int] = field(default_factory=dict)
    """Track id -> the class that the network saw in this frame, of all tracks that it saw; `labels` are what most frames said."""
    cut: bool = False
    """Another shot begins with this frame."""
