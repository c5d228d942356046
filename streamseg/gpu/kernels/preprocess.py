"""Preprocessing: from a picture's planes on the device to the network's RGB input, in one kernel.

The arithmetic is that of `streamseg.pixels.letterbox`: each plane is averaged 2x2 until less than a factor of two is left, then
interpolated with OpenCV's fixed-point (8 bits) or float (more bits) weights, then the matrix is applied, then the HDR table. A
thread works out one pixel of the input from the four samples of each plane around it; rounding happens where OpenCV rounds.
"""

from __future__ import annotations

import numpy as np
import torch
import triton
import triton.language as tl

from streamseg.gpu.kernels.columns import (
    B_STILL,
    B_U,
    B_Y,
    G_CHROMA,
    G_MIDDLE,
    G_STILL,
    G_U,
    G_V,
    G_Y,
    R_STILL,
    R_V,
    R_Y,
)
from streamseg.gpu.kernels.common import EXACT, half_even, mean_of_four, mean_of_two
from streamseg.gpu.kernels.fit import PlanePlan, matrix_of, plan_plane
from streamseg.gpu.kernels.surface import Surface
from streamseg.pixels import color, letterbox
from streamseg.pixels.fields import LEAST_LINES, FieldOrder
from streamseg.pixels.letterbox import Letterbox

__all__ = ["PreprocessKernel", "preprocess_kernel"]

_BLOCK = (8, 64)


@triton.jit
def _level(
    plane: tl.tensor, y: tl.tensor, x: tl.tensor, pitch: tl.tensor, STEP: tl.constexpr, X: tl.constexpr, Y: tl.constexpr
) -> tl.tensor:
    """Sample (y, x), int32, of the plane averaged down X times along x and Y times along y, along both at once while both are left.

    Of 2x2 samples OpenCV rounds halves up where they are in a plane of their own (STEP 1), and else to the even number.
    """
    if X == 0 and Y == 0:
        mean = tl.load(plane + y.to(tl.int64) * pitch + x * STEP).to(tl.int32)
    elif X > Y:
        total = _level(plane, y, 2 * x, pitch, STEP, X - 1, Y) + _level(plane, y, 2 * x + 1, pitch, STEP, X - 1, Y)
        mean = mean_of_two(total)
    elif Y > X:
        total = _level(plane, 2 * y, x, pitch, STEP, X, Y - 1) + _level(plane, 2 * y + 1, x, pitch, STEP, X, Y - 1)
        mean = mean_of_two(total)
    else:
        total = _level(plane, 2 * y, 2 * x, pitch, STEP, X - 1, Y - 1)
        total += _level(plane, 2 * y, 2 * x + 1, pitch, STEP, X - 1, Y - 1)
        total += _level(plane, 2 * y + 1, 2 * x, pitch, STEP, X - 1, Y - 1)
        total += _level(plane, 2 * y + 1, 2 * x + 1, pitch, STEP, X - 1, Y - 1)
        mean = mean_of_four(total, STEP)
    return mean


@triton.jit
def _halve_kernel(
    plane: tl.tensor,
    out: tl.tensor,
    height: tl.tensor,
    width: tl.tensor,
    pitch: tl.tensor,
    STEP: tl.constexpr,
    X: tl.constexpr,
    Y: tl.constexpr,
    BY: tl.constexpr,
    BX: tl.constexpr,
) -> None:
    """One averaging on its own, into `out` [height, width] with samples STEP apart too: for factors above four."""
    y = tl.program_id(0) * BY + tl.arange(0, BY)[:, None]
    x = tl.program_id(1) * BX + tl.arange(0, BX)[None, :]
    value = _level(plane, tl.minimum(y, height - 1), tl.minimum(x, width - 1), pitch, STEP, X, Y)
    tl.store(out + (y * width + x) * STEP, value.to(out.dtype.element_ty), mask=(y < height) & (x < width))


