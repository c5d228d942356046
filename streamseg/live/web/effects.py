"""The effects that the page offers, each with its options, so that it can make a form of them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

from streamseg.errors import ConfigError
from streamseg.live.plan import pipeline_of
from streamseg.system.registry import EFFECTS

__all__ = ["drawn_of", "effects"]


@cache
def effects() -> list[dict[str, Any]]:
    """Name, first sentence and simple options (number, truth, word, one of a few, classes) of every effect that can be drawn."""
    found = []
    for name in EFFECTS.names():
        try:
            kind = EFFECTS.get(name)
        except ConfigError:  # a plug-in that cannot be used; `streamseg doctor` says why
            continue
        if kind.ahead or kind.alpha:  # needs the future, or a picture that is transparent
            continue
        does = (kind.__doc__ or "").strip().split("\n")[0]
        found.append({"name": name, "does": does, "options": _options(kind)})
    return found


def drawn_of(name: str, options: Mapping[str, Any]) -> list[Any]:
    """The steps that are drawn for who looks at a camera, as a file has them: its own, or as usual."""
    if options.get("effects") is not None:
        given = options["effects"]
        return list(given) if isinstance(given, list | tuple) else [given]
    try:
        steps = pipeline_of(name, options)[1]
    except ConfigError:  # one that names code, which only who started the program may trust
        return []
    return [{step.name: _told(step.effect)} for step in steps]


def _told(effect: Any) -> dict[str, Any]:
    """Its options, without those that are as usual."""
    usual = {each.name: each.default for each in dataclasses.fields(effect)}
    given = {name: getattr(effect, name) for name in usual}
    return {name: value for name, value in given.items() if value != usual[name] and isinstance(value, int | float | str)}


def _options(kind: Any) -> list[dict[str, Any]]:
    hints = get_type_hints(kind)
    rows = []
    for each in dataclasses.fields(kind):
        form = _form(each.name, hints[each.name])
        default = None if each.default is dataclasses.MISSING else each.default
        try:
            json.dumps(default)
        except TypeError:
            continue
        if form is not None:
            rows.append({"name": each.name, "default": default} | form)
    return rows


def _form(name: str, hint: Any) -> dict[str, Any] | None:
    """What kind of field a form has for it; None: none."""
    if name == "classes":
        return {"type": "classes"}
    while get_origin(hint) is not None and hasattr(hint, "__metadata__"):
        hint = get_args(hint)[0]
    if get_origin(hint) is Literal:
        return {"type": "choice", "choices": list(get_args(hint))}
    return {bool: {"type": "truth"}, int: {"type": "number"}, float: {"type": "number"}, str: {"type": "text"}}.get(hint)
