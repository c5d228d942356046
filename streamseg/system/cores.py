"""How many cores there are for us."""

from __future__ import annotations

import os

__all__ = ["core_count"]


def core_count() -> int:
    """Cores that this process may use; where the system cannot tell (macOS, Windows), those that the machine has."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed is not None else os.cpu_count() or 1
