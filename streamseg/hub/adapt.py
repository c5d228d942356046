"""Makes a graph of ours of somebody else's ONNX model, as its `Description` tells: the same network between other ends.

    images uint8 [B, H, W, 3] RGB → float → the model's layout, channel order, mean and std, type → the model
    → floats as float32, an axis of the batch where there is none → the outputs, as the family calls them

Whole numbers stay of their type. Every tensor and node that is added is called `streamseg.…`; of the file's own only its ends, and
what would get in the way of ours, are renamed. The bytes depend on nothing but the file, the description and the size.

The package `onnx` is imported when a file is adapted, and never else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from streamseg.errors import ConfigError, ModelError
from streamseg.hub.description import Description
from streamseg.hub.graph_file import GraphFile, TensorInfo
from streamseg.hub.runtime_faults import keep_slices
from streamseg.system.imports import forks_wait

__all__ = ["adapt", "input_size", "opens_with"]

Size = tuple[int, int]

LARGEST = 4096 * 4096
"""Most pixels of an input (`on_demand.LARGEST`)."""
_LARGEST_ANSWER = 1 << 30
"""Most numbers that the outputs of one picture may hold."""
_TYPES = ("float32", "float16", "uint8")
_WITHIN = "a tensor within the file"
_TO_FLOAT = ("float16", "float64", "bfloat16", _WITHIN)
_OLDEST = 7
"""Of ONNX's operators: from there on arithmetic broadcasts as numpy's."""
_PLUGIN = "_TRT"
"""How the operators that TensorRT's plug-ins bring end."""


def input_size(graph: GraphFile, description: Description, path: Path, size: Size | None = None) -> Size:
    """(H, W) at which the file is run: as the file says, as asked for (`size`), or as described.

    Raises ModelError where the file is no model of one picture or the description contradicts it, ConfigError for a size that
    cannot be.
    """
    asked = description.input
    info = _picture(graph, description, path)
    height, width = info.shape[-3:-1] if asked.layout == "nhwc" else info.shape[-2:]
    wanted = size or asked.size
    if wanted is None and not (height and width):
        raise ConfigError(
            f"{path} takes pictures of any size, and nothing says which: give --size HEIGHTxWIDTH (or input: size: in its sidecar)"
        )
    wanted = wanted or (height, width)
    if any(own not in (0, side) for own, side in zip((height, width), wanted, strict=True)):
        own = "x".join(str(side or "any") for side in (height, width))
        who = "it" if size else "its sidecar says"
        raise ModelError(
            f"{path} takes {own}, not {wanted[0]}x{wanted[1]}"
            + ("" if size else f", which {who}")
            + ": leave the size out, or export the model at that size"
        )
    if not (height and width) and any(side % asked.multiple for side in wanted):
        near = "x".join(str(max(asked.multiple, round(side / asked.multiple) * asked.multiple)) for side in wanted)
        raise ConfigError(
            f"{path}: {wanted[0]}x{wanted[1]} is not possible: sides are multiples of {asked.multiple}; take {near}"
        )
    if min(wanted) < 1 or wanted[0] * wanted[1] > LARGEST:
        raise ConfigError(
            f"{path}: an input of {wanted[0]}x{wanted[1]} is not possible; allowed: up to 4096x4096 pixels in all"
        )
    return wanted


def opens_with(graph: GraphFile, path: Path) -> None:
    """Raise ModelError for operators of nobody's, or of a version that cannot be: what no engine runs."""
    if graph.unknown:
        raise ModelError(
            f"{path} needs operators that are not ONNX's own ({', '.join(graph.unknown[:5])}): no engine here has them; export the "
            "model without them, or cut them off"
        )
    version = graph.opsets.get("", 0)
    if not version:
        raise ModelError(
            f"{path} does not say of which opset its operators are: it is cut off or damaged; copy or export it again"
        )
    if not _OLDEST <= version <= 1000:
        raise ModelError(f"{path} is of opset {version}; {_OLDEST} or newer is needed: export it again, with opset 17 say")


