"""How messages speak of values that were given: briefly, an array by its shape, an object by its type."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Sequence
from typing import Any

from streamseg.errors import ConfigError

__all__ = ["brief", "classes_known", "counted", "did_you_mean", "path_of", "short"]

_LONGEST = 80
_FEW = 20
"""So many classes are listed in a message."""
_NAME = 255
"""Bytes that file systems let a name have, mostly."""


def brief(value: Any) -> str:
    """`value` in a few words: as Python writes it where that is short, else what it is and how large."""
    kind = type(value).__name__
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if isinstance(shape, tuple) and dtype is not None and shape:
        return f"an array ({kind} of {dtype}, [{', '.join(map(str, shape))}])"
    if isinstance(value, str):
        return repr(value) if len(value) <= _LONGEST else f"{value[:_LONGEST]!r}... ({len(value)} characters)"
    if isinstance(value, bytes | bytearray | memoryview):
        return f"{len(value)} bytes ({kind})"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    try:
        text = repr(value)
    except Exception:  # the caller's own code; what is wrong with its value is said without it
        return f"a value of type {kind}"
    if " at 0x" not in text and "\n" not in text and len(text) <= _LONGEST:
        return text
    return f"a {kind} of {len(value)} items" if hasattr(value, "__len__") else f"a value of type {kind}"


def short(text: str) -> str:
    """`text` as it is, where that is readable and no longer than a file's name can be; else as `brief` has it."""
    return text if len(text) <= _NAME and text.isprintable() else brief(text)


def counted(number: int, what: str) -> str:
    """ "1 class", "2 classes": `what` is one of them."""
    if number == 1:
        return f"1 {what}"
    return f"{number} {what}es" if what.endswith(("s", "x", "ch", "sh")) else f"{number} {what}s"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """What a message about an unknown name goes on with: the nearest of those there are, whatever its capitals; or nothing."""
    small = {each.lower(): each for each in known}
    close = difflib.get_close_matches(name.lower(), small, n=1)
    return f"; did you mean {small[close[0]]!r}?" if close else ""


def classes_known(name: str, known: Sequence[str]) -> str:
    """What a message about a class that the model does not know goes on with: those it knows, or the nearest of many."""
    hint = did_you_mean(name, known)
    if len(known) <= _FEW:
        return f"this model knows {', '.join(known)}{hint}"
    near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0)
    if name and not hint:
        hint = f"; nearest in spelling: {', '.join(map(repr, near))}"
    return f"this model knows {len(known)} classes, which `streamseg models show MODEL` lists{hint}"


def path_of(value: Any, what: str) -> str:
    """`value` as a path or name, where it is a str or a Path. Raises ConfigError, in whose message it is `what`."""
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
        value = os.fsdecode(value) if isinstance(value, bytes) else value
    if not isinstance(value, str):
        raise ConfigError(f"{what}: a str or a Path is needed, not {brief(value)}")
    return value
