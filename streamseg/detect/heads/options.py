"""What a description's `options` say to a head, checked."""

from __future__ import annotations

from streamseg.errors import ModelError
from streamseg.errors.describe import brief
from streamseg.hub.graph_spec import GraphSpec

__all__ = ["one_of", "share", "truth", "whole"]


def _bad(spec: GraphSpec, name: str, allowed: str) -> ModelError:
    return ModelError(f"{spec.path}: options: {name} is {brief(spec.options.get(name))}; allowed: {allowed}")


def share(spec: GraphSpec, name: str, default: float) -> float:
    """A number of 0 to 1. Raises ModelError."""
    value = spec.options.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise _bad(spec, name, "0 to 1")
    return float(value)


def whole(spec: GraphSpec, name: str, default: int, least: int = 0) -> int:
    """A whole number of at least `least`. Raises ModelError."""
    value = spec.options.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise _bad(spec, name, f"a whole number from {least} on")
    return value


def truth(spec: GraphSpec, name: str, default: bool = False) -> bool:
    """true or false. Raises ModelError."""
    value = spec.options.get(name, default)
    if not isinstance(value, bool):
        raise _bad(spec, name, "true or false")
    return value


def one_of(spec: GraphSpec, name: str, words: tuple[str, ...]) -> str:
    """One of `words`, of which the first is the default. Raises ModelError."""
    value = spec.options.get(name, words[0])
    if not isinstance(value, str) or value not in words:
        raise _bad(spec, name, ", ".join(words))
    return value
