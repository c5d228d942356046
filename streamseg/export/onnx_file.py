"""The ONNX file of a graph: which ops it may hold, whose weights it reads, what it says about itself."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from streamseg.errors import ModelError

__all__ = ["FORBIDDEN", "INLINE_LIMIT", "check_ops", "drop_cast_pairs", "share_weights", "slim", "write_facts"]

FORBIDDEN = frozenset({"NonMaxSuppression", "RoiAlign", "NonZero", "Loop", "If", "Scan", "SequenceAt"})
"""Ops that some runtime lacks, or that break between runtimes."""

INLINE_LIMIT = 600_000
"""Bytes of constants that a graph may hold beside the shared weights; more where these are more (`INLINE_SHARE`)."""

INLINE_SHARE = 25
"""One part in so many of the weights may be inline: ResNet's deconvolution is, permuted, and the comparisons of NMS are K by K."""


def check_ops(model: onnx.ModelProto) -> None:
    """Raise ModelError when the graph has an op that some runtime lacks, a plugin, or control flow."""
    found = sorted({node.op_type for node in model.graph.node if node.op_type in FORBIDDEN or node.domain})
    if found or model.functions:
        raise ModelError(f"the graph has ops that not every runtime has: {found or 'functions'}")


def drop_cast_pairs(model: onnx.ModelProto) -> None:
    """Take away conversions of float16 to float32 and straight back, in place: they change nothing and cost a copy."""
    graph = model.graph
    half = {i.name for i in graph.value_info if i.type.tensor_type.elem_type == TensorProto.FLOAT16}
    half |= {t.name for t in graph.initializer if t.data_type == TensorProto.FLOAT16}
    half |= {n.output[0] for n in graph.node if _casts_to(n, TensorProto.FLOAT16)}
    origin = {n.output[0]: n.input[0] for n in graph.node if _casts_to(n, TensorProto.FLOAT) and n.input[0] in half}
    same = {n.output[0]: origin[n.input[0]] for n in graph.node if _casts_to(n, TensorProto.FLOAT16) and n.input[0] in origin}
    for node in graph.node:
        node.input[:] = [same.get(name, name) for name in node.input]
    nodes = [n for n in graph.node if n.output[0] not in same]
    used = {name for node in nodes for name in node.input} | {output.name for output in graph.output}
    nodes = [n for n in nodes if n.output[0] not in origin or n.output[0] in used]
    del graph.node[:]
    graph.node.extend(nodes)


def _casts_to(node: onnx.NodeProto, kind: int) -> bool:
    return node.op_type == "Cast" and any(a.name == "to" and a.i == kind for a in node.attribute)


def share_weights(model: onnx.ModelProto, weights: Path) -> None:
    """Point every initializer that is in the safetensors file at its bytes there, in place.

    Only tensors of the same name and exactly the same values are shared: a float16 graph reads the file's float16 as they are, a
    float32 graph through a Cast. Raises ModelError when much is left in the graph: then the exporter changed the weights, and the
    files would not fit each other.
    """
    content = weights.read_bytes()
    (header_size,) = struct.unpack("<Q", content[:8])
    header: dict[str, Any] = json.loads(content[8 : 8 + header_size])
    header.pop("__metadata__", None)
    inline = 0
    casts = []
    for tensor in model.graph.initializer:
        entry = header.get(tensor.name.removeprefix("model."))
        values = numpy_helper.to_array(tensor)
        stored = None
        if entry is not None and entry["dtype"] in ("F16", "F32"):
            start, stop = (8 + header_size + offset for offset in entry["data_offsets"])
            stored = np.frombuffer(content[start:stop], np.float16 if entry["dtype"] == "F16" else np.float32)
        if (
            stored is None
            or stored.itemsize > values.itemsize
            or not np.array_equal(stored.astype(values.dtype), values.ravel())
        ):
            inline += values.nbytes
            continue
        name, dims = tensor.name, list(tensor.dims)
        widened = stored.dtype != values.dtype
        tensor.Clear()
        tensor.name = f"{name}.half" if widened else name
        tensor.dims.extend(dims)
        tensor.data_type = helper.np_dtype_to_tensor_dtype(stored.dtype)
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", weights.name), ("offset", start), ("length", stop - start)):
            item = tensor.external_data.add()
            item.key, item.value = key, str(value)
        if widened:
            casts.append(helper.make_node("Cast", [tensor.name], [name], f"{name}.cast", to=TensorProto.FLOAT))
    if inline > max(INLINE_LIMIT, len(content) // INLINE_SHARE):
        raise ModelError(f"{inline} bytes of the graph's constants are not in {weights.name}")
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(casts + nodes)


def slim(model: onnx.ModelProto) -> None:
    """Keep each constant once, in place, and none of the shapes between nodes: every runtime works those out itself.

    A fifth to two fifths of a small model's graph. Constants are merged where type, shape and values are the same; those that lie
    in the weights file have a place each.
    """
    graph = model.graph
    del graph.value_info[:]
    given = {output.name for output in graph.output}
    kept: dict[bytes, str] = {}
    same: dict[str, str] = {}
    tensors = [
        t for t in graph.initializer if t.data_location == TensorProto.EXTERNAL or _first(t.name, _content(t), kept, same)
    ]
    nodes = [
        n
        for n in graph.node
        if n.op_type != "Constant" or n.output[0] in given or _first(n.output[0], _attributes(n), kept, same)
    ]
    for node in nodes:
        node.input[:] = [same.get(name, name) for name in node.input]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(tensors)
    graph.node.extend(nodes)


def _first(name: str, content: bytes, kept: dict[bytes, str], same: dict[str, str]) -> bool:
    """Whether `name` is the first value with that content; else it is noted as the same as the first."""
    first = kept.setdefault(content, name)
    if first != name:
        same[name] = first
    return first == name


def _content(tensor: TensorProto) -> bytes:
    unnamed = TensorProto()
    unnamed.CopyFrom(tensor)
    unnamed.ClearField("name")
    content: bytes = unnamed.SerializeToString(deterministic=True)
    return b"tensor" + content


def _attributes(node: onnx.NodeProto) -> bytes:
    """Of a Constant, whose tensor may have a name that says nothing."""
    told = []
    for attribute in node.attribute:
        unnamed = onnx.AttributeProto()
        unnamed.CopyFrom(attribute)
        unnamed.t.ClearField("name")
        told.append(unnamed.SerializeToString(deterministic=True))
    return b"node" + b"".join(sorted(told))


def write_facts(model: onnx.ModelProto, facts: Mapping[str, str]) -> None:
    """Write the metadata that a streamseg engine reads, as streamseg.KEY, and wipe the exporter's notes: they name local files."""
    del model.metadata_props[:]
    helper.set_model_props(model, {f"streamseg.{key}": value for key, value in facts.items()})
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*model.graph.initializer, *model.graph.value_info, *model.graph.input, *model.graph.output):
        del value.metadata_props[:]
    del model.graph.metadata_props[:]
    model.producer_name, model.doc_string, model.graph.doc_string = "streamseg", "", ""
