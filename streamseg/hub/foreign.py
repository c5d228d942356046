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

from streamseg.config.load import validate
from streamseg.errors import ConfigError, ModelError, OutputError
from streamseg.errors.describe import brief, counted
from streamseg.hub.adapt import adapt
from streamseg.hub.adaptable import input_size, opens_with, outputs_there, picture_input
from streamseg.hub.class_names import coco_numbers
from streamseg.hub.description import Description, Evidence, Recognised, in_yaml
from streamseg.hub.graph_file import GraphFile, external_paths, parse_graph
from streamseg.hub.graph_spec import GraphSpec, digests, read_bytes, read_spec
from streamseg.hub.on_demand import link
from streamseg.hub.sidecar import Sidecar, check_said, read_sidecar
from streamseg.system import registry
from streamseg.system.callbacks import Message
from streamseg.system.folders import cache_root, elsewhere, locked, make_folder

__all__ = ["Foreign", "OnnxFile", "adapted", "recognise", "understand"]

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
    contradicts: tuple[str, ...]
    """What the sidecar says against what the file was taken for: "theirs.yaml:3: batch_axis: false (found was true)"."""
    sha256: str
    """Of the file, followed by its external data."""
    weights: tuple[Path, ...] = ()
    """External data files, in the order of their names."""
    weights_sha256: str = field(default="", repr=False)

    def values(self) -> dict[str, Any]:
        """All that the description says, by its place in the sidecar, with a reason or without: {"input.layout": "nchw", ...}."""
        leaves = _leaves(self.description.model_dump())
        return {place: value for place, value in leaves.items() if value not in (None, ())}


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """An .onnx file that was read, which a large one need be only once."""

    path: Path
    data: bytes = field(repr=False)
    graph: GraphFile = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> OnnxFile:
        """Raises ModelError if it is no ONNX file."""
        data = read_bytes(path)
        return cls(path, data, parse_graph(data, str(path)))

    @property
    def ours(self) -> bool:
        """It is a graph that streamseg exported."""
        return "streamseg.format" in self.graph.metadata


def understand(
    file: Path | OnnxFile,
    family: str | None = None,
    classes: Sequence[str] = (),
    *,
    size: Size | None = None,
    on_message: Message | None = None,
) -> Foreign:
    """What the file is: by its sidecar (its path with .yaml for .onnx), else as the family recognises it that fits best.

    `family` and `classes`, where they are given, go before both. Nothing is run, and no weights are read.

    Raises ModelError (damaged; no family, or several, recognise it; the description contradicts it), ConfigError (a bad sidecar, no
    such family, a size that cannot be).
    """
    file = OnnxFile.read(file) if isinstance(file, Path) else file
    path, graph = file.path, file.graph
    opens_with(graph, path)
    weights = external_paths(graph, path)
    sidecar = read_sidecar(path, on_message)
    asked: dict[str, Any] = {}
    if family is not None:
        if sidecar.said.get("family") not in (None, family):  # it speaks of another family's outputs and options
            sidecar = sidecar.without("outputs", "options")
        sidecar, asked["family"] = sidecar.without("family"), family
    if classes:
        sidecar, asked["classes"] = sidecar.without("classes", "category_ids"), list(classes)
    given = {**sidecar.said, **asked}
    found = _found(graph, path, given, sidecar)
    said = {} if found is None else found.description.model_dump()
    if "classes" in given:
        said["category_ids"] = coco_numbers(given["classes"])
    if classes and found is not None and found.labels_told and len(classes) != len(found.description.classes):
        has = len(found.description.classes)
        raise ConfigError(f"{counted(len(classes), 'class')} named, but {path} has {has}: name {has}")
    description = validate(Description, _merge(said, given), str(sidecar.path or path), sidecar.tree)
    check_said(sidecar, found, registry.HEADS.pick(description.family), path)
    reasons, contradicts = _reasons(found, description, sidecar)
    reasons |= {"family": "as asked for"} if family is not None else {}
    reasons |= {"classes": "as asked for"} if classes else {}
    if size is not None or _says_a_size(graph, description):
        input_size(graph, description, path, size, sidecar)
    elif description.input.name in graph.inputs:
        picture_input(graph, description, path, sidecar)
    outputs_there(graph, description, path, sidecar)
    digest, alone = digests(file.data, weights)
    return Foreign(path, graph, description, reasons, sidecar.path, contradicts, digest, weights, alone)


