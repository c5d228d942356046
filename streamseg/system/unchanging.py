"""Nouns that never change once they are made, and say how to get another one.

Python 3.11's own answer to `result.time = 3` is "super(type, obj): obj must be an instance or subtype of type": a frozen
dataclass with slots does not know itself where what is set is no field.
"""

from dataclasses import FrozenInstanceError, fields
from typing import Any, NoReturn, TypeVar

__all__ = ["unchanging"]

Noun = TypeVar("Noun")


def unchanging(noun: type[Noun]) -> type[Noun]:
    """Let a frozen dataclass refuse to be changed by a sentence. To stand above its `dataclass`."""
    names = ", ".join(f"{field.name}=..." for field in fields(noun))  # type: ignore[arg-type]
    how = f"dataclasses.replace(it, ...) makes another, with any of {names}"

    def refuse(self: Any, name: str, *value: object) -> NoReturn:
        raise FrozenInstanceError(f"a {noun.__name__} never changes, so its {name!r} cannot be set or deleted; {how}")

    for method in ("__setattr__", "__delattr__"):
        setattr(noun, method, refuse)
    return noun
