"""A model repository for NVIDIA's Triton Inference Server: our graph as it is, beside it what the server has to know.

    MODELS/lite/config.pbtxt
    MODELS/lite/1/model.onnx        (and the weights beside it that it refers to)

The graph takes uint8 pictures and has no operators of its own, so that neither an ensemble nor a backend of ours is needed. Format
of the file: Triton's ModelConfig (triton-inference-server/common, protobuf/model_config.proto), as text.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from streamseg.core.served import WIRE_TYPES
from streamseg.errors import ModelError, OutputError, OutputExists
from streamseg.hub.graph_file import TensorInfo
from streamseg.hub.graph_spec import GraphSpec

__all__ = ["MOST", "config_text", "write_repository"]

MOST = 8
"""Pictures that the server puts together at most, where a graph takes any number."""
_DELAY = 2000
"""Microseconds for which it waits for others."""
_NAME = re.compile(r"[^A-Za-z0-9_.-]+")


def write_repository(
    spec: GraphSpec, repository: Path, *, name: str | None = None, most: int = MOST, overwrite: bool = False
) -> Path:
    """Add a model to a repository, whole or not at all; gives its folder. `name`: what the server calls it, else the model's.

    Raises OutputExists for a model of that name, OutputError where it cannot be written, ModelError for a graph that the server's
    ONNX Runtime could not run.
    """
    if spec.plugins:
        raise ModelError(f"{spec.called} needs TensorRT's plug-ins ({', '.join(spec.plugins)}); Triton's ONNX Runtime has none")
    called = _NAME.sub("-", name or spec.name)
    folder = repository / called
    if folder.exists() and not overwrite:
        raise OutputExists(f"{folder}: already exists; pass --overwrite to replace it, or give the model another name")
    try:
        repository.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=repository, prefix=f".{called}.") as scratch:
            made = Path(scratch) / called
            (made / "1").mkdir(parents=True)
            shutil.copyfile(spec.path, made / "1" / "model.onnx")
            for weights in spec.weights:
                shutil.copyfile(weights, made / "1" / weights.name)
            (made / "config.pbtxt").write_text(config_text(spec, called, most), "utf-8")
            if folder.exists():
                folder.rename(Path(scratch) / "before")
            made.rename(folder)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written: {error.strerror or error}") from error
    return folder


def config_text(spec: GraphSpec, name: str, most: int = MOST) -> str:
    """`config.pbtxt` of a graph."""
    several = spec.batch == 0
    lines = [f"name: {_text(name)}", 'platform: "onnxruntime_onnx"', f"max_batch_size: {most if several else 0}"]
    images = TensorInfo("uint8", (spec.batch, spec.height, spec.width, 3))
    lines += _tensor("input", "images", images, several)
    for output, info in spec.outputs.items():
        lines += _tensor("output", output, info, several)
    if several and most > 1:
        lines.append(f"dynamic_batching {{ max_queue_delay_microseconds: {_DELAY} }}")
    lines.append("instance_group [ { kind: KIND_AUTO count: 1 } ]")
    lines += [
        "# On an NVIDIA GPU its ONNX Runtime can hand the graph to TensorRT; the first start then takes minutes:",
        '# optimization { execution_accelerators { gpu_execution_accelerator: [ { name: "tensorrt" } ] } }',
    ]
    for key, value in _told(spec):
        lines.append(f"parameters {{ key: {_text(key)} value: {{ string_value: {_text(value)} }} }}")
    return "\n".join(lines) + "\n"


def _told(spec: GraphSpec) -> Iterator[tuple[str, str]]:
    """What a client has to know of the answers, and which graph this is."""
    yield "streamseg.sha256", spec.sha256
    yield "streamseg.family", spec.family
    yield "streamseg.precision", spec.precision
    yield "streamseg.classes", json.dumps(list(spec.classes), ensure_ascii=True)


def _tensor(kind: str, name: str, info: TensorInfo, several: bool) -> list[str]:
    """An input or output; where the server batches, without the axis of the pictures. A length that only an answer tells is -1."""
    shape = info.shape[1:] if several else info.shape
    dims = ", ".join(str(length or -1) for length in shape)
    return [f"{kind} [ {{ name: {_text(name)} data_type: TYPE_{WIRE_TYPES[info.dtype]} dims: [ {dims} ] }} ]"]


def _text(value: str) -> str:
    """As protobuf's text format has strings: JSON's escapes of ASCII are understood there, but for those of other letters."""
    return json.dumps(value, ensure_ascii=False)
