"""Backdrop: the picture or video that takes the place of a film's background, frame by frame, at the film's own times."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from streamseg.core.types import Frame
from streamseg.decode import Decoder, SourceInfo
from streamseg.decode.address import parse_source
from streamseg.errors import ConfigError, StreamsegError

__all__ = ["Backdrop", "check"]

_GUESS = 0.04
"""Seconds that a last picture lasts where nothing says it."""


class Backdrop:
    """A file that is read along with a film; used by one thread. A file with one picture is a still, which is always shown.

    Raises SourceError (or what else opening a source raises) and ConfigError for what is no file, in which `background` is named.
    """

    def __init__(self, source: str, *, loop: bool = True) -> None:
        """`loop`: begin anew at the end; otherwise the last picture stays."""
        self._source, self._loop = source, loop
        self._decoder: Decoder | None = None
        self._frames: Iterator[Frame] = iter(())
        self._lap = 0.0
        """When its first picture is shown, seconds of the film."""
        self._still = False
        self.info = self._open()

    def at(self, time: float) -> Frame:
        """The frame that is shown at `time`, seconds of the film. Times that go back are allowed, and cost a new beginning."""
        if self._still:
            return self._now
        if time < self._lap + self._begins(self._now):
            self._lap, self.info = 0.0, self._open()
        while True:
            if self._next is not None:
                if time < self._lap + self._begins(self._next):
                    return self._now
                self._step()
                continue
            length = self._begins(self._now) + self._last_lasts
            if self._still or not self._loop or time < self._lap + length:
                return self._now
            self._lap += length * int((time - self._lap) / length)
            if time < self._lap:  # rounded
                self._lap -= length
            self.info = self._open()

    def close(self) -> None:
        """Close the file."""
        if self._decoder is not None:
            self._decoder.close()

    def _open(self) -> SourceInfo:
        self.close()
        # An interlaced one would show combs as soon as it is scaled.
        self._decoder = Decoder(self._source, deinterlace="frame", wait="no")
        try:
            address = parse_source(self._source)
            if address.kind not in ("file", "images"):
                raise ConfigError(f"{address.name} cannot be read again and again; name a file")
            info = self._decoder.open()
            self._frames = self._decoder.frames()
            self._now = first = next(self._frames)
            self._first_time, self._last_lasts = first.time, float(first.duration * first.time_base) or _GUESS
            self._next = next(self._frames, None)
        except StreamsegError as error:
            self.close()
            raise _named(error) from error
        except StopIteration:
            self.close()
            raise ConfigError(f"background: {self._source}: there is no picture in it") from None
        self._still = self._next is None
        return info

    def _step(self) -> None:
        assert self._next is not None
        gap = self._next.time - self._now.time
        self._now = self._next
        self._last_lasts = float(self._now.duration * self._now.time_base) or gap
        try:
            self._next = next(self._frames, None)
        except StreamsegError as error:
            raise _named(error) from error

    def _begins(self, frame: Frame) -> float:
        return frame.time - self._first_time


def check(source: str) -> None:
    """Raise what opening `source` as a backdrop does."""
    with closing(Backdrop(source)):
        pass


def _named(error: StreamsegError) -> StreamsegError:
    return type(error)(f"background: {error}") if len(error.args) == 1 else error
