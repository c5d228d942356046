"""Overlay: fill, contour and label of every instance, drawn in the frame's own planes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from streamseg import masks
from streamseg.composite.canvas import Canvas
from streamseg.composite.choose import chosen
from streamseg.composite.labels import draw_plate, font_size, label_text, place, plate
from streamseg.composite.palette import color_of
from streamseg.errors import ConfigError
from streamseg.masks import Region
from streamseg.types import Instances

__all__ = ["Overlay"]

ByteArray = npt.NDArray[np.uint8]

# Boxes of this many pixels together are sampled at full size; more at half, which bounds the time that crowds and 4K take.
_FULL_SIZE_PIXELS = 3_000_000


@dataclass(frozen=True)
class Overlay:
    """Draw the instances: colours stay with the track, the higher score lies on top where masks overlap.

    Raises ConfigError for a value out of range or a label that cannot be filled in.
    """

    fill: float = 0.45
    """Opacity of the mask's area, 0..1."""
    contour: float = 2.0
    """Width of the line inside the mask's outline, in pixels of a 1080p picture, scaled with the frame; at least 1; 0: none."""
    box: bool = False
    """Draw the bounding box too."""
    label: str = "{name} {id} {score:.0%}"
    """Fields {name}, {id} (empty while untracked), {score} in 0..1; empty: no label."""
    classes: Sequence[str] | None = None
    """Names to draw; None: all."""

    def __post_init__(self) -> None:
        if not 0 <= self.fill <= 1:
            raise ConfigError(f"overlay: fill must be from 0 to 1, got {self.fill}")
        if not 0 <= self.contour <= 50:
            raise ConfigError(f"overlay: contour must be from 0 to 50 pixels, got {self.contour}")
        try:
            self.label.format(name="car", id=1, score=0.5)
        except (KeyError, IndexError, ValueError, AttributeError) as error:
            message = f"overlay: label {self.label!r} cannot be filled in; its fields are {{name}}, {{id}}, {{score}}"
            raise ConfigError(message) from error

    def __call__(self, canvas: Canvas, instances: Instances) -> None:
        """Draw onto `canvas`."""
        shown = chosen(instances, self.classes)
        if len(shown) == 0:
            return
        if self.fill > 0 or self.contour > 0 or self.box:
            self._areas(canvas, shown)
        if self.label:
            self._labels(canvas, shown)

    def _areas(self, canvas: Canvas, shown: Instances) -> None:
        width, height = canvas.width, canvas.height
        line = max(1, round(self.contour * canvas.unit + 0.25)) if self.contour else 0
        regions = [_around(box, line + 1, width, height, max(2, canvas.align)) for box in shown.boxes]
        pixels = sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in regions)
        scale = 1 if pixels <= _FULL_SIZE_PIXELS else 2
        taken = np.zeros((-(-height // scale), -(-width // scale)), np.uint8)
        for i, region in enumerate(regions):
            if region[2] <= region[0]:
                continue
            alpha = self._alpha(shown, i, region, canvas, scale, line, taken)
            if self.box:
                cv2.max(alpha, _frame(shown.boxes[i], region, max(1, round(2 * canvas.unit))), alpha)
            canvas.paint(region, alpha, color_of(int(shown.track_ids[i]), int(shown.labels[i])))

    def _alpha(
        self, shown: Instances, i: int, region: Region, canvas: Canvas, scale: int, line: int, taken: ByteArray
    ) -> ByteArray:
        """The opacity of one instance over its region, where none above it lies; marks its place in `taken`."""
        x0, y0, x1, y1 = small = _scaled(region, scale)
        cover = masks.coverage(shown.masks[i], shown.boxes[i], small, canvas.width, canvas.height, scale=scale)
        under = taken[y0:y1, x0:x1]
        visible = cv2.min(cover, cv2.bitwise_not(under))
        cv2.max(under, cover, under)
        alpha = cv2.convertScaleAbs(visible, alpha=self.fill)
        if line:
            reach = 2 * max(1, round(line / scale)) + 1
            inner = cv2.erode(cover, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
            alpha = cv2.max(alpha, cv2.min(cv2.subtract(cover, inner), visible))
        if scale > 1:
            wide = cv2.resize(alpha, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
            alpha = np.ascontiguousarray(wide[: region[3] - region[1], : region[2] - region[0]])
        return alpha  # type: ignore[return-value]

    def _labels(self, canvas: Canvas, shown: Instances) -> None:
        size, align = font_size(canvas.unit), canvas.align
        placed: list[Region] = []
        # The oldest track chooses its place first, so that places do not jump when scores change.
        ids = shown.track_ids
        for i in sorted(range(len(shown)), key=lambda k: (ids[k] == 0, ids[k], k)):
            text = label_text(self.label, shown, i)
            if not text:
                continue
            coverage = plate(text, size, align)
            h, w = coverage.shape
            spot = place(shown.boxes[i], (w, h), (canvas.width, canvas.height), placed, align)
            if spot is not None:
                placed.append(spot)
                draw_plate(canvas, spot, coverage, color_of(int(ids[i]), int(shown.labels[i])))


def _around(box: npt.NDArray[np.float32], margin: int, width: int, height: int, align: int) -> Region:
    """The region of a box with `margin` pixels around it: erosion needs to see the outside."""
    if box[2] <= box[0] or box[3] <= box[1]:
        return 0, 0, 0, 0
    return masks.region_of(box + np.array([-margin, -margin, margin, margin]), width, height, align)


def _scaled(region: Region, scale: int) -> Region:
    x0, y0, x1, y1 = region
    return x0 // scale, y0 // scale, -(-x1 // scale), -(-y1 // scale)


def _frame(box: npt.NDArray[np.float32], region: Region, line: int) -> ByteArray:
    """255 on a line of `line` pixels inside the box's edges."""
    ring = np.zeros((region[3] - region[1], region[2] - region[0]), np.uint8)
    x0, y0 = round(float(box[0])) - region[0], round(float(box[1])) - region[1]
    x1, y1 = round(float(box[2])) - region[0], round(float(box[3])) - region[1]
    ring[max(0, y0) : y1, max(0, x0) : x1] = 255
    ring[max(0, y0) + line : max(0, y1 - line), max(0, x0) + line : max(0, x1 - line)] = 0
    return ring
