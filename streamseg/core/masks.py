"""From small box masks to pixels of the frame, and back.

A mask grid of MxM spans its box exactly: each cell covers 1/M of the box's width and height, and holds the probability at its
centre. Between the centres the field is bilinear; outside the grid it falls to zero over one cell, as in Mask R-CNN's
reference implementations, except where the box ends at the frame's own border: there the object goes on, and so does its mask.

M is the network's, 28 of those that streamseg exports; a mask that has been refined (`Instances.fine`) has more cells. A grid of
one cell is the whole box: its value reaches to the box's edges, and falls to zero there over about a pixel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

__all__ = [
    "AT_BORDER",
    "HALF",
    "Region",
    "cells_of",
    "coverage",
    "crop_to",
    "cut_sides",
    "full",
    "gain",
    "paste",
    "region_of",
    "resized",
]

ByteArray = npt.NDArray[np.uint8]
Grids = TypeVar("Grids", ByteArray, "npt.NDArray[np.float32]")
FloatArray = npt.NDArray[np.float32]
Sample = TypeVar("Sample", np.uint8, np.uint16)
Region = tuple[int, int, int, int]
"""x0, y0, x1, y1 in whole pixels, x1 and y1 exclusive."""

AT_BORDER = 0.5
"""A box that ends within this many pixels of the frame's border is taken to be cut off by it."""
HALF = 127.5
"""Of 255: above this value a point belongs to the instance, since its probability is above one half."""
# Codes of 16 bits to one of 8: white is white in both.
_DEEPER = 257
# Cells within which masks go from 0 to 1.
_STEEPNESS = 3.0
# Pixels worked on at a time.
_BAND = 16384


def _floats(box: npt.ArrayLike) -> list[float]:
    return box if isinstance(box, list) else np.asarray(box, np.float64).tolist()


def region_of(box: npt.ArrayLike, width: int, height: int, align: int = 1) -> Region:
    """The whole pixels that `box` (xyxy, frame pixels) touches inside a frame; empty (x0 == x1 or y0 == y1) when there are none.

    With `align` > 1 the corners move outwards to multiples of it, but not past the frame.
    """
    x0, y0, x1, y1 = _floats(box)
    left, top = max(0, math.floor(x0)), max(0, math.floor(y0))
    right, bottom = min(width, math.ceil(x1)), min(height, math.ceil(y1))
    if right <= left or bottom <= top:
        return 0, 0, 0, 0
    left, top = left - left % align, top - top % align
    right, bottom = min(width, right + -right % align), min(height, bottom + -bottom % align)
    return left, top, right, bottom


def cells_of(mask: ByteArray, box: Sequence[float]) -> int:
    """The M of a mask; of a single cell, as if the box (xyxy) had cells of a pixel at most, all of its value."""
    return len(mask) if len(mask) > 1 else max(1, math.ceil(max(box[2] - box[0], box[3] - box[1])))


def _taps(
    low: float, high: float, start: int, stop: int, scale: int, cells: int, single: bool = False
) -> tuple[npt.NDArray[np.intp], FloatArray]:
    """For the pixel centres start..stop, `scale` frame pixels each: the cell of the padded grid before it, and how far past it.

    A centre at frame coordinate p lies at (p - low) / (high - low) * cells - 0.5 cells of the grid, one more of the padded grid.
    `single`: the grid is of one cell, which stands for all of the `cells` (`cells_of`).
    """
    rate = cells / (high - low)
    position = np.arange(start + 0.5, stop) * (rate * scale) + (0.5 - low * rate)
    np.maximum(position, 0, out=position)
    # Just before the last cell of the padded grid, so that there is always one more.
    np.minimum(position, np.nextafter(cells + 1.0, 0.0), out=position)
    if single:
        position = np.minimum(position, 1.0) + np.maximum(position - cells, 0.0)
    cell = position.astype(np.intp)
    return cell, (position - cell).astype(np.float32)


def cut_sides(box: Sequence[float], width: int, height: int) -> tuple[bool, bool, bool, bool]:
    """Whether the border of a frame of `width` x `height` cuts off what is in `box` (xyxy): on its left, right, top, bottom."""
    return box[0] < AT_BORDER, box[2] > width - AT_BORDER, box[1] < AT_BORDER, box[3] > height - AT_BORDER


