"""Names of layers that every compositor takes: letters, digits and underscores, a letter first, no two the same.

Nuke drops layers whose names are numbers, and puts channels without a layer into one called "other". Readers of OpenEXR before
version 2 take names of 31 characters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container

__all__ = ["layer_name"]

_LONGEST = 31 - len(".A")
_TAKEN = frozenset({"rgba", "rgb", "alpha", "red", "green", "blue", "depth", "order", "id", "other", "none", "all", "mask"})
"""What a compositor has already, or the file."""


def layer_name(name: str, taken: Container[str]) -> str:
    """What the layer of `name` is called: `person#3` is `person_3`, `Jörg` is `Jorg`; with a number behind it if it is `taken`."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    safe = re.sub(r"[^A-Za-z0-9]+", "_", plain).strip("_")
    if not safe or not safe[0].isalpha() or safe.lower() in _TAKEN or safe.lower().startswith("crypto"):
        safe = f"track_{safe}".rstrip("_")
    safe, number = safe[:_LONGEST], 1
    chosen = safe
    while chosen in taken:
        number += 1
        tail = f"_{number}"
        chosen = safe[: _LONGEST - len(tail)] + tail
    return chosen
