"""Tiny ONNX graphs that obey the model contract, with answers known beforehand.

`constant_model` always answers the same boxes and masks; `rectangle_model` finds coloured rectangles, so that its answer
depends on the picture. Both run in a fraction of a millisecond in every engine. Sizes are (H, W); boxes are xyxy, input pixels.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, external_data_helper, helper, numpy_helper

from streamseg.detect.heads.mask_rcnn import declared
from streamseg.hub.graph_file import TensorInfo
from streamseg.hub.graph_spec import GraphSpec

CLASSES = ("person", "bicycle", "car", "motorcycle", "bus", "truck", "cat", "dog")
CATEGORY_IDS = (1, 2, 3, 4, 6, 8, 17, 18)
COLOURS: dict[str, tuple[bool, bool, bool]] = {
    "red": (True, False, False),
    "green": (False, True, False),
    "blue": (False, False, True),
    "white": (True, True, True),
    "yellow": (True, True, False),
    "magenta": (True, False, True),
    "cyan": (False, True, True),
}
"""Colours `rectangle_model` tells apart: which of R, G, B are above 127."""


def spec(
    size: tuple[int, int] = (64, 96), *, detections: int = 8, side: int = 28, classes: Sequence[str] = CLASSES, batch: int = 0
) -> GraphSpec:
    """What such a model's file would say of itself, where no file is needed."""
    ids = tuple(range(1, len(classes) + 1))
    outputs = declared(detections, side, batch)
    return GraphSpec("test", *size, batch, outputs, tuple(classes), ids, "fp32", 0.05, Path("test.onnx"), "0" * 64)


def constant_model(
    path: Path,
    *,
    boxes: npt.ArrayLike = ((8.0, 8.0, 40.0, 40.0),),
    scores: npt.ArrayLike | None = None,
    labels: npt.ArrayLike | None = None,
    masks: npt.ArrayLike | None = None,
    detections: int = 8,
    size: tuple[int, int] = (64, 96),
    batch: int | None = 1,
    classes: Sequence[str] = CLASSES,
    metadata: Mapping[str, str | None] | None = None,
) -> Path:
    """Write a model that answers `boxes` [N, 4], `scores` [N], `labels` [N], `masks` [N, M, M] for any picture.

    Rows are padded to `detections` as the contract says. Scores default to 0.9, 0.85, ..., labels to 0, masks to ones of 28 x 28.
    NaN and infinity are written as given. `batch=None` makes the batch axis dynamic; `metadata` overrides or (None) removes
    entries.
    """
    rows = np.asarray(boxes, np.float32).reshape(-1, 4)
    n = len(rows)
    values = {
        "boxes": _padded(rows, detections, 0),
        "scores": _padded(np.asarray(0.9 - 0.05 * np.arange(n) if scores is None else scores, np.float32), detections, 0),
        "labels": _padded(np.asarray(np.zeros(n) if labels is None else labels, np.int32), detections, -1),
        "masks": _padded(np.asarray(np.ones((n, 28, 28)) if masks is None else masks, np.float32), detections, 0),
    }
    nodes, constants = [], [_const("first", np.array([0]))]
    nodes.append(helper.make_node("Shape", ["images"], ["shape"]))
    nodes.append(helper.make_node("Gather", ["shape", "first"], ["batch"]))
    for name, value in values.items():
        constants += [_const(f"{name}_value", value[None]), _const(f"{name}_tail", np.array(value.shape, np.int64))]
        nodes.append(helper.make_node("Concat", ["batch", f"{name}_tail"], [f"{name}_shape"], axis=0))
        nodes.append(helper.make_node("Expand", [f"{name}_value", f"{name}_shape"], [name]))
    side = values["masks"].shape[-1]
    return _save(path, nodes, constants, size, batch, declared(detections, side), classes, metadata)


