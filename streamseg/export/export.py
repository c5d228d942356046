"""Export: one plugin-free ONNX graph per input size and precision, all reading the same weights file.

`export_model(weights, folder, sizes)` writes `NAME.safetensors` once and `NAME-HxW.onnx` for each size, or
`NAME-HxW-fp16.onnx`, `NAME-HxW-int8.onnx`; of a part of the network (core.parts) `NAME-HxW-PART.onnx`. The graphs hold no weights:
each initializer is external data that points into the safetensors file, followed by a Cast where the graph has another type.
`python -m streamseg.export.export --weights FILE --out FOLDER` does the same.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import shutil
import sys
import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import onnx
import torch
from onnxscript.optimizer import fold_constants, remove_unused_nodes
from safetensors import safe_open
from torchvision.models.detection import MaskRCNN

from streamseg.core.parts import FULL, OBJECT, PARTS, graph_name, knows_classes
from streamseg.core.sizes import read_size
from streamseg.errors import ConfigError, ModelError, StreamsegError
from streamseg.export.calibration import calibration_pictures
from streamseg.export.graph import OUTPUTS, GraphSettings, InferenceGraph
from streamseg.export.half import halve, without_batch_norm
from streamseg.export.onnx_file import FORBIDDEN, check_ops, drop_cast_pairs, share_weights, slim, write_facts
from streamseg.export.quantize import quantize
from streamseg.networks.weights import WeightsInfo, load_weights, save_weights
from streamseg.system.callbacks import Message

__all__ = ["FORBIDDEN", "OPSET", "OUTPUTS", "PRECISIONS", "check_ops", "export_model", "to_onnx"]

OPSET = 20
PRECISIONS = ("fp32", "fp16", "int8")


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
            output_names=list(graph.outputs),
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
        # And no tables: that of which box of 200 comes before which would be a fifth of the graph's file.
        fold_constants(program.model, input_size_limit=4096, output_size_limit=8192)
        remove_unused_nodes(program.model)
    model = program.model_proto
    check_ops(model)
    return model


def facts_of(info: WeightsInfo, settings: GraphSettings, name: str, precision: str, digest: str) -> dict[str, str]:
    """What a graph says about itself; `digest` is the sha256 of its weights file."""
    known = knows_classes(settings.part)
    return {
        "format": "1",
        "name": name if settings.part == FULL else f"{name}-{settings.part}",
        "part": settings.part,
        "classes": json.dumps(list(info.classes) if known else [OBJECT]),
        "category_ids": json.dumps(list(info.category_ids) if known else [1]),
        "score_threshold": str(info.score_threshold),
        "conf": str(info.conf),
        "detections": str(settings.detections),
        "proposals": str(settings.proposals),
        "precision": precision,
        "weights_sha256": digest,
    }


def export_model(
    weights: Path,
    folder: Path,
    sizes: Sequence[tuple[int, int]],
    settings: GraphSettings | None = None,
    name: str = "lite",
    dynamic_batch: bool = True,
    precision: str = "fp32",
    calibration: Sequence[str | Path] = (),
    on_message: Message | None = None,
) -> list[Path]:
    """Write the graph of each size (H, W) into `folder`, and beside them the weights they read; returns the graphs' paths.

    `precision` is fp32, fp16 or int8, which needs extra `onnx` and is calibrated with frames of the sources `calibration`: what
    `streamseg run` takes; none: the sample clips, where they are. `on_message` is told which layers int8 leaves in float32.

    Raises ConfigError (a size or precision that cannot be, nothing to calibrate with), ModelError (weights that cannot be read or
    exported), MissingExtra, or the error of a source that cannot be read.
    """
    if precision not in PRECISIONS:
        raise ConfigError(f"precision is {precision!r}; allowed: {', '.join(PRECISIONS)}")
    model, info = load_weights(weights)
    folder.mkdir(parents=True, exist_ok=True)
    shared = _place_weights(weights, model, info, folder, name, precision)
    digest = hashlib.sha256(shared.read_bytes()).hexdigest()
    written = []
    for height, width in sizes:
        chosen = replace(settings or GraphSettings(), height=height, width=width)
        proto = _make(model, chosen, dynamic_batch, precision, calibration, on_message or (lambda _: None))
        share_weights(proto, shared)
        slim(proto)
        write_facts(proto, facts_of(info, chosen, name, precision, digest))
        path = folder / graph_name(name, (height, width), chosen.part, precision)
        path.write_bytes(proto.SerializeToString())
        written.append(path)
    return written


def _make(
    model: MaskRCNN,
    settings: GraphSettings,
    dynamic_batch: bool,
    precision: str,
    calibration: Sequence[str | Path],
    on_message: Message,
) -> onnx.ModelProto:
    if precision == "fp32":
        return to_onnx(InferenceGraph(model, settings), dynamic_batch)
    if precision == "fp16":
        proto = to_onnx(InferenceGraph(halve(model), settings), dynamic_batch)
        drop_cast_pairs(proto)
        return proto
    pictures = calibration_pictures(calibration, (settings.height, settings.width))
    proto = to_onnx(InferenceGraph(without_batch_norm(model), settings), dynamic_batch)
    left = quantize(proto, pictures)
    on_message(f"int8, but for these layers, which stay float32: {', '.join(left) or 'none'}")
    return proto


def _place_weights(weights: Path, model: MaskRCNN, info: WeightsInfo, folder: Path, name: str, precision: str) -> Path:
    """The weights file that the graphs read: the given one; for float16 graphs of float32 weights, one of half the size."""
    if precision == "fp16" and not _is_half(weights):
        shared = folder / f"{name}-fp16.safetensors"
        save_weights(model, info, shared)
        return shared
    shared = folder / f"{name}.safetensors"
    if weights.resolve() != shared.resolve():
        shutil.copyfile(weights, shared)
    return shared


def _is_half(weights: Path) -> bool:
    with safe_open(weights, "pt") as file:
        return any(file.get_slice(key).get_dtype() == "F16" for key in file.keys())  # noqa: SIM118 - not a mapping


def main(argv: Sequence[str] | None = None) -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description="Export a weights file to ONNX graphs.")
    parser.add_argument("--weights", required=True, type=Path)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--name", default="lite")
    parser.add_argument("--size", action="append", type=read_size, metavar="HxW", help="e.g. 320x576; may be repeated")
    parser.add_argument("--proposals", type=int, default=GraphSettings().proposals)
    parser.add_argument("--detections", type=int, default=GraphSettings().detections)
    parser.add_argument("--part", default=FULL, choices=PARTS)
    parser.add_argument("--precision", default="fp32", choices=PRECISIONS)
    parser.add_argument(
        "--calibrate", action="append", metavar="SOURCE", help="int8: a video or a folder of photos; repeatable"
    )
    parser.add_argument("--fixed-batch", action="store_true", help="batch 1 only, not a symbolic batch")
    options = parser.parse_args(argv)
    sizes = options.size or [(320, 576)]
    settings = GraphSettings(proposals=options.proposals, detections=options.detections, part=options.part)
    dynamic = not options.fixed_batch
    sources = options.calibrate or ()
    say = partial(print, file=sys.stderr)
    for path in export_model(
        options.weights, options.out, sizes, settings, options.name, dynamic, options.precision, sources, say
    ):
        print(path)


if __name__ == "__main__":
    try:
        main()
    except StreamsegError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
