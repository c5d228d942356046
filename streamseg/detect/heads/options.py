"""The options of a head, declared once: what each may be. What a description's `options` say is checked by that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streamseg.errors import ModelError
from streamseg.errors.describe import brief
from streamseg.hub.description import HeadOption
from streamseg.hub.graph_spec import GraphSpec

__all__ = ["HeadOption", "Options", "one_of", "share", "truth", "value", "whole"]

Options = Mapping[str, HeadOption]


def share(usual: float) -> HeadOption:
    """A number of 0 to 1."""
    return HeadOption(usual, "0 to 1", lambda given: _number(given, float) and 0 <= given <= 1)  # type: ignore[operator]


def whole(usual: int | None, least: int = 0, most: int | None = None) -> HeadOption:
    """A whole number of at least `least`, and at most `most`."""
    allowed = f"a whole number from {least} on" if most is None else f"{least} to {most}"
    highest = float("inf") if most is None else most
    return HeadOption(usual, allowed, lambda given: _number(given) and least <= given <= highest)  # type: ignore[operator]


def truth(usual: bool = False) -> HeadOption:
    """true or false."""
    return HeadOption(usual, "true or false", lambda given: isinstance(given, bool))


def one_of(*words: str) -> HeadOption:
    """One of `words`, of which the first is the usual one."""
    return HeadOption(words[0], ", ".join(words), lambda given: isinstance(given, str) and given in words)


def value(spec: GraphSpec, options: Options, name: str, usual: Any = None) -> Any:
    """What a graph's description says of that option, or what is usual. Raises ModelError for what it cannot be."""
    option = options[name]
    given = spec.options.get(name, option.usual if usual is None else usual)
    if not option.sound(given):
        raise ModelError(f"{spec.called}: options: {name} is {brief(given)}; allowed: {option.allowed}")
    return given


def _number(given: object, *kinds: type) -> bool:
    return isinstance(given, (int, *kinds)) and not isinstance(given, bool)
