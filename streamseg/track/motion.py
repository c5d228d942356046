"""Where objects are and how they move: Kalman filters on the centre and the size of boxes, in pixels and seconds.

The model is constant velocity with white noise on the acceleration (Bar-Shalom et al., "Estimation with Applications to Tracking
and Navigation", 2001, section 6.2.2). The four coordinates (centre x, centre y, width, height) are independent of each other, so a
few array operations filter all tracks at once. All noise is in shares of the object's own size, and time is in seconds: so the same
numbers hold for near and far objects, at 10 and at 60 frames a second.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt

__all__ = ["KalmanFilters", "to_boxes", "to_centres"]

FloatArray = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

MEASURED = np.array([0.03, 0.03, 0.05, 0.05])
"""Standard deviation of a measurement, shares of the size."""
AGILITY = np.array([3.0, 3.0, 0.6, 0.6])
"""By how much of its size a second a velocity may change within a second (standard deviation)."""
FIRST_SPEED = np.array([10.0, 10.0, 1.0, 1.0])
"""Velocity that a new object may have, sizes a second (standard deviation)."""
GROWTH_TIME = 0.3
"""Seconds in which a change of size fades to 1/e of its speed: growth is seldom lasting, and a wrong one soon absurd."""
SHRUNK = 0.12
"""A box that shrank by more than this share is taken to be partly hidden, not smaller."""
PART_DOUBT = 3.0
"""Factor, less one, on the deviation of a box of which next to nothing is left."""
BORDER = 0.04
"""A box that ends within a pixel and this share of its size from the frame's border is taken to be cut by it."""
SHRINK_NOISE = 8.0
"""Factor on the deviation of a size that shrank so: a smaller one is believed after about a second."""


def to_centres(boxes: FloatArray) -> Doubles:
    """[N, 4] xyxy as centre x, centre y, width, height."""
    low, high = boxes[:, :2].astype(np.float64), boxes[:, 2:].astype(np.float64)
    return np.concatenate([(low + high) / 2, high - low], axis=1)


def to_boxes(centres: Doubles) -> FloatArray:
    """[N, 4] centre x, centre y, width, height as xyxy; sizes below a pixel are one."""
    half = np.maximum(centres[:, 2:], 1.0) / 2
    return np.concatenate([centres[:, :2] - half, centres[:, :2] + half], axis=1).astype(np.float32)


