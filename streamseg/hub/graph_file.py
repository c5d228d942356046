"""What an ONNX file says about itself, read without the onnx package and before any runtime has touched the file.

Only the few protobuf fields that decide whether a file is one of ours, and whether it is safe to hand to a runtime, are read: the
metadata, the declared inputs and outputs, the operators and the names of external data files. Field numbers are those of
onnx.proto3 (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from streamseg.errors import ModelError
from streamseg.hub.other_formats import looks_like
from streamseg.hub.protobuf import fields, message_of, numbers_of, text_of, texts_of

__all__ = ["ExternalData", "GraphFile", "TensorInfo", "parse_graph"]

ELEMENT_TYPES = {
    1: "float32",
    2: "uint8",
    3: "int8",
    6: "int32",
    7: "int64",
    9: "bool",
    10: "float16",
    11: "float64",
    16: "bfloat16",
}
_MAX_NESTING = 8


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """A declared input or output."""

    dtype: str
    """"float32", "uint8", ... or "type 12" for one we have no name for."""
    shape: tuple[int, ...]
    """0 stands for an axis of any length."""

    def __str__(self) -> str:
        return f"{self.dtype} [{', '.join(str(n or 'any') for n in self.shape)}]"


@dataclass(frozen=True, slots=True)
class ExternalData:
    """Where a tensor kept outside of the file lies; `location` as written in the file, unchecked."""

    location: str
    offset: int
    length: int


@dataclass(slots=True)
class GraphFile:
    """The parts of an ONNX file that are looked at."""

    metadata: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, TensorInfo] = field(default_factory=dict)
    outputs: dict[str, TensorInfo] = field(default_factory=dict)
    operators: set[str] = field(default_factory=set)
    """"Conv", or "domain::Name" for one that is not of ONNX's own domain; those within subgraphs and functions too."""
    external: set[ExternalData] = field(default_factory=set)
    opsets: dict[str, int] = field(default_factory=dict)
    """Version of the operators of each domain; ONNX's own is "" here."""
    producer: str = ""
    """What wrote the file, as it says ("pytorch", "tf2onnx")."""
    weights: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Shapes of its constants by name: torch keeps a layer's, so that a bias may tell how many labels there are."""
    made_by: dict[str, str] = field(default_factory=dict)
    """Each tensor outside of subgraphs → the operator that gives it: a score that a Sigmoid gives needs none of ours."""
    made_from: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Each tensor outside of subgraphs → what that operator takes, in its order."""

    @property
    def plugins(self) -> tuple[str, ...]:
        """Operators that TensorRT brings as plug-ins ("EfficientNMS_TRT"), whichever domain an exporter put them in."""
        return tuple(sorted({op.rpartition("::")[2] for op in self.operators if op.endswith("_TRT")}))

    @property
    def unknown(self) -> tuple[str, ...]:
        """Operators of a domain of their own that nothing here runs."""
        return tuple(sorted(op for op in self.operators if "::" in op and not op.endswith("_TRT")))


def parse_graph(data: bytes, name: str) -> GraphFile:
    """Read an ONNX file's bytes; `name` is for the message.

    Raises ModelError if they are not an ONNX model.
    """
    result = GraphFile()
    initializers: set[str] = set()
    graphs, functions = 0, set[str]()
    try:
        for number, value in fields(memoryview(data)):
            if number == 2:
                result.producer = text_of(value)
            elif number == 7:
                graphs += 1
                _read_graph(message_of(value), result, initializers, depth=0)
            elif number == 8:
                domain, version = _opset(message_of(value))
                result.opsets[domain] = version
            elif number == 14:
                key, text = texts_of(message_of(value), 1, 2)
                result.metadata[key] = text
            elif number == 25:
                functions.add(_read_function(message_of(value), result))
    except (ValueError, IndexError) as error:
        what = looks_like(data)
        raise ModelError(f"{name} is not an ONNX file{f': {what}' if what else f', or is damaged: {error}'}") from error
    if graphs != 1:
        what = looks_like(data) or f"it holds {graphs} graphs instead of one"
        raise ModelError(f"{name} is not an ONNX file: {what}")
    result.operators -= functions
    for initializer in initializers:  # before IR version 4 every initializer was an input too
        result.inputs.pop(initializer, None)
    return result


def _read_graph(graph: memoryview, result: GraphFile, initializers: set[str], depth: int) -> None:
    if depth > _MAX_NESTING:
        raise ValueError(f"graphs nested deeper than {_MAX_NESTING}")
    for number, value in fields(graph):
        if number == 1:
            _read_node(message_of(value), result, depth)
        elif number == 5:
            initializers.add(_read_tensor(message_of(value), result, keep=depth == 0))
        elif number in (11, 12) and depth == 0:
            key, info = _value_info(message_of(value))
            (result.inputs if number == 11 else result.outputs)[key] = info
        elif number == 15:  # a sparse initializer: its values and its indices are tensors
            for part, tensor in fields(message_of(value)):
                if part in (1, 2):
                    _read_tensor(message_of(tensor), result)


def _read_node(node: memoryview, result: GraphFile, depth: int) -> None:
    operator, domain, takes, gives = "", "", [], []
    for number, value in fields(node):
        if number == 1 and depth == 0:
            takes.append(bytes(message_of(value)).decode("utf-8", "replace"))  # a name that is none is for the engine to refuse
        elif number == 2 and depth == 0:
            gives.append(text_of(value))
        elif number == 4:
            operator = text_of(value)
        elif number == 7:
            domain = text_of(value)
        elif number == 5:
            for part, inner in fields(message_of(value)):
                if part in (5, 10):
                    _read_tensor(message_of(inner), result)
                elif part in (6, 11):
                    _read_graph(message_of(inner), result, set(), depth + 1)
    name = operator if domain in ("", "ai.onnx") else f"{domain}::{operator}"
    result.operators.add(name)
    result.made_by.update(dict.fromkeys(gives, name))
    result.made_from.update(dict.fromkeys(gives, tuple(takes)))


def _read_function(function: memoryview, result: GraphFile) -> str:
    """What the file defines itself, as "domain::Name"; what that is made of counts."""
    name, domain = "", ""
    for number, value in fields(function):
        if number == 1:
            name = text_of(value)
        elif number == 7:
            _read_node(message_of(value), result, depth=1)
        elif number == 10:
            domain = text_of(value)
    return f"{domain}::{name}"


def _read_tensor(tensor: memoryview, result: GraphFile, *, keep: bool = False) -> str:
    name, entries, external = "", {}, False
    shape: list[int] = []
    for number, value in fields(tensor):
        if number == 1:
            shape += numbers_of(value)
        elif number == 8:
            name = text_of(value)
        elif number == 13:
            key, text = texts_of(message_of(value), 1, 2)
            entries[key] = text
        elif number == 14:
            external = value == 1
    if external or entries:
        numbers = int(entries.get("offset", "0")), int(entries.get("length", "0"))
        result.external.add(ExternalData(entries.get("location", ""), *numbers))
    if keep:
        result.weights[name] = tuple(shape)
    return name


def _value_info(info: memoryview) -> tuple[str, TensorInfo]:
    name, dtype, shape = "", "", []
    for number, value in fields(info):
        if number == 1:
            name = text_of(value)
        elif number == 2:
            for part, tensor_type in fields(message_of(value)):
                if part != 1:
                    dtype = "not a tensor"
                    continue
                for piece, inner in fields(message_of(tensor_type)):
                    if piece == 1:
                        dtype = ELEMENT_TYPES.get(int(inner), f"type {inner!r}") if isinstance(inner, int) else ""
                    elif piece == 2:
                        shape = [_dimension(message_of(d)) for n, d in fields(message_of(inner)) if n == 1]
    return name, TensorInfo(dtype, tuple(shape))


def _dimension(dimension: memoryview) -> int:
    for number, value in fields(dimension):
        if number == 1 and isinstance(value, int):
            return value
    return 0


def _opset(entry: memoryview) -> tuple[str, int]:
    domain, version = "", 0
    for number, value in fields(entry):
        if number == 1:
            domain = text_of(value)
        elif number == 2 and isinstance(value, int):
            version = value
    return "" if domain == "ai.onnx" else domain, version


def external_paths(graph: GraphFile, model: Path) -> tuple[Path, ...]:
    """The external data files of `graph`, in name order, each checked to be a plain file beside the model and long enough.

    A graph may name any path as the home of its weights, and runtimes follow it: `../`, absolute paths and links that lead out of
    the model's folder are refused, so that a model file cannot make us read others. Raises ModelError.
    """
    folder = model.parent.resolve()
    needed: dict[str, int] = {}
    for data in graph.external:
        needed[data.location] = max(needed.get(data.location, 0), data.offset + data.length)
    paths = []
    for location, size in sorted(needed.items()):
        if location in ("", ".", "..") or "/" in location or "\\" in location or "\0" in location:
            raise ModelError(
                f"{model} keeps weights in {location!r}: only a plain file name in the model's own folder is allowed"
            )
        path = (folder / location).resolve()
        if path.parent != folder:
            raise ModelError(f"{model} keeps weights in {location!r}, a link that leads out of the model's folder: refused")
        if not path.is_file():
            raise ModelError(f"{model} keeps its weights in {location!r}, which is not in {folder}: put it beside the model")
        if path.stat().st_size < size:
            raise ModelError(f"{path} is cut short: {path.stat().st_size} bytes of at least {size}; fetch or export it again")
        paths.append(path)
    return tuple(paths)
