"""Somebody else's ONNX file: understood, and adapted once into the cache.

    FILE.onnx  FILE.yaml (the sidecar, if there is one)  → CACHE/adapted/FILE-3f0c.../FILE-640x640.onnx

The cached graph's folder says what it depends on: the file and its weights, the description, the adapter. So a sidecar that was
changed counts from the next run on.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from streamseg.config.load import parse_yaml, read_yaml, validate
from streamseg.errors import ConfigError, ModelError, OutputError
from streamseg.errors.describe import brief
from streamseg.hub.adapt import adapt
from streamseg.hub.adaptable import input_size, opens_with
from streamseg.hub.class_names import coco_numbers
from streamseg.hub.description import Description, Evidence, Recognised
from streamseg.hub.graph_file import GraphFile, external_paths, parse_graph
from streamseg.hub.graph_spec import digests, read_bytes, read_spec
from streamseg.hub.on_demand import link
from streamseg.system import registry
from streamseg.system.callbacks import Message
from streamseg.system.folders import cache_root, elsewhere, locked, make_folder

__all__ = ["Foreign", "adapted", "is_ours", "recognise", "understand"]

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Foreign:
    """A foreign file and what is known of it."""

    path: Path
    graph: GraphFile
    description: Description
    reasons: Mapping[str, str]
    """As `Recognised.reasons`; what the sidecar or an option says has that for a reason."""
    sidecar: Path | None
    sha256: str
    """Of the file, followed by its external data."""
    weights: tuple[Path, ...] = ()
    """External data files, in the order of their names."""
    weights_sha256: str = field(default="", repr=False)

    def values(self) -> dict[str, Any]:
        """All that the description says, by its place in the sidecar, with a reason or without: {"input.layout": "nchw", ...}."""
        leaves = _leaves(self.description.model_dump())
        return {place: value for place, value in leaves.items() if value not in (None, ())}


def is_ours(path: Path) -> bool:
    """Whether the file is a graph that streamseg exported. Raises ModelError if it is no ONNX file."""
    return "streamseg.format" in parse_graph(read_bytes(path), str(path)).metadata


def understand(
    path: Path,
    family: str | None = None,
    classes: Sequence[str] = (),
    *,
    size: Size | None = None,
    on_message: Message | None = None,
) -> Foreign:
    """What the file at `path` is: by its sidecar (PATH with .yaml for .onnx), else as the family recognises it that fits best.

    `family` and `classes`, where they are given, go before both. Nothing is run, and no weights are read.

    Raises ModelError (damaged; no family, or several, recognise it; the description contradicts it), ConfigError (a bad sidecar, no
    such family, a size that cannot be).
    """
    data = read_bytes(path)
    graph = parse_graph(data, str(path))
    opens_with(graph, path)
    weights = external_paths(graph, path)
    given, tree, sidecar = _sidecar(path, on_message)
    if family is not None:
        if given.get("family") not in (None, family):  # it speaks of another family's outputs and options
            given = {key: value for key, value in given.items() if key not in ("outputs", "options")}
        given["family"] = family
    if classes:
        given["classes"] = list(classes)
        given.pop("category_ids", None)
    named = given.get("family")
    complete = {"family", "input", "outputs", "classes"} <= given.keys()
    try:
        found: Recognised | None = recognise(graph, path, named if isinstance(named, str) else None)
    except ModelError:
        if not complete:
            raise
        found = None
    said = {} if found is None else found.description.model_dump()
    if "classes" in given:
        said["category_ids"] = coco_numbers(given["classes"])
    if classes and found is not None and found.labels_told and len(classes) != len(found.description.classes):
        raise ConfigError(f"{len(classes)} classes were named, but {path} has {len(found.description.classes)}")
    description = validate(Description, _merge(said, given), str(sidecar or path), tree)
    reasons = _reasons(found, description, sidecar)
    reasons |= {"family": "as asked for"} if family is not None else {}
    reasons |= {"classes": "as asked for"} if classes else {}
    if size is not None or _says_a_size(graph, description):
        input_size(graph, description, path, size)
    digest, alone = digests(data, weights)
    return Foreign(path, graph, description, reasons, sidecar, digest, weights, alone)


def recognise(graph: GraphFile, path: Path, family: str | None = None) -> Recognised:
    """Ask the heads, or the one called `family`, what the file is; those of packages where none of streamseg's is sure of it.

    Raises ModelError where none does, or several by equally good evidence; ConfigError where there is no such family.
    """
    if family is not None:
        names = [family]
    else:
        names = [name for name in registry.HEADS.names() if registry.HEADS.is_builtin(name)]
    found = _asked(graph, names)
    if family is None and all(each.evidence == Evidence.SHAPES for each in found.values()):
        found |= _asked(graph, registry.HEADS.added())
    best = max((each.evidence for each in found.values()), default=None)
    fitting = [name for name, each in found.items() if each.evidence == best]
    if len(fitting) == 1:
        return found[fitting[0]]
    gives = ", ".join(f"{name}: {info}" for name, info in graph.outputs.items()) or "nothing"
    takes = ", ".join(f"{name}: {info}" for name, info in graph.inputs.items()) or "nothing"
    if fitting:
        raise ModelError(
            f"{path} takes {takes} and gives {gives}; that may be {' or '.join(fitting)}: say which (--family {fitting[0]}, or "
            f"family: in {path.with_suffix('.yaml').name})"
        )
    if family is not None:
        layout = getattr(registry.HEADS.pick(family), "layout", "")
        raise ModelError(
            f"{path} takes {takes} and gives {gives}; {family} expects {layout}. Leave the family out to have it found"
        )
    known = [name for name in registry.HEADS.names() if registry.HEADS.is_builtin(name)]
    raise ModelError(
        f"{path} takes {takes} and gives {gives}; no family here knows that ({', '.join(known)}). If it is one of them all the "
        f"same, describe it in {path.with_suffix('.yaml').name} (docs/models.md, `Your own ONNX`); a new family is a plug-in "
        "(docs/plugins.md)"
    )


def _asked(graph: GraphFile, names: Sequence[str]) -> dict[str, Recognised]:
    """What each says to the file, where it recognises it."""
    found = {}
    for name in names:
        try:
            head = registry.HEADS.pick(name)
        except ConfigError:
            if len(names) == 1:
                raise
            continue  # a plug-in that cannot be imported stops no other; `streamseg doctor` names it
        answer = head.recognise(graph) if hasattr(head, "recognise") else None
        if answer is not None:
            found[name] = answer
    return found


def adapted(foreign: Foreign, size: Size | None = None, on_message: Message | None = None, *, name: str | None = None) -> Path:
    """The graph of ours that was made of the file at that size, from the cache, or made now; `name`: of the model.

    Raises ModelError (a file that cannot be adapted), ConfigError (a size that cannot be), OutputError (no room in the cache).
    """
    height, width = input_size(foreign.graph, foreign.description, foreign.path, size)
    name = name or foreign.path.stem
    facts = {
        "file": foreign.sha256,
        "description": foreign.description.model_dump(mode="json"),
        "adapter": _adapter(),
        "name": name,
    }
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
    folder = cache_root() / "adapted" / f"{foreign.path.stem[:60]}-{key}"
    target = folder / f"{foreign.path.stem}-{height}x{width}.onnx"
    if target.is_file():
        return target
    with locked(folder.parent, f"{key}.lock", f"another process adapts {foreign.path.name}; waiting for it", on_message):
        if not target.is_file():
            data = _adapt(foreign, (height, width), name)
            if on_message is not None:
                family = foreign.description.family
                on_message(f"{foreign.path.name}: {family}, {len(foreign.description.classes)} classes; adapted, once")
            _keep(foreign, data, target)
    return target


def _adapt(foreign: Foreign, size: Size, name: str) -> bytes:
    try:
        return adapt(foreign.path, foreign.graph, foreign.description, size, name, foreign.weights_sha256, foreign.sha256)
    except ImportError as error:
        raise ModelError(
            f"{foreign.path} must be adapted, for which onnx is needed ({error}); run: pip install onnx"
        ) from error


def _keep(foreign: Foreign, data: bytes, target: Path) -> None:
    """Write the graph, and its weights beside it, whole or not at all."""
    work = make_folder(target.parent) / f".{target.name}.{os.getpid()}"
    try:
        for weights in foreign.weights:
            if not (target.parent / weights.name).is_file():
                partial = target.parent / f".{weights.name}.{os.getpid()}"
                link(weights, partial)
                partial.replace(target.parent / weights.name)
        work.write_bytes(data)
        read_spec(work)  # before anybody finds it: whatever the adapter makes is checked as any model is
        work.replace(target)
    except ModelError as error:
        raise ModelError(f"{foreign.path} cannot be adapted: {error}") from error
    except OSError as error:
        raise OutputError(f"cannot keep the graph {target}: {error.strerror}; {elsewhere(target)}") from error
    finally:
        work.unlink(missing_ok=True)


@functools.cache
def _adapter() -> str:
    """A digest of the adapter's source, so that a changed adapter makes new graphs."""
    digest = hashlib.sha256()
    for module in ("adapt", "new_ends", "graph_nodes", "runtime_faults"):
        digest.update((Path(__file__).parent / f"{module}.py").read_bytes())
    return digest.hexdigest()


