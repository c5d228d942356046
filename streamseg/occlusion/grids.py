"""Masks of several instances on common small grids: who touches whom, what is covered, cut off, hidden, and in which order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

SIDE = 28
"""Cells a side of the masks that are compared here, whatever the network's."""
GRID = 20
"""Cells a side of the grid over an instance's extent on which areas are compared."""
MARGIN = 2
"""Cells around a box in which others count as touching."""
CONTACT = 0.3
"""Share of a side of the box, where the mask reaches it, beyond which another mask must go on for the side to be uncertain."""
ENOUGH = 0.1
"""Share of the smaller one's area that must be missing for full evidence."""
LEAST = 0.02
"""An instance that hides less than this share hides nothing."""
AT_BORDER = 1.0
"""Pixels."""


@dataclass(frozen=True, slots=True)
class View:
    """One frame on the grids over the extents. N instances, P pairs (row, column), both ways round."""

    ids: IntArray
    extents: FloatArray
    """[N, 4]."""
    own: BoolArray
    """[N, GRID, GRID] what each shows of itself."""
    shapes: BoolArray
    """[N, GRID, GRID] what it would show with nothing in front of it."""
    others: BoolArray
    """[P, GRID, GRID] the column's mask on the row's grid."""
    rows: IntArray
    columns: IntArray


def balance(loss: FloatArray, area: FloatArray) -> FloatArray:
    """[N, N] in -1..1: which one of a pair loses more to the other; near 0 where both lose next to nothing."""
    total = loss + loss.T
    share = (loss - loss.T) / np.maximum(total, 1e-6)
    weighted: FloatArray = (share * np.minimum(total / (ENOUGH * area), 1)).astype(np.float32)
    return weighted


def touching(boxes: FloatArray) -> tuple[IntArray, IntArray]:
    """Indices (i, j) of the pairs, both ways round, whose boxes grown by MARGIN cells meet; sorted by i."""
    if len(boxes) < 2:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    grow = np.maximum((boxes[:, 2:] - boxes[:, :2]) * (MARGIN / SIDE), 1.0)
    low, high = boxes[:, :2] - grow, boxes[:, 2:] + grow
    meet = (low[:, None] < high[None]).all(2) & (low[None] < high[:, None]).all(2)
    np.fill_diagonal(meet, False)
    rows, columns = np.nonzero(meet)
    return rows, columns


INSIDE = (np.arange(GRID) + 0.5) / GRID
AROUND = (np.arange(-MARGIN, SIDE + MARGIN) + 0.5) / SIDE


def sample(
    masks: BoolArray, index: npt.NDArray[Any], boxes: FloatArray, windows: FloatArray, steps: npt.NDArray[np.float64]
) -> BoolArray:
    """[P, S, S]: masks[index[p]], which spans boxes[index[p]], at `steps` (0 to 1) across windows[p]."""
    padded = np.zeros((len(masks), SIDE + 2, SIDE + 2), bool)
    padded[:, 1:-1, 1:-1] = masks
    low, length = windows[:, :2], windows[:, 2:] - windows[:, :2]
    source = boxes[index]
    scale = SIDE / np.maximum(source[:, 2:] - source[:, :2], 1e-3)
    points = low[:, :, None] + length[:, :, None] * steps
    cells = np.clip(np.floor((points - source[:, :2, None]) * scale[:, :, None]) + 1, 0, SIDE + 1).astype(np.intp)
    sampled: BoolArray = padded[np.asarray(index)[:, None, None], cells[:, 1, :, None], cells[:, 0, None, :]]
    return sampled


def reached_sides(masks: BoolArray) -> BoolArray:
    """[N, 4, 28] for left, top, right, bottom: where along that side of its box the mask reaches it."""
    rows = masks[:, :, :2].any(axis=2), masks[:, :2].any(axis=1), masks[:, :, -2:].any(axis=2), masks[:, -2:].any(axis=1)
    return np.stack(rows, axis=1)


