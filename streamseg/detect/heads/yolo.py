"""YOLO detectors as Ultralytics exports them: v5 and v7 with an objectness, v8 to v12 without, and those that finish by themselves.

[B, 4 + C, N]   v8, v9, v11, v12: centre x, centre y, width, height in pixels, and a score of each class
[B, N, 5 + C]   v5, v7: as well, with an objectness before the classes
[B, N, 4 + C]   RT-DETR: shares of the input, and no box twice
[B, N, 6]       v10, YOLO26, and exports with NMS: x0, y0, x1, y1 in pixels, score, label; rows of zeros for nothing
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from streamseg.datasets.coco_names import COCO
from streamseg.detect.heads.base import Arrays, Candidates
from streamseg.detect.heads.ends import described, of_rank, picture_of
from streamseg.detect.heads.options import Options, one_of, share, truth, value, whole
from streamseg.detect.heads.overlapping import boxes_alone, decided
from streamseg.detect.heads.yolo_files import CONF
from streamseg.detect.heads.yolo_rows import ROWS, read_rows
from streamseg.detect.heads.yolox import cell_count
from streamseg.errors.describe import counted
from streamseg.hub.class_names import class_names, stated_names
from streamseg.hub.description import Evidence, InputDescription, Recognised
from streamseg.hub.graph_file import GraphFile
from streamseg.hub.graph_spec import GraphSpec
from streamseg.pixels.letterbox import Letterbox

__all__ = ["Yolo"]

OVERLAP = 0.7
MOST = 300
FEW = 1000
"""More rows than this are not finished: exports with NMS give 300."""


class Yolo:
    """`detections`, laid out as the option `rows` says; with `normalised`, boxes are shares of the input."""

    name = "yolo"
    layout = "detections: float32 [B, 4 + C, N], [B, N, 5 + C], [B, N, 4 + C] or [B, N, 6]"
    gives_masks = False
    reads: ClassVar[tuple[str, ...]] = ("detections",)
    options: ClassVar[Options] = {
        "rows": one_of(*ROWS),
        "normalised": truth(),
        "nms": share(OVERLAP),
        "max_detections": whole(MOST, 1),
    }

    def __init__(self, spec: GraphSpec) -> None:
        """Raises ModelError for options that make no sense."""
        said = functools.partial(value, spec, self.options)
        self._rows = said("rows")
        self._classes = len(spec.classes)
        height, width = spec.size
        self._scale = np.array([width, height] * 2, np.float32) if said("normalised") else np.float32(1)
        self._overlap, self._most = said("nms"), said("max_detections")

    @staticmethod
    def recognise(file: GraphFile) -> Recognised | None:
        """See Recognises: by what Ultralytics writes into the file, else by how many anchors the input has."""
        picture, rows, said = picture_of(file), of_rank(file, 3), file.metadata
        others = file.outputs.keys() - rows.keys()
        if picture is None or len(rows) != 1 or said.get("task", "detect") != "detect":
            return None
        if any(len(file.outputs[name].shape) != 5 for name in others):  # v5 may give its grids, too
            return None
        ((name, info),) = rows.items()
        stated = stated_names(said.get("names", "")) if "stride" in said else None
        found = _laid_out(info.shape, None if stated is None else len(stated), cell_count(picture.height, picture.width), said)
        if found is None:
            return None
        layout, count, why = found
        plain = layout == "plain"
        stride = int(said["stride"]) if said.get("stride", "").isdecimal() else 32
        sizes = _parsed(said.get("imgsz", ""))
        size = sizes if not (picture.height and picture.width) and isinstance(sizes, list) and len(sizes) == 2 else None
        overlap = {"columns": OVERLAP, "objectness": 0.45}.get(layout, 1.0)
        return described(
            InputDescription(
                name=picture.name,
                layout=picture.layout,
                size=size,
                multiple=max(1, min(stride, 1024)),
                std=(255.0,) * 3,
                fit="stretch" if plain else "letterbox",
            ),
            Yolo.name,
            {"detections": name},
            class_names(count, stated),
            {"rows": layout, "normalised": plain, "nms": overlap, "max_detections": MOST},
            Evidence.METADATA if stated is not None else Evidence.SHAPES,
            {
                "family": why,
                "conf": "Ultralytics' default",
                "input.std": "YOLO's: 0 to 1",
                "input.fit": "RT-DETR's in Ultralytics" if plain else "YOLO's",
                "options.nms": "none: no object is found twice" if overlap == 1 else "assumed: that of its package's predict",
            },
            conf=CONF,
        )

    @staticmethod
    def fits(spec: GraphSpec) -> bool:
        """See Head."""
        info = spec.outputs.get("detections")
        if info is None or info.dtype != "float32" or len(info.shape) != 3:
            return False
        count, rows = len(spec.classes), spec.options.get("rows", ROWS[0])
        numbers = {"columns": 4 + count, "objectness": 5 + count, "plain": 4 + count, "finished": 6}.get(str(rows), 0)
        return not numbers or info.shape[1 if rows == "columns" else 2] in (0, numbers)  # what no word is, is refused by name

    @np.errstate(over="ignore", invalid="ignore")  # nonsense is counted where it comes out
    def __call__(self, arrays: Arrays, letterbox: Letterbox, least: float) -> Candidates:
        """See Head."""
        found = read_rows(arrays["detections"], self._rows, self._classes, least)
        if self._rows == "finished" or self._overlap == 1:
            return boxes_alone(found.boxes * self._scale, found.scores, found.labels, found.low)
        boxes = np.asarray(found.boxes * self._scale, np.float32)
        return decided(boxes, found.scores, found.labels, self._overlap, self._most, found.low)


def _parsed(text: str) -> object:
    """What Python's words mean; None: nothing."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None


def _laid_out(
    shape: Sequence[int], count: int | None, cells: int, said: Mapping[str, str]
) -> tuple[str, int | None, str] | None:
    """How an answer of that shape is laid out, of how many classes (None: it does not tell), and how that is known.

    None: it is none of YOLO's.

    `count`: the classes that the file names; `cells`: those of the input's grids, 0: unknown; `said`: its metadata.
    """
    _, first, second = shape
    arguments = _parsed(said.get("args", ""))
    finished = said.get("end2end") == "True" or (isinstance(arguments, dict) and arguments.get("nms") is True)
    if second == 6 and (finished or (0 < first <= FEW and count != 1)):
        return "finished", count, "rows of six numbers: corners, score and label"
    if count is not None:
        numbers = {"columns": (first, 4), "objectness": (second, 5), "plain": (second, 4)}
        fitting = [layout for layout, (length, more) in numbers.items() if length == more + count]
        # v10 and YOLO26 keep a head of many answers, too; what could be read in two ways says neither.
        why = f"{counted(count, 'class')} named, of {first} x {second} numbers"
        return (fitting[0], count, why) if len(fitting) == 1 else None
    if cells and second == cells and first > 4:
        return "columns", first - 4, f"{cells} columns: one for each cell of the grids"
    if cells and first == 3 * cells and second > 5:
        return "objectness", second - 5, f"{first} rows: three for each cell of the grids"
    if not cells and (first, second) in ((4 + len(COCO), 0), (0, 5 + len(COCO))):
        return "columns" if first else "objectness", len(COCO), "the numbers of COCO's 80 classes"
    return None
