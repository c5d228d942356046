"""Tells when the pictures of a live source were captured, by the clock on the wall.

A camera that sends RTCP sender reports (RFC 3550, 6.4.1) says so itself; libav puts it beside each packet. It is believed where it
is near this machine's clock, since many cameras are set to 1970 or to their own time zone. All other pictures were captured when
they arrived, at the latest: of the delays seen so far the shortest is taken, so that a network's jitter is no jitter of the times.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import av

    Packet = av.Packet[Any]

__all__ = ["TRUST", "WallClock", "told_by"]

TRUST = 30.0
"""Seconds by which a camera's clock may differ from this machine's and still be believed."""
_JITTER = 1.0
"""Seconds by which a picture may come later than the quickest one and still count as late. Beyond it the camera's own times are not
to be trusted: some count 25 pictures a second, and send 21.
"""
_SLOWEST = 0.5
"""Within an epoch time goes on at least so fast, while it is found to have been ahead."""
_DRIFT = 1e-3
"""Seconds a second: by more no camera's clock and this machine's go apart."""
_PRFT = struct.Struct("=q")
"""AVProducerReferenceTime.wallclock (libavcodec/defs.h): microseconds since 1970, UTC."""


def told_by(packet: Packet) -> float | None:
    """When the sender says that a packet's picture was captured, seconds since 1970, UTC; None: it does not."""
    if not packet.has_sidedata("prft"):
        return None
    data = bytes(packet.get_sidedata("prft"))
    return _PRFT.unpack_from(data)[0] / 1e6 if len(data) >= _PRFT.size else None


class WallClock:
    """Gives each picture of a live source, in order, the time at which it was captured: it increases within an epoch."""

    def __init__(self, say: Callable[[str], None], now: Callable[[], float] = time.time) -> None:
        """`say` hears once that the camera's clock is not believed. `now`: this machine's clock, seconds since 1970."""
        self._say, self._now = say, now
        self._epoch: int | None = None
        self._delay = 0.0
        """From a picture's time to its arrival by the wall's clock: the shortest, seconds."""
        self._last: tuple[float, float] | None = None
        """Time and UTC of the picture before."""
        self._said = False

    def utc(self, time_: float, arrived: float, told: float | None, epoch: int) -> float:
        """When a picture was captured, seconds since 1970, UTC.

        time_: of presentation, seconds. arrived: when it came, `time.monotonic()`. told: what the camera says.
        """
        came = arrived + self._now() - time.monotonic()
        if epoch != self._epoch:
            self._epoch, self._last = epoch, None
        if told is not None and abs(told - came) > TRUST:
            self._doubt(told - came)
            told = None
        passed = 0.0 if self._last is None else time_ - self._last[0]
        delay = came - time_
        self._delay = delay if self._last is None else max(min(self._delay + _DRIFT * passed, delay), delay - _JITTER)
        value = time_ + self._delay if told is None else told
        if self._last is not None:
            value = max(value, self._last[1] + _SLOWEST * passed)
        self._last = (time_, value)
        return value

    def _doubt(self, off: float) -> None:
        if not self._said:
            self._said = True
            self._say(
                f"its clock is {_duration(abs(off))} {'ahead of' if off > 0 else 'behind'} this machine's, so that times are taken "
                "from this machine; set the camera's time (NTP)"
            )


def _duration(seconds: float) -> str:
    """As people say it."""
    for unit, size in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"