def touched_sides(boxes: FloatArray, masks: BoolArray, ends: BoolArray, rows: IntArray, columns: IntArray) -> BoolArray:
    """[N, 4] for left, top, right, bottom: another mask goes on where this one ends at that side of its box."""
    if len(rows) == 0:
        return np.zeros((len(boxes), 4), bool)
    around = np.zeros((len(boxes), SIDE + 2 * MARGIN, SIDE + 2 * MARGIN), bool)
    for row, sampled in zip(rows.tolist(), sample(masks, columns, boxes, boxes[rows], AROUND), strict=True):
        around[row] |= sampled
    inner = slice(MARGIN, -MARGIN)
    sides = (
        around[:, inner, :MARGIN].any(axis=2),
        around[:, :MARGIN, inner].any(axis=1),
        around[:, inner, -MARGIN:].any(axis=2),
        around[:, -MARGIN:, inner].any(axis=1),
    )
    goes_on = (ends & np.stack(sides, axis=1)).sum(axis=2)
    touched: BoolArray = goes_on > CONTACT * np.maximum(ends.sum(axis=2), 1)
    return touched


def beyond_cuts(boxes: FloatArray, extents: FloatArray, cut: BoolArray) -> BoolArray:
    """[N, GRID, GRID]: the cells of the extents that lie on the far side of a cut."""
    points = extents[:, :2, None] + (extents[:, 2:] - extents[:, :2])[:, :, None] * INSIDE
    outside = (points < boxes[:, :2, None]) & cut[:, :2, None] | (points > boxes[:, 2:, None]) & cut[:, 2:, None]
    return outside[:, 1, :, None] | outside[:, 0, None, :]


def filled(masks: BoolArray) -> BoolArray:
    """Each mask with all that lies between its own cells along a row or a column."""
    either = np.logical_or.accumulate
    filled = np.zeros_like(masks)
    for axis in (1, 2):
        filled |= either(masks, axis) & np.flip(either(np.flip(masks, axis), axis), axis)
    return filled


def visible_shares(view: View, front: FloatArray, beyond: BoolArray) -> tuple[FloatArray, IntArray]:
    """Visible share and the id of what hides most, for each instance."""
    n = len(view.own)
    if n == 0:
        return np.zeros(0, np.float32), np.zeros(0, np.int64)
    hidden, share = beyond & view.shapes & ~view.own, np.zeros((n, n), np.float32)
    for row, column, other in zip(view.rows.tolist(), view.columns.tolist(), view.others, strict=True):
        if front[row, column] > 0:
            part = other & view.shapes[row]
            hidden[row] |= part
            share[row, column] = np.count_nonzero(part)
    whole = np.maximum((view.own | hidden).sum(axis=(1, 2)), 1)
    visible = 1 - hidden.sum(axis=(1, 2)) / whole
    most = share.argmax(axis=1)
    by = np.where(share[np.arange(n), most] >= LEAST * whole, view.ids[most], 0)
    return visible.astype(np.float32), by


def depth_order(front: FloatArray, extents: FloatArray) -> IntArray:
    """[N] rank, 0 the nearest: one after the other, whichever has least in front of it; of equals, the lowest in the picture."""
    n = len(front)
    ranks = np.zeros(n, np.int64)
    against = np.maximum(front, 0)
    burden = against.sum(1)
    lowest = np.lexsort((-extents[:, 3],)) if n else ranks
    left: list[int] = lowest.tolist()
    for rank in range(n):
        nearest = min(left, key=lambda i: burden[i])
        left.remove(nearest)
        ranks[nearest] = rank
        burden = burden - against[:, nearest]
    return ranks


def at_border(boxes: FloatArray, size: tuple[int, int]) -> BoolArray:
    """[N, 4] for left, top, right, bottom."""
    width, height = size
    low, high = boxes[:, :2] <= AT_BORDER, boxes[:, 2:] >= np.array([width, height], np.float32) - AT_BORDER
    return np.concatenate([low, high], axis=1)
