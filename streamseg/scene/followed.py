"""What is remembered of a road user from frame to frame."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from streamseg.scene.kinds import Kind
from streamseg.scene.sidewise import Sidewise

__all__ = ["LOST", "Followed", "Look", "likely_below", "overlap", "share_below"]

LOST = 1.5
"""Seconds unseen after which a road user is forgotten."""
GAP = 0.5
"""Seconds unseen after which what it did before says nothing of how it moves."""
SPAN = 1.2
"""Seconds over which the change of the growth is looked at."""
FASTEST: dict[Kind, float] = {"vehicle": 20.0, "cycle": 9.0, "person": 4.0, "animal": 9.0}
"""Metres a second across the way; more is no motion of such a one."""
SLOPE = 1.4
"""Deviation of the slope of a line through growths, whose errors last a quarter of a second, in deviations over the span."""
Where = Literal["left", "in", "right", ""]
INSIDE, OUTSIDE = 0.7, 0.15
"""Probabilities from which it stands in the corridor, and up to which beside it."""
STAYS = 0.2
"""Seconds for which it must be there."""


@dataclass(frozen=True, slots=True)
class Look:
    """One road user in one frame. NaN: not known."""

    time: float
    certain: bool
    """It is whole in the frame to the left and to the right."""
    growth: float
    growth_std: float
    ahead: float
    """Metres; of a usual camera where none is known."""
    across: float
    half: float
    std: float
    """Metres: deviation of `across`."""
    noise: float
    """Metres: what of it changes within a moment."""
    sweep: float
    """Metres a second: deviation of what it seems to move across the way by a bend."""


@dataclass(slots=True)
class Followed:
    """One track."""

    track: int
    name: str
    kind: Kind
    first: float
    last: float
    move: Sidewise
    look: Look
    in_path: float
    """Probability that it stands in the corridor."""
    frames: int = 0
    growths: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=40))
    """Time and growth of the last frames."""
    where: Where = ""
    since: float = 0.0
    """From when on it has been there."""
    middle: float = 0.0
    """When it was last in the middle of the corridor."""
    entered: float = 0.0
    left: float = 0.0
    """When it last came to be more likely in the corridor than not, and the other way round."""
    tending: Where = ""
    tending_since: float = 0.0

    @classmethod
    def born(cls, track: int, name: str, kind: Kind, look: Look, corridor: float) -> Followed:
        """Seen for the first time; `corridor`: metres, half its width."""
        move = Sidewise.born(kind, look.across, look.noise)
        return cls(track, name, kind, look.time, look.time, move, look, overlap(corridor, look, look.across, look.std))

    @property
    def age(self) -> float:
        """Seconds."""
        return self.last - self.first

    def see(self, look: Look, corridor: float) -> None:
        """It is seen again."""
        elapsed, self.last = look.time - self.last, look.time
        place, in_path = self.move.place, self.in_path
        if elapsed > GAP:
            self.move = Sidewise.born(self.kind, look.across, look.noise)
            self.growths.clear()
            self.first, self.frames, self.tending = look.time, 0, ""
        else:
            self.move.go(elapsed)
            self.move.see(look.across, look.noise)
        self.frames += 1
        self.look = look
        self.in_path = overlap(corridor, look, self.move.place, look.std)
        if place * self.move.place < 0:
            self.middle = look.time
        if (in_path < 0.5) != (self.in_path < 0.5):
            self.entered, self.left = (look.time, self.left) if in_path < 0.5 else (self.entered, look.time)
        if math.isfinite(look.growth):
            self.growths.append((look.time, look.growth))

    def moved(self) -> Where:
        """Where it was before, as soon as it is certain that it is elsewhere beside or in the corridor; empty: no change."""
        look = self.look
        side: Where = "left" if self.move.place < 0 else "right"
        tends: Where = "in" if self.in_path >= INSIDE else side if self.in_path <= OUTSIDE else ""
        if tends != self.tending:
            self.tending, self.tending_since = tends, look.time
        if not tends or tends == self.where or look.time - self.tending_since < STAYS:
            return ""
        before, self.where, self.since = self.where, tends, self.tending_since
        return before

    @property
    def crosswise(self) -> float:
        """Metres a second at which it moves across the way for sure, whatever the way does; 0: it may as well not."""
        if abs(self.move.speed) > FASTEST[self.kind]:
            return 0.0
        return max(abs(self.move.speed) - 2 * math.hypot(self.move.speed_std, self.look.sweep), 0.0)

    def urgency(self) -> tuple[float, float] | None:
        """By how much the time to collision falls in each second, over the last moments, and its deviation; None: not known yet.

        1: nobody brakes; 0.5: just as much is braked as is needed to stop before it (Lee 1976); above 1: it brakes itself.
        """
        recent = [(t, g) for t, g in self.growths if t >= self.last - SPAN]
        if len(recent) < 5 or recent[-1][0] - recent[0][0] < SPAN / 2:
            return None
        n, t0 = len(recent), recent[-1][0]
        mean_t, mean_g = sum(t - t0 for t, _ in recent) / n, sum(g for _, g in recent) / n
        spread = sum((t - t0 - mean_t) ** 2 for t, _ in recent)
        slope = sum((t - t0 - mean_t) * (g - mean_g) for t, g in recent) / spread
        std = SLOPE * self.look.growth_std / (recent[-1][0] - recent[0][0])
        return (slope / mean_g**2, std / mean_g**2) if mean_g > 0 else None


def overlap(corridor: float, look: Look, place: float, std: float) -> float:
    """Probability that it overlaps the corridor, half as wide as `corridor`, where it is at `place`; metres."""
    return share_below((corridor + look.half - abs(place)) / std)


def share_below(value: float) -> float:
    """The normal distribution's share below `value`."""
    return 0.5 * math.erfc(-value / math.sqrt(2))


def likely_below(look: Look, seconds: float) -> float:
    """Probability that the time to collision is below so many seconds: the growth is above one over it. 0: not known."""
    if not math.isfinite(look.growth) or not look.growth_std > 0:
        return 0.0
    return share_below((look.growth - 1 / seconds) / look.growth_std)
