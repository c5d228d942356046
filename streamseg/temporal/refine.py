"""The refine stage: fits the outlines of small masks to the picture's own edges.

It goes from coarse to fine as SharpMask does (Pinheiro et al., ECCV 2016), but without a network. It is a guided filter with a
colour guide (He, Sun and Tang, TPAMI 2013): in each small window, the mask is fitted as a linear function of the picture's three
channels, and that function is then applied to the picture. It is fitted on the mask's small grid and applied on a fine one (He and
Sun 2015, "Fast guided filter"). Where colours say little about the mask (the fit explains little of its variance), the filter would
only blur, so the mask stays as it is there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.core.result import Result
from streamseg.core.types import Frame
from streamseg.pixels import fields

__all__ = ["Refiner"]

MARGIN = 4
"""Cells that the small grid has around the box: the filter needs to see what is outside."""
RADIUS = 3
"""Cells from the middle of a window to its edge: 1/9 of the box where the mask has 28 a side."""
EPSILON = 1e-5
"""Regularisation, as a share of the squared range of codes: contrasts well above its square root (0.3 %) count as edges."""
LEAST_VARIANCE = 1e-3
FINEST, COARSEST = 160, 56
"""Cells a side of the fine grid: half as many as the box has pixels, within these limits, and not fewer than the mask's own."""
MOST_CELLS = 120_000
"""Cells of all fine grids of a frame together. With many large objects each gets fewer, so that the cost of a frame is bounded."""
FINE_ENOUGH = 40 / 28
"""A mask is left as it is if its cells are at most so many frame pixels wide (root of the box's area / cells a side)."""

Array = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float32]
ByteArray = npt.NDArray[np.uint8]

_Channel = tuple[int, Array]
"""Component, and codes [g, g]."""
_WINDOW = np.full(2 * RADIUS + 1, 1 / (2 * RADIUS + 1), np.float32)


class Refiner:
    """Sets `Instances.fine`. Keeps nothing between frames."""

    def __call__(self, result: Result) -> Result:
        """The result with a finer mask for each instance that is large enough to need one; a mask that is its whole box stays."""
        found = result.instances
        if not found.has_shapes:
            return result
        sizes = np.clip(found.boxes[:, 2:] - found.boxes[:, :2], 0, None)
        side, inner = np.sqrt(sizes.prod(1)), found.side
        large = np.flatnonzero((side >= FINE_ENOUGH * inner) & (sizes.min(1, initial=np.inf) >= 4))
        if not len(large):
            return result
        pictures = _Pyramid(result.frame)
        tile = inner + 2 * MARGIN
        tiles = np.zeros((3, tile, len(large), tile), np.float32)
        for k, i in enumerate(large):
            for component, channel in pictures.crop(found.boxes[i], inner, MARGIN):
                tiles[component, :, k] = channel
        cells = _cells(side[large], inner)
        sums = _fit(tiles * np.float32(pictures.unit), found.masks[large], cells * (255 / inner), pictures.unit)
        fine: list[ByteArray | None] = [None] * len(found)
        for terms, count, i in zip(sums, cells.tolist(), large, strict=True):
            fine[i] = _apply(terms, count, pictures.crop(found.boxes[i], count))
        return replace(result, instances=replace(found, fine=tuple(fine)))


def _cells(sides: npt.NDArray[np.floating], inner: int) -> npt.NDArray[np.int64]:
    """[N] cells a side of the fine grids of boxes whose areas are the squares of `sides`, frame pixels, of masks with `inner`."""
    least = max(COARSEST, inner)
    cells = np.clip(sides / 2, least, FINEST)
    share = min(1.0, math.sqrt(MOST_CELLS / float(np.square(cells).sum())))
    return np.clip(cells * share, least, FINEST).astype(np.int64)


def _fit(tiles: FloatArray, masks: ByteArray, gains: npt.NDArray[np.floating], unit: float) -> FloatArray:
    """For each instance and cell, fit the linear function of the picture that best predicts the mask in the window around the cell.

    The tiles of all instances lie side by side in one array. Each has a margin as wide as a window reaches, so they stay apart.

    Args:
        tiles: float32 [3, T, N, T], the channels of the pictures, 0..1; T is M and a margin on both sides.
        masks: uint8 [N, M, M].
        gains: [N], the contrast by which each mask is scaled around one half. It keeps an outline as many cells wide on the fine
            grid as it is on this one.
        unit: 1 / the largest code of the picture.

    Returns: float32 [N, 4, M, M], three slopes and an intercept for each cell. The refined mask, 0..255, is the intercept
        plus each slope times the code of its channel. The functions are averaged over all windows that contain the cell, and
        blended with the mask itself where the picture does not explain it.
    """
    n, size, side = tiles.shape[2], tiles.shape[1], masks.shape[-1]
    middles = tiles.mean((1, 3))
    tiles = tiles - middles[:, None, :, None]
    padded, inner = np.zeros((size, n, size), np.float32), slice(MARGIN, MARGIN + side)
    own = padded[inner, :, inner]
    own[:] = masks.swapaxes(0, 1) * np.float32(1 / 255)
    slopes, intercept, confidence = _regression([c.reshape(size, n * size) for c in tiles], padded.reshape(size, n * size))
    trust, fitted = (part.reshape(size, n, size)[inner, :, inner] for part in (confidence, intercept))
    sums = np.empty((4, side, n, side), np.float32)
    for k, slope in enumerate(slopes):
        np.multiply(slope.reshape(size, n, size)[inner, :, inner], trust, out=sums[k])
    sums[3] = trust * fitted + (1 - trust) * own - (sums[:3] * middles[:, None, :, None]).sum(0) - 0.5
    sums *= gains[:, None].astype(np.float32)
    sums[:3] *= np.float32(unit)
    sums[3] += 127.5
    return np.ascontiguousarray(sums.transpose(2, 0, 1, 3))


