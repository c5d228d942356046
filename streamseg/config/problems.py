"""What is wrong with the values of sections, in words: of a pipeline file, of options, and of an object made in Python."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from streamseg.errors.describe import brief, did_you_mean

__all__ = ["Location", "fields", "in_words", "unknown_key"]

_MOST = 20
"""Problems that are told at once."""
_KINDS = {
    "a whole number": ("int_type", "int_parsing", "int_from_float"),
    "a number": ("float_type", "float_parsing"),
    "true or false": ("bool_type", "bool_parsing"),
    "a text": ("string_type",),
    "a list": ("list_type", "tuple_type", "too_long", "missing"),
    "a section of keys and values": ("dict_type", "model_type", "model_attributes_type", "dataclass_type"),
}
"""What is expected, in words that are not the checker's own, by the kinds of problems in which it is not given."""
_EXPECTED = {kind: words for words, kinds in _KINDS.items() for kind in kinds}
_WHOLE = ("value_error", "unknown_key", "unknown_name", "options")
"""Kinds of problems whose words are the whole message."""
Location = tuple[int | str, ...]
"""Keys and numbers, from the outermost section to a value."""


def in_words(
    schema: type[BaseModel],
    error: ValidationError,
    name: str,
    line_of: Callable[[Location], int] | None = None,
    called: Mapping[Location, str] | None = None,
) -> str:
    """A line for each problem: `name`, its line in the file where `line_of` tells it, what is `called` so, what is wrong."""
    problems = [_of_lists(problem) for problem in error.errors(include_url=False)]
    problems = [problem for at, problem in enumerate(problems) if problem not in problems[:at]]
    lines = []
    for problem in problems[:_MOST]:
        where = _called(problem["loc"], called or {}) or ".".join(str(part) for part in problem["loc"])
        line = "" if line_of is None else f":{line_of(problem['loc'])}"
        said = _explain(schema, problem).removeprefix(f"{re.split(r'[.: -]', where)[-1]}: ")  # some say their own name first
        lines.append(": ".join(part for part in (name + line, where, said) if part))
    if len(problems) > _MOST:
        lines.append(f"{name}: and {len(problems) - _MOST} problems more")
    return "\n".join(lines)


def _called(location: Location, called: Mapping[Location, str]) -> str | None:
    """What the user calls the value at `location`, or the one that it is a part of; a section's name is for itself alone.

    It goes on with what is within it, `--camera: fov`, or of a step in a list with its name and option: `--effects: blur.strength`.
    """
    if len(location) == 1:
        return called.get(location)
    known = next((n for n in range(len(location), 1, -1) if location[:n] in called), None)
    if known is None:
        return None
    rest = location[known:]
    inner = ".".join(map(str, rest[1:] if rest and isinstance(rest[0], int) else rest))
    return f"{called[location[:known]]}: {inner}" if inner else called[location[:known]]


def _explain(schema: type[BaseModel], problem: Any) -> str:
    kind, value, context = problem["type"], problem.get("input"), problem.get("ctx", {})
    if kind == "extra_forbidden":
        return unknown_key(str(problem["loc"][-1]), _allowed_keys(schema, problem["loc"]))
    if kind == "literal_error":
        return f"{brief(value)} is not allowed; allowed: {context['expected']}"
    if kind == "unexpected_keyword_argument":
        return _explain(schema, problem | {"type": "extra_forbidden"})
    message = problem["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if kind in _WHOLE:
        return str(message)
    if kind == "missing" and not _is_list(value):
        return "a value is needed"
    length = _length(schema, problem["loc"])
    expected = _EXPECTED.get(kind, message)
    if expected == "a list" and re.search(r"points\.\d+$", ".".join(map(str, problem["loc"]))):
        expected = "a pair of numbers, as [0.1, 0.5]"
    elif length and expected == "a list":
        expected = f"a list of {length}"
    return f"{brief(value)} is not allowed; expected {expected}"


def _of_lists(problem: Any) -> Any:
    """A problem; that a list of fixed length lacks an item is one of the list's, not of the item's."""
    inside = problem["type"] == "missing" and _is_list(problem.get("input"))
    return problem | {"loc": problem["loc"][:-1]} if inside else problem


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple)


def _length(schema: type[BaseModel], location: Location) -> int:
    """How long the list at `location` must be; 0: any, or it is none."""
    section: Any = schema
    for part in location[:-1]:
        section = next(iter(_sections_in(fields(section).get(str(part), section))), section)
    kinds = [kind for kind in _flat(fields(section).get(str(location[-1]))) if get_origin(kind) is tuple] if location else []
    return len(get_args(kinds[0])) if kinds and Ellipsis not in get_args(kinds[0]) else 0


def _flat(kind: Any) -> list[Any]:
    """A type, and, where it is one of several or annotated, these."""
    parts = get_args(kind) if get_origin(kind) is not tuple else ()
    return [kind, *(inner for part in parts for inner in _flat(part))]


def unknown_key(key: str, allowed: list[str]) -> str:
    """What to say of a key that is not allowed."""
    return f"unknown key{did_you_mean(key, allowed)} (allowed: {', '.join(sorted(allowed)) or 'none'})"


def _allowed_keys(schema: type[BaseModel], location: Location) -> list[str]:
    """The keys that may stand beside the last part of `location`, found by walking the schema."""
    section: Any = schema
    for part in location[:-1]:
        annotation = fields(section).get(str(part), section)
        section = next(iter(_sections_in(annotation)), section)
    return sorted(fields(section))


def fields(section: Any) -> dict[str, Any]:
    """Name → type of what a section or an effect holds."""
    if dataclasses.is_dataclass(section):
        return {field.name: field.type for field in dataclasses.fields(section)}
    return {field.alias or name: field.annotation for name, field in section.model_fields.items()}


def _sections_in(annotation: Any) -> list[Any]:
    if isinstance(annotation, type) and (issubclass(annotation, BaseModel) or dataclasses.is_dataclass(annotation)):
        return [annotation]
    return [section for argument in getattr(annotation, "__args__", ()) for section in _sections_in(argument)]
