"""Where objects are, with a margin, in cells of a few pixels: coarse on purpose, and never less than the object."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.core import masks
from streamseg.core.types import Frame, Instances

__all__ = ["PROBABLE", "blank", "longer_sides", "mark", "step_of"]

PROBABLE = 64
"""Of 255: a point belongs to an object from this probability on; where the object is drawn, from one half on."""
_WIDEST = 1280
"""Pixels of a picture's longer side to a cell of two."""

ByteArray = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]


def step_of(frame: Frame) -> int:
    """Pixels of a cell, across and down: an even number; of an interlaced picture whole lines of both fields' chroma."""
    step = 2 * math.ceil(max(frame.width, frame.height) / _WIDEST)
    return step if frame.field_order is None else -(-step // 4) * 4


def blank(frame: Frame, step: int) -> ByteArray:
    """No cell of a frame: uint8 [rows, columns]."""
    return np.zeros((-(-frame.height // step), -(-frame.width // step)), np.uint8)


def longer_sides(boxes: FloatArray) -> FloatArray:
    """[N] of boxes [N, 4] xyxy."""
    return np.asarray((boxes[:, 2:] - boxes[:, :2]).max(1, initial=0.0), np.float32)


def mark(cells: ByteArray, bit: int, found: Instances, grow: Sequence[float], size: tuple[int, int], step: int) -> None:
    """Set `bit` in all cells that instances touch, each grown by `grow` [N] pixels; `size`: the frame's width and height."""
    for mask, box, reach in zip(found.grids if found.has_masks else found.mask_or_box, found.boxes, grow, strict=True):
        _mark(cells, bit, mask, box, float(reach), size, step)


def _mark(cells: ByteArray, bit: int, mask: ByteArray, box: FloatArray, grow: float, size: tuple[int, int], step: int) -> None:
    (x0, y0, x1, y1), soft = masks.paste(mask, box, *size, scale=step)
    if x1 <= x0 or y1 <= y0:
        return
    within = soft >= PROBABLE
    if not within.any():  # too thin for the cells' centres: fail on the safe side
        within[...] = True
    pad = math.ceil(grow / step) + 1
    left, top = max(0, x0 - pad), max(0, y0 - pad)
    right, bottom = min(cells.shape[1], x1 + pad), min(cells.shape[0], y1 + pad)
    away = np.ones((bottom - top, right - left), np.uint8)
    away[y0 - top : y1 - top, x0 - left : x1 - left] = ~within
    # From the centres of cells: three quarters of a cell more, so that one that is touched at its corner is in it.
    near = cv2.distanceTransform(away, cv2.DIST_L2, cv2.DIST_MASK_3) <= grow / step + 0.75
    cells[top:bottom, left:right] |= near.astype(np.uint8) * np.uint8(bit)
