"""How soon is too soon: the times to collision at which a warning is due, by class, and presets of them.

A warning is raised when it is likely that the time is below its threshold, and stays likely for a moment: so it comes later than
the threshold by the deviation of the time and by the delay of its estimate, together about half a second. The preset `nhtsa` allows
for that: NHTSA's confirmation test of forward collision warning (February 2013) wants one no later than 2.1 s before a stopped
vehicle, 2.4 s before one that brakes, 2.0 s before a slower one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from streamseg.errors import ConfigError
from streamseg.errors.describe import brief, classes_known
from streamseg.scene.kinds import Kind, kind_of

__all__ = ["PRESETS", "RoadSettings", "Thresholds"]

PRESETS: dict[str, dict[Kind, float]] = {
    "nhtsa": {"vehicle": 3.2, "cycle": 2.8, "person": 2.5, "animal": 2.2},
    "euro-ncap": {"vehicle": 2.4, "cycle": 2.4, "person": 2.4, "animal": 2.0},
    "early": {"vehicle": 4.0, "cycle": 3.6, "person": 3.2, "animal": 3.0},
    "late": {"vehicle": 2.0, "cycle": 1.8, "person": 1.6, "animal": 1.5},
}
"""Seconds, by kind of road user."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Seconds to collision below which there is a warning."""

    preset: str = "nhtsa"
    times: Mapping[str, float] = field(default_factory=dict)
    """By class, in place of the preset's; 0: never of that class."""

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise ConfigError(f"alerts: {brief(self.preset)} is no preset; allowed: {', '.join(PRESETS)}")
        for name, seconds in self.times.items():
            if not 0 <= seconds <= 20:
                raise ConfigError(
                    f"alerts: {name}: {seconds:g} s is not allowed; a time to collision from 0 (never) to 20 seconds"
                )

    def of(self, name: str) -> float | None:
        """Of a class; None: there is no warning of it."""
        kind = kind_of(name)
        seconds = self.times.get(name, None if kind is None else PRESETS[self.preset][kind])
        return seconds or None

    def check_classes(self, known: Sequence[str]) -> None:
        """Raise ConfigError where a time is said for a class that is not among `known`, the model's."""
        for name in self.times:
            if name not in known:
                raise ConfigError(f"scene: alerts: unknown class {brief(name)}; {classes_known(name, known)}")


@dataclass(frozen=True, slots=True)
class RoadSettings:
    """What is asked of the way ahead."""

    width: float = 1.8
    """Metres: of the own vehicle."""
    margin: float = 0.25
    """Metres on each side of it that belong to the corridor."""
    alerts: Thresholds | None = Thresholds()
    """None: there are no alerts."""
    near_miss: float = 1.0
    """Seconds: a closest approach below is a near miss; 0: none is."""
    hidden: float = 4.0
    """Seconds for which one who is hidden is expected to come out again; 0: nobody is."""

    @property
    def half(self) -> float:
        """Metres: half the corridor's width."""
        return self.width / 2 + self.margin
