"""How many cores there are for us."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["allowed_cores", "core_count"]

_ROOT = Path("/")


def core_count() -> int:
    """Cores that this process may keep busy: those it may use, or fewer where its container has a limit (`docker run --cpus 2`).

    Threads beyond a limit do not compute more: all are stopped together once it is used up.
    """
    return max(1, min(allowed_cores(), *(math.ceil(limit) for limit in _limits())))


def allowed_cores() -> int:
    """Cores on which this process may run; where the system cannot tell (macOS, Windows), those that the machine has."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed is not None else os.cpu_count() or 1


def _limits() -> Iterator[float]:
    """Cores' worth of time that Linux gives to the cgroups (2, or 1) that this process is in; infinite last."""
    for line in _text(_ROOT / "proc/self/cgroup").splitlines():
        _, kinds, group = (*line.split(":", 2), "", "")[:3]
        if kinds == "":
            base, name, period = _ROOT / "sys/fs/cgroup", "cpu.max", ""
        elif "cpu" in kinds.split(","):
            base, name, period = _ROOT / "sys/fs/cgroup/cpu", "cpu.cfs_quota_us", "cpu.cfs_period_us"
        else:
            continue
        here = base / group.strip("/")
        for folder in (here, *here.parents):  # a limit holds for all that is below
            if not folder.is_relative_to(base):
                break
            words = f"{_text(folder / name)} {_text(folder / period) if period else ''}".split()
            if len(words) == 2 and words[0].isdecimal() and words[1].isdecimal() and int(words[1]):
                yield int(words[0]) / int(words[1])
    yield 1e9


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
