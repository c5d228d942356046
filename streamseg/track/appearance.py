"""What things look like: a histogram of the colours within the mask, taken from the frame's own planes.

A grid of points inside each box is read straight from the planes (nothing is resized or converted), those inside the mask are
counted in bins of luma and of chroma, for the upper and the lower half apart: a red shirt over blue trousers is not a blue
shirt over red ones.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from streamseg import planes
from streamseg.types import MASK_SIZE, Frame, Instances

__all__ = ["BINS", "histograms", "similarity"]

FloatArray = npt.NDArray[np.float32]

POINTS = 14
"""Points a side."""
LUMA = 8
CHROMA = 6
CHROMA_STEP = 14
"""Codes (of 256) of U and V to a bin; those around neutral grey are told apart, all beyond share the outermost."""
HALF_BINS = LUMA + CHROMA * CHROMA
BINS = 2 * HALF_BINS


def histograms(frame: Frame, instances: Instances) -> FloatArray:
    """[N, BINS] float32, each half's luma and chroma parts summing to one; all zero for an instance with an empty mask."""
    count = len(instances)
    if not count:
        return np.zeros((0, BINS), np.float32)
    steps = (np.arange(POINTS) + 0.5) / POINTS
    size = instances.boxes[:, 2:] - instances.boxes[:, :2]
    x = np.clip(instances.boxes[:, :1] + steps * size[:, :1], 0, frame.width - 1).astype(np.int64)
    y = np.clip(instances.boxes[:, 1:2] + steps * size[:, 1:], 0, frame.height - 1).astype(np.int64)
    cells = (steps * MASK_SIZE).astype(np.int64)
    inside = instances.masks[:, cells[:, None], cells] > 127
    luma, u, v = _codes(frame, x[:, None, :], y[:, :, None])
    light = luma * LUMA >> 8
    colour = _chroma_bin(u) * CHROMA + _chroma_bin(v)
    half = np.where(np.arange(POINTS) < POINTS // 2, 0, HALF_BINS)[None, :, None]
    owner = np.broadcast_to(np.arange(count)[:, None, None] * BINS, inside.shape)
    where = owner + half
    counts = np.bincount((where + light)[inside], minlength=count * BINS)
    counts = counts + np.bincount((where + LUMA + colour)[inside], minlength=count * BINS)
    parts = counts.reshape(count, 2, HALF_BINS).astype(np.float32)
    for block in (slice(0, LUMA), slice(LUMA, HALF_BINS)):
        parts[..., block] /= np.maximum(parts[..., block].sum(-1, keepdims=True), 1)
    return parts.reshape(count, BINS)


def similarity(a: FloatArray, b: FloatArray) -> FloatArray:
    """[N, M] in [0, 1]: the Bhattacharyya coefficient of histograms [N, BINS] and [M, BINS], mean over their four parts."""
    return np.asarray(np.sqrt(a) @ np.sqrt(b).T / 4, np.float32)


def _chroma_bin(codes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.asarray(np.clip((codes - 128) // CHROMA_STEP + CHROMA // 2, 0, CHROMA - 1))


def _codes(
    frame: Frame, x: npt.NDArray[np.int64], y: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Y, U and V as 8-bit codes at frame pixels (x, y); range and matrix as they are, for comparison within one source."""
    picture = planes.views(planes.supported(frame.picture))
    shift = picture.layout.depth + picture.layout.lsb - 8
    shape = np.broadcast_shapes(x.shape, y.shape)
    parts = {0: np.full(shape, 128), 1: np.full(shape, 128), 2: np.full(shape, 128)}
    for array, spec in picture.planes:
        values = array[y >> spec.shift_y, x >> spec.shift_x]
        for k, component in enumerate(spec.components):
            if component < 3:
                own = values if len(spec.components) == 1 else values[..., k]
                parts[component] = (own.astype(np.int64) >> shift).reshape(shape)
    if picture.layout.family != "rgb":
        return parts[0], parts[1], parts[2]
    r, g, b = parts[0], parts[1], parts[2]
    luma = (77 * r + 150 * g + 29 * b) >> 8  # BT.601, close enough for bins
    return luma, ((b - luma) * 144 >> 8) + 128, ((r - luma) * 183 >> 8) + 128
