"""What happens on the way ahead: who cuts in, who crosses, who comes to a stop, who was nearly hit. Each is told once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from streamseg.core.scene import Scene
from streamseg.core.types import Event
from streamseg.scene.alerts import SURE_THERE
from streamseg.scene.corridor import moves
from streamseg.scene.followed import Followed, likely_below

__all__ = ["Happenings", "numbers"]

NEAR = 35.0
"""Metres up to which one who comes in from the side cuts in."""
BESIDE = 0.8
"""Metres that it must have come nearer to the corridor's middle."""
MANEUVER = 4.0
"""Seconds that it may take."""
FAST_ACROSS = 2.2
"""Metres a second across the way, from which it does not come in but crosses."""
STAYED = 0.5
"""Seconds for which one who has come in must have stayed."""
CROSSES, WALKS = 15.0, 0.2
"""Seconds that crossing may take, and metres a second across the way that it needs for sure."""
STANDS, STOOD = 0.6, 0.7
"""Metres a second under which something stands, and the seconds for which it must."""
FOLLOWS = 1.5
"""Metres a second between it and a vehicle that moves, up to which it moves as well."""
STILL = 0.04
"""1/s of growth up to which one who is looked at by a camera that stands, stands as well."""
SURE = 0.9
"""Probability that a closest approach was too close."""
AGAIN = 5.0
"""Seconds in which the same is not told again of the same road user."""
OWN = "own vehicle"
"""Called so where it stops itself; its track is 0."""


Details = Callable[[], dict[str, float]]


def numbers(followed: Followed, scene: Scene, i: int) -> dict[str, float]:
    """What is known of instance `i` in this frame, as the details of an event."""
    known = {
        "ttc": scene.ttc[i],
        "ttc_std": scene.ttc_std[i],
        "distance": scene.distance[i],
        "distance_std": scene.distance_std[i],
        "speed": scene.speed[i],
        "speed_std": scene.speed_std[i],
        "in_path": followed.in_path,
    }
    return {name: float(value) for name, value in known.items() if math.isfinite(value)}


@dataclass(slots=True)
class _Story:
    """Of one track."""

    came: float | None = None
    """When it came into the corridor from beside it, until that has been told of."""
    came_from: str = ""
    crossed_from: str = ""
    crossed_since: float = 0.0
    quickest: float = 0.0
    """Metres a second at which it has moved across the way for sure, since then."""
    beside: float = 0.0
    """Metres: how far from the corridor's middle it was at most, lately."""
    moving: bool = False
    stands: float | None = None
    closest: dict[str, float] | None = None
    closest_at: float = 0.0
    told: dict[str, float] = field(default_factory=dict)


