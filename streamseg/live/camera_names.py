"""What cameras are called that were given by their addresses alone."""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from streamseg.decode.images import SUFFIXES
from streamseg.pipeline.outputs import film_of

__all__ = ["named"]


def named(sources: Sequence[str]) -> dict[str, str]:
    """Name → address: of a network camera its host, of others what they are called; numbered where two are called alike."""
    found: dict[str, str] = {}
    for source in sources:
        word = re.sub(r"[^A-Za-z0-9]+", "-", _called(source)).strip("-").lower()[:56] or "camera"
        number, name = 1, word
        while name in found:
            number += 1
            name = f"{word}-{number}"
        found[name] = source
    return found


def _called(source: str) -> str:
    address = urlsplit(source) if "://" in source else None
    if address is not None and address.hostname:
        return address.hostname
    path = Path(source if address is None else unquote(address.path))
    one = path.is_file() or not ("%" in path.name or glob.has_magic(path.name))
    return path.stem if one and path.suffix.lower() in SUFFIXES and not path.is_dir() else film_of(source)[0]
