"""Keeps a library from making this process one that everything else on the machine has to wait for."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["real_time_threads", "usual_scheduling"]

_TASKS = Path("/proc/self/task")


def real_time_threads() -> set[int]:
    """The threads of this process that others have to wait for (SCHED_FIFO, SCHED_RR); none where that cannot be told."""
    found: set[int] = set()
    if sys.platform != "linux":
        return found
    with contextlib.suppress(OSError):
        for task in os.listdir(_TASKS):
            with contextlib.suppress(OSError):  # it has ended
                if os.sched_getscheduler(int(task)) in (os.SCHED_FIFO, os.SCHED_RR):
                    found.add(int(task))
    return found


@contextlib.contextmanager
def usual_scheduling() -> Iterator[None]:
    """Threads that become real-time ones within, this one or new ones, are made usual ones again.

    SVT-AV1 does that to itself and to the thread that opens it, if root asks, as in a container. What that thread then starts
    inherits it: other libraries' workers, whole processes. On two cores, threads that wait by yielding (OpenVINO's) never let those
    run for which they wait, and the machine stands still.
    """
    before = real_time_threads()
    try:
        yield
    finally:
        if sys.platform == "linux":
            for task in real_time_threads() - before:
                with contextlib.suppress(OSError):
                    os.sched_setscheduler(task, os.SCHED_OTHER, os.sched_param(0))
