"""What road users look like: convex solids in their own metres, (right, up, ahead), from the middle of where they stand."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Solid = npt.NDArray[np.float64]
"""[V, 3] corners of a convex solid: right, up, ahead, metres."""
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Body:
    """A kind of road user, and how large it is."""

    name: str
    """Its class, of `scenes.CLASSES`; empty: scenery, which is no instance but hides others."""
    kind: Literal["car", "block", "walker", "bicycle", "rider"]
    length: float
    width: float
    height: float
    overhang: float = 0.0
    """Metres from the rear of a car to where its tyres stand; 0: it is a box that stands on the ground all around."""
    pace: float = 1.8
    """Steps a second of a walker."""
    colour: Colour = (120, 120, 130)

    def solids(self, t: float, bearing: float, walked: float) -> list[Solid]:
        """What it is made of. `bearing`: the direction in which the camera lies, radians clockwise from straight ahead of it;
        `walked`: metres that it has gone, by which its legs swing."""
        if self.kind in ("walker", "rider"):
            return _walker(self, bearing, walked)
        if self.kind == "bicycle":
            return _bicycle(self)
        return _car(self) if self.kind == "car" else [_prism(self.width, self.length, 0.0, self.height, 0.06)]

    @property
    def footprint(self) -> npt.NDArray[np.float64]:
        """[4, 2] (right, ahead) of its corners on the ground: rear left, rear right, front right, front left."""
        w, length = self.width / 2, self.length / 2
        return np.array([[-w, -length], [w, -length], [w, length], [-w, length]])


def car(colour: Colour = (150, 40, 40), overhang: float = 0.0, scale: float = 1.0) -> Body:
    return Body("car", "car", 4.4 * scale, 1.8 * scale, 1.5 * scale, overhang, colour=colour)


def van(colour: Colour = (210, 210, 215)) -> Body:
    return Body("car", "block", 5.3, 2.0, 2.3, colour=colour)


def truck(colour: Colour = (60, 90, 150)) -> Body:
    return Body("truck", "block", 9.0, 2.5, 3.6, colour=colour)


def bus(colour: Colour = (200, 170, 60)) -> Body:
    return Body("bus", "block", 12.0, 2.55, 3.1, colour=colour)


def walker(colour: Colour = (60, 110, 60), height: float = 1.74) -> Body:
    return Body("person", "walker", 0.4, 0.5, height, colour=colour)


def bicycle(colour: Colour = (40, 40, 50)) -> Body:
    return Body("bicycle", "bicycle", 1.75, 0.55, 1.05, colour=colour)


def rider(colour: Colour = (60, 110, 60)) -> Body:
    """Who sits on a bicycle: the feet do not touch the ground."""
    return Body("person", "rider", 0.6, 0.5, 1.75, colour=colour)


def house(length: float = 12.0, width: float = 8.0, height: float = 8.0, colour: Colour = (150, 130, 115)) -> Body:
    return Body("", "block", length, width, height, colour=colour)


def post(height: float = 5.0, colour: Colour = (110, 110, 110)) -> Body:
    return Body("", "block", 0.25, 0.25, height, colour=colour)


def _prism(
    width: float, length: float, low: float, high: float, chamfer: float, top: float = 0.0, offset: float = 0.0
) -> Solid:
    """A box with cut corners; `top`: metres by which its upper face is narrower and shorter at each side."""
    corners = []
    for up, inset in ((low, 0.0), (high, top)):
        w, half = width / 2 - inset, length / 2 - inset
        c = min(chamfer, w, half)
        for x, z in ((w - c, half), (w, half - c), (w, c - half), (w - c, -half)):
            corners += [(x, up, z + offset), (-x, up, z + offset)]
    return np.array(corners)


def boxes(body: Body) -> list[tuple[str, Solid]]:
    """The boxes, corners not cut, that a car or a block is made of, each by its name. [8, 3] corners: of the rear lower left, lower
    right, upper left, upper right; then the same of the front."""
    if body.kind == "car":
        low = 0.22 if body.overhang else 0.0
        cabin = 0.92 * body.width, 0.62 * body.length, 0.55 * body.height, body.height, 0.22, -0.1 * body.length
        return [("body", _box(body.width, body.length, low, 0.6 * body.height)), ("cabin", _box(*cabin))]
    return [("body", _box(body.width, body.length, 0.0, body.height))]


def _box(width: float, length: float, low: float, high: float, top: float = 0.0, offset: float = 0.0) -> Solid:
    corners: list[tuple[float, float, float]] = []
    for end in (-1, 1):
        for up, inset in ((low, 0.0), (high, top)):
            corners += [(side * (width / 2 - inset), up, end * (length / 2 - inset) + offset) for side in (-1, 1)]
    return np.array(corners)


def _car(body: Body) -> list[Solid]:
    length, width, height = body.length, body.width, body.height
    cabin = _prism(0.92 * width, 0.62 * length, 0.55 * height, height, 0.1, 0.22, -0.1 * length)
    if not body.overhang:
        return [_prism(width, length, 0.0, 0.6 * height, 0.12), cabin]
    radius = 0.32
    solids = [_prism(width, length, 0.22, 0.6 * height, 0.12), cabin]
    places = [(right, ahead) for ahead in (-length / 2, length / 2) for right in (-width / 2, width / 2)]
    return solids + [_wheel(x - math.copysign(0.12, x), z - math.copysign(body.overhang, z), radius, 0.11) for x, z in places]


def _wheel(right: float, ahead: float, radius: float, half: float) -> Solid:
    turn = np.linspace(0, 2 * math.pi, 12, endpoint=False)
    ring = np.stack([np.full(12, right), radius + radius * np.cos(turn), ahead + radius * np.sin(turn)], 1)
    aside = np.array([half, 0.0, 0.0])
    return np.concatenate([ring - aside, ring + aside])


def _bicycle(body: Body) -> list[Solid]:
    reach = body.length / 2 - 0.34
    bar = np.array([(x, y, reach - 0.12) for x in (-body.width / 2, body.width / 2) for y in (0.98, body.height)])
    frame = np.array(
        [(x, y, z) for x in (-0.03, 0.03) for y, z in ((0.3, 0.0), (0.85, -0.2), (0.9, reach - 0.1), (0.4, -reach))]
    )
    return [_wheel(0, -reach, 0.34, 0.03), _wheel(0, reach, 0.34, 0.03), frame, bar]


def _walker(body: Body, bearing: float, walked: float) -> list[Solid]:
    """Flat, towards the camera: the side shows how far the legs swing."""
    tall, base = (1.45, 0.3) if body.kind == "rider" else (body.height, 0.0)
    across = np.array([-math.cos(bearing), 0.0, math.sin(bearing)])  # to the camera's right
    ahead = across[2]
    swing = 0.0 if body.kind == "rider" else 0.42 * math.sin(2 * math.pi * walked / (1.0 * tall)) * ahead
    turn = np.linspace(0, 2 * math.pi, 10, endpoint=False)

    def ellipse(u: float, v: float, a: float, b: float) -> Solid:
        return _upright(across, u + a * np.cos(turn), base + tall * v + b * np.sin(turn))

    def limb(u: float, v: float, length: float, half: float, angle: float) -> Solid:
        du, dv = length * math.sin(angle), -length * math.cos(angle)
        us = np.array([u - half, u + half, u + du + half, u + du - half])
        return _upright(across, us, base + tall * v + np.array([0, 0, dv, dv]))

    wide, step = 0.17 + 0.06 * abs(math.cos(bearing)), 0.09 * abs(math.cos(bearing))
    leg = 0.5 * tall / math.cos(swing)
    return [
        ellipse(0, 0.93, 0.1, 0.07 * tall),
        ellipse(0, 0.66, wide, 0.22 * tall),
        limb(-step, 0.5, leg, 0.085, swing),
        limb(step, 0.5, leg, 0.085, -swing),
        limb(-wide, 0.8, 0.36 * tall, 0.05, -0.8 * swing),
        limb(wide, 0.8, 0.36 * tall, 0.05, 0.8 * swing),
    ]


def _upright(across: npt.NDArray[np.float64], u: npt.NDArray[np.float64], up: npt.NDArray[np.float64]) -> Solid:
    points = u[:, None] * across
    points[:, 1] = up
    return points
