"""The world: a road, the camera's vehicle, and others on it. Iterate over it for the truth of each frame."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from streamseg.core.scene import CameraModel, Horizon, Turn
from tests.scenes import CLASSES
from tests.world.body import Body
from tests.world.motion import Road, Script, steady, still
from tests.world.truth import Floats, Shape, Truth
from tests.world.view import angles, inside, level, outline, turned

STEP = 0.01
"""Seconds over which speeds are measured."""
NOD = 0.25
"""Seconds in which the vehicle's nose goes down."""
LEAST = 3.0
"""Pixels of height: what is smaller is not in the picture."""
MIDDLE, STRAIGHT = still(0.0), Road()
HALF_WAY = 0.9
"""Metres: half the width of the vehicle's way."""


@dataclass(frozen=True)
class Actor:
    """Something on the road, or beside it."""

    body: Body
    s: Script
    """Metres along the road, of its middle."""
    d: Script
    """Metres to the right of the road's middle."""
    facing: float | None = None
    """Radians clockwise from the road's direction; None: where it goes."""
    seen: tuple[float, float] = (-math.inf, math.inf)
    """Seconds between which it is there."""


def camera(width: int = 1280, height: int = 720, view: float = 60.0, mounted: float = 1.3) -> CameraModel:
    """A pinhole with a field of `view` degrees across."""
    focal = width / 2 / math.tan(math.radians(view) / 2)
    return CameraModel(width, height, focal, focal, width / 2, height / 2, mounted=mounted, source="given")


