"""Bounds how long frames of a live source are under way: one is only begun if those before it get through in time.

Between the stages there is room for many frames, so that the network is not waited for. Where the stages behind it are the slower
ones, all of that room would be full all the time, and each frame would come out as late as that. So a frame is left out, before any
work is done on it, while the one that is under way for longest is older than the network takes plus the time between two frames.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from streamseg.core.types import Frame
from streamseg.runtime import Skip, Stage

__all__ = ["BEHIND", "Admission"]

BEHIND = "behind"
"""Why a frame is skipped before which others are under way for too long."""
LOST = 1.0
"""Seconds after which a frame is no longer waited for: it may have been left out on its way."""
_FADE = 0.1


class Admission:
    """The stage `preprocess`, which it asks only for frames that are begun; told of those that are through, from any thread."""

    def __init__(self, stage: Stage, service: Callable[[], float]) -> None:
        """`service`: seconds that the network takes for a frame, as it is now; 0 while that is not known."""
        self._stage, self.service = stage, service
        self._lock = threading.Lock()
        self._under_way: dict[tuple[int, int], float] = {}
        """When those that were begun arrived, of the monotonic clock; the oldest first."""
        self._interval = 0.0
        self._before: Frame | None = None

    def __call__(self, frame: Frame) -> Any:
        """What the stage makes of it, or Skip."""
        return self._stage(frame) if self.admits(frame) else Skip(BEHIND)

    def admits(self, frame: Frame) -> bool:
        """Whether to begin with this frame."""
        before, self._before = self._before, frame
        frames = 0 if before is None or before.epoch != frame.epoch else frame.index - before.index
        if before is not None and frames > 0:
            step = (frame.time - before.time) / frames
            self._interval += _FADE * (step - self._interval) if self._interval else step
        now = time.monotonic()
        with self._lock:
            service = self.service()
            oldest = next(iter(self._under_way.values()), now)
            if now - oldest > max(LOST, 4 * service):
                self._under_way.clear()
            elif now - oldest > service + self._interval:
                return False
            self._under_way[frame.epoch, frame.index] = frame.arrived
        return True

    def through(self, frame: Frame) -> None:
        """It is shown, or was left out."""
        with self._lock:
            self._under_way.pop((frame.epoch, frame.index), None)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stage, name)  # close, flush: where the stage has them
