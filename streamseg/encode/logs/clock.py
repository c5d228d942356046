"""The times of a log: whole nanoseconds that rise strictly, since 1970 where that is known, else since the film's zero.

A film's times come from its own ticks, so that a variable rate is kept to the nanosecond.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamseg.core.result import Result
    from streamseg.core.types import Frame

__all__ = ["LogClock"]

_NANO = 1_000_000_000


class LogClock:
    """Gives each frame its time. `absolute` says which kind of time that is; it does not change amid a log."""

    def __init__(self, first: Result) -> None:
        """`first`: the first frame. Its capture, or the receiver's fix at it, says what time it is."""
        frame, fix = first.frame, None if first.scene is None else first.scene.fix
        utc = frame.utc if frame.utc is not None else None if fix is None else fix.utc
        self.absolute = utc is not None
        """The times are since 1970, UTC; False: since the film's zero."""
        # A film may begin before its own zero; no log can.
        self._shift = max(0, -_ticks(frame)) if utc is None else round(utc * _NANO) - _ticks(frame)
        self._utc = frame.utc is not None
        self._last = -1

    def at(self, frame: Frame) -> int:
        """Nanoseconds of a frame, of each once and in order."""
        if self._utc and frame.utc is not None:
            self._shift = round(frame.utc * _NANO) - _ticks(frame)
        self._last = max(self._last + 1, _ticks(frame) + self._shift)
        return self._last

    def moment(self, seconds: float) -> int:
        """Nanoseconds of a presentation time in seconds, as of an event: by the clock of the frame that came last."""
        return max(0, round(seconds * _NANO) + self._shift)


def _ticks(frame: Frame) -> int:
    return round(frame.pts * frame.time_base * _NANO)
