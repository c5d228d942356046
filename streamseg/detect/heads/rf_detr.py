"""RF-DETR, with masks (RF-DETR-Seg) or boxes alone, as the package `rfdetr` exports it: queries of a transformer, undecoded.

From the package, 1.11 (roboflow/rf-detr):
* `models/postprocess.py`: a score is the sigmoid of a logit; the best `num_select` of all pairs of a query and a class are taken,
  so that a query may be found as two classes; no suppression; a mask's logits are made larger bilinearly, and above 0 is inside.
* `config.py`: `num_select` of the models with masks is the number of queries.
* `detr.py`, `predict`: RGB of 0 to 1, stretched to a square, less ImageNet's mean (0.485, 0.456, 0.406), by its deviation (0.229,
  0.224, 0.225).
* The labels, same place: of the published models COCO's ids, of which there are 91 with the 0; of one that was trained further the
  classes from 0 on and last "no object". Before 1.6 the classes of such a one stood from 1 on (issues 913, 961): `label_offset`.
* The masks' output is called `masks` since 1.5, a number before (issues 386, 401): it is known by its rank.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from streamseg.detect.heads.base import Arrays, Candidates
from streamseg.detect.heads.ends import IMAGENET_MEAN, IMAGENET_STD
from streamseg.detect.heads.options import Options, value, whole
from streamseg.detect.heads.whole_masks import finite_within, over_boxes, probability_levels, side_for
from streamseg.errors import ModelError
from streamseg.errors.describe import counted
from streamseg.hub.class_names import ClassNames, class_names, names_in
from streamseg.hub.description import Description, Evidence, InputDescription, Recognised
from streamseg.hub.graph_file import GraphFile, TensorInfo
from streamseg.hub.graph_spec import GraphSpec
from streamseg.pixels.letterbox import Letterbox

__all__ = ["RFDETR"]

_FLOATS = ("float16", "float32")
_COCO = 91
"""Labels of the published models."""


class RFDETR:
    """`dets`: cx cy w h, of the input's sides, [B, Q, 4]; `labels`: logits [B, Q, C]; `masks`: logits [B, Q, h, w] of the input."""

    name = "rf-detr"
    layout = "dets: float32 [B, Q, 4], labels: float32 [B, Q, C], and of models with masks masks: float32 [B, Q, h, w]"

    reads: ClassVar[tuple[str, ...]] = ("dets", "labels", "masks")
    options: ClassVar[Options] = {"label_offset": whole(0), "max_detections": whole(None)}

    def __init__(self, spec: GraphSpec) -> None:
        """Options: `label_offset`, the column of `labels` that is the first class (0); `max_detections` (as many as queries)."""
        self.gives_masks = "masks" in spec.outputs
        queries, columns = spec.outputs["labels"].shape[1:]
        self._sides = np.array([spec.width, spec.height] * 2, np.float32)
        self._first = value(spec, self.options, "label_offset")
        self._last = self._first + len(spec.classes)
        if columns and self._last > columns:
            raise ModelError(
                f"{spec.called} tells {columns} labels apart; {counted(len(spec.classes), 'class')}"
                + (f" from label {self._first} on" if self._first else "")
                + " were named: give as many or fewer (classes, or options: label_offset)"
            )
        self._most = value(spec, self.options, "max_detections", queries or 300)

    @staticmethod
    def fits(spec: GraphSpec) -> bool:
        """See Head."""
        return spec.outputs.keys() in ({"dets", "labels"}, {"dets", "labels", "masks"}) and _laid_out(spec.outputs)

    @staticmethod
    def recognise(file: GraphFile) -> Recognised | None:
        """See Recognises."""
        others = [name for name in file.outputs if name not in ("dets", "labels")]
        outputs = {"dets": "dets", "labels": "labels"} | ({"masks": others[0]} if others else {})
        if len(file.inputs) != 1 or set(outputs.values()) != file.outputs.keys():
            return None
        ((name, picture),) = file.inputs.items()
        if len(picture.shape) != 4 or picture.shape[1] not in (0, 3) or picture.dtype == "uint8":
            return None
        if not _laid_out({ours: file.outputs[theirs] for ours, theirs in outputs.items()}):
            return None
        names = _classes(file, file.outputs["labels"].shape[2])
        description = Description(
            family=RFDETR.name,
            input=InputDescription(name=name, mean=IMAGENET_MEAN, std=IMAGENET_STD, fit="stretch"),
            outputs=outputs,
            classes=names.names,
            category_ids=names.category_ids,
            options={"label_offset": 0},
        )
        reasons = {
            "family": "its outputs are RF-DETR's: dets and labels, an axis of queries each",
            "input.mean": "RF-DETR's: ImageNet's",
            "input.std": "RF-DETR's: ImageNet's",
            "input.fit": "RF-DETR's: the frame is stretched",
            "outputs.masks": "the output of rank 4",
            "classes": names.reason,
            "options.label_offset": "as rfdetr trains since 1.6; 1: the first label is no class, as before",
        }
        return Recognised(description, Evidence.NAMES, reasons, labels_told=False)  # fewer are classes than there are columns

    def __call__(self, arrays: Arrays, letterbox: Letterbox, least: float) -> Candidates:
        """See Head."""
        logits = arrays["labels"][:, self._first : self._last]
        queries, labels, scores = self._best(logits, least)
        centres, sizes = np.split(arrays["dets"][queries].astype(np.float32), 2, axis=1)
        boxes = np.concatenate([centres - sizes / 2, centres + sizes / 2], 1) * self._sides
        low = max(0, min(self._most, logits.size) - len(scores))
        if not self.gives_masks:
            return Candidates(boxes, scores, labels, np.ones(len(scores), bool), None, low)
        grids = arrays["masks"]
        height, width = grids.shape[1:]
        there = boxes * (np.array([width, height] * 2, np.float32) / self._sides)

        def masks(rows: npt.NDArray[np.intp]) -> npt.NDArray[np.uint8]:
            return probability_levels(over_boxes([grids[q] for q in queries[rows]], there[rows], side_for(height, width)))

        finite = np.fromiter((finite_within(grids[q], box) for q, box in zip(queries, there, strict=True)), bool, len(queries))
        return Candidates(boxes, scores, labels, finite, masks, low)

    def _best(
        self, logits: npt.NDArray[np.float32], least: float
    ) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """(queries, labels, scores) of the best pairs that reach `least`."""
        flat = logits.reshape(-1)
        with np.errstate(divide="ignore"):
            floor = float(np.log(least) - np.log1p(-least)) - 1e-4  # who filters by scores decides on the margin
        chosen = np.flatnonzero(~(flat < floor))
        if len(chosen) > self._most:
            rank = np.where(np.isnan(flat[chosen]), np.inf, flat[chosen])
            chosen = chosen[np.sort(np.argpartition(-rank, self._most - 1)[: self._most])]
        queries, labels = np.divmod(chosen, max(1, logits.shape[1]))
        with np.errstate(over="ignore"):
            scores = 1 / (1 + np.exp(-flat[chosen].astype(np.float32)))
        return queries, labels.astype(np.int64), scores.astype(np.float32)


def _laid_out(outputs: Mapping[str, TensorInfo]) -> bool:
    """Whether the outputs have RF-DETR's ranks, types and lengths, as far as they are known."""
    if any(info.dtype not in _FLOATS for info in outputs.values()):
        return False
    dets, labels, masks = (outputs[name].shape if name in outputs else None for name in ("dets", "labels", "masks"))
    if dets is None or labels is None or len(dets) != 3 or len(labels) != 3 or dets[2] != 4 or not labels[2]:
        return False
    lengths = {shape[1] for shape in (dets, labels, masks) if shape and shape[1]}
    return len(lengths) <= 1 and (masks is None or len(masks) == 4)


def _classes(file: GraphFile, columns: int) -> ClassNames:
    """The names of the labels, of which there are `columns`: COCO's ids, or the last is that of no object."""
    stated = names_in(file.metadata)
    if stated is not None and len(stated) in (columns - 1, columns):
        return class_names(len(stated), stated)
    if columns in (1, _COCO):
        return class_names(columns, stated)
    names = class_names(columns - 1, stated)
    return replace(names, reason=f"{names.reason}; of {columns} labels the last is that of no object")
