"""Mix: smoothed planes laid over a picture's own by a matte."""

from __future__ import annotations

import triton
import triton.language as tl

from streamseg.gpu.kernels.common import half_even, over
from streamseg.gpu.kernels.filters import weight

__all__ = ["mix_kernel"]


@triton.jit
def _tap(at: tl.tensor, step: tl.tensor, count: tl.tensor) -> tl.tensor:
    """Position `at` among samples that are `step` times as coarse: the samples before and after, and the share of the second."""
    position = tl.div_rn(at.to(tl.float32) + 0.5, step.to(tl.float32)) - 0.5
    before = tl.floor(position)
    share = position - before
    first = before.to(tl.int32)
    return tl.minimum(tl.maximum(first, 0), count - 1), tl.minimum(tl.maximum(first + 1, 0), count - 1), share


@triton.jit
def _coarse(
    means: tl.tensor,
    y: tl.tensor,
    x: tl.tensor,
    rows: tl.tensor,
    columns: tl.tensor,
    step_y: tl.tensor,
    step_x: tl.tensor,
    SMOOTH: tl.constexpr,
) -> tl.tensor:
    """The coarse plane at rows y and columns x: bilinear if SMOOTH, else the block's own value; a code, int32."""
    if SMOOTH:
        y0, y1, share_y = _tap(y, step_y, rows)
        x0, x1, share_x = _tap(x, step_x, columns)
        upper = tl.load(means + y0 * columns + x0) * (1.0 - share_x) + tl.load(means + y0 * columns + x1) * share_x
        lower = tl.load(means + y1 * columns + x0) * (1.0 - share_x) + tl.load(means + y1 * columns + x1) * share_x
        value = half_even(upper * (1.0 - share_y) + lower * share_y)
    else:
        value = tl.load(means + (y // step_y) * columns + x // step_x)
    return value.to(tl.int32)


@triton.jit(
    do_not_specialize=[
        "begin",
        "alpha_begin",
        "height",
        "width",
        "alpha_height",
        "alpha_width",
        "rows",
        "columns",
        "step_y",
        "step_x",
    ]
)
def mix_kernel(
    a: tl.tensor,
    b: tl.tensor,
    alpha: tl.tensor,
    means: tl.tensor,
    begin: tl.tensor,
    pitch: tl.tensor,
    height: tl.tensor,
    width: tl.tensor,
    alpha_begin: tl.tensor,
    alpha_pitch: tl.tensor,
    alpha_height: tl.tensor,
    alpha_width: tl.tensor,
    rows: tl.tensor,
    columns: tl.tensor,
    step_y: tl.tensor,
    step_x: tl.tensor,
    COMPONENTS: tl.constexpr,
    STEP: tl.constexpr,
    LSB: tl.constexpr,
    SX: tl.constexpr,
    SY: tl.constexpr,
    INVERT: tl.constexpr,
    SMOOTH: tl.constexpr,
    BY: tl.constexpr,
    BX: tl.constexpr,
) -> None:
    """A tile of one crop (height x width, starting at `begin`) of one or two components.

    means: float32 [COMPONENTS, rows, columns], each standing for step_y x step_x samples. alpha: the crop's, at full size.
    """
    y = tl.program_id(0) * BY + tl.arange(0, BY)[:, None]
    x = tl.program_id(1) * BX + tl.arange(0, BX)[None, :]
    seen = (y < height) & (x < width)
    y, x = tl.minimum(y, height - 1), tl.minimum(x, width - 1)
    opaque = weight(alpha + alpha_begin, y, x, alpha_height, alpha_width, alpha_pitch, SX, SY, INVERT)
    seen = seen & (opaque > 0)
    at = begin + y * pitch + x * STEP
    other = _coarse(means, y, x, rows, columns, step_y, step_x, SMOOTH) >> LSB
    mixed = over(tl.load(a + at).to(tl.int32) >> LSB, other, opaque) << LSB
    tl.store(a + at, mixed.to(a.dtype.element_ty), mask=seen)
    if COMPONENTS == 2:
        other = _coarse(means + rows * columns, y, x, rows, columns, step_y, step_x, SMOOTH) >> LSB
        mixed = over(tl.load(b + at).to(tl.int32) >> LSB, other, opaque) << LSB
        tl.store(b + at, mixed.to(b.dtype.element_ty), mask=seen)
