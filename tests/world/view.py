"""The camera on its vehicle: where it is, how it is turned, and where points of the world are in its picture."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from tests.world.truth import Floats, Polygon

NEAR = 0.3
"""Metres: nothing nearer to the camera's plane is seen."""


def turned(pitch: float, yaw: float, roll: float) -> Floats:
    """[3, 3] whose columns are the axes of a camera that was turned about its own: first yaw (about y), pitch (x), roll (z)."""
    cp, sp, cy, sy, cr, sr = (f(a) for a in (pitch, yaw, roll) for f in (math.cos, math.sin))
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return about_y @ about_x @ about_z


def level(heading: float) -> Floats:
    """[3, 3] whose columns are right, down and ahead of a vehicle, in the world's X, Y, up."""
    c, s = math.cos(heading), math.sin(heading)
    return np.array([[c, 0, s], [-s, 0, c], [0, -1, 0]])


def angles(rotation: Floats) -> Floats:
    """[3] the rotation vector (pitch, yaw, roll) of a small turn."""
    return np.asarray(cv2.Rodrigues(rotation)[0]).ravel()


def outline(first: Floats, last: Floats, k: tuple[float, float, float, float], size: tuple[int, int]) -> Polygon | None:
    """[V, 2] the outline of a convex solid, pixels. `first`, `last`: [V, 3] its corners, camera axes, when the first row is read
    and when the last is; they are alike but for the time. None: nothing of it is ahead of the camera."""
    first, last = _ahead(first, last)
    if len(first) < 3:
        return None
    hull = cv2.convexHull(projected(first, last, k, size[1]).astype(np.float32))[:, 0]
    return hull if len(hull) >= 3 else None


def projected(first: Floats, last: Floats, k: tuple[float, float, float, float], height: int) -> Floats:
    """[V, 2] pixels of points ahead of the camera; `first`, `last`: [V, 3] as of `outline`. Each is seen when its row is read."""
    fx, fy, cx, cy = k
    center = np.array([cx, cy])
    one, two = (p[:, :2] / p[:, 2:] * (fx, fy) + center for p in (first, last))
    moved = two - one
    share = one[:, 1] / np.maximum(height - moved[:, 1], 1.0)  # v = v1 + (v2 - v1) v / H
    return np.asarray(one + moved * share[:, None])


def _ahead(first: Floats, last: Floats) -> tuple[Floats, Floats]:
    z = np.minimum(first[:, 2], last[:, 2])
    seen = z > NEAR
    if seen.all() or not seen.any():
        return first[seen], last[seen]
    i, j = (each.ravel() for each in np.meshgrid(np.flatnonzero(seen), np.flatnonzero(~seen), indexing="ij"))
    share = ((z[i] - NEAR) / (z[i] - z[j]))[:, None]
    cut = [p[i] + (p[j] - p[i]) * share for p in (first, last)]
    for p in cut:
        p[:, 2] = np.maximum(p[:, 2], NEAR)
    return np.concatenate([first[seen], cut[0]]), np.concatenate([last[seen], cut[1]])


def inside(polygon: Polygon, size: tuple[int, int]) -> Polygon | None:
    """The part of a convex polygon that lies in the frame; None: there is none."""
    low, high = polygon.min(0), polygon.max(0)
    if (low >= 0).all() and high[0] <= size[0] and high[1] <= size[1]:
        return polygon
    if high[0] <= 0 or high[1] <= 0 or low[0] >= size[0] or low[1] >= size[1]:
        return None
    for axis, sign, bound in ((0, 1, 0.0), (0, -1, -size[0]), (1, 1, 0.0), (1, -1, -size[1])):
        polygon = _cut(polygon, axis, sign, bound)
        if len(polygon) < 3:
            return None
    return polygon


def _cut(polygon: Polygon, axis: int, sign: int, bound: float) -> Polygon:
    """Sutherland and Hodgman 1974: what lies where sign * coordinate >= bound."""
    value = sign * polygon[:, axis] - bound
    kept: list[npt.NDArray[np.float32]] = []
    for i in range(len(polygon)):
        j = i - 1
        if (value[i] >= 0) != (value[j] >= 0):
            share = value[j] / (value[j] - value[i])
            kept.append(polygon[j] + (polygon[i] - polygon[j]) * share)
        if value[i] >= 0:
            kept.append(polygon[i])
    return np.array(kept, np.float32).reshape(-1, 2)
