"""The model files that streamseg brings, by name and input size."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from streamseg import resources
from streamseg.engine.spec import read_spec
from streamseg.errors import ModelError

__all__ = ["DEFAULT_MODEL", "DEFAULT_SIZE", "ModelInfo", "available", "describe", "resolve", "shipped"]

DEFAULT_MODEL = "lite"
DEFAULT_SIZE = (320, 576)
"""(H, W) used where none is asked for: 16:9 pictures fill it but for 4 rows."""

_FILE = re.compile(r"(?P<name>[a-z0-9][a-z0-9_-]*)-(?P<height>\d+)x(?P<width>\d+)\.onnx")


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A shipped model file."""

    name: str
    size: tuple[int, int]
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


def _files() -> dict[str, dict[tuple[int, int], Path]]:
    found: dict[str, dict[tuple[int, int], Path]] = {}
    for path in resources.shipped("engines").glob("*/*.onnx"):
        match = _FILE.fullmatch(path.name)
        if match and match["name"] == path.parent.name:
            found.setdefault(match["name"], {})[int(match["height"]), int(match["width"])] = path
    return found


def available() -> list[ModelInfo]:
    """Every shipped model file, by name, then by size. Raises ModelError if one of them is damaged."""
    return [describe(path) for path in shipped()]


def shipped() -> list[Path]:
    """The paths of all shipped model files, by name, then by size, unread."""
    return [path for _, sizes in sorted(_files().items()) for _, path in sorted(sizes.items())]


def describe(path: Path) -> ModelInfo:
    """Read a shipped model file. Raises ModelError if it is damaged."""
    spec = read_spec(path)
    total = sum(file.stat().st_size for file in (path, *spec.weights))
    default = path.parent.name == DEFAULT_MODEL and spec.size == DEFAULT_SIZE
    origin = "wheel" if path.parents[2].name == "shipped" else "checkout"
    return ModelInfo(path.parent.name, spec.size, spec.classes, total, spec.sha256, path, origin, default)


def resolve(model: str | PathLike[str], size: tuple[int, int] | None = None) -> Path:
    """The file of a model: a shipped name ("lite"), or the path of an .onnx file, whose size is then its own.

    Raises ModelError, with what there is, if there is no such name, size or file.
    """
    text = os.fspath(model)
    if text.endswith(".onnx") or os.sep in text:
        return _explicit(Path(text), size)
    files = _files()
    if text not in files:
        known = ", ".join(sorted(files)) or "none: this installation brings no model files"
        raise ModelError(f"unknown model {text!r}; shipped: {known}. Or give the path of an .onnx file")
    sizes = files[text]
    if size is None:
        wanted = DEFAULT_SIZE if DEFAULT_SIZE in sizes else min(sizes)
    else:
        wanted = size
    if wanted not in sizes:
        known = ", ".join(_show(s) for s in sorted(sizes))
        raise ModelError(
            f"the model {text!r} is not shipped at {_show(wanted)}; there are: {known}. Others must be exported first"
        )
    return sizes[wanted]


def _explicit(path: Path, size: tuple[int, int] | None) -> Path:
    if not path.is_file():
        raise ModelError(f"there is no model file {path}; give the path of an .onnx file, or a name of `streamseg models`")
    if size is not None and (own := read_spec(path).size) != size:
        raise ModelError(f"{path} takes {_show(own)}, not {_show(size)}: leave the size out, or export the model at that size")
    return path


def _show(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
