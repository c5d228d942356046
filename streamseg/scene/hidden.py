"""People, cycles and animals that were seen, are behind others now, and will come out again: a child between parked cars.

Of each that is not seen any more though nothing but another road user can be the reason, its place is foreseen by how it moved. The
wait ends when it comes out again, under its own id or as a new track of its kind near that place; when its place lies in the open,
where it would be seen; when it left the frame; and after some seconds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streamseg.core.result import Result
from streamseg.core.scene import Hidden
from streamseg.core.types import Event
from streamseg.scene.kinds import Kind, kind_of

__all__ = ["HiddenUsers"]

HIDES, TOUCHES = 0.4, 0.1
"""Share of a box behind another's from which that can hide it (where the estimate of who hides whom says so, half of it), and from
which it may be on its way behind it."""
CLOSER, STILL_CLOSER = 0.03, 0.35
"""Shares of its height by which the foot of what hides it lies lower; and may lie higher meanwhile, since the camera nods."""
GONE, OPEN = 0.15, 0.6
"""Seconds: not seen before it is told, and for which its place may lie in the open, also before it gets behind another."""
REMEMBERED = 1.0
"""Seconds for which it is remembered how one who is not seen has moved, wherever it may be."""
KNOWN = 0.4
"""Seconds for which it must have been seen."""
SETTLED = 0.4
"""Seconds over which its motion is averaged."""
CANDIDATES = 64
"""Of this many at most it is remembered how they moved."""
Box = tuple[float, float, float, float]


@dataclass(slots=True)
class _Seen:
    """A track, as it was last seen."""

    name: str
    kind: Kind
    box: Box
    first: float
    last: float
    vx: float = 0.0
    vy: float = 0.0
    """Pixels a second, of the foot."""
    behind: int = 0
    """Track id of what hid part of it."""
    hides: float = 0.0
    """Seconds at which it was found to be hidden; 0: it is not."""
    open_since: float | None = None
    told: bool = False

    def at(self, time: float) -> Box:
        """Where it should be then, frame pixels."""
        ahead = time - self.last
        x, y = self.vx * ahead, self.vy * ahead
        return self.box[0] + x, self.box[1] + y, self.box[2] + x, self.box[3] + y


class HiddenUsers:
    """Who is hidden in each frame, and what is to be told of them."""

    def __init__(self, patience: float) -> None:
        """`patience`: seconds for which one is expected to come out again; 0: nobody is."""
        self._patience = patience
        self.forget()

    def forget(self) -> None:
        """A new epoch."""
        self._seen: dict[int, _Seen] = {}

    def __call__(self, result: Result, now: float) -> tuple[tuple[Hidden, ...], list[Event]]:
        """Look at one frame; `now`: its time, seconds."""
        if not self._patience:
            return (), []
        found, events = result.instances, list[Event]()
        users = [
            (track, name, kind, (box[0], box[1], box[2], box[3]))
            for track, name, box in zip(found.track_ids.tolist(), found.names, found.boxes.tolist(), strict=True)
            if track and (kind := kind_of(name)) is not None
        ]
        new = [user for user in users if user[2] != "vehicle" and user[0] not in self._seen]
        for track, name, _, _ in users:
            known = self._seen.get(track)
            if known is not None and known.told:
                events.append(Event("reappear", now, track, name, details={"seconds": now - known.last}))
                known.told = False
        events += self._as_others(new, now)
        self._learn(users, result, now)
        hidden = []
        size = result.frame.width, result.frame.height
        for track in [t for t, seen in self._seen.items() if seen.last < now]:
            seen = self._seen[track]
            if not self._waits(seen, users, now, size):
                if seen.hides or now - seen.last > REMEMBERED:
                    del self._seen[track]
            elif seen.hides and now - seen.last >= GONE:
                if not seen.told:
                    seen.told = True
                    events.append(Event("hidden", seen.last, track, seen.name, details={"behind": float(seen.behind)}))
                box = seen.at(now)
                hidden.append(Hidden(track, seen.name, seen.behind, _inside(box, size), seen.last))
        return tuple(hidden), events

    def _learn(self, users: Sequence[tuple[int, str, Kind, Box]], result: Result, now: float) -> None:
        extents = result.instances.boxes if result.occlusion is None else result.occlusion.extents
        behind = np.zeros(len(extents), np.int64) if result.occlusion is None else result.occlusion.occluded_by
        index = {track: i for i, track in enumerate(result.instances.track_ids.tolist())}
        for track, name, kind, _ in users:
            if kind == "vehicle":  # in rows of them one always goes behind another, and that says nothing
                continue
            i = index[track]
            extent = extents[i].tolist()
            whole: Box = (extent[0], extent[1], extent[2], extent[3])
            before = self._seen.get(track)
            if before is None:
                if len(self._seen) < CANDIDATES:
                    self._seen[track] = _Seen(name, kind, whole, now, now)
                continue
            elapsed = now - before.last
            if elapsed > 0:
                gain = 1 - math.exp(-elapsed / SETTLED)
                x = (whole[0] + whole[2] - before.box[0] - before.box[2]) / 2
                before.vx += gain * (x / elapsed - before.vx)
                before.vy += gain * ((whole[3] - before.box[3]) / elapsed - before.vy)
            before.name, before.kind, before.box, before.last = name, kind, whole, now
            before.behind, before.hides, before.open_since = int(behind[i]), 0.0, None

    def _waits(self, seen: _Seen, users: Sequence[tuple[int, str, Kind, Box]], now: float, size: tuple[int, int]) -> bool:
        """Whether it is still expected; finds out what hides it."""
        if now - seen.last > self._patience or seen.last - seen.first < KNOWN:
            return False
        box = seen.at(now)
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        if not 0 <= x <= size[0] or not 0 <= y <= size[1]:
            return False
        height = box[3] - box[1]
        front = [
            (_share(box, other), track)
            for track, _, _, other in users
            if other[3] > box[3] + CLOSER * height or (track == seen.behind and other[3] > box[3] - STILL_CLOSER * height)
        ]
        share, track = max(front, default=(0.0, 0))
        if share >= (HIDES / 2 if track == seen.behind else HIDES):
            seen.behind, seen.open_since = track, None
            seen.hides = seen.hides or now
            return True
        if not seen.hides:  # a detector loses who is half hidden before the rest is
            return now - seen.last < (OPEN if share >= TOUCHES else GONE)
        seen.open_since = now if seen.open_since is None else seen.open_since
        return now - seen.open_since <= OPEN

    def _as_others(self, new: Sequence[tuple[int, str, Kind, Box]], now: float) -> list[Event]:
        """New tracks that are those who were hidden."""
        events = []
        for track, name, kind, box in new:
            fits = []
            for former, seen in self._seen.items():
                if seen.told and seen.kind == kind and (off := _away(seen.at(now), box)) < 1.0 + 0.5 * (now - seen.last):
                    fits.append((off, former))
            if fits:
                _, former = min(fits)
                seen = self._seen.pop(former)
                events.append(Event("reappear", now, track, name, details={"seconds": now - seen.last, "was": float(former)}))
        return events


def _share(box: Box, other: Box) -> float:
    """Of `box`, what lies within `other`."""
    width, height = min(box[2], other[2]) - max(box[0], other[0]), min(box[3], other[3]) - max(box[1], other[1])
    area = (box[2] - box[0]) * (box[3] - box[1])
    return 0.0 if width <= 0 or height <= 0 or area <= 0 else width * height / area


def _away(expected: Box, box: Box) -> float:
    """How far two boxes' feet are from each other, in heights of the larger; infinite where one is far larger."""
    a, b = expected[3] - expected[1], box[3] - box[1]
    if min(a, b) < 0.3 * max(a, b):  # of one who comes out a part is seen first
        return math.inf
    return math.hypot((expected[0] + expected[2] - box[0] - box[2]) / 2, expected[1] - box[1]) / max(a, b, 1.0)


def _inside(box: Box, size: tuple[int, int]) -> Box:
    width, height = size
    x0, x1 = (min(max(v, 0.0), float(width)) for v in (box[0], box[2]))
    y0, y1 = (min(max(v, 0.0), float(height)) for v in (box[1], box[3]))
    return x0, y0, x1, y1
