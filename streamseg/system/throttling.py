"""What took computing time from this process while it ran: heat, the host of a virtual machine, or a container's limit.

Only what the system counts is told (Linux does); where it counts nothing, nothing is claimed.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Throttling", "lost_since", "read_throttling"]

_ROOT = Path("/")
NOTABLE = 0.05
"""Share of the time from which on it is told."""


@dataclass(frozen=True, slots=True)
class Throttling:
    """Counters that only grow."""

    heat: int | None
    """Times that a core was slowed down because it was hot; None: not counted here. This and the next are the whole machine's."""
    stolen: float | None
    """Seconds that the host gave to other machines while cores here had work."""
    limited: float | None
    """Seconds for which this process's container (its cgroup) was stopped because it had used its share."""


def read_throttling() -> Throttling:
    """The counters as they stand."""
    return Throttling(_heat(), _stolen(), _limited())


def lost_since(before: Throttling, seconds: float, cores: int) -> list[str]:
    """What was lost in the `seconds` since `before`, in sentences; empty where it was little, or is not counted."""
    now, told = read_throttling(), []
    if (heat := _grown(before.heat, now.heat)) > 0:
        told.append(f"the processor was throttled for heat {heat:.0f} times")
    if seconds > 0 and (share := _grown(before.stolen, now.stolen) / (seconds * cores)) >= NOTABLE:
        told.append(f"the host of this virtual machine took {share:.0%} of its cores' time for others")
    if seconds > 0 and (share := _grown(before.limited, now.limited) / (seconds * cores)) >= NOTABLE:
        told.append(f"the limit of this container stopped its threads for {share:.0%} of the time")
    return told


def _grown(before: float | None, now: float | None) -> float:
    return 0.0 if before is None or now is None else now - before


def _heat() -> int | None:
    counts = [_number(p) for p in _ROOT.glob("sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/core_throttle_count")]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _stolen() -> float | None:
    if sys.platform == "win32":
        return None  # it has no sysconf
    fields = _text(_ROOT / "proc/stat").partition("\n")[0].split()
    try:
        return int(fields[8]) / os.sysconf("SC_CLK_TCK")  # cpu user nice system idle iowait irq softirq steal
    except (IndexError, ValueError):
        return None


def _limited() -> float | None:
    """Of cgroup 2; summed over its threads."""
    group = next((line[3:] for line in _text(_ROOT / "proc/self/cgroup").splitlines() if line.startswith("0::")), None)
    if group is None:
        return None
    for folder in (_ROOT / "sys/fs/cgroup" / group.strip("/"), _ROOT / "sys/fs/cgroup"):
        for line in _text(folder / "cpu.stat").splitlines():
            name, _, value = line.partition(" ")
            if name == "throttled_usec" and value.isdecimal():
                return int(value) / 1e6
    return None


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdecimal() else None


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