def _picture(graph: GraphFile, description: Description, path: Path) -> TensorInfo:
    """The input for the picture, checked against the description."""
    name, layout = description.input.name, description.input.layout
    takes = ", ".join(f"{each}: {info}" for each, info in graph.inputs.items()) or "nothing"
    if name not in graph.inputs:
        raise ModelError(f"{path} has no input {name!r}, which its description names; it takes {takes}")
    if len(graph.inputs) != 1:
        raise ModelError(f"{path} takes {takes}; a model of one input, the picture, is needed: export it without the others")
    info = graph.inputs[name]
    if len(info.shape) not in (3, 4):
        raise ModelError(f"{path} takes {takes}; a picture of rank 4, [B, 3, H, W] or [B, H, W, 3], or of rank 3 is needed")
    if info.dtype not in _TYPES:
        raise ModelError(f"{path} takes {takes}; a picture of {', '.join(_TYPES)} is needed")
    channels = info.shape[-1] if layout == "nhwc" else info.shape[-3]
    if channels not in (0, 3):
        raise ModelError(
            f"{path} takes {takes}; described is {layout}, so that there are {channels} channels: three are needed. "
            "If its layout is another, say so in the sidecar (input: layout:)"
        )
    return info


def adapt(
    path: Path, graph: GraphFile, description: Description, size: Size, name: str, weights_sha256: str = "", origin: str = ""
) -> bytes:
    """The bytes of a graph that does what the model at `path` does, at `size`; its external data stay where they are.

    Args:
        path: of the file; its external data were checked (`graph_file.external_paths`).
        graph: what it says of itself.
        size: (H, W), from `input_size`.
        name: of the model.
        weights_sha256: of its external data files together, empty where there are none.
        origin: sha256 of the file.

    Raises ModelError for a file that cannot be adapted.
    """
    with forks_wait():
        import onnx
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # protobuf's errors share no base class with onnx's
        raise ModelError(f"{path} is damaged, or no ONNX file: {error}") from error
    _refuse_unknown(onnx, model, path)
    _refuse_nan(onnx, model, path)
    keep_slices(onnx, model)
    known = graph.outputs.keys() | graph.made_by.keys()
    missing = [f"{ours} ({theirs})" for ours, theirs in description.outputs.items() if theirs not in known]
    if missing:
        gives = ", ".join(f"{each}: {info}" for each, info in graph.outputs.items()) or "nothing"
        raise ModelError(f"{path} has no output {', '.join(missing)}, which its description names; it gives {gives}")
    info = _picture(graph, description, path)
    batch = _batch(graph, description, info)
    _Adapter(onnx, model, graph, description).run(info, size, batch)
    shapes = _infer(onnx, model, description.outputs, path)
    worked_out = {shape[0] for shape in shapes.values() if shape and shape[0]}
    if not batch and worked_out:  # the model says any number, and computes a fixed one
        batch = min(worked_out)
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = batch
    _declare(onnx, model, graph, description, batch, shapes, path)
    _state(onnx, model, description, name, weights_sha256, origin, _precision(onnx, model, info))
    try:
        data: bytes = model.SerializeToString(deterministic=True)
    except ValueError as error:  # more than protobuf holds
        raise ModelError(f"{path} is too large to be adapted ({error}): export it with its weights as external data") from error
    return data


def _batch(graph: GraphFile, description: Description, info: TensorInfo) -> int:
    """Pictures in a run; 0: any number. One, where the model has no axis for it or an output ends it."""
    if len(info.shape) == 3 or not description.batch_axis:
        return 1
    firsts = [_stated(graph, theirs).shape[:1] for theirs in description.outputs.values()]
    fixed = {first[0] for first in firsts if first and first[0]} | ({info.shape[0]} - {0})
    return min(fixed, default=0)


