"""Other ends for somebody else's network: pictures as ours are go in, and what comes out has the names and types of the family.

Nodes and tensors are called `streamseg.…`; what the file calls so, or as the new ends are called, is renamed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from streamseg.hub.description import Description
from streamseg.hub.graph_file import GraphFile, TensorInfo
from streamseg.hub.graph_nodes import needed, rename

__all__ = ["TO_FLOAT", "NewEnds", "stated"]

Size = tuple[int, int]

_WITHIN = "a tensor within the file"
TO_FLOAT = ("float16", "float64", "bfloat16", _WITHIN)
"""Types of answers that are made float32; whole numbers stay as they are."""


def stated(graph: GraphFile, tensor: str) -> TensorInfo:
    """What the file says of an output; of a tensor within it, it says nothing."""
    return graph.outputs.get(tensor, TensorInfo(_WITHIN, ()))


class NewEnds:
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
        rename(model.graph, {name: f"streamseg.file.{name}" for name in ours})
        self._enter(info)
        kept = list(model.graph.node)
        for each, theirs in asked.outputs.items():
            self._leave(each, f"streamseg.file.{theirs}", stated(self._graph, theirs).dtype)
        kept = needed([*self._before, *kept, *self._behind], asked.outputs)
        del model.graph.node[:]
        model.graph.node.extend(kept)
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

        if dtype in TO_FLOAT:
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
