"""Detectors that answer with all their boxes and all classes' scores apart, undecided: pytorch-ssd's SSD, YOLO-NAS, RetinaNet."""

from __future__ import annotations

import functools
from typing import ClassVar

import numpy as np

from streamseg.detect.heads.base import Arrays, Candidates
from streamseg.detect.heads.ends import described, of_rank, picture_of
from streamseg.detect.heads.options import Options, share, truth, value, whole
from streamseg.detect.heads.overlapping import best_class, decided
from streamseg.hub.class_names import class_names, stated_names
from streamseg.hub.description import Evidence, InputDescription, Recognised
from streamseg.hub.graph_file import GraphFile
from streamseg.hub.graph_spec import GraphSpec
from streamseg.pixels.letterbox import Letterbox

__all__ = ["Dense"]

OVERLAP = 0.45
MOST = 300


class Dense:
    """`boxes` xyxy and `scores` of every class for each of them.

    Options: `background`, the first score is that of no object; `normalised`, boxes are shares of the input; `nms`.
    """

    name = "dense"
    layout = "boxes: float32 [B, N, 4], scores: float32 [B, N, C], or C + 1 with the background"
    gives_masks = False
    reads: ClassVar[tuple[str, ...]] = ("boxes", "scores")
    options: ClassVar[Options] = {
        "background": truth(),
        "normalised": truth(),
        "nms": share(OVERLAP),
        "max_detections": whole(MOST, 1),
    }

    def __init__(self, spec: GraphSpec) -> None:
        """Raises ModelError for options that make no sense."""
        said = functools.partial(value, spec, self.options)
        self._first = int(said("background"))
        height, width = spec.size
        self._scale = np.array([width, height] * 2, np.float32) if said("normalised") else np.float32(1)
        self._overlap, self._most = said("nms"), said("max_detections")

    @staticmethod
    def recognise(file: GraphFile) -> Recognised | None:
        """See Recognises: a box of four beside scores that a Sigmoid or Softmax gives, or that are called so."""
        picture, both = picture_of(file), of_rank(file, 3)
        if picture is None or len(both) != 2 or len(file.outputs) != 2:
            return None
        boxes = "boxes" if "boxes" in both else next((name for name, info in both.items() if info.shape[2] == 4), "")
        [scores] = both.keys() - {boxes} if boxes else [""]
        if not boxes or both[boxes].shape[2] != 4 or both[boxes].shape[1] != both[scores].shape[1] or not both[scores].shape[2]:
            return None
        made = file.made_by.get(scores, "")
        named = (boxes, scores) == ("boxes", "scores")
        if not named and made not in ("Sigmoid", "Softmax"):
            return None  # logits, or whatever else
        background = "Softmax" in file.operators and made != "Sigmoid"
        count = both[scores].shape[2] - background
        if count < 1:
            return None
        picture_description = (
            InputDescription(name=picture.name, layout=picture.layout, mean=(127.0,) * 3, std=(128.0,) * 3, fit="stretch")
            if background
            else InputDescription(name=picture.name, layout=picture.layout, std=(255.0,) * 3)
        )
        reasons = {
            "family": "every box, and every class's score of it",
            "input.mean": "assumed: pytorch-ssd's" if background else "",
            "input.std": "assumed: pytorch-ssd's" if background else "assumed: 0 to 1",
            "input.fit": "assumed: as SSD" if background else "assumed: as most models",
            "options.background": "a Softmax makes the scores: the first is that of no object" if background else "no Softmax",
            "options.normalised": "assumed: as pytorch-ssd's" if background else "assumed: pixels",
            "options.nms": "assumed: as most packages",
        }
        return described(
            picture_description,
            Dense.name,
            {"boxes": boxes, "scores": scores},
            class_names(count, stated_names(file.metadata.get("names", ""))),
            {"background": background, "normalised": background, "nms": OVERLAP, "max_detections": MOST},
            Evidence.NAMES if named else Evidence.SHAPES,
            reasons,
        )

    @staticmethod
    def fits(spec: GraphSpec) -> bool:
        """See Head."""
        given = spec.outputs
        if given.keys() != {"boxes", "scores"} or any(len(i.shape) != 3 or i.dtype != "float32" for i in given.values()):
            return False
        classes = len(spec.classes) + int(spec.options.get("background") is True)
        return given["boxes"].shape[2] in (0, 4) and given["scores"].shape[2] in (0, classes)

    @np.errstate(over="ignore", invalid="ignore")  # nonsense is counted where it comes out
    def __call__(self, arrays: Arrays, letterbox: Letterbox, least: float) -> Candidates:
        """See Head."""
        scores, labels = best_class(arrays["scores"][:, self._first :])
        near = np.flatnonzero(~(scores < least))
        boxes = arrays["boxes"][near] * self._scale
        return decided(boxes, scores[near], labels[near], self._overlap, self._most, len(scores) - len(near))
