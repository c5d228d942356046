"""torchvision's Mask R-CNN as torch itself exports it, and ONNX's model zoo's, which is of the same lineage."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from streamseg.detect.heads.base import Arrays, Candidates
from streamseg.detect.heads.options import Options, one_of, value, whole
from streamseg.detect.heads.rows import levels, ranks, rows_in, without_background, worth_decoding
from streamseg.detect.heads.whole_masks import finite_within, over_boxes, side_for
from streamseg.errors import BadOutput
from streamseg.hub.class_names import class_names, stated_names
from streamseg.hub.description import Description, Evidence, InputDescription, Recognised
from streamseg.hub.graph_file import GraphFile, TensorInfo
from streamseg.hub.graph_spec import GraphSpec
from streamseg.pixels.letterbox import Letterbox

__all__ = ["TorchvisionMaskRCNN"]

_SPANS = ("picture", "box")
_COCO_IDS = 90
"""torchvision's weights have COCO's ids from 1 on for labels."""
_SIZE = (544, 960)
_LARGEST_GRID = 112
_BGR_MEAN = (102.9801, 115.9465, 122.7717)
"""https://github.com/onnx/models, Mask R-CNN: from codes of 0 to 255 in BGR, nothing divided."""
_NAMES = ("boxes", "labels", "scores", "masks")


class TorchvisionMaskRCNN:
    """Any number of rows: `boxes` xyxy in input pixels, `labels`, `scores`, `masks` of probabilities.

    Options: `masks`, what each spans: the whole `picture`, pasted (torchvision), or its `box` (ONNX's model zoo); `label_offset`,
    the label of the first class: 1, since 0 is the background. Of a file by torchvision the masks are taken before they are pasted,
    where its nodes are those of its exports; pasted ones are cut to grids over their boxes here, and go no further.
    """

    name = "torchvision-mask-rcnn"
    layout = "boxes: float32 [N, 4], labels: int64 [N], scores: float32 [N], masks: float32 [N, 1, H, W]"
    gives_masks = True
    reads: ClassVar[tuple[str, ...]] = ("boxes", "labels", "scores", "masks")
    options: ClassVar[Options] = {"masks": one_of(*_SPANS), "label_offset": whole(1)}

    def __init__(self, spec: GraphSpec) -> None:
        """Raises ModelError for options that make no sense."""
        self._pasted = value(spec, self.options, "masks") == "picture"
        self._offset = value(spec, self.options, "label_offset")
        self._height, self._width = spec.size
        self._side = side_for(*spec.size)

    @staticmethod
    def fits(spec: GraphSpec) -> bool:
        """See Head."""
        return ranks(spec, boxes=(3, 4), labels=(2, 0), scores=(2, 0), masks=(5, 0)) and spec.outputs["masks"].shape[2] in (
            0,
            1,
        )

    @staticmethod
    def recognise(file: GraphFile) -> Recognised | None:
        """See Recognises."""
        found = _outputs(file.outputs)
        if found is None or len(file.inputs) != 1:
            return None
        (name, info) = next(iter(file.inputs.items()))
        if len(info.shape) not in (3, 4) or info.shape[-3] not in (0, 3) or (len(info.shape) == 4 and info.shape[0] > 1):
            return None
        side = file.outputs[found["masks"]].shape[2:]
        zoo = side[0] == side[1] and 0 < side[0] <= _LARGEST_GRID
        return _described(file, found, name, info, zoo=zoo)

    def __call__(self, arrays: Arrays, letterbox: Letterbox, least: float) -> Candidates:
        """See Head. Raises BadOutput where the arrays are of different numbers of rows, or masks have no pixel."""
        rows_in(arrays)
        real = np.flatnonzero(
            (arrays["scores"] != 0) | (arrays["boxes"] != 0).any(1)
        )  # zeros stand in for rows of a larger batch
        kept, low = worth_decoding(arrays["scores"][real], least)
        kept = real[kept]
        boxes, fields = arrays["boxes"][kept], arrays["masks"][kept, 0]
        labels = arrays["labels"][kept].astype(np.int64) - self._offset
        if not self._pasted:
            finite = np.isfinite(fields).all((1, 2))
            return Candidates(boxes, arrays["scores"][kept], labels, finite, lambda rows: levels(fields[rows]), low)
        height, width = fields.shape[1:]
        if not (height and width):
            raise BadOutput(f"the network gave masks of {height}x{width} pixels: its file is broken; export it again")
        places = boxes * np.array([width / self._width, height / self._height] * 2, np.float32)
        finite = np.array([finite_within(field, box) for field, box in zip(fields, places, strict=True)], bool)

        def masks(rows: npt.NDArray[np.intp]) -> npt.NDArray[np.uint8]:
            return levels(over_boxes(fields[rows], places[rows], self._side))

        return Candidates(boxes, arrays["scores"][kept], labels, finite, masks, low)


