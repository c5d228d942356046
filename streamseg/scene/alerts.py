"""Alerts: who is in the way, or will be when the vehicle gets there, and too soon.

What makes a warning, all at once and for a moment:

- It is likely that the time to collision is below the threshold of its class: a noisy time raises none.
- It is likely that the road user is in the corridor when it is reached. Of who stands in it now that is where it goes on to; one
  who comes from the side must come for sure.
- It has been followed for a while.
- The vehicle does not brake enough already: then the time falls slower than it passes (Lee 1976). Near a
  standstill, where gentle braking is enough, nothing is said either.

It goes on fast and off slowly. Each has a level: 1 is caution, with time left; 2 the warning.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from streamseg.scene.followed import Followed, likely_below, overlap
from streamseg.scene.kinds import Kind

__all__ = ["AlertState", "there_when_reached"]

CAUTION = 1.35
"""Caution comes at so many times the threshold of the warning."""
SURE_SOON, SURE_THERE = 0.85, 0.8
"""Probabilities that make an alert."""
OFF_SOON, OFF_THERE = 0.35, 0.3
"""Below these it ends."""
SLACK = 1.25
"""An alert ends when the time is above so many times its threshold."""
ON, OFF, LEAST = 0.1, 0.5, 1.0
"""Seconds: of what raises it, of what ends it, and for how long it stands at least."""
NEW, NEW_FRAMES = 0.5, 5
"""A track is new for so many seconds, and so many frames."""
CROSSWISE: dict[Kind, float] = {"vehicle": 1.0, "cycle": 0.6, "person": 0.4, "animal": 0.4}
"""Metres a second at which one must move across the way for sure for that to say where it will be: parked cars seem to where a bend
begins, and those that do cross are fast."""
BRAKED = 0.8
"""Urgency (see `Followed.urgency`) up to which enough is braked, of what is above it by half its deviation."""
FORESEEN, FORESEEN_MOST = 0.6, 1.0
"""Seconds by which a warning comes sooner for each 1 of urgency above 1, and at most: of one that brakes itself."""
CLOSE = 0.9
"""Seconds to collision under which braking is no excuse."""
GENTLE = 1.7
"""Metres a second^2 of braking that anyone does anyhow. Needed is `ahead * growth^2 / 2`, and what the other brakes more."""
LEAST_STD = 0.2
"""Metres: no place is foreseen better."""
HORIZON = 6.0
"""Seconds ahead for which places are foreseen."""


def there_when_reached(followed: Followed, half: float) -> float:
    """Probability that it is in the corridor (`half` as wide, metres) when the vehicle gets there. NaN: not known."""
    look = followed.look
    move = followed.move
    if not look.growth > 0 or followed.crosswise < CROSSWISE[followed.kind]:
        return followed.in_path
    seconds = min(1 / look.growth, HORIZON)
    place, std = move.in_seconds(seconds)
    return overlap(half, look, place, math.hypot(std, LEAST_STD, seconds * look.sweep / 2))


@dataclass(slots=True)
class AlertState:
    """Of one track."""

    level: int = 0
    since: float = 0.0
    rising: list[float | None] = None  # type: ignore[assignment]
    calm: float | None = None
    """From when on nothing has kept the level up."""

    def __post_init__(self) -> None:
        self.rising = [None, None, None]

    def __call__(self, followed: Followed, there: float, threshold: float | None) -> int:
        """The level with this frame; `there`: see `there_when_reached`; `threshold`: seconds, None: no alert of this class."""
        now = followed.last
        if threshold is None:
            return 0
        if not self.level and likely_below(followed.look, threshold * CAUTION + FORESEEN_MOST) < 0.5:
            self.rising = [None, None, None]
            return 0
        threshold = _sooner(followed, threshold)
        wanted = self._wanted(followed, there, threshold)
        for level in (1, 2):
            if wanted < level:
                self.rising[level] = None
            elif self.rising[level] is None:
                self.rising[level] = now
        up = max((level for level in (1, 2) if (t := self.rising[level]) is not None and now - t >= ON), default=0)
        if up > self.level:
            self.level, self.since, self.calm = up, now, None
        elif self.level:
            self._fall(followed, there, threshold, wanted)
        return self.level

    def _wanted(self, followed: Followed, there: float, threshold: float) -> int:
        look = followed.look
        if not there >= SURE_THERE or not look.certain or followed.age < NEW or followed.frames < NEW_FRAMES:
            return 0
        if likely_below(look, threshold * CAUTION) < SURE_SOON or _braked(followed):
            return 0
        return 2 if likely_below(look, threshold) >= SURE_SOON else 1

    def _fall(self, followed: Followed, there: float, threshold: float, wanted: int) -> None:
        now, limit = followed.last, threshold * SLACK * (1 if self.level == 2 else CAUTION)
        soon = likely_below(followed.look, limit) >= OFF_SOON and not _braked(followed)
        holds = wanted >= self.level or (soon and not there < OFF_THERE)
        if holds:
            self.calm = None
            return
        self.calm = now if self.calm is None else self.calm
        if now - self.calm >= OFF and now - self.since >= LEAST:
            self.level, self.since, self.calm = min(self.level - 1, wanted), now, None


def _sooner(followed: Followed, threshold: float) -> float:
    """The threshold, raised where the road user ahead brakes."""
    urgency = followed.urgency()
    if urgency is None:
        return threshold
    return threshold + min(FORESEEN * max(urgency[0] - urgency[1] - 1, 0.0), FORESEEN_MOST)


def _braked(followed: Followed) -> bool:
    """Enough is braked already, or gentle braking will do."""
    look, urgency = followed.look, followed.urgency()
    if look.growth * CLOSE >= 1:
        return False
    pressing = 1.0 if urgency is None else max(urgency[0] - urgency[1], 1.0)
    if math.isfinite(look.ahead) and look.ahead * look.growth**2 * (pressing - 0.5) < GENTLE:
        return True
    return urgency is not None and urgency[0] + urgency[1] / 2 < BRAKED
