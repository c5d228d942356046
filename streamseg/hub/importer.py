"""Make a file a model of the user's: `streamseg models import FILE`.

A checkpoint becomes a weights file (safetensors) from which graphs are exported when they are needed; a graph is kept as it is. The
model's folder appears whole or not at all.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from streamseg.errors import ConfigError, ModelError, OutputError, OutputExists
from streamseg.hub.description import sidecar_text
from streamseg.hub.download import sha256_of
from streamseg.hub.foreign import Foreign, OnnxFile, adapted, understand
from streamseg.hub.graph_spec import GraphSpec, read_spec
from streamseg.hub.other_formats import refuse_other_format
from streamseg.hub.weights_file import check_begins, read_header
from streamseg.system import resources
from streamseg.system.callbacks import Message
from streamseg.system.folders import elsewhere, locked, make_folder, models_root
from streamseg.system.imports import require_train

__all__ = ["Imported", "check_name", "import_file", "name_for", "names_in", "remove"]

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}")
_VAGUE = ("model", "checkpoint", "best", "last", "final", "weights")
"""File names that do not tell which model it is; then the folder's name is taken."""


@dataclass(frozen=True, slots=True)
class Imported:
    """A model that was made of a file."""

    name: str
    path: Path
    """Its weights, or its graph."""
    network: str
    """Empty for a graph of ours, which does not say it; the family of somebody else's."""
    classes: tuple[str, ...]
    half: bool
    """The weights are stored as float16."""


def import_file(
    file: Path,
    *,
    name: str | None = None,
    network: str | None = None,
    classes: Sequence[str] = (),
    half: bool = False,
    norm_eps: float | None = None,
    overwrite: bool = False,
    notes: Mapping[str, str] | None = None,
    check: Callable[[GraphSpec], None] | None = None,
    family: str | None = None,
    size: tuple[int, int] | None = None,
    on_message: Message | None = None,
) -> Imported:
    """Make `file` the user's model `name` (default: by what it holds, or by its own name).

    `file` is a checkpoint as `checkpoints.read_checkpoint` reads it, which also says what `network`, `classes` and `norm_eps` mean,
    or an .onnx graph of ours, or of somebody else: that is kept as it is, with its description beside it (`hub.foreign`), for which
    `family`, `classes` and `size`, the (H, W) of a model that takes any, say what the file does not. Weights are stored as they
    are; with `half` as float16: half the bytes, each value rounded to 11 bits. `notes` are kept beside it. `check` may refuse a
    graph that nothing can read.

    Raises ModelError (not one of these files; it fits no network), ConfigError (a bad name, network or class list), MissingExtra
    (torch, for checkpoints), OutputExists (a model of that name is there), OutputError.
    """
    if not file.is_file():
        raise ModelError(f"{file} is a folder; name the file in it" if file.is_dir() else f"there is no file {file}")
    refuse_other_format(file)
    if name is not None:
        check_name(name)
    notes = {"origin": file.name, "imported": datetime.now(UTC).isoformat(timespec="seconds"), **(notes or {})}
    if file.suffix == ".onnx" and not (onnx := OnnxFile.read(file)).ours:
        foreign = understand(onnx, family, classes, size=size, on_message=on_message)
        return _import_foreign(foreign, name, size, overwrite, notes, check)
    if family is not None or size is not None:
        raise ConfigError(f"{file} is no other program's .onnx file: leave the {'size' if family is None else 'family'} out")
    if file.suffix == ".onnx":
        return _import_graph(file, name, overwrite, notes, check)
    return _import_weights(file, name, (network, classes, norm_eps), half, overwrite, notes)


def names_in(file: Path) -> tuple[str, ...]:
    """The class names in a text file, one a line; empty lines at its end are none. Raises ConfigError."""
    try:
        lines = file.read_text("utf-8").rstrip().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise ConfigError(f"--classes-file: cannot read {file}: {reason}") from error
    names = tuple(line.strip() for line in lines)
    if empty := [number for number, name in enumerate(names, 1) if not name]:
        raise ConfigError(f"{file}:{empty[0]}: a name is needed on every line")
    if not names:
        raise ConfigError(f"--classes-file: {file} is empty; one name a line is needed")
    return names


