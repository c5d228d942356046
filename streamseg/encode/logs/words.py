"""What happened, as a line of a log: the events of a frame, and what befell the source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamseg.core.result import Result
    from streamseg.core.types import Event, Frame

__all__ = ["Happening", "Happenings"]

_WARNINGS = frozenset({"alert", "near_miss"})


@dataclass(frozen=True, slots=True)
class Happening:
    """One line."""

    text: str
    seconds: float | None
    """Presentation time at which it happened; None: at the frame's own."""
    warning: bool = False


class Happenings:
    """Tells of each frame what is new with it."""

    def __init__(self) -> None:
        self._before: Frame | None = None

    def __call__(self, result: Result) -> Iterator[Happening]:
        """In the order of time, as far as that is known."""
        frame, before = result.frame, self._before
        self._before = frame
        if frame.lost and (before is None or before.lost != frame.lost):
            yield Happening(f"the source is away: {frame.lost}", None, warning=True)
        if before is not None and before.epoch != frame.epoch:
            yield Happening(f"the source began anew (epoch {frame.epoch})", None)
        for event in result.activity.events if result.activity is not None else ():
            yield Happening(_told(event), event.time, event.kind in _WARNINGS)


def _told(event: Event) -> str:
    where = f" {event.place}" if event.place else ""
    way = f" {event.direction}" if event.direction else ""
    lasted = f" after {event.seconds:.1f} s" if event.seconds is not None else ""
    numbers = ", ".join(f"{name} {value:.4g}" for name, value in event.details.items())
    return f"{event.kind}: {event.name} {event.track_id}{where}{way}{lasted}" + (f" ({numbers})" if numbers else "")
