"""Arguments and flags that several verbs have in common; those of a run are declared in `pipeline.options`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any

import typer

from streamseg.pipeline.options import help_of, in_shell, option

__all__ = ["JsonOption", "SourceArg", "answer", "flag"]

SourceArg = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="A video, a folder or glob of images, a camera (0, /dev/video0), an RTSP or HTTP address, or - for standard input.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def flag(name: str) -> Any:
    """The flag of an option, as typer takes it."""
    declared = option(name)
    named = declared.flags or [f"{declared.flag}/{declared.off}" if declared.off else declared.flag]
    return typer.Option(*named, metavar=declared.metavar, help=help_of(declared, in_shell))


def answer(data: Any, as_json: bool, human: Callable[[Any], None]) -> None:
    """Print what a verb found out: as JSON, or as `human` shows it."""
    if as_json:
        print(json.dumps(data, indent=2, default=str))
    else:
        human(data)