def gain(box: Sequence[float], cells: int, scale: int) -> float:
    """How much steeper `coverage` makes the slope of a mask of `cells` a side over `box` (xyxy), for samples of `scale` pixels."""
    cell = math.sqrt(max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])) / cells / scale
    return max(1.0, _STEEPNESS * cell)


def _padded(mask: ByteArray, box: tuple[float, float, float, float], width: int, height: int) -> FloatArray:
    """The grid with one cell around it: zero, or the nearest cell on the sides where the frame cuts the object off."""
    grid = np.zeros((len(mask) + 2, len(mask) + 2), np.float32)
    grid[1:-1, 1:-1] = mask
    left, right, top, bottom = cut_sides(box, width, height)
    if left:
        grid[:, 0] = grid[:, 1]
    if right:
        grid[:, -1] = grid[:, -2]
    if top:
        grid[0] = grid[1]
    if bottom:
        grid[-1] = grid[-2]
    return grid


def _sample(
    mask: ByteArray,
    box: npt.ArrayLike,
    region: Region,
    width: int,
    height: int,
    scale: int,
    steeper: float = 1.0,
    dtype: type[Sample] = np.uint8,  # type: ignore[assignment]
) -> npt.NDArray[Sample]:
    """The field over `region`, (value - 127.5) * steeper + 127.5 of 255, rounded into all codes of `dtype`."""
    x0, y0, x1, y1 = _floats(box)
    if x1 <= x0 or y1 <= y0:
        return np.zeros((region[3] - region[1], region[2] - region[0]), dtype)
    grid = _padded(mask, (x0, y0, x1, y1), width, height)
    if steeper != 1.0:
        grid = (grid - HALF) * np.float32(steeper) + np.float32(HALF)
    if dtype is np.uint16:
        grid *= np.float32(_DEEPER)
    cells, single = cells_of(mask, (x0, y0, x1, y1)), len(mask) == 1
    columns = _taps(x0, x1, region[0], region[2], scale, cells, single)
    return _interpolate(grid, columns, _taps(y0, y1, region[1], region[3], scale, cells, single), dtype)


