"""Detectron2's Mask R-CNN as NVIDIA's TensorRT sample writes it, whose NMS and ROIAlign are plug-ins of TensorRT's.

Names, shapes and conventions: https://github.com/NVIDIA/TensorRT, samples/python/detectron2 (create_onnx.py, image_batcher.py,
infer.py and visualize.py, which swaps the axes that infer.py calls x and y back).
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from streamseg.detect.heads.base import Arrays, Candidates
from streamseg.detect.heads.options import Options
from streamseg.detect.heads.rows import levels, ranks, rows_in, worth_decoding
from streamseg.hub.class_names import class_names, stated_names
from streamseg.hub.description import Description, Evidence, InputDescription, Recognised
from streamseg.hub.graph_file import GraphFile
from streamseg.hub.graph_spec import GraphSpec
from streamseg.pixels.letterbox import Letterbox

__all__ = ["TensorRTDetectron2"]

_OUTPUTS = {
    "count": "num_detections",
    "boxes": "detection_boxes",
    "scores": "detection_scores",
    "labels": "detection_classes",
    "masks": "detection_masks",
}
_SUFFIX = "_box_outputs"


class TensorRTDetectron2:
    """D rows, of which the first `count` mean something: `boxes` xyxy as shares of the input, `scores`, `labels` from 0, `masks`
    over the boxes.
    """

    name = "tensorrt-detectron2"
    layout = (
        "count: int32 [B, 1], boxes: float32 [B, D, 4], scores: float32 [B, D], labels: int32 [B, D], masks: float32 "
        "[B, D, M, M]"
    )
    gives_masks = True
    reads: ClassVar[tuple[str, ...]] = tuple(_OUTPUTS)
    options: ClassVar[Options] = {}

    def __init__(self, spec: GraphSpec) -> None:
        height, width = spec.size
        self._scale = np.array([width, height] * 2, np.float32)

    @staticmethod
    def fits(spec: GraphSpec) -> bool:
        """See Head."""
        return ranks(spec, count=(2, 1), boxes=(3, 4), scores=(2, 0), labels=(2, 0), masks=(4, 0))

    @staticmethod
    def recognise(file: GraphFile) -> Recognised | None:
        """See Recognises: by the names that the sample gives."""
        found = {}
        for ours, theirs in _OUTPUTS.items():
            names = [name for name in (theirs, theirs + _SUFFIX) if name in file.outputs]
            if len(names) != 1:
                return None
            found[ours] = names[0]
        (name, info) = next(iter(file.inputs.items()), ("", None))
        if info is None or len(info.shape) != 4:
            return None
        classes = class_names(None, stated_names(file.metadata.get("names", "")))
        description = Description(
            family=TensorRTDetectron2.name,
            input=InputDescription(
                name=name, layout="nhwc" if info.shape[3] == 3 else "nchw", colour="bgr", fit="letterbox-top-left", padding=114
            ),
            outputs=found,
            classes=classes.names,
            category_ids=classes.category_ids,
        )
        reasons = {
            "family": "its outputs have the names of NVIDIA's sample",
            "input.colour": "as Detectron2's own weights",
            "input.mean": "it subtracts its own",
            "input.fit": "as the sample's",
            "input.padding": "near the means that the sample pads with",
            "classes": classes.reason,
        }
        return Recognised(description, Evidence.NAMES, reasons, labels_told=classes.told)

    def __call__(self, arrays: Arrays, letterbox: Letterbox, least: float) -> Candidates:
        """See Head. Raises BadOutput where the arrays are of different numbers of rows."""
        rows = {name: arrays[name] for name in ("boxes", "scores", "labels", "masks")}
        count = min(rows_in(rows), max(0, int(arrays["count"].reshape(-1)[0])))
        kept, low = worth_decoding(rows["scores"][:count], least)
        grids = rows["masks"][kept]
        return Candidates(
            rows["boxes"][kept] * self._scale,
            rows["scores"][kept],
            rows["labels"][kept].astype(np.int64),
            np.asarray(np.isfinite(grids).all((1, 2))),
            lambda chosen: levels(grids[chosen]),
            low,
        )