def _stated(graph: GraphFile, tensor: str) -> TensorInfo:
    """What the file says of an output; of a tensor within it, it says nothing."""
    return graph.outputs.get(tensor, TensorInfo(_WITHIN, ()))


class _Adapter:
    """Puts the new ends on."""

    def __init__(self, onnx: Any, model: Any, graph: GraphFile, description: Description) -> None:
        self._onnx, self._model, self._graph, self._description = onnx, model, graph, description
        self._version = graph.opsets.get("", 0)
        self._before: list[Any] = []
        self._behind: list[Any] = []

    def run(self, info: TensorInfo, size: Size, batch: int) -> None:
        """Change the model in place; the shapes of its outputs stay open."""
        helper, model, asked = self._onnx.helper, self._model, self._description
        ours = {"images", *asked.outputs, *asked.outputs.values(), *self._graph.inputs, *self._graph.outputs}
        _rename(model.graph, {name: f"streamseg.file.{name}" for name in ours})
        self._enter(info)
        kept = list(model.graph.node)
        for each, theirs in asked.outputs.items():
            self._leave(each, f"streamseg.file.{theirs}", _stated(self._graph, theirs).dtype)
        needed = _needed([*self._before, *kept, *self._behind], asked.outputs)
        del model.graph.node[:]
        model.graph.node.extend(needed)
        images = helper.make_tensor_value_info("images", self._onnx.TensorProto.UINT8, [batch or "batch", *size, 3])
        del model.graph.input[:]
        model.graph.input.append(images)
        del model.graph.output[:]
        if 0 in info.shape:
            del model.graph.value_info[:]  # they speak of sizes that are none any more
        model.ir_version = max(model.ir_version, 4)  # from there on an initializer need not be an input, too

    def _enter(self, info: TensorInfo) -> None:
        asked, tensor = self._description.input, self._onnx.TensorProto
        last = "images"

        def then(operator: str, *more: str, **attributes: Any) -> None:
            nonlocal last
            result = f"streamseg.in{len(self._before)}"
            self._before.append(self._onnx.helper.make_node(operator, [last, *more], [result], name=result, **attributes))
            last = result

        plain = asked.mean == (0.0,) * 3 and asked.std == (1.0,) * 3 and asked.colour == "rgb"
        if info.dtype != "uint8" or not plain:
            then("Cast", to=tensor.FLOAT)
        axis = 3
        if asked.layout == "nchw":
            then("Transpose", perm=[0, 3, 1, 2])
            axis = 1
        if asked.colour == "bgr":
            then("Gather", self._constant("swap", [2, 1, 0], "int64"), axis=axis)
        shape = (1, 3, 1, 1) if asked.layout == "nchw" else (1, 1, 1, 3)
        for operator, values, idle in (("Sub", asked.mean, 0.0), ("Div", asked.std, 1.0)):
            if any(value != idle for value in values):
                then(operator, self._constant(operator.lower(), values, "float32", shape))
        if info.dtype == "float16":
            then("Cast", to=tensor.FLOAT16)
        elif info.dtype == "uint8" and not plain:
            then("Cast", to=tensor.UINT8)
        if len(info.shape) == 3:
            self._axes("Squeeze", then)
        then("Identity")
        self._before[-1].output[0] = f"streamseg.file.{asked.name}"

    def _leave(self, ours: str, theirs: str, dtype: str) -> None:
        last = theirs

        def then(operator: str, *more: str, **attributes: Any) -> None:
            nonlocal last
            result = f"streamseg.out{len(self._behind)}"
            self._behind.append(self._onnx.helper.make_node(operator, [last, *more], [result], name=result, **attributes))
            last = result

        if dtype in _TO_FLOAT:
            then("Cast", to=self._onnx.TensorProto.FLOAT)
        if not self._description.batch_axis:
            self._axes("Unsqueeze", then)
        then("Identity")
        self._behind[-1].output[0] = ours

    def _axes(self, operator: str, then: Callable[..., None]) -> None:
        """Squeeze or Unsqueeze the first axis, which from opset 13 on an input says."""
        if self._version >= 13:
            then(operator, self._constant("first", [0], "int64"))
        else:
            then(operator, axes=[0])

    def _constant(self, name: str, values: Iterable[float], dtype: str, shape: tuple[int, ...] | None = None) -> str:
        import numpy as np

        full = f"streamseg.{name}"
        if not any(tensor.name == full for tensor in self._model.graph.initializer):
            array = np.array(list(values), dtype)
            self._model.graph.initializer.append(
                self._onnx.numpy_helper.from_array(array if shape is None else array.reshape(shape), full)
            )
        return full


