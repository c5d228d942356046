"""Whether somebody else's ONNX file can be adapted at all: its input, its operators and its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from streamseg.errors import ConfigError, ModelError
from streamseg.hub.description import Description
from streamseg.hub.graph_file import GraphFile, TensorInfo
from streamseg.hub.graph_nodes import nodes_of
from streamseg.hub.sidecar import Sidecar

__all__ = ["input_size", "opens_with", "outputs_there", "picture_input", "refuse_nan", "refuse_unknown"]

Size = tuple[int, int]

_LARGEST = 4096 * 4096
"""Most pixels of an input (`on_demand.LARGEST`)."""
_TYPES = ("float32", "float16", "uint8")
_OLDEST = 7
"""Of ONNX's operators: from there on arithmetic broadcasts as numpy's."""
NO_SIDECAR = Sidecar()
_PLUGIN = "_TRT"
"""How the operators that TensorRT's plug-ins bring end."""


def input_size(
    graph: GraphFile, description: Description, path: Path, size: Size | None = None, sidecar: Sidecar = NO_SIDECAR
) -> Size:
    """(H, W) at which the file is run: as the file says, as asked for (`size`), or as described, by `sidecar` say.

    Raises ModelError where the file is no model of one picture or the description contradicts it, ConfigError for a size that
    cannot be.
    """
    asked = description.input
    info = picture_input(graph, description, path, sidecar)
    height, width = info.shape[-3:-1] if asked.layout == "nhwc" else info.shape[-2:]
    wanted = size or asked.size
    if wanted is None and not (height and width):
        raise ConfigError(
            f"{path} takes pictures of any size, and nothing says which: give --size HEIGHTxWIDTH (or input: size: in its sidecar)"
        )
    wanted, said = wanted or (height, width), "" if size else sidecar.at("input.size")
    if any(own not in (0, side) for own, side in zip((height, width), wanted, strict=True)):
        own = "x".join(str(side or "any") for side in (height, width))
        raise ModelError(
            f"{said}{path} takes {own}, not {wanted[0]}x{wanted[1]}: leave the size out, or export the model at that size"
        )
    if min(wanted) < 1 or wanted[0] * wanted[1] > _LARGEST:
        raise ConfigError(
            f"{said}{path}: an input of {wanted[0]}x{wanted[1]} is not possible; allowed: up to 4096x4096 pixels in all"
        )
    if not (height and width) and any(side % asked.multiple for side in wanted):
        raise ConfigError(
            f"{said}{path}: {wanted[0]}x{wanted[1]} is not possible: sides are multiples of {asked.multiple}; take "
            + "x".join(map(str, _near(wanted, asked.multiple)))
        )
    return wanted


def _near(size: Size, multiple: int) -> Size:
    """A size that can be, near `size`: sides rounded to multiples, and down where that would be too large."""
    height, width = (max(multiple, round(side / multiple) * multiple) for side in size)
    if height * width <= _LARGEST:
        return height, width
    return max(multiple, size[0] // multiple * multiple), max(multiple, size[1] // multiple * multiple)


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


def picture_input(graph: GraphFile, description: Description, path: Path, sidecar: Sidecar = NO_SIDECAR) -> TensorInfo:
    """The input for the picture, checked against the description."""
    name, layout = description.input.name, description.input.layout
    takes = ", ".join(f"{each}: {info}" for each, info in graph.inputs.items()) or "nothing"
    if name not in graph.inputs:
        raise ModelError(f"{sidecar.at('input.name')}{path} has no input {name!r}; it takes {takes}")
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
            f"{sidecar.at('input.layout')}{path} takes {takes}; of {layout} that is {channels} channels, and three are needed. "
            "If its layout is another, say so in the sidecar (input: layout:)"
        )
    return info


def outputs_there(graph: GraphFile, description: Description, path: Path, sidecar: Sidecar = NO_SIDECAR) -> None:
    """Raise ModelError where the description names tensors that the file does not have."""
    gives = ", ".join(f"{each}: {info}" for each, info in graph.outputs.items()) or "nothing"
    for ours, theirs in description.outputs.items():
        if theirs not in graph.outputs and theirs not in graph.made_by:
            raise ModelError(f"{sidecar.at(f'outputs.{ours}')}{path} has no output {theirs!r}; it gives {gives}")


def refuse_unknown(onnx: Any, model: Any, path: Path) -> None:
    """Operators that ONNX does not have, though the file counts them among its own. Those of TensorRT's plug-ins pass."""
    local = {function.name for function in model.functions}
    unknown = sorted({n.op_type for n in nodes_of(model.graph) if not onnx.defs.has(n.op_type) and n.op_type not in local})
    if any(not operator.endswith(_PLUGIN) for operator in unknown):
        raise ModelError(
            f"{path} needs operators that ONNX does not have ({', '.join(unknown[:5])}): export the model without them"
        )


def refuse_nan(onnx: Any, model: Any, path: Path) -> None:
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