def _regression(channels: list[FloatArray], mask: FloatArray) -> tuple[list[Array], Array, Array]:
    """Slopes, intercept and confidence 0..1 of mask = slopes x channels + intercept, averaged over a cell's windows."""
    means, mean = [_mean(c) for c in channels], _mean(mask)
    covariance = [_mean(c * mask) - m * mean for c, m in zip(channels, means, strict=True)]
    matrix = {
        (i, j): _mean(channels[i] * channels[j]) - means[i] * means[j] + (EPSILON if i == j else 0.0)
        for i in range(3)
        for j in range(i, 3)
    }
    slopes = _solve(matrix, covariance)
    intercept = mean - sum(a * m for a, m in zip(slopes, means, strict=True))
    variance = _mean(mask * mask) - mean * mean
    explained = sum(a * c for a, c in zip(slopes, covariance, strict=True)) / (variance + LEAST_VARIANCE)
    # The root: half of the variance explained is a clear edge already.
    confidence = np.sqrt(np.clip(explained, 0, 1))
    return [_mean(a) for a in slopes], _mean(intercept), _mean(confidence)


def _mean(values: Array) -> Array:
    """Over the window around each cell. cv2.blur, which sums floats as doubles, takes nearly twice the time."""
    return cv2.sepFilter2D(values, -1, _WINDOW, _WINDOW)


def _solve(m: dict[tuple[int, int], Array], v: list[Array]) -> list[Array]:
    """x of the symmetric 3x3 systems m x = v, cell by cell, by cofactors."""
    xx, xy, xz, yy, yz, zz = m[0, 0], m[0, 1], m[0, 2], m[1, 1], m[1, 2], m[2, 2]
    a, b, c = yy * zz - yz * yz, xz * yz - xy * zz, xy * yz - xz * yy
    d, e, f = xx * zz - xz * xz, xy * xz - xx * yz, xx * yy - xy * xy
    scale = 1 / (xx * a + xy * b + xz * c)
    return [
        (a * v[0] + b * v[1] + c * v[2]) * scale,
        (b * v[0] + d * v[1] + e * v[2]) * scale,
        (c * v[0] + e * v[1] + f * v[2]) * scale,
    ]


def _apply(terms: FloatArray, cells: int, picture: Iterable[_Channel]) -> ByteArray:
    """The mask on the fine grid, uint8 [cells, cells]; `terms` are those of `_fit`."""
    channels = list(picture)
    level: Array = cv2.resize(terms[3], (cells, cells), interpolation=cv2.INTER_LINEAR)
    for k, (component, channel) in enumerate(channels):
        slope = cv2.resize(terms[component], (cells, cells), interpolation=cv2.INTER_LINEAR)
        last = k == len(channels) - 1  # it rounds and saturates
        level = cv2.add(level, cv2.multiply(slope, channel, dtype=cv2.CV_32F), dtype=cv2.CV_8U if last else cv2.CV_32F)
    return level


class _Pyramid:
    """The planes of one frame at full, half, quarter ... size, each made when it is needed."""

    def __init__(self, frame: Frame) -> None:
        picture = fields.one_moment(frame.picture, frame.field_order)
        self._picture = frame.picture  # the views do not keep its memory alive
        self.unit = 1 / (2 ** (picture.layout.depth + picture.layout.lsb) - 1)
        """1 / the largest code."""
        self._planes = [([plane.array], plane.spec) for plane in picture.planes if any(c < 3 for c in plane.spec.components)]

    def crop(self, box: FloatArray, cells: int, margin: int = 0) -> Iterator[_Channel]:
        """The picture at the centres of a grid of `cells` a side on the box and `margin` more around it.

        A frame without colour gives no more than its brightness.
        """
        size = cells + 2 * margin
        for levels, spec in self._planes:
            x0, y0 = float(box[0]) / (1 << spec.shift_x), float(box[1]) / (1 << spec.shift_y)
            step_x = (float(box[2]) / (1 << spec.shift_x) - x0) / cells
            step_y = (float(box[3]) / (1 << spec.shift_y) - y0) / cells
            level = 0
            while min(step_x, step_y) >= 2 and min(levels[level].shape[:2]) >= 4:
                level += 1
                x0, y0, step_x, step_y = x0 / 2, y0 / 2, step_x / 2, step_y / 2
                if level == len(levels):
                    levels.append(_half(levels[-1]))
            place = np.array(
                [[step_x, 0, x0 + (0.5 - margin) * step_x - 0.5], [0, step_y, y0 + (0.5 - margin) * step_y - 0.5]], np.float32
            )
            part = cv2.warpAffine(
                levels[level],
                place,
                (size, size),
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REPLICATE,
            )
            for component, channel in zip(spec.components, [part] if part.ndim == 2 else cv2.split(part), strict=True):
                if component < 3:
                    yield component, channel


def _half(array: Array) -> Array:
    h, w = array.shape[:2]
    return cv2.resize(array, (w // 2, h // 2), interpolation=cv2.INTER_AREA)