@triton.jit
def _resized(
    plane: tl.tensor,
    pitch: tl.tensor,
    taps: tl.tensor,
    weights: tl.tensor,
    y: tl.tensor,
    x: tl.tensor,
    height: tl.tensor,
    width: tl.tensor,
    WORDS: tl.constexpr,
    STEP: tl.constexpr,
    X: tl.constexpr,
    Y: tl.constexpr,
) -> tl.tensor:
    """The averaged plane resized to height x width at rows `y` and columns `x`: codes, float32."""
    columns, wide = taps + 2 * height, weights + 2 * height
    y0, y1 = tl.load(taps + y)[:, None], tl.load(taps + height + y)[:, None]
    x0, x1 = tl.load(columns + x)[None, :], tl.load(columns + width + x)[None, :]
    wy0, wy1 = tl.load(weights + y)[:, None], tl.load(weights + height + y)[:, None]
    wx0, wx1 = tl.load(wide + x)[None, :], tl.load(wide + width + x)[None, :]
    a, b = _level(plane, y0, x0, pitch, STEP, X, Y), _level(plane, y0, x1, pitch, STEP, X, Y)
    c, d = _level(plane, y1, x0, pitch, STEP, X, Y), _level(plane, y1, x1, pitch, STEP, X, Y)
    if WORDS:
        upper = a.to(tl.float32) * wx0 + b.to(tl.float32) * wx1
        lower = c.to(tl.float32) * wx0 + d.to(tl.float32) * wx1
        value = half_even(upper * wy0 + lower * wy1)
    else:
        upper = (a * wx0.to(tl.int32) + b * wx1.to(tl.int32)) >> 4
        lower = (c * wx0.to(tl.int32) + d * wx1.to(tl.int32)) >> 4
        mixed = ((wy0.to(tl.int32) * upper) >> 16) + ((wy1.to(tl.int32) * lower) >> 16)
        value = ((mixed + 2) >> 2).to(tl.float32)
    return value


@triton.jit
def _code(value: tl.tensor) -> tl.tensor:
    return tl.minimum(tl.maximum(half_even(value), 0.0), 255.0).to(tl.int32)


@triton.jit
def preprocess_kernel(
    luma: tl.tensor,
    u: tl.tensor,
    v: tl.tensor,
    out: tl.tensor,
    luma_taps: tl.tensor,
    luma_weights: tl.tensor,
    chroma_taps: tl.tensor,
    chroma_weights: tl.tensor,
    matrix: tl.tensor,
    table: tl.tensor,
    luma_pitch: tl.tensor,
    chroma_pitch: tl.tensor,
    out_height: tl.tensor,
    out_width: tl.tensor,
    top: tl.tensor,
    left: tl.tensor,
    height: tl.tensor,
    width: tl.tensor,
    padding: tl.tensor,
    WORDS: tl.constexpr,
    STEP: tl.constexpr,
    LX: tl.constexpr,
    LY: tl.constexpr,
    CX: tl.constexpr,
    CY: tl.constexpr,
    BY: tl.constexpr,
    BX: tl.constexpr,
) -> None:
    """A tile of `out`, uint8 [out_height, out_width, 3]. The picture of height x width begins at (top, left).

    Pitches count samples. LX, LY, CX, CY: times that luma and chroma are halved. matrix: `fit.matrix_of`. table: the tone map.
    """
    rows, columns = tl.program_id(0) * BY + tl.arange(0, BY), tl.program_id(1) * BX + tl.arange(0, BX)
    y = tl.minimum(tl.maximum(rows - top, 0), height - 1)
    x = tl.minimum(tl.maximum(columns - left, 0), width - 1)
    light = _resized(luma, luma_pitch, luma_taps, luma_weights, y, x, height, width, WORDS, 1, LX, LY)
    blue = _resized(u, chroma_pitch, chroma_taps, chroma_weights, y, x, height, width, WORDS, STEP, CX, CY)
    red = _resized(v, chroma_pitch, chroma_taps, chroma_weights, y, x, height, width, WORDS, STEP, CX, CY)
    # Green takes two steps, the first of them rounded into the type of the samples.
    mixed = half_even(blue * tl.load(matrix + G_U) + red * tl.load(matrix + G_V) + tl.load(matrix + G_MIDDLE))
    mixed = tl.minimum(tl.maximum(mixed, 0.0), 65535.0 if WORDS else 255.0)
    r = _code(light * tl.load(matrix + R_Y) + red * tl.load(matrix + R_V) + tl.load(matrix + R_STILL))
    g = _code(light * tl.load(matrix + G_Y) + mixed * tl.load(matrix + G_CHROMA) + tl.load(matrix + G_STILL))
    b = _code(light * tl.load(matrix + B_Y) + blue * tl.load(matrix + B_U) + tl.load(matrix + B_STILL))
    inside = ((rows >= top) & (rows < top + height))[:, None] & ((columns >= left) & (columns < left + width))[None, :]
    to = out + (rows[:, None] * out_width + columns[None, :]) * 3
    seen = (rows < out_height)[:, None] & (columns < out_width)[None, :]
    tl.store(to, tl.where(inside, tl.load(table + r), padding), mask=seen)
    tl.store(to + 1, tl.where(inside, tl.load(table + g), padding), mask=seen)
    tl.store(to + 2, tl.where(inside, tl.load(table + b), padding), mask=seen)


