"""The occlusion stage: how much of each instance is seen, what hides the rest, and which of two is nearer.

A network's masks show only what is visible. The rest is known from earlier frames: the extent of each track (box and mask) is
remembered from when nothing touched it. A part of that extent is hidden where another instance's mask is now, and the track's own
is not. Of two instances that touch, the one that loses more of its remembered extent to the other is behind. If nothing is
remembered, two other signs tell: the shape (the mask behind has a bite that the other fills), and the ground (what stands lower in
the picture is nearer); Hoiem et al., "Recovering Occlusion Boundaries from an Image", IJCV 2011, use the same signs. Evidence is
collected over seconds.

All of this happens on small grids, each over one instance's extent.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from streamseg.core.masks import resized
from streamseg.core.result import Result
from streamseg.core.types import Instances, Occlusion
from streamseg.occlusion.grids import (
    GRID,
    INSIDE,
    SIDE,
    BoolArray,
    FloatArray,
    IntArray,
    View,
    at_border,
    balance,
    beyond_cuts,
    depth_order,
    filled,
    reached_sides,
    sample,
    touched_sides,
    touching,
    visible_shares,
)

__all__ = ["OcclusionEstimator"]

SHAPE_TIME = 0.15
"""Seconds over which the remembered mask and size follow what is seen (exponentially)."""
EVIDENCE_TIME = 1.0
"""Seconds over which evidence about a pair fades."""
FIRST = 0.04
"""The first sight of a pair counts like evidence of so many seconds."""
BITE_WEIGHT = 0.7
"""Of the shape's evidence, beside 1 for what was remembered."""
NOW_WEIGHT = 0.1
"""Of this frame's evidence, beside 1 for the mean over time."""
GROUND_WEIGHT = 0.6
GROUND_REACH = 0.1
"""By the ground, the one that stands lower by this share of both heights is nearer for sure; by less, with less certainty."""
CUT, CUT_CHANGE = 0.5, 0.25
"""Share of a side of the box that the mask reaches, and how much more than it used to, when something cuts it off."""


@dataclass(slots=True)
class _Memory:
    """What is remembered of a track."""

    box: FloatArray
    """[4] xyxy: the whole extent when last seen."""
    size: FloatArray
    """[2] width and height when nothing touched it."""
    velocity: FloatArray
    """[2] of the extent's centre, pixels a second."""
    shape: FloatArray
    """[GRID, GRID] in 0..1 over the extent."""
    runs: FloatArray
    """[4] share of each side of the box that the mask reached."""
    time: float


