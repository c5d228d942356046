"""Names of recordings: the wall-clock time at which they begin, local, with its distance from UTC, so that no hour comes twice.

FOLDER/CAMERA/2026-11-30/2026-11-30_17-07-06+0100.mp4     continuous
FOLDER/CAMERA/clips/2026-11-30_17-07-06+0100.mp4          of events
... .part.mp4                                             being written, or cut off; it plays up to there
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from streamseg.system.file_names import file_name

__all__ = ["CLIPS", "Named", "free_name", "named", "part_name", "recording_path", "stamp"]

CLIPS = "clips"
_NAME = re.compile(r"(\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d[+-]\d{4})(?:-\d+)?(\.part)?\.(mp4|mkv|mov|ts|webm)")


@dataclass(frozen=True, slots=True)
class Named:
    """What the place and name of a recording say."""

    begin_utc: float
    clip: bool
    part: bool
    """Not finished."""


def stamp(utc: float) -> str:
    """A time as it stands in a name."""
    return datetime.fromtimestamp(utc, UTC).astimezone().strftime("%Y-%m-%d_%H-%M-%S%z")[:24]


def recording_path(folder: Path, camera: str, utc: float, suffix: str, *, clip: bool) -> Path:
    """Where a recording that begins at `utc` goes, if nothing is there yet."""
    name = stamp(utc)
    return folder / file_name(camera) / (CLIPS if clip else name[:10]) / f"{name}{suffix}"


def part_name(path: Path) -> Path:
    """Its name until it is finished."""
    return path.with_name(f"{path.stem}.part{path.suffix}")


def free_name(path: Path, *, beside: bool = True) -> Path:
    """`path`, or with a number behind it where that is there: nothing is ever overwritten. `beside`: or one being written."""
    number, free = 1, path
    while free.exists() or free.is_symlink() or (beside and part_name(free).exists()):
        number += 1
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return free


def named(path: Path) -> Named | None:
    """What a file's name says; None where it is no recording's."""
    found, place = _NAME.fullmatch(path.name), path.parent.name
    if found is None or place not in (CLIPS, found[1][:10]):
        return None
    try:
        begin = datetime.strptime(found[1], "%Y-%m-%d_%H-%M-%S%z")
    except ValueError:
        return None
    return Named(begin.timestamp(), place == CLIPS, found[2] is not None)