def rectangle_model(
    path: Path,
    *,
    colours: Sequence[str] = ("red", "green", "blue", "white"),
    mask: npt.ArrayLike | None = None,
    nan_when_bright: bool = False,
    size: tuple[int, int] = (64, 96),
    batch: int | None = 1,
    classes: Sequence[str] = CLASSES,
    metadata: Mapping[str, str | None] | None = None,
) -> Path:
    """Write a model whose detection i is the smallest box around all pixels of `colours[i]`, label i, score 0.95 - 0.05 i.

    A channel counts as lit above 127; a colour that is not in the picture gives a padded row. `mask` [M, M] (default: 28 x 28 ones)
    is answered for every box. With `nan_when_bright`, a picture whose mean is above 200 makes every output but the labels NaN.
    """
    height, width = size
    count = len(colours)
    lit = np.array([COLOURS[c] for c in colours], np.float32).reshape(1, count, 1, 1, 3)
    shape = np.ones((28, 28), np.float32) if mask is None else np.asarray(mask, np.float32)
    xs, ys = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    constants = [
        _const("lit", lit > 0.5),
        _const("half", np.array(127.5, np.float32)),
        _const("axis1", np.array([1])),
        _const("axis2", np.array([2])),
        _const("axis3", np.array([3])),
        _const("axis4", np.array([4])),
        _const("low_x", (xs - 1e6).astype(np.float32)),
        _const("low_y", (ys - 1e6).astype(np.float32)),
        _const("high_x", (xs + 1).astype(np.float32)),
        _const("high_y", (ys + 1).astype(np.float32)),
        _const("big", np.array(1e6, np.float32)),
        _const("score_of", (0.95 - 0.05 * np.arange(count, dtype=np.float32))[None]),
        _const("label_of", np.arange(count, dtype=np.int32)[None]),
        _const("none", np.full((1, count), -1, np.int32)),
        _const("mask_of", shape.reshape(1, 1, *shape.shape)),
        _const("mean_axes", np.array([1, 2, 3])),
        _const("bright", np.array(200, np.float32)),
        _const("nan", np.array(np.nan, np.float32)),
        _const("zero", np.array(0, np.float32)),
    ]
    node = helper.make_node
    nodes = [
        node("Cast", ["images"], ["float"], to=TensorProto.FLOAT),
        node("Unsqueeze", ["float", "axis1"], ["pixels"]),
        node("Greater", ["pixels", "half"], ["above"]),
        node("Equal", ["above", "lit"], ["agree"]),
        node("Cast", ["agree"], ["agree_f"], to=TensorProto.FLOAT),
        node("ReduceMin", ["agree_f", "axis4"], ["match"], keepdims=0),  # [B, K, H, W]
        node("ReduceMax", ["match", "axis2"], ["columns"], keepdims=0),  # [B, K, W]
        node("ReduceMax", ["match", "axis3"], ["rows"], keepdims=0),  # [B, K, H]
        node("ReduceMax", ["rows", "axis2"], ["found"], keepdims=0),  # [B, K]
    ]
    for axis, lines in (("x", "columns"), ("y", "rows")):
        # First lit index: min over (index - 1e6 where lit, else index) + 1e6; one past the last: max over lit * (index + 1).
        nodes += [
            node("Mul", [lines, f"high_{axis}"], [f"last_{axis}"]),
            node("ReduceMax", [f"last_{axis}", "axis2"], [f"{axis}1"], keepdims=0),
            node("Mul", [lines, f"low_{axis}"], [f"first_{axis}"]),
            node("ReduceMin", [f"first_{axis}", "axis2"], [f"{axis}_min"], keepdims=0),
            node("Mul", ["found", "big"], [f"{axis}_big"]),
            node("Add", [f"{axis}_min", f"{axis}_big"], [f"{axis}0"]),
        ]
    for corner in ("x0", "y0", "x1", "y1"):
        nodes.append(node("Unsqueeze", [corner, "axis2"], [f"{corner}_column"]))
    nodes += [
        node("Concat", ["x0_column", "y0_column", "x1_column", "y1_column"], ["boxes_clean"], axis=2),
        node("Mul", ["found", "score_of"], ["scores_clean"]),
        node("Greater", ["found", "zero"], ["is_found"]),
        node("Where", ["is_found", "label_of", "none"], ["labels"]),
        node("Unsqueeze", ["found", "axis2"], ["found3"]),
        node("Unsqueeze", ["found3", "axis3"], ["found4"]),
        node("Mul", ["found4", "mask_of"], ["masks_clean"]),
    ]
    if nan_when_bright:
        nodes += [
            node("ReduceMean", ["float", "mean_axes"], ["mean"], keepdims=0),
            node("Greater", ["mean", "bright"], ["glare"]),
            node("Unsqueeze", ["glare", "axis1"], ["glare2"]),
            node("Unsqueeze", ["glare2", "axis2"], ["glare3"]),
            node("Unsqueeze", ["glare3", "axis3"], ["glare4"]),
        ]
    for name, glare in (("boxes", "glare3"), ("scores", "glare2"), ("masks", "glare4")):
        clean = f"{name}_clean"
        nodes.append(node("Where", [glare, "nan", clean], [name]) if nan_when_bright else node("Identity", [clean], [name]))
    return _save(path, nodes, constants, size, batch, declared(count, len(shape)), classes, metadata)


