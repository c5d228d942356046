"""What a report says of one film: a few kilobytes, however long the film is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Approach", "FilmSummary", "Happening", "Place"]

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Happening:
    """One event of the film."""

    kind: str
    time: float
    """Presentation time, seconds."""
    track_id: int
    name: str
    """The track's class."""
    details: Mapping[str, float] = field(default_factory=dict)
    """As of `core.types.Event`."""
    place: str = ""
    """Of a line or zone."""
    box: Box | None = None
    """xyxy, frame pixels: where the track was then; None: it was not seen."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the vehicle was."""

    time: float
    """Presentation time, seconds."""
    latitude: float
    longitude: float
    speed: float | None = None
    """Metres a second."""


@dataclass(slots=True)
class Approach:
    """How near one road user came."""

    track_id: int
    name: str
    first: float
    last: float
    """Presentation times, seconds, at which it was first and last seen."""
    frames: int = 0
    judged: int = 0
    """Frames in which it was known how fast it grows."""
    distance: float | None = None
    distance_std: float = 0.0
    """Metres, the least; None: never known."""
    distance_at: float = 0.0
    ttc: float | None = None
    ttc_std: float = 0.0
    """Seconds to collision, the least; None: never known."""
    ttc_at: float = 0.0
    in_path: bool = False
    """It was more likely than not in the way ahead at the least time to collision, or, where none is known, distance."""


@dataclass(slots=True)
class FilmSummary:
    """One film, as its results tell it."""

    results: Path
    name: str
    """Of the source."""
    source: Path | None = None
    """The film, where it was found."""
    width: int = 0
    height: int = 0
    utc: str | None = None
    """When it began, ISO 8601; None: not known."""
    began: float = 0.0
    """Presentation times, seconds, of the first and of the last frame."""
    ended: float = 0.0
    from_start: bool = True
    """The results begin with the film's first frame."""
    frames: int = 0
    carried: int = 0
    """Frames at which the network did not look."""
    nonsense: int = 0
    """Lines that could not be read."""
    watched: bool = False
    """A driving scene was looked at (`scene: on`)."""
    metres: bool = False
    """Distances are known somewhere."""
    breaks: list[tuple[float, float]] = field(default_factory=list)
    """Presentation times between which continuity was lost."""
    counts: dict[str, int] = field(default_factory=dict)
    """Tracks of each class that were counted."""
    happenings: list[Happening] = field(default_factory=list)
    way: list[Place] = field(default_factory=list)
    """About one a second."""
    approaches: dict[int, Approach] = field(default_factory=dict)
    """Of each track."""
    cut: bool = False
    """The results end in the middle of a line: the run was cut off."""

    def shown(self, time: float) -> float:
        """Seconds from the film's beginning, as a player shows them, of a presentation time."""
        return time - self.began if self.from_start else time

    @property
    def seconds(self) -> float:
        """Presentation time from the first frame to the last."""
        return self.ended - self.began
