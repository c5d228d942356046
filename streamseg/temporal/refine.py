"""The refine stage: fits the outlines of small masks to the picture's own edges.

It goes from coarse to fine as SharpMask does (Pinheiro et al., ECCV 2016), but without a network. It is a guided filter with a
colour guide (He, Sun and Tang, TPAMI 2013): in each small window, the mask is fitted as a linear function of the picture's three
channels, and that function is then applied to the picture. It is fitted on the mask's small grid and applied on a fine one (He and
Sun 2015, "Fast guided filter"). Where colours say little about the mask (the fit explains little of its variance), the filter would
only blur, so the mask stays as it is there.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.core.masks import resized
from streamseg.core.result import Result
from streamseg.temporal.pyramid import Pyramid

__all__ = ["EPSILON", "LEAST_VARIANCE", "Refiner", "solve"]

MARGIN = 4
"""Cells that the small grid has around the box: the filter needs to see what is outside."""
RADIUS = 3
"""Cells from the middle of a window to its edge: 1/9 of the box where the mask has 28 a side."""
EPSILON = 1e-5
"""Regularisation, as a share of the squared range of codes: contrasts well above its square root (0.3 %) count as edges."""
LEAST_VARIANCE = 1e-3
MOST_FITTED = 40
"""Cells a side on which the filter is fitted, at most: a finer mask is no surer of its outline, and windows of its cells are too
small to find the picture's."""
FINEST, COARSEST = 160, 56
"""Cells a side of the fine grid: one for PIXELS of the box, within these limits, and not fewer than the mask's own."""
PIXELS = 2.5
MOST_CELLS = 80_000
"""Cells of all fine grids of a frame together. With many large objects each gets fewer, so that the cost of a frame is bounded."""
FINE_ENOUGH = 40 / 28
"""A mask is left as it is if its cells are at most so many frame pixels wide (root of the box's area / cells a side)."""

Array = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float32]
ByteArray = npt.NDArray[np.uint8]

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
        pictures = Pyramid(result.frame)
        fit, cells = min(inner, MOST_FITTED), _cells(side[large], inner)
        tiles = np.stack([pictures.crop(found.boxes[i], fit, MARGIN) for i in large], axis=1)
        masks = found.masks[large]
        terms, doubt = _fit(tiles, resized(masks, fit), cells * (255 / fit), pictures.unit, blend=fit == inner)
        fine: list[ByteArray | None] = [None] * len(found)
        for k, (i, count) in enumerate(zip(large.tolist(), cells.tolist(), strict=True)):
            part, picture = (slice(None), slice(k * fit, (k + 1) * fit)), pictures.crop(found.boxes[i], count)
            own = None if doubt is None else _doubtful(masks[k], doubt[part], count)
            fine[i] = _apply(terms[part], count, picture, own)
        return replace(result, instances=replace(found, fine=tuple(fine)))


def _cells(sides: npt.NDArray[np.floating], inner: int) -> npt.NDArray[np.int64]:
    """[N] cells a side of the fine grids of boxes whose areas are the squares of `sides`, frame pixels, of masks with `inner`."""
    least = max(COARSEST, inner)
    cells = np.clip(sides / PIXELS, least, FINEST)
    share = min(1.0, math.sqrt(MOST_CELLS / float(np.square(cells).sum())))
    return np.asarray(np.clip(cells * share, least, FINEST), np.int64)


