"""Fields of a dataclass that are options of a command: what the shell needs to know of one stands with the field."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from typing import Any, get_type_hints

__all__ = ["Shell", "option", "options_of", "read_fields"]


@dataclass(frozen=True, slots=True)
class Shell:
    """How a setting is given in the shell."""

    name: str
    """The flag without dashes, and the key in a file of settings."""
    help: str
    panel: str
    """Of `--help`."""
    type: Any
    """What the shell reads it as."""
    default: Any
    """As a person would write it; None: what follows from others, or the setting's own."""
    metavar: str | None
    flags: tuple[str, ...]
    """Other flags than the name's."""


def option(
    panel: str,
    default: Any,
    help: str,
    *,
    name: str = "",
    typed: Any = ...,
    type: Any = None,
    read: Callable[[Any], Any] | None = None,
    metavar: str | None = None,
    flags: tuple[str, ...] = (),
) -> Any:
    """A field that is an option. `typed`: its default in the shell, if it is written in another way there; `read`: makes of what is
    written the value; `type`: of what is written, if it is neither the field's nor that of `typed`.
    """
    how = {"panel": panel, "help": help, "name": name, "typed": typed, "type": type, "read": read, "metavar": metavar}
    given: dict[str, Any] = {"default_factory": default} if default is dict else {"default": default}
    return field(**given, metadata=how | {"flags": flags})


def options_of(kind: type[Any]) -> list[Shell]:
    """The options among the fields of a dataclass, in their order."""
    types = get_type_hints(kind)
    return [_shell(each, types[each.name]) for each in fields(kind) if each.metadata]


def _shell(each: Field[Any], own: Any) -> Shell:
    how = each.metadata
    default = each.default if how["typed"] is ... else how["typed"]
    kind = how["type"] or (str if how["read"] is not None else own)
    return Shell(
        how["name"] or each.name,
        how["help"],
        how["panel"],
        kind | None if default is None else kind,
        default,
        how["metavar"],
        how["flags"],
    )


def read_fields(kind: type[Any], written: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a dataclass that were given, by what was written for the options; None and an empty list: not given."""
    values = {}
    for each in (each for each in fields(kind) if each.metadata):
        value = written.get(each.metadata["name"] or each.name)
        if value is not None and value != []:
            values[each.name] = value if each.metadata["read"] is None else each.metadata["read"](value)
    return values
