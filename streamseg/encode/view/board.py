"""The latest picture, for any number of viewers: encoded when somebody asks, once for all of them."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import cv2

from streamseg.pixels.color import encoding
from streamseg.pixels.letterbox import Fitter
from streamseg.pixels.planes import reformat, supported, views

if TYPE_CHECKING:
    from streamseg.core.types import Frame
    from streamseg.encode.sink import RenderedPicture

__all__ = ["Board", "to_jpeg"]

_RATE_WINDOW = 2.0


def to_jpeg(frame: Frame, max_width: int, quality: int) -> bytes:
    """The picture of `frame` as JPEG (BT.601, full range), no wider than `max_width` pixels; HDR is tone-mapped.

    By way of RGB, because JFIF knows one matrix and one range only.
    """
    width = min(frame.width, max_width)
    height = max(1, round(frame.height * width / frame.width))
    picture = supported(frame.picture)
    if encoding(picture).transfer == "sdr":
        small = reformat(picture, "bgr24", width=width, height=height, exact=False)
        bgr = views(small).planes[0].array
    else:
        bgr = cv2.cvtColor(_fitting(height, width)(frame.picture, frame.field_order)[0], cv2.COLOR_RGB2BGR)
    return bytes(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1])


@lru_cache(maxsize=4)
def _fitting(height: int, width: int) -> Fitter:
    return Fitter(height, width)


class Board:
    """Where the pipeline puts pictures and viewers look. Thread-safe; putting never waits for a viewer."""

    def __init__(self, max_width: int = 1280, quality: int = 80) -> None:
        self._max_width, self._quality = max_width, quality
        self._changed = threading.Condition()
        self._encoding = threading.Lock()
        self._number = 0
        self._latest: RenderedPicture | None = None
        self._jpeg: tuple[int, bytes] = (0, b"")
        self._times: deque[float] = deque(maxlen=600)
        self._closed = False
        self.watching = 0
        """Viewers of the stream."""
        self.missed = 0
        """Pictures that a newer one replaced before they were encoded, although somebody was watching."""
        self.encoded = 0
        """Pictures encoded."""

    def enter(self, limit: int) -> bool:
        """A viewer begins to watch; False when there are `limit` already."""
        with self._changed:
            if self.watching >= limit:
                return False
            self.watching += 1
            return True

    def leave(self) -> None:
        """A viewer that was let in goes."""
        with self._changed:
            self.watching -= 1

    def put(self, rendered: RenderedPicture) -> None:
        """Show a new picture."""
        with self._changed:
            if self.watching and self._number > self._jpeg[0]:
                self.missed += 1
            self._latest = rendered
            self._number += 1
            self._times.append(time.monotonic())
            self._changed.notify_all()

    def close(self) -> None:
        """Wake every viewer; `wait` gives None from now on."""
        with self._changed:
            self._closed = True
            self._latest = None
            self._changed.notify_all()

    def wait(self, after: int, timeout: float) -> tuple[int, bytes] | None:
        """Number and JPEG of the latest picture as soon as its number is above `after`; None on time-out or when closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._number > after, timeout)
            if self._closed or self._number <= after:
                return None
        return self._encode()

    def _encode(self) -> tuple[int, bytes] | None:
        with self._encoding:
            with self._changed:
                number, latest = self._number, self._latest
            if latest is None:
                return None
            if self._jpeg[0] != number:
                shown = replace(latest.result.frame, picture=latest.picture)
                data = to_jpeg(shown, self._max_width, self._quality)
                self.encoded += 1
                self._jpeg = (number, data)
            return self._jpeg

    def stats(self) -> dict[str, Any]:
        """fps over the last two seconds, milliseconds from decoder to now at the last picture, instances by class."""
        now = time.monotonic()
        with self._changed:
            latest = self._latest
            recent = [t for t in self._times if now - t <= _RATE_WINDOW]
            frames, missed, watching = self._number, self.missed, self.watching
            last = self._times[-1] if self._times else None
        arrived = latest.result.frame.arrived if latest is not None else 0.0
        return {
            "frames": frames,
            "fps": round(len(recent) / _RATE_WINDOW, 2),
            "latency_ms": round((last - arrived) * 1000, 1) if last is not None and arrived else None,
            "dropped": missed,
            "viewers": watching,
            "time": round(latest.result.frame.time, 3) if latest is not None else None,
            "instances": dict(Counter(latest.result.instances.names)) if latest is not None else {},
        }