def _fit(
    tiles: Array, masks: ByteArray, gains: npt.NDArray[np.floating], unit: float, *, blend: bool = True
) -> tuple[FloatArray, FloatArray | None]:
    """For each instance and cell, fit the linear function of the picture that best predicts the mask in the window around the cell.

    The tiles of all instances lie side by side in one array. Each has a margin as wide as a window reaches, so they stay apart.

    Args:
        tiles: [T, N, T, 4], the pictures in their codes as `Pyramid.crop` gives them; T is M and a margin on both sides.
        masks: uint8 [N, M, M].
        gains: [N], the contrast by which each mask is scaled around one half. It keeps an outline as many cells wide on the fine
            grid as it is on this one.
        unit: 1 / the largest code of the picture.
        blend: these masks are the ones to keep where the picture does not explain them.

    Returns: float32 [M, N x M, 4], side by side, three slopes and an intercept for each cell. The refined mask, 0..255, is the
        intercept plus each slope times the code of its channel. The functions are averaged over all windows that contain the
        cell, and blended with the mask itself where the picture does not explain it. Without `blend` that share is left out, and
        how large it is comes second: float32 [M, N x M], 0..1.
    """
    size, n, side = tiles.shape[0], tiles.shape[1], masks.shape[-1]
    codes = cv2.split(tiles.reshape(size, n * size, 4))[:3]
    channels = np.stack(codes).reshape(3, size, n, size) * np.float32(unit)
    middles = channels.mean((1, 3))
    channels -= middles[:, None, :, None]
    padded, inner = np.zeros((size, n, size), np.float32), slice(MARGIN, MARGIN + side)
    own = padded[inner, :, inner]
    own[:] = masks.swapaxes(0, 1) * np.float32(1 / 255)
    slopes, intercept, confidence = _regression([c.reshape(size, n * size) for c in channels], padded.reshape(size, n * size))
    trust, fitted = (part.reshape(size, n, size)[inner, :, inner] for part in (confidence, intercept))
    sums = np.empty((4, side, n, side), np.float32)
    for k, slope in enumerate(slopes):
        np.multiply(slope.reshape(size, n, size)[inner, :, inner], trust, out=sums[k])
    rest = own if blend else np.float32(0.5)
    sums[3] = trust * fitted + (1 - trust) * rest - (sums[:3] * middles[:, None, :, None]).sum(0) - 0.5
    sums *= gains[:, None].astype(np.float32)
    sums[:3] *= np.float32(unit)
    sums[3] += 127.5
    terms: FloatArray = cv2.merge([term.reshape(side, n * side) for term in sums])  # type: ignore[assignment]
    return terms, None if blend else (1 - trust).reshape(side, n * side)


def _regression(channels: list[FloatArray], mask: FloatArray) -> tuple[list[Array], Array, Array]:
    """Slopes, intercept and confidence 0..1 of mask = slopes x channels + intercept, averaged over a cell's windows."""
    means, mean = [_mean(c) for c in channels], _mean(mask)
    covariance = [_mean(c * mask) - m * mean for c, m in zip(channels, means, strict=True)]
    matrix = {
        (i, j): _mean(channels[i] * channels[j]) - means[i] * means[j] + (EPSILON if i == j else 0.0)
        for i in range(3)
        for j in range(i, 3)
    }
    slopes = solve(matrix, covariance)
    intercept = mean - sum(a * m for a, m in zip(slopes, means, strict=True))
    variance = _mean(mask * mask) - mean * mean
    explained = sum(a * c for a, c in zip(slopes, covariance, strict=True)) / (variance + LEAST_VARIANCE)
    # The root: half of the variance explained is a clear edge already.
    confidence = np.sqrt(np.clip(explained, 0, 1))
    return [_mean(a) for a in slopes], _mean(intercept), _mean(confidence)


def _mean(values: Array) -> Array:
    """Over the window around each cell. cv2.blur, which sums floats as doubles, takes nearly twice the time."""
    return cv2.sepFilter2D(values, -1, _WINDOW, _WINDOW)


def solve(m: dict[tuple[int, int], Array], v: list[Array]) -> list[Array]:
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


def _doubtful(mask: ByteArray, doubt: FloatArray, cells: int) -> FloatArray:
    """By how much a mask [M, M] takes the fine grid [cells, cells] off 127.5, where `doubt` says that the picture does not tell."""
    size, gain = (cells, cells), cells / len(mask)
    own = cv2.resize(mask, size, interpolation=cv2.INTER_LINEAR)
    scaled = cv2.addWeighted(own, gain, own, 0, -127.5 * gain, dtype=cv2.CV_32F)
    return cv2.multiply(scaled, cv2.resize(doubt, size, interpolation=cv2.INTER_LINEAR), scaled)  # type: ignore[return-value]


def _apply(terms: FloatArray, cells: int, picture: Array, more: FloatArray | None) -> ByteArray:
    """The mask on the fine grid, uint8 [cells, cells], of `terms` [M, M, 4] as `_fit` gives them.

    picture: a crop with as many cells. more: [cells, cells], is added.
    """
    finer = cv2.resize(terms, (cells, cells), interpolation=cv2.INTER_LINEAR)
    first, second, third, level = cv2.split(cv2.multiply(finer, picture, dtype=cv2.CV_32F))
    for part in (first, second) if more is None else (more, first, second):
        cv2.add(level, part, level)
    return cv2.add(level, third, dtype=cv2.CV_8U)  # type: ignore[return-value]  # it rounds and saturates
