"""How large each instance is in the picture, by what is not cut off: width, height, and the root of the mask's area."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from streamseg.core.result import Result

__all__ = ["AREA", "HEIGHT", "WIDTH", "log_sizes"]

WIDTH, HEIGHT, AREA = 0, 1, 2
BORDER = 1.5
"""Pixels from the frame's border at which a side may be cut."""
WHOLE = 0.93
"""Visible share from which on the mask's area counts."""
SMALLEST = 4.0
"""Pixels."""

Doubles = npt.NDArray[np.float64]


def log_sizes(result: Result) -> tuple[Doubles, npt.NDArray[np.bool_]]:
    """[N, 3] logarithms of width, height and root of area, frame pixels; and which of them are those of the whole object."""
    found, frame = result.instances, result.frame
    boxes = found.boxes.astype(np.float64)
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-3)
    share = found.mask_or_box.reshape(len(found), -1).mean(1, dtype=np.float64) / 255 if len(found) else np.zeros(0)
    sizes = np.empty((len(found), 3))
    sizes[:, :2] = np.log(sides)
    sizes[:, AREA] = 0.5 * np.log(np.maximum(share, 1e-6)) + sizes[:, :2].mean(1)
    free = np.concatenate([boxes[:, :2] > BORDER, boxes[:, 2:] < np.array([frame.width, frame.height]) - BORDER], 1)
    whole = free[:, :2] & free[:, 2:] & (sides > SMALLEST)
    area = whole.all(1) & found.has_shapes
    if result.occlusion is not None:
        more = np.abs(result.occlusion.extents - found.boxes) < 0.5
        whole &= more[:, :2] & more[:, 2:]
        area &= (result.occlusion.visible > WHOLE) & whole.all(1)
    return sizes, np.concatenate([whole, area[:, None]], 1)
