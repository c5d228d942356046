"""How things move: a road of constant curvature, and scripts of places over time. Metres, seconds, radians."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Script = Callable[[float], float]
"""Seconds -> metres."""


@dataclass(frozen=True)
class Road:
    """Its middle goes straight ahead (along +Y) up to `bend`, and from there on turns to the right with `curvature` (1 / m)."""

    curvature: float = 0.0
    bend: float = 0.0
    """Metres along it where the curve begins."""

    def place(self, s: float, d: float) -> tuple[float, float, float]:
        """(X, Y, heading) of the point `s` metres along and `d` to the right; heading clockwise from +Y."""
        turned = (s - self.bend) * self.curvature if self.curvature and s > self.bend else 0.0
        if not turned:
            return d, s, 0.0
        radius = 1 / self.curvature
        x, y = radius * (1 - math.cos(turned)), self.bend + radius * math.sin(turned)
        return x + d * math.cos(turned), y - d * math.sin(turned), turned

    def along(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(s, d) of points of the ground."""
        if not self.curvature:
            return y, x
        radius = 1 / self.curvature
        beyond = y > self.bend
        out_x, out_y = radius - x, y - self.bend
        if radius < 0:
            out_x = -out_x
        angle = np.arctan2(out_y, out_x)
        far = np.hypot(out_x, out_y)
        s = np.where(beyond, self.bend + abs(radius) * angle, y)
        return s, np.where(beyond, math.copysign(1, radius) * (abs(radius) - far), x)


def still(at: float) -> Script:
    return lambda _: at


def drive(start: float, speed: float, *changes: tuple[float, float]) -> Script:
    """From `start` at `speed`; from each time on in `changes` (rising) with that acceleration. Braking ends at a stand."""
    pieces = [(0.0, start, speed, 0.0)]
    for time, acceleration in changes:
        s, v = _go(pieces[-1], time)
        pieces.append((time, s, v, acceleration))

    def place(t: float) -> float:
        piece = pieces[0]
        for each in pieces[1:]:
            if t >= each[0]:
                piece = each
        return _go(piece, t)[0]

    return place


def _go(piece: tuple[float, float, float, float], t: float) -> tuple[float, float]:
    begin, s, v, a = piece
    dt = t - begin
    if a and v * a < 0:
        dt = min(dt, -v / a)
    return s + v * dt + 0.5 * a * dt * dt, v + a * dt


def shift(start: float, *moves: tuple[float, float, float]) -> Script:
    """At `start`; each of `moves` (from, until, to) goes smoothly over to another place: a change of lane."""

    def place(t: float) -> float:
        at = start
        for begin, end, to in moves:
            share = min(1.0, max(0.0, (t - begin) / (end - begin)))
            at += (to - at) * (0.5 - 0.5 * math.cos(math.pi * share))
        return at

    return place


def sway(
    seed: int = 0, pitch: float = 0.25, roll: float = 0.15, yaw: float = 0.1
) -> Callable[[float], tuple[float, float, float]]:
    """Seconds -> (pitch, yaw, roll), radians: a body on its springs, 0.4 to 2.5 Hz. Given: standard deviations, degrees."""
    rng = np.random.default_rng(seed)
    rates, phases = rng.uniform(0.4, 2.5, (3, 4)), rng.uniform(0, 2 * math.pi, (3, 4))
    size = np.radians([pitch, yaw, roll])[:, None] * math.sqrt(2 / 4)

    def place(t: float) -> tuple[float, float, float]:
        angles = (size * np.sin(2 * math.pi * rates * t + phases)).sum(1)
        return float(angles[0]), float(angles[1]), float(angles[2])

    return place


def steady(_: float) -> tuple[float, float, float]:
    return 0.0, 0.0, 0.0
