"""Masks that span the whole input, as grids over boxes: what heads whose network draws each mask on the whole picture share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["FINEST", "finite_within", "over_boxes", "probability_levels", "side_for"]

FINEST = 112
"""Cells along a side of the finest grid that a head makes: four times Mask R-CNN's, as fine as what refines masks goes."""

FloatArray = npt.NDArray[np.float32]


def side_for(height: int, width: int) -> int:
    """M of the grids cut out of masks of `height` x `width`: a cell for each of theirs where the box is the whole picture."""
    return max(1, min(FINEST, max(height, width)))


def over_boxes(masks: Sequence[npt.NDArray[Any]] | npt.NDArray[Any], boxes: npt.NDArray[Any], side: int) -> FloatArray:
    """Each mask's values at the centres of `side` x `side` cells over its box, bilinear; beyond the mask's border its last value.

    Args:
        masks: K of [h, w], numbers of any kind: logits, probabilities, bool.
        boxes: [K, 4] xyxy in pixels of those masks, their corners as `Frame`'s: pixel (c, r)'s centre is at (c + 0.5, r + 0.5).
        side: M.

    Returns: float32 [K, M, M].
    """
    grids = np.empty((len(boxes), side, side), np.float32)
    for grid, mask, (x0, y0, x1, y1) in zip(grids, masks, boxes.tolist(), strict=True):
        step_x, step_y = (x1 - x0) / side, (y1 - y0) / side
        # From the index of a cell to that of a pixel; both count centres.
        there = np.array([[step_x, 0, x0 + 0.5 * step_x - 0.5], [0, step_y, y0 + 0.5 * step_y - 0.5]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        numbers = mask if mask.dtype == np.float32 else mask.astype(np.float32)
        cv2.warpAffine(numbers, there, (side, side), grid, flags, cv2.BORDER_REPLICATE)
    return grids


def finite_within(mask: npt.NDArray[Any], box: npt.NDArray[Any]) -> bool:
    """Whether all values of a mask [h, w] that a grid over `box` (xyxy, its pixels) is made of are finite."""
    if mask.dtype.kind != "f" or not np.isfinite(box).all():
        return True  # a box that is not finite is counted as what it is
    height, width = mask.shape
    x0, y0 = (int(np.clip(np.floor(low - 0.5), 0, size - 1)) for low, size in zip(box[:2], (width, height), strict=True))
    x1, y1 = (int(np.clip(np.ceil(high + 0.5), 1, size)) for high, size in zip(box[2:], (width, height), strict=True))
    return bool(np.isfinite(mask[y0:y1, x0:x1]).all())


def probability_levels(logits: FloatArray) -> npt.NDArray[np.uint8]:
    """255 x sigmoid of float32 logits, rounded; the same shape."""
    if not logits.size:
        return np.zeros(logits.shape, np.uint8)
    falling: FloatArray = np.asarray(cv2.exp(np.minimum(-logits, 80).reshape(len(logits), -1)), np.float32)
    falling += 1
    np.divide(255, falling, out=falling)
    falling += 0.5  # the cast cuts off
    return falling.astype(np.uint8).reshape(logits.shape)
