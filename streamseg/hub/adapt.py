"""Makes a graph of ours of somebody else's ONNX model, as its `Description` tells: the same network between other ends.

    images uint8 [B, H, W, 3] RGB → float → the model's layout, channel order, mean and std, type → the model
    → floats as float32, an axis of the batch where there is none → the outputs, as the family calls them

Whole numbers stay of their type. Every tensor and node that is added is called `streamseg.…`; of the file's own only its ends, and
what would get in the way of ours, are renamed. The bytes depend on nothing but the file, the description and the size.

The package `onnx` is imported when a file is adapted, and never else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from streamseg.errors import ModelError
from streamseg.hub.adaptable import picture_input, refuse_nan, refuse_unknown
from streamseg.hub.description import Description
from streamseg.hub.graph_file import GraphFile, TensorInfo
from streamseg.hub.new_ends import TO_FLOAT, NewEnds, stated
from streamseg.hub.runtime_faults import keep_slices
from streamseg.system.imports import forks_wait

__all__ = ["adapt"]

Size = tuple[int, int]

_LARGEST_ANSWER = 1 << 30
"""Most numbers that the outputs of one picture may hold."""


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
    refuse_unknown(onnx, model, path)
    refuse_nan(onnx, model, path)
    keep_slices(onnx, model)
    info = picture_input(graph, description, path)
    batch = _batch(graph, description, info)
    NewEnds(onnx, model, graph, description).run(info, size, batch)
    shapes = _infer(onnx, model, description.outputs, path)
    worked_out = {shape[0] for shape in shapes.values() if shape and shape[0]}
    if not batch and worked_out:  # the model says any number, and computes a fixed one
        batch = min(worked_out)
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = batch
    _declare(onnx, model, graph, description, batch, shapes, path)
    origins = {"source": path.name, "origin_sha256": origin} | ({"weights_sha256": weights_sha256} if weights_sha256 else {})
    _state(onnx, model, description, name, origins, _precision(onnx, model, info))
    try:
        data: bytes = model.SerializeToString(deterministic=True)
    except ValueError as error:  # more than protobuf holds
        raise ModelError(f"{path} is too large to be adapted ({error}): export it with its weights as external data") from error
    return data


def _batch(graph: GraphFile, description: Description, info: TensorInfo) -> int:
    """Pictures in a run; 0: any number. One, where the model has no axis for it or an output ends it."""
    if len(info.shape) == 3 or not description.batch_axis:
        return 1
    firsts = [stated(graph, theirs).shape[:1] for theirs in description.outputs.values()]
    fixed = {first[0] for first in firsts if first and first[0]} | ({info.shape[0]} - {0})
    return min(fixed, default=0)


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
        said = stated(graph, theirs)
        shape = shapes.get(ours, ())
        own = said.shape if description.batch_axis else (1, *said.shape)
        if not shape:
            shape = own
        elif len(own) == len(shape):
            shape = tuple(worked or said for worked, said in zip(shape, own, strict=True))
        if not shape:
            raise ModelError(f"{path}: its output {theirs!r} has no known rank ({said}): export it with its shapes")
        first = batch or "batch"
        dims = [first, *(length or f"streamseg.{ours}.{axis}" for axis, length in enumerate(shape[1:], 1))]
        dtype = "float32" if said.dtype in TO_FLOAT else said.dtype
        code = getattr(onnx.TensorProto, {"float32": "FLOAT"}.get(dtype, dtype.upper()), 0)
        if not code:
            raise ModelError(f"{path}: its output {theirs!r} is {said}: numbers are needed")
        model.graph.output.append(onnx.helper.make_tensor_value_info(ours, code, dims))
        size = 1
        for length in shape[1:]:
            size *= length or 1
        numbers += size
    if numbers > _LARGEST_ANSWER:
        raise ModelError(
            f"{path} claims to answer {numbers:.1e} numbers for each picture: no machine holds that; it is damaged"
        )


def _state(onnx: Any, model: Any, description: Description, name: str, origins: Mapping[str, str], precision: str) -> None:
    """Write what `graph_spec.read_spec` reads, `origins` say what the graph is made of; the file's own metadata stay."""
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
        **{f"streamseg.{key}": value for key, value in origins.items()},
    }
    if description.conf is not None:
        own["streamseg.conf"] = str(description.conf)
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