def _needed(nodes: Sequence[Any], outputs: Iterable[str]) -> list[Any]:
    """The nodes that the outputs depend on, in their order: what else a file computes costs time, and may stop an engine."""
    wanted, kept = set(outputs), []
    for node in reversed(nodes):  # each comes after what it takes
        if wanted.isdisjoint(node.output):
            continue
        kept.append(node)
        wanted.update(node.input)
        for inner in _subgraphs(node):
            wanted.update(name for each in _nodes(inner) for name in each.input)
            wanted.update(info.name for info in inner.output)
    return kept[::-1]


def _rename(graph: Any, names: Mapping[str, str]) -> None:
    """Rename tensors, within subgraphs, too, which see those outside of them."""
    for node in graph.node:
        for listed in (node.input, node.output):
            for i, name in enumerate(listed):
                if name in names:
                    listed[i] = names[name]
        for inner in _subgraphs(node):
            _rename(inner, names)
    for info in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        if info.name in names:
            info.name = names[info.name]
    for sparse in graph.sparse_initializer:
        if sparse.values.name in names:
            sparse.values.name = names[sparse.values.name]
    for note in graph.quantization_annotation:
        if note.tensor_name in names:
            note.tensor_name = names[note.tensor_name]


def _infer(onnx: Any, model: Any, outputs: Iterable[str], path: Path) -> dict[str, tuple[int, ...]]:
    """The outputs' shapes as ONNX works them out, 0 for what it cannot."""
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)
    try:
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except Exception as error:  # onnx's InferenceError, and what protobuf raises of a model that is too large
        if "Inference" in type(error).__name__:
            raise ModelError(f"{path} contradicts itself: {error}") from error
        return {}
    finally:
        del model.graph.output[:]
    return {
        info.name: tuple(d.dim_value if d.HasField("dim_value") else 0 for d in info.type.tensor_type.shape.dim)
        for info in inferred.graph.output
        if info.type.tensor_type.HasField("shape")
    }


def _declare(
    onnx: Any,
    model: Any,
    graph: GraphFile,
    description: Description,
    batch: int,
    shapes: Mapping[str, tuple[int, ...]],
    path: Path,
) -> None:
    """Declare the outputs with all that is known of their shapes."""
    numbers = 0
    for ours, theirs in description.outputs.items():
        stated = _stated(graph, theirs)
        shape = shapes.get(ours, ())
        own = stated.shape if description.batch_axis else (1, *stated.shape)
        if not shape:
            shape = own
        elif len(own) == len(shape):
            shape = tuple(worked or said for worked, said in zip(shape, own, strict=True))
        if not shape:
            raise ModelError(f"{path}: its output {theirs!r} has no known rank ({stated}): export it with its shapes")
        first = batch or "batch"
        dims = [first, *(length or f"streamseg.{ours}.{axis}" for axis, length in enumerate(shape[1:], 1))]
        dtype = "float32" if stated.dtype in _TO_FLOAT else stated.dtype
        code = getattr(onnx.TensorProto, {"float32": "FLOAT"}.get(dtype, dtype.upper()), 0)
        if not code:
            raise ModelError(f"{path}: its output {theirs!r} is {stated}: numbers are needed")
        model.graph.output.append(onnx.helper.make_tensor_value_info(ours, code, dims))
        size = 1
        for length in shape[1:]:
            size *= length or 1
        numbers += size
    if numbers > _LARGEST_ANSWER:
        raise ModelError(
            f"{path} claims to answer {numbers:.1e} numbers for each picture: no machine holds that; it is damaged"
        )