def check_name(name: str) -> None:
    """Raise ConfigError for what cannot be the name of a user's model."""
    if not _NAME.fullmatch(name) or re.search(r"-\d+x\d+$", name):
        raise ConfigError(
            f"{name!r} cannot be a model's name; allowed: a-z, 0-9, - and _, up to 60, not ending like a size (-320x576)"
        )
    if name == "imagenet" or (resources.shipped_folder("engines") / name).is_dir():
        raise ConfigError(
            f"{name!r} is {'taken' if name == 'imagenet' else 'a model that streamseg brings'}; take another (--name)"
        )


def remove(name: str) -> Path:
    """Delete the user's model `name`; returns the folder that is gone. Raises ModelError if there is none, OutputError."""
    folder = models_root() / name
    if _NAME.fullmatch(name) and not folder.is_dir() and (resources.shipped_folder("engines") / name).is_dir():
        raise ModelError(f"the model {name!r} comes with streamseg and cannot be removed")
    if not _NAME.fullmatch(name) or not folder.is_dir():
        mine = ", ".join(sorted(path.name for path in models_root().glob("[a-z0-9]*/"))) or "none"
        raise ModelError(f"there is no model {name!r} in {models_root()}; there are: {mine}")
    with locked(models_root(), f"{name}.import", f"another process changes {name}; waiting for it"), _writing(folder):
        shutil.rmtree(folder)
    return folder


def _import_weights(
    file: Path,
    name: str | None,
    how: tuple[str | None, Sequence[str], float | None],
    half: bool,
    overwrite: bool,
    notes: Mapping[str, str],
) -> Imported:
    check_begins(file)  # what is no model is not worth 5 GB of torch
    require_train()
    from streamseg.hub.checkpoints import read_checkpoint
    from streamseg.networks.build import NETWORKS
    from streamseg.networks.weights import save_weights

    network, classes, norm_eps = how
    model, info = read_checkpoint(file, network, classes, norm_eps)
    chosen = name or name_for(file, info.network, len(info.classes))
    check_name(chosen)
    if chosen in NETWORKS and chosen != info.network:
        raise ConfigError(
            f"{chosen!r} is the name of another network, but {file} holds a {info.network}; take another (--name)"
        )

    try:
        header = read_header(file)
    except ModelError:
        header = None  # not a weights file of ours

    def write(folder: Path) -> None:
        target = folder / f"{chosen}.safetensors"
        if header is not None and not classes and header.half >= half:
            shutil.copyfile(file, target)
        else:
            save_weights(model, info, target, half=half or (header is not None and header.half))

    _put(chosen, write, overwrite, {**notes, "network": info.network})
    path = models_root() / chosen / f"{chosen}.safetensors"
    return Imported(chosen, path, info.network, info.classes, read_header(path).half)


def name_for(file: Path, network: str = "", classes: int = 0) -> str:
    """A model's name for a checkpoint of that network with so many classes. Raises ConfigError if its file name makes none."""
    if network.startswith("resnet50-fpn") and classes == 80:
        return network  # torchvision's COCO weights
    stem = file.resolve().parent.name if file.stem.lower() in _VAGUE else file.stem
    slug = re.sub(r"[^a-z0-9_-]+", "-", stem.lower()).strip("-_")[:60]
    if not _NAME.fullmatch(slug):
        raise ConfigError(f"{file} does not make a model's name; give one: --name")
    return slug


