"""Where instances stand."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from streamseg.core.types import Instances, Occlusion

__all__ = ["ground_points"]

FOOT = 1 / 3
"""Share of a mask's rows, from its lowest, whose centre is the ground point's: both legs of who walks."""


def ground_points(found: Instances, occlusion: Occlusion | None = None) -> npt.NDArray[np.float64]:
    """[N, 2] x, y in frame pixels where each instance stands.

    The lowest row of its mask, at the centre of its lower third, or without a mask the middle of its box's lower edge; with
    `occlusion`, the foot of the estimated extent where that reaches deeper.
    """
    points, masks = np.zeros((len(found), 2)), found.mask_or_box > 127
    side = masks.shape[-1]
    foot = max(1, int(FOOT * side))
    for i, (box, mask) in enumerate(zip(found.boxes.tolist(), masks, strict=True)):
        width, height = (box[2] - box[0]) / side, (box[3] - box[1]) / side
        rows = np.flatnonzero(mask.any(axis=1))
        if not len(rows):
            points[i] = (box[0] + box[2]) / 2, box[3]
            continue
        last = int(rows[-1]) + 1
        columns = mask[max(0, last - foot) : last].sum(axis=0)
        points[i] = box[0] + width * (columns @ (np.arange(side) + 0.5)) / columns.sum(), box[1] + height * last
    if occlusion is not None and len(found):
        extents = occlusion.extents
        deeper = extents[:, 3] > found.boxes[:, 3] + 0.02 * (extents[:, 3] - extents[:, 1])
        points[deeper] = np.stack([(extents[:, 0] + extents[:, 2]) / 2, extents[:, 3]], axis=1)[deeper]
    return points