class PreprocessKernel:
    """Fits pictures on a device into the network's input of `height` x `width`, as `streamseg.pixels.letterbox.Fitter` does.

    Tables for each picture size, format and encoding are made once and kept. Used by one thread.
    """

    def __init__(
        self,
        height: int,
        width: int,
        device: torch.device | str,
        mode: letterbox.FitMode = "letterbox",
        padding: int = letterbox.PADDING,
    ) -> None:
        self._size, self._device = (height, width), torch.device(device)
        self._host, self._padding = letterbox.Fitter(height, width, mode), padding
        self._plans: dict[tuple[str, int, int, bool], tuple[PlanePlan, PlanePlan]] = {}
        self._matrices: dict[tuple[color.Encoding, int], torch.Tensor] = {}
        self._tables: dict[str, torch.Tensor] = {}

    def __call__(self, picture: Surface, out: torch.Tensor, field_order: FieldOrder | None = None) -> Letterbox:
        """Write the network's picture of `picture` into `out`, on the current stream, without waiting.

        Args:
            picture: on the device.
            field_order: of an interlaced picture, of which the first field is taken.
            out: uint8 [height, width, 3], contiguous, RGB: one slot of the batch.

        Returns: how it was fitted. Raises ValueError when `out` is not such a tensor.
        """
        if out.dtype != torch.uint8 or tuple(out.shape) != (*self._size, 3) or not out.is_contiguous():
            wanted = f"contiguous uint8 {[*self._size, 3]}"
            raise ValueError(f"the network's input must be {wanted}, got {out.dtype} {list(out.shape)}")
        interlaced = field_order is not None and picture.height >= LEAST_LINES
        fit = self._host.fit(picture.width, picture.height, interlaced=interlaced)
        luma_plan, chroma_plan = self._plan(picture, fit, interlaced)
        lines = slice(int(interlaced and field_order == "bff"), None, 1 + interlaced)
        luma = _averaged(picture.luma[lines], luma_plan)
        u, v = (_averaged(plane[lines], chroma_plan) for plane in picture.chroma)
        height, width = self._size
        grid = (triton.cdiv(height, _BLOCK[0]), triton.cdiv(width, _BLOCK[1]))
        preprocess_kernel[grid](
            luma,
            u,
            v,
            out,
            luma_plan.taps,
            luma_plan.weights,
            chroma_plan.taps,
            chroma_plan.weights,
            self._matrix(picture),
            self._table(picture.encoding.transfer),
            luma.stride(0),
            u.stride(0),
            height,
            width,
            fit.letterbox.top,
            fit.letterbox.left,
            fit.height,
            fit.width,
            self._padding,
            WORDS=picture.layout.depth > 8,
            STEP=u.stride(1),
            LX=luma_plan.halvings[0],
            LY=luma_plan.halvings[1],
            CX=chroma_plan.halvings[0],
            CY=chroma_plan.halvings[1],
            BY=_BLOCK[0],
            BX=_BLOCK[1],
            **EXACT,
        )
        return fit.letterbox

    def _plan(self, picture: Surface, fit: letterbox.Fit, interlaced: bool) -> tuple[PlanePlan, PlanePlan]:
        key = (picture.layout.name, picture.width, picture.height, interlaced)
        if key not in self._plans:
            made = []
            for shift_x, shift_y in ((0, 0), picture.shift):
                columns, rows = -(-fit.seen[0] >> shift_x), -(-fit.seen[1] >> shift_y)
                times = (max(0, fit.halvings[0] - shift_x), max(0, fit.halvings[1] - shift_y))
                made.append(plan_plane((columns, rows), times, (fit.width, fit.height), picture.layout.depth > 8, self._device))
            self._plans[key] = (made[0], made[1])
        return self._plans[key]

    def _matrix(self, picture: Surface) -> torch.Tensor:
        key = (picture.encoding, picture.layout.lsb)
        if key not in self._matrices:
            self._matrices[key] = torch.from_numpy(matrix_of(*key)).to(self._device)
        return self._matrices[key]

    def _table(self, transfer: color.Transfer) -> torch.Tensor:
        if transfer not in self._tables:
            codes = np.arange(256, dtype=np.uint8) if transfer == "sdr" else letterbox.tone_map(transfer)
            self._tables[transfer] = torch.from_numpy(codes).to(self._device)
        return self._tables[transfer]


def _averaged(plane: torch.Tensor, plan: PlanePlan) -> torch.Tensor:
    """The plane after the averagings that are done before the kernel: seldom any."""
    width, height = plan.size
    for x, y in plan.first:
        width, height = width >> x, height >> y
        # As far apart as they were: how OpenCV rounds the next mean depends on it.
        small = torch.empty((height, width * plane.stride(1)), dtype=plane.dtype, device=plane.device)[:, :: plane.stride(1)]
        grid = (triton.cdiv(height, _BLOCK[0]), triton.cdiv(width, _BLOCK[1]))
        _halve_kernel[grid](
            plane, small, height, width, plane.stride(0), STEP=plane.stride(1), X=x, Y=y, BY=_BLOCK[0], BX=_BLOCK[1], **EXACT
        )
        plane = small
    return plane
