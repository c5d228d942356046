"""YOLOX (Ge et al. 2021, arXiv 2107.08430): a box, an objectness and a score of each class for each cell of three grids."""

from __future__ import annotations

import functools
from functools import lru_cache
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from streamseg.detect.heads.base import Arrays, Candidates
from streamseg.detect.heads.ends import described, of_rank, picture_of
from streamseg.detect.heads.options import Options, share, truth, value, whole
from streamseg.detect.heads.overlapping import best_class, corners, decided
from streamseg.hub.class_names import class_names, stated_names
from streamseg.hub.description import Evidence, InputDescription, Recognised
from streamseg.hub.graph_file import GraphFile
from streamseg.hub.graph_spec import GraphSpec
from streamseg.pixels.letterbox import Letterbox

__all__ = ["STRIDES", "Yolox", "cell_count"]

STRIDES = (8, 16, 32)
"""Pixels of the input to a cell of each grid."""
OVERLAP = 0.45
MOST = 300


def cell_count(height: int, width: int) -> int:
    """Cells of all grids of an input."""
    return sum((height // stride) * (width // stride) for stride in STRIDES)


@lru_cache(maxsize=8)
def _cells(height: int, width: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Of each cell its place (column, row) [N, 2] in its grid, and its stride [N, 1]."""
    places, strides = [], []
    for stride in STRIDES:
        rows, columns = np.mgrid[: height // stride, : width // stride]
        places.append(np.stack([columns.ravel(), rows.ravel()], axis=1))
        strides.append(np.full((rows.size, 1), stride))
    return np.concatenate(places).astype(np.float32), np.concatenate(strides).astype(np.float32)


class Yolox:
    """`detections` rows of x, y, width, height, objectness, classes; x and y are offsets in cells, sizes logarithms of cells.

    With the option `decoded` they are pixels already, as an export with --decode_in_inference writes them.
    """

    name = "yolox"
    layout = "detections: float32 [B, N, 5 + C], a row a cell of the grids of strides 8, 16 and 32"
    gives_masks = False
    reads: ClassVar[tuple[str, ...]] = ("detections",)
    options: ClassVar[Options] = {"decoded": truth(), "nms": share(OVERLAP), "max_detections": whole(MOST, 1)}

    def __init__(self, spec: GraphSpec) -> None:
        """Raises ModelError for options that make no sense."""
        self._size = spec.size
        said = functools.partial(value, spec, self.options)
        self._decoded = said("decoded")
        self._overlap, self._most = said("nms"), said("max_detections")

    @staticmethod
    def recognise(file: GraphFile) -> Recognised | None:
        """See Recognises: as many rows as the grids have cells are YOLOX's, and nobody else's with an objectness."""
        picture, rows = picture_of(file), of_rank(file, 3)
        if picture is None or len(file.outputs) != 1 or len(rows) != 1:
            return None
        ((name, info),) = rows.items()
        count = info.shape[2] - 5
        if not picture.height or info.shape[1] != cell_count(picture.height, picture.width) or count < 1:
            return None
        decoded = "Exp" in file.operators
        evidence = Evidence.NAMES if (picture.name, name) == ("images", "output") else Evidence.SHAPES
        reasons = {
            "family": f"{info.shape[1]} rows: one for each cell of the grids of strides 8, 16 and 32",
            "input.colour": "YOLOX's: as OpenCV reads pictures",
            "input.std": "YOLOX's since 0.1.1: codes of 0 to 255",
            "input.fit": "YOLOX's: the picture lies in the upper left corner",
            "options.decoded": "the graph works out exponentials itself" if decoded else "the graph leaves them to its reader",
            "options.nms": "that of YOLOX's demo",
        }
        names = class_names(count, stated_names(file.metadata.get("names", "")))
        return described(
            InputDescription(name=picture.name, layout=picture.layout, colour="bgr", fit="letterbox-top-left"),
            Yolox.name,
            {"detections": name},
            names,
            {"decoded": decoded, "nms": OVERLAP, "max_detections": MOST},
            evidence,
            reasons,
        )

    @staticmethod
    def fits(spec: GraphSpec) -> bool:
        """See Head."""
        info = spec.outputs.get("detections")
        if info is None or info.dtype != "float32" or len(info.shape) != 3:
            return False
        rows, numbers = info.shape[1:]
        return rows in (0, cell_count(*spec.size)) and numbers in (0, 5 + len(spec.classes))

    @np.errstate(over="ignore", invalid="ignore")  # nonsense is counted where it comes out
    def __call__(self, arrays: Arrays, letterbox: Letterbox, least: float) -> Candidates:
        """See Head."""
        rows = arrays["detections"]
        # An objectness below the least can make no product above it, scores of classes being at most 1.
        near = np.flatnonzero(~(rows[:, 4] < least))
        scores, labels = best_class(rows[near, 5:])
        scores = scores * rows[near, 4]
        sure = ~(scores < least)
        near, scores, labels = near[sure], scores[sure], labels[sure]
        boxes = rows[near, :4]
        if not self._decoded:
            places, strides = _cells(*self._size)
            boxes = np.concatenate([boxes[:, :2] + places[near], np.exp(boxes[:, 2:])], axis=1) * strides[near]
        boxes = corners(boxes)
        return decided(boxes, scores, labels, self._overlap, self._most, len(rows) - len(near))
