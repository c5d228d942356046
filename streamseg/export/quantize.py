"""Int8: convolutions and linear layers with 8 bit inputs and weights, as QuantizeLinear and DequantizeLinear in the graph.

Explicit quantisation is what TensorRT 10 and later, TensorRT-RTX, OpenVINO and ONNX Runtime all read. Symmetric int8 (TensorRT
takes no other), weights for each output channel, activations for each tensor, with the range that holds all but one in ten
thousand of the values seen on real pictures (Wu et al. 2020, arXiv 2004.09602, section 3.3 and 5). Accumulators, biases, outputs,
RoIAlign, box decoding, softmax and NMS stay float32.

The graph keeps float weights and quantises them when it is loaded: they are the bytes of the shared weights file, so that an int8
graph is a few hundred kilobytes beside it. Runtimes fold that; OpenVINO's speed is the same as with int8 weights in the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from streamseg.errors import ConfigError
from streamseg.export.quantizer import UInt8Array, insert, layers, ranges
from streamseg.export.sensitivity import sensitive_layers

__all__ = ["fold_affine", "quantize"]

FloatArray = npt.NDArray[np.float32]
_FACTOR, _FOLDED = ".factor", ".folded"


def quantize(model: onnx.ModelProto, pictures: Sequence[UInt8Array], excluded: Sequence[str] | None = None) -> list[str]:
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
        excluded = sensitive_layers(model, known, pictures)
    insert(model, known, [name for name in layers(model) if name not in set(excluded)])
    _quantize_on_load(model, originals, factors)
    return list(excluded)


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
