"""The events stage: counts objects, and tells when one crosses a line, enters or leaves a zone, or stays in it for long.

An object is where its ground point is: the foot of its mask, or of its estimated extent if the foot is hidden. Nothing is told
twice. A track counts once, when it has been seen for `confirm` seconds. A change of side counts once it has lasted for `hold`
seconds and goes beyond `margin`, so that a mask that flickers on a line crosses it once. A track that is not seen is waited for as
long as the tracker may still recognise it. All times are presentation times in seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import cv2

from streamseg.core.result import Result
from streamseg.core.types import Activity, Event, Instances
from streamseg.errors import ConfigError
from streamseg.errors.describe import brief, classes_known
from streamseg.events.counts import Counts
from streamseg.events.ground import ground_points
from streamseg.events.places import Line, Point, Points, Zone, distance, in_pixels, passes_between

__all__ = ["EventDetector"]

GAP = 0.2
"""Seconds: of the time between two frames in which a track is seen, at most so much counts as seen."""
PRESENT = 1.0
"""Seconds for which an object that was inside a zone and is not seen still counts as inside."""


@dataclass(slots=True)
class _Crossing:
    """One track and one line."""

    side: int = 0
    """1 right of it, -1 left, 0 not known."""
    anchor: Point = (0.0, 0.0)
    """Where it was when last seen there."""
    since: float | None = None
    """When it was first seen on the other side."""
    through: bool = False
    """It came there through the line, not around its end."""
    times: int = 0


@dataclass(slots=True)
class _Visit:
    """One track and one zone."""

    inside: bool = False
    entered: float = 0.0
    since: float | None = None
    """When it was first seen to have changed."""
    told: bool = False
    """Its dwelling was told."""


@dataclass(slots=True)
class _Subject:
    """One track."""

    name: str
    first: float
    last: float
    seen: float = 0.0
    """Seconds."""
    counted: bool = False
    crossings: dict[str, _Crossing] = field(default_factory=dict)
    visits: dict[str, _Visit] = field(default_factory=dict)
    waiting: list[Event] = field(default_factory=list)
    """Events from before it counted."""


class EventDetector:
    """Adds `activity` to each result: counts and events. Frames must come in the order of their pts.

    Args:
        lines: By name.
        zones: By name; no name may be both a line's and a zone's.
        confirm: Seconds for which a track must have been seen to count.
        hold: Seconds for which a change of side must last.
        margin: How far beyond a line or an edge counts as beyond, share of the frame's height.
        patience: Seconds after which an unseen track is given up: no less than the tracker's own memory.
    """

    def __init__(
        self,
        lines: Mapping[str, Line] | None = None,
        zones: Mapping[str, Zone] | None = None,
        *,
        confirm: float = 0.3,
        hold: float = 0.2,
        margin: float = 0.005,
        patience: float = 4.0,
    ) -> None:
        self._lines, self._zones = dict(lines or {}), dict(zones or {})
        if twice := self._lines.keys() & self._zones.keys():
            raise ConfigError(f"{min(twice)!r} is the name of a line and of a zone; give each its own")
        self._confirm, self._hold, self._margin, self._patience = confirm, hold, margin, patience
        self._subjects: dict[int, _Subject] = {}
        self._epoch: int | None = None
        self._size: tuple[int, int] | None = None
        self._places: dict[str, Points] = {}
        self._time = self._begin = 0.0
        self._utc: float | None = None
        """Of the frame at `_time`."""
        self._told: list[Event] = []
        self.counts = Counts({name: line.directions for name, line in self._lines.items()}, self._zones)
        """What was counted so far."""

    def adopt(self, former: object) -> None:
        """Go on with its tracks and counts; where they are to each line and zone only where that is as it was."""
        if not isinstance(former, EventDetector):
            return
        self._epoch, self._time, self._begin, self._told = former._epoch, former._time, former._begin, former._told
        self._subjects = former._subjects
        mine, theirs = {**self._lines, **self._zones}, {**former._lines, **former._zones}
        same = {name for name, place in mine.items() if theirs.get(name) == place}
        for subject in self._subjects.values():
            subject.crossings = {name: state for name, state in subject.crossings.items() if name in same}
            subject.visits = {name: state for name, state in subject.visits.items() if name in same}
            subject.waiting = [event for event in subject.waiting if not event.place or event.place in same]
        self.counts.adopt(former.counts, same)

    def __call__(self, result: Result) -> Result:
        """Watch one frame. Raises ConfigError when a line or zone names a class that the model does not know."""
        frame, found = result.frame, result.instances
        if self._epoch is None:
            self._begin = frame.time
            self.check_classes(found.class_names)
        elif self._epoch != frame.epoch:
            self._give_up(list(self._subjects))
        self._epoch = frame.epoch
        if self._size != (frame.width, frame.height):
            self._size = (frame.width, frame.height)
            both: dict[str, Line | Zone] = {**self._lines, **self._zones}
            self._places = {name: in_pixels(place.points, *self._size) for name, place in both.items()}
        self._time, self._utc = frame.time, frame.utc
        for track, name, point in zip(
            found.track_ids.tolist(), found.names, ground_points(found, result.occlusion), strict=True
        ):
            if track:
                self._see(track, name, (float(point[0]), float(point[1])))
        self._give_up([t for t, subject in self._subjects.items() if frame.time - subject.last > self._patience])
        return replace(result, activity=self._activity(found))

    def check_classes(self, known: Sequence[str]) -> None:
        """Raises ConfigError where a line or zone asks for a class that is not among `known`, the model's."""
        watched: dict[str, Line | Zone] = {**self._lines, **self._zones}
        for name, place in watched.items():
            for wanted in place.classes or ():
                if wanted not in known:
                    raise ConfigError(f"events: {name}: unknown class {brief(wanted)}; {classes_known(wanted, known)}")

    def _activity(self, found: Instances) -> Activity:
        now: dict[str, int] = {}
        for track, name in zip(found.track_ids.tolist(), found.names, strict=True):
            if track and self._subjects[track].counted:
                now[name] = now.get(name, 0) + 1
        events, self._told = tuple(self._told), []
        lines = {name: dict(counts) for name, counts in self.counts.crossed.items()}
        zones = {
            name: {"inside": self._present(name), "entered": int(counts["entered"]), "left": int(counts["left"])}
            for name, counts in self.counts.stays.items()
        }
        return Activity(now, dict(self.counts.total), lines, zones, events, self._places)

    def _present(self, place: str) -> int:
        seen = (s for s in self._subjects.values() if s.counted and place in s.visits and self._time - s.last <= PRESENT)
        return sum(subject.visits[place].inside for subject in seen)

    # --- one track ------------------------------------------------------------------------------------------------------

    def _see(self, track: int, name: str, point: Point) -> None:
        time, subject = self._time, self._subjects.get(track)
        if subject is None:
            subject = self._subjects[track] = _Subject(name, time, time)
        subject.seen += min(time - subject.last, GAP)
        subject.last, subject.name = time, name
        if not subject.counted and subject.seen >= self._confirm:
            self._count(track, subject)
        margin = self._margin * (self._size or (0, 0))[1]
        for place in self._lines:
            self._watch_line(track, subject, place, point, margin)
        for place in self._zones:
            self._watch_zone(track, subject, place, point, margin)

    def _count(self, track: int, subject: _Subject) -> None:
        subject.counted = True
        self._report(track, subject, Event("count", self._time, track, subject.name))
        waiting, subject.waiting = subject.waiting, []
        for event in waiting:
            self._report(track, subject, event)

    def _report(self, track: int, subject: _Subject, event: Event) -> None:
        """Report an event, once the track counts, and take it into the sums."""
        if not subject.counted:
            subject.waiting.append(event)
            return
        utc = None if self._utc is None else self._utc - (self._time - event.time)
        event = replace(event, name=subject.name, track_id=track, utc=utc)
        self.counts.add(event)
        self._told.append(event)

    def _watch_line(self, track: int, subject: _Subject, place: str, point: Point, margin: float) -> None:
        classes = self._lines[place].classes
        if classes is not None and subject.name not in classes:
            return
        start, end = self._places[place].tolist()
        away = distance(start, end, point)
        side = 0 if abs(away) <= margin else (1 if away > 0 else -1)
        state = subject.crossings.setdefault(place, _Crossing(side, point))
        if side == 0:
            state.since = None
            return
        if state.side in (0, side):
            state.side, state.anchor, state.since = side, point, None
            return
        if state.since is None:
            state.since, state.through, state.times = self._time, passes_between(state.anchor, point, start, end), 0
        state.times += 1
        if self._time - state.since >= self._hold:
            self._cross(track, subject, place, state)
            state.side, state.anchor, state.since = side, point, None

    def _cross(self, track: int, subject: _Subject, place: str, state: _Crossing) -> None:
        if state.through and state.since is not None:
            direction = self._lines[place].directions[0 if state.side < 0 else 1]
            self._report(track, subject, Event("cross", state.since, track, subject.name, place, direction))

    def _watch_zone(self, track: int, subject: _Subject, place: str, point: Point, margin: float) -> None:
        zone = self._zones[place]
        if zone.classes is not None and subject.name not in zone.classes and place not in subject.visits:
            return
        state = subject.visits.setdefault(place, _Visit())
        depth = cv2.pointPolygonTest(self._places[place].reshape(-1, 1, 2), point, True)
        inside = state.inside if abs(depth) <= margin else depth > 0
        if inside == state.inside:
            state.since = None
            if inside and zone.dwell is not None and not state.told and self._time - state.entered >= zone.dwell:
                state.told = True
                stay = self._time - state.entered
                self._report(track, subject, Event("dwell", self._time, track, subject.name, place, seconds=stay))
            return
        state.since = self._time if state.since is None else state.since
        if self._time - state.since < self._hold:
            return
        if inside:
            state.inside, state.entered, state.told = True, state.since, False
            self._report(track, subject, Event("enter", state.since, track, subject.name, place))
        else:
            self._leave(track, subject, place, state, state.since)
        state.since = None

    def _leave(self, track: int, subject: _Subject, place: str, state: _Visit, time: float) -> None:
        state.inside = False
        self._report(track, subject, Event("leave", time, track, subject.name, place, seconds=time - state.entered))

    # --- ends -----------------------------------------------------------------------------------------------------------

    def _give_up(self, tracks: Sequence[int]) -> None:
        """End the tracks that do not come back: tell what was pending, as of when they were last seen."""
        for track in tracks:
            subject = self._subjects.pop(track)
            self._complete_crossing(track, subject)
            for place, visit in subject.visits.items():
                if visit.inside:
                    self._leave(track, subject, place, visit, subject.last if visit.since is None else visit.since)

    def _complete_crossing(self, track: int, subject: _Subject) -> None:
        """Count the crossing of a track that vanished beyond a line, though it was not seen there for long."""
        for place, crossing in subject.crossings.items():
            if crossing.since is not None and crossing.times > 1:
                self._cross(track, subject, place, crossing)
                crossing.since = None

    def flush(self) -> None:
        """At the end of the input: also count tracks that were in view to the last, from the start or for half of `confirm`."""
        for track, subject in self._subjects.items():
            unbroken = subject.last == self._time and subject.seen >= subject.last - subject.first - 1e-6
            long = subject.seen >= self._confirm / 2 or subject.first == self._begin
            if not subject.counted and unbroken and long:
                self._count(track, subject)
            self._complete_crossing(track, subject)

    def summary(self) -> dict[str, Any]:
        """All counts as plain data; stays that go on at the end count up to it."""
        return self.counts.summary({name: list(self._lasting(name)) for name in self._zones})

    def _lasting(self, place: str) -> Iterator[float]:
        for subject in self._subjects.values():
            visit = subject.visits.get(place)
            if subject.counted and visit is not None and visit.inside:
                yield subject.last - visit.entered