@dataclass(frozen=True)
class World:
    """Places: metres; the camera stands where its vehicle does (s, d), `camera.mounted` above the ground."""

    actors: tuple[Actor, ...]
    s: Script
    d: Script = MIDDLE
    road: Road = STRAIGHT
    camera: CameraModel = field(default_factory=camera)
    mount: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """(pitch, yaw, roll) of the camera on its vehicle, radians."""
    sway: Callable[[float], tuple[float, float, float]] = steady
    """Seconds -> (pitch, yaw, roll) of the vehicle's body, radians."""
    readout: float = 0.0
    """Seconds from the first row to the last; a frame's time is that of its first."""
    reach: float = 130.0
    """Metres: what is farther ahead is not in the picture."""
    seconds: float = 8.0
    rate: float = 25.0
    name: str = "world"
    brakes: float = 0.0
    """Radians of pitch for each m/s2 of the vehicle's acceleration: it nods where it brakes (negative acceleration looks down)."""

    def __len__(self) -> int:
        return round(self.seconds * self.rate)

    def __iter__(self) -> Iterator[Truth]:
        return (self.truth(i) for i in range(len(self)))

    def own(self, t: float) -> tuple[float, float, float]:
        """(X, Y, heading) of the vehicle."""
        return self._pose(self.s, self.d, t, None)

    def place_of(self, actor: Actor, t: float) -> tuple[float, float, float]:
        """(X, Y, heading) of its middle."""
        return self._pose(actor.s, actor.d, t, actor.facing)

    def _pose(self, s: Script, d: Script, t: float, facing: float | None) -> tuple[float, float, float]:
        at, beside = s(t), d(t)
        x, y, heading = self.road.place(at, beside)
        if facing is None:
            ds, dd = s(t + STEP) - s(t - STEP), d(t + STEP) - d(t - STEP)
            facing = math.atan2(dd, ds) if abs(ds) + abs(dd) > 0.02 * STEP else 0.0
        return x, y, heading + facing

    def looking(self, t: float) -> tuple[Floats, Floats]:
        """(rotation, position): the camera's axes as columns, X, Y, up; and where it is."""
        x, y, heading = self.own(t)
        pitch, yaw, roll = self.sway(t)
        if self.brakes:
            before, now, after = (self.s(t + k * NOD) for k in (-1, 0, 1))
            pitch += self.brakes * (after - 2 * now + before) / NOD**2
        axes = level(heading) @ turned(pitch, yaw, roll) @ turned(*self.mount)
        assert self.camera.mounted is not None
        return axes, np.array([x, y, self.camera.mounted])

    def truth(self, i: int) -> Truth:
        """Frame number i."""
        t = i / self.rate
        poses = self.looking(t), self.looking(t + self.readout)
        here = self.s(t)
        there = [
            a
            for a, actor in enumerate(self.actors)
            if actor.seen[0] <= t < actor.seen[1] and abs(actor.s(t) - here) < self.reach + actor.body.length
        ]
        shapes, users = [], []
        for a in there:
            found = self._shape(a, t, poses)
            if found is not None:
                shapes.append(found[0])
                if self.actors[a].body.name:
                    users.append((a, found[1], found[0]))
        shapes.sort(key=lambda shape: shape.depth)
        rows = [self._facts(a, t) for a, _, _ in users]
        facts = np.array(rows, float).reshape(len(rows), 5)
        distance, lateral, speed, across, gap = facts.T
        growth = -speed / np.maximum(distance, 0.1)
        with np.errstate(divide="ignore"):
            ttc = np.where(growth > 1e-6, 1 / growth, np.inf)
        own, before = self.own(t + STEP), self.own(t - STEP)
        return Truth(
            i,
            t,
            self.camera,
            np.array([a + 1 for a, _, _ in users], np.int64),
            np.array([CLASSES.index(self.actors[a].body.name) for a, _, _ in users], np.int64),
            distance,
            lateral,
            speed,
            across,
            growth,
            ttc,
            gap,
            math.hypot(own[0] - before[0], own[1] - before[1]) / (2 * STEP),
            (own[2] - before[2]) / (2 * STEP),
            self._horizon(t),
            self._turn(t),
            tuple(shapes),
            np.array([shape.box for _, _, shape in users]).reshape(-1, 4),
            np.array([outer for _, outer, _ in users]).reshape(-1, 4),
            poses,
        )

    def _shape(self, a: int, t: float, poses: tuple[tuple[Floats, Floats], ...]) -> tuple[Shape, Floats] | None:
        """The outline, and the box of the whole."""
        actor, k, size = self.actors[a], self._k, (self.camera.width, self.camera.height)
        (axes, eye), places = poses[0], [self.place_of(actor, when) for when in (t, t + self.readout)]
        x, y, heading = places[0]
        depth = float((np.array([x, y]) - eye[:2]) @ axes[:2, 2])
        if depth < -actor.body.length or depth > self.reach:
            return None
        bearing = math.atan2(eye[0] - x, eye[1] - y) - heading
        polygons, kept = [], []
        for solid in actor.body.solids(t, bearing, actor.s(t) + abs(actor.d(t))):
            corners = [in_camera(solid, place, pose) for place, pose in zip(places, poses, strict=True)]
            found = outline(corners[0], corners[1], k, size)
            if found is None:
                continue
            polygons.append(found)
            cut = inside(found, size)
            if cut is not None:
                kept.append(cut)
        if not kept:
            return None
        box, outer = (np.concatenate([p.min(0), p.max(0)]) for p in (np.concatenate(kept), np.concatenate(polygons)))
        if (box[2:] - box[:2] < (1, LEAST)).any():
            return None
        return Shape(a, depth, tuple(kept), box.astype(float)), outer.astype(float)

    @property
    def _k(self) -> tuple[float, float, float, float]:
        c = self.camera
        return c.fx, c.fy, c.cx, c.cy

    def _facts(self, a: int, t: float) -> tuple[float, float, float, float, float]:
        """(distance, lateral, speed, across, gap)."""
        actor = self.actors[a]
        x, y, heading = self.place_of(actor, t)
        ox, oy, own = self.own(t)
        c, s = math.cos(heading), math.sin(heading)
        foot = actor.body.footprint @ np.array([[c, -s], [s, c]]) + (x, y)
        beside = self.road.along(foot[:, 0], foot[:, 1])[1] - self.d(t)
        foot -= (ox, oy)
        c, s = math.cos(own), math.sin(own)
        foot = foot @ np.array([[c, s], [-s, c]])  # (right, ahead) of the camera
        sides = (foot + np.roll(foot, -1, 0)) / 2
        nearest = int(np.argmin(np.hypot(sides[:, 0], sides[:, 1])))
        then, before = (self._relative(actor, t + k * STEP) for k in (1, -1))
        vx, vy = (then[0] - before[0]) / (2 * STEP), (then[1] - before[1]) / (2 * STEP)
        ahead, right = vx * s + vy * c, vx * c - vy * s
        gap = max(beside.min() - HALF_WAY, -HALF_WAY - beside.max(), 0.0)
        return float(foot[:, 1].min()), float(sides[nearest, 0]), ahead, right, float(gap)

    def _relative(self, actor: Actor, t: float) -> tuple[float, float]:
        x, y, _ = self.place_of(actor, t)
        ox, oy, _ = self.own(t)
        return x - ox, y - oy

    def _horizon(self, t: float) -> Horizon:
        """As the middle row's moment has it."""
        c, t = self.camera, t + self.readout / 2
        axes, _ = self.looking(t)
        down = axes.T @ (0.0, 0.0, -1.0)
        ahead = axes.T @ level(self.own(t)[2])[:, 2]
        slope = -down[0] / down[1] * c.fy / c.fx
        return Horizon(c.cy - c.fy * down[2] / down[1], slope, 0.0, c.cx + c.fx * ahead[0] / ahead[2])

    def _turn(self, t: float) -> Turn:
        before, now = self.looking(t - 1 / self.rate)[0], self.looking(t)[0]
        pitch, yaw, roll = angles(before.T @ now) if t > 0 else (0.0, 0.0, 0.0)
        return Turn(float(pitch), float(yaw), float(roll), 0.0)


def in_camera(solid: Floats, place: tuple[float, float, float], pose: tuple[Floats, Floats]) -> Floats:
    """[V, 3] in the camera's axes, of a thing that stands at `place`."""
    x, y, heading = place
    c, s = math.cos(heading), math.sin(heading)
    right, up, ahead = solid.T
    world = np.stack([x + right * c + ahead * s, y - right * s + ahead * c, up], 1)
    return np.asarray((world - pose[1]) @ pose[0])
