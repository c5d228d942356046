"""A film that is being decoded from some place on, by the same `Decoder` that plays it."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Generator, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

from streamseg.core.types import Frame
from streamseg.decode.decoder import Decoder
from streamseg.decode.info import SourceInfo
from streamseg.decode.timetable import Timetable

__all__ = ["FilmFrom"]


class FilmFrom:
    """A film that is being decoded from some place on. It is used by one thread; `stop` may be called from any."""

    def __init__(
        self,
        source: str | os.PathLike[str],
        options: dict[str, Any],
        start: Fraction = Fraction(0),
        table: Timetable | None = None,
    ) -> None:
        """options: those of `Decoder`; start: what it takes as `start`; table: what the film's packets say."""
        self.from_start = start == 0
        self.table = table
        """By which frames are numbered; None: the decoder counts."""
        # Packets of another clock tell times that are not those of the run.
        known = table if table is not None and (table.by_place or not table.jumps) else None
        self.decoder = Decoder(source, **options | {"start": start, "known": known})
        """What reads it."""
        self._frames: Iterator[Frame] = iter(())
        self._ahead: Frame | None = None
        self.next = 0
        """Number of the frame that `take` gives."""
        self._epoch = 0

    def open(self) -> SourceInfo:
        """Decode up to the first frame. Raises what `Decoder.open` raises, and SourceError where no seek leads to `start`."""
        try:
            info = self.decoder.open()
            self._frames = self.decoder.frames()
            self._ahead = next(self._frames, None)
        except BaseException:
            self.decoder.close()
            raise
        if self._ahead is not None:
            self.next = self._ahead.index
            self._epoch = 0 if self.table is None else bisect_right(self.table.jumps, self._ahead.pts)
        return info

    @property
    def info(self) -> SourceInfo:
        """What is known of the film."""
        return self.decoder.info

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

    def stop(self) -> None:
        """From any thread: whatever waits or reads ends."""
        self.decoder.stop()

    def close(self) -> None:
        """Close the decoder."""
        if isinstance(self._frames, Generator):
            self._frames.close()
        self.decoder.close()
