"""Averages over neighbourhoods: the feather of a matte, the weighted Gaussian of a blur, the means of blocks.

All work on a crop of a picture, as if there were nothing around it, with the borders that OpenCV's filters have.
"""

from __future__ import annotations

import triton
import triton.language as tl

from streamseg.gpu.kernels.common import half_even, mean_of_four, mean_of_two, reflected

__all__ = [
    "box_columns_kernel",
    "box_rows_kernel",
    "gauss_columns_kernel",
    "gauss_rows_kernel",
    "means_kernel",
    "reduce_kernel",
    "weight",
]


@triton.jit(do_not_specialize=["begin", "height", "width", "radius"])
def box_rows_kernel(
    source: tl.tensor,
    sums: tl.tensor,
    begin: tl.tensor,
    pitch: tl.tensor,
    height: tl.tensor,
    width: tl.tensor,
    radius: tl.tensor,
    BY: tl.constexpr,
    BX: tl.constexpr,
) -> None:
    """`sums` [height, width] int32: along x over 2 * radius + 1 pixels of the crop of `source` that starts at `begin`."""
    y = tl.program_id(0) * BY + tl.arange(0, BY)[:, None]
    x = tl.program_id(1) * BX + tl.arange(0, BX)[None, :]
    seen = (y < height) & (x < width)
    total = tl.zeros([BY, BX], tl.int32)
    for k in range(-radius, radius + 1):
        total += tl.load(source + begin + y * pitch + reflected(x + k, width), mask=seen, other=0).to(tl.int32)
    tl.store(sums + y * width + x, total, mask=seen)


