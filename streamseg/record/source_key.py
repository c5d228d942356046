"""What tells one film from another without reading all of it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from streamseg.errors import SourceError

__all__ = ["file_key", "images_key", "same_source"]

_ENDS = 1 << 20
"""Bytes at the beginning and at the end that count."""
_PROBES, _PROBE = 64, 1 << 14
"""So many places between, of so many bytes each: of films whose frames are all of one size, one that was cut anew has the size and
the ends of the old one."""


def file_key(path: Path) -> dict[str, Any]:
    """The key of a film that is one file: its name, its size, and a check sum of its ends and of places between.

    The time of the file is no part of it: it changes with a copy. Raises SourceError where it cannot be read.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            digest = hashlib.sha256()
            for at, length in _parts(size):
                file.seek(at)
                digest.update(file.read(length))
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from error
    return {"kind": "file", "name": path.name, "size": size, "sha256": digest.hexdigest()}


def _parts(size: int) -> list[tuple[int, int]]:
    """(place, length) of what of a file of `size` bytes is looked at."""
    if size <= 2 * _ENDS + _PROBES * _PROBE:
        return [(0, size)]
    step = (size - 2 * _ENDS) // _PROBES
    return [(0, _ENDS), *((_ENDS + i * step, _PROBE) for i in range(_PROBES)), (size - _ENDS, _ENDS)]


def images_key(paths: Sequence[Path]) -> dict[str, Any]:
    """The key of a film that is a folder of images: their names, sizes and times of change.

    Of images without compression all are of one size, so that only the time tells one that was painted over.
    """
    digest, size = hashlib.sha256(), 0
    try:
        for path in paths:
            about = path.stat()
            size += about.st_size
            digest.update(f"{path.name}\0{about.st_size}\0{about.st_mtime_ns}\n".encode(errors="surrogateescape"))
    except OSError as error:
        raise SourceError(f"{error.filename}: cannot be read: {error.strerror or error}") from error
    return {"kind": "images", "name": paths[0].parent.name if paths else "", "size": size, "sha256": digest.hexdigest()}


def same_source(one: object, other: object) -> bool:
    """Whether two keys are those of one film, whatever it is called."""
    if not isinstance(one, dict) or not isinstance(other, dict):
        return False
    return all(one.get(part) == other.get(part) for part in ("kind", "size", "sha256"))
