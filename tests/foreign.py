"""Tiny ONNX files as other programs write them, with answers known beforehand: what `hub.adapt` makes graphs of ours of.

`foreign_model` takes a float picture, as most exporters do, and answers the same for any; to `answer` one of its own outputs is
added what the picture's middle holds, so that an answer shows what the network was given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

Dims = Sequence[int | str]


def foreign_model(
    path: Path,
    outputs: Mapping[str, npt.NDArray[Any]],
    *,
    shape: Dims = (1, 3, 64, 96),
    dtype: int = TensorProto.FLOAT,
    name: str = "images",
    declared: Mapping[str, Dims | None] | None = None,
    metadata: Mapping[str, str] | None = None,
    opset: int = 17,
    ir: int = 8,
    producer: str = "pytorch",
    see: str = "",
    extra: Sequence[onnx.NodeProto] = (),
    initializers: Sequence[TensorProto] = (),
) -> Path:
    """Write a model that takes `name` of `shape` and gives `outputs`, as they are, for any picture.

    Args:
        declared: the shapes that the file states of some outputs, where they are not those of the arrays (a str: any length).
        see: an output to whose numbers the picture's mean is added, so that it depends on what the network gets.
        extra: nodes besides; with opset below 7 or an operator of its own the file is one that must be refused.
    """
    nodes, constants = list(extra), list(initializers)
    for each, array in outputs.items():
        constants.append(numpy_helper.from_array(np.ascontiguousarray(array), f"{each}_value"))
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        nodes += [
            helper.make_node("Cast", [name], [f"{each}_float"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", [f"{each}_float"], [f"{each}_mean"], keepdims=0),
            helper.make_node("Mul", [f"{each}_mean", f"{each}_weight"], [f"{each}_seen"]),
            helper.make_node("Cast", [f"{each}_seen"], [f"{each}_typed"], to=kind),
            helper.make_node("Add", [f"{each}_value", f"{each}_typed"], [each]),
        ]
        constants.append(numpy_helper.from_array(np.array(float(each == see), np.float32), f"{each}_weight"))
    infos = []
    for each, array in outputs.items():
        dims = (declared or {}).get(each, array.shape)
        infos.append(helper.make_tensor_value_info(each, helper.np_dtype_to_tensor_dtype(array.dtype), dims))
    inputs = [helper.make_tensor_value_info(name, dtype, list(shape))]
    if ir < 4:  # an initializer was an input, too
        inputs += [helper.make_tensor_value_info(c.name, c.data_type, list(c.dims)) for c in constants]
    graph = helper.make_graph(nodes, "foreign", inputs, infos, initializer=constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir, producer_name=producer)
    helper.set_model_props(model, dict(metadata or {}))
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


def mask_rcnn_rows(*, side: int = 28) -> dict[str, npt.NDArray[Any]]:
    """Two finished detections and a row of padding, as the family mask-rcnn reads them; pixels of a 64x96 input."""
    return {
        "boxes": np.array([[[8, 8, 40, 40], [50, 10, 90, 60], [0, 0, 0, 0]]], np.float32),
        "scores": np.array([[0.9, 0.8, 0]], np.float32),
        "labels": np.array([[0, 1, -1]], np.int32),
        "masks": np.ones((1, 3, side, side), np.float32),
    }
