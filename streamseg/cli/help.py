"""How commands show their options and usage errors: no value behind a flag that takes none, no password of a mistyped address."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.core import TyperCommand, TyperGroup

from streamseg.errors import scrub

__all__ = ["Command", "Group"]


def _without_value(params: list[Any]) -> list[Any]:
    for param in params:
        if getattr(param, "is_bool_flag", False):
            param.metavar = ""
    return params


@contextlib.contextmanager
def _scrubbed() -> Iterator[None]:
    """A usage error quotes what was typed, which may be an address in the wrong place. It is scrubbed before lines are broken."""
    try:
        yield
    except Exception as error:
        if (say := getattr(error, "format_message", None)) is not None:
            words = scrub(say())
            dashed = next((word for word in sys.argv[1:] if word.startswith("-") and Path(word).is_file()), None)
            if dashed is not None:
                words += f" (the file of that name is written ./{dashed})"
            error.format_message = lambda: words  # type: ignore[attr-defined]
        raise


class Command(TyperCommand):
    """A verb."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its parameters, `--help` included."""
        return _without_value(super().get_params(ctx))


class Group(TyperGroup):
    """A verb that has verbs of its own."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its parameters, `--help` included."""
        return _without_value(super().get_params(ctx))

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        """As its base, for what stands before the verb."""
        with _scrubbed():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: Any) -> Any:
        """As its base, for the verb and what stands behind it."""
        with _scrubbed():
            return super().invoke(ctx)
