"""Zones and Counts: lines, zones and numbers of the events stage, drawn in the frame's own planes."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.composite.canvas import Canvas
from streamseg.composite.labels import draw_plate, font_size, plate
from streamseg.composite.palette import PALETTE
from streamseg.errors import ConfigError
from streamseg.masks import Region, region_of
from streamseg.types import Activity, Instances

__all__ = ["Counts", "Zones"]

_SUBPIXEL = 4  # bits of cv2's fixed-point coordinates
_PLATE = (40, 40, 40)


@dataclass(frozen=True)
class Zones:
    """Draw the lines and zones of the pipeline file with what was counted at each. Raises ConfigError for a value out of range."""

    fill: float = 0.15
    """Opacity of a zone's area, 0..1."""
    width: float = 3.0
    """Of lines and outlines, in pixels of a 1080p picture, scaled with the frame."""
    label: bool = True
    """Write the name and the counts."""

    def __post_init__(self) -> None:
        if not 0 <= self.fill <= 1:
            raise ConfigError(f"zones: fill must be from 0 to 1, got {self.fill}")
        if not 0 < self.width <= 50:
            raise ConfigError(f"zones: width must be above 0, up to 50 pixels, got {self.width}")

    def __call__(self, canvas: Canvas, _instances: Instances) -> None:
        """Draw onto `canvas`."""
        activity = canvas.activity
        if activity is None:
            return
        for number, (name, points) in enumerate(activity.places.items()):
            rgb, closed = PALETTE[number % len(PALETTE)], name in activity.zones
            self._shape(canvas, points, closed, rgb)
            if self.label:
                _write(canvas, _caption(activity, name), (float(points[0, 0]), float(points[0, 1])), rgb)

    def _shape(self, canvas: Canvas, points: npt.NDArray[np.float32], closed: bool, rgb: tuple[int, int, int]) -> None:
        line = max(1, round(self.width * canvas.unit))
        box = [*(points.min(axis=0) - line - 1), *(points.max(axis=0) + line + 1)]
        x0, y0, x1, y1 = region = region_of(box, canvas.width, canvas.height, max(2, canvas.align))
        if x1 <= x0 or y1 <= y0:
            return
        alpha = np.zeros((y1 - y0, x1 - x0), np.uint8)
        # cv2 takes points in whole units from the centre of the first pixel.
        local = np.rint((points - (x0 + 0.5, y0 + 0.5)) * (1 << _SUBPIXEL)).astype(np.int32).reshape(-1, 1, 2)
        if closed and self.fill:
            cv2.fillPoly(alpha, [local], (round(255 * self.fill),), cv2.LINE_AA, _SUBPIXEL)
        cv2.polylines(alpha, [local], closed, (255,), line, cv2.LINE_AA, _SUBPIXEL)
        canvas.paint(region, alpha, rgb)


@dataclass(frozen=True)
class Counts:
    """Write in the top left corner how many of each class are in view, and how many there have been."""

    def __call__(self, canvas: Canvas, _instances: Instances) -> None:
        """Draw onto `canvas`."""
        activity = canvas.activity
        if activity is None:
            return
        margin, top = 12 * canvas.unit, 12 * canvas.unit
        for name, total in sorted(activity.total.items()):
            spot = _write(canvas, f"{name} {activity.now.get(name, 0)} of {total}", (margin, top), _PLATE)
            if spot is None:
                return
            top = float(spot[3])


def _caption(activity: Activity, name: str) -> str:
    if name in activity.zones:
        zone = activity.zones[name]
        return f"{name} {zone['inside']} in, {zone['entered']} entered"
    crossed = activity.lines.get(name, {})
    return f"{name} {crossed.get('left_to_right', 0)} right, {crossed.get('right_to_left', 0)} left"


def _write(canvas: Canvas, text: str, at: tuple[float, float], rgb: tuple[int, int, int]) -> Region | None:
    """Text on a plate whose top left corner is near `at`, inside the frame; None when it does not fit in."""
    coverage = plate(text, font_size(canvas.unit), canvas.align)
    h, w = coverage.shape
    if w > canvas.width or h > canvas.height:
        return None
    x0 = int(min(max(0.0, at[0]), canvas.width - w)) // canvas.align * canvas.align
    y0 = int(min(max(0.0, at[1]), canvas.height - h)) // canvas.align * canvas.align
    spot = (x0, y0, x0 + w, y0 + h)
    draw_plate(canvas, spot, coverage, rgb)
    return spot
