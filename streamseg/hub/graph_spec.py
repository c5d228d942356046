"""GraphSpec: what a model file promises, checked against the contract before an engine sees it.

A streamseg model is one ONNX graph of fixed size: `images` uint8 [B, H, W, 3] RGB in, any number of named tensors [B, ...] out.
What these mean, and whether something here can read them, is known to `streamseg.detect.heads`. Other people's files become such
graphs by `hub.adapt`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_args

from streamseg.core.parts import FULL
from streamseg.errors import ModelError
from streamseg.errors.describe import brief
from streamseg.hub.graph_file import ELEMENT_TYPES, GraphFile, TensorInfo, external_paths, parse_graph
from streamseg.pixels.letterbox import PADDING, FitMode

__all__ = ["FAMILY", "GraphSpec", "digests", "read_bytes", "read_spec"]

FAMILY = "mask-rcnn"
"""The family of our own models, whose graphs name none."""

FORMAT = "1"
_HOW = "streamseg reads models made by its own export; see `streamseg models` for those it brings"
_OUTPUT_TYPES = frozenset(ELEMENT_TYPES.values()) - {"bfloat16"}  # numpy has none
_LAST_OPSET = 1000  # ONNX has about one a year
T = TypeVar("T", bound=list[Any] | dict[str, Any])
_MAX_BYTES = 2 << 30  # the largest message protobuf allows


@dataclass(frozen=True, slots=True)
class GraphSpec:
    """What a checked model file takes and gives."""

    name: str
    height: int
    """Pixels of the input."""
    width: int
    batch: int
    """Images that one run takes; 0 = any number."""
    outputs: Mapping[str, TensorInfo] = field(hash=False)
    """What it gives, by name: [B, ...]. Axes but the first of no fixed length (0) has only the graph of a foreign file."""
    classes: tuple[str, ...]
    """Names in the order of the labels."""
    category_ids: tuple[int, ...]
    """COCO category ids in the same order."""
    precision: str
    """Of the graph's types, as its export states ("fp32", "fp16", "int8"); "mixed" for a foreign one that has several."""
    score_threshold: float
    """Lowest score that the graph lets through."""
    path: Path
    sha256: str
    """Of the file, followed by its external data files in the order of their names; hexadecimal."""
    weights: tuple[Path, ...] = ()
    """External data files, in the order of their names."""
    conf: float = 0.5
    """Score from which its detections are worth showing, where nobody says another."""
    family: str = FAMILY
    """Name of the head that reads its answers."""
    fit: FitMode = "letterbox"
    """How a frame is brought to the size of the input."""
    padding: int = PADDING
    """Code, 0 to 255, of what the frame does not cover."""
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """What the head needs besides: numbers, words, truth values or lists of them."""
    source: str = ""
    """Name of the file that somebody else made and the graph was made of; empty: it is its own."""
    part: str = FULL
    """What of a network of ours it computes (core.parts)."""
    plugins: tuple[str, ...] = ()
    """Operators that TensorRT alone has, as plug-ins; no other engine runs the graph."""

    @property
    def called(self) -> str:
        """What messages call it: the file that a person gave, not what lies in a cache."""
        return self.source or str(self.path)

    @property
    def file_name(self) -> str:
        """The same without its folder."""
        return self.source or self.path.name

    @property
    def free_rows(self) -> tuple[str, ...]:
        """The outputs with an axis, besides the batch's, whose length only an answer tells. TensorRT has no engine for these."""
        return tuple(name for name, info in self.outputs.items() if 0 in info.shape[1:])

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the input."""
        return self.height, self.width


def read_spec(path: Path) -> GraphSpec:
    """Read and check a model file without running it.

    Raises ModelError, saying what was found and what is expected, if it is missing, damaged, not a streamseg graph, or refers to
    weights outside of its folder or to other weights than it was exported with.
    """
    data = read_bytes(path)
    graph = parse_graph(data, str(path))
    meta = graph.metadata
    if "streamseg.format" not in meta:
        raise ModelError(f"{path} is an ONNX model, but not one of streamseg's (no streamseg.format in its metadata): {_HOW}")
    if meta["streamseg.format"] != FORMAT:
        raise ModelError(
            f"{path} is of format {meta['streamseg.format']!r}; this version reads {FORMAT!r}: export it again or upgrade streamseg"
        )
    if graph.unknown:
        raise ModelError(f"{path} needs operators of its own ({', '.join(graph.unknown)}), which no engine here has: {_HOW}")
    strange = {domain or "ai.onnx": version for domain, version in graph.opsets.items() if version > _LAST_OPSET}
    if strange:  # OpenVINO counts down from there to the last that it knows
        raise ModelError(f"{path} names versions of operators that there are not ({strange}): it is damaged; {_HOW}")
    classes = _classes(meta, path)
    fit, padding = _fit(meta, path)
    batch, height, width = _check_shapes(graph, path)
    weights = external_paths(graph, path)
    return GraphSpec(
        name=meta.get("streamseg.name") or path.stem,
        height=height,
        width=width,
        batch=batch,
        outputs=graph.outputs,
        classes=classes,
        category_ids=_category_ids(meta, len(classes), path),
        precision=meta.get("streamseg.precision", "unknown"),
        score_threshold=_score(meta, "score_threshold", "0", path),
        conf=_score(meta, "conf", "0.5", path),
        path=path,
        sha256=_digest(data, weights, meta.get("streamseg.weights_sha256", ""), path),
        weights=weights,
        family=meta.get("streamseg.family", FAMILY),
        fit=fit,
        padding=padding,
        options=_json(meta, "streamseg.options", path, dict) if "streamseg.options" in meta else {},
        source=meta.get("streamseg.source", ""),
        part=meta.get("streamseg.part", FULL),
        plugins=graph.plugins,
    )


def read_bytes(path: Path) -> bytes:
    """The bytes of an .onnx file. Raises ModelError where it cannot be read, or is larger than any."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ModelError(f"{path} is larger than 2 GiB: no ONNX file is")
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read the model {path}: {error.strerror}") from error