@triton.jit(do_not_specialize=["begin", "height", "width", "radius"])
def box_columns_kernel(
    sums: tl.tensor,
    out: tl.tensor,
    begin: tl.tensor,
    pitch: tl.tensor,
    height: tl.tensor,
    width: tl.tensor,
    radius: tl.tensor,
    BY: tl.constexpr,
    BX: tl.constexpr,
) -> None:
    """The crop of `out` (uint8) from the sums along x: cv2.blur. The area is odd, so no mean is half way between two codes."""
    y = tl.program_id(0) * BY + tl.arange(0, BY)[:, None]
    x = tl.program_id(1) * BX + tl.arange(0, BX)[None, :]
    seen = (y < height) & (x < width)
    total = tl.zeros([BY, BX], tl.int32)
    for k in range(-radius, radius + 1):
        total += tl.load(sums + reflected(y + k, height) * width + x, mask=seen, other=0)
    area = (2 * radius + 1) * (2 * radius + 1)
    tl.store(out + begin + y * pitch + x, ((2 * total + area) // (2 * area)).to(tl.uint8), mask=seen)


@triton.jit
def weight(
    alpha: tl.tensor,
    y: tl.tensor,
    x: tl.tensor,
    height: tl.tensor,
    width: tl.tensor,
    pitch: tl.tensor,
    SX: tl.constexpr,
    SY: tl.constexpr,
    INVERT: tl.constexpr,
) -> tl.tensor:
    """Alpha (or 255 - alpha) under samples of a plane at half size along x if SX, y if SY: `canvas.shrink`, int32.

    `alpha` is the crop's, of height x width at full size; its last column or row counts twice where that is odd.
    """
    y0, x0 = tl.minimum(y << SY, height - 1), tl.minimum(x << SX, width - 1)
    value = tl.load(alpha + y0 * pitch + x0).to(tl.int32)
    if INVERT:
        value = 255 - value
    if SX or SY:
        y1, x1 = tl.minimum(y0 + SY, height - 1), tl.minimum(x0 + SX, width - 1)
        other = tl.load(alpha + y1 * pitch + x1).to(tl.int32)
        if SX and SY:
            other += tl.load(alpha + y0 * pitch + x1).to(tl.int32) + tl.load(alpha + y1 * pitch + x0).to(tl.int32)
            value = mean_of_four(value + (765 - other if INVERT else other), 1)
        else:
            value = mean_of_two(value + (255 - other if INVERT else other))
    return value


@triton.jit
def _mean(total: tl.tensor, step: tl.tensor, STEP: tl.constexpr) -> tl.tensor:
    """A sum over step x step samples by their number, a power of four, rounded as INTER_AREA does: float32."""
    mean = half_even(tl.div_rn(total.to(tl.float32), (step * step).to(tl.float32)))
    return tl.where(step == 2, mean_of_four(total, STEP).to(tl.float32), mean)


@triton.jit(do_not_specialize=["begin", "alpha_begin", "height", "width", "alpha_height", "alpha_width", "step"])
def reduce_kernel(
    a: tl.tensor,
    b: tl.tensor,
    alpha: tl.tensor,
    out: tl.tensor,
    begin: tl.tensor,
    pitch: tl.tensor,
    height: tl.tensor,
    width: tl.tensor,
    alpha_begin: tl.tensor,
    alpha_pitch: tl.tensor,
    alpha_height: tl.tensor,
    alpha_width: tl.tensor,
    step: tl.tensor,
    COMPONENTS: tl.constexpr,
    STEP: tl.constexpr,
    SX: tl.constexpr,
    SY: tl.constexpr,
    INVERT: tl.constexpr,
    BY: tl.constexpr,
    BX: tl.constexpr,
) -> None:
    """`out` [COMPONENTS + 1, rows, columns] float32: means of step x step samples times their mass, and the mass.

    a, b: the components (b unused if there is but one), the crop starts at `begin`. What is beyond the crop repeats its edge.
    """
    rows, columns = (height + step - 1) // step, (width + step - 1) // step
    y = tl.program_id(0) * BY + tl.arange(0, BY)[:, None]
    x = tl.program_id(1) * BX + tl.arange(0, BX)[None, :]
    total, total_b, opaque = tl.zeros([BY, BX], tl.int32), tl.zeros([BY, BX], tl.int32), tl.zeros([BY, BX], tl.int32)
    for k in range(step * step):
        sy, sx = tl.minimum(y * step + k // step, height - 1), tl.minimum(x * step + k % step, width - 1)
        at = begin + sy * pitch + sx * STEP
        total += tl.load(a + at).to(tl.int32)
        if COMPONENTS == 2:
            total_b += tl.load(b + at).to(tl.int32)
        opaque += weight(alpha + alpha_begin, sy, sx, alpha_height, alpha_width, alpha_pitch, SX, SY, INVERT)
    # Far inside the sharp part there is no weight, and nobody sees the result: any small number avoids 0 / 0.
    mass = tl.div_rn(_mean(opaque, step, 1), 255.0) + 0.0001
    seen, at = (y < rows) & (x < columns), y * columns + x
    tl.store(out + at, _mean(total, step, STEP) * mass, mask=seen)
    if COMPONENTS == 2:
        tl.store(out + rows * columns + at, _mean(total_b, step, STEP) * mass, mask=seen)
    tl.store(out + COMPONENTS * rows * columns + at, mass, mask=seen)


@triton.jit(do_not_specialize=["height", "width", "radius"])
def gauss_rows_kernel(
    source: tl.tensor,
    taps: tl.tensor,
    out: tl.tensor,
    height: tl.tensor,
    width: tl.tensor,
    radius: tl.tensor,
    BY: tl.constexpr,
    BX: tl.constexpr,
) -> None:
    """One channel (the third axis of the grid) of float32 [channels, height, width], filtered along x with 2 * radius + 1 taps."""
    y = tl.program_id(0) * BY + tl.arange(0, BY)[:, None]
    x = tl.program_id(1) * BX + tl.arange(0, BX)[None, :]
    begin = tl.program_id(2) * height * width
    seen = (y < height) & (x < width)
    total = tl.zeros([BY, BX], tl.float32)
    for k in range(-radius, radius + 1):
        near = tl.load(source + begin + y * width + reflected(x + k, width), mask=seen, other=0)
        total += near * tl.load(taps + radius + k)
    tl.store(out + begin + y * width + x, total, mask=seen)


@triton.jit(do_not_specialize=["height", "width", "radius", "channels"])
def gauss_columns_kernel(
    source: tl.tensor,
    taps: tl.tensor,
    out: tl.tensor,
    height: tl.tensor,
    width: tl.tensor,
    radius: tl.tensor,
    channels: tl.tensor,
    BY: tl.constexpr,
    BX: tl.constexpr,
) -> None:
    """One component of `out` [channels - 1, height, width]: filtered along y, and divided by the mass, the last channel."""
    y = tl.program_id(0) * BY + tl.arange(0, BY)[:, None]
    x = tl.program_id(1) * BX + tl.arange(0, BX)[None, :]
    begin, mass_begin = tl.program_id(2) * height * width, (channels - 1) * height * width
    seen = (y < height) & (x < width)
    total, mass = tl.zeros([BY, BX], tl.float32), tl.zeros([BY, BX], tl.float32)
    for k in range(-radius, radius + 1):
        at, tap = reflected(y + k, height) * width + x, tl.load(taps + radius + k)
        total += tl.load(source + begin + at, mask=seen, other=0) * tap
        mass += tl.load(source + mass_begin + at, mask=seen, other=1) * tap
    tl.store(out + begin + y * width + x, total / mass, mask=seen)


@triton.jit(do_not_specialize=["begin", "height", "width", "block_height", "block_width"])
def means_kernel(
    a: tl.tensor,
    b: tl.tensor,
    out: tl.tensor,
    begin: tl.tensor,
    pitch: tl.tensor,
    height: tl.tensor,
    width: tl.tensor,
    block_height: tl.tensor,
    block_width: tl.tensor,
    COMPONENTS: tl.constexpr,
    STEP: tl.constexpr,
    BY: tl.constexpr,
    BX: tl.constexpr,
) -> None:
    """The mean of one block, one value of `out` [COMPONENTS, rows, columns] float32, rounded. The crop's edge is repeated."""
    row, column, columns = tl.program_id(0), tl.program_id(1), tl.num_programs(1)
    total, total_b = tl.zeros([BY, BX], tl.float32), tl.zeros([BY, BX], tl.float32)
    for top in range(0, block_height, BY):
        for left in range(0, block_width, BX):
            y, x = top + tl.arange(0, BY)[:, None], left + tl.arange(0, BX)[None, :]
            sy = tl.minimum(row * block_height + y, height - 1)
            sx = tl.minimum(column * block_width + x, width - 1)
            at, inside = begin + sy * pitch + sx * STEP, (y < block_height) & (x < block_width)
            total += tl.load(a + at, mask=inside, other=0).to(tl.float32)
            if COMPONENTS == 2:
                total_b += tl.load(b + at, mask=inside, other=0).to(tl.float32)
    scale = tl.div_rn(1.0, (block_height * block_width).to(tl.float32))
    halves = 0.125 if STEP == 1 else 0.0  # INTER_AREA rounds halves up where the block is 2x2 in a plane of its own
    up = tl.where((block_height == 2) & (block_width == 2), halves, 0.0)
    at = row * columns + column
    tl.store(out + at, half_even(tl.sum(tl.sum(total, axis=1), axis=0) * scale + up))
    if COMPONENTS == 2:
        tl.store(out + tl.num_programs(0) * columns + at, half_even(tl.sum(tl.sum(total_b, axis=1), axis=0) * scale + up))
