"""The way ahead: the ego corridor, who is in it, who leads, who is hidden; alerts, and what happens.

All of it works without a camera's numbers, and with any of what the other parts tell missing. What is remembered ends with the
epoch, and of each track a moment after it was last seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from streamseg.core.result import Result
from streamseg.core.scene import Scene
from streamseg.core.types import Event, Instances
from streamseg.scene.alerts import AlertState, there_when_reached
from streamseg.scene.corridor import Bend, Places, Way, outline, places
from streamseg.scene.feet import Feet, feet
from streamseg.scene.followed import LOST, Followed, Look
from streamseg.scene.happenings import AGAIN, Happenings, numbers
from streamseg.scene.hidden import HiddenUsers
from streamseg.scene.kinds import kind_of
from streamseg.scene.lead import Lead
from streamseg.scene.sizes import class_sizes
from streamseg.scene.thresholds import RoadSettings

__all__ = ["Road", "RoadSettings"]


FloatArray = npt.NDArray[np.float32]
ByteArray = npt.NDArray[np.uint8]


class Road:
    """Sets `in_path`, `lead`, `corridor`, `hidden` and `alert`, and tells events."""

    def __init__(self, settings: RoadSettings | None = None) -> None:
        self.settings = RoadSettings() if settings is None else settings
        self._bend, self._lead = Bend(), Lead()
        self._happenings, self._hidden = Happenings(self.settings.near_miss), HiddenUsers(self.settings.hidden)
        self._followed: dict[int, Followed] = {}
        self._alerts: dict[int, AlertState] = {}
        self._warned: dict[int, float] = {}
        self._epoch: int | None = None
        self._time = 0.0
        self._names: tuple[str, ...] | None = None
        self._wide = np.zeros(0)

    def check_classes(self, known: Sequence[str]) -> None:
        """Raise ConfigError where the settings name a class that is not among `known`, the model's."""
        if self.settings.alerts is not None:
            self.settings.alerts.check_classes(known)

    def _forget(self) -> None:
        for part in (self._bend, self._lead, self._happenings, self._hidden):
            part.forget()
        self._followed, self._alerts, self._warned = {}, {}, {}

    def __call__(self, result: Result, scene: Scene) -> tuple[Scene, tuple[Event, ...]]:
        """Look at one frame, of which all else is known."""
        frame, found, now = result.frame, result.instances, result.frame.time
        if frame.epoch != self._epoch:
            self._forget()
            self._epoch, self._time = frame.epoch, now
        elapsed, self._time = now - self._time, now
        size = (frame.width, frame.height)
        way = Way.of(scene, size, self._bend(scene, elapsed), self.settings.half)
        foot = feet(result)
        wide = self._widths(found)[found.labels]
        stands = places(way, foot, scene, wide)
        in_path, present = self._follow(found, now, scene, stands, foot)
        seen = ((f, tuple(found.boxes[i].tolist())) for i, f in present.items())
        lead = self._lead(seen, now)
        hidden, events = self._hidden(result, now)
        there = {i: there_when_reached(f, way.half) for i, f in present.items()}
        scene = replace(scene, in_path=in_path, lead=lead, hidden=hidden, corridor=outline(way, size))
        alert, warned = self._alert(scene, present, there)
        scene = replace(scene, alert=alert)
        events += warned
        events += self._happenings(present, scene, there, now, self._bend.turning)
        events += self._lose(now)
        utc = frame.utc
        if utc is not None:
            events = [replace(event, utc=utc - (now - event.time)) for event in events]
        return scene, tuple(events)

    def _widths(self, found: Instances) -> npt.NDArray[np.float64]:
        """[C] metres: how wide one of each class is; NaN: not known."""
        if self._names != found.class_names:
            self._names, self._wide = found.class_names, class_sizes(found.class_names)[:, 2]
        return self._wide

    def _follow(
        self, found: Instances, now: float, scene: Scene, stands: Places, foot: Feet
    ) -> tuple[FloatArray, dict[int, Followed]]:
        """[N] `in_path`; and by instance those that are road users with an identity and a place."""
        half = self.settings.half
        in_path, present = np.full(len(found), np.nan, np.float32), {}
        columns = (
            scene.growth,
            scene.growth_std,
            stands.ahead,
            stands.across,
            stands.half,
            stands.std,
            stands.noise,
            stands.sweep,
        )
        numbers = np.stack(columns, axis=1).astype(np.float64).tolist()
        for i, (track, name) in enumerate(zip(found.track_ids.tolist(), found.names, strict=True)):
            kind, look = kind_of(name), Look(now, not foot.cut[i], *numbers[i])
            if kind is None or not math.isfinite(look.across) or not math.isfinite(look.std):
                continue
            followed = self._followed.get(track)
            if followed is None or not track:
                followed = Followed.born(track, name, kind, look, half)
            else:
                followed.name = name
                followed.see(look, half)
            in_path[i] = followed.in_path
            if track:
                self._followed[track] = present[i] = followed
        return in_path, present

    def _alert(self, scene: Scene, present: dict[int, Followed], there: dict[int, float]) -> tuple[ByteArray, list[Event]]:
        """[N] levels, and the events of those for whom it has just become a warning."""
        alert, events = np.zeros(len(scene.growth), np.uint8), list[Event]()
        thresholds = self.settings.alerts
        if thresholds is None:
            return alert, events
        for i, followed in present.items():
            state = self._alerts.setdefault(followed.track, AlertState())
            before = state.level
            alert[i] = state(followed, there[i], thresholds.of(followed.name))
            if alert[i] == 2 and before < 2 and followed.last - self._warned.get(followed.track, -AGAIN) >= AGAIN:
                self._warned[followed.track] = followed.last
                details = numbers(followed, scene, i)
                events.append(Event("alert", followed.last, followed.track, followed.name, details=details))
        return alert, events

    def _lose(self, now: float) -> list[Event]:
        """Forget those who have not been seen for a while."""
        events: list[Event] = []
        for track in [t for t, followed in self._followed.items() if now - followed.last > LOST]:
            events += self._happenings.lose(self._followed.pop(track))
            self._alerts.pop(track, None)
            self._warned.pop(track, None)
        return events
