"""A source with a limit on its rate: frames beyond it are left out evenly, before any work is done on them."""

from __future__ import annotations

from collections.abc import Iterator

from streamseg.core.types import Frame
from streamseg.decode import Decoder

__all__ = ["Paced"]

JITTER = 0.25
"""Share of the time between two frames by which one may come early: cameras do not keep time to the millisecond."""


class Paced:
    """Frames of a decoder, `rate` a second at most; None: all. The rate may be changed while it runs, by any thread."""

    def __init__(self, decoder: Decoder, rate: float | None = None) -> None:
        self._decoder = decoder
        self.rate = rate
        self.skipped = 0
        """Frames that were left out."""

    def frames(self) -> Iterator[Frame]:
        """Those that are within the rate, by their own time: the first, then each that is the next to be due."""
        due = -1e300
        before: float | None = None
        for frame in self._decoder.frames():
            step = 0.0 if before is None else frame.time - before
            before = frame.time
            if self.rate is None:
                due = frame.time
            elif frame.time < due - JITTER * min(step, 1 / self.rate):
                self.skipped += 1
                continue
            else:
                due += 1 / self.rate
                if due <= frame.time:  # behind by more than one: the source is slower than the limit, or was away
                    due = frame.time + 1 / self.rate
            yield frame

    def stop(self) -> None:
        """As the decoder's."""
        self._decoder.stop()

    def close(self) -> None:
        """As the decoder's."""
        self._decoder.close()
