"""Lead: the vehicle ahead in the same lane, marked on the road behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from streamseg.composite.canvas import Canvas
from streamseg.composite.drive import Drawing, DriveEffect, scene_of, track_rows
from streamseg.composite.memory import SLACK, Slack
from streamseg.composite.theme import Theme, alert_color
from streamseg.core.masks import region_of
from streamseg.core.types import Instances

__all__ = ["Lead"]

_SUBPIXEL = 4  # bits of cv2's fixed-point coordinates
_CALM = (255, 255, 255)


class _Marked(Drawing["Lead"]):
    def __init__(self, effect: Lead) -> None:
        super().__init__(effect)
        self._places = Slack[int]()

    def forget(self) -> None:
        self._places.clear()

    def draw(self, canvas: Canvas, instances: Instances, theme: Theme) -> None:
        scene = scene_of(canvas, instances)
        row = None if scene is None or not scene.lead else track_rows(instances).get(scene.lead)
        if scene is None or row is None:
            return
        self._places.slack = SLACK * canvas.unit
        x0, _, x1, bottom = self._places(scene.lead, canvas.time, instances.boxes[row].tolist())
        least = self.effect.size * canvas.unit
        wide, middle = min(max(least, 0.4 * (x1 - x0)), 4 * least), (x0 + x1) / 2
        high, thick = 0.32 * wide, 0.2 * wide
        top = bottom + 0.1 * wide
        # A chevron: its tip under the middle of the vehicle.
        points = np.array(
            [
                (middle, top),
                (middle + wide / 2, top + high),
                (middle + wide / 2, top + high + thick),
                (middle, top + 1.4 * thick),
                (middle - wide / 2, top + high + thick),
                (middle - wide / 2, top + high),
            ]
        )
        rim = max(1.0, 1.5 * canvas.unit)
        self._fill(canvas, points, theme.shade(alert_color(int(scene.alert[row]), _CALM)), theme.panel, rim)

    @staticmethod
    def _fill(canvas: Canvas, points: np.ndarray, rgb: tuple[int, int, int], around: tuple[int, int, int], rim: float) -> None:
        margin = rim + 2
        box = np.concatenate([points.min(axis=0) - margin, points.max(axis=0) + margin])
        x0, y0, x1, y1 = region = region_of(box, canvas.width, canvas.height, max(4, canvas.align))
        if x1 <= x0 or y1 <= y0:
            return
        local = np.rint((points - (x0 + 0.5, y0 + 0.5)) * (1 << _SUBPIXEL)).astype(np.int32).reshape(-1, 1, 2)
        inside, line = np.zeros((2, y1 - y0, x1 - x0), np.uint8)
        cv2.fillPoly(inside, [local], (255,), cv2.LINE_AA, _SUBPIXEL)
        cv2.polylines(line, [local], True, (150,), max(1, round(2 * rim)), cv2.LINE_AA, _SUBPIXEL)
        canvas.paint(region, np.ascontiguousarray(line), around)
        canvas.paint(region, np.ascontiguousarray(inside), rgb)


@dataclass(frozen=True)
class Lead(DriveEffect):
    """Mark the vehicle ahead in the same lane by a chevron under it: white, orange where caution is due, red for a warning."""

    size: float = 26.0
    """Its least width, in pixels of a 1080p picture, scaled with the frame; it grows with the vehicle to four times that."""
    name: ClassVar[str] = "lead"
    drawing: ClassVar = _Marked
    shows_road: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_range("size", 8, 400, "pixels")
