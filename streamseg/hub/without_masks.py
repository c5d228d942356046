"""Faster R-CNN out of Mask R-CNN: a graph without its mask branch, which gives the same boxes in less time.

    CACHE/graphs/lite-320x576-int8-boxes-3f0c.../lite-320x576-int8-boxes.onnx   cut out of the whole graph, links to its weights

Nothing is exported for it and torch is not needed: what only the masks are made of is left out. So it is there in every precision
and size in which the whole graph is, and what was measured of that one's boxes holds.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from streamseg.core.parts import FULL, WITH_MASKS
from streamseg.errors import OutputError
from streamseg.hub.graph_spec import GraphSpec, read_spec
from streamseg.system.folders import cache_root, elsewhere, make_folder

__all__ = ["without_masks"]

_CUT = {whole: part for part, whole in WITH_MASKS.items()}


def without_masks(spec: GraphSpec) -> GraphSpec:
    """The graph of `spec` without its output `masks` and what leads to that alone, from the cache or made now; without: itself.

    Raises OutputError (the cache cannot be written) or ModelError (the graph cannot be read).
    """
    if set(spec.outputs) != {"boxes", "scores", "labels", "masks"}:
        return spec
    stem = f"{spec.path.stem}-boxes"
    folder = cache_root() / "graphs" / f"{stem}-{spec.sha256[:16]}"
    target = folder / f"{stem}.onnx"
    if not target.is_file():
        partial = folder / f"{stem}.{os.getpid()}.partial"
        try:
            make_folder(folder)
            for weights in spec.weights:
                _link(weights, folder / weights.name)
            partial.write_bytes(_cut(spec.path))
            partial.replace(target)
        except OSError as error:
            raise OutputError(f"cannot keep the graph {target}: {error.strerror}; {elsewhere(target)}") from error
    return read_spec(target)


def _cut(path: Path) -> bytes:
    import onnx

    model = onnx.load(str(path), load_external_data=False)
    graph = model.graph
    kept = [output for output in graph.output if output.name != "masks"]
    needed = {output.name for output in kept}
    nodes = []
    for node in reversed(graph.node):
        if needed & set(node.output):
            needed |= set(node.input)
            nodes.append(node)
    nodes.reverse()
    constants = [tensor for tensor in graph.initializer if tensor.name in needed]
    values = [value for value in graph.value_info if value.name in needed]
    for field, rows in (("output", kept), ("node", nodes), ("initializer", constants), ("value_info", values)):
        graph.ClearField(field)
        getattr(graph, field).extend(rows)
    facts = {item.key: item for item in model.metadata_props}
    if "streamseg.part" not in facts:
        facts["streamseg.part"] = model.metadata_props.add(key="streamseg.part", value=FULL)
    part = _CUT.get(facts["streamseg.part"].value, FULL)
    facts["streamseg.part"].value = part
    if "streamseg.name" in facts:
        facts["streamseg.name"].value = facts["streamseg.name"].value.removesuffix("-class-agnostic") + f"-{part}"
    return bytes(model.SerializeToString(deterministic=True))


def _link(source: Path, target: Path) -> None:
    """Link the weights where the file system allows that, else copy them; they may be there already."""
    if target.is_file():
        return
    with contextlib.suppress(OSError):
        os.link(source, target)
        return
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    shutil.copyfile(source, partial)
    partial.replace(target)
