"""Masks sampled at pixels: how much of each an instance covers, and the union of all."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from streamseg.gpu.kernels.columns import (
    BOTTOM,
    CELLS,
    CUT,
    FIELDS,
    GAIN,
    GRID,
    HALF,
    LAST,
    LEFT,
    RATE_X,
    RATE_Y,
    RIGHT,
    SAMPLES,
    SHIFT_X,
    SHIFT_Y,
    TOP,
    X0,
    X1,
    Y0,
    Y1,
)
from streamseg.gpu.kernels.common import EXACT, half_even

__all__ = ["cover", "cover_kernel", "overlaps", "sample_region", "union", "union_kernel"]

_BLOCK = (16, 64)


@triton.jit
def sample_region(row: tl.tensor, SCALE: tl.constexpr) -> tl.tensor:
    """x0, y0, x1, y1 of an instance's region in samples, int32."""
    x0 = tl.load(row + X0).to(tl.int32) // SCALE
    y0 = tl.load(row + Y0).to(tl.int32) // SCALE
    x1 = (tl.load(row + X1).to(tl.int32) + SCALE - 1) // SCALE
    y1 = (tl.load(row + Y1).to(tl.int32) + SCALE - 1) // SCALE
    return x0, y0, x1, y1


@triton.jit
def overlaps(
    x0: tl.tensor, y0: tl.tensor, x1: tl.tensor, y1: tl.tensor, left: tl.tensor, top: tl.tensor, w: tl.tensor, h: tl.tensor
) -> tl.tensor:
    """Whether a region has anything in the tile of w x h at (left, top)."""
    return (x0 < left + w) & (x1 > left) & (y0 < top + h) & (y1 > top)


@triton.jit
def _cell(position: tl.tensor, last: tl.tensor, cells: tl.tensor) -> tl.tensor:
    """The cell of the padded grid before a position, and how far past its centre; a single cell stands for all (`masks._taps`)."""
    held = tl.minimum(tl.maximum(position, 0.0), last)
    if cells == 1:
        held = tl.minimum(held, 1.0) + tl.maximum(held - last.to(tl.int32).to(tl.float64), 0.0)
    cell = held.to(tl.int32)
    return cell, (held - cell.to(tl.float64)).to(tl.float32)


@triton.jit
def _at(grid: tl.tensor, r: tl.tensor, c: tl.tensor, cells: tl.tensor, cut: tl.tensor, gain: tl.tensor) -> tl.tensor:
    """Row r and column c of the padded grid, gain applied: around the grid it is 0, or where the frame cuts it off the nearest."""
    row_known = (r + (cut & TOP) > 0) & (r <= cells + (cut & BOTTOM))
    column_known = (c + (cut & LEFT) > 0) & (c <= cells + (cut & RIGHT))
    near_r = tl.minimum(tl.maximum(r - 1, 0), cells - 1)
    near_c = tl.minimum(tl.maximum(c - 1, 0), cells - 1)
    at = grid + near_r[:, None] * cells + near_c[None, :]
    value = tl.load(at, mask=row_known[:, None] & column_known[None, :], other=0).to(tl.float32)
    return (value - HALF) * gain + HALF


@triton.jit
def _covered(row: tl.tensor, grids: tl.tensor, y: tl.tensor, x: tl.tensor) -> tl.tensor:
    """`masks.coverage` at sample rows `y` and columns `x`: int32, 0..255.

    Positions are float64, along the two axes only, and the rest float32, as there: the gain makes one cell's fraction visible.
    """
    grid = grids + tl.load(row + GRID).to(tl.int32)
    cells, cut = tl.load(row + CELLS).to(tl.int32), tl.load(row + CUT).to(tl.int32)
    gain, last = tl.load(row + GAIN).to(tl.float32), tl.load(row + LAST)
    c, share_x = _cell((x.to(tl.float64) + 0.5) * tl.load(row + RATE_X) + tl.load(row + SHIFT_X), last, cells)
    r, share_y = _cell((y.to(tl.float64) + 0.5) * tl.load(row + RATE_Y) + tl.load(row + SHIFT_Y), last, cells)
    low = _at(grid, r, c, cells, cut, gain)
    upper = (_at(grid, r, c + 1, cells, cut, gain) - low) * share_x[None, :] + low
    low = _at(grid, r + 1, c, cells, cut, gain)
    lower = (_at(grid, r + 1, c + 1, cells, cut, gain) - low) * share_x[None, :] + low
    value = half_even(upper + (lower - upper) * share_y[:, None])
    return tl.minimum(tl.maximum(value, 0.0), 255.0).to(tl.int32)