def _found(graph: GraphFile, path: Path, given: Mapping[str, Any], sidecar: Sidecar) -> Recognised | None:
    """What the family in `given`, or the one that fits best, makes of the file; None where `given` says all by itself."""
    named = given.get("family")
    if isinstance(named, str):
        try:
            registry.HEADS.pick(named)
        except ConfigError as error:
            raise ConfigError(f"{sidecar.at('family')}{error}") from error
    try:
        return recognise(graph, path, named if isinstance(named, str) else None)
    except ModelError:
        if {"family", "input", "outputs", "classes"} <= given.keys():
            return None
        raise


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
                on_message(
                    f"{foreign.path.name}: {family}, {counted(len(foreign.description.classes), 'class')}; adapted, once"
                )
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
        _check(read_spec(work), foreign)  # before anybody finds it: whatever the adapter makes is checked as any model is
        work.replace(target)
    except ModelError as error:
        raise ModelError(f"{foreign.path} cannot be adapted: {error}") from error
    except OSError as error:
        raise OutputError(f"cannot keep the graph {target}: {error.strerror}; {elsewhere(target)}") from error
    finally:
        work.unlink(missing_ok=True)


def _check(spec: GraphSpec, foreign: Foreign) -> None:
    """Raise ConfigError where the sidecar says otherwise than the file, and the family then cannot read the answers."""
    if not foreign.contradicts:
        return
    head, said = registry.HEADS.pick(foreign.description.family), "; ".join(foreign.contradicts)
    if head.fits(spec):
        try:
            head(spec)
        except ModelError as error:
            raise ConfigError(f"{said}: {error}") from error
        return
    gives = ", ".join(f"{output}: {info}" for output, info in spec.outputs.items())
    raise ConfigError(
        f"{said}: with that {foreign.path} gives {gives}, but {spec.family} reads {getattr(head, 'layout', 'something else')}"
    )


@functools.cache
def _adapter() -> str:
    """A digest of the adapter's source, so that a changed adapter makes new graphs."""
    digest = hashlib.sha256()
    for module in ("adapt", "new_ends", "graph_nodes", "runtime_faults"):
        digest.update((Path(__file__).parent / f"{module}.py").read_bytes())
    return digest.hexdigest()


def _merge(said: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """`given` on top of what was recognised; within `input`, `outputs` and `options` key by key."""
    merged = dict(said)
    for key, value in given.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = {**merged[key], **value} if both else value
    return merged


def _reasons(found: Recognised | None, description: Description, sidecar: Sidecar) -> tuple[dict[str, str], tuple[str, ...]]:
    """Why each value is what it is: as it was found out, unless the sidecar says another; and what it says against that."""
    values = _leaves(description.model_dump())
    before = {} if found is None else _leaves(found.description.model_dump())
    reasons = {} if found is None else dict(found.reasons)
    contradicts: list[str] = []
    if sidecar.path is None:
        return reasons, ()
    for place, value in values.items():
        if place not in before:
            reasons[place] = f"{sidecar.path.name} says so"
        elif before[place] != value:
            reasons[place] = f"{sidecar.path.name} says so; found was {brief(before[place])}"
            if said := sidecar.at(place):
                now, then = (brief(each) if isinstance(each, tuple) else in_yaml(each) for each in (value, before[place]))
                contradicts.append(f"{said}{now} (found was {then})")
    return reasons, tuple(contradicts)


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
