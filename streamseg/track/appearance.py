"""What an instance looks like: a histogram of the colours inside its mask, taken from the frame's own planes.

A grid of points inside each box is read straight from the planes; nothing is resized or converted. Points inside the mask are
counted in bins of luma and of chroma, separately for the upper and the lower half, so that a red shirt over blue trousers differs
from a blue shirt over red ones.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from streamseg.core.types import Frame, Instances
from streamseg.pixels import planes

__all__ = ["BINS", "histograms", "similarity"]

FloatArray = npt.NDArray[np.float32]

POINTS = 14
"""Points a side."""
LUMA = 8
CHROMA = 6
CHROMA_STEP = 14
"""Width of a bin of U and V, in codes of 256. Colours far from grey all share the outermost bins."""
HALF_BINS = LUMA + CHROMA * CHROMA
BINS = 2 * HALF_BINS

_STEPS = ((np.arange(POINTS) + 0.5) / POINTS).astype(np.float32)
_HALF = np.where(np.arange(POINTS) < POINTS // 2, 0, HALF_BINS)
# Code -> bin; what U and V add to it.
_LIGHT = np.arange(256) * LUMA >> 8
_CHROMA = np.clip((np.arange(256) - 128) // CHROMA_STEP + CHROMA // 2, 0, CHROMA - 1)
_COLOUR_U, _COLOUR_V = LUMA + _CHROMA * CHROMA, _CHROMA


def histograms(frame: Frame, instances: Instances) -> FloatArray:
    """[N, BINS] float32, each half's luma and chroma parts summing to one; all zero for an instance with an empty mask."""
    count = len(instances)
    if not count:
        return np.zeros((0, BINS), np.float32)
    boxes, last = instances.boxes, (frame.width - 1, frame.height - 1)
    x, y = (
        np.clip(boxes[:, k, None] + _STEPS * (boxes[:, k + 2] - boxes[:, k])[:, None], 0, last[k]).astype(np.int64)
        for k in (0, 1)
    )
    masks = instances.mask_or_box
    cells = (_STEPS * masks.shape[-1]).astype(np.int64)
    inside = masks[:, cells[:, None], cells] > 127
    owner, row, column = np.nonzero(inside)
    luma, u, v = _codes(frame, x[owner, column], y[owner, row])
    where = owner * BINS + _HALF[row]
    counts = np.bincount(np.concatenate([where + _LIGHT[luma], where + _COLOUR_U[u] + _COLOUR_V[v]]), minlength=count * BINS)
    parts = counts.reshape(count, 2, HALF_BINS).astype(np.float32)
    for block in (slice(0, LUMA), slice(LUMA, HALF_BINS)):
        parts[..., block] /= np.maximum(parts[..., block].sum(-1, keepdims=True), 1)
    return parts.reshape(count, BINS)


def similarity(a: FloatArray, b: FloatArray) -> FloatArray:
    """[N, M] in [0, 1]: the Bhattacharyya coefficient of histograms [N, BINS] and [M, BINS], mean over their four parts."""
    return np.asarray(np.sqrt(a) @ np.sqrt(b).T / 4, np.float32)


def _codes(
    frame: Frame, x: npt.NDArray[np.int64], y: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.integer], npt.NDArray[np.integer], npt.NDArray[np.integer]]:
    """Y, U and V as 8-bit codes at frame pixels (x, y); range and matrix as they are, for comparison within one source."""
    picture = planes.views(planes.supported(frame.picture))
    shift = picture.layout.depth + picture.layout.lsb - 8
    parts: dict[int, npt.NDArray[np.integer]] = {k: np.full(x.shape, 128) for k in range(3)}
    for array, spec in picture.planes:
        values = array[y >> spec.shift_y, x >> spec.shift_x]
        for k, component in enumerate(spec.components):
            if component < 3:
                own = values if len(spec.components) == 1 else values[..., k]
                parts[component] = own >> shift if shift else own
    if picture.layout.family != "rgb":
        return parts[0], parts[1], parts[2]
    r, g, b = (parts[k].astype(np.int64) for k in range(3))
    luma = (77 * r + 150 * g + 29 * b) >> 8  # BT.601, close enough for bins
    return luma, ((b - luma) * 144 >> 8) + 128, ((r - luma) * 183 >> 8) + 128
