"""Which of several instances shows where they overlap."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from streamseg.core.types import Instances

__all__ = ["front_first"]


def front_first(instances: Instances, depth: npt.NDArray[np.int64] | None = None) -> npt.NDArray[np.intp]:
    """[N] the instances' indices from front to back: a pixel of several is the first one's.

    By `depth` [N], the smaller the nearer (`Occlusion.order`); without it as scores fall. Where each mask is its whole box, the
    smaller box is in front of the larger: a box says nothing of what it shows, and a large one would hide all that is within it.
    """
    if instances.has_masks and not instances.has_shapes:
        return np.argsort((instances.boxes[:, 2:] - instances.boxes[:, :2]).prod(axis=1), kind="stable")
    return np.arange(len(instances)) if depth is None else np.argsort(depth, kind="stable")
