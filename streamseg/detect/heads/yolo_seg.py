"""Ultralytics' YOLO with masks: v5, v8, v9, 11, 12 and 26, that suppress overlapping boxes in the graph, or leave it to us.

Two tensors: rows of boxes, scores and coefficients (`yolo_rows`), and the prototypes [B, C, H / 4, W / 4] that these mix.
"""

from __future__ import annotations

import functools
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from streamseg.detect.heads.base import Arrays, Candidates
from streamseg.detect.heads.options import Options, one_of, share, value, whole
from streamseg.detect.heads.prototypes import mixed, side_for
from streamseg.detect.heads.whole_masks import FINEST
from streamseg.detect.heads.yolo_files import describe
from streamseg.detect.heads.yolo_rows import ROWS, read_rows, suppress
from streamseg.hub.description import Recognised
from streamseg.hub.graph_file import GraphFile
from streamseg.hub.graph_spec import GraphSpec
from streamseg.pixels.letterbox import Letterbox

__all__ = ["YoloSeg"]


class YoloSeg:
    """`detections`, laid out as the option `rows` says, and `prototypes`.

    Options: `rows`; `nms`, the IoU above which a box gives way to a better one of its class; `max_detections`; `mask_side`.
    """

    name = "yolo-seg"
    layout = "detections: float32 [B, 4 + C + E, N], [B, N, 5 + C + E] or [B, N, 6 + E]; prototypes: float32 [B, E, h, w]"
    gives_masks = True
    reads: ClassVar[tuple[str, ...]] = ("detections", "prototypes")
    options: ClassVar[Options] = {
        "rows": one_of(*ROWS),
        "nms": share(0.7),
        "max_detections": whole(300, 1),
        "mask_side": whole(None, 1, FINEST),
    }

    def __init__(self, spec: GraphSpec) -> None:
        """Raises ModelError for options that make no sense."""
        said = functools.partial(value, spec, self.options)
        self._rows = said("rows")
        self._classes, self._size = len(spec.classes), spec.size
        self._overlap, self._most = said("nms"), said("max_detections")
        self._side = said("mask_side", side_for(*spec.outputs["prototypes"].shape[2:]))

    @staticmethod
    def recognise(file: GraphFile) -> Recognised | None:
        """See Recognises."""
        return describe(file, YoloSeg.name)

    @staticmethod
    def fits(spec: GraphSpec) -> bool:
        """See Head."""
        found, prototypes = spec.outputs.get("detections"), spec.outputs.get("prototypes")
        if found is None or prototypes is None or len(spec.outputs) != 2 or len(found.shape) != 3 or len(prototypes.shape) != 4:
            return False
        classes, rows = len(spec.classes), spec.options.get("rows", ROWS[0])
        numbers = {"columns": 4 + classes, "plain": 4 + classes, "objectness": 5 + classes, "finished": 6}.get(str(rows))
        if found.dtype != "float32" or prototypes.dtype != "float32":
            return False
        # No such layout: that is said when the head is made.
        return numbers is None or found.shape[1 if rows == "columns" else 2] in (0, numbers + prototypes.shape[1])

    def __call__(self, arrays: Arrays, letterbox: Letterbox, least: float) -> Candidates:
        """See Head."""
        found = read_rows(arrays["detections"], self._rows, self._classes, least)
        if self._rows != "finished":
            found = suppress(found, self._overlap, self._most)
        prototypes = arrays["prototypes"]
        finite = np.isfinite(found.extra).all(axis=1) & np.isfinite(prototypes.sum())

        def masks(rows: npt.NDArray[np.intp]) -> npt.NDArray[np.uint8]:
            return mixed(prototypes, found.extra[rows], found.boxes[rows], self._size, self._side)

        return Candidates(found.boxes, found.scores, found.labels, np.asarray(finite), masks, found.low)
