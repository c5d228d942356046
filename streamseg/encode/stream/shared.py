"""What one camera shows, encoded once for all who listen: browsers, recordings, media servers.

It lasts as long as the camera is known. Frames may stop, come back at another size, or begin to count anew: the stream's own time
goes on rising. While nobody listens nothing is encoded.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from streamseg.encode.stream.encoder import About, LiveEncoder, StreamSettings
from streamseg.encode.stream.fmp4 import TIMESCALE
from streamseg.encode.stream.listener import Listener
from streamseg.encode.stream.unit import StreamFormat, Unit
from streamseg.errors import StreamsegError

if TYPE_CHECKING:
    from streamseg.core.types import Frame
    from streamseg.encode.sink import RenderedPicture
    from streamseg.encode.video.encoder import Described

__all__ = ["SharedStream"]

_KEY_SECONDS = 2.0
_KEY_PAUSE = 0.25
"""Seconds between key frames that listeners ask for: who comes and goes all the time makes the picture no worse for others."""
_CLOCK_SET = 10.0
"""Seconds by which the source's time and the wall's may differ from one picture to the next, before the source's clock was set."""
_REMEMBERED = 600
_WINDOW = 2.0


class SharedStream:
    """Thread-safe; `put` waits for no listener."""

    def __init__(self, name: str, settings: StreamSettings | None = None, *, gpu: bool = False) -> None:
        """`name`: what messages call it. `gpu`: take the encoder of a GPU that has one."""
        self.name = name
        self.about: Described = About()
        """What is known of the source beside its pictures: its `SourceInfo`, once it is open."""
        self.failed = ""
        """Why the last picture could not be encoded; empty: it could."""
        self.too_slow = 0
        """Listeners that were let go because they were too slow."""
        self.encoded = 0
        self._settings, self._gpu = settings or StreamSettings(), gpu
        self._listening = threading.Lock()
        self._listeners: tuple[Listener, ...] = ()
        self.closed = ""
        """Why nothing more will come; empty: it goes on."""
        self._encoding = threading.Lock()
        self._encoder: LiveEncoder | None = None
        self._newest: RenderedPicture | None = None
        self._formats = 0
        self._format: StreamFormat | None = None
        self._ticks, self._origin, self._source_time, self._shown_at = -1, 0.0, 0.0, 0.0
        self._key_at, self._key_ticks, self._wanted = 0.0, 0, False
        self._latency: deque[float] = deque(maxlen=_REMEMBERED)
        self._made: deque[tuple[float, int]] = deque(maxlen=_REMEMBERED)

    def listen(self, on_ready: Callable[[], None] | None = None, *, patience: float = 2.0) -> Listener:
        """All pictures from the next key frame on, which is the next picture; the newest one at once, where nobody listened before.

        Args:
            on_ready: Called from any thread whenever there is something to take; it must not wait.
            patience: Seconds of pictures that may wait for it; who is further behind is let go.
        """
        listener = Listener(self, patience, on_ready)
        with self._listening:
            first, closed = not self._listeners, self.closed
            if not closed:
                self._listeners = (*self._listeners, listener)
                self._wanted = True
        if closed:
            listener.end(closed)
        elif first:
            with self._encoding:
                if self._newest is not None and self._encoder is None:
                    self._show(self._newest)
        return listener

    def put(self, rendered: RenderedPicture) -> None:
        """Show one more picture. A picture that cannot be encoded is said in `failed`, and the next one is tried anew."""
        with self._encoding:
            if self.closed:
                return
            self._newest = rendered
            if self._listeners:
                self._show(rendered)
            else:
                self._encoder = None

    def want_key(self) -> None:
        """Make the next picture one at which decoding can begin, unless the last one was just now."""
        self._wanted = True

    def stats(self) -> dict[str, Any]:
        """Who listens, and what it costs: pictures and bits a second, and milliseconds from the frame's arrival to its fragment."""
        now = time.monotonic()
        with self._encoding:
            recent = [size for at, size in self._made if now - at <= _WINDOW]
            latency = sorted(self._latency)
        return {
            "listeners": len(self._listeners),
            "rate": round(len(recent) / _WINDOW, 2),
            "bits": round(8 * sum(recent) / _WINDOW),
            "latency_ms": {
                f"p{p}": round(1000 * latency[min(len(latency) - 1, len(latency) * p // 100)], 1) for p in (50, 95, 99)
            }
            if latency
            else {},
            "too_slow": self.too_slow,
            "failed": self.failed,
        }

    def forget(self, listener: Listener) -> None:
        """For a listener that goes, or is let go."""
        with self._listening:
            there = listener in self._listeners
            self._listeners = tuple(each for each in self._listeners if each is not listener)
            self.too_slow += there and listener.slow

    def close(self, reason: str = "the stream has ended") -> None:
        """End for everybody; what waits for them can still be taken."""
        with self._listening:
            self.closed, listeners = self.closed or reason, self._listeners
            self._listeners = ()
        with self._encoding:
            self._encoder = self._newest = None
        for listener in listeners:
            listener.end(reason)

    def _show(self, rendered: RenderedPicture) -> None:
        frame = replace(rendered.result.frame, picture=rendered.picture)
        try:
            unit = self._encode(frame, time.monotonic())
        except StreamsegError as error:
            self._encoder, self.failed = None, str(error)
            return
        self.failed = ""
        assert self._format is not None
        for listener in self._listeners:
            listener.offer(self._format, unit)

    def _encode(self, frame: Frame, now: float) -> Unit:
        if self._encoder is None or not self._encoder.fits(frame):
            self._encoder = LiveEncoder(frame, self.about, self._settings, self._formats, gpu=self._gpu)
        ticks, wanted = self._next_ticks(frame.time, now), self._wanted and now - self._key_at >= _KEY_PAUSE
        due = ticks - self._key_ticks >= _KEY_SECONDS * TIMESCALE
        self._wanted = self._wanted and not wanted
        data, key = self._encoder.encode(frame, ticks, key=wanted or due)
        if key:
            self._key_at, self._key_ticks = now, ticks
        format = self._encoder.format
        if format is not None and (self._format is None or not format.like(self._format)):
            self._format, self._formats = format, self._formats + 1
        made = time.monotonic()
        utc = time.time() - (made - frame.arrived) if frame.arrived else 0.0
        unit = Unit(data, key, ticks, frame.index, frame.epoch, frame.pts, utc, frame.arrived, made, self.encoded)
        self.encoded += 1
        self._made.append((made, len(data)))
        if frame.arrived:
            self._latency.append(made - frame.arrived)
        return unit

    def _next_ticks(self, time: float, now: float) -> int:
        """When a frame of the source's `time` is shown, in ticks of the stream.

        As far behind the one before as the source says; where its clock was set, or it began anew, as the wall's clock says.
        """
        step, waited = time - self._source_time, now - self._shown_at
        if self._ticks < 0:
            self._origin = time
        elif step <= 0 or abs(step - waited) > _CLOCK_SET:
            self._origin = time - self._ticks / TIMESCALE - max(waited, 0.001)
        self._source_time, self._shown_at = time, now
        self._ticks = max(self._ticks + 1, round((time - self._origin) * TIMESCALE))
        return self._ticks
