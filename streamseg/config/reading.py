"""Reads YAML as sections: pipeline files, recipes, cameras. An error names file and line, what is wrong and what is allowed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from streamseg.config.problems import Location, fields, in_words
from streamseg.config.section import Section
from streamseg.errors import ConfigError

__all__ = ["line_in", "parse_yaml", "read_yaml", "validate"]

_MAX_BYTES = 1 << 20
_DEEPEST = 32
"""Lists and sections within each other; a pipeline file needs about six."""
S = TypeVar("S", bound=Section)


def read_yaml(path: Path, what: str) -> str:
    """The text of a small YAML file; `what` it is meant to be stands in the messages. Raises ConfigError."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ConfigError(f"{path} is larger than 1 MiB: not a {what}")
        return path.read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read the {what} {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not a text file in UTF-8") from error


def parse_yaml(text: str, name: str, schema: type[Section]) -> tuple[dict[str, Any], yaml.Node | None]:
    """A file's keys, and its tree, which knows the lines; what they may be is for `validate` to say. Raises ConfigError."""
    try:
        _refuse_depth(text, name)
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        if tree is not None:
            _refuse_surprises(tree, name)
        data = yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{name}:{line}: not valid YAML: {error.problem}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{name}: not valid YAML: {error}") from error
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise ConfigError(f"{name}:1: expected sections ({', '.join(fields(schema))}), found {type(data).__name__}")
    return data, tree


class _Loader(yaml.SafeLoader):
    """Keys are names: `on`, `off`, `yes` and `no` stay what was written, which YAML takes for truth values."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A section."""
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if key.tag == "tag:yaml.org,2002:bool":
                key.tag = "tag:yaml.org,2002:str"
        return super().construct_mapping(node, deep)


def validate(
    schema: type[S],
    data: dict[str, Any],
    name: str,
    tree: yaml.Node | None,
    called: Mapping[Location, str] | None = None,
    *,
    trust: bool = False,
) -> S:
    """`data` as an object of that schema, which may name code where that is trusted.

    Raises ConfigError, which names every problem at once.
    """
    try:
        return schema.model_validate(data, context={"trust": trust})
    except ValidationError as error:
        said = in_words(schema, error, name, None if tree is None else lambda place: line_in(tree, place), called)
    raise ConfigError(said)  # not from pydantic's error, which says no more, and every value in full


def line_in(node: yaml.Node | None, location: Location) -> int:
    """The line, from 1, of the deepest node on the way to `location` that stands in the file."""
    line = 1
    for part in location:
        following: yaml.Node | None = None
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == str(part):
                    line, following = key.start_mark.line + 1, value
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            following = node.value[part]
            line = following.start_mark.line + 1
        if following is None:
            break
        node = following
    return line


def _refuse_depth(text: str, name: str) -> None:
    """Thousands of brackets within each other would take the composer, which calls itself, past the end of its thread's stack."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise ConfigError(f"{name}:{line}: more than {_DEEPEST} lists and sections within each other")


def _refuse_surprises(node: yaml.Node, name: str) -> None:
    """Keys given twice would silently lose one; deeply nested aliases can grow without bound."""
    pending, seen = [node], set[int]()
    while pending:
        current = pending.pop()
        if id(current) in seen:
            raise ConfigError(f"{name}:{current.start_mark.line + 1}: aliases (&, *) are not supported")
        seen.add(id(current))
        if isinstance(current, yaml.SequenceNode):
            pending.extend(current.value)
        elif isinstance(current, yaml.MappingNode):
            keys = set[str]()
            for key, value in current.value:
                if not isinstance(key, yaml.ScalarNode):
                    raise ConfigError(f"{name}:{key.start_mark.line + 1}: a key is a name, not a list or a section")
                if key.value in keys:
                    raise ConfigError(f"{name}:{key.start_mark.line + 1}: the key {key.value!r} is given twice")
                keys.add(key.value)
                pending.append(value)