def _interpolate(
    grid: FloatArray,
    columns: tuple[npt.NDArray[np.intp], FloatArray],
    rows: tuple[npt.NDArray[np.intp], FloatArray],
    dtype: type[Sample] = np.uint8,  # type: ignore[assignment]
) -> npt.NDArray[Sample]:
    """The bilinear field of a padded grid at columns x rows, rounded into the codes of `dtype`.

    Along x on the rows of the grid, then along y by whole rows, in bands that stay in the cache: 0.8 ns a pixel, half of what
    cv2.warpAffine takes; and, unlike the matrix product that this is, it starts no threads of a BLAS library.
    """
    across = _between(grid.take(columns[0], axis=1), grid.take(columns[0] + 1, axis=1), columns[1])
    steps = across[1:] - across[:-1]
    field = np.empty((len(rows[0]), len(columns[0])), dtype)
    height, width = field.shape
    depth = cv2.CV_8U if dtype is np.uint8 else cv2.CV_16U
    band = max(1, _BAND // max(1, width))
    value, step = np.empty((2, band, width), np.float32)
    for top in range(0, height, band):
        cells, fractions = rows[0][top : top + band], rows[1][top : top + band, None]
        n = len(cells)
        across.take(cells, axis=0, out=value[:n], mode="clip")
        steps.take(cells, axis=0, out=step[:n], mode="clip")
        step[:n] *= fractions
        cv2.add(value[:n], step[:n], field[top : top + n], dtype=depth)
    return field


def _between(low: FloatArray, high: FloatArray, share: FloatArray) -> FloatArray:
    high -= low
    high *= share
    high += low
    return high


def paste(mask: ByteArray, box: npt.ArrayLike, width: int, height: int, *, scale: int = 1) -> tuple[Region, ByteArray]:
    """Sample one soft mask at the pixels of its box.

    Args:
        mask: uint8 [M, M], 255 x probability.
        box: [4] xyxy, frame pixels; may reach outside the frame.
        width: the frame's, pixels.
        height: the frame's, pixels.
        scale: sample every `scale`-th pixel, at the centre of each scale x scale block.

    Returns: the region (x0, y0, x1, y1) of whole pixels (of `scale` frame pixels each) inside the frame that the box touches, and
        uint8 [y1 - y0, x1 - x0], the bilinear field at each pixel's centre, rounded. No pixel outside the region is above one half.
        Both are empty when the box is outside the frame or has no area.
    """
    touched = box if scale == 1 else np.asarray(box) / scale
    region = region_of(touched, -(-width // scale), -(-height // scale))
    return region, _sample(mask, box, region, width, height, scale)


def full(mask: ByteArray, box: npt.ArrayLike, width: int, height: int, threshold: float = 0.5) -> npt.NDArray[np.bool_]:
    """bool [height, width]: the pixels of the frame whose probability is above `threshold`."""
    picture = np.zeros((height, width), np.bool_)
    (x0, y0, x1, y1), crop = paste(mask, box, width, height)
    picture[y0:y1, x0:x1] = crop > threshold * 255
    return picture


def coverage(
    mask: ByteArray,
    box: npt.ArrayLike,
    region: Region,
    width: int,
    height: int,
    *,
    scale: int = 1,
    dtype: type[Sample] = np.uint8,  # type: ignore[assignment]
    matte: bool = False,
) -> npt.NDArray[Sample]:
    """How much of each pixel the instance covers: all of it inside, 0 outside, a ramp of about a pixel along its outline.

    The outline is where the field is one half. Masks cross it within about three cells of their grid (M a side: box/M wide each),
    so the slope is raised by the size of that in pixels; a matte's ramps are those of the object's edge, and stay.

    Args:
        mask: uint8 [M, M].
        box: [4] xyxy, frame pixels.
        region: in pixels of `scale` frame pixels each.
        width: the frame's, frame pixels.
        height: the frame's, frame pixels.
        scale: sample every `scale`-th pixel, at the centre of each scale x scale block.
        dtype: uint8, where 255 is all of a pixel, or uint16, where 65535 is: worked out in floats for either.
        matte: the grid is a matte (`Instances.is_matte`).

    Returns: [region height, region width] of `dtype`.
    """
    box = _floats(box)
    steeper = 1.0 if matte else gain(box, cells_of(mask, box), scale)
    return _sample(mask, box, region, width, height, scale, steeper, dtype)


def crop_to(boxes: FloatArray, masks: ByteArray, width: int, height: int) -> tuple[FloatArray, ByteArray]:
    """Clip boxes to the frame and resample the masks of those that changed, so that each grid spans its new box.

    Args:
        boxes: float32 [N, 4] xyxy, frame pixels.
        masks: uint8 [N, M, M]; where each is its whole box, or there are none (M 1 or 0), they stay as they are.
        width: the frame's, pixels.
        height: the frame's, pixels.

    Returns: new boxes and masks of the same shapes. A box outside the frame keeps its place with no area and an empty mask.
    """
    limit = np.array([width, height, width, height], np.float32)
    clipped = np.clip(boxes, 0, limit).astype(np.float32)
    changed = np.flatnonzero((clipped != boxes).any(axis=1))
    if len(changed) == 0 or masks.shape[-1] <= 1:
        return clipped, masks
    masks = masks.copy()
    for i in changed:
        masks[i] = _resample(masks[i], boxes[i], clipped[i])
    return clipped, masks


def _resample(mask: ByteArray, old: FloatArray, new: FloatArray) -> ByteArray:
    """The field of `mask` over the box `old`, at the centres of a grid of as many cells over the box `new` inside it."""
    if new[2] <= new[0] or new[3] <= new[1] or old[2] <= old[0] or old[3] <= old[1]:
        return np.zeros_like(mask)
    side, taps = len(mask), []
    for axis in (0, 1):
        # In units of the new grid's cells the old box runs from low to high, and the new cells' centres are 0.5, 1.5, ...
        cell = float(new[axis + 2] - new[axis]) / side
        low, high = (float(old[axis] - new[axis]) / cell, float(old[axis + 2] - new[axis]) / cell)
        taps.append(_taps(low, high, 0, side, 1, side))
    grid = np.zeros((side + 2, side + 2), np.float32)
    grid[1:-1, 1:-1] = mask
    return _interpolate(grid, taps[0], taps[1])


def resized(masks: Grids, side: int) -> Grids:
    """Masks [N, M, M] as [N, side, side] of the same boxes, uint8 or float32; those of that size already are not copied."""
    if masks.shape[-1] == side:
        return masks
    method = cv2.INTER_AREA if side < masks.shape[-1] else cv2.INTER_LINEAR
    answer = np.empty((len(masks), side, side), masks.dtype)
    for mask, to in zip(masks, answer, strict=True):
        cv2.resize(mask, (side, side), to, interpolation=method)
    return answer
