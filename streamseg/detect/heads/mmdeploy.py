"""Models of MMDetection as MMDeploy exports them: finished detections, with masks over their boxes or over the whole input.

From the package `mmdeploy`, 1.3.1 (open-mmlab/mmdeploy, codebase/mmdet), and `mmdet`, 3.3:
* `models/detectors`: the outputs are `dets`, x0 y0 x1 y1 score, in pixels of the input; `labels` from 0; `masks`. Rows
  whose score is 0 are padding (`deploy/object_detection_model.py`).
* `models/roi_heads/fcn_mask_head.py`: of Mask R-CNN the masks are 28 x 28 probabilities over their boxes, and with
  `export_postprocess_mask` pasted into the input: true or false, or for TensorRT still probabilities.
* `models/dense_heads/rtmdet_ins_head.py`: of RTMDet-Ins probabilities at the input's size, whatever that option says. CondInst the
  same.
* `configs/rtmdet`: BGR less (103.53, 116.28, 123.675), by (57.375, 57.12, 58.395), in the upper left corner, 114 around it.
  `configs/_base_/models/mask-rcnn_r50_fpn.py`: RGB less (123.675, 116.28, 103.53), by (58.395, 57.12, 57.375), what is around it 0
  after that, so that it is the mean. Both keep the frame's shape.

So which masks these are is told by their size, and how the picture is prepared by whether the graph has a RoIAlign.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from streamseg.detect.heads.base import Arrays, Candidates
from streamseg.detect.heads.ends import IMAGENET_MEAN, IMAGENET_STD
from streamseg.detect.heads.options import Options
from streamseg.detect.heads.whole_masks import finite_within, over_boxes, side_for
from streamseg.hub.class_names import class_names, names_in
from streamseg.hub.description import Description, Evidence, InputDescription, Recognised
from streamseg.hub.graph_file import GraphFile, TensorInfo
from streamseg.hub.graph_spec import GraphSpec
from streamseg.pixels.letterbox import Letterbox

__all__ = ["MMDeploy"]

_NAMES = ("dets", "labels", "masks")
_MEAN_CODE = 114


class MMDeploy:
    """`dets`: xyxy and score, [B, N, 5]; `labels` [B, N]; `masks` [B, N, h, w]: of the input if of its size, else of the box."""

    name = "mmdeploy"
    layout = "dets: float32 [B, N, 5], labels: int64 [B, N], and of models with masks masks: [B, N, h, w]"

    reads: ClassVar[tuple[str, ...]] = _NAMES
    options: ClassVar[Options] = {}

    def __init__(self, spec: GraphSpec) -> None:
        self.gives_masks = "masks" in spec.outputs
        self._size = spec.size

    @staticmethod
    def fits(spec: GraphSpec) -> bool:
        """See Head."""
        return {"dets", "labels"} <= spec.outputs.keys() <= set(_NAMES) and _laid_out(spec.outputs)

    @staticmethod
    def recognise(file: GraphFile) -> Recognised | None:
        """See Recognises."""
        if not {"dets", "labels"} <= file.outputs.keys() <= set(_NAMES) or not _laid_out(file.outputs) or len(file.inputs) != 1:
            return None
        ((name, picture),) = file.inputs.items()
        if len(picture.shape) != 4 or picture.shape[1] not in (0, 3):
            return None
        stated = names_in(file.metadata)
        names = class_names(None, stated)
        return Recognised(
            Description(
                family=MMDeploy.name,
                input=_input(name, two_stages=any("RoiAlign" in operator for operator in file.operators)),
                outputs={each: each for each in _NAMES if each in file.outputs},
                classes=names.names,
                category_ids=names.category_ids,
            ),
            Evidence.NAMES,
            _reasons(file) | {"classes": names.reason},
            labels_told=names.told,
        )

    def __call__(self, arrays: Arrays, letterbox: Letterbox, least: float) -> Candidates:
        """See Head."""
        dets = arrays["dets"].astype(np.float32, copy=False)
        real = ~(dets[:, 4] <= 0)
        chosen = np.flatnonzero(real & ~(dets[:, 4] < least))
        boxes, scores, labels = dets[chosen, :4], dets[chosen, 4], arrays["labels"][chosen].astype(np.int64)
        low = int(real.sum()) - len(chosen)
        if not self.gives_masks:
            return Candidates(boxes, scores, labels, np.ones(len(chosen), bool), None, low)
        grids = arrays["masks"]
        height, width = grids.shape[1:]
        whole = (height, width) == self._size
        side = side_for(height, width)
        # A mask over its box is one over a picture that is the box.
        there = boxes if whole else np.broadcast_to(np.array([0, 0, width, height], np.float32), boxes.shape)

        def masks(rows: npt.NDArray[np.intp]) -> npt.NDArray[np.uint8]:
            kept = chosen[rows]
            same = not whole and height == width == side
            values = grids[kept] if same else over_boxes([grids[row] for row in kept], there[rows], side)
            levels: npt.NDArray[np.uint8] = np.rint(np.clip(values, 0, 1) * np.float32(255)).astype(np.uint8)
            return levels

        finite = np.fromiter(
            (finite_within(grids[row], box) for row, box in zip(chosen, there, strict=True)), bool, len(chosen)
        )
        return Candidates(boxes, scores, labels, finite, masks, low)


def _laid_out(outputs: Mapping[str, TensorInfo]) -> bool:
    """Whether the outputs have MMDeploy's ranks, types and lengths, as far as they are known."""
    dets, labels, masks = (outputs.get(name) for name in _NAMES)
    if dets is None or labels is None or dets.dtype[:5] != "float" or labels.dtype[:3] != "int":
        return False
    if len(dets.shape) != 3 or dets.shape[2] not in (0, 5) or len(labels.shape) != 2:
        return False
    shapes = (dets.shape, labels.shape, masks.shape if masks else dets.shape)
    rows = {shape[1] for shape in shapes if len(shape) > 1 and shape[1]}
    return len(rows) <= 1 and (
        masks is None or (len(masks.shape) == 4 and (masks.dtype == "bool" or masks.dtype[:5] == "float"))
    )


def _input(name: str, *, two_stages: bool) -> InputDescription:
    if two_stages:
        return InputDescription(
            name=name, multiple=32, mean=IMAGENET_MEAN, std=IMAGENET_STD, fit="letterbox-top-left", padding=_MEAN_CODE
        )
    return InputDescription(
        name=name,
        multiple=32,
        colour="bgr",
        mean=IMAGENET_MEAN[::-1],
        std=IMAGENET_STD[::-1],
        fit="letterbox-top-left",
        padding=114,
    )


def _reasons(file: GraphFile) -> dict[str, str]:
    two_stages = any("RoiAlign" in operator for operator in file.operators)
    model = "Mask R-CNN's, since there is a RoIAlign" if two_stages else "RTMDet's, since there is no RoIAlign"
    return {
        "family": "its outputs are MMDeploy's: dets with scores, labels" + (", masks" if "masks" in file.outputs else ""),
        "input.multiple": "as MMDetection pads",
        "input.fit": "MMDetection keeps the frame in the upper left corner",
        "input.padding": "the mean of the three means" if two_stages else "RTMDet's",
        **dict.fromkeys(("input.colour", "input.mean", "input.std"), f"assumed: {model}"),
    }