def _outputs(given: dict[str, TensorInfo]) -> dict[str, str] | None:
    """What the file calls each output: by name, or, of the numbers that torch gives where nobody names them, by type and rank."""
    if len(given) != len(_NAMES):
        return None
    floats = {
        rank: [n for n, info in given.items() if info.dtype == "float32" and len(info.shape) == rank] for rank in (1, 2, 4)
    }
    labels = [n for n, info in given.items() if info.dtype in ("int64", "int32") and len(info.shape) == 1]
    if [len(names) for names in (*floats.values(), labels)] != [1, 1, 1, 1]:
        return None
    (scores,), (boxes,), (masks,) = floats.values()
    if given[boxes].shape[1] != 4 or given[masks].shape[1] not in (0, 1):
        return None
    return {"boxes": boxes, "labels": labels[0], "scores": scores, "masks": masks}


def _before_pasting(file: GraphFile, masks: str) -> str | None:
    """The masks over their boxes of which torchvision's pasted ones are made: Unsqueeze, Loop over the rows, how many, Pad."""
    tensor = masks
    for operator in ("Unsqueeze", "Loop", "Gather", "Shape", "Pad"):
        if file.made_by.get(tensor) != operator:
            return None
        tensor = next(iter(file.made_from[tensor]), "")
    return tensor if tensor in file.made_by else None


def _described(file: GraphFile, given: dict[str, str], name: str, info: TensorInfo, *, zoo: bool) -> Recognised:
    grids = None if zoo else _before_pasting(file, given["masks"])
    pasted, found = not zoo and grids is None, given if grids is None else {**given, "masks": grids}
    height, width = info.shape[-2:]
    size = None if height and width else _SIZE
    picture = InputDescription(name=name, size=size, std=(255.0,) * 3, fit="letterbox-top-left")
    if zoo:
        picture = InputDescription(
            name=name, size=size, multiple=32, colour="bgr", mean=_BGR_MEAN, fit="letterbox-top-left", padding=115
        )
    stated = stated_names(file.metadata.get("names", ""))
    names, _ = without_background(stated) if stated else (None, 0)
    count = next((shape[0] - 1 for weight, shape in file.weights.items() if weight.endswith("cls_score.bias") and shape), None)
    classes = class_names(count, names, otherwise=80 if zoo else _COCO_IDS)
    reasons = {
        "family": "its answers are rows of boxes, labels, scores and masks, without an axis of the batch",
        "input.size": f"its shape is {info}" if size is None else f"assumed: it takes any, --size says another; it is {info}",
        "input.colour": "as ONNX's model zoo's" if zoo else "as torchvision's",
        "input.mean": "as ONNX's model zoo's" if zoo else "it normalises by itself",
        "input.std": "as ONNX's model zoo's" if zoo else "as torchvision's: 0 to 1",
        "input.fit": "as pictures are put into batches in its training",
        "classes": classes.reason,
        "outputs.masks": f"before they are pasted into pictures ({given['masks']})" if grids else "",
        "options.masks": f"they are {file.outputs[given['masks']]}" if grids is None else "before they are pasted",
        "options.label_offset": "label 0 is the background",
    }
    description = Description(
        family=TorchvisionMaskRCNN.name,
        input=picture,
        outputs=found,
        batch_axis=False,
        classes=classes.names,
        category_ids=classes.category_ids,
        options={"masks": "picture" if pasted else "box", "label_offset": 1},
    )
    evidence = Evidence.NAMES if tuple(sorted(given.values())) == tuple(sorted(_NAMES)) else Evidence.SHAPES
    return Recognised(description, evidence, reasons, labels_told=classes.told)
