"""A tiny model with a convolution in a chosen type, whose answer does not change the boxes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests import graphs


def convolution_model(path: Path, *, types: str = "fp32", states: str | None = None, batch: int | None = None) -> Path:
    """Write a model that computes a convolution in `types` (fp32, fp16, int8: quantised) and states `states` as its precision."""
    graphs.constant_model(path, batch=batch, metadata={"streamseg.precision": states or types})
    model = onnx.load(path)
    node, kind = helper.make_node, TensorProto.FLOAT16 if types == "fp16" else TensorProto.FLOAT
    kernel = np.random.default_rng(0).normal(0, 0.1, (8, 3, 3, 3)).astype(np.float16 if types == "fp16" else np.float32)
    constants = {"all_axes": np.array([1, 2, 3]), "nought": np.zeros((), np.float32)}
    nodes = [node("Cast", ["images"], ["cast"], to=kind), node("Transpose", ["cast"], ["planar"], perm=[0, 3, 1, 2])]
    data, weights = "planar", "kernel"
    if types == "int8":
        constants |= {"scale": np.array(2.0, np.float32), "zero": np.array(0, np.int8)}
        constants |= {"steps": np.full(8, 0.01, np.float32), "zeros": np.zeros(8, np.int8)}
        constants["kernel_q"] = np.clip(np.round(kernel / 0.01), -127, 127).astype(np.int8)
        nodes += [
            node("QuantizeLinear", ["planar", "scale", "zero"], ["planar_q"]),
            node("DequantizeLinear", ["planar_q", "scale", "zero"], ["planar_dq"]),
            node("DequantizeLinear", ["kernel_q", "steps", "zeros"], ["kernel_dq"], axis=0),
        ]
        data, weights = "planar_dq", "kernel_dq"
    else:
        constants["kernel"] = kernel
    nodes += [
        node("Conv", [data, weights], ["features"], "the_convolution", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("Relu", ["features"], ["rectified"]),
        node("Cast", ["rectified"], ["rectified_f"], to=TensorProto.FLOAT),
        node("ReduceMean", ["rectified_f", "all_axes"], ["mean4"], keepdims=1),
        node("Squeeze", ["mean4", "last"], ["mean"]),
        node("Mul", ["mean", "nought"], ["nothing"]),
        node("Add", ["boxes_before", "nothing"], ["boxes"]),
    ]
    constants["last"] = np.array([3])
    for other in model.graph.node:
        other.output[:] = ["boxes_before" if name == "boxes" else name for name in other.output]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    return path
