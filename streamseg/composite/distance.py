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
    step = max(1, min(16, int(reach / _SAMPLES)))
    height, width = matte.shape
    small = reduced(matte, step)
    away: Any = cv2.distanceTransform((small <= 127).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    # From the outline, which runs half a sample beyond the centres of the outermost samples inside.
    away = np.maximum(away - np.float32(0.5), 0) * np.float32(step)
    if step > 1:
        away = cv2.resize(away, (away.shape[1] * step, away.shape[0] * step), interpolation=cv2.INTER_LINEAR)
    return away[:height, :width]  # type: ignore[no-any-return]


def ramp(matte: ByteArray, reach: float) -> ByteArray:
    """0 inside, 255 from `reach` pixels outside on, in between a slope that begins and ends flat: uint8 [height, width].

    A pixel that is covered in part has its share at most.
    """
    t = np.minimum(distance(matte, reach) * np.float32(1 / reach), 1)
    smooth: ByteArray = np.rint(255 * t * t * (3 - 2 * t)).astype(np.uint8)
    return cv2.min(smooth, cv2.bitwise_not(matte))  # type: ignore[return-value]
