"""Mask R-CNN as `streamseg.export` writes it: D rows of finished detections, each with the mask of its class within its box.

A part of it that gives boxes alone (core.parts) is read, too.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from streamseg.detect.heads.base import Arrays, Candidates
from streamseg.detect.heads.options import Options
from streamseg.hub.class_names import class_names, names_in
from streamseg.hub.description import Description, Evidence, InputDescription, Recognised
from streamseg.hub.graph_file import GraphFile, TensorInfo
from streamseg.hub.graph_spec import FAMILY, GraphSpec
from streamseg.pixels.letterbox import Letterbox

__all__ = ["MaskRCNN", "declared"]


def declared(rows: int, side: int, batch: int = 0) -> dict[str, TensorInfo]:
    """The outputs of such a graph, as `GraphSpec.outputs` has them: `rows` detections with masks of `side` x `side`, 0: without."""
    found = {
        "boxes": TensorInfo("float32", (batch, rows, 4)),
        "scores": TensorInfo("float32", (batch, rows)),
        "labels": TensorInfo("int32", (batch, rows)),
    }
    return found | ({"masks": TensorInfo("float32", (batch, rows, side, side))} if side else {})


class MaskRCNN:
    """`boxes` xyxy in input pixels, `scores`, `labels` from 0, `masks` of probabilities spanning their boxes.

    Rows without a detection have the label -1 and the score 0.
    """

    name = FAMILY
    layout = "boxes: float32 [B, D, 4], scores: float32 [B, D], labels: int32 [B, D] and, or not, masks: float32 [B, D, M, M]"

    reads: ClassVar[tuple[str, ...]] = ("boxes", "scores", "labels", "masks")
    options: ClassVar[Options] = {}

    def __init__(self, spec: GraphSpec) -> None:
        self.gives_masks = "masks" in spec.outputs

    @staticmethod
    def recognise(file: GraphFile) -> Recognised | None:
        """See Recognises: such rows, however their maker came by them, are read as ours."""
        masks = file.outputs.get("masks")
        if len(file.inputs) != 1 or masks is None or len(masks.shape) != 4:
            return None
        batch, rows, side, _ = masks.shape
        if file.outputs != declared(rows, side, batch) or not rows or not side:
            return None
        (name, info) = next(iter(file.inputs.items()))
        stated = names_in(file.metadata)
        if len(info.shape) != 4 or stated is None:  # the rows do not tell how many labels there are
            return None
        layout = "nhwc" if info.shape[3] == 3 else "nchw"
        names = class_names(len(stated), stated)
        picture = InputDescription(name=name, layout=layout, std=(1.0,) * 3 if info.dtype == "uint8" else (255.0,) * 3)
        description = Description(
            family=FAMILY,
            input=picture,
            outputs={each: each for each in file.outputs},
            classes=names.names,
            category_ids=names.category_ids,
        )
        reasons = {
            "family": "it has boxes, scores, labels and masks in rows",
            "input.layout": f"its shape is {info}",
            "input.colour": "assumed: as most models",
            "input.std": "codes, since they are whole numbers" if info.dtype == "uint8" else "assumed: 0 to 1, as most models",
            "input.fit": "assumed: as most models",
            "classes": names.reason,
        }
        return Recognised(description, Evidence.NAMES, reasons)

    @staticmethod
    def fits(spec: GraphSpec) -> bool:
        """See Head."""
        scores, masks = spec.outputs.get("scores"), spec.outputs.get("masks")
        if scores is None or len(scores.shape) != 2 or (masks is not None and len(masks.shape) != 4):
            return False
        (batch, rows), side = scores.shape, 0 if masks is None else masks.shape[3]
        return dict(spec.outputs) == declared(rows, side, batch)

    def __call__(self, arrays: Arrays, letterbox: Letterbox, least: float) -> Candidates:
        """See Head. All rows are read, since there are few, so that nonsense in rows with a low score is counted, too."""
        real = np.flatnonzero((arrays["labels"] != -1) | (arrays["scores"] != 0))
        boxes, scores, labels = arrays["boxes"][real], arrays["scores"][real], arrays["labels"][real].astype(np.int64)
        if not self.gives_masks:
            return Candidates(boxes, scores, labels, np.ones(len(real), np.bool_), None)
        grids = arrays["masks"]

        def masks(rows: npt.NDArray[np.intp]) -> npt.NDArray[np.uint8]:
            levels: npt.NDArray[np.uint8] = np.rint(np.clip(grids[real[rows]], 0, 1) * 255).astype(np.uint8)
            return levels

        return Candidates(boxes, scores, labels, np.asarray(np.isfinite(grids[real]).all((1, 2))), masks)
