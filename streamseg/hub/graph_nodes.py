"""Walks over the nodes of an ONNX graph (`onnx.GraphProto`), within its subgraphs, too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["needed", "nodes_of", "rename", "subgraphs_of"]


def nodes_of(graph: Any) -> Iterable[Any]:
    """The nodes of a graph, and of those within it."""
    for node in graph.node:
        yield node
        for inner in subgraphs_of(node):
            yield from nodes_of(inner)


def subgraphs_of(node: Any) -> Iterable[Any]:
    """The graphs within a node: the branches of an If, the body of a Loop."""
    for attribute in node.attribute:
        yield from (attribute.g, *attribute.graphs) if attribute.type in (5, 10) else ()


def needed(nodes: Sequence[Any], outputs: Iterable[str]) -> list[Any]:
    """The nodes that the outputs depend on, in their order: what else a file computes costs time, and may stop an engine."""
    wanted, kept = set(outputs), []
    for node in reversed(nodes):  # each comes after what it takes
        if wanted.isdisjoint(node.output):
            continue
        kept.append(node)
        wanted.update(node.input)
        for inner in subgraphs_of(node):
            wanted.update(name for each in nodes_of(inner) for name in each.input)
            wanted.update(info.name for info in inner.output)
    return kept[::-1]


def rename(graph: Any, names: Mapping[str, str]) -> None:
    """Rename tensors, within subgraphs, too, which see those outside of them."""
    for node in graph.node:
        for listed in (node.input, node.output):
            for i, name in enumerate(listed):
                if name in names:
                    listed[i] = names[name]
        for inner in subgraphs_of(node):
            rename(inner, names)
    for info in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        if info.name in names:
            info.name = names[info.name]
    for sparse in graph.sparse_initializer:
        if sparse.values.name in names:
            sparse.values.name = names[sparse.values.name]
    for note in graph.quantization_annotation:
        if note.tensor_name in names:
            note.tensor_name = names[note.tensor_name]