def _check_shapes(graph: GraphFile, path: Path) -> tuple[int, int, int]:
    """(batch, H, W), after checking every input and output."""
    images = graph.inputs.get("images", TensorInfo("", ()))
    fixed = len(images.shape) == 4 and images.shape[3] == 3 and min(images.shape[1:3]) > 0
    if list(graph.inputs) != ["images"] or images.dtype != "uint8" or not fixed:
        raise ModelError(
            f"{path} takes {_show(graph.inputs)}; expected only images: uint8 [B, H, W, 3] with fixed H and W. {_HOW}"
        )
    batch, height, width, _ = images.shape
    free = "streamseg.family" in graph.metadata  # what a foreign file was made into
    if not graph.outputs or not all(_readable(info, batch, free) for info in graph.outputs.values()):
        raise ModelError(
            f"{path} gives {_show(graph.outputs)}; expected tensors [{batch or 'any'}, ...] of numbers, every axis but the first "
            f"of fixed length. {_HOW}"
        )
    return batch, height, width


def _readable(info: TensorInfo, batch: int, free: bool) -> bool:
    return info.dtype in _OUTPUT_TYPES and info.shape[:1] == (batch,) and min(info.shape[1:], default=1) > (-1 if free else 0)


def _show(tensors: dict[str, TensorInfo]) -> str:
    return ", ".join(f"{name}: {info}" for name, info in tensors.items()) or "nothing"


def _classes(meta: dict[str, str], path: Path) -> tuple[str, ...]:
    names = _json_list(meta, "streamseg.classes", path)
    if not names or not all(isinstance(n, str) and n for n in names) or len(set(names)) != len(names):
        raise ModelError(f"{path}: streamseg.classes must be a JSON list of different names, not {meta['streamseg.classes']!r}")
    return tuple(str(n) for n in names)


def _category_ids(meta: dict[str, str], count: int, path: Path) -> tuple[int, ...]:
    ids = _json_list(meta, "streamseg.category_ids", path)
    if len(ids) != count or not all(isinstance(i, int) for i in ids):
        raise ModelError(f"{path}: streamseg.category_ids must be {count} integers, one a class, not {ids!r}")
    return tuple(int(str(i)) for i in ids)


def _fit(meta: dict[str, str], path: Path) -> tuple[FitMode, int]:
    """How a frame is fitted, and the code around it."""
    named, code = meta.get("streamseg.fit", "letterbox"), meta.get("streamseg.padding", str(PADDING))
    modes: tuple[FitMode, ...] = get_args(FitMode)
    found = [mode for mode in modes if mode == named]
    if not found or not (code.isascii() and code.isdigit() and int(code) <= 255):
        raise ModelError(
            f"{path}: streamseg.fit and streamseg.padding in its metadata are {named!r} and {code!r}; allowed: {', '.join(modes)}, "
            "and 0 to 255"
        )
    return found[0], int(code)


def _json_list(meta: dict[str, str], key: str, path: Path) -> list[object]:
    return _json(meta, key, path, list)


def _json(meta: dict[str, str], key: str, path: Path, kind: type[T]) -> T:
    what = "list" if kind is list else "object"
    try:
        value = json.loads(meta.get(key, ""))
    except (ValueError, RecursionError) as error:
        raise ModelError(
            f"{path}: {key} in its metadata is {brief(meta.get(key))}, expected a JSON {what}: export it again"
        ) from error
    if not isinstance(value, kind):
        raise ModelError(f"{path}: {key} in its metadata is {brief(value)}, expected a JSON {what}: export it again")
    return value


def _score(meta: dict[str, str], key: str, usual: str, path: Path) -> float:
    text = meta.get(f"streamseg.{key}", usual)
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1:
        raise ModelError(f"{path}: streamseg.{key} in its metadata is {text!r}, expected a number in [0, 1)")
    return value


def digests(data: bytes, weights: Sequence[Path]) -> tuple[str, str]:
    """sha256 of a model file's bytes followed by its external data files, and of these alone (empty: there are none)."""
    whole, alone = hashlib.sha256(data), hashlib.sha256()
    for path in weights:
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                whole.update(chunk)
                alone.update(chunk)
    return whole.hexdigest(), alone.hexdigest() if weights else ""


def _digest(data: bytes, weights: tuple[Path, ...], stated: str, path: Path) -> str:
    """Of all files together. The graph points at bytes of its weights file by offset: those of another would compute nonsense."""
    whole, alone = digests(data, weights)
    if weights and alone != stated:
        names = ", ".join(file.name for file in weights)
        raise ModelError(
            f"the weights in {names} are not those that {path} was exported with (sha256 {alone[:12]}…, expected "
            f"{stated[:12] or 'none stated'}…): they are damaged or of another version; fetch or export both again"
        )
    return whole
