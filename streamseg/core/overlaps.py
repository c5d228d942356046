"""Which of several instances shows where they overlap."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from streamseg.core.masks import HALF, Region, paste, region_of

if TYPE_CHECKING:
    from streamseg.core.types import Instances

__all__ = ["disjoint", "front_first", "label_map"]


def front_first(instances: Instances, depth: npt.NDArray[np.int64] | None = None) -> npt.NDArray[np.intp]:
    """[N] the instances' indices from front to back: a pixel of several is the first one's.

    By `depth` [N], the smaller the nearer (`Occlusion.order`); without it as scores fall. Where each mask is its whole box, the
    smaller box is in front of the larger: a box says nothing of what it shows, and a large one would hide all that is within it.
    """
    if instances.has_masks and not instances.has_shapes:
        return np.argsort((instances.boxes[:, 2:] - instances.boxes[:, :2]).prod(axis=1), kind="stable")
    return np.arange(len(instances)) if depth is None else np.argsort(depth, kind="stable")


def label_map(
    instances: Instances, width: int, height: int, scale: int = 1, order: npt.NDArray[np.int64] | None = None
) -> npt.NDArray[np.uint8] | npt.NDArray[np.int16]:
    """Which instance each pixel shows: 0 none, i + 1 the instance i; where instances overlap, the one in front (`front_first`).

    Args:
        instances: in order of falling score.
        width: the frame's, pixels.
        height: the frame's, pixels.
        scale: 2 gives the map at half size (rounded up), sampled at the centre of each 2x2 block, in a quarter of the time.
        order: [N], the smaller the nearer (`Occlusion.order`); None: as scores fall.

    Returns: [ceil(height / scale), ceil(width / scale)] uint8, or int16 when there are more than 254 instances.
    """
    shape, grids = (-(-height // scale), -(-width // scale)), instances.grids
    picture = np.zeros(shape, np.uint8 if len(instances) < 255 else np.int16)
    for i in front_first(instances, order)[::-1].tolist():
        (x0, y0, x1, y1), crop = paste(grids[i], instances.boxes[i], width, height, scale=scale)
        picture[y0:y1, x0:x1][crop > HALF] = i + 1
    return picture


def disjoint(
    instances: Instances, width: int, height: int, order: npt.NDArray[np.int64] | None = None
) -> list[tuple[Region, npt.NDArray[np.bool_]]]:
    """The pixels of each instance, none of which belongs to two: where masks overlap, to the one in front (`front_first`).

    Args:
        instances: in order of falling score.
        width: the frame's, pixels.
        height: the frame's, pixels.
        order: [N], the smaller the nearer (`Occlusion.order`); None: as scores fall.

    Returns: for each instance its region of whole pixels inside the frame, and bool [region height, region width].
    """
    owner = label_map(instances, width, height, order=order)
    regions = [region_of(box, width, height) for box in instances.boxes]
    return [(region, owner[region[1] : region[3], region[0] : region[2]] == i + 1) for i, region in enumerate(regions)]