def _sidecar(path: Path, on_message: Message | None) -> tuple[dict[str, Any], yaml.Node | None, Path | None]:
    """What the sidecar says, if there is one. Raises ConfigError."""
    place = path.with_suffix(".yaml")
    if not place.is_file():
        return {}, None, None
    data, tree = parse_yaml(read_yaml(place, "description of a model"), str(place), Description)
    if data and not data.keys() & Description.model_fields.keys():  # a data set's or a trainer's, as they often lie beside it
        if on_message is not None:
            on_message(
                f"{place} says nothing about how {path.name} is read (no {', '.join(Description.model_fields)}): left out"
            )
        return {}, None, None
    return {key: {} if value is None else value for key, value in data.items()}, tree, place


def _merge(said: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """`given` on top of what was recognised; within `input`, `outputs` and `options` key by key."""
    merged = dict(said)
    for key, value in given.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = {**merged[key], **value} if both else value
    return merged


def _reasons(found: Recognised | None, description: Description, sidecar: Path | None) -> dict[str, str]:
    """Why each value is what it is: as it was found out, unless the sidecar says another."""
    values = _leaves(description.model_dump())
    before = {} if found is None else _leaves(found.description.model_dump())
    reasons = {} if found is None else dict(found.reasons)
    if sidecar is None:
        return reasons
    for place, value in values.items():
        if place not in before:
            reasons[place] = f"{sidecar.name} says so"
        elif before[place] != value:
            reasons[place] = f"{sidecar.name} says so; found was {brief(before[place])}"
    return reasons


def _leaves(values: Mapping[str, Any], place: str = "") -> dict[str, Any]:
    """Place → value, of what is no section."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= _leaves(value, f"{place}{key}.") if isinstance(value, Mapping) else {f"{place}{key}": value}
    return found


def _says_a_size(graph: GraphFile, description: Description) -> bool:
    """Whether file or description say a size, so that it can be checked."""
    info = graph.inputs.get(description.input.name)
    return info is None or description.input.size is not None or 0 not in info.shape[1:]
