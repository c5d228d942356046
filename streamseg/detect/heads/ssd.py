"""SSD as Caffe's DetectionOutput layer and OpenVINO's model zoo write it: rows of image, label, score and corners."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from streamseg.detect.heads.base import Arrays, Candidates
from streamseg.detect.heads.ends import described, of_rank, picture_of
from streamseg.detect.heads.options import Options, value, whole
from streamseg.detect.heads.overlapping import boxes_alone
from streamseg.hub.class_names import ClassNames, class_names, stated_names
from streamseg.hub.description import Evidence, InputDescription, Recognised
from streamseg.hub.graph_file import GraphFile
from streamseg.hub.graph_spec import GraphSpec
from streamseg.pixels.letterbox import Letterbox

__all__ = ["Ssd"]


LABELS = 90
"""So many are read where the file does not say how many there are."""


class Ssd:
    """`detections` rows of image, label, score, x0, y0, x1, y1, the corners as shares of the input.

    An image below 0 ends the list; what stands behind it means nothing. `label_offset` (1: label 0 is the background) is what the
    first class is called.
    """

    name = "ssd"
    layout = "detections: float32 [1, 1, N, 7]"
    gives_masks = False
    reads: ClassVar[tuple[str, ...]] = ("detections",)
    options: ClassVar[Options] = {"label_offset": whole(1)}

    def __init__(self, spec: GraphSpec) -> None:
        """Raises ModelError for options that make no sense."""
        self._offset = value(spec, self.options, "label_offset")
        self._scale = np.array([spec.width, spec.height] * 2, np.float32)

    @staticmethod
    def recognise(file: GraphFile) -> Recognised | None:
        """See Recognises: rows of seven are nobody else's."""
        picture, rows = picture_of(file), of_rank(file, 4)
        if picture is None or len(file.outputs) != 1 or len(rows) != 1:
            return None
        ((name, info),) = rows.items()
        if info.shape[1] != 1 or info.shape[3] != 7:
            return None
        stated = stated_names(file.metadata.get("names", ""))
        numbered = ClassNames(
            tuple(f"class{i}" for i in range(1, LABELS + 1)),
            (),
            "assumed: the file neither names them nor tells how many there are; write yours here",
            told=False,
        )
        reasons = {
            "family": "rows of seven numbers: image, label, score, corners",
            "input.colour": "assumed: as OpenVINO's model zoo",
            "input.std": "assumed: codes of 0 to 255",
            "input.fit": "SSD's: the frame is stretched",
            "options.label_offset": "assumed: label 0 is the background",
        }
        return described(
            InputDescription(name=picture.name, layout=picture.layout, colour="bgr", fit="stretch"),
            Ssd.name,
            {"detections": name},
            class_names(len(stated), stated) if stated else numbered,
            {"label_offset": 1},
            Evidence.SHAPES,
            reasons,
        )

    @staticmethod
    def fits(spec: GraphSpec) -> bool:
        """See Head."""
        info = spec.outputs.get("detections")
        return (
            info is not None and info.dtype == "float32" and len(info.shape) == 4 and info.shape[1] == 1 and info.shape[3] == 7
        )

    @np.errstate(over="ignore", invalid="ignore")  # nonsense is counted where it comes out
    def __call__(self, arrays: Arrays, letterbox: Letterbox, least: float) -> Candidates:
        """See Head."""
        rows = arrays["detections"].reshape(-1, 7)
        ends = np.flatnonzero(rows[:, 0] < 0)
        rows = rows[: ends[0]] if len(ends) else rows
        return boxes_alone(rows[:, 3:] * self._scale, rows[:, 2], rows[:, 1] - self._offset)
