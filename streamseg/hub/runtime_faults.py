"""What a runtime gets wrong of sound graphs, said in other words that it gets right: the graph computes the same."""

from __future__ import annotations

from typing import Any

__all__ = ["keep_slices"]

_FIRST = -(1 << 31) + 1
"""Before the first element of any axis, which is where ONNX then begins."""


def keep_slices(onnx: Any, model: Any) -> None:
    """Let OpenVINO keep the slices that GatherElements reads.

    It drops one that begins at 0 (EliminateSliceBeforeGatherElements; 2026.4), as if it cut the axis that is gathered along, and
    then finds data and indices of different shapes: so it refuses YOLO26, which slices boxes off and gathers the best rows.
    """
    graph = model.graph
    read = {node.input[0] for node in graph.node if node.op_type == "GatherElements"}
    values = {tensor.name: tensor for tensor in graph.initializer}
    values |= {n.output[0]: a.t for n in graph.node if n.op_type == "Constant" for a in n.attribute if a.name == "value"}
    for number, node in enumerate(graph.node):
        if node.op_type != "Slice" or node.output[0] not in read or len(node.input) < 2 or node.input[1] not in values:
            continue
        starts = onnx.numpy_helper.to_array(values[node.input[1]])
        if starts.size and not starts.any():
            name = f"streamseg.start{number}"
            graph.initializer.append(onnx.numpy_helper.from_array((starts + _FIRST).astype(starts.dtype), name))
            node.input[1] = name
