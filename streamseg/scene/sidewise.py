"""How something moves across the way: its place beside the corridor's middle and its speed there, by a Kalman filter."""

from __future__ import annotations

import math
from dataclasses import dataclass

from streamseg.scene.kinds import Kind

__all__ = ["Sidewise"]

UNKNOWN_SPEED: dict[Kind, float] = {"vehicle": 1.0, "cycle": 1.2, "person": 1.5, "animal": 2.0}
"""Metres a second: deviation of the speed across the way of what is seen for the first time."""
AGILITY: dict[Kind, float] = {"vehicle": 0.5, "cycle": 0.7, "person": 0.7, "animal": 1.0}
"""How much that changes in a second: metres a second, of a random walk."""
JUMP = 3.0
"""Deviations from where it was expected from which on it begins anew."""
LEAST_NOISE = 0.08
"""Metres: a place is never known better from one frame."""


@dataclass(slots=True)
class Sidewise:
    """One track."""

    kind: Kind
    place: float
    """Metres to the right of the corridor's middle."""
    speed: float = 0.0
    """Metres a second to the right."""
    place_var: float = 0.0
    both_var: float = 0.0
    speed_var: float = 0.0

    @classmethod
    def born(cls, kind: Kind, place: float, noise: float) -> Sidewise:
        """Seen for the first time."""
        return cls(kind, place, 0.0, max(noise, LEAST_NOISE) ** 2, 0.0, UNKNOWN_SPEED[kind] ** 2)

    def go(self, elapsed: float) -> None:
        """So many seconds pass."""
        agility = AGILITY[self.kind] ** 2
        self.place += self.speed * elapsed
        self.place_var += 2 * elapsed * self.both_var + elapsed**2 * self.speed_var + agility * elapsed**3 / 3
        self.both_var += elapsed * self.speed_var + agility * elapsed**2 / 2
        self.speed_var = min(self.speed_var + agility * elapsed, 4 * UNKNOWN_SPEED[self.kind] ** 2)

    def see(self, place: float, noise: float) -> None:
        """It is seen there, with this deviation, metres."""
        variance = self.place_var + max(noise, LEAST_NOISE) ** 2
        if (place - self.place) ** 2 > JUMP**2 * variance:  # not it has moved, but what is seen of it has changed
            self.place, self.speed, self.speed_var = place, 0.0, UNKNOWN_SPEED[self.kind] ** 2
            self.place_var, self.both_var = max(noise, LEAST_NOISE) ** 2, 0.0
            return
        gain, turn, off = self.place_var / variance, self.both_var / variance, place - self.place
        self.place, self.speed = self.place + gain * off, self.speed + turn * off
        self.speed_var -= turn * self.both_var
        self.place_var, self.both_var = (1 - gain) * self.place_var, (1 - gain) * self.both_var

    @property
    def speed_std(self) -> float:
        """Metres a second."""
        return math.sqrt(max(self.speed_var, 0.0))

    def in_seconds(self, seconds: float) -> tuple[float, float]:
        """Where it is then, if it goes on so, and the deviation of that; metres."""
        variance = self.place_var + 2 * seconds * self.both_var + seconds**2 * self.speed_var
        return self.place + seconds * self.speed, math.sqrt(max(variance, 0.0))
