"""The YAML file beside somebody else's model, which says what that does not: read, and where it is wrong named with its line."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from streamseg.config.load import parse_yaml, read_yaml
from streamseg.config.problems import unknown_key
from streamseg.errors import ConfigError
from streamseg.errors.describe import brief, counted
from streamseg.hub.description import Description, InputDescription, Recognised
from streamseg.system.callbacks import Message

__all__ = ["Sidecar", "check_said", "read_sidecar"]

_NEAR = 0.8
"""How alike (difflib's ratio) a mistyped key is to the right one; those of data sets and trainers are less so."""


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What a sidecar says; nothing, where there is none."""

    path: Path | None = None
    said: Mapping[str, Any] = field(default_factory=dict)
    tree: yaml.Node | None = None
    """It knows the lines."""
    lines: Mapping[str, int] = field(default_factory=dict)
    """Of every place in it: {"input": 2, "input.colour": 3, ...}."""

    def at(self, place: str) -> str:
        """ "theirs.yaml:3: input.colour: ", for the beginning of a message; empty where it does not say that."""
        return f"{self.path}:{self.lines[place]}: {place}: " if place in self.lines else ""

    def without(self, *keys: str) -> Sidecar:
        """The same where these keys are said by somebody else."""
        said = {key: value for key, value in self.said.items() if key not in keys}
        lines = {place: line for place, line in self.lines.items() if place.partition(".")[0] not in keys}
        return replace(self, said=said, lines=lines)


def read_sidecar(model: Path, on_message: Message | None) -> Sidecar:
    """The sidecar of the file `model`: MODEL.yaml. Raises ConfigError.

    A YAML file that says nothing about this, as a data set's or a trainer's that lie there, is left out, which is told.
    """
    path = model.with_suffix(".yaml")
    if not path.is_file():
        return Sidecar()
    data, tree = parse_yaml(read_yaml(path, "description of a model"), str(path), Description)
    lines = dict(_lines(tree))
    keys = list(Description.model_fields)
    if data and not data.keys() & set(keys):
        for key in data:
            if difflib.get_close_matches(str(key).lower(), keys, n=1, cutoff=_NEAR):
                raise ConfigError(f"{path}:{lines[str(key)]}: {key}: {unknown_key(str(key), keys)}")
        if data.keys() <= InputDescription.model_fields.keys():
            first = next(iter(data))
            raise ConfigError(f"{path}:{lines[first]}: {first}: unknown key; did you mean `input: {{{first}: ...}}`?")
        if on_message is not None:
            on_message(f"{path} says nothing about how {model.name} is read (no {', '.join(keys)}): left out")
        return Sidecar()
    return Sidecar(path, {key: {} if value is None else value for key, value in data.items()}, tree, lines)


def check_said(sidecar: Sidecar, found: Recognised | None, head: Any, model: Path) -> None:
    """Raise ConfigError for classes, outputs and options that the family does not have, or that cannot be; all at once.

    `found`: what the file says of itself; `head`: the family's, which says which options it takes and which outputs it reads.
    """
    problems = []
    classes = sidecar.said.get("classes")
    if classes is not None and found is not None and found.labels_told and len(classes) != len(found.description.classes):
        has = len(found.description.classes)
        problems.append(f"{sidecar.at('classes')}{counted(len(classes), 'class')} named, but {model} has {has}: name {has}")
    if found is not None and hasattr(head, "reads"):
        unknown = [key for key in sidecar.said.get("outputs", ()) if key not in head.reads]
        problems += [f"{sidecar.at(f'outputs.{key}')}{unknown_key(key, list(head.reads))}" for key in unknown]
    options = getattr(head, "options", {})
    for key, value in sidecar.said.get("options", {}).items() if hasattr(head, "options") else ():
        if key not in options:
            problems.append(f"{sidecar.at(f'options.{key}')}{unknown_key(key, list(options))}")
        elif not options[key].sound(value):
            problems.append(f"{sidecar.at(f'options.{key}')}{brief(value)} is not allowed; allowed: {options[key].allowed}")
    if problems:
        raise ConfigError("\n".join(problems))


def _lines(node: yaml.Node | None, place: str = "") -> Iterator[tuple[str, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield f"{place}{key.value}", key.start_mark.line + 1
            yield from _lines(value, f"{place}{key.value}.")
