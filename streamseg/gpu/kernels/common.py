"""What all kernels share: rounding as OpenCV rounds, blending, and how they are launched.

Multiplications and additions of floats are never fused: the results are to be those of the CPU's code, bit by bit where it can be.
"""

from __future__ import annotations

from typing import Any

import triton
import triton.language as tl

__all__ = ["EXACT", "half_even", "mean_of_four", "mean_of_two", "over", "reflected"]

EXACT: dict[str, Any] = {"enable_fp_fusion": False}
"""Options of every launch."""

# Adding and taking away 1.5 * 2^23 leaves a float32 (of at most 2^22) rounded to a whole number, halves to even.
_ROUND = tl.constexpr(12582912.0)


@triton.jit
def half_even(x: tl.tensor) -> tl.tensor:
    """float32 of at most 2^22 rounded to whole numbers as cvRound does: halves to the even one."""
    return (x + _ROUND) - _ROUND


@triton.jit
def over(below: tl.tensor, paint: tl.tensor, alpha: tl.tensor) -> tl.tensor:
    """`paint` over `below` (codes up to 16 bits, int32) with alpha 0..255: each part rounded, as `Canvas` does.

    A multiple of 1/255 is never half way between two codes, so that rounding halves needs no care.
    """
    return (below * (255 - alpha) * 2 + 255) // 510 + (paint * alpha * 2 + 255) // 510


@triton.jit
def mean_of_two(total: tl.tensor) -> tl.tensor:
    """Half a sum of integers, rounded as cv2.resize's INTER_AREA does for pairs: halves to even."""
    return (total + ((total >> 1) & 1)) >> 1


@triton.jit
def mean_of_four(total: tl.tensor, STEP: tl.constexpr) -> tl.tensor:
    """A quarter of a sum of integers, rounded as INTER_AREA does for 2x2 samples.

    Halves go up where the samples are in a plane of their own (STEP 1), and else to even.
    """
    return (total + (2 if STEP == 1 else 1 + ((total >> 2) & 1))) >> 2


@triton.jit
def reflected(i: tl.tensor, n: tl.tensor) -> tl.tensor:
    """The index 0..n-1 that stands for `i` beyond the border: cv2's BORDER_REFLECT_101, however far out."""
    period = tl.maximum(2 * (n - 1), 1)
    i = tl.abs(i) % period
    return tl.minimum(i, period - i)
