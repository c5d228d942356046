"""The refine stage for films: soft mattes at the picture's own resolution, which may reach beyond a box that is too small.

As `refine`, by guided filters with a colour guide (He, Sun and Tang, TPAMI 2013), but

- over a larger box: just outside of the detector's box, nothing is known. There a point's label weighs little, less the nearer the
  box is, so that the picture decides: what is coloured as the object is inside goes on, what is coloured as the ground is not;
- in windows that are about as wide as high in the picture, whatever the box's shape is;
- several times, each on a grid twice as fine as the one before: first windows that are wide and sure, then small and exact ones;
- what comes out is alpha, the share of a point that the object covers, by the local model of colours that closed-form matting has
  (Levin, Lischinski and Weiss 2008): hair and blur stay soft.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.core.masks import cut_sides, resized
from streamseg.core.result import Result
from streamseg.temporal import warp
from streamseg.temporal.pyramid import Pyramid
from streamseg.temporal.refine import EPSILON, LEAST_VARIANCE, solve

__all__ = ["Matting"]

FIRST = 28
"""Cells a side of the box on which it begins."""
BEYOND = 3
"""Cells of FIRST around the box that are looked at: a tenth of it on each side."""
UNSURE = 1.0
"""Cells of FIRST from the box at which a point is likely not the object's: 1 - e^(-1/2) of full weight."""
GOES_ON = 0.75
"""How likely what the mask shows at a box's side is beyond it, at most, where the picture does not tell."""
NEAR_BORDER = 1.5
"""Cells of FIRST: what lies between a box and the frame's border, not more, is not taken for ground."""
RADIUS = 4.0
"""Cells from the middle of a window to its edge, in boxes as wide as high; along longer sides less, along shorter ones more."""
LATER_RADIUS = 3.0
"""The same on the finer grids."""
LEAST_RADIUS, MOST_RADIUS = 1, 6
MARGIN = 2 * MOST_RADIUS
"""Cells around what is looked at: two windows, one behind the other, reach so far."""
SMALLEST_CELL = 2.0
"""Frame pixels: no finer grid is fitted."""
MOST_LEVELS = 3
STEEPER = 2.0
"""How much steeper the ramps of each grid are made for the next one, whose cells are half as wide."""
LAST_STEEPER = 1.5
"""The same for what is given: it makes up for what the windows soften. On made scenes 1 is best; real ground keeps a haze then."""
PIXELS = 1.5
"""Frame pixels of a cell of what is given."""
FINEST, COARSEST = 320, 56
MOST_CELLS = 400_000
"""Of all mattes of a frame together. With many large objects each gets fewer, so that the cost of a frame is bounded."""
LEAST_SIDE = 4.0
"""Frame pixels: smaller boxes keep their mask."""
SEEN = 0.25
"""A box grows to what has at least this alpha."""

FloatArray = npt.NDArray[np.float32]
ByteArray = npt.NDArray[np.uint8]
Array = npt.NDArray[Any]
Radii = tuple[int, int]


class Matting:
    """Sets `Instances.fine` and `mattes`, and makes boxes larger that cut their object off. Keeps nothing between frames."""

    def __call__(self, result: Result) -> Result:
        """The result with a matte for each instance; a mask that is its whole box stays."""
        found = result.instances
        if not found.has_shapes:
            return result
        sizes = np.clip(found.boxes[:, 2:] - found.boxes[:, :2], 0, None)
        large = np.flatnonzero(sizes.min(1, initial=np.inf) >= LEAST_SIDE)
        if not len(large):
            return result
        pictures, frame = Pyramid(result.frame), (result.frame.width, result.frame.height)
        boxes, masks = found.boxes.copy(), found.masks.copy()
        fine: list[ByteArray | None] = [None] * len(found)
        for i, cells in zip(large.tolist(), _cells(np.sqrt(sizes[large].prod(1))).tolist(), strict=True):
            fitted = _Fitted(pictures, found.boxes[i], found.masks[i], frame)
            boxes[i], fine[i] = fitted.box, fitted.matte(cells)
            if (boxes[i] != found.boxes[i]).any():
                masks[i] = fitted.mask(found.side)
        return replace(result, instances=replace(found, boxes=boxes, masks=masks, fine=tuple(fine), mattes=True))