@dataclass(slots=True)
class KalmanFilters:
    """The Kalman filters of T tracks, all at the same time; [T, 4] each: centre x, centre y, width, height."""

    place: Doubles
    """Pixels."""
    speed: Doubles
    """Pixels a second, of the object against the scene: the camera's own motion is taken out."""
    p00: Doubles
    """Variance of `place`."""
    p01: Doubles
    """Covariance of `place` and `speed`."""
    p11: Doubles
    """Variance of `speed`."""

    @classmethod
    def born(cls, boxes: FloatArray) -> Self:
        """Filters for boxes [N, 4] xyxy seen for the first time."""
        place = to_centres(boxes)
        scale = _scale(place)
        return cls(place, np.zeros_like(place), (scale * MEASURED) ** 2, np.zeros_like(place), (scale * FIRST_SPEED) ** 2)

    def select(self, keep: npt.NDArray[np.bool_]) -> Self:
        """The filters of some tracks."""
        return type(self)(*(getattr(self, f.name)[keep] for f in fields(self)))

    def join(self, other: Self) -> Self:
        """These filters and others behind them."""
        return type(self)(*(np.concatenate([getattr(self, f.name), getattr(other, f.name)]) for f in fields(self)))

    def predict(self, dt: float) -> None:
        """Go on by `dt` seconds."""
        noise = (_scale(self.place) * AGILITY) ** 2
        fade = np.array([1.0, 1.0, *[np.exp(-dt / GROWTH_TIME)] * 2])
        step = np.array([dt, dt, *[GROWTH_TIME * (1 - fade[2])] * 2])
        self.place += step * self.speed
        self.place[:, 2:] = np.maximum(self.place[:, 2:], 1.0)
        self.speed *= fade
        self.p00 += 2 * step * self.p01 + step**2 * self.p11 + noise * dt**3 / 3
        self.p01 = fade * (self.p01 + step * self.p11) + noise * dt**2 / 2
        self.p11 = fade**2 * self.p11 + noise * dt

    def warp(self, matrix: Doubles) -> None:
        """Follow the camera: `matrix` [2, 3] maps the picture's points of before to those of now (a similarity)."""
        linear, zoom = matrix[:, :2], float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
        self.place[:, :2] = self.place[:, :2] @ linear.T + matrix[:, 2]
        self.speed[:, :2] = self.speed[:, :2] @ linear.T
        self.place[:, 2:] *= zoom
        self.speed[:, 2:] *= zoom
        self.p00 *= zoom**2
        self.p01 *= zoom**2
        self.p11 *= zoom**2

    def observe_speed(self, rows: IntArray, speed: Doubles, deviation: Doubles) -> None:
        """Take in what optical flow measured: the centres' velocity [R, 2] and its standard deviation [R], pixels a second."""
        p01, p11 = self.p01[rows, :2], self.p11[rows, :2]
        total = p11 + (deviation**2)[:, None]
        error = speed - self.speed[rows, :2]
        self.place[rows, :2] += p01 / total * error
        self.speed[rows, :2] += p11 / total * error
        self.p00[rows, :2] -= p01**2 / total
        self.p01[rows, :2] -= p01 * p11 / total
        self.p11[rows, :2] -= p11**2 / total

    def update(self, rows: IntArray, boxes: FloatArray, doubt: Doubles, frame: tuple[int, int]) -> None:
        """Take in the boxes [R, 4] xyxy in which tracks `rows` were seen; `doubt` [R] >= 1 multiplies the deviation.

        frame: its width and height. For an object that comes in over its border, only the edge inside the frame tells the speed.

        A box that has shrunk is most likely cut by the frame's border or by something in front of it: one edge stays while the
        other moves on. Then the centre follows the edge that moved as predicted, and the size hardly changes.
        """
        before, seen = self.place[rows], to_centres(boxes)
        error = seen - before
        shrunk = seen[:, 2:] < (1 - SHRUNK) * before[:, 2:]
        low, high = error[:, :2] - error[:, 2:] / 2, error[:, :2] + error[:, 2:] / 2
        common = np.where(low * high > 0, np.where(np.abs(low) < np.abs(high), low, high), 0.0)
        error[:, :2] = np.where(shrunk, common, error[:, :2])
        hasty = error.copy()
        near = 1 + BORDER * seen[:, 2:]
        cut_low, cut_high = boxes[:, :2] <= near, boxes[:, 2:] >= np.array(frame) - near
        hasty[:, :2] = np.where(cut_low & ~cut_high & ~shrunk, high, np.where(cut_high & ~cut_low & ~shrunk, low, error[:, :2]))
        hasty[:, 2:] = np.where((cut_low | cut_high) & ~shrunk, 0.0, error[:, 2:])
        # Of what shows only a part it is not known which part.
        part = np.minimum(seen[:, 2:] / before[:, 2:], 1.0).prod(1)
        deviation = _scale(before) * MEASURED * (doubt * (1 + PART_DOUBT * (1 - part)))[:, None]
        deviation[:, 2:] *= np.where(shrunk, SHRINK_NOISE, 1.0)
        p00, p01 = self.p00[rows], self.p01[rows]
        total = p00 + deviation**2
        self.place[rows] += p00 / total * error
        self.speed[rows] += p01 / total * hasty
        self.p11[rows] -= p01**2 / total
        self.p01[rows] -= p00 * p01 / total
        self.p00[rows] -= p00**2 / total


def _scale(place: Doubles) -> Doubles:
    """[T, 1]: the size that noise is measured in, pixels."""
    return np.asarray(np.sqrt(np.maximum(place[:, 2] * place[:, 3], 1.0))[:, None], np.float64)
