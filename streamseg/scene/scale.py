"""How much the picture of each object grew since an earlier frame, from the picture itself.

A small patch of the object is kept, and laid over each later frame such that both fit: shifted, scaled, brightened (Lucas and
Kanade 1981, in the inverse compositional form of Baker and Matthews, "Lucas-Kanade 20 years on", IJCV 2004). Each point weighs by
how well it fits, so that what passes in front, or shines, has little to say; and only points inside the mask take part.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.core.types import Instances
from streamseg.scene.grey import Grey

__all__ = ["CELLS", "Patches", "Seen"]

CELLS = 24
"""A side of a patch."""
LEAST_STEP = 0.45
"""Frame pixels between two cells, at least: an object of fewer pixels says less than its box."""
LEAST_INSIDE = 60
"""Cells that the mask must cover."""
LONGER = 2.2
"""A patch of a long object spans so many times its shorter side at most."""
ROUNDS = 3
FARTHEST = 0.3
"""Shift from where the box is, in sides of the patch, that is believed."""
ODD = 2.5
"""Deviations at which a point counts a half."""
LEAST_AGREE = 0.55
"""Share of the points, weighted, that must agree."""
LIKENESS = 0.7
"""Correlation of the patches, at least."""
NEIGHBOURS = 4.0
"""Errors of neighbouring cells are alike: so many of them say as much as one."""
WORST_STD = 0.03

FloatArray = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

_OFFSET = np.arange(CELLS, dtype=np.float32) - (CELLS - 1) / 2
_ACROSS, _DOWN = (np.ascontiguousarray(a.ravel()) for a in np.meshgrid(_OFFSET, _OFFSET))


@dataclass(slots=True)
class Patches:
    """Of each of `count` tracks, one patch; rows are the tracks'."""

    count: int
    shapes: FloatArray
    """[count, 5, CELLS²]: how a patch changes by a shift across and down (cells), by growth, by contrast and by brightness."""
    patch: FloatArray
    """[count, CELLS²]."""
    inside: FloatArray
    """[count, CELLS²] 1 inside the mask."""
    step: Doubles
    """[count] frame pixels."""
    moved: Doubles
    """[count, 2] from the box's centre, steps: where the patch was found last."""
    scale: Doubles
    """[count] log scale at which it was found last; NaN: there is none."""

    @classmethod
    def none(cls, count: int) -> Patches:
        """For so many tracks."""
        area = CELLS * CELLS
        shapes, flat = np.zeros((count, 5, area), np.float32), np.zeros((count, area), np.float32)
        return cls(count, shapes, flat, flat.copy(), np.ones(count), np.zeros((count, 2)), np.full(count, np.nan))

    def grown(self, count: int) -> Patches:
        """With room for more."""
        more = Patches.none(count)
        for name in ("shapes", "patch", "inside", "step", "moved", "scale"):
            getattr(more, name)[: self.count] = getattr(self, name)
        return more

    def keep(self, row: int, grey: Grey, found: Instances, i: int) -> bool:
        """Take the patch of instance `i` for the track in `row`; False: it is too small."""
        box = found.boxes[i].astype(np.float64)
        width, height = box[2] - box[0], box[3] - box[1]
        step = min(max(width, height), LONGER * min(width, height)) / CELLS
        self.scale[row] = np.nan
        if step < LEAST_STEP:
            return False
        inside = _inside(found, i, step / width, step / height)
        if inside.sum() < LEAST_INSIDE:
            return False
        patch = grey.crop(((box[0] + box[2]) / 2, (box[1] + box[3]) / 2), step, CELLS)
        shapes = self.shapes[row]
        shapes[0], shapes[1] = (cv2.Sobel(patch, cv2.CV_32F, *way, ksize=1, scale=0.5).ravel() for way in ((1, 0), (0, 1)))
        shapes[2] = shapes[0] * _ACROSS + shapes[1] * _DOWN
        self.patch[row], self.inside[row] = patch.ravel(), inside.ravel()
        shapes[3], shapes[4] = self.patch[row] - np.average(self.patch[row], weights=self.inside[row]), 1
        self.step[row], self.scale[row], self.moved[row] = step, 0.0, 0.0
        return True

    def find(self, rows: npt.NDArray[np.intp], grey: Grey, boxes: Doubles, guess: Doubles) -> Seen:
        """Lay the patches of `rows` [n] over a frame, whose `boxes` [n, 4] are xyxy; `guess` [n]: log scale expected."""
        middle = (boxes[:, :2] + boxes[:, 2:]) / 2
        step, patch, shapes = self.step[rows], self.patch[rows], self.shapes[rows]
        scale = guess.copy()
        center = middle + self.moved[rows] * (step * np.exp(scale))[:, None]
        inside, begin = self.inside[rows], center.copy()
        weights, total = inside, inside.sum(1)
        area = CELLS * CELLS
        for _ in range(ROUNDS):
            now = step * np.exp(scale)
            taken = np.empty((len(rows), area), np.float32)
            for k, (place, size) in enumerate(zip(center.tolist(), now.tolist(), strict=True)):
                taken[k] = grey.crop((place[0], place[1]), size, CELLS).ravel()
            error = taken - patch
            weighted = shapes * weights[:, None]
            normal = (weighted @ shapes.transpose(0, 2, 1)).astype(np.float64)
            normal[:, np.arange(5), np.arange(5)] += np.array([1e-3, 1e-3, 1e-1, 1e-3, 1e-3]) * total[:, None]
            solved = np.linalg.solve(normal, (weighted @ error[:, :, None]).astype(np.float64))[..., 0]
            scale -= np.clip(solved[:, 2], -0.15, 0.15)
            center -= np.clip(solved[:, :2], -3, 3) * now[:, None]
            rest = np.abs(error - (solved[:, None].astype(np.float32) @ shapes)[:, 0])
            spread = np.maximum(1.25 * (rest * weights).sum(1) / weights.sum(1), 0.5)
            weights = inside / (1 + np.square(rest / (ODD * spread[:, None])))
        inverse = np.linalg.inv(normal)
        std = spread * np.sqrt(inverse[:, 2, 2] * NEIGHBOURS)
        contrast = np.sqrt((np.square(shapes[:, 3]) * weights).sum(1) / weights.sum(1))
        alike = 1 / np.sqrt(1 + np.square(spread / np.maximum(contrast, 1e-3)))
        far = np.abs(center - begin).max(1) / (step * np.exp(scale) * CELLS)
        good = (weights.sum(1) > LEAST_AGREE * total) & (alike > LIKENESS) & (std < WORST_STD) & (far < FARTHEST)
        good &= np.abs(scale - guess) < 0.2
        self.scale[rows[good]] = scale[good]
        self.moved[rows[good]] = ((center - middle) / (step * np.exp(scale))[:, None])[good]
        return Seen(scale, std, good)


