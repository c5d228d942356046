"""Detectors whose graph finishes by itself and gives boxes, scores and labels apart, as torchvision's and TensorFlow's do."""

from __future__ import annotations

import functools
from typing import ClassVar

import numpy as np

from streamseg.detect.heads.base import Arrays, Candidates
from streamseg.detect.heads.ends import Picture, described, picture_of
from streamseg.detect.heads.options import Options, one_of, truth, value, whole
from streamseg.detect.heads.overlapping import boxes_alone
from streamseg.hub.class_names import class_names, stated_names
from streamseg.hub.description import Evidence, InputDescription, Recognised
from streamseg.hub.graph_file import GraphFile
from streamseg.hub.graph_spec import GraphSpec
from streamseg.pixels.letterbox import Letterbox

__all__ = ["Detections"]

CORNERS = ("xyxy", "yxyx")


TENSORFLOW = {
    "boxes": "detection_boxes",
    "scores": "detection_scores",
    "labels": "detection_classes",
    "count": "num_detections",
}
FINISHED = {"boxes": "det_boxes", "scores": "det_scores", "labels": "det_classes", "count": "num_dets"}
"""As exports with a suppression of TensorRT's or ONNX Runtime's call them."""
LABELS = 90
"""So many are read where the file does not say how many there are."""


class Detections:
    """`boxes`, `scores` and `labels` in rows, and perhaps `count`, how many of them mean something.

    Options: `corners` xyxy or yxyx; `normalised`, the boxes are shares of the input; `label_offset`, the label of the first class.
    """

    name = "detections"
    layout = "boxes: float32 [B, N, 4], scores: float32 [B, N], labels: any type [B, N], perhaps count [B] or [B, 1]"
    gives_masks = False
    reads: ClassVar[tuple[str, ...]] = ("boxes", "scores", "labels", "count")
    options: ClassVar[Options] = {"corners": one_of(*CORNERS), "normalised": truth(), "label_offset": whole(0)}

    def __init__(self, spec: GraphSpec) -> None:
        """Raises ModelError for options that make no sense."""
        said = functools.partial(value, spec, self.options)
        self._order = [0, 1, 2, 3] if said("corners") == "xyxy" else [1, 0, 3, 2]
        self._offset = said("label_offset")
        height, width = spec.size
        self._scale = np.array([width, height] * 2, np.float32) if said("normalised") else np.float32(1)

    @staticmethod
    def recognise(file: GraphFile) -> Recognised | None:
        """See Recognises: by their names, or, where an exporter has numbered them, by their types and ranks."""
        picture, given = picture_of(file), file.outputs
        if picture is None or any("mask" in name or len(info.shape) > 3 for name, info in given.items()):
            return None
        return _by_name(file, picture) or _by_rank(file, picture)

    @staticmethod
    def fits(spec: GraphSpec) -> bool:
        """See Head."""
        given = spec.outputs
        if not {"boxes", "scores", "labels"} <= given.keys() <= {"boxes", "scores", "labels", "count"}:
            return False
        rank = {"boxes": 3, "scores": 2, "labels": 2}
        if any(len(given[name].shape) != length for name, length in rank.items()) or given["boxes"].shape[2] not in (0, 4):
            return False
        return given["boxes"].dtype == given["scores"].dtype == "float32"

    @np.errstate(over="ignore", invalid="ignore")  # nonsense is counted where it comes out
    def __call__(self, arrays: Arrays, letterbox: Letterbox, least: float) -> Candidates:
        """See Head."""
        boxes, scores, labels = arrays["boxes"], arrays["scores"], arrays["labels"]
        count = len(scores)
        if "count" in arrays and np.isfinite(stated := float(arrays["count"].reshape(-1)[0])):
            count = min(count, max(0, round(stated)))
        boxes = boxes[:count][:, self._order] * self._scale
        return boxes_alone(boxes, scores[:count], labels[:count].astype(np.float64) - self._offset)


def _by_name(file: GraphFile, picture: Picture) -> Recognised | None:
    stated = stated_names(file.metadata.get("names", ""))
    for names, tensorflow in ((TENSORFLOW, True), (FINISHED, False)):
        if set(names.values()) <= file.outputs.keys():
            more = {"mean": (0.0,) * 3} if picture.dtype == "uint8" or tensorflow else {"std": (255.0,) * 3}
            return described(
                InputDescription(
                    name=picture.name, layout=picture.layout, fit="stretch" if tensorflow else "letterbox", **more
                ),
                Detections.name,
                names,
                class_names(None, stated, otherwise=LABELS if tensorflow else 80),
                {"corners": "yxyx" if tensorflow else "xyxy", "normalised": tensorflow, "label_offset": int(tensorflow)},
                Evidence.NAMES,
                {
                    "family": f"its outputs are called {', '.join(names.values())}",
                    "input.fit": "assumed: the model scales its picture itself" if tensorflow else "assumed: as YOLO's",
                    "options.label_offset": "TensorFlow's: labels count from 1" if tensorflow else "labels count from 0",
                },
            )
    return None


def _by_rank(file: GraphFile, picture: Picture) -> Recognised | None:
    outputs = _ranked(file)
    if outputs is None:
        return None
    stretched = "Softmax" in file.operators
    return described(
        InputDescription(
            name=picture.name,
            layout=picture.layout,
            std=(1.0 if picture.dtype == "uint8" else 255.0,) * 3,
            fit="stretch" if stretched else "letterbox",
        ),
        Detections.name,
        outputs,
        class_names(None, stated_names(file.metadata.get("names", "")), otherwise=LABELS),
        {"corners": "xyxy", "normalised": False, "label_offset": 1},
        Evidence.NAMES if all(ours == theirs for ours, theirs in outputs.items()) else Evidence.SHAPES,
        {
            "family": "corners, a score and a whole label each",
            "input.std": "torchvision's: 0 to 1; it scales and normalises itself",
            "input.fit": "as SSD, whose Softmax it has" if stretched else "as RetinaNet, which keeps the shape of its picture",
            "options.label_offset": "torchvision's: label 0 is the background",
        },
        batch_axis=len(file.outputs[outputs["boxes"]].shape) == 3,
    )


def _ranked(file: GraphFile) -> dict[str, str] | None:
    """Which output is what, where one has four floats a row, one a float, and one a whole number; None: it is not so."""
    if len(file.outputs) != 3:
        return None
    found: dict[str, str] = {}
    ranks = set()
    for name, info in file.outputs.items():
        floats = info.dtype.startswith("float")
        if floats and len(info.shape) in (2, 3) and info.shape[-1] == 4:
            found["boxes"] = name
            ranks.add(len(info.shape) - 1)
        else:
            found["scores" if floats else "labels"] = name
            ranks.add(len(info.shape))
    return found if found.keys() == {"boxes", "scores", "labels"} and ranks in ({1}, {2}) else None