def _state(
    onnx: Any, model: Any, description: Description, name: str, weights_sha256: str, origin: str, precision: str
) -> None:
    """Write what `graph_spec.read_spec` reads; the file's own metadata stay."""
    own = {entry.key: entry.value for entry in model.metadata_props if not entry.key.startswith("streamseg.")}
    ids = description.category_ids or range(1, len(description.classes) + 1)
    own |= {
        "streamseg.format": "1",
        "streamseg.name": name,
        "streamseg.family": description.family,
        "streamseg.classes": json.dumps(list(description.classes)),
        "streamseg.category_ids": json.dumps(list(ids)),
        "streamseg.fit": description.input.fit,
        "streamseg.padding": str(description.input.padding),
        "streamseg.options": json.dumps(description.options, sort_keys=True),
        "streamseg.precision": precision,
        "streamseg.origin_sha256": origin,
    }
    if description.conf is not None:
        own["streamseg.conf"] = str(description.conf)
    if weights_sha256:
        own["streamseg.weights_sha256"] = weights_sha256
    onnx.helper.set_model_props(model, own)


def _precision(onnx: Any, model: Any, info: TensorInfo) -> str:
    """The one type of the weights of convolutions and products, in which they are computed; "mixed" where there are several."""
    kinds = {onnx.TensorProto.FLOAT: "fp32", onnx.TensorProto.FLOAT16: "fp16"}
    types = {tensor.name: kinds.get(tensor.data_type, "") for tensor in model.graph.initializer}
    types |= {node.output[0]: "int8" for node in model.graph.node if node.op_type == "DequantizeLinear"}
    weighed = [node.input[1] for node in model.graph.node if node.op_type in ("Conv", "Gemm", "MatMul") and len(node.input) > 1]
    found = [types[name] for name in weighed if types.get(name)]
    if not found:
        return "fp16" if info.dtype == "float16" else "fp32"
    if 2 * found.count("int8") >= len(found):  # the layers that would lose too much are left as they were
        return "int8"
    return found[0] if len(set(found)) == 1 else "mixed"


def _refuse_unknown(onnx: Any, model: Any, path: Path) -> None:
    """Operators that ONNX does not have, though the file counts them among its own. Those of TensorRT's plug-ins pass."""
    local = {function.name for function in model.functions}
    unknown = sorted({n.op_type for n in _nodes(model.graph) if not onnx.defs.has(n.op_type) and n.op_type not in local})
    if any(not operator.endswith(_PLUGIN) for operator in unknown):
        raise ModelError(
            f"{path} needs operators that ONNX does not have ({', '.join(unknown[:5])}): export the model without them"
        )


def _refuse_nan(onnx: Any, model: Any, path: Path) -> None:
    """Weights that are no numbers make every answer none."""
    import numpy as np

    for tensor in model.graph.initializer:
        if tensor.data_type not in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE):
            continue
        try:
            values = onnx.numpy_helper.to_array(tensor, base_dir=str(path.parent))
        except Exception as error:  # ValueError, onnx's ValidationError, ...: whatever is wrong with its bytes
            raise ModelError(f"{path}: its tensor {tensor.name!r} is damaged: {error}") from error
        if values.size > 1 and np.isnan(values).any():
            raise ModelError(f"{path} is broken: {int(np.isnan(values).sum())} of the weights in {tensor.name!r} are NaN")


def _nodes(graph: Any) -> Iterable[Any]:
    for node in graph.node:
        yield node
        for inner in _subgraphs(node):
            yield from _nodes(inner)


def _subgraphs(node: Any) -> Iterable[Any]:
    for attribute in node.attribute:
        yield from (attribute.g, *attribute.graphs) if attribute.type in (5, 10) else ()
