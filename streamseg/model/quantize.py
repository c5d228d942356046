"""Int8: convolutions and linear layers with 8 bit inputs and weights, as QuantizeLinear and DequantizeLinear in the graph.

Explicit quantisation is what TensorRT 10 and later, TensorRT-RTX, OpenVINO and ONNX Runtime all read. Symmetric int8 (TensorRT
takes no other), weights for each output channel, activations for each tensor, with the range that holds all but one in ten
thousand of the values seen on real pictures (Wu et al. 2020, arXiv 2004.09602, section 3.3 and 5). Accumulators, biases, outputs,
RoIAlign, box decoding, softmax and NMS stay float32.

The graph keeps float weights and quantises them when it is loaded: they are the bytes of the shared weights file, so that an int8
graph is a few hundred kilobytes beside it. Runtimes fold that; OpenVINO's speed is the same as with int8 weights in the file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from streamseg.errors import ConfigError, MissingExtra
from streamseg.imports import import_onnxruntime

__all__ = ["KEPT", "fold_affine", "insert", "layers", "part_of", "quantize", "ranges", "session"]

FloatArray = npt.NDArray[np.float32]
Picture = npt.NDArray[np.uint8]

KEPT = 0.9999
"""Share of an activation's values that its int8 range holds; those beyond it are clipped."""

_SEEN = 1_000_000
"""Values of a tensor that are looked at in each picture, evenly spread."""

_FACTOR, _FOLDED = ".factor", ".folded"


def quantize(model: onnx.ModelProto, pictures: Sequence[Picture], excluded: Sequence[str] | None = None) -> list[str]:
    """Quantise a float32 graph of `to_onnx` in place; gives the weights of the layers that were left in float32.

    `pictures` uint8 [H, W, 3] RGB of the graph's size are run through it for the ranges. `excluded` names the weights of layers to
    leave; None: those that `sensitivity.sensitive_layers` finds. Raises MissingExtra (onnxruntime), ConfigError (no pictures).
    """
    if not pictures:
        raise ConfigError("int8 needs pictures to calibrate with")
    originals = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    factors = fold_affine(model)
    known = ranges(model, pictures)
    if excluded is None:
        from streamseg.model.sensitivity import sensitive_layers

        excluded = sensitive_layers(model, known, pictures)
    insert(model, known, [name for name in layers(model) if name not in set(excluded)])
    _quantize_on_load(model, originals, factors)
    return list(excluded)


def layers(model: onnx.ModelProto) -> dict[str, list[onnx.NodeProto]]:
    """What can be quantised: convolutions and linear layers by the name of their weights, which several may share."""
    constants = {t.name for t in model.graph.initializer}
    found: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        if node.op_type in ("Conv", "Gemm") and node.input[1] in constants:
            found.setdefault(node.input[1], []).append(node)
    return found


def fold_affine(model: onnx.ModelProto) -> dict[str, FloatArray]:
    """Multiply the scale of each Conv → Mul → Add into the weights, in place: what is quantised is what will be multiplied.

    Gives the factor [O, 1, 1, 1] of each weight that was changed. A weight that several convolutions share is left alone.
    """
    graph = model.graph
    constants = {t.name: t for t in graph.initializer}
    users: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    factors, gone = {}, set()
    for weight, nodes in layers(model).items():
        conv = nodes[0]
        pair = _affine_after(conv, users, constants)
        if len(nodes) > 1 or pair is None:
            continue
        mul, add, scale, shift = pair
        kernel = numpy_helper.to_array(constants[weight])
        bias = constants.get(conv.input[2]) if len(conv.input) > 2 else None
        old = np.zeros(1, np.float32) if bias is None else numpy_helper.to_array(bias)
        factors[weight] = scale.reshape(-1, 1, 1, 1)
        constants[weight].CopyFrom(numpy_helper.from_array(kernel * factors[weight], weight))
        graph.initializer.append(numpy_helper.from_array(old * scale + shift, f"{weight}.shift"))
        conv.input[:] = [conv.input[0], weight, f"{weight}.shift"]
        conv.output[0] = add.output[0]
        gone |= {mul.output[0], f"{add.name}/{add.output[0]}"}
    nodes = [n for n in graph.node if n.output[0] not in gone and f"{n.name}/{n.output[0]}" not in gone]
    del graph.node[:]
    graph.node.extend(nodes)
    return factors


def _affine_after(
    conv: onnx.NodeProto, users: Mapping[str, list[onnx.NodeProto]], constants: Mapping[str, onnx.TensorProto]
) -> tuple[onnx.NodeProto, onnx.NodeProto, FloatArray, FloatArray] | None:
    """(Mul, Add, scale [O], shift [O]) where a convolution's one user multiplies, and that one's one user adds, by channel."""
    found: list[tuple[onnx.NodeProto, FloatArray]] = []
    value = conv.output[0]
    for kind in ("Mul", "Add"):
        follower = users.get(value, [])
        if conv.op_type != "Conv" or len(follower) != 1 or follower[0].op_type != kind:
            return None
        other = [name for name in follower[0].input if name != value]
        array = numpy_helper.to_array(constants[other[0]]) if len(other) == 1 and other[0] in constants else None
        if array is None or array.ndim != 4 or array.shape[1] != array.size:
            return None
        found.append((follower[0], array.reshape(-1)))
        value = follower[0].output[0]
    return found[0][0], found[1][0], found[0][1], found[1][1]


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


def ranges(model: onnx.ModelProto, pictures: Sequence[Picture], kept: float = KEPT) -> dict[str, float]:
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


def _quantize_on_load(model: onnx.ModelProto, originals: Mapping[str, FloatArray], factors: Mapping[str, FloatArray]) -> None:
    """Replace int8 weights, in place, by their float originals, `fold_affine`'s factor and a QuantizeLinear of the same answer.

    Layers left in float32 get their weight as original times factor, too.
    """
    graph = model.graph
    constants = {t.name: t for t in graph.initializer}
    made: list[onnx.NodeProto] = []
    for weight, factor in factors.items():
        _put(graph, constants, weight, originals[weight])
        graph.initializer.append(numpy_helper.from_array(factor, weight + _FACTOR))
        made.append(helper.make_node("Mul", [weight, weight + _FACTOR], [weight + _FOLDED], weight + _FOLDED))
    for node in graph.node:
        node.input[:] = [name + _FOLDED if name in factors else name for name in node.input]
    for node in list(graph.node):
        weight = node.input[0].removesuffix("_quantized") if node.op_type == "DequantizeLinear" else ""
        if weight not in originals or weight == node.input[0]:
            continue
        if weight not in factors:
            _put(graph, constants, weight, originals[weight])
        source = weight + _FOLDED if weight in factors else weight
        axis = {a.name: a.i for a in node.attribute if a.name == "axis"}
        made.append(helper.make_node("QuantizeLinear", [source, *node.input[1:]], [node.input[0]], f"{weight}.q", **axis))
        graph.initializer.remove(constants[node.input[0]])
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend(made + nodes)


def _put(graph: onnx.GraphProto, constants: Mapping[str, onnx.TensorProto], name: str, value: FloatArray) -> None:
    tensor = constants[name] if name in constants else graph.initializer.add()
    tensor.CopyFrom(numpy_helper.from_array(value, name))
