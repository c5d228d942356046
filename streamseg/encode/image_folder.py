"""A folder that a run fills with numbered images: what may be there before, and what is left of an earlier run."""

from __future__ import annotations

import os
import re
from pathlib import Path

from streamseg.errors import OutputError, OutputExists, OutputIsInput
from streamseg.system.output_files import make_folder, same_place

__all__ = ["check_folder", "left_there", "numbered"]


def check_folder(folder: Path, source: Path | None, overwrite: bool, written: re.Pattern[str], what: str = "images") -> None:
    """Refuse a folder for images that is the source's own, is none, or holds some (unless `overwrite`); then make it.

    `written` fits the names of those that will be; `what`: what they are. Raises OutputIsInput, OutputExists or OutputError.
    """
    if source is not None and not source.is_file():  # a folder, or a pattern within one
        own = source if source.is_dir() else source.parent
        if same_place(own, folder):
            raise OutputIsInput(f"{folder}: the source's own images are there; choose another folder")
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: is not a folder; choose another name")
    if (old := _there(folder, written)) and not overwrite:
        raise OutputExists(f"{folder}: {len(old)} {what} such as {old[0]} exist; pass --overwrite or choose another folder")
    make_folder(folder)
    if not os.access(folder, os.W_OK):
        raise OutputError(f"{folder}: no permission to write here; choose another place or change the permissions")


def numbered(pattern: str) -> re.Pattern[str]:
    """What fits the names that a printf pattern with one number, such as `%06d.png`, can make."""
    before, _, after = re.split(r"%(0\d{1,2})?d", pattern)
    return re.compile(rf"{re.escape(before)}\d+{re.escape(after)}")


def left_there(folder: Path, written: re.Pattern[str], count: int) -> str:
    """A sentence where a folder holds more than the `count` images that this run has written; else empty."""
    old = len(_there(folder, written)) - count
    return f"{folder}: {old} images of an earlier run are still there" if old > 0 else ""


def _there(folder: Path, written: re.Pattern[str]) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder) if written.fullmatch(name))
    except OSError:
        return []
