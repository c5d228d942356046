"""Part of the smooth stage: frames that the network did not run on get the instances of the frame before, moved by flow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from streamseg.core import masks as mask_ops
from streamseg.core.result import Result
from streamseg.core.types import Frame, Instances
from streamseg.temporal import warp
from streamseg.temporal.flow import Flow, FlowCache

__all__ = ["Propagate", "carry"]

ROUNDS = 2
"""How often a box is moved to where its points went: the first round finds the place, the second measures there."""
THINNEST = 1.0
"""Frame pixels: an instance of which less is left inside the frame is dropped, since nothing of it could be painted."""

FloatArray = npt.NDArray[np.float32]


class Propagate:
    """Call it with each Result, tracked, in order. Holds the instances of one frame; what is carried keeps its identity."""

    def __init__(self, flows: FlowCache | None = None) -> None:
        self._flows = flows or FlowCache()
        self._last: tuple[Frame, Instances] | None = None

    def __call__(self, result: Result) -> Result:
        """The result itself if the network ran on it; else with the instances of the frame before, none after a change of epoch.

        In a still frame they are where they were: moved along the flow, however little, they would wander off in an hour.
        """
        if not result.detected and self._last is not None:
            frame, instances = self._last
            if result.still and frame.epoch == result.frame.epoch:
                result = replace(result, instances=instances)
                self._last = (frame, instances)
                return result
            flow = self._flows.between(frame, result.frame) if len(instances) else None
            if flow is not None:
                result = replace(result, instances=carry(instances, flow, result.frame.width, result.frame.height))
        self._last = (result.frame, result.instances)
        return result


def carry(instances: Instances, flow: Flow, width: int, height: int) -> Instances:
    """The instances of the flow's source frame as they are in its target frame; without those that left it.

    Boxes are moved and scaled as the points of their masks are. Masks are looked up along the flow, so they bend as the object
    does; boxes alone, and masks that are their whole box, stay that. Scores and classes stay.
    """
    old = warp.shapes(instances)
    side = old.shape[-1]
    boxes = _first_guess(instances.boxes, old, flow)
    for _ in range(ROUNDS):
        points = warp.cells(boxes, side, warp.coarse(side))
        sources, likeness = flow.at(points)
        inside = warp.look_up(old, instances.boxes, sources, width, height) / 255
        boxes = warp.moved_boxes(instances.boxes, points, sources, np.where(inside > 0.5, likeness + 0.1, 0.0))
    _, sources, _ = warp.traced(flow, boxes, side)
    levels = np.rint(warp.look_up(old, instances.boxes, sources, width, height)).astype(np.uint8)
    clipped, levels = mask_ops.crop_to(boxes, levels, width, height)
    keep = np.flatnonzero(((clipped[:, 2:] - clipped[:, :2]) >= THINNEST).all(1) & (levels > 127).any((1, 2)))
    masks = levels if instances.has_shapes else instances.masks
    return replace(instances, boxes=clipped, masks=masks, fine=())[keep]


def _first_guess(boxes: FloatArray, masks: FloatArray, flow: Flow) -> FloatArray:
    """The boxes shifted by the median motion seen where the masks were."""
    skip = warp.coarse(masks.shape[-1])
    points = warp.cells(boxes, masks.shape[-1], skip)
    sources, _ = flow.at(points)
    shifted = boxes.copy()
    for i in range(len(boxes)):
        inside = masks[i, ::skip, ::skip] > 127
        if inside.any():
            shift = np.median((points[i] - sources[i])[inside], axis=0)
            shifted[i] += np.tile(shift, 2)
    return shifted