class OcclusionEstimator:
    """Adds `occlusion` to each result. Needs track ids; instances without one are judged by what the frame alone shows.

    What is remembered ends with the epoch, and with a track that was not seen for `max_age` seconds.
    """

    def __init__(self, max_age: float = 2.0) -> None:
        if max_age <= 0:
            raise ValueError(f"max_age is {max_age}; allowed: more than 0 seconds")
        self._max_age = max_age
        self._epoch: int | None = None
        self._memory: dict[int, _Memory] = {}
        self._pairs: dict[tuple[int, int], tuple[float, float]] = {}

    def __call__(self, result: Result) -> Result:
        """Judge one frame; frames must come in the order of their pts."""
        frame, found = result.frame, result.instances
        if frame.epoch != self._epoch:
            self._epoch, self._memory, self._pairs = frame.epoch, {}, {}
        size = (frame.width, frame.height)
        return replace(result, occlusion=self._judge(found, size, frame.time))

    def _judge(self, found: Instances, size: tuple[int, int], time: float) -> Occlusion:
        masks = resized(found.mask_or_box, SIDE) > 127
        rows, columns = touching(found.boxes)
        border, reached = at_border(found.boxes, size), reached_sides(masks)
        touched = touched_sides(found.boxes, masks, reached, rows, columns)
        runs = reached.mean(axis=2)
        cut = self._cut_sides(found.track_ids, runs, np.asarray((touched | border).any(axis=1)))
        extents = self._extents(found, touched | cut, border, size, time)
        own = sample(masks, np.arange(len(found)), found.boxes, extents, INSIDE)
        others = sample(masks, columns, found.boxes, extents[rows], INSIDE)
        view = View(found.track_ids, extents, own, self._shapes(found.track_ids, own), others, rows, columns)
        front = self._in_front(view, time)
        lost = beyond_cuts(found.boxes, extents, cut)
        visible, by = visible_shares(view, front, lost)
        self._learn(view, touched | cut, lost, runs, time)
        return Occlusion(visible, by, depth_order(front, extents), np.asarray(border.any(axis=1)), extents)

    # --- the extent -----------------------------------------------------------------------------------------------------

    def _cut_sides(self, ids: IntArray, runs: FloatArray, explained: BoolArray) -> BoolArray:
        """[N, 4]: what is no instance hides the rest: the mask ends along a line there, did not before, and nothing explains it."""
        cut = (runs > CUT) & ~explained[:, None]
        for i, track in enumerate(ids.tolist()):
            memory = self._memory.get(track)
            cut[i] &= memory is not None and runs[i] > memory.runs + CUT_CHANGE
        return cut

    def _extents(
        self, found: Instances, uncertain: BoolArray, border: BoolArray, size: tuple[int, int], time: float
    ) -> FloatArray:
        """[N, 4]: the boxes, their uncertain sides moved out to where the remembered size puts them."""
        extents = found.boxes.copy()
        for i in np.flatnonzero(uncertain.any(axis=1)):
            memory = self._memory.get(int(found.track_ids[i]))
            if memory is None:
                continue
            for axis in (0, 1):
                low, high = float(extents[i, axis]), float(extents[i, axis + 2])
                length = float(memory.size[axis])
                free_low, free_high = not uncertain[i, axis], not uncertain[i, axis + 2]
                if free_low and free_high:
                    continue
                if free_low and not border[i, axis]:
                    high = max(high, low + length)
                elif free_high and not border[i, axis + 2]:
                    low = min(low, high - length)
                else:
                    centre = float(memory.box[axis] + memory.box[axis + 2]) / 2
                    centre += float(memory.velocity[axis]) * (time - memory.time)
                    low = low if free_low else min(low, centre - length / 2)
                    high = high if free_high else max(high, centre + length / 2)
                extents[i, axis], extents[i, axis + 2] = max(low, 0.0), min(high, float(size[axis]))
        return extents

    def _shapes(self, ids: IntArray, own: BoolArray) -> BoolArray:
        """[N, GRID, GRID]: what is seen, and what is remembered of the rest."""
        shapes = own.copy()
        for i, track in enumerate(ids.tolist()):
            if (memory := self._memory.get(track)) is not None:
                shapes[i] |= memory.shape > 0.5
        return shapes

    def _learn(self, view: View, uncertain: BoolArray, beyond: BoolArray, runs: FloatArray, time: float) -> None:
        hidden = beyond.copy()
        for row, other in zip(view.rows.tolist(), view.others, strict=True):
            hidden[row] |= other
        for i, track in enumerate(view.ids.tolist()):
            if not track:
                continue
            box, size = view.extents[i], view.extents[i, 2:] - view.extents[i, :2]
            memory = self._memory.get(track)
            if memory is None:
                still, shape = np.zeros(2, np.float32), view.own[i].astype(np.float32)
                self._memory[track] = _Memory(box.copy(), size, still, shape, runs[i].copy(), time)
                continue
            elapsed = np.float32(max(time - memory.time, 1e-3))
            gain = 1 - np.exp(-elapsed / SHAPE_TIME)
            moved = (box[:2] + box[2:] - memory.box[:2] - memory.box[2:]) / 2
            memory.velocity += gain * (moved / elapsed - memory.velocity)
            free = ~(uncertain[i, :2] | uncertain[i, 2:])
            memory.size = np.where(free, memory.size + gain * (size - memory.size), np.maximum(memory.size, size))
            memory.shape += gain * np.where(hidden[i] & ~view.own[i], 0, view.own[i] - memory.shape)
            if free.all():
                memory.runs += gain * (runs[i] - memory.runs)
            memory.box, memory.time = box.copy(), time
        for track in [t for t, memory in self._memory.items() if time - memory.time > self._max_age]:
            del self._memory[track]

    # --- which is nearer ------------------------------------------------------------------------------------------------

    def _in_front(self, view: View, time: float) -> FloatArray:
        """[N, N]: how sure it is that column j is in front of row i; antisymmetric, 0 for those that do not touch."""
        n, rows, columns = len(view.ids), view.rows, view.columns
        front = np.zeros((n, n), np.float32)
        if len(rows) == 0:
            return front
        box = view.extents
        cells = (box[:, 2:] - box[:, :2]).prod(axis=1) / GRID**2
        taken = view.others & ~view.own[rows]
        lost, bitten = np.zeros((n, n), np.float32), np.zeros((n, n), np.float32)
        lost[rows, columns] = (view.shapes[rows] & taken).sum(axis=(1, 2)) * cells[rows]
        bitten[rows, columns] = (filled(view.own)[rows] & taken).sum(axis=(1, 2)) * cells[rows]
        area = np.maximum(view.own.sum(axis=(1, 2)) * cells, 1)
        smaller = np.minimum(area[:, None], area[None])
        seen = balance(lost, smaller) + BITE_WEIGHT * balance(bitten, smaller)
        height = box[:, 3] - box[:, 1]
        lower = (box[None, :, 3] - box[:, None, 3]) / (GROUND_REACH * (height[None] + height[:, None]))
        ground = GROUND_WEIGHT * np.clip(lower, -1, 1)
        front[rows, columns] = ground[rows, columns] + self._remembered(view.ids, rows, columns, seen, time)
        return front

    def _remembered(self, ids: IntArray, rows: IntArray, columns: IntArray, seen: FloatArray, time: float) -> list[float]:
        totals = []
        for i, j in zip(rows.tolist(), columns.tolist(), strict=True):
            pair = (int(ids[i]), int(ids[j]))
            now = float(seen[i, j])
            if 0 in pair:
                totals.append(now)
                continue
            before, then = self._pairs.get(pair, (0.0, time))
            gain = 1 - np.exp(-max(time - then, FIRST) / EVIDENCE_TIME)
            total = before + float(gain) * (now - before)
            self._pairs[pair] = (total, time)
            totals.append(NOW_WEIGHT * now + total)
        if len(self._pairs) > 4 * len(rows) + 64:
            self._pairs = {p: v for p, v in self._pairs.items() if time - v[1] <= self._max_age}
        return totals
