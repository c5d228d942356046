"""A call at a time that may be changed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

__all__ = ["Alarm"]


class Alarm:
    """Calls `act` in a thread of its own, which begins when a time is first set. Any thread may set it, also `act` itself."""

    def __init__(self, act: Callable[[], None], name: str) -> None:
        self._act, self._name = act, name
        self._changed = threading.Condition()
        self._due: float | None = None
        self._closed = False
        self._thread: threading.Thread | None = None

    def set(self, due: float | None) -> None:
        """Call once at that time of the monotonic clock, instead of the one that was set before; None: not at all."""
        if due is None and self._due is None:
            return
        with self._changed:
            self._due = due
            if self._thread is None:
                self._thread = threading.Thread(target=self._wait, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify()

    def close(self) -> None:
        """Call no more, and wait for a call that is under way."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _wait(self) -> None:
        while True:
            with self._changed:
                while not self._closed and (self._due is None or self._due > time.monotonic()):
                    self._changed.wait(None if self._due is None else self._due - time.monotonic())
                if self._closed:
                    return
                self._due = None
            self._act()
