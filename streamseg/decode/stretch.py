"""A part of a film, decoded by itself: the same frames, numbers and times that reading the film from its beginning gives.

Many can read one film so, each its own part. What the film's packets promise (`Timetable`) says from which key frame to decode, and
when each picture is shown. All that is decoded is held against it, also before the part: one picture more or less, or another
size, and numbers and epochs behind it would be others. So if all parts of a film are as promised, they are together what reading it
from its beginning gives. Where one is not, only that tells what is what.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from streamseg.core.types import Frame
from streamseg.decode.decoder import Decoder
from streamseg.decode.film_from import FilmFrom
from streamseg.decode.info import SourceInfo
from streamseg.decode.options import exactly
from streamseg.decode.promise import Promise, promised
from streamseg.decode.timetable import Timetable
from streamseg.errors import ConfigError, SourceError

__all__ = ["NotDivisible", "Stretch"]


class NotDivisible(SourceError):
    """This film must be read from its beginning."""


class Stretch:
    """Frames `first` up to `end` (None: the run's last), as a source of a runtime. The first picture of what is read is number 0,
    also where `start` leaves out what comes before it. `Frame.index` is that of the film, as `Decoder` says it.
    """

    def __init__(
        self,
        source: str | os.PathLike[str],
        table: Timetable | None,
        first: int,
        end: int | None,
        options: dict[str, Any],
        *,
        falls_back: bool = False,
    ) -> None:
        """table: of this film (`promise.promised`); None: it is read here, with all packets. options: those of `Decoder`.

        falls_back: where the film is not what its packets promise, or cannot be decoded from amid, go on by decoding it from its
        beginning; else raise NotDivisible. Nothing is opened yet. Raises ConfigError.
        """
        if first < 0 or (end is not None and end <= first):
            raise ConfigError(f"frames {first} to {end} are none; the first is 0, and the end lies behind the first")
        self._source, self._first, self._end = source, first, end
        self._table, self._options, self._falls_back = table, options, falls_back
        self._start = exactly(options.get("start") or 0)
        self._run: FilmFrom | None = None
        self._promise: Promise | None = None
        self._at = 0
        """Number of the next picture of `_run`."""
        self._info: SourceInfo | None = None
        self._stopped = threading.Event()
        self._warnings: list[str] = []
        self._known: frozenset[str] = frozenset()
        self.fell_back = ""
        """Why it was decoded from the film's beginning; empty: it was not."""

    def open(self) -> SourceInfo:
        """What `Decoder.open` tells of the whole run, not of its part. Raises what that raises, ConfigError for a source that can
        be read only once, and NotDivisible.
        """
        run = self._begin(FilmFrom(self._source, self._options, self._start))
        self._info = info = run.info
        try:
            if info.live or info.kind not in ("file", "images", "trip"):
                raise ConfigError(f"{info.name}: this source can be read only once; a part of it needs a file")
            self._open_part(info)
        except NotDivisible as error:
            if not self._falls_back:
                self.close()
                raise
            self.fell_back = str(error)
        except BaseException:
            self.close()
            raise
        return info

    def _open_part(self, info: SourceInfo) -> None:
        """Decode from the key frame before the part on. Raises NotDivisible."""
        if not self._first and self._end is None and self._table is None:
            return  # all of it
        table = self._table or promised(self._source, info, self._options)
        if isinstance(table, str):
            raise NotDivisible(f"{info.name}: {table}")
        if table.time_base != info.time_base:
            raise NotDivisible(f"{info.name}: its times are not those of its packets")
        self._promise = promise = Promise(table, self._options)
        self._at = 0
        if not self._first or self._first >= promise.total:
            return
        self._leave()
        self._known, self._warnings = frozenset(self._warnings), []
        self._at, start = promise.start_for(self._first)
        how = self._options | {"duration": promise.duration_from(start)}
        run = self._begin(FilmFrom(self._source, how, start, table if start else None))
        if _form(run.info) != _form(info):
            raise NotDivisible(f"{info.name}: its picture changes before frame {self._first}")

    @property
    def info(self) -> SourceInfo:
        """What `open` told."""
        assert self._info is not None
        return self._info

    @property
    def decoder(self) -> Decoder:
        """What reads it; it is open."""
        assert self._run is not None
        return self._run.decoder

    def frames(self) -> Iterator[Frame]:
        """The frames, once; fewer where the film ends. Raises what `Decoder.frames` raises, after the frames that are good.

        Raises NotDivisible, too; after falling back where frames that were given already have to be others.
        """
        given, last = self._first, None
        if not self.fell_back:
            try:
                for frame in self._as_promised():
                    given, last = given + 1, frame
                    yield frame
            except NotDivisible as error:
                if not self._falls_back:
                    raise
                self.fell_back = str(error)
        if self.fell_back and not self._stopped.is_set():
            yield from self._from_beginning(given, last)

    def _as_promised(self) -> Iterator[Frame]:
        """The frames, if the film is what its packets promise. Raises NotDivisible where it is not."""
        run, promise = self._run, self._promise
        assert run is not None
        if promise is None:
            while not self._stopped.is_set() and (frame := run.take()) is not None:
                yield frame
            return
        total, name = promise.total, run.info.name
        end = total if self._end is None else min(self._end, total)
        while self._at < end:
            frame, at = run.take(), self._at
            if self._stopped.is_set():
                return
            if frame is None:
                raise NotDivisible(f"{name}: ends at frame {at}, and its packets promise {total}")
            if frame.pts != promise.pts(at) or (run.table is None and frame.index != promise.index(at)):
                raise NotDivisible(f"{name}: frame {at} is not where its packets promise it (damage, or fields coded apart)")
            if frame.corrupt:  # what a decoder makes of it depends on what came before, and on its threads
                raise NotDivisible(f"{name}: its picture at {frame.time:.2f} s is damaged")
            if frame.epoch != promise.epoch(at):
                raise NotDivisible(f"{name}: its picture or its clock changes at {frame.time:.2f} s")
            if at >= self._first:
                yield replace(frame, index=promise.index(at))
            self._at += 1
        if end == total and run.take() is not None and not self._stopped.is_set():
            raise NotDivisible(f"{name}: has more pictures than the {total} that its packets promise")

    def _from_beginning(self, given: int, last: Frame | None) -> Iterator[Frame]:
        """The frames from number `given` on; `last`: the one before, if it was given."""
        self._leave()
        run = self._begin(FilmFrom(self._source, self._options, self._start))
        at = 0
        while (self._end is None or at < self._end) and (frame := run.take()) is not None:
            if self._stopped.is_set():
                return
            if last is not None and at == given - 1 and (frame.index, frame.pts) != (last.index, last.pts):
                break
            if at >= given:
                yield frame
            at += 1
        if last is not None and at < given:
            raise NotDivisible(f"{self.fell_back}; frames were given that are others when it is read from its beginning")

    def _begin(self, run: FilmFrom) -> FilmFrom:
        self._run = run
        if self._stopped.is_set():
            run.stop()
        try:
            run.open()
        except SourceError as error:
            self._run = None
            if run.table is None:
                raise
            raise NotDivisible(str(error)) from error
        return run

    def _leave(self) -> None:
        run, self._run = self._run, None
        if run is not None:
            self._warnings = self._all_warnings(run)
            run.close()

    @property
    def warnings(self) -> list[str]:
        """What was unusual so far; of a part that does not begin the film without what its beginning tells, too."""
        return self._all_warnings(self._run)

    def _all_warnings(self, run: FilmFrom | None) -> list[str]:
        said = [*self._warnings, *(run.warnings if run is not None else ())]
        return [each for each in dict.fromkeys(said) if each not in self._known]

    def stop(self) -> None:
        """From any thread: `open` and `frames` end soon."""
        self._stopped.set()
        run = self._run
        if run is not None:
            run.stop()

    def close(self) -> None:
        """Close the film. Twice is harmless."""
        self._stopped.set()
        self._leave()


def _form(info: SourceInfo) -> tuple[object, ...]:
    return info.width, info.height, info.pix_fmt, info.rotation, info.mirrored, info.time_base