def move_weights(path: Path, location: str = "weights.bin", *, claim: str | None = None) -> Path:
    """Rewrite the model at `path` so that its constants lie in the file `location` beside it; return that file's path.

    The model states their sha256, as an export does. With `claim` it afterwards names that as their place instead, whatever is
    there: what a hostile file does.
    """
    model = onnx.load(path)
    external_data_helper.convert_model_to_external_data(model, location=location, size_threshold=0)
    onnx.save(model, path)
    model = onnx.load(path, load_external_data=False)
    digest = hashlib.sha256((path.parent / location).read_bytes()).hexdigest()
    helper.set_model_props(model, {p.key: p.value for p in model.metadata_props} | {"streamseg.weights_sha256": digest})
    if claim is not None:
        for entry in (entry for tensor in model.graph.initializer for entry in tensor.external_data):
            if entry.key == "location":
                entry.value = claim
    path.write_bytes(model.SerializeToString())
    return path.parent / location


def metadata_of(classes: Sequence[str], detections: int) -> dict[str, str]:
    """The metadata entries the contract asks for."""
    ids = [CATEGORY_IDS[CLASSES.index(c)] if c in CLASSES else 90 + i for i, c in enumerate(classes)]
    return {
        "streamseg.format": "1",
        "streamseg.name": "test",
        "streamseg.classes": json.dumps(list(classes)),
        "streamseg.category_ids": json.dumps(ids),
        "streamseg.score_threshold": "0.05",
        "streamseg.detections": str(detections),
        "streamseg.proposals": str(detections),
        "streamseg.precision": "fp32",
        "streamseg.weights_sha256": "0" * 64,
    }


def _padded(rows: npt.NDArray, count: int, value: int) -> npt.NDArray:
    if len(rows) > count:
        raise ValueError(f"{len(rows)} rows do not fit into {count} detections")
    return np.pad(rows, [(0, count - len(rows))] + [(0, 0)] * (rows.ndim - 1), constant_values=value)


def _const(name: str, value: npt.NDArray) -> TensorProto:
    return numpy_helper.from_array(np.ascontiguousarray(value), name)


def _save(
    path: Path,
    nodes: list[onnx.NodeProto],
    constants: list[TensorProto],
    size: tuple[int, int],
    batch: int | None,
    outputs: Mapping[str, TensorInfo],
    classes: Sequence[str],
    metadata: Mapping[str, str | None] | None,
) -> Path:
    b = "batch" if batch is None else batch
    kinds = {"float32": TensorProto.FLOAT, "int32": TensorProto.INT32}
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, [b, *size, 3])],
        [helper.make_tensor_value_info(n, kinds[info.dtype], [b, *info.shape[1:]]) for n, info in outputs.items()],
        initializer=constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10, producer_name="tests")
    entries = {**metadata_of(classes, outputs["scores"].shape[1]), **(metadata or {})}
    helper.set_model_props(model, {k: v for k, v in entries.items() if v is not None})
    onnx.checker.check_model(model, full_check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


def rewritten(path: Path, change: Callable[[onnx.ModelProto], object]) -> Path:
    """The same file after a change of its model; weights beside it stay there."""
    model = onnx.load(path, load_external_data=False)
    change(model)
    path.write_bytes(model.SerializeToString())
    return path
