"""A part of a film, decoded by itself: the same frames, numbers and times that reading the film from its beginning gives.

Many can read one film so, each its own part. What the film's packets promise (`Timetable`) is checked on every frame: where one has
another time, or a packet cannot be decoded, or the picture's size changes, only reading from the beginning tells what is what.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

from streamseg.core.types import Frame
from streamseg.decode.decoder import Decoder
from streamseg.decode.info import SourceInfo
from streamseg.decode.timetable import Timetable
from streamseg.errors import StreamsegError

__all__ = ["FilmFrom", "NotDivisible", "Stretch"]


class NotDivisible(StreamsegError):
    """This film must be read from its beginning."""


class FilmFrom:
    """A film that is being decoded from some place on."""

    def __init__(
        self,
        source: str | os.PathLike[str],
        options: dict[str, Any],
        start: Fraction = Fraction(0),
        table: Timetable | None = None,
    ) -> None:
        """start: seconds from the film's first picture. Raises what `Decoder.open` raises."""
        self.from_start = start == 0
        # Packets of another clock tell times that are not those of the run.
        numbers = table.number_of if table is not None and not table.jumps else None
        self.decoder = Decoder(source, **options | {"start": float(start), "numbers": numbers})
        try:
            self.info = self.decoder.open()
            self._frames = self.decoder.frames()
            self._ahead: Frame | None = next(self._frames, None)
        except BaseException:
            self.decoder.close()
            raise
        self.next = 0 if self._ahead is None else self._ahead.index
        """Number of the frame that `take` gives."""
        self._epoch = 0 if self._ahead is None or table is None else bisect_right(table.jumps, self._ahead.pts)

    @property
    def warnings(self) -> list[str]:
        """The decoder's."""
        return self.decoder.warnings

    @property
    def damaged(self) -> bool:
        """Packets could not be decoded."""
        return self.decoder.counters.decode_errors > 0

    def take(self) -> Frame | None:
        """The next frame; None: there is none. Raises what `Decoder.frames` raises."""
        frame, self._ahead = self._ahead, None
        frame = next(self._frames, None) if frame is None else frame
        if frame is not None:
            self.next = frame.index + 1
            frame = replace(frame, epoch=frame.epoch + self._epoch) if self._epoch else frame
        return frame

    def close(self) -> None:
        """Close the decoder."""
        self._frames.close()  # type: ignore[attr-defined]  # it is a generator
        self.decoder.close()


class Stretch:
    """Frames `first` up to `end` (None: the film's last), as a source of a runtime."""

    def __init__(
        self, source: str | os.PathLike[str], table: Timetable, first: int, end: int | None, options: dict[str, Any]
    ) -> None:
        """options: those of `Decoder`, without a start. Nothing is opened yet."""
        self._source, self._table, self._options = source, table, options
        self._first, self._end = first, len(table.pts) if end is None else end
        self._whole = end is None
        self._run: FilmFrom | None = None
        self._stopped = False
        self.warnings: list[str] = []
        """What was unusual."""

    def open(self) -> SourceInfo:
        """Decode up to the first of the frames. Raises what `Decoder.open` raises, and NotDivisible."""
        _, seconds = self._table.start_for(self._first) if self._first else (0, Fraction(0))
        self._run = run = FilmFrom(self._source, self._options, seconds, self._table if seconds else None)
        self.warnings = run.warnings
        if run.next > self._first or run.info.time_base != self._table.time_base:
            self.close()
            raise NotDivisible(f"{run.info.name}: frame {self._first} is not where the packets promise it")
        return run.info

    @property
    def decoder(self) -> Decoder:
        """What reads it; it is open."""
        assert self._run is not None
        return self._run.decoder

    def frames(self) -> Iterator[Frame]:
        """The frames, each checked. Raises what `Decoder.frames` raises, and NotDivisible."""
        run = self._run
        assert run is not None
        number = self._first
        while not self._stopped and number < self._end:
            frame = run.take()
            if frame is not None and frame.index < self._first:
                self._check(run, frame, frame.index)
                continue
            if frame is None:
                if self._stopped:
                    return
                raise NotDivisible(f"{run.info.name}: ends at frame {number}, and its packets promise {len(self._table.pts)}")
            self._check(run, frame, number)
            yield frame
            number += 1
        if self._whole and not self._stopped and run.take() is not None:
            raise NotDivisible(f"{run.info.name}: has more pictures than its packets promise")

    def _check(self, run: FilmFrom, frame: Frame, number: int) -> None:
        counters = run.decoder.counters
        odd = counters.decode_errors or counters.synthetic_pts or counters.non_monotonic or counters.jumps
        if odd or frame.epoch or frame.index != number or frame.pts != self._table.pts[number]:
            raise NotDivisible(
                f"{run.info.name}: at {frame.time:.2f} s it is not what its packets promise (damage, a change of size or of clock)"
            )

    def stop(self) -> None:
        """From any thread: `frames` ends soon."""
        self._stopped = True
        if self._run is not None:
            self._run.decoder.stop()

    def close(self) -> None:
        """Close the film. Twice is harmless."""
        run, self._run = self._run, None
        if run is not None:
            run.close()