def _cells(sides: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """[N] cells a side of the mattes of boxes whose areas are the squares of `sides`, frame pixels."""
    cells = np.clip(sides / PIXELS, COARSEST, FINEST)
    share = min(1.0, math.sqrt(MOST_CELLS / float(np.square(cells).sum())))
    return np.asarray(np.clip(cells * share, COARSEST, FINEST), np.int64)


class _Fitted:
    """The local functions from colours to alpha of one instance, around its box, and the box that holds all of it."""

    def __init__(self, pictures: Pyramid, box: FloatArray, mask: ByteArray, frame: tuple[int, int]) -> None:
        self._pictures, self._frame = pictures, frame
        size = box[2:] - box[:2]
        self._around = np.concatenate([box[:2] - BEYOND / FIRST * size, box[2:] + BEYOND / FIRST * size]).astype(np.float32)
        radii = _radii(float(size[1] / size[0]), RADIUS)
        later = _radii(float(size[1] / size[0]), LATER_RADIUS)
        side = FIRST + 2 * BEYOND
        label, weight, likely = self._beginning(mask, side)
        levels = int(np.clip(1 + math.log2(max(1.0, math.sqrt(float(size.prod())) / FIRST / SMALLEST_CELL)), 1, MOST_LEVELS))
        picture = self._picture(side)
        terms, doubt = _fit(picture, label, weight, radii, likely)
        alpha = np.clip(_alpha(terms, picture), 0, 1)
        inner = slice(MARGIN, -MARGIN)
        self._coarse = np.where(self._inside(side, box), label, alpha)[inner, inner]
        for _ in range(1, levels):
            side *= 2
            picture = self._picture(side)
            label = np.clip((_alpha(_finer(terms), picture) - 0.5) * STEEPER + 0.5, 0, 1)
            if len(mask) > FIRST:  # it says more than the grid before could hold: that counts where the picture does not tell
                label = np.clip(label + _finer(doubt) * _detail(mask, side), 0, 1)
            terms, doubt = _fit(picture, label, self._within_frame(side), later)
            alpha = _alpha(terms, picture)
        self._terms, self._side = terms[inner, inner], side
        alpha = alpha[inner, inner]
        alone = _alone(alpha, self._coarse)
        self._terms[alone] = alpha[alone] = 0
        self.box = self._grown(box, alpha)

    def matte(self, cells: int) -> ByteArray:
        """Alpha on a grid [cells, cells] that spans `box`, 0..255."""
        unit = (self._around[2:] - self._around[:2]) / self._side
        step = (self.box[2:] - self.box[:2]) / cells / unit
        start = (self.box[:2] - self._around[:2]) / unit
        place = np.array(
            [[step[0], 0, start[0] + 0.5 * step[0] - 0.5], [0, step[1], start[1] + 0.5 * step[1] - 0.5]], np.float32
        )
        terms: FloatArray = cv2.warpAffine(  # type: ignore[assignment]
            self._terms, place, (cells, cells), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
        )
        codes = self._pictures.crop(self.box, cells)[..., :3]
        alpha = _alpha(terms, np.multiply(codes, np.float32(self._pictures.unit), dtype=np.float32))
        return np.asarray(np.rint(np.clip((alpha - 0.5) * (255 * LAST_STEEPER) + 127.5, 0, 255)), np.uint8)

    def mask(self, side: int) -> ByteArray:
        """The network's mask, and what goes on beyond its box, on a grid [side, side] that spans `box`, 0..255."""
        points = warp.cells(self.box[None], side)
        levels = warp.look_up(255 * self._coarse[None], self._around[None], points, *self._frame)[0]
        return np.asarray(np.rint(levels), np.uint8)

    def _beginning(self, mask: ByteArray, side: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The mask and how sure it is, [T, T], T is `side` and the margins: outside of the box it is 0, and unsure near by.

        Third, what is likely where the picture does not tell: there it goes on beyond the box, as far as it is unsure.
        """
        total = side + 2 * MARGIN
        inner = slice(MARGIN + BEYOND, MARGIN + BEYOND + FIRST)
        label = np.zeros((total, total), np.float32)
        label[inner, inner] = resized(mask[None], FIRST)[0].astype(np.float32) / 255
        beyond = np.ones((total, total), np.bool_)
        beyond[inner, inner] = False
        off_x, off_y = self._off(total)
        distance = np.maximum(off_y[:, None], off_x[None])
        sure = np.where(beyond, 1 - np.exp(-0.5 * np.square(distance / UNSURE)), 1).astype(np.float32)
        on = np.pad(label[inner, inner], MARGIN + BEYOND, mode="edge")
        return label, sure * self._within_frame(side), np.where(beyond, on * np.minimum(1 - sure, GOES_ON), label)

    def _off(self, total: int) -> tuple[FloatArray, FloatArray]:
        """How far the cells of a row, and of a column, are off the box, in cells: 0 inside, and 0 up to the frame's border where
        that is near, since what comes so close to it mostly goes on."""
        place = np.arange(total, dtype=np.float32) - np.float32((total - 1) / 2)
        offs = []
        for axis in (0, 1):
            cell = float(self._around[axis + 2] - self._around[axis]) / (FIRST + 2 * BEYOND)
            low, high = self._around[axis] + BEYOND * cell, self._around[axis + 2] - BEYOND * cell
            off = np.maximum(np.abs(place) - np.float32((FIRST - 1) / 2), 0)
            off[(place < 0) & (low < NEAR_BORDER * cell)] = 0
            off[(place > 0) & (self._frame[axis] - high < NEAR_BORDER * cell)] = 0
            offs.append(off)
        return offs[0], offs[1]

    def _centres(self, side: int) -> tuple[FloatArray, FloatArray]:
        """x and y of the cells' centres, margins included, frame pixels."""
        steps = (np.arange(-MARGIN, side + MARGIN, dtype=np.float32) + np.float32(0.5)) / np.float32(side)
        (x0, y0, x1, y1) = self._around
        return x0 + steps * (x1 - x0), y0 + steps * (y1 - y0)

    def _within_frame(self, side: int) -> FloatArray:
        """[T, T]: 1 inside of the frame, 0 outside, of which nothing is known."""
        x, y = self._centres(side)
        width, height = self._frame
        return np.outer((y > 0) & (y < height), (x > 0) & (x < width)).astype(np.float32)

    def _inside(self, side: int, box: FloatArray) -> npt.NDArray[np.bool_]:
        x, y = self._centres(side)
        return np.asarray(np.outer((y > box[1]) & (y < box[3]), (x > box[0]) & (x < box[2])), np.bool_)

    def _picture(self, side: int) -> FloatArray:
        """[T, T, 3] in 0..1."""
        codes = self._pictures.crop(self._around, side, MARGIN)[..., :3]
        return np.multiply(codes, np.float32(self._pictures.unit), dtype=np.float32)

    def _grown(self, box: FloatArray, alpha: FloatArray) -> FloatArray:
        """`box`, and what of `alpha` [side, side] over the larger box lies beyond it; sides that the frame cuts off stay."""
        seen = alpha >= SEEN
        grown = box.copy()
        unit = (self._around[2:] - self._around[:2]) / self._side
        cut = cut_sides(box.tolist(), *self._frame)
        for axis, lines in ((0, np.flatnonzero(seen.any(0))), (1, np.flatnonzero(seen.any(1)))):
            if not len(lines):
                continue
            low = self._around[axis] + (lines[0] - 1) * unit[axis]
            high = self._around[axis] + (lines[-1] + 2) * unit[axis]
            if not cut[2 * axis] and low < box[axis]:
                grown[axis] = max(0.0, low)
            if not cut[2 * axis + 1] and high > box[axis + 2]:
                grown[axis + 2] = min(self._frame[axis], high)
        return grown


def _alone(alpha: FloatArray, mask: FloatArray) -> npt.NDArray[np.bool_]:
    """[S, S]: islands of `alpha` of which the network saw nothing: ground that has the object's colours."""
    count, islands = cv2.connectedComponents((alpha >= SEEN).astype(np.uint8), connectivity=4)
    known = resized(mask[None], len(alpha))[0] > 0.5
    supported = np.zeros(count, np.bool_)
    supported[islands[known]] = True
    supported[0] = True
    return np.asarray(~supported[islands], np.bool_)


def _radii(ratio: float, radius: float) -> Radii:
    """Along x and y, cells, in a box that is `ratio` times as high as wide."""
    root = math.sqrt(ratio)
    x, y = (int(np.clip(round(cells), LEAST_RADIUS, MOST_RADIUS)) for cells in (radius * root, radius / root))
    return x, y


def _detail(mask: ByteArray, side: int) -> FloatArray:
    """[T, T]: what a mask [M, M] has on a grid of `side` cells around its box, and not on one of half as many."""
    cells = side * FIRST // (FIRST + 2 * BEYOND)
    fine, coarse = (resized(mask[None], count)[0].astype(np.float32) / 255 for count in (cells, cells // 2))
    found = np.zeros((side + 2 * MARGIN, side + 2 * MARGIN), np.float32)
    inner = slice(MARGIN + (side - cells) // 2, MARGIN + (side + cells) // 2)
    found[inner, inner] = fine - cv2.resize(coarse, (cells, cells), interpolation=cv2.INTER_LINEAR)
    return found


def _finer(values: FloatArray) -> FloatArray:
    """Of a grid with margins, the same with cells half as wide and the margins as many cells."""
    half = MARGIN // 2
    inner = values[half : len(values) - half, half : len(values) - half]
    return np.asarray(cv2.resize(inner, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR), np.float32)


def _alpha(terms: FloatArray, picture: FloatArray) -> FloatArray:
    """[T, T]: the functions [T, T, 4] at the colours [T, T, 3]."""
    values = cv2.multiply(terms[..., :3], picture)
    return np.asarray(values[..., 0] + values[..., 1] + values[..., 2] + terms[..., 3], np.float32)


def _fit(
    picture: FloatArray, label: FloatArray, weight: FloatArray, radii: Radii, likely: FloatArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """[T, T, 4]: of each cell the slopes and the intercept of the function that best predicts the label from the colours around.

    As `refine._fit`: averaged over the windows that contain the cell, and blended with what is likely where colours do not
    explain it. How little they do comes second, [T, T] in 0..1. Cells count by their weight, windows by what theirs weigh together.

    Args:
        picture: [T, T, 3].
        label: [T, T] in 0..1.
        weight: [T, T] in 0..1, how sure the label is.
        radii: of the windows.
        likely: [T, T] in 0..1; none: the label.
    """
    along_x, along_y = (np.full(2 * radius + 1, 1 / (2 * radius + 1), np.float32) for radius in radii)

    def mean(values: Array) -> Array:
        return cv2.sepFilter2D(values, -1, along_x, along_y, borderType=cv2.BORDER_REPLICATE)

    weighed = mean(weight) + np.float32(1e-6)
    middle_of_all = picture.mean((0, 1))  # about 0: squares of large numbers would lose the small differences
    channels = [picture[..., k] - middle_of_all[k] for k in range(3)]
    times = [weight * channel for channel in channels]
    middles, middle = [mean(t) / weighed for t in times], mean(weight * label) / weighed
    covariance = [mean(t * label) / weighed - m * middle for t, m in zip(times, middles, strict=True)]
    matrix = {
        (i, j): mean(times[i] * channels[j]) / weighed - middles[i] * middles[j] + (EPSILON if i == j else 0.0)
        for i in range(3)
        for j in range(i, 3)
    }
    slopes = solve(matrix, covariance)
    intercept = middle - sum(s * m for s, m in zip(slopes, middles, strict=True))
    variance = mean(weight * label * label) / weighed - middle * middle
    explained = sum(s * c for s, c in zip(slopes, covariance, strict=True)) / (variance + LEAST_VARIANCE)
    trust = np.sqrt(np.clip(explained, 0, 1))
    whole = mean(weighed)
    trust, intercept, *slopes = (mean(weighed * term) / whole for term in (trust, intercept, *slopes))
    slopes = [slope * trust for slope in slopes]
    level = (
        trust * intercept
        + (1 - trust) * (label if likely is None else likely)
        - sum(s * m for s, m in zip(slopes, middle_of_all, strict=True))
    )
    terms: FloatArray = cv2.merge([*slopes, level])  # type: ignore[assignment]
    return terms, np.asarray(1 - trust, np.float32)
