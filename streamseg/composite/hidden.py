"""Hidden: dashed boxes where road users should be that are behind others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from streamseg.composite.canvas import Canvas
from streamseg.composite.drive import Drawing, DriveEffect, finite
from streamseg.composite.labels import draw_plate, font_size, place, plate
from streamseg.composite.memory import SLACK, Slack
from streamseg.composite.theme import Theme
from streamseg.core.masks import region_of
from streamseg.core.types import Activity, Instances

__all__ = ["Hidden"]

_DASH, _GAP = 14.0, 9.0  # pixels of a 1080p picture


class _Expected(Drawing["Hidden"]):
    def __init__(self, effect: Hidden) -> None:
        super().__init__(effect)
        self._places = Slack[int]()

    def forget(self) -> None:
        self._places.clear()

    def draw(self, canvas: Canvas, instances: Instances, theme: Theme) -> None:
        if canvas.scene is None:
            return
        self._places.slack = SLACK * canvas.unit
        for hidden in canvas.scene.hidden:
            if not finite(hidden.box):
                continue
            box = self._places(hidden.track_id, canvas.time, hidden.box)
            _dashed(canvas, box, max(1, round(self.effect.width * canvas.unit)), theme)
            if self.effect.label:
                name = instances.track_names.get(hidden.track_id) or f"{hidden.name} {hidden.track_id}"
                coverage = plate(f"{name} hidden", font_size(canvas.unit), canvas.align)
                h, w = coverage.shape
                spot = place(box, (w, h), (canvas.width, canvas.height), canvas.labels, canvas.align)
                if spot is not None:
                    canvas.labels.append(spot)
                    draw_plate(canvas, spot, coverage, theme.panel, theme.text)


@dataclass(frozen=True)
class Hidden(DriveEffect):
    """Draw a dashed box where a road user should be that was seen, is behind another now, and is expected to come out again."""

    width: float = 2.5
    """Of the line, in pixels of a 1080p picture, scaled with the frame."""
    label: bool = True
    """Write who it is."""
    name: ClassVar[str] = "hidden"
    drawing: ClassVar = _Expected
    shows_road: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_range("width", 0.5, 50, "pixels")

    def changes(self, instances: Instances, activity: Activity | None) -> bool:
        """See Effect."""
        return True


def _dashed(canvas: Canvas, box: Sequence[float], line: int, theme: Theme) -> None:
    x0, y0, x1, y1 = region = region_of(
        np.array([box[0] - line, box[1] - line, box[2] + line, box[3] + line]),
        canvas.width,
        canvas.height,
        max(4, canvas.align),
    )
    if x1 <= x0 or y1 <= y0:
        return
    alpha = np.zeros((y1 - y0, x1 - x0), np.uint8)
    left, top, right, bottom = box[0] - x0, box[1] - y0, box[2] - x0, box[3] - y0
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True):
        length = max(abs(bx - ax), abs(by - ay))
        # A whole number of dashes a side, one at each corner.
        count = max(1, round(length / ((_DASH + _GAP) * canvas.unit)))
        dash = _DASH / (_DASH + _GAP)
        for n in range(count):
            s, t = n / count, (n + dash) / count
            begin = round(ax + s * (bx - ax)), round(ay + s * (by - ay))
            end = round(ax + t * (bx - ax)), round(ay + t * (by - ay))
            cv2.line(alpha, begin, end, (255,), line, cv2.LINE_AA)
    canvas.paint(region, alpha, theme.text)
