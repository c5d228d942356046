"""What int8 needs of a graph: its layers, a run of a part of it, the ranges of activations, and the nodes that quantise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper

from streamseg.errors import MissingExtra
from streamseg.system.imports import import_onnxruntime

__all__ = ["KEPT", "UInt8Array", "insert", "layers", "part_of", "ranges", "session"]

UInt8Array = npt.NDArray[np.uint8]
"""[H, W, 3] RGB of the graph's size."""

KEPT = 0.9999
"""Share of an activation's values that its int8 range holds; those beyond it are clipped."""

_SEEN = 1_000_000
"""Values of a tensor that are looked at in each picture, evenly spread."""


def layers(model: onnx.ModelProto) -> dict[str, list[onnx.NodeProto]]:
    """What can be quantised: convolutions and linear layers by the name of their weights, which several may share."""
    constants = {t.name for t in model.graph.initializer}
    found: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        if node.op_type in ("Conv", "Gemm") and node.input[1] in constants:
            found.setdefault(node.input[1], []).append(node)
    return found


def session(model: onnx.ModelProto, outputs: Sequence[str]) -> Any:
    """An ONNX Runtime session that computes `outputs`, any tensors of the graph, and nothing else. Raises MissingExtra."""
    try:
        onnxruntime = import_onnxruntime()
    except ImportError as error:
        raise MissingExtra("onnxruntime", "onnx") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    content = part_of(model, outputs).SerializeToString()
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def part_of(model: onnx.ModelProto, outputs: Sequence[str]) -> onnx.ModelProto:
    """The part of a graph that computes `outputs`, any tensors of it."""
    graph, needed = model.graph, set(outputs)
    nodes: list[onnx.NodeProto] = []
    for node in reversed(graph.node):  # in ONNX, a node comes after those that it reads
        if needed.intersection(node.output):
            needed.update(node.input)
            nodes.append(node)
    declared = {output.name: output for output in graph.output}
    wanted = [declared.get(name, onnx.ValueInfoProto(name=name)) for name in outputs]
    constants = [tensor for tensor in graph.initializer if tensor.name in needed]
    part = helper.make_graph(nodes[::-1], "part", list(graph.input), wanted, constants)
    return helper.make_model(part, opset_imports=model.opset_import, ir_version=model.ir_version)


def ranges(model: onnx.ModelProto, pictures: Sequence[UInt8Array], kept: float = KEPT) -> dict[str, float]:
    """For the input of every layer: the absolute value below which the share `kept` of its values on all pictures lies."""
    names = sorted({node.input[0] for nodes in layers(model).values() for node in nodes})
    run = session(model, names)
    largest = {name: np.zeros(0, np.float32) for name in names}
    seen: Counter[str] = Counter()
    for picture in pictures:
        for name, value in zip(names, run.run(names, {"images": picture[None]}), strict=True):
            flat = np.abs(value).ravel()
            flat = flat[:: max(1, flat.size // _SEEN)]
            seen[name] += flat.size
            keep = max(1, round(flat.size * len(pictures) * (1 - kept)))
            both = np.concatenate((largest[name], flat))
            largest[name] = np.partition(both, -keep)[-keep:] if both.size > keep else both
    beyond = {name: max(1, round(seen[name] * (1 - kept))) for name in names}
    return {name: float(np.sort(largest[name])[-beyond[name]]) for name in names}


def insert(model: onnx.ModelProto, known: Mapping[str, float], weights: Sequence[str]) -> None:
    """Put QuantizeLinear and DequantizeLinear before the layers of these weights, in place, with the activations' `ranges`."""
    ort = import_onnxruntime("quantization")
    chosen = layers(model)
    nodes = [node.name for weight in weights for node in chosen[weight]]
    data = {n: ort.TensorData(lowest=np.float32(-top), highest=np.float32(max(top, 1e-6))) for n, top in known.items()}
    quantizer = ort.QDQQuantizer(
        model,
        per_channel=True,
        reduce_range=False,
        weight_qType=ort.QuantType.QInt8,
        activation_qType=ort.QuantType.QInt8,
        tensors_range=ort.TensorsData(ort.CalibrationMethod.MinMax, data),
        nodes_to_quantize=nodes,
        nodes_to_exclude=[],
        op_types_to_quantize=["Conv", "Gemm"],
        extra_options={
            "ActivationSymmetric": True,
            "WeightSymmetric": True,
            "QuantizeBias": False,  # int32 biases have the scale of input times weights, which TensorRT works out itself
            "OpTypesToExcludeOutputQuantization": ["Conv", "Gemm"],  # costs 12 dB, and all runtimes fuse what follows
        },
    )
    quantizer.quantize_model()
    quantizer.model.topological_sort()
    if quantizer.model.model is not model:
        model.CopyFrom(quantizer.model.model)
