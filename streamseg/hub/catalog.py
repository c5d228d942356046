"""Models by name: those that streamseg brings, those in the user's folder, and their graphs at any size.

engines/NAME/   NAME-HxW.onnx, NAME.safetensors          within the installation
MODELS/NAME/    the same, and NAME.json with its origin  what the user pulled or imported (`folders.models_root`);
                or NAME.onnx and NAME.yaml               somebody else's file and its description (`hub.foreign`)
CACHE/graphs/   graphs exported from either when they were first needed (`hub.on_demand`)
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Literal

from streamseg.core.parts import FULL, flags_of, graph_name
from streamseg.errors import ConfigError, MissingExtra, ModelError
from streamseg.errors.describe import brief
from streamseg.hub.foreign import Foreign, OnnxFile, adapted, understand
from streamseg.hub.graph_spec import read_spec
from streamseg.hub.on_demand import default_size, export_once, exported
from streamseg.hub.other_formats import refuse_other_format
from streamseg.hub.pretrained import PRETRAINED
from streamseg.hub.weights_file import read_header
from streamseg.system import resources
from streamseg.system.callbacks import Message
from streamseg.system.folders import models_root

__all__ = [
    "DEFAULT_MODEL",
    "DEFAULT_SIZE",
    "Model",
    "ModelInfo",
    "describe",
    "extreme_size",
    "find",
    "in_precision",
    "installed",
    "is_name",
    "resolve",
    "resolve_foreign",
    "shipped",
]

DEFAULT_MODEL = "lite"
DEFAULT_SIZE = (320, 576)
"""(H, W) used if no size is asked for. A 16:9 picture fills all of it but 4 rows."""

Size = tuple[int, int]

_FILE = re.compile(r"(?P<name>[a-z0-9][a-z0-9_-]*)-(?P<height>\d+)x(?P<width>\d+)(?P<kind>-fp16|-int8)?\.onnx")


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A shipped model file."""

    name: str
    size: Size
    """(H, W) of the input."""
    classes: tuple[str, ...]
    bytes: int
    """Of the file and its weights (which sizes of one model may share)."""
    sha256: str
    path: Path
    origin: str
    """"wheel" or "checkout"."""
    default: bool
    """Taken where neither a model nor a size is asked for."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model that is here, by its name."""

    name: str
    folder: Path
    shipped: bool
    """It came with streamseg; otherwise the user brought it."""
    graphs: dict[Size, Path] = field(default_factory=dict)
    """The graphs beside its weights, by (H, W) of their input."""
    weights: Path | None = None
    """Weights from which graphs of other sizes can be exported."""
    foreign: Path | None = None
    """Somebody else's ONNX file, which is adapted when it is run."""

    def about(self) -> dict[str, str]:
        """Where it is from, as noted when it was pulled or imported: `origin`, `licence`, ...; nothing for a shipped one."""
        try:
            notes = json.loads((self.folder / f"{self.name}.json").read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return {str(key): str(value) for key, value in notes.items()} if isinstance(notes, dict) else {}


def _models_in(root: Path, shipped: bool) -> dict[str, Model]:
    found: dict[str, Model] = {}
    for path in sorted((*root.glob("*/*.onnx"), *root.glob("*/*.safetensors"))):
        name, match = path.parent.name, _FILE.fullmatch(path.name)
        if path.name == f"{name}.onnx" and not shipped:
            found[name] = Model(name, path.parent, shipped, foreign=path)
            continue
        if path.name != f"{name}.safetensors" and (match is None or match["name"] != name):
            continue
        model = found.get(name, Model(name, path.parent, shipped))
        if match is None:
            found[name] = Model(name, path.parent, shipped, model.graphs, path)
        else:
            size = int(match["height"]), int(match["width"])
            if match["kind"] is None or size not in model.graphs:  # of a size's graphs the fp32 one stands for all
                model.graphs[size] = path
            found[name] = model
    return found


def installed() -> dict[str, Model]:
    """Every model that is here, by name; a shipped one goes before one of the user's with its name."""
    return dict(
        sorted(
            (_models_in(models_root(), shipped=False) | _models_in(resources.shipped_folder("engines"), shipped=True)).items()
        )
    )


def shipped() -> list[Path]:
    """The paths of all shipped model files, by name, then by size, unread."""
    models = sorted(_models_in(resources.shipped_folder("engines"), shipped=True).items())
    return [path for _, model in models for _, path in sorted(model.graphs.items())]


def describe(path: Path) -> ModelInfo:
    """Read a model file in a folder of its name. Raises ModelError if it is damaged."""
    spec = read_spec(path)
    total = sum(file.stat().st_size for file in (path, *spec.weights))
    default = path.parent.name == DEFAULT_MODEL and spec.size == DEFAULT_SIZE
    origin = "wheel" if path.parents[2].name == "shipped" else "checkout"
    return ModelInfo(path.parent.name, spec.size, spec.classes, total, spec.sha256, path, origin, default)


def find(name: str) -> Model:
    """The model of that name. Raises ModelError, with what to do, if it is not here."""
    models = installed()
    if name in models:
        return models[name]
    if name in PRETRAINED:
        raise ModelError(f"the model {name!r} is not on this machine yet; fetch it: streamseg models pull {name}")
    known = ", ".join(models) or "none: this installation brings no model files"
    more = ", ".join(other for other in PRETRAINED if other not in models)
    raise ModelError(
        f"unknown model {brief(name)}; here: {known}"
        + (f"; to be fetched: {more}" if more else "")
        + ". Or give the path of an .onnx file"
    )


def resolve(
    model: str | PathLike[str],
    size: Size | None = None,
    *,
    precision: str = "fp32",
    family: str | None = None,
    part: str = FULL,
    on_message: Message | None = None,
) -> Path:
    """The file of a model: a name of `streamseg models`, or the path of an .onnx file, whose size is then its own.

    Somebody else's .onnx file is adapted, once, and the adapted file given (`hub.foreign`); `family` says what it is, where the
    file and its sidecar do not.

    A model whose weights are here is exported once at a size or in a precision that is not; `on_message` is told. Nothing is ever
    fetched. `precision` is that of a model by name; a file has its own. `part` is what of its network is computed (core.parts); a
    file computes what it does.

    Raises ModelError, with what there is, if there is no such name, size or file, ConfigError for a size that is not possible,
    MissingExtra (torch, for the export) or OutputError (no place to keep the graph).
    """
    return resolve_foreign(model, size, precision=precision, family=family, part=part, on_message=on_message)[0]


def resolve_foreign(
    model: str | PathLike[str],
    size: Size | None = None,
    *,
    precision: str = "fp32",
    family: str | None = None,
    part: str = FULL,
    on_message: Message | None = None,
) -> tuple[Path, Foreign | None]:
    """The file as `resolve` gives it, and, if it was made of somebody else's, what that is."""
    text = os.fspath(model)
    if is_name(model):
        found = find(text)
        if found.foreign is None:
            _refuse_family(family, text)
            return _of_ours(found, size, precision, part, on_message), None
        file, name = OnnxFile.read(found.foreign), text
    else:
        file, name = _explicit(Path(text)), Path(text).stem
        if file.ours:
            _refuse_family(family, text)
            _check_explicit(file, size, part)
            return file.path, None
    _refuse_head(part, text)
    known = understand(file, family, size=size, on_message=on_message)
    return adapted(known, size, on_message, name=name), known


def _of_ours(found: Model, size: Size | None, precision: str, part: str, on_message: Message | None) -> Path:
    """A graph of a model of our own, which may have to be exported."""
    size = size or _size_of(found)
    if size in found.graphs and (there := _beside(found.graphs[size], size, precision, part)).is_file():
        return there
    return _made(found, size, precision, part, on_message)


def _made(found: Model, size: Size, precision: str, part: str, on_message: Message | None) -> Path:
    """A graph that is not beside its weights, exported. Raises as `resolve` does."""
    text = found.name
    of = "" if part == FULL else f" of the part {part}"
    wanted = f"{_show(size)}{'' if precision == 'fp32' else f' in {precision}'}{of}"
    if found.weights is None:
        raise ModelError(
            f"the model {text!r} is not {'shipped' if found.shipped else 'here'} at {wanted}; there are: {_sizes(found)}. "
            "Others must be exported first"
        )
    if precision == "int8":  # on pictures of the user's: a graph calibrated on others would silently be worse
        raise ModelError(
            f"there is no int8 graph of {text!r} at {_show(size)}{of}; it must be calibrated on pictures like yours: streamseg "
            f"export {text} --size {_show(size)}{flags_of(part)} --precision int8 --calibrate VIDEO -o FOLDER; then give that file "
            "as the model"
        )
    try:
        return export_once(text, found.weights, size, precision, on_message, part)
    except MissingExtra as error:
        have = f" is here at {_sizes(found)}, and" if found.graphs else ""
        raise MissingExtra(
            f"the model {text!r}{have} must be exported to run at {wanted}; torch, which that needs,", "train"
        ) from error


def is_name(model: str | PathLike[str]) -> bool:
    """Whether `model` is a name of `streamseg models`, in which there is no dot, not a file's path."""
    text = os.fspath(model)
    return os.sep not in text and not Path(text).suffix


def in_precision(graph: Path, precision: str) -> Path | None:
    """The graph of that precision beside `graph`, which is one of a model by name; None: there is none."""
    stem = graph.stem.removesuffix("-fp16").removesuffix("-int8")
    beside = graph.with_name(f"{stem}{'' if precision == 'fp32' else f'-{precision}'}.onnx")
    found = graph if precision == "fp32" and not beside.is_file() else beside
    return found if found.is_file() else None


def _beside(graph: Path, size: Size, precision: str, part: str) -> Path:
    """The graph of that precision and part beside `graph`; for fp32 and the whole network this one, if there is no other."""
    beside = graph.with_name(graph_name(graph.parent.name, size, part, precision))
    return graph if precision == "fp32" and part == FULL and not beside.is_file() else beside


def ready_sizes(model: Model) -> list[Size]:
    """The sizes at which a model runs at once, without an export."""
    return sorted({*model.graphs, *(exported(model.name, model.weights) if model.weights else ())})


ENLARGED = 1.25
"""How much larger than it is a film may be made for the largest input: beyond, a network finds things in what is not there."""


def extreme_size(
    model: str | PathLike[str], which: Literal["largest", "smallest"], film: tuple[int, int] | None = None
) -> Size | None:
    """(H, W) of that graph that a model by name brings along; None: of a file, and of a model without, its own size.

    film: width and height of the pictures; the largest is then one that they fill, enlarged by no more than `ENLARGED`, or the
    smallest there is.
    """
    if not is_name(model):
        return None
    graphs = sorted(find(os.fspath(model)).graphs, key=lambda size: size[0] * size[1])
    if not graphs:
        return None
    if which == "smallest":
        return graphs[0]
    filled = [size for size in graphs if film is None or min(size[1] / film[0], size[0] / film[1]) <= ENLARGED]
    return (filled or graphs[:1])[-1]


def _size_of(model: Model) -> Size:
    """The size where none is asked for."""
    if model.graphs:
        return DEFAULT_SIZE if DEFAULT_SIZE in model.graphs else min(model.graphs)
    assert model.weights is not None
    return default_size(read_header(model.weights).network)


def _explicit(path: Path) -> OnnxFile:
    if not path.is_file():
        raise ModelError(f"there is no model file {path}; give the path of an .onnx file, or a name of `streamseg models`")
    refuse_other_format(path)
    if path.suffix != ".onnx":
        if path.suffix in (".pth", ".pt", ".safetensors"):
            raise ModelError(f"{path} is not an .onnx file; make it a model with a name: streamseg models import {path}")
        raise ModelError(f"{path} is no model: give an .onnx file, or a name that `streamseg models` lists")
    return OnnxFile.read(path)


def _check_explicit(file: OnnxFile, size: Size | None, part: str) -> None:
    """Raise ModelError where a graph of ours is asked for what it does not do."""
    path = file.path
    if size is not None and (own := read_spec(path).size) != size:
        raise ModelError(f"{path} takes {_show(own)}, not {_show(size)}: leave the size out, or export the model at that size")
    if part != FULL:
        computed = file.graph.metadata.get("streamseg.part", FULL)
        if computed != part:
            raise ModelError(
                f"{path} computes the part {computed}, and no other: leave --head out, or give the name of a model, of whose "
                f"weights such a graph can be made, or export one: streamseg export MODEL{flags_of(part)} -o FOLDER"
            )


def _refuse_head(part: str, model: str) -> None:
    if part != FULL:
        raise ConfigError(f"the model {model} is not one of streamseg's own, whose parts can be run alone: leave --head out")


def _refuse_family(family: str | None, model: str) -> None:
    if family is not None:
        raise ConfigError(
            f"the model {model} is one of streamseg's own, which say what they are: leave the family ({brief(family)}) out"
        )


def _sizes(model: Model) -> str:
    return ", ".join(_show(size) for size in sorted(model.graphs))


def _show(size: Size) -> str:
    return f"{size[0]}x{size[1]}"
