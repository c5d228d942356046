"""Settings of the whole process that somebody needs for a while: set by the first who does, given back by the last.

They belong to whoever owns the process, and streamseg is a guest in others' programs.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

__all__ = ["ProcessSetting"]

Value = TypeVar("Value")


class ProcessSetting(Generic[Value]):
    """One setting, which several threads may hold at once: at the value that the first of them asked for."""

    def __init__(self, read: Callable[[], Value], write: Callable[[Value], None]) -> None:
        self._read, self._write = read, write
        self._lock = threading.Lock()
        self._holders = 0
        self._before: Value
        self._ours: Value

    @contextlib.contextmanager
    def held(self, value: Value) -> Iterator[None]:
        """Have it at `value`. Afterwards it is what it was, unless somebody else has changed it meanwhile: then it is theirs."""
        with self._lock:
            if self._holders == 0:
                self._before = self._read()
                self._write(value)
                self._ours = self._read()  # the system may round
            self._holders += 1
        try:
            yield
        finally:
            with self._lock:
                self._holders -= 1
                if self._holders == 0 and self._read() == self._ours:
                    self._write(self._before)
