"""What a file of Ultralytics' YOLO says of itself, and what its shapes tell where an optimiser has stripped that."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from streamseg.detect.heads.yolo_rows import anchors
from streamseg.errors import ModelError
from streamseg.errors.describe import counted
from streamseg.hub.class_names import class_names, stated_names
from streamseg.hub.description import Description, Evidence, InputDescription, Recognised
from streamseg.hub.graph_file import GraphFile, TensorInfo

__all__ = ["CONF", "describe"]

CONF = 0.25
"""Least score that Ultralytics' predict shows."""


@dataclass(frozen=True, slots=True)
class _Shapes:
    """The tensors of a file, told from each other by their ranks."""

    image: str
    layout: str
    size: tuple[int, int]
    """0: any."""
    rows: str
    prototypes: str


def describe(file: GraphFile, family: str) -> Recognised | None:
    """A network with prototypes, described; None: it is none. Raises ModelError where its parts contradict each other."""
    shapes = _shapes(file)
    if shapes is None:
        return None
    said = file.metadata
    if said.get("task", "segment") != "segment":
        return None
    names = stated_names(said.get("names", ""))
    size = shapes.size if all(shapes.size) else _numbers(said.get("imgsz", ""))
    extra = file.outputs[shapes.prototypes].shape[1]
    laid_out = _laid_out(file.outputs[shapes.rows], extra, size, len(names) if names else 0, said)
    stated = "task" in said and names is not None
    if laid_out is None:
        if not stated:
            return None
        many = counted(len(names or ()), "class")
        raise ModelError(
            f"its metadata says that it is Ultralytics' YOLO with masks of {many}, but {shapes.rows} is "
            f"{file.outputs[shapes.rows]} and {shapes.prototypes} {file.outputs[shapes.prototypes]}, which do not fit together: "
            "export it again"
        )
    rows, count, why = laid_out
    known = class_names(count or None, names)
    picture = _picture(file, shapes, size)
    older = rows == "objectness"
    options: dict[str, Any] = {"rows": rows}
    if rows != "finished":
        options |= {"nms": 0.45 if older else 0.7, "max_detections": 1000 if older else 300}
    description = Description(
        family=family,
        input=picture,
        outputs={"detections": shapes.rows, "prototypes": shapes.prototypes},
        classes=known.names,
        category_ids=known.category_ids,
        conf=CONF,
        options=options,
    )
    named = set(file.outputs) >= {"output0", "output1"} and shapes.image == "images"
    evidence = Evidence.METADATA if stated else Evidence.NAMES if named else Evidence.SHAPES
    reasons = {
        "family": "its metadata says task: segment" if stated else f"{shapes.rows} has a coefficient for each prototype",
        "input.size": "its metadata says imgsz" if picture.size else "",
        "conf": "Ultralytics' default",
        "input.std": "assumed: 0 to 1, as Ultralytics' models want it",
        "input.fit": "assumed: as Ultralytics' models are run",
        "input.multiple": "its metadata says stride" if "stride" in said else "assumed: as most YOLOs",
        "outputs": "by their ranks",
        "classes": known.reason,
        "options.rows": why,
        "options.nms": "Ultralytics' default: boxes of one class that overlap more (IoU) are one",
        "options.max_detections": "Ultralytics' default",
    }
    return Recognised(description, evidence, reasons, labels_told=known.told)


def _picture(file: GraphFile, shapes: _Shapes, size: tuple[int, int] | None) -> InputDescription:
    stride = file.metadata.get("stride", "")
    return InputDescription(
        name=shapes.image,
        size=None if all(shapes.size) else size,
        multiple=int(stride) if stride.isdigit() and 1 <= int(stride) <= 1024 else 32,
        layout=shapes.layout,
        std=(255.0, 255.0, 255.0) if file.inputs[shapes.image].dtype != "uint8" else (1.0, 1.0, 1.0),
    )


def _shapes(file: GraphFile) -> _Shapes | None:
    """One picture in; one output of rank 3 and one of rank 4 (older exports have more of rank 5)."""
    rows = [name for name, info in file.outputs.items() if len(info.shape) == 3]
    prototypes = [name for name, info in file.outputs.items() if len(info.shape) == 4]
    if len(file.inputs) != 1 or len(rows) != 1 or len(prototypes) != 1 or not file.outputs[prototypes[0]].shape[1]:
        return None
    (image, info), others = next(iter(file.inputs.items())), {5}
    if len(info.shape) != 4 or {len(each.shape) for each in file.outputs.values()} - {3, 4} - others:
        return None
    last = info.shape[3] == 3 and info.shape[1] != 3
    height, width = info.shape[1:3] if last else info.shape[2:]
    return _Shapes(image, "nhwc" if last else "nchw", (height, width), rows[0], prototypes[0])


def _laid_out(
    info: TensorInfo, extra: int, size: tuple[int, int] | None, named: int, said: Mapping[str, str]
) -> tuple[str, int, str] | None:
    """How the rows are laid out, how many classes they have (0: they do not tell), and why; None: as none that is known.

    `named`: classes that the metadata name, 0: none.
    """
    second, third = info.shape[1:]
    counts = anchors(*size) if size else frozenset()
    many = counts | {3 * each for each in counts}
    asked = _numbers_of(said.get("args", ""))
    ends = said.get("end2end", "").lower() == "true" or asked.get("nms") is True
    if third == 6 + extra and (ends or (second not in many and bool(second)) or (not second and not named)):
        return (
            "finished",
            0,
            "its metadata says that it ends with NMS" if ends else f"{info}: no number of anchors, 6 numbers besides",
        )
    possible = []
    for rows, channels, boxes, least, times in (
        ("columns", second, third, 4, 1),
        ("objectness", third, second, 5, 3),
        ("plain", third, second, 4, 1),
    ):
        classes = channels - least - extra
        if channels and classes > 0 and (not named or classes == named):
            if boxes and counts and boxes not in {times * each for each in counts}:
                continue
            possible.append(
                (rows, classes, f"{info}: {channels} = {least} + {counted(classes, 'class')} + {extra} coefficients")
            )
    if len(possible) > 1 and not counts:  # the longer axis is that of the boxes
        possible = [each for each in possible if (each[0] == "columns") == (0 < second < third or not third)]
    return possible[0] if possible else None


def _numbers(text: str) -> tuple[int, int] | None:
    """[640, 640] of a text, None where it is not that."""
    value = _literal(text)
    if isinstance(value, list | tuple) and len(value) == 2 and all(type(side) is int and side > 0 for side in value):
        return value[0], value[1]
    return None


def _numbers_of(text: str) -> dict[str, Any]:
    value = _literal(text)
    return value if isinstance(value, dict) else {}


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None
