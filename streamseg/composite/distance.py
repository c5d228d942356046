"""How far pixels are from what a matte covers, for effects that change with the distance."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.composite.canvas import reduced

__all__ = ["distance", "ramp"]

ByteArray = npt.NDArray[np.uint8]
_SAMPLES = 16
"""Of a reach: what changes so slowly is worked out at fewer pixels."""


def distance(matte: ByteArray, reach: float) -> npt.NDArray[np.float32]:
    """Pixels from each pixel to the nearest one that is covered by more than half, float32 [height, width], smooth.

    Args:
        matte: uint8 [height, width], 255 inside.
        reach: in pixels; distances are exact to about a sixteenth of it.
    """
    away, step = _coarse(matte, reach)
    far: npt.NDArray[np.float32] = _enlarged(away, step, matte.shape)
    return far


def ramp(matte: ByteArray, reach: float) -> ByteArray:
    """0 inside, 255 from `reach` pixels outside on, in between a slope that begins and ends flat: uint8 [height, width].

    A pixel that is covered in part has its share at most.
    """
    away, step = _coarse(matte, reach)
    t = np.minimum(away * np.float32(1 / reach), 1)
    smooth = np.rint(255 * t * t * (3 - 2 * t)).astype(np.uint8)
    return cv2.min(_enlarged(smooth, step, matte.shape), cv2.bitwise_not(matte))  # type: ignore[return-value]


def _coarse(matte: ByteArray, reach: float) -> tuple[npt.NDArray[np.float32], int]:
    """Distances in pixels, one for each block of so many pixels a side."""
    step = max(1, min(16, int(reach / _SAMPLES)))
    small = reduced(matte, step)
    away: Any = cv2.distanceTransform((small <= 127).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    # From the outline, which runs half a sample beyond the centres of the outermost samples inside.
    return np.maximum(away - np.float32(0.5), 0) * np.float32(step), step


def _enlarged(array: Any, step: int, shape: tuple[int, ...]) -> Any:
    """A value for each pixel of `shape`."""
    if step > 1:
        array = cv2.resize(array, (array.shape[1] * step, array.shape[0] * step), interpolation=cv2.INTER_LINEAR)
    return array[: shape[0], : shape[1]]
