"""A program's own pictures as a source: an iterator of NumPy arrays or `av.VideoFrame`s. `decode.arrays` makes pictures of them.

The iterator runs in one thread of its own from its first picture to its end, is asked for one picture at a time, and is closed
there: what reads it can be stopped while the iterator itself waits for something.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Iterator, Sized
from fractions import Fraction
from queue import SimpleQueue
from typing import Any

import av
import numpy as np
import numpy.typing as npt

__all__ = ["END", "FrameSource", "Frames", "Image"]

Image = npt.NDArray[np.uint8] | av.VideoFrame
"""uint8, RGB [height, width, 3], RGBA [height, width, 4] or grey [height, width]; or a picture of PyAV's in any format."""
Frames = Iterable[Image | tuple[Image, float | Fraction]]
"""Pictures, or pairs of a picture and its time in seconds."""

_PATIENCE = 1.0
"""Seconds that closing waits for an iterator that is at work."""
END = object()


class FrameSource:
    """What an iterable gives, to be read once."""

    def __init__(self, items: Frames, name: str = "frames", rate: Fraction | None = None) -> None:
        """`name`: for people; `rate`: nominal frames a second, where that is known."""
        self._items: Iterable[Any] = items
        self._name, self.rate = name, rate
        self.count = len(items) if isinstance(items, Sized) else None
        """How many there are, if that is known."""
        self._asked: SimpleQueue[bool] = SimpleQueue()
        self._given: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._failed: BaseException | None = None
        self._over = False
        self.stopped = False

    def __str__(self) -> str:
        return self._name

    def pull(self) -> Any:
        """The next item, `END` behind the last and after `stop`. Raises what the iterator raises."""
        if self.stopped or self._over:
            return END
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="streamseg-frames", daemon=True)
            self._thread.start()
        self._asked.put(True)
        item, error = self._given.get()
        if error is not None:
            raise error
        self._over = item is END
        return item

    def stop(self) -> None:
        """From any thread: whoever waits for an item gets none."""
        self.stopped = True
        self._given.put((END, None))

    def close(self) -> BaseException | None:
        """End the iterator, a generator by its `close`; what that raised. Twice is harmless."""
        self.stopped = True
        self._asked.put(False)
        if self._thread is None or self._thread is threading.current_thread():
            return None
        self._thread.join(_PATIENCE)
        failed, self._failed = self._failed, None
        return failed

    def _work(self) -> None:
        items, self._items = self._items, ()
        iterator: Iterator[Any] | None = None
        while self._asked.get():
            try:
                iterator = iter(items) if iterator is None else iterator
                items = ()
                item, error = next(iterator, END), None
            except BaseException as raised:  # it is raised where the item was asked for
                item, error = END, raised
            self._given.put((item, error))
            if item is END:
                return
            del item, error
        if isinstance(iterator, Generator):
            try:
                iterator.close()
            except BaseException as raised:
                self._failed = raised
