"""The verb `streamseg jobs`: how a job of many films stands."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamseg.cli.flags import JsonOption

if TYPE_CHECKING:
    from streamseg.jobs.standing import Standing


def jobs(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the outputs of the job go.")],
    every: Annotated[bool, typer.Option("--all", help="List the films that are done, too.")] = False,
    retry: Annotated[bool, typer.Option("--retry", help="Give the command again that began it: what is done stays.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show how a job of many films stands: what is done, what failed and why, how fast it goes, and how long it will take.

    What failed or was interrupted is tried again by the command that began the job, or with --retry.
    """
    from rich.table import Table
    from rich.text import Text

    from streamseg.cli.display import stdout
    from streamseg.jobs.standing import standing

    found = standing(folder)
    if retry:
        _again(found)
    if as_json:
        print(json.dumps(found.to_json(), indent=2))
        return
    console = stdout()
    shown = {source: entry for source, entry in found.films.items() if every or entry.status != "done"}
    if shown:
        table = Table("film", "status", "frames", "seconds", "why")
        for source, entry in shown.items():
            seconds = f"{entry.seconds:.1f}" if entry.seconds else ""
            table.add_row(Text(source), entry.status, str(entry.frames or ""), seconds, Text(entry.error or ""))
        console.print(table)
    counts = [
        f"{len(found.having(status))} {status}"
        for status in ("done", "failed", "interrupted", "running")
        if found.having(status)
    ]
    total = f"{found.of} films" if found.of else f"{len(found.films)} films so far"
    console.print(Text(f"{total}: {', '.join(counts) or 'none begun'}"))
    if found.rate:
        left = found.seconds_left
        console.print(Text(f"{found.rate:.0f} films an hour" + (f", about {in_words(left)} left" if left else "")))


def _again(found: Standing) -> None:
    """Give the command again that began a job; does not come back. Raises ConfigError where it is not known."""
    from streamseg.errors import ConfigError

    if not found.command:
        raise ConfigError(
            f"--retry: the book of {found.folder} does not say how the job was begun (by a program, an older version, or with a "
            "password); give its command again: what is done stays"
        )
    print(f"streamseg {shlex.join(found.command)}", file=sys.stderr)
    command = [sys.executable, "-m", "streamseg", *found.command]
    if os.name != "nt":
        os.chdir(found.begun_in)
        os.execv(sys.executable, command)
    sys.exit(subprocess.call(command, cwd=found.begun_in))


def in_words(seconds: float) -> str:
    """`90 s`, `12 min`, `2.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"
