"""The effects that the page offers, each with its options, so that it can make a form of them."""

from __future__ import annotations

import dataclasses
import json
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

from streamseg.errors import ConfigError
from streamseg.system.registry import EFFECTS

__all__ = ["effects"]


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
