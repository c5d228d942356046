"""The smooth stage: averages each track's mask over time, so that it does not flicker, and fills in frames without detection.

A network looks at each frame afresh, so outlines tremble even where nothing moves. Here each track's mask is a running mean: the
mask of before is first moved along the optical flow, then averaged with the new one, so that both speak of the same point of the
object. The past weighs less the longer ago it is. It weighs nothing at points where the pictures differ along the flow (something
was hidden, uncovered or too fast), and nothing at all where the two masks have little in common. So nothing is smeared over a cut,
no ghost is left behind, and a new object has its own mask in its first frame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from streamseg.core.result import Result
from streamseg.core.types import Frame
from streamseg.temporal import warp
from streamseg.temporal.flow import Flow, FlowCache
from streamseg.temporal.propagate import Propagate

__all__ = ["Smooth", "Smoother"]

UNLIKE, ALIKE = 0.4, 0.75
"""Soft IoU of the moved and the new mask: up to UNLIKE the past has no weight, from ALIKE on its full weight."""
BOX_NOISE = 0.04
"""Share of a box's size by which detectors usually err: its sides are averaged while they differ by less, and followed beyond."""

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


@dataclass(slots=True)
class _Past:
    """The tracks of the frame before, smoothed; arrays of one length T."""

    frame: Frame
    time: float
    """When the network last ran, seconds."""
    ids: IntArray
    boxes: FloatArray
    masks: FloatArray
    """[T, M, M], 0..255."""
    ages: IntArray
    """[T] how many frames in a row went into the mean."""


class Smooth:
    """The stage: averages masks, or boxes alone, over time where the network ran, and moves them along the flow elsewhere."""

    def __init__(self, masks: Smoother | None, flows: FlowCache | None = None) -> None:
        """masks: what averages; None: nothing is averaged. flows: shared with the other stages that need flow."""
        self._masks = masks
        self._propagate = Propagate(flows)

    def adopt(self, former: object) -> None:
        """Carry on what it carried, and average with what it averaged."""
        if isinstance(former, Smooth):
            self._propagate = former._propagate
            if self._masks is not None and former._masks is not None:
                self._masks.adopt(former._masks)

    def __call__(self, result: Result) -> Result:
        """The result with better masks."""
        if self._masks is not None and result.detected:
            result = self._masks(result)
        result = self._propagate(result)
        if self._masks is not None and not result.detected:
            self._masks.follow(result)
        return result


class Smoother:
    """Call it with each Result, tracked, in order. Holds one mask for each track of the frame before, nothing else.

    seconds: time constant of the mean; a mask so long ago weighs 1 / e. Untracked instances (id 0) pass unchanged.
    """

    def __init__(self, seconds: float = 0.08, flows: FlowCache | None = None) -> None:
        if not 0 < seconds < math.inf:
            raise ValueError(f"seconds is {seconds}; allowed: more than 0")
        self._seconds = seconds
        self._flows = flows or FlowCache()
        self._past: _Past | None = None

    def adopt(self, former: Smoother) -> None:
        """Go on with its masks."""
        self._flows, self._past = former._flows, former._past

    def __call__(self, result: Result) -> Result:
        """The result with steadier boxes and masks."""
        found, past = result.instances, self._past
        ages = np.ones(len(found), np.int64)
        boxes, masks = found.boxes, warp.shapes(found)
        rows, columns = _both(past.ids, found.track_ids) if past is not None else (ages[:0], ages[:0])
        if past is not None and len(rows):
            where = np.concatenate([past.boxes[rows], boxes[columns]])
            flow = self._flows.between(past.frame, result.frame, where)
            if flow is not None:
                keep = math.exp(-max(0.0, result.frame.time - past.time) / self._seconds)
                boxes = boxes.copy()
                boxes[columns], masks[columns] = _mean(past, rows, boxes[columns], masks[columns], flow, keep)
                ages[columns] = past.ages[rows] + 1
        known = found.track_ids > 0
        time = result.frame.time
        self._past = _Past(result.frame, time, found.track_ids[known], boxes[known], masks[known], ages[known])
        levels = np.rint(masks).astype(np.uint8) if found.has_shapes else found.masks
        return replace(result, instances=replace(found, boxes=boxes, masks=levels))

    def follow(self, result: Result) -> None:
        """Remember a result whose masks were moved along the flow: nothing was detected, but this is where the objects are now."""
        found, past = result.instances, self._past
        known = found.track_ids > 0
        ids, time = found.track_ids[known], result.frame.time if past is None else past.time
        ages = np.ones(len(ids), np.int64)
        if past is not None:
            rows, columns = _both(past.ids, ids)
            ages[columns] = past.ages[rows]
        self._past = _Past(result.frame, time, ids, found.boxes[known], warp.shapes(found)[known], ages)