def _import_graph(
    file: Path,
    name: str | None,
    overwrite: bool,
    notes: Mapping[str, str],
    check: Callable[[GraphSpec], None] | None,
) -> Imported:
    spec = read_spec(file)
    if check is not None:
        check(spec)
    chosen = name or re.sub(r"[^a-z0-9_-]+", "-", spec.name.lower()).strip("-_")[:60]
    check_name(chosen)
    suffix = "" if spec.precision in ("fp32", "unknown") else f"-{spec.precision}"
    graph = f"{chosen}-{spec.height}x{spec.width}{suffix}.onnx"
    folder = models_root() / chosen
    if _same_weights(spec, folder) and not (folder / graph).exists():  # a further size of a model that is here
        with locked(models_root(), f"{chosen}.import", f"another process changes {chosen}; waiting for it"), _writing(folder):
            partial = folder / f".{graph}.{os.getpid()}"
            shutil.copyfile(file, partial)
            partial.replace(folder / graph)
    else:

        def write(target: Path) -> None:
            for source, to in ((file, graph), *((path, path.name) for path in spec.weights)):
                shutil.copyfile(source, target / to)

        _put(chosen, write, overwrite, notes)
    return Imported(chosen, folder / graph, "", spec.classes, spec.precision == "fp16")


def _import_foreign(
    foreign: Foreign,
    name: str | None,
    size: tuple[int, int] | None,
    overwrite: bool,
    notes: Mapping[str, str],
    check: Callable[[GraphSpec], None] | None,
) -> Imported:
    """Adapt the file, to see that it can be; keep it as it is, and its description."""
    chosen = name or name_for(foreign.path)
    check_name(chosen)
    own = [f"{chosen}{suffix}" for suffix in (".onnx", ".yaml", ".json")]
    if taken := [path.name for path in foreign.weights if path.name in own]:
        raise ConfigError(
            f"{foreign.path} keeps weights in {taken[0]}, which the model {chosen!r} needs itself: take another (--name)"
        )
    spec = read_spec(adapted(foreign, size, name=chosen))
    if check is not None:
        check(spec)
    description = foreign.description
    if size is not None:
        description = description.model_copy(update={"input": description.input.model_copy(update={"size": size})})
    text = sidecar_text(description, {**foreign.reasons, **({"input.size": "as asked for"} if size else {})}, foreign.path.name)

    def write(target: Path) -> None:
        for source, to in ((foreign.path, f"{chosen}.onnx"), *((path, path.name) for path in foreign.weights)):
            shutil.copyfile(source, target / to)
        (target / f"{chosen}.yaml").write_text(text, "utf-8")

    _put(chosen, write, overwrite, {**notes, "family": description.family})
    return Imported(
        chosen, models_root() / chosen / f"{chosen}.onnx", description.family, spec.classes, spec.precision == "fp16"
    )


def _same_weights(spec: GraphSpec, folder: Path) -> bool:
    there = [folder / path.name for path in spec.weights]
    return bool(there) and all(
        mine.is_file() and sha256_of(mine) == sha256_of(theirs) for mine, theirs in zip(there, spec.weights, strict=True)
    )


def _put(name: str, write: Callable[[Path], None], overwrite: bool, notes: Mapping[str, str]) -> None:
    """Make the folder of a model by `write`, beside its place, and move it there."""
    root = make_folder(models_root())
    folder, work = root / name, root / f".importing.{name}.{os.getpid()}"
    with locked(root, f"{name}.import", f"another process changes {name}; waiting for it"):
        if folder.exists() and not overwrite:
            raise OutputExists(f"there is a model {name!r} in {folder}; take another name (--name), or replace it: --overwrite")
        for leftover in root.glob(f".importing.{name}.*"):  # of a process that was killed
            shutil.rmtree(leftover, ignore_errors=True)
        try:
            with _writing(folder):
                work.mkdir(mode=0o700)
                write(work)
                (work / f"{name}.json").write_text(json.dumps(dict(notes), indent=2), "utf-8")
                if folder.exists():
                    old = work.with_name(f"{work.name}.old")
                    folder.rename(old)
                    work.rename(folder)
                    shutil.rmtree(old, ignore_errors=True)
                else:
                    work.rename(folder)
        finally:
            shutil.rmtree(work, ignore_errors=True)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror or error}; {elsewhere(folder)}") from error
