"""One who listens to a shared stream: a queue that is bounded in time and bytes, so that nobody is waited for."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol

from streamseg.encode.stream.unit import StreamFormat, Unit

__all__ = ["Listener", "Message"]

Message = StreamFormat | Unit
_MOST_BYTES = 16 << 20


class _Stream(Protocol):
    def forget(self, listener: Listener) -> None:
        """It listens no more."""


class Listener:
    """What one listener has not taken yet: a format, then units from a key frame on; a format again where it changes.

    `get`, `take` and `close` may be called from any thread.
    """

    def __init__(self, stream: _Stream, patience: float, on_ready: Callable[[], None] | None) -> None:
        self._stream, self._patience, self._on_ready = stream, patience, on_ready
        self._changed = threading.Condition()
        self._waiting: deque[tuple[float, Message]] = deque()
        self._bytes = 0
        self._format: StreamFormat | None = None
        self.ended = ""
        """Why nothing more comes; empty: it goes on."""

        self.slow = False
        """It ended because it was too far behind."""

    def offer(self, format: StreamFormat, unit: Unit) -> None:
        """For the stream: one more picture, of this format. Never waits. One who is behind by more than its patience is let go."""
        now = time.monotonic()
        with self._changed:
            if self.ended or (self._format is not format and not unit.key):
                return
            if self._format is not format:
                self._format = format
                self._waiting.append((now, format))
            self._waiting.append((now, unit))
            self._bytes += len(unit.data)
            behind = now - self._waiting[0][0]
            self.slow = slow = behind > self._patience or self._bytes > _MOST_BYTES
            if slow:
                self._waiting.clear()
                self.ended = f"too slow: {behind:.1f} s and {self._bytes / 1e6:.1f} MB behind"
            self._changed.notify_all()
        self._tell()
        if slow:
            self._stream.forget(self)

    def take(self) -> Message | None:
        """The oldest, at once; None: there is none now, or (where `ended` says why) ever again."""
        with self._changed:
            return self._pop()

    def get(self, timeout: float | None = None) -> Message | None:
        """The oldest; None when none came within `timeout` seconds (None: wait), or none will come (`ended`)."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self.ended, timeout)
            return self._pop()

    def __iter__(self) -> Iterator[Message]:
        """All there is and will be, until it ends."""
        while (message := self.get()) is not None:
            yield message

    def _pop(self) -> Message | None:
        if not self._waiting:
            return None
        message = self._waiting.popleft()[1]
        if isinstance(message, Unit):
            self._bytes -= len(message.data)
        return message

    def end(self, reason: str) -> None:
        """For the stream: nothing more comes; what waits can still be taken."""
        with self._changed:
            self.ended = self.ended or reason
            self._changed.notify_all()
        self._tell()

    def close(self) -> None:
        """Listen no more; when the last one has gone, nothing is encoded."""
        self._stream.forget(self)
        self.end("closed")

    def _tell(self) -> None:
        if self._on_ready is not None:
            self._on_ready()
