"""What cameras are called that were given by their addresses alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from streamseg.pipeline.outputs import film_of

__all__ = ["named"]


def named(sources: Sequence[str]) -> dict[str, str]:
    """Name → address: of a network camera its host, of others what they are called; numbered where two are called alike."""
    found: dict[str, str] = {}
    for source in sources:
        host = urlsplit(source).hostname if "://" in source else None
        word = re.sub(r"[^A-Za-z0-9]+", "-", host or film_of(source)[0]).strip("-").lower()[:56] or "camera"
        number, name = 1, word
        while name in found:
            number += 1
            name = f"{word}-{number}"
        found[name] = source
    return found
