"""A bounded, ordered hand-over between two threads."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, Literal, TypeVar

__all__ = ["Channel", "Closed", "Policy"]

T = TypeVar("T")
Policy = Literal["block", "drop_oldest"]


class Closed(Exception):
    """The channel takes or gives nothing more."""


class Channel(Generic[T]):
    """A bounded, ordered hand-over between two threads."""

    def __init__(self, capacity: int, policy: Policy = "block") -> None:
        if capacity < 1:
            raise ValueError(f"a channel needs room for at least one item, got {capacity}")
        self.capacity, self.policy = capacity, policy
        self.dropped = 0
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._closed = False

    def put(self, item: T) -> None:
        """Hand over `item`; waits or drops the oldest when full, as the policy says. Raises Closed."""
        with self._changed:
            while len(self._items) >= self.capacity and not self._closed:
                if self.policy == "drop_oldest":
                    self._items.popleft()
                    self.dropped += 1
                else:
                    self._changed.wait()
            if self._closed:
                raise Closed
            self._items.append(item)
            self._changed.notify_all()

    def get(self) -> T:
        """The oldest item; waits for one. Raises Closed when it is closed and nothing is left."""
        with self._changed:
            while not self._items and not self._closed:
                self._changed.wait()
            if not self._items:
                raise Closed
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def close(self, *, discard: bool = False) -> None:
        """Take nothing more; what is inside can still be got, unless `discard`."""
        with self._changed:
            self._closed = True
            if discard:
                self._items.clear()
            self._changed.notify_all()

    @property
    def queued(self) -> int:
        """Items that wait inside."""
        return len(self._items)
