"""Paint: colours and text laid over a picture's planes, each at its own size, in one kernel."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from streamseg.gpu.kernels.columns import (
    BOX_X0,
    BOX_X1,
    BOX_Y0,
    BOX_Y1,
    CODE0,
    CODE1,
    CODE2,
    FIELDS,
    PLATE0,
    PLATE1,
    PLATE2,
    PLATE_FIELDS,
    SAMPLES,
    TEXT,
    TEXT0,
    TEXT1,
    TEXT2,
)
from streamseg.gpu.kernels.common import EXACT, half_even, mean_of_four, mean_of_two, over
from streamseg.gpu.kernels.cover import overlaps, sample_region
from streamseg.gpu.kernels.surface import Surface

__all__ = ["paint", "paint_kernel", "shrunk"]

_BLOCK = (16, 64)


@triton.jit
def shrunk(alpha: tl.tensor, SX: tl.constexpr, SY: tl.constexpr, BY: tl.constexpr, BX: tl.constexpr) -> tl.tensor:
    """The mean alpha (int32 [BY, BX]) under each chroma sample, rounded as cv2's INTER_AREA rounds 2x2 and pairs of uint8."""
    if SX == 1 and SY == 1:
        total = tl.sum(tl.sum(tl.reshape(alpha, [BY // 2, 2, BX // 2, 2]), axis=3), axis=1)
        mean = mean_of_four(total, 1)
    elif SX == 1:
        total = tl.sum(tl.reshape(alpha, [BY, BX // 2, 2]), axis=2)
        mean = mean_of_two(total)
    elif SY == 1:
        total = tl.sum(tl.reshape(alpha, [BY // 2, 2, BX]), axis=1)
        mean = mean_of_two(total)
    else:
        mean = alpha
    return mean


@triton.jit
def _tap(at: tl.tensor, SCALE: tl.constexpr) -> tl.tensor:
    """Twice SCALE times the position of pixel `at` among samples: the sample before, and the share of the next one in 2048ths."""
    position = 2 * at + 1 - SCALE + 2 * SCALE
    return position // (2 * SCALE) - 1, (position % (2 * SCALE)) * (1024 // SCALE)


@triton.jit
def _enlarged(
    alphas: tl.tensor,
    y: tl.tensor,
    x: tl.tensor,
    x0: tl.tensor,
    y0: tl.tensor,
    x1: tl.tensor,
    y1: tl.tensor,
    inside: tl.tensor,
    SCALE: tl.constexpr,
) -> tl.tensor:
    """cv2.resize by SCALE, fixed-point, of the samples of one region (x0 to y1), at pixels y, x: int32; 0 outside."""
    if SCALE == 1:
        value = tl.load(alphas + (y - y0)[:, None] * (x1 - x0) + (x - x0)[None, :], mask=inside, other=0).to(tl.int32)
    else:
        row, down = _tap(y - y0 * SCALE, SCALE)
        column, right = _tap(x - x0 * SCALE, SCALE)
        w, h = x1 - x0, y1 - y0
        # At the border one sample counts alone: along x by its weight, along y by taking it twice, as cv2 does.
        right = tl.where((column < 0) | (column >= w - 1), 0, right)
        column = tl.minimum(tl.maximum(column, 0), w - 1)
        after = tl.minimum(column + 1, w - 1)
        first, second = tl.minimum(tl.maximum(row, 0), h - 1), tl.minimum(tl.maximum(row + 1, 0), h - 1)
        a = tl.load(alphas + first[:, None] * w + column[None, :], mask=inside, other=0).to(tl.int32)
        b = tl.load(alphas + first[:, None] * w + after[None, :], mask=inside, other=0).to(tl.int32)
        c = tl.load(alphas + second[:, None] * w + column[None, :], mask=inside, other=0).to(tl.int32)
        d = tl.load(alphas + second[:, None] * w + after[None, :], mask=inside, other=0).to(tl.int32)
        upper = (a * (2048 - right)[None, :] + b * right[None, :]) >> 4
        lower = (c * (2048 - right)[None, :] + d * right[None, :]) >> 4
        value = (((((2048 - down)[:, None] * upper) >> 16) + ((down[:, None] * lower) >> 16)) + 2) >> 2
    return value


@triton.jit
def _ring(row: tl.tensor, y: tl.tensor, x: tl.tensor, line: tl.tensor) -> tl.tensor:
    """255 on a line of `line` pixels inside the edges of the instance's box."""
    x0, y0 = tl.load(row + BOX_X0).to(tl.int32), tl.load(row + BOX_Y0).to(tl.int32)
    x1, y1 = tl.load(row + BOX_X1).to(tl.int32), tl.load(row + BOX_Y1).to(tl.int32)
    outer = ((y >= y0) & (y < y1))[:, None] & ((x >= x0) & (x < x1))[None, :]
    inner = ((y >= y0 + line) & (y < y1 - line))[:, None] & ((x >= x0 + line) & (x < x1 - line))[None, :]
    return tl.where(outer & (inner == 0), 255, 0)


@triton.jit
def _text(plate: tl.tensor, text: tl.tensor, coverage: tl.tensor, LSB: tl.constexpr) -> tl.tensor:
    """The code of a component of a label where its text covers the sample so much: the plate's, and how much the text's differs."""
    code = tl.load(plate).to(tl.float32) + tl.load(text).to(tl.float32) * (coverage.to(tl.float32) / 255.0)
    return half_even(code).to(tl.int32) << LSB


@triton.jit(do_not_specialize=["count", "plates", "line"])
def paint_kernel(
    luma: tl.tensor,
    u: tl.tensor,
    v: tl.tensor,
    table: tl.tensor,
    alphas: tl.tensor,
    plate_table: tl.tensor,
    coverage: tl.tensor,
    count: tl.tensor,
    plates: tl.tensor,
    line: tl.tensor,
    height: tl.tensor,
    width: tl.tensor,
    luma_pitch: tl.tensor,
    chroma_pitch: tl.tensor,
    SX: tl.constexpr,
    SY: tl.constexpr,
    STEP: tl.constexpr,
    LSB: tl.constexpr,
    SCALE: tl.constexpr,
    BOX: tl.constexpr,
    BY: tl.constexpr,
    BX: tl.constexpr,
) -> None:
    """A tile of the luma and the chroma under it: every instance's colour in turn, then every label.

    Pitches count samples. line: width of the box's line, if BOX. An odd last column or row is taken twice for its chroma.
    """
    top, left = tl.program_id(0) * BY, tl.program_id(1) * BX
    y, x = top + tl.arange(0, BY), left + tl.arange(0, BX)
    cy, cx = (top >> SY) + tl.arange(0, BY >> SY), (left >> SX) + tl.arange(0, BX >> SX)
    seen = (y < height)[:, None] & (x < width)[None, :]
    chroma_seen = ((cy << SY) < height)[:, None] & ((cx << SX) < width)[None, :]
    luma += y[:, None] * luma_pitch + x[None, :]
    u += cy[:, None] * chroma_pitch + cx[None, :] * STEP
    v += cy[:, None] * chroma_pitch + cx[None, :] * STEP
    code0 = tl.load(luma, mask=seen, other=0).to(tl.int32) >> LSB
    code1 = tl.load(u, mask=chroma_seen, other=0).to(tl.int32) >> LSB
    code2 = tl.load(v, mask=chroma_seen, other=0).to(tl.int32) >> LSB
    touched, chroma_touched = code0 < 0, code1 < 0
    y, x = tl.minimum(y, height - 1), tl.minimum(x, width - 1)
    for i in range(count):
        row = table + i * FIELDS
        x0, y0, x1, y1 = sample_region(row, 1)
        if overlaps(x0, y0, x1, y1, left, top, BX, BY):
            left0, top0, right1, bottom1 = sample_region(row, SCALE)
            own = alphas + tl.load(row + SAMPLES).to(tl.int64)
            inside = ((y >= y0) & (y < y1))[:, None] & ((x >= x0) & (x < x1))[None, :]
            alpha = _enlarged(own, y, x, left0, top0, right1, bottom1, inside, SCALE)
            if BOX:
                alpha = tl.where(inside, tl.maximum(alpha, _ring(row, y, x, line)), 0)
            if SCALE == 2 and SX == 1 and SY == 1 and not BOX:
                among = ((cy >= top0) & (cy < bottom1))[:, None] & ((cx >= left0) & (cx < right1))[None, :]
                at = own + (cy - top0)[:, None] * (right1 - left0) + (cx - left0)[None, :]
                chroma_alpha = tl.load(at, mask=among, other=0).to(tl.int32)
            else:
                chroma_alpha = shrunk(alpha, SX, SY, BY, BX)
            code0 = over(code0, tl.load(row + CODE0).to(tl.int32), alpha)
            code1 = over(code1, tl.load(row + CODE1).to(tl.int32), chroma_alpha)
            code2 = over(code2, tl.load(row + CODE2).to(tl.int32), chroma_alpha)
            touched, chroma_touched = touched | (alpha > 0), chroma_touched | (chroma_alpha > 0)
    code0, code1, code2 = code0 << LSB, code1 << LSB, code2 << LSB
    for i in range(plates):
        plate = plate_table + i * PLATE_FIELDS
        x0, y0, x1, y1 = sample_region(plate, 1)
        if overlaps(x0, y0, x1, y1, left, top, BX, BY):
            inside = ((y >= y0) & (y < y1))[:, None] & ((x >= x0) & (x < x1))[None, :]
            at = coverage + tl.load(plate + TEXT).to(tl.int32) + (y - y0)[:, None] * (x1 - x0) + (x - x0)[None, :]
            covered = tl.load(at, mask=inside, other=0).to(tl.int32)
            chroma_covered = shrunk(covered, SX, SY, BY, BX)
            # A plate's corners are multiples of the chroma's size: a sample of chroma lies inside with all of its pixels.
            among = shrunk(inside.to(tl.int32), SX, SY, BY, BX) > 0
            code0 = tl.where(inside, _text(plate + PLATE0, plate + TEXT0, covered, LSB), code0)
            code1 = tl.where(among, _text(plate + PLATE1, plate + TEXT1, chroma_covered, LSB), code1)
            code2 = tl.where(among, _text(plate + PLATE2, plate + TEXT2, chroma_covered, LSB), code2)
            touched, chroma_touched = touched | inside, chroma_touched | among
    tl.store(luma, code0.to(luma.dtype.element_ty), mask=touched & seen)
    tl.store(u, code1.to(u.dtype.element_ty), mask=chroma_touched & chroma_seen)
    tl.store(v, code2.to(v.dtype.element_ty), mask=chroma_touched & chroma_seen)


def paint(
    picture: Surface,
    table: torch.Tensor,
    alphas: torch.Tensor,
    plates: torch.Tensor,
    coverage: torch.Tensor,
    *,
    scale: int,
    line: int,
) -> None:
    """Draw the instances of `table`, then the labels of `plates`, in order, into the planes of `picture`.

    Args:
        picture: drawn upon.
        table: `instance_table`; the codes of the colours filled in, and the boxes where `line` is not 0.
        alphas: uint8, the opacity of every instance's region, packed as the table says.
        plates: float64 [P, PLATE_FIELDS].
        coverage: uint8, how much the text covers of each pixel of each plate, one plate after the other.
        scale: luma pixels along x and y to one sample of `alphas`.
        line: width of the line around the boxes, pixels; 0: none.
    """
    u, v = picture.chroma
    shift_x, shift_y = picture.shift
    grid = (triton.cdiv(picture.height, _BLOCK[0]), triton.cdiv(picture.width, _BLOCK[1]))
    paint_kernel[grid](
        picture.luma,
        u,
        v,
        table,
        alphas,
        plates,
        coverage,
        len(table),
        len(plates),
        line,
        picture.height,
        picture.width,
        picture.luma.stride(0),
        u.stride(0),
        SX=shift_x,
        SY=shift_y,
        STEP=u.stride(1),
        LSB=picture.layout.lsb,
        SCALE=scale,
        BOX=line > 0,
        BY=_BLOCK[0],
        BX=_BLOCK[1],
        **EXACT,
    )
