"""Reads a results file: any frame by its number, all of them in order, and its tracks."""

import json
import struct
import zlib
from collections.abc import Iterator
from fractions import Fraction
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from streamseg.errors import ResultsError
from streamseg.errors.describe import brief
from streamseg.record.chunks import AROUND, DONE, FRAME, HEAD, INDEX, SIGNATURE, TAIL, ChunkFile
from streamseg.record.frames import FIXED, Columns, FrameRecord, read_columns, unpack
from streamseg.record.tracks import Summing, TrackSummary
from streamseg.record.write import SCHEMA

__all__ = ["ENDING", "Results", "open_results"]

ENDING = ".streamseg"
_MOST_HEAD = 16 << 20
_MOST_FRAMES = 1 << 28
_TAIL_BYTES = AROUND + 8
Places = npt.NDArray[np.int64]


class Results:
    """What was found in a film, frame by frame, as a results file holds it: `streamseg.open_results(path)`.

    `len(results)` frames; iteration gives a `FrameRecord` of each in order, `results[120]` that of frame 120 of the source (the
    numbers of a part begin where it begins). `tracks()` sums up who was seen. Nothing is read before it is asked for, and memory
    holds one frame. May be used from several threads; it is closed by `close()`, `with`, or with its last user.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        """Raises ResultsError where there is no results file, or one of another version or damaged at its head."""
        self.path = Path(path)
        self._file = ChunkFile(self.path)
        try:
            self._begin()
        except BaseException:
            self._file.close()
            raise

    def _begin(self) -> None:
        self.head: dict[str, Any] = self._read_head()
        """All that stands at its beginning: `source`, `model`, `settings`, ... as docs/results.md lists."""
        names = self.head.get("classes")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ResultsError(f"{self.path}: its head names no classes: it is damaged")
        self.class_names: tuple[str, ...] = tuple(names)
        self.time_base: Fraction = self._time_base()
        """Seconds per unit of pts."""
        self.note: str | None = None
        """What a person should know: that it ends early, or is damaged somewhere."""
        self.complete: bool = False
        """It was finished, and holds all that was asked for."""
        self._places: Places = self._indexed()
        order = np.argsort(self._places[1], kind="stable")
        self._order, self._numbers = order, self._places[1][order]

    def _read_head(self) -> dict[str, Any]:
        front = self._file.front(len(SIGNATURE))
        if front is not None and front[1] > _MOST_HEAD:
            raise ResultsError(f"{self.path}: its head is {front[1]} bytes long, which it cannot be: it is damaged")
        try:
            head = json.loads(self._file.payload(len(SIGNATURE), HEAD, "its head"))
        except (ValueError, RecursionError) as error:
            raise ResultsError(f"{self.path}: its head is no JSON ({error}): it is damaged") from error
        schema = head.get("schema") if isinstance(head, dict) else None
        if schema != SCHEMA:
            raise ResultsError(
                f"{self.path}: is of the version {brief(schema)}; this streamseg reads {SCHEMA!r}: look at the film anew, or use "
                "the streamseg that wrote it"
            )
        assert isinstance(head, dict)
        return head

    def _time_base(self) -> Fraction:
        told = self.head.get("time_base")
        try:
            value = Fraction(told) if isinstance(told, str) and len(told) < 60 and "e" not in told.lower() else None
        except (ValueError, ZeroDivisionError):
            value = None
        if value is None or not 0 < value < 1 << 40 or value.denominator > 1 << 64:
            raise ResultsError(f"{self.path}: its head has the time base {brief(told)}: it is damaged")
        return value

    # --- where each frame lies --------------------------------------------------------------------------------------------

    def _indexed(self) -> Places:
        """[3, frames] place in the file, number and pts of each frame: as its end says, else by walking through it."""
        tail = self._file.front(self._file.size - _TAIL_BYTES, 8) if self._file.size > _TAIL_BYTES else None
        if tail is not None and tail[0] == TAIL and tail[1] == self._file.size:
            try:
                return self._by_index(struct.unpack("<Q", self._file.payload(tail[1] - _TAIL_BYTES, TAIL, "its end"))[0])
            except ResultsError as error:
                self.note = f"{error}; its frames were counted one by one"
        return self._walked()

    def _by_index(self, at: int) -> Places:
        done = self._file.payload(at, DONE, "its summary")
        front = self._file.front(at)
        assert front is not None  # its payload was read
        packed = self._file.payload(front[1], INDEX, "its index")
        try:
            summary = json.loads(done)
            count = summary["frames"]
            if not isinstance(count, int) or not 0 <= count <= min(_MOST_FRAMES, self._file.size // (AROUND + FIXED.size)):
                raise ValueError(f"{brief(count)} frames")
            data = zlib.decompressobj().decompress(packed, 24 * count + 1)
            steps = np.frombuffer(data, "<i8").reshape(3, count)
        except (ValueError, KeyError, TypeError, RecursionError, zlib.error) as error:
            raise ResultsError(f"{self.path}: its index cannot be ({error})") from error
        places = np.cumsum(steps.astype(np.int64), axis=1)
        if count and (places[0].min() < len(SIGNATURE) or places[0].max() >= self._file.size or (steps[0] <= 0).any()):
            raise ResultsError(f"{self.path}: its index points outside of it")
        self.complete = summary.get("complete") is True
        return places

    def _walked(self) -> Places:
        """As a file is read that was not finished: up to its last whole frame."""
        found: list[tuple[int, int, int]] = []
        at = len(SIGNATURE)
        while (front := self._file.front(at, 16)) is not None:
            kind, end, payload = front
            if kind == FRAME and len(payload) == 16:
                found.append((at, *struct.unpack("<qq", payload)))
            at = end
        if found and not self._sound(found[-1][0]):
            at = found.pop()[0]
        if self.note is None:
            left = self._file.size - at
            ends = f"ends amid a frame ({left} bytes are left over)" if left else "was not finished"
            last = f"up to frame {found[-1][1]}" if found else "without a whole frame"
            self.note = f"{self.path}: {ends}; it is read {last}"
        return np.array(found, np.int64).reshape(-1, 3).T

    def _sound(self, at: int) -> bool:
        try:
            self._file.payload(at, FRAME, "")
        except ResultsError:
            return False
        return True

    # --- what a reader asks for -------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return int(self._places.shape[1])

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int | np.integer) and self._position(int(number)) is not None

    def __getitem__(self, number: int) -> FrameRecord:
        """The record of frame `number` of the source. Raises IndexError where it holds none, ResultsError for a damaged one."""
        position = self._position(int(number))
        if position is None:
            held = f"it holds {self.first} to {self.last}" if len(self) else "it holds none"
            raise IndexError(f"{self.path}: there is no frame {number}: {held}")
        return self._record(position)

    def __iter__(self) -> Iterator[FrameRecord]:
        return (self._record(position) for position in range(len(self)))

    def columns(self) -> Iterator[Columns]:
        """What it says of each frame without masks, in order: for who only counts."""
        return (self._columns(position) for position in range(len(self)))

    @property
    def numbers(self) -> Places:
        """[frames] the numbers of its frames in the source, in the order of the file."""
        numbers: Places = self._places[1]
        return numbers

    @property
    def pts(self) -> Places:
        """[frames] their presentation times, in units of `time_base`."""
        pts: Places = self._places[2]
        return pts

    @property
    def first(self) -> int | None:
        """Number of its first frame; None: it holds none."""
        return int(self._numbers[0]) if len(self) else None

    @property
    def last(self) -> int | None:
        """Number of its last frame."""
        return int(self._numbers[-1]) if len(self) else None

    def at(self, seconds: float) -> FrameRecord:
        """The record of the frame that is shown at `seconds` of the source's clock. Raises IndexError before the first."""
        times = self._places[2]
        position = int(np.searchsorted(times, int(Fraction(seconds) // self.time_base), side="right")) - 1
        if position < 0:
            raise IndexError(f"{self.path}: nothing is shown at {seconds:g} s")
        return self._record(position)

    def tracks(self) -> tuple[TrackSummary, ...]:
        """Who was seen, by falling area: a sum over all frames, of which one is in memory at a time; masks are not unpacked."""
        summing = Summing(self.class_names, self.time_base)
        for columns in self.columns():
            summing.add(columns)
        return summing.tracks()

    def _position(self, number: int) -> int | None:
        at = int(np.searchsorted(self._numbers, number))
        return int(self._order[at]) if at < len(self._numbers) and self._numbers[at] == number else None

    def _columns(self, position: int) -> Columns:
        place, number, _ = (int(value) for value in self._places[:, position])
        columns = read_columns(
            self._file.payload(place, FRAME, f"the record of frame {number}"), len(self.class_names), self._where(number)
        )
        if columns.index != number:
            raise ResultsError(f"{self._where(number)} is that of frame {columns.index}: the index is damaged")
        return columns

    def _record(self, position: int) -> FrameRecord:
        return unpack(self._columns(position), self.class_names, self.time_base, self._where(int(self._places[1, position])))

    def _where(self, number: int) -> str:
        return f"{self.path}: the record of frame {number}"

    def close(self) -> None:
        """Close the file. Twice is harmless."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Results({str(self.path)!r}: {len(self)} frames{'' if self.complete else ', not complete'})"


def open_results(path: str | PathLike[str]) -> Results:
    """A results file, open to be read: see `Results`.

    Raises ResultsError where there is none, or one of another version. One that was cut off is read up to its last whole frame,
    and `note` says so.
    """
    return Results(path)
