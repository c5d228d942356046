"""Export: one plugin-free ONNX graph per input size, all reading the same weights file.

`export_model(weights, folder, sizes)` writes `NAME.safetensors` once and `NAME-HxW.onnx` for each size. The
graphs hold no weights: each initializer is external data that points into the safetensors file (float16,
followed by a Cast to float32). `python -m streamseg.model.export --weights FILE --out FOLDER` does the same.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import shutil
import struct
import sys
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxscript.optimizer import fold_constants, remove_unused_nodes

from streamseg.errors import ModelError, StreamsegError
from streamseg.model.graph import GraphSettings, InferenceGraph
from streamseg.model.weights import ModelInfo, load_weights

OPSET = 20
FORBIDDEN = frozenset({"NonMaxSuppression", "RoiAlign", "NonZero", "Loop", "If", "Scan", "SequenceAt"})
"""Ops that some runtime lacks, or that break between runtimes."""

OUTPUTS = ("boxes", "scores", "labels", "masks")


def to_onnx(graph: InferenceGraph, dynamic_batch: bool) -> onnx.ModelProto:
    """The graph as ONNX with its weights inside, float32; batch 1 or a symbolic `batch`."""
    settings = graph.settings
    example = torch.randint(0, 256, (2 if dynamic_batch else 1, settings.height, settings.width, 3))
    shapes = {"images": {0: torch.export.Dim("batch", min=1, max=64)}} if dynamic_batch else None
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            graph,
            (example.to(torch.uint8),),
            input_names=["images"],
            output_names=list(OUTPUTS),
            opset_version=OPSET,
            dynamo=True,
            dynamic_shapes=shapes,
            verbose=False,
            optimize=False,
        )
        if program is None:
            raise ModelError("torch.onnx.export gave no program")
        # Not the exporter's own optimiser: it folds batch norm into the weights, which then are no longer
        # those of the weights file. Runtimes fold it when they load the graph.
        fold_constants(program.model, input_size_limit=4096, output_size_limit=65536)
        remove_unused_nodes(program.model)
    model = program.model_proto
    check_ops(model)
    return model


def check_ops(model: onnx.ModelProto) -> None:
    """Raise ModelError when the graph has an op that some runtime lacks, a plugin, or control flow."""
    found = sorted({node.op_type for node in model.graph.node if node.op_type in FORBIDDEN or node.domain})
    if found or model.functions:
        raise ModelError(f"the graph has ops that not every runtime has: {found or 'functions'}")


INLINE_LIMIT = 600_000
"""Bytes of constants that a graph may hold beside the shared weights."""


def share_weights(model: onnx.ModelProto, weights: Path) -> None:
    """Point every initializer that is in the safetensors file at its bytes there, in place.

    Only tensors of the same name and exactly the same values are shared. Raises ModelError when much is left
    in the graph: then the exporter changed the weights, and the files would not fit each other.
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
        half = entry is not None and entry["dtype"] == "F16"
        if entry is not None:
            start, stop = (8 + header_size + offset for offset in entry["data_offsets"])
            stored = np.frombuffer(content[start:stop], np.float16 if half else np.float32)
        if entry is None or not np.array_equal(stored.astype(values.dtype), values.ravel()):
            inline += values.nbytes
            continue
        name, dims = tensor.name, list(tensor.dims)
        tensor.Clear()
        tensor.name = f"{name}.half" if half else name
        tensor.dims.extend(dims)
        tensor.data_type = TensorProto.FLOAT16 if half else TensorProto.FLOAT
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", weights.name), ("offset", start), ("length", stop - start)):
            item = tensor.external_data.add()
            item.key, item.value = key, str(value)
        if half:
            casts.append(helper.make_node("Cast", [tensor.name], [name], f"{name}.cast", to=TensorProto.FLOAT))
    if inline > INLINE_LIMIT:
        raise ModelError(f"{inline} bytes of the graph's constants are not in {weights.name}")
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(casts + nodes)


def describe(model: onnx.ModelProto, info: ModelInfo, settings: GraphSettings, name: str, digest: str) -> None:
    """Write the metadata that a streamseg engine reads."""
    facts = {
        "format": "1",
        "name": name,
        "classes": json.dumps(list(info.classes)),
        "category_ids": json.dumps(list(info.category_ids)),
        "score_threshold": str(settings.score_threshold),
        "detections": str(settings.detections),
        "proposals": str(settings.proposals),
        "precision": "fp32",
        "weights_sha256": digest,
    }
    del model.metadata_props[:]
    helper.set_model_props(model, {f"streamseg.{key}": value for key, value in facts.items()})
    for node in model.graph.node:  # the exporter's notes name files of the machine it ran on
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*model.graph.initializer, *model.graph.value_info, *model.graph.input, *model.graph.output):
        del value.metadata_props[:]
    del model.graph.metadata_props[:]
    model.producer_name, model.doc_string, model.graph.doc_string = "streamseg", "", ""


def export_model(
    weights: Path,
    folder: Path,
    sizes: Sequence[tuple[int, int]],
    settings: GraphSettings | None = None,
    name: str = "lite",
    dynamic_batch: bool = True,
) -> list[Path]:
    """Write `name`.safetensors and `name`-HxW.onnx for each (H, W) into `folder`; returns the graphs' paths."""
    model, info = load_weights(weights)
    folder.mkdir(parents=True, exist_ok=True)
    shared = folder / f"{name}.safetensors"
    if weights.resolve() != shared.resolve():
        shutil.copyfile(weights, shared)
    digest = hashlib.sha256(shared.read_bytes()).hexdigest()
    written = []
    for height, width in sizes:
        chosen = replace(settings or GraphSettings(), height=height, width=width)
        proto = to_onnx(InferenceGraph(model, chosen), dynamic_batch)
        share_weights(proto, shared)
        describe(proto, info, chosen, name, digest)
        path = folder / f"{name}-{height}x{width}.onnx"
        path.write_bytes(proto.SerializeToString())
        written.append(path)
    return written


def main(argv: Sequence[str] | None = None) -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description="Export a weights file to ONNX graphs.")
    parser.add_argument("--weights", required=True, type=Path)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--name", default="lite")
    parser.add_argument("--size", action="append", metavar="HxW", help="e.g. 320x576; may be repeated")
    parser.add_argument("--proposals", type=int, default=GraphSettings().proposals)
    parser.add_argument("--detections", type=int, default=GraphSettings().detections)
    parser.add_argument("--fixed-batch", action="store_true", help="batch 1 only, not a symbolic batch")
    options = parser.parse_args(argv)
    sizes = [(int(h), int(w)) for h, _, w in (s.partition("x") for s in options.size or ["320x576"])]
    settings = GraphSettings(proposals=options.proposals, detections=options.detections)
    for path in export_model(options.weights, options.out, sizes, settings, options.name, not options.fixed_batch):
        print(path)


if __name__ == "__main__":
    try:
        main()
    except StreamsegError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