def _both(before: IntArray, now: IntArray) -> tuple[IntArray, IntArray]:
    """Indices, in `before` and in `now`, of the ids that are in both."""
    _, rows, columns = np.intersect1d(before, now, return_indices=True)
    tracked = before[rows] > 0
    return rows[tracked], columns[tracked]


def _mean(
    past: _Past, rows: IntArray, new_boxes: FloatArray, new_masks: FloatArray, flow: Flow, keep: float
) -> tuple[FloatArray, FloatArray]:
    """Boxes and masks of the tracks seen in both frames: of the past's `rows`, now at `new_boxes` with `new_masks`."""
    width, height = past.frame.width, past.frame.height
    # A young mean trusts its past less: the first mask is no better than the second.
    weight = np.minimum(keep, past.ages[rows] / (past.ages[rows] + 1)).astype(np.float32)
    side = new_masks.shape[-1]
    skip = warp.coarse(side)
    points, coarse = warp.cells(new_boxes, side, skip), new_masks[:, ::skip, ::skip]
    sources, likeness = flow.at(points)
    old = warp.look_up(past.masks[rows], past.boxes[rows], sources, width, height)
    agreement = np.clip((_soft_iou(old, coarse) - UNLIKE) / (ALIKE - UNLIKE), 0, 1)
    carried = warp.moved_boxes(past.boxes[rows], points, sources, likeness * (np.minimum(old, coarse) > 127))
    boxes = _steady(carried, new_boxes, weight * agreement, width, height)
    # Once more over the boxes as they will be: the grid moves with its box.
    points, sources, likeness = warp.traced(flow, boxes, side)
    old = warp.look_up(past.masks[rows], past.boxes[rows], sources, width, height)
    new = warp.look_up(new_masks, new_boxes, points, width, height)
    # new + share * (old - new), in place: these arrays may be larger than the cache.
    likeness *= (weight * agreement)[:, None, None]
    old -= new
    old *= likeness
    old += new
    return boxes, old


def _soft_iou(a: FloatArray, b: FloatArray) -> FloatArray:
    """[N] of soft masks [N, r, c] at the same points."""
    both, either = np.minimum(a, b).sum((1, 2)), np.maximum(a, b).sum((1, 2))
    return np.asarray(both / np.maximum(either, 1e-6), np.float32)


def _steady(carried: FloatArray, new: FloatArray, weight: FloatArray, width: int, height: int) -> FloatArray:
    """Puts each side between where it was moved to and where it is found; the closer the two, the more the past weighs."""
    size = np.tile(np.maximum(new[:, 2:] - new[:, :2], 1e-3), 2)
    off = (carried - new) / size
    share = weight[:, None] * np.exp(-((off / BOX_NOISE) ** 2))
    limit = np.array([width, height, width, height], np.float32)
    boxes = np.clip(new + share * (carried - new), 0, limit)
    # The frame's border is exact: a box that ends there goes on beyond.
    at_border = (new <= 0.5) | (new >= limit - 0.5)
    return np.where(at_border, new, boxes).astype(np.float32)