class Happenings:
    """Tells events of those who are seen in each frame."""

    def __init__(self, near_miss: float) -> None:
        """`near_miss`: seconds to collision; 0: there are none."""
        self._near_miss = near_miss
        self.forget()

    def forget(self) -> None:
        """A new epoch."""
        self._stories: dict[int, _Story] = {}
        self._present: Mapping[int, Followed] = {}
        self._own_moving, self._own_stands = False, None
        self._events: list[Event] = []

    _own_stands: float | None

    def __call__(
        self, present: Mapping[int, Followed], scene: Scene, there: Mapping[int, float], now: float, turning: bool
    ) -> list[Event]:
        """`present`: by instance; `there`: the probability that each is in the way when it is reached."""
        self._events, self._present = [], present
        self._own_stop(scene, now)
        for i, followed in present.items():
            story = self._stories.setdefault(followed.track, _Story())
            details = partial(numbers, followed, scene, i)
            self._sides(followed, story, details, turning)
            self._stop(followed, story, details, scene, i)
            self._approach(followed, story, details, there[i])
        return self._events

    def lose(self, followed: Followed) -> list[Event]:
        """It is not seen any more, for good."""
        self._events = []
        story = self._stories.pop(followed.track, None)
        if story is not None:
            self._tell_closest(followed, story)
        return self._events

    def _tell(self, kind: str, time: float, followed: Followed, story: _Story, details: Mapping[str, float]) -> None:
        if followed.last - story.told.get(kind, -math.inf) < AGAIN:
            return
        story.told[kind] = followed.last
        self._events.append(Event(kind, time, followed.track, followed.name, details=dict(details)))  # type: ignore[arg-type]

    # --- into the corridor, and through it --------------------------------------------------------------------------------

    def _sides(self, followed: Followed, story: _Story, details: Details, turning: bool) -> None:
        if not followed.look.certain or not math.isfinite(followed.in_path):
            return
        before = followed.moved()
        if turning:  # the way sweeps over who stands
            story.came, story.crossed_from = None, ""
            return
        if before in ("left", "right") and followed.where == "in":
            story.came, story.crossed_since, story.quickest = followed.since, followed.since, 0.0
            story.came_from = story.crossed_from = before
        elif before == "in" and story.crossed_from:
            self._cross(followed, story, details)
        if story.crossed_from:
            story.quickest = max(story.quickest, followed.crosswise)
        if followed.where in ("left", "right"):
            story.beside = max(abs(followed.move.place), story.beside * 0.98)
        self._cut_in(followed, story, details)

    def _cut_in(self, followed: Followed, story: _Story, details: Details) -> None:
        if story.came is None or followed.where != "in":
            story.came = None
            return
        look, came = followed.look, story.came
        if followed.last - came < STAYED:
            return
        story.came = None
        sign = 1 if story.came_from == "right" else -1
        moved = story.beside - sign * followed.move.place
        own = (
            -sign * _common_shift(self._present) * MANEUVER / 2
        )  # what all others moved that way: the vehicle itself changes lanes
        near = math.isfinite(look.ahead) and look.ahead <= NEAR
        slow = abs(followed.move.speed) < FAST_ACROSS
        if followed.kind in ("vehicle", "cycle") and near and slow and moved - max(own, 0) >= BESIDE:
            self._tell("cut_in", came, followed, story, details())

    def _cross(self, followed: Followed, story: _Story, details: Details) -> None:
        origin, story.crossed_from = story.crossed_from, ""
        if followed.where == origin or followed.since - story.crossed_since > CROSSES or story.quickest < WALKS:
            return
        took = {"seconds": followed.left - followed.entered} if followed.left > followed.entered else {}
        told = details()
        self._tell("crossing", followed.middle or followed.since, followed, story, took | told)
        close = self._near_miss and likely_below(followed.look, self._near_miss) >= SURE
        if close and "ttc" in told:  # it left as long before the vehicle is there
            encroachment = {"pet": told["ttc"], "pet_std": told.get("ttc_std", math.nan)}
            known = {name: value for name, value in (told | encroachment).items() if math.isfinite(value)}
            self._tell("near_miss", followed.last, followed, story, known)

    # --- stops ------------------------------------------------------------------------------------------------------------

    def _own_stop(self, scene: Scene, now: float) -> None:
        own_moves = moves(scene)
        if own_moves is None:
            self._own_stands = None
        elif own_moves:
            self._own_moving, self._own_stands = True, None
        elif self._own_moving:
            self._own_stands = now if self._own_stands is None else self._own_stands
            if now - self._own_stands >= STOOD:
                self._own_moving = False
                self._events.append(Event("stop", self._own_stands, 0, OWN))

    def _stop(self, followed: Followed, story: _Story, details: Details, scene: Scene, i: int) -> None:
        stands = _stands(followed, scene, i)
        if stands is None:
            return
        if not stands:
            story.moving, story.stands = True, None
            return
        story.stands = followed.last if story.stands is None else story.stands
        if story.moving and followed.last - story.stands >= STOOD:
            story.moving = False
            if scene.lead == followed.track or followed.in_path >= 0.5:
                self._tell("stop", story.stands, followed, story, details())

    # --- the closest approach ---------------------------------------------------------------------------------------------

    def _approach(self, followed: Followed, story: _Story, details: Details, there: float) -> None:
        if not self._near_miss:
            return
        look = followed.look
        near = there >= SURE_THERE and followed.age >= STAYED and look.certain
        if near and likely_below(look, self._near_miss) >= SURE:
            told = details()
            if "ttc" in told and (story.closest is None or told["ttc"] < story.closest["ttc"]):
                story.closest, story.closest_at = told, followed.last
        elif story.closest is None:
            return
        elif likely_below(look, 1.5 * self._near_miss) < 0.5 or there < 0.5:
            self._tell_closest(followed, story)

    def _tell_closest(self, followed: Followed, story: _Story) -> None:
        if story.closest is not None:
            self._tell("near_miss", story.closest_at, followed, story, story.closest)
            story.closest = None


def _common_shift(present: Mapping[int, Followed]) -> float:
    """Metres a second to the right by which most move across the way: the vehicle moves the other way. 0: too few to tell."""
    speeds = sorted(f.move.speed for f in present.values() if f.frames >= 5)
    return speeds[len(speeds) // 2] if len(speeds) >= 3 else 0.0


def _stands(followed: Followed, scene: Scene, i: int) -> bool | None:
    """Whether a road user stands; None: cannot be told."""
    look, across = followed.look, followed.move
    own = scene.own_speed
    if own is not None and math.isfinite(own + scene.speed[i] + scene.speed_std[i]):
        speed, std = float(scene.speed[i]), float(scene.speed_std[i])
        over_ground = abs(own + speed)
        if over_ground < STANDS and std < STANDS and abs(across.speed) < STANDS:
            return True
        return False if over_ground > 2 * STANDS + 2 * std else None
    own_moves = moves(scene)
    if own_moves is None or not math.isfinite(look.growth) or not math.isfinite(look.growth_std):
        return None
    if own_moves:  # as fast as the vehicle, or nearly
        return False if (abs(look.growth) + look.growth_std) * look.ahead < FOLLOWS else None
    if abs(look.growth) < STILL and look.growth_std < STILL and abs(across.speed) < STANDS:
        return True
    return False if abs(look.growth) > 2 * STILL + 2 * look.growth_std else None
