"""What one camera shows: its newest picture and result, how long they took, and who else looks at every picture."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace

from streamseg.core.result import Result
from streamseg.encode.sink import RenderedPicture
from streamseg.encode.stream import SharedStream
from streamseg.encode.view.board import Board, to_jpeg
from streamseg.errors import scrub
from streamseg.live.control import Tap
from streamseg.runtime.latency import Latency

__all__ = ["CameraFeed"]

RATE_TIME = 2.0
"""Seconds over which the rate is told."""


class CameraFeed:
    """Implements `Feed`. It stays while the camera is lost, comes back, or is changed. Thread-safe."""

    def __init__(self, name: str, warn: Callable[[str], None]) -> None:
        """`name`: the camera's. `warn` hears of a tap that failed."""
        self.stream = SharedStream(name)
        """See Feed."""
        self.board = Board()
        """The newest picture, as JPEG for whoever looks."""
        self._warn = warn
        self._taps: tuple[Tap, ...] = ()
        self._lock = threading.Lock()
        self._latest: RenderedPicture | None = None
        self._latency, self._times = Latency(), deque[float](maxlen=600)

    def latest(self) -> Result | None:
        """See Feed."""
        return None if self._latest is None else self._latest.result

    @property
    def rendered(self) -> RenderedPicture | None:
        """The newest picture with its result; None: nothing yet."""
        return self._latest

    def snapshot(self, max_width: int = 1280) -> bytes:
        """See Feed."""
        latest = self._latest
        if latest is None:
            return b""
        return to_jpeg(replace(latest.result.frame, picture=latest.picture), max_width, 85)

    def watch(self, told: Callable[[], None]) -> Callable[[], None]:
        """See Feed."""

        def tap(_: RenderedPicture) -> None:
            told()

        self.tap(tap)
        return lambda: self.untap(tap)

    def tap(self, tap: Tap) -> None:
        """Give it every picture from now on."""
        with self._lock:
            self._taps = (*self._taps, tap)

    def untap(self, tap: Tap) -> None:
        """Give it no more; of one that was not there nothing happens."""
        with self._lock:
            self._taps = tuple(each for each in self._taps if each != tap)

    def show(self, rendered: RenderedPicture) -> None:
        """For the pipeline: a picture is there."""
        now, frame = time.monotonic(), rendered.result.frame
        if not frame.lost:
            self._times.append(now)
            self._latency.add(now - frame.arrived, now)
        self._latest = rendered
        self.board.put(rendered)
        self.stream.put(rendered)
        for tap in self._taps:
            try:
                tap(rendered)
            except Exception as error:
                self.untap(tap)
                self._warn(scrub(f"it is shown no more to one that failed: {type(error).__name__}: {error}"))

    def rate(self) -> float:
        """Pictures a second, over the last two."""
        now = time.monotonic()
        return sum(now - shown <= RATE_TIME for shown in self._times.copy()) / RATE_TIME

    def latency_ms(self) -> Mapping[str, float]:
        """From capture to the composited picture, over the last minute: p50, p95, p99; empty: nothing came."""
        return self._latency.milliseconds()

    def close(self) -> None:
        """Wake whoever waits for a picture."""
        self.board.close()
        self.stream.close()
