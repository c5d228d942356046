"""Any frame of a film by its number or its time, equal to what reading from the beginning gives.

The packets are read once, without decoding them, for the times of all pictures and of the key frames. A frame is then decoded from
the key frame before it, by the same `Decoder` that plays a film from there (`start`), which says the number of each frame: so what
the packets promised is checked, and where it does not hold, or a container cannot seek, the film is decoded from its beginning.
A picture that cannot be decoded counts for nobody; until one was met, frames behind it have the numbers of their packets.
What was decoded on the way is kept, as far as memory allows: stepping back through a group of pictures costs it once.
"""

from __future__ import annotations

import contextlib
import os
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from streamseg.core.types import Frame
from streamseg.decode.decoder import Decoder
from streamseg.decode.film_from import FilmFrom
from streamseg.decode.info import SourceInfo
from streamseg.decode.timetable import Timetable, read_timetable
from streamseg.errors import ConfigError, StreamsegError
from streamseg.pixels import planes

__all__ = ["RandomAccess"]

CACHE = 256 << 20
"""Bytes of decoded pictures that are kept."""


class RandomAccess:
    """The frames of one film, by number. May be used from several threads, one of which decodes at a time."""

    def __init__(self, source: str | os.PathLike[str], *, cache: int = CACHE, **options: Any) -> None:
        """options: those of `Decoder` that change what is decoded (`rate`, `fields`, `deinterlace`, `max_pixels`, `threads`).

        Raises what `Decoder.open` raises, and ConfigError for a source that cannot be read again.
        """
        self._source, self._options, self._limit = source, options, cache
        self._lock = threading.RLock()
        self._kept: OrderedDict[int, Frame] = OrderedDict()
        self._bytes = 0
        self._run: FilmFrom | None = None
        self._length: int | None = None
        self._closed = False
        self.warnings: list[str] = []
        """What was unusual, and where the film breaks off."""
        self._run = FilmFrom(self._source, self._options)
        self.info: SourceInfo = self._run.open()
        """What is known of the film."""
        if self.info.live or self.info.kind not in ("file", "images"):
            self._run.close()
            raise ConfigError(f"{self.info.name}: this source can be read only once; frames by number need a file")
        self._table: Timetable | None = None
        self._looked = options.get("deinterlace", "off") != "off"
        """It is known whether there is a timetable. A deinterlaced picture depends on those before it."""

    @property
    def table(self) -> Timetable | None:
        """The times of its pictures, as the packets say them; None where only decoding tells."""
        if not self._looked:
            self._looked = True
            found = read_timetable(self._source, self._options.get("max_pixels", 8192 * 8192), 0)
            self._table = found if found is not None and found.time_base == self.info.time_base else None
        return self._table

    def frame(self, number: int) -> Frame:
        """Frame `number`, from 0. Raises IndexError beyond the last one."""
        with self._lock:
            if self._closed:
                raise ConfigError(f"{self.info.name}: it has been closed; open it again")
            if self._length is not None and number >= self._length:
                raise IndexError(self._beyond(number))
            if number in self._kept:
                self._kept.move_to_end(number)
                return self._kept[number]
            found = self._decoded(number)
            if found is None:
                raise IndexError(self._beyond(number))
            return found

    def _beyond(self, number: int) -> str:
        held = "" if self._length is None else f": it has {self._length}"
        return f"{self.info.name}: there is no frame {number}{held}"

    def _decoded(self, number: int) -> Frame | None:
        """Decode up to a frame; None: the film ends before it."""
        begin = self._best_start(number)
        if begin is not None:
            self._start(begin)
            if self._run is None or self._run.next > number:  # not where the packets said
                self._start(Fraction(0))
        found = self._advance(number)
        if found is None and self._run is not None and not self._run.from_start:
            self._start(Fraction(0))
            found = self._advance(number)
        return found

    def _best_start(self, number: int) -> Fraction | None:
        """Where to start decoding for a frame, seconds from the first one; None: go on from where it is."""
        running = self._run is not None and self._run.next <= number
        table = self.table if not running or number - self._run.next > 1 else None  # type: ignore[union-attr]
        if table is None or number >= len(table.pts):
            return None if running else Fraction(0)
        key, seconds = table.start_for(number)
        if running and self._run.next >= key:  # type: ignore[union-attr]
            return None
        return seconds

    def _start(self, seconds: Fraction) -> None:
        self._stop()
        try:
            self._run = FilmFrom(self._source, self._options, seconds, self.table if seconds else None)
            first = self._run.open()
        except StreamsegError:
            self._run = None
            if not seconds:
                raise
            self._run = FilmFrom(self._source, self._options)
            first = self._run.open()
        if not self._run.from_start and (first.width, first.height, first.pix_fmt) != self._shape:
            self._start(Fraction(0))  # a change of size begins an epoch, which only decoding from the beginning counts

    @property
    def _shape(self) -> tuple[int, int, str]:
        return self.info.width, self.info.height, self.info.pix_fmt

    def _advance(self, number: int) -> Frame | None:
        run = self._run
        while run is not None:
            try:
                frame = run.take()
            except StreamsegError as error:  # what came before is good, and what is asked for is not there
                self._note(str(error))
                frame = None
            if run.damaged and self.table is not None:
                self._forget_the_table()
                run = self._run
                continue
            if frame is None:
                self._length = run.next
                self._stop()
                return None
            self._keep(frame)
            if frame.index >= number:
                return frame if frame.index == number else None
        return None

    def _forget_the_table(self) -> None:
        """A packet that cannot be decoded makes no picture: from there on numbers are fewer than packets promise."""
        self._table = None
        self._kept.clear()
        self._bytes = 0
        self._start(Fraction(0))

    def _note(self, warning: str) -> None:
        if warning not in self.warnings:
            self.warnings.append(warning)

    def _keep(self, frame: Frame) -> None:
        if frame.index in self._kept:
            return
        self._kept[frame.index] = frame
        self._bytes += _size(frame)
        while self._bytes > self._limit and len(self._kept) > 1:
            _, old = self._kept.popitem(last=False)
            self._bytes -= _size(old)

    def _stop(self) -> None:
        run, self._run = self._run, None
        if run is not None:
            for warning in run.warnings:
                self._note(warning)
            run.close()

    def __len__(self) -> int:
        """How many frames there are: exact, for which the last ones are decoded once (all, where the container cannot seek)."""
        with self._lock:
            if self._length is None:
                table, last = self.table, None
                if table is not None:
                    with contextlib.suppress(IndexError):
                        last = self.frame(len(table.pts) - 1).index
                number = 0 if last is None else last + 1
                while self._length is None:  # to the end, which sets it
                    with contextlib.suppress(IndexError):
                        self.frame(number)
                    number += 1
            return self._length

    def at(self, seconds: float) -> Frame:
        """The frame that is shown at `seconds` of the film's clock (`Frame.time`). Raises IndexError before the first, or behind
        the end of the last."""
        wanted = Fraction(seconds).limit_denominator(1_000_000_000)
        with self._lock:
            number, frame = self._about(self._number_at(wanted))
            while frame.pts * frame.time_base > wanted and number > 0:
                number -= 1
                frame = self.frame(number)
            while (frame.pts + frame.duration) * frame.time_base <= wanted:
                number += 1
                try:
                    frame = self.frame(number)
                except IndexError:
                    end = float((frame.pts + frame.duration) * frame.time_base)
                    raise IndexError(f"{self.info.name}: nothing is shown at {seconds:g} s: it ends at {end:g} s") from None
            if frame.pts * frame.time_base > wanted:
                raise IndexError(f"{self.info.name}: nothing is shown at {seconds:g} s: it begins at {frame.time:g} s")
            return frame

    def _about(self, number: int) -> tuple[int, Frame]:
        """Frame `number`, or the last one where there are fewer than the packets promise; and which it is."""
        try:
            return number, self.frame(number)
        except IndexError:
            number = len(self) - 1
            if number < 0:
                raise
            return number, self.frame(number)

    def _number_at(self, wanted: Fraction) -> int:
        """About the number of the frame that is shown then."""
        table = self.table
        if table is not None:
            return max(0, bisect_right(table.pts, wanted / table.time_base) - 1)
        rate, first = self.info.rate or Fraction(25), self.info.start_time
        length = self._length or self.info.frame_count
        guess = max(0, int((wanted - Fraction(first)) * rate))
        return guess if length is None else min(guess, max(0, length - 1))

    def frames(self) -> Iterator[Frame]:
        """All frames, in order, decoded for this iterator alone."""
        with Decoder(self._source, **self._options) as decoder:
            yield from decoder.frames()

    def close(self) -> None:
        """Give back what is open. Twice is harmless."""
        with self._lock:
            self._closed = True
            self._stop()
            self._kept.clear()
            self._bytes = 0


def _size(frame: Frame) -> int:
    return sum(plane.buffer_size for plane in planes.on_host(frame.picture).planes)