@triton.jit(do_not_specialize=["count"])
def cover_kernel(
    table: tl.tensor,
    grids: tl.tensor,
    out: tl.tensor,
    count: tl.tensor,
    SCALE: tl.constexpr,
    BY: tl.constexpr,
    BX: tl.constexpr,
) -> None:
    """A tile of samples of every instance that reaches into it, each into its own region's part of `out`."""
    top, left = tl.program_id(0) * BY, tl.program_id(1) * BX
    y, x = top + tl.arange(0, BY), left + tl.arange(0, BX)
    for i in range(count):
        row = table + i * FIELDS
        x0, y0, x1, y1 = sample_region(row, SCALE)
        if overlaps(x0, y0, x1, y1, left, top, BX, BY):
            value = _covered(row, grids, y, x)
            inside = ((y >= y0) & (y < y1))[:, None] & ((x >= x0) & (x < x1))[None, :]
            to = out + tl.load(row + SAMPLES).to(tl.int64) + (y - y0)[:, None] * (x1 - x0) + (x - x0)[None, :]
            tl.store(to, value.to(tl.uint8), mask=inside)


@triton.jit(do_not_specialize=["count"])
def union_kernel(
    table: tl.tensor,
    grids: tl.tensor,
    out: tl.tensor,
    count: tl.tensor,
    height: tl.tensor,
    width: tl.tensor,
    BY: tl.constexpr,
    BX: tl.constexpr,
) -> None:
    """A tile of `out` [height, width]: how much of each pixel the instance covers that covers most of it."""
    top, left = tl.program_id(0) * BY, tl.program_id(1) * BX
    y, x = top + tl.arange(0, BY), left + tl.arange(0, BX)
    most = tl.zeros([BY, BX], tl.int32)
    for i in range(count):
        row = table + i * FIELDS
        x0, y0, x1, y1 = sample_region(row, 1)
        if overlaps(x0, y0, x1, y1, left, top, BX, BY):
            inside = ((y >= y0) & (y < y1))[:, None] & ((x >= x0) & (x < x1))[None, :]
            most = tl.maximum(most, tl.where(inside, _covered(row, grids, y, x), 0))
    tl.store(out + y[:, None] * width + x[None, :], most.to(tl.uint8), mask=(y < height)[:, None] & (x < width)[None, :])


def cover(table: torch.Tensor, grids: torch.Tensor, out: torch.Tensor, size: tuple[int, int], scale: int) -> None:
    """Sample the instances of `table` (`instance_table`) into `out` (uint8, all samples); `size`: height, width in samples."""
    grid = (triton.cdiv(size[0], _BLOCK[0]), triton.cdiv(size[1], _BLOCK[1]))
    cover_kernel[grid](table, grids, out, len(table), SCALE=scale, BY=_BLOCK[0], BX=_BLOCK[1], **EXACT)


def union(table: torch.Tensor, grids: torch.Tensor, out: torch.Tensor) -> None:
    """`out`, uint8 [height, width] of the frame: `composite.choose.matte` without feather."""
    height, width = out.shape
    grid = (triton.cdiv(height, _BLOCK[0]), triton.cdiv(width, _BLOCK[1]))
    union_kernel[grid](table, grids, out, len(table), height, width, BY=_BLOCK[0], BX=_BLOCK[1], **EXACT)