@dataclass(frozen=True, slots=True)
class Seen:
    """How patches were found."""

    scale: Doubles
    """[n] logarithm of how much they grew since they were kept."""
    std: Doubles
    """[n] its standard deviation, as the fit says."""
    good: npt.NDArray[np.bool_]


def _inside(found: Instances, i: int, across: float, down: float) -> FloatArray:
    """[CELLS, CELLS] 1 in the cells of a patch that are surely inside the mask; `across`, `down`: a cell in sides of the box."""
    grid = found.mask_or_box[i]
    side = grid.shape[0]
    x, y = 0.5 + _OFFSET * across, 0.5 + _OFFSET * down
    columns, rows = (np.floor(v * side).astype(int) for v in (x, y))
    held = np.zeros((CELLS, CELLS), np.uint8)
    ok_y, ok_x = (rows >= 0) & (rows < side), (columns >= 0) & (columns < side)
    held[np.ix_(ok_y, ok_x)] = grid[np.ix_(rows[ok_y], columns[ok_x])] > 127
    if side == 1:  # a box alone: its corners show what is behind
        held &= (np.square((x - 0.5)[None] * 2) + np.square((y - 0.5)[:, None] * 2) < 0.8).astype(np.uint8)
    inner = cv2.erode(held, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=1)
    inner[0], inner[-1], inner[:, 0], inner[:, -1] = 0, 0, 0, 0
    return inner.astype(np.float32)
