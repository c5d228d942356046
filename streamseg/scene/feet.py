"""Where road users touch the road: the row of each one's foot, and how far it reaches to the left and to the right there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamseg.core.masks import resized
from streamseg.core.result import Result

__all__ = ["Feet", "feet"]

FloatArray = npt.NDArray[np.float64]
BAND = 0.08
"""Share of a mask's rows, from its lowest, that are its foot: of a car seen obliquely its flank is above."""
SURE, GUESSED = 0.025, 0.1
"""Standard deviation of the foot's row, shares of the box's height: where it is seen, and where it was hidden."""
LARGE = 64
"""Cells a side above which masks are looked at in a smaller size."""
BESIDE = 0.08
"""Shares of the box's width from the foot, where it is asked whether something nearer is there."""
BORDER = 1.5
"""Pixels from the frame's border within which something is cut off by it."""


@dataclass(frozen=True, slots=True)
class Feet:
    """Of each instance, in frame pixels."""

    left: FloatArray
    right: FloatArray
    """[N] columns between which it stands."""
    row: FloatArray
    """[N] the lowest row of its mask."""
    row_std: FloatArray
    column_std: FloatArray
    cut: npt.NDArray[np.bool_]
    """[N] it leaves the frame to the left or the right: where it stands cannot be told."""
    hidden: FloatArray
    """[N] -1: something nearer may hide a part of the foot on its left; 1: on its right; 0: on neither, or on both."""


def feet(result: Result) -> Feet:
    """Look at the masks, and at the estimated extent of those whose foot is hidden."""
    found, frame = result.instances, result.frame
    boxes = found.boxes.astype(np.float64)
    soft = resized(found.mask_or_box, LARGE) if found.mask_or_box.shape[-1] > LARGE else found.mask_or_box
    masks: npt.NDArray[np.bool_] = np.greater(soft, 127)
    side: int = masks.shape[-1]
    filled: npt.NDArray[np.bool_] = np.asarray(masks.any(axis=2))
    empty = ~filled.any(axis=1)
    last = side - filled[:, ::-1].argmax(axis=1)
    last[empty] = side
    rows = np.arange(side)[None]
    band = (rows < last[:, None]) & (rows >= last[:, None] - max(1, round(BAND * side)))
    columns = (masks & band[:, :, None]).any(axis=1)
    columns[empty] = True
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    left = boxes[:, 0] + width * columns.argmax(axis=1) / side
    right = boxes[:, 2] - width * columns[:, ::-1].argmax(axis=1) / side
    row, row_std = boxes[:, 1] + height * last / side, SURE * height + 1.0
    if result.occlusion is not None and len(boxes):
        whole = result.occlusion.extents.astype(np.float64)
        deeper = whole[:, 3] > boxes[:, 3] + 0.02 * (whole[:, 3] - whole[:, 1])
        left, right = np.where(deeper, whole[:, 0], left), np.where(deeper, whole[:, 2], right)
        row = np.where(deeper, whole[:, 3], row)
        row_std = np.where(deeper, GUESSED * (whole[:, 3] - whole[:, 1]), row_std)
    cut = (boxes[:, 0] < BORDER) | (boxes[:, 2] > frame.width - BORDER)
    return Feet(left, right, row, row_std, SURE * width + 1.0, cut, _hidden_side(boxes, left, right, row))


def _hidden_side(boxes: FloatArray, left: FloatArray, right: FloatArray, row: FloatArray) -> FloatArray:
    """Where the box of a nearer one covers the place beside the foot: what stands there is not seen, whatever its size."""
    nearer = (row[None] > row[:, None]) & (boxes[None, :, 1] < row[:, None])
    beside = BESIDE * (boxes[:, 2] - boxes[:, 0])
    on_left, on_right = (
        (nearer & (boxes[None, :, 0] < edge[:, None]) & (boxes[None, :, 2] > edge[:, None])).any(axis=1)
        for edge in (left - beside, right + beside)
    )
    return np.subtract(on_right, on_left, dtype=np.float64)
