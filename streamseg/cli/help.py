"""How commands read and show their options: flags with and without values, usage errors without a mistyped address's password."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.core import TyperCommand, TyperGroup

from streamseg.errors import scrub
from streamseg.pipeline.options import OPTIONS

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


def _with_bare_values(args: list[str], params: list[Any]) -> list[str]:
    """`args` with the value that a flag means where none follows it (`pipeline.options`); typer has no optional values."""
    bare = {option.flag: option for option in OPTIONS if option.bare is not None}
    known = {name for param in params for name in param.opts if name in bare}
    full: list[str] = []
    for at, word in enumerate(args):
        full.append(word)
        if word in known and args[at + 1 : at + 2] not in [[value] for value in bare[word].values]:
            full.append(str(bare[word].bare))
    return full


class Command(TyperCommand):
    """A verb."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As its base; some flags may stand without their value."""
        return super().parse_args(ctx, _with_bare_values(args, self.params))

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
