"""Lines and zones: where they are, and on which side a point is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.errors import ConfigError

__all__ = ["Area", "Line", "Point", "Points", "Zone", "distance", "in_pixels", "passes_between"]

_FARTHEST = 1e6
Point = tuple[float, float]
Points = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Line:
    """A line to be crossed. Raises ConfigError for points that make none."""

    points: tuple[Point, ...]
    """Two points, x and y, in fractions of the frame when all lie in 0..1, otherwise in pixels."""
    classes: Sequence[str] | None = None
    """Names to watch; None: all."""
    directions: tuple[str, str] = ("left_to_right", "right_to_left")
    """What crossings are called, by how they look to one who stands at the first point and looks to the second: those from left to
    right, and those from right to left; for example ("in", "out")."""

    def __post_init__(self) -> None:
        if len(self.directions) != 2 or not all(self.directions) or self.directions[0] == self.directions[1]:
            raise ConfigError(f"a line's directions are two different names, as [in, out]; got {list(self.directions)}")
        if len(self.points) != 2 or self.points[0] == self.points[1]:
            raise ConfigError(f"a line has two different points, as [[0.1, 0.5], [0.9, 0.5]]; got {_shown(self.points)}")
        _check_unit(self.points)


@dataclass(frozen=True)
class Area:
    """A part of the picture in which nothing is to be found. Raises ConfigError for points that make none."""

    points: tuple[Point, ...]
    """Three or more points, x and y, in fractions of the frame when all lie in 0..1, otherwise in pixels."""
    classes: Sequence[str] | None = None
    """Names that are not to be found there; None: none is."""

    def __post_init__(self) -> None:
        _check_polygon("an area", self.points)


@dataclass(frozen=True)
class Zone:
    """A polygon to be entered and left. Raises ConfigError for points that make none."""

    points: tuple[Point, ...]
    """Three or more points, x and y, in fractions of the frame when all lie in 0..1, otherwise in pixels."""
    classes: Sequence[str] | None = None
    """Names to watch; None: all."""
    dwell: float | None = None
    """Seconds inside after which a `dwell` event tells of it; None: never."""

    def __post_init__(self) -> None:
        _check_polygon("a zone", self.points)
        if self.dwell is not None and not self.dwell > 0:
            raise ConfigError(f"a zone's dwell is a time above 0 seconds; got {self.dwell}")


def _shown(points: Sequence[Point]) -> str:
    return str([list(point) for point in points])


def _check_polygon(what: str, points: Sequence[Point]) -> None:
    _check_unit(points)
    if len(points) < 3 or abs(cv2.contourArea(np.array(points, np.float32))) == 0:
        raise ConfigError(f"{what} has three or more points that enclose an area; got {_shown(points)}")


def _check_unit(points: Sequence[Point]) -> None:
    values = [value for point in points for value in point]
    if not all(abs(value) <= _FARTHEST for value in values):  # not true of NaN either
        raise ConfigError(f"points must be finite numbers within {_FARTHEST:.0f} pixels; got {_shown(points)}")
    if any(value > 1 or value < 0 for value in values) and max(abs(value) for value in values) <= 2:
        raise ConfigError(f"fractions of the frame lie in 0..1, pixels are larger; got {_shown(points)}")


def in_pixels(points: Sequence[Point], width: int, height: int) -> Points:
    """float32 [P, 2] in frame pixels."""
    array = np.array(points, np.float32)
    return array * np.array([width, height], np.float32) if array.max() <= 1 else array


def distance(start: Sequence[float], end: Sequence[float], point: Point) -> float:
    """Pixels from the line through both points, positive to the right of who looks from the first to the second (y goes down)."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    return (dx * (point[1] - start[1]) - dy * (point[0] - start[0])) / math.hypot(dx, dy)


def passes_between(a: Point, b: Point, start: Sequence[float], end: Sequence[float]) -> bool:
    """Whether the way from a to b, which are on different sides of the line, passes between its ends."""
    if a == b:
        return False
    return (distance(a, b, (start[0], start[1])) >= 0) != (distance(a, b, (end[0], end[1])) > 0)
