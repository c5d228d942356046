"""Corridor: the way ahead of the vehicle, lain on the road."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.composite.canvas import Canvas
from streamseg.composite.drive import Drawing, DriveEffect, scene_of, track_rows
from streamseg.composite.theme import Theme, alert_color
from streamseg.core.masks import region_of
from streamseg.core.scene import Scene
from streamseg.core.types import Instances

__all__ = ["Corridor"]

_SUBPIXEL = 4  # bits of cv2's fixed-point coordinates
_FAR = 0.25  # of the opacity, at the far end
_IN_PATH = 0.5  # probability from which a road user counts as standing in it


class _Laid(Drawing["Corridor"]):
    def draw(self, canvas: Canvas, instances: Instances, theme: Theme) -> None:
        scene = canvas.scene
        if scene is None or len(scene.corridor) < 3 or not np.isfinite(scene.corridor).all():
            return
        effect, points = self.effect, scene.corridor.astype(np.float64)
        top = max(float(points[:, 1].min()), _foot(scene_of(canvas, instances), instances))
        line = max(1, round(effect.width * canvas.unit)) if effect.width else 0
        box = [*(points.min(axis=0) - line - 1), *(points.max(axis=0) + line + 1)]
        box[1] = max(box[1], top)
        x0, y0, x1, y1 = region = region_of(np.array(box), canvas.width, canvas.height, max(4, canvas.align))
        if x1 <= x0 or y1 <= y0:
            return
        alpha = np.zeros((y1 - y0, x1 - x0), np.uint8)
        local = _fixed(points - (x0 + 0.5, y0 + 0.5))
        cv2.fillPoly(alpha, [local], (round(255 * effect.fill * theme.fill),), cv2.LINE_AA, _SUBPIXEL)
        if line:
            # Up its left side and down its right one: not the ends, which are where the picture ends, and where the road is lost.
            lines = np.array_split(local, 2)
            cv2.polylines(alpha, lines, False, (round(200 * theme.fill),), line, cv2.LINE_AA, _SUBPIXEL)
        alpha = cv2.multiply(alpha, _fading(top, float(points[:, 1].max()), y0, alpha.shape), scale=1 / 255)  # type: ignore[assignment]
        canvas.paint(region, alpha, theme.shade(alert_color(_alert(scene))))


@dataclass(frozen=True)
class Corridor(DriveEffect):
    """Lay the way ahead on the road, up to the vehicle that leads: blue, orange where caution is due, red for a warning.

    It belongs before `overlay`, so that road users stand on it.
    """

    fill: float = 0.28
    """Opacity of its area at the near end, 0..1; it fades with distance."""
    width: float = 3.0
    """Of the lines along its sides, in pixels of a 1080p picture, scaled with the frame; 0: none."""
    name: ClassVar[str] = "corridor"
    drawing: ClassVar = _Laid
    shows_road: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_range("fill", 0, 1)
        self.check_range("width", 0, 50, "pixels")

    def changes(self, instances: Instances, activity: object) -> bool:
        """See Effect."""
        return self.fill > 0 or self.width > 0


def _foot(scene: Scene | None, instances: Instances) -> float:
    """The row up to which the road is free of the vehicle that leads; 0: there is none."""
    row = None if scene is None or not scene.lead else track_rows(instances).get(scene.lead)
    return 0.0 if row is None else float(instances.boxes[row, 3])


def _alert(scene: Scene) -> int:
    """The worst alert of what stands in it."""
    inside = np.nan_to_num(scene.in_path) >= _IN_PATH
    return int(scene.alert[inside].max(initial=0))


def _fading(top: float, bottom: float, y0: int, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """255 at the near end, less with the distance; of `shape`."""
    rows = np.arange(y0, y0 + shape[0]) + 0.5
    near = np.clip((rows - top) / max(1.0, bottom - top), 0, 1)
    column = np.rint(255 * (_FAR + (1 - _FAR) * near) * np.clip((rows - top) / 6 + 1, 0, 1)).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(column[:, None], shape))


def _fixed(points: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
    return np.rint(np.clip(points, -30000, 30000) * (1 << _SUBPIXEL)).astype(np.int32).reshape(-1, 1, 2)
