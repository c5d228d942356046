"""How much boxes and box masks cover each other, for many pairs at once, without painting a mask at full size."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from streamseg.core.masks import resized

__all__ = ["SIDE", "bordered", "box_cover", "box_iou", "contained", "grown", "mask_iou", "overlap"]

SIDE = 28
"""Cells a side of the masks that the tracker keeps, whatever the network's."""
GRID = 14
"""Points a side at which two masks are compared."""
CANDIDATES = 3
"""Tracks per detection, the best by box IoU, whose masks are compared."""

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]


def bordered(masks: npt.NDArray[np.uint8]) -> BoolArray:
    """[N, 30, 30]: which cells of soft masks [N, M, M] belong to the instance, with a border of False for what is outside."""
    cells = np.zeros((len(masks), SIDE + 2, SIDE + 2), bool)
    cells[:, 1:-1, 1:-1] = resized(masks, SIDE) > 127
    return cells


def _intersection(a: FloatArray, b: FloatArray) -> FloatArray:
    size = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    np.maximum(size, 0, out=size)
    return np.asarray(size[..., 0] * size[..., 1], np.float32)


def _area(boxes: FloatArray) -> FloatArray:
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]), np.float32)


def box_iou(a: FloatArray, b: FloatArray) -> FloatArray:
    """[N, M] intersection over union of boxes xyxy [N, 4] and [M, 4]; 0 where both are empty."""
    both = _intersection(a, b)
    union = _area(a)[:, None] + _area(b)[None, :] - both
    return np.asarray(both / np.maximum(union, 1e-9), np.float32)


def box_cover(a: FloatArray, b: FloatArray) -> FloatArray:
    """[N, M] the share of box a[n] that box b[m] covers."""
    return np.asarray(_intersection(a, b) / np.maximum(_area(a), 1e-9)[:, None], np.float32)


def grown(boxes: FloatArray, share: float) -> FloatArray:
    """Boxes that are larger by this share of their size on every side (buffered IoU: Yang et al., WACV 2023)."""
    margin = share * (boxes[:, 2:] - boxes[:, :2])
    return np.concatenate([boxes[:, :2] - margin, boxes[:, 2:] + margin], axis=1)


def overlap(boxes: FloatArray, masks: BoolArray, found_boxes: FloatArray, found_masks: BoolArray) -> FloatArray:
    """[T, N] mean of box and mask IoU; 0 where boxes do not meet, or where CANDIDATES others meet better. Masks are `bordered`."""
    iou = box_iou(boxes, found_boxes)
    result = np.zeros_like(iou)
    if not iou.size:
        return result
    best = np.argpartition(-iou, min(CANDIDATES, len(iou)) - 1, axis=0)[:CANDIDATES]
    columns = np.broadcast_to(np.arange(iou.shape[1]), best.shape)
    meet = iou[best, columns] > 0
    rows, columns = best[meet], columns[meet]
    result[rows, columns] = (
        iou[rows, columns] + mask_iou(boxes[rows], masks[rows], found_boxes[columns], found_masks[columns])
    ) / 2
    return result


def mask_iou(a: FloatArray, masks_a: BoolArray, b: FloatArray, masks_b: BoolArray) -> FloatArray:
    """[P] IoU of pairs of bordered masks, sampled at GRID x GRID points over the box that encloses both."""
    low = np.minimum(a[:, :2], b[:, :2])
    points = _points(low, np.maximum(a[:, 2:], b[:, 2:]))
    in_a, in_b = _sample(masks_a, a, points), _sample(masks_b, b, points)
    both = (in_a & in_b).sum((1, 2))
    either = (in_a | in_b).sum((1, 2))
    return np.asarray(both / np.maximum(either, 1), np.float32)


def contained(boxes: FloatArray, masks: BoolArray, least: float = 0.5) -> FloatArray:
    """[N, N] the share of instance i's mask that lies inside instance j's; 0 on the diagonal and below a box cover of `least`."""
    cover = box_cover(boxes, boxes)
    np.fill_diagonal(cover, 0)
    result = np.zeros_like(cover)
    rows, columns = np.nonzero(cover > least)
    if len(rows):
        points = _points(boxes[rows, :2], boxes[rows, 2:])
        inner, outer = _sample(masks[rows], boxes[rows], points), _sample(masks[columns], boxes[columns], points)
        result[rows, columns] = (inner & outer).sum((1, 2)) / np.maximum(inner.sum((1, 2)), 1)
    return result


def _points(low: FloatArray, high: FloatArray) -> FloatArray:
    """[P, GRID, 2] (x, y): the centres of GRID equal steps along both axes."""
    step = (high - low) / GRID
    return np.asarray(low[:, None] + (np.arange(GRID)[:, None] + 0.5) * step[:, None], np.float32)


def _sample(masks: BoolArray, boxes: FloatArray, points: FloatArray) -> BoolArray:
    """[P, GRID, GRID]: each mask at its points [P, GRID, 2] (x, y); the masks' border answers for what is outside of the box."""
    size = np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-6)
    rate = (SIDE / size).astype(np.float32)
    cells = np.clip((points - boxes[:, None, :2]) * rate[:, None] + np.float32(1), 0, SIDE + 1).astype(np.int64)
    side = SIDE + 2
    rows = cells[..., 1] * side + (np.arange(len(masks)) * side * side)[:, None]
    return np.asarray(masks.reshape(-1).take(rows[:, :, None] + cells[:, None, :, 0]))
