"""Hands news to whoever listens, and never waits for them: a listener that is slow loses the oldest, and that is counted."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator

from streamseg.live.news import News

__all__ = ["Bus", "Subscription"]


class Subscription:
    """The news of one listener, oldest first. `get` and `close` may be called from any thread."""

    def __init__(self, bus: Bus, kinds: tuple[type, ...], size: int) -> None:
        self._bus, self._kinds, self._size = bus, kinds, size
        self._changed = threading.Condition()
        self._waiting: deque[News] = deque()
        self._closed = False
        self.dropped = 0
        """News that were lost because `size` others waited."""

    def offer(self, news: News) -> None:
        """For the bus: keep it, if this listener wants it."""
        if self._kinds and not isinstance(news, self._kinds):
            return
        with self._changed:
            if self._closed:
                return
            if len(self._waiting) >= self._size:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(news)
            self._changed.notify_all()

    def get(self, timeout: float | None = None) -> News | None:
        """The oldest; None when none came within `timeout` seconds (None: wait), or when closed."""
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while not self._waiting and not self._closed:
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return None
                self._changed.wait(left)
            return self._waiting.popleft() if self._waiting else None

    @property
    def waiting(self) -> int:
        """News that wait to be taken."""
        with self._changed:
            return len(self._waiting)

    def __iter__(self) -> Iterator[News]:
        """All there is and will be, until it is closed."""
        while (news := self.get()) is not None:
            yield news

    def close(self) -> None:
        """Want no more; what waits can still be taken."""
        self._bus.forget(self)
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Bus:
    """Where news are told. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: tuple[Subscription, ...] = ()
        self._closed = False

    def subscribe(self, *kinds: type, size: int = 256) -> Subscription:
        """News of these kinds (none named: all) from now on, at most `size` of them waiting."""
        listener = Subscription(self, kinds, size)
        with self._lock:
            closed = self._closed
            if not closed:
                self._listeners = (*self._listeners, listener)
        if closed:
            listener.close()
        return listener

    def publish(self, news: News) -> None:
        """Tell everyone who wants it; never waits."""
        for listener in self._listeners:
            listener.offer(news)

    def forget(self, listener: Subscription) -> None:
        """For a subscription that ends."""
        with self._lock:
            self._listeners = tuple(each for each in self._listeners if each is not listener)

    def close(self) -> None:
        """End every subscription, after what waits in it."""
        with self._lock:
            self._closed, listeners = True, self._listeners
        for listener in listeners:
            listener.close()
