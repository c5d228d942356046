"""One file for each track, or each class: an output whose path holds `{track}` or `{class}`.

A file is opened when its object is first seen, and is as long as the film: frames without the object show what nothing looks like
(black, or transparent). Of frames that have passed only the times are kept, 32 bytes each.
"""

from __future__ import annotations

import glob
import re
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from streamseg.composite import Compositor, Rendered
from streamseg.core.result import Result
from streamseg.core.types import Frame, Instances
from streamseg.encode import RenderedPicture, Sink, SinkCounters
from streamseg.errors import OutputExists, StreamsegError
from streamseg.pipeline.report import OutputReport
from streamseg.pixels import color, planes
from streamseg.system.file_names import FileNames, file_name
from streamseg.system.output_files import make_folder

if TYPE_CHECKING:
    from streamseg.pixels.picture import AnyPicture

__all__ = ["CLASS", "TRACK", "SplitSink", "is_split", "literal_folder"]

TRACK, CLASS = "{track}", "{class}"
_MOST_VIDEOS, _LEAST_VIDEOS, _MOST = 48, 4, 400
"""Files of an output: each video holds an encoder and an open file until the film ends, each folder of images an open file."""
_MEMORY, _A_PIXEL = 4e9, 60
"""Bytes that the encoders of an output may take, and what the largest (H.264) takes of them for each pixel of its pictures."""
_SHOWN = 8
"""Names that a message tells of many."""
_ORDERS: Sequence[Any] = (None, "tff", "bff")


def is_split(path: str) -> bool:
    """Whether an output is one file for each track or class."""
    return TRACK in path or CLASS in path


def literal_folder(path: str) -> Path:
    """The folder in which all files of such an output are."""
    parts = Path(path).parts
    return Path(*parts[: next((i for i, part in enumerate(parts) if is_split(part)), -1)])


@dataclass(slots=True)
class _Times:
    """The frames that have passed, without their pictures."""

    numbers: array[int] = field(default_factory=lambda: array("q"))

    def add(self, frame: Frame) -> None:
        self.numbers.extend((frame.index, frame.pts, frame.duration, 4 * frame.epoch + _ORDERS.index(frame.field_order)))

    def __len__(self) -> int:
        return len(self.numbers) // 4

    def like(self, frame: Frame, number: int) -> Frame:
        """`frame` with the time of that one among them."""
        index, pts, duration, rest = self.numbers[4 * number : 4 * number + 4]
        return replace(frame, index=index, pts=pts, duration=duration, epoch=rest // 4, field_order=_ORDERS[rest % 4])


class SplitSink:
    """Draws and writes what is seen of each track, or class, into a file of its own."""

    def __init__(self, path: str, make: Callable[[str], Sink], *, video: bool, overwrite: bool) -> None:
        """`make` makes the sink of a path without placeholders; it may raise what `encode.open_sink` does."""
        self.path = self.name = path
        self.counters = SinkCounters()
        self.warnings: list[str] = []
        self.draw: Callable[[Result], Rendered] = Compositor()
        self._make, self._video, self._overwrite = make, video, overwrite
        self._parts: dict[int | str, tuple[str, Sink]] = {}
        """Track or class → what it is called, and its sink; in the order in which they were first seen."""
        self._left_out: dict[int | str, str] = {}
        self._limit = self._untracked = 0
        self._old: list[str] = []
        self._times, self._names = _Times(), FileNames()
        self._blanks: dict[tuple[int, int, str], AnyPicture] = {}
        self._closed = False

    def open(self) -> None:
        """Check what can be checked before anything is seen. Raises OutputError."""
        literal = literal_folder(self.path)
        make_folder(literal)
        sample = self._make(str(literal / Path(self.path).name))
        try:
            if self._video:
                sample.open()
        finally:
            sample.close()

    def prepare(self, draw: Callable[[Result], Rendered], class_names: Sequence[str]) -> None:
        """`draw` draws the effects of the output, `class_names` are the model's. Raises OutputExists for an earlier run's files."""
        self.draw = draw
        kinds = class_names if CLASS in self.path else ("",)
        patterns = [_pattern(self.path.replace(CLASS, file_name(kind))) for kind in kinds]
        there = next((path for pattern in patterns for path in glob.iglob(pattern)), None)
        if there is not None and not self._overwrite:
            raise OutputExists(f"{self.path}: {there} exists; pass --overwrite or choose another folder")
        if there is not None and self._video:
            self._old = [path for pattern in patterns for path in glob.glob(pattern)]

    def __call__(self, rendered: RenderedPicture, /) -> None:
        """Write one picture into every file. Raises OutputError."""
        result = rendered.result
        seen = self._seen(result.instances)
        for key, values in seen.items():
            if key not in self._parts and key not in self._left_out:
                self._begin(key, values, result)
        for key, (_, sink) in self._parts.items():
            sink(self.draw(_only(result, seen[key].rows)) if key in seen else self._blank(result, result.frame))
        self._times.add(result.frame)
        self.counters.frames += 1
        self.counters.bytes = sum(sink.counters.bytes for _, sink in self._parts.values())

    def _seen(self, found: Instances) -> dict[int | str, _Seen]:
        """What is seen, by track or class."""
        seen: dict[int | str, _Seen] = {}
        for row, (track, name) in enumerate(zip(found.track_ids.tolist(), found.names, strict=True)):
            if TRACK not in self.path:
                seen.setdefault(name, _Seen(name, name, name)).rows.append(row)
            elif track > 0:
                called = found.track_names.get(track, "")
                seen.setdefault(track, _Seen(called or f"{name}#{track}", called or str(track), name)).rows.append(row)
            else:
                self._untracked += 1
        return seen

    def _begin(self, key: int | str, seen: _Seen, result: Result) -> None:
        """Open the file of what is seen for the first time, and fill it up to here."""
        if len(self._parts) >= self._most(result.frame):
            self._left_out[key] = seen.label
            return
        own = self._names(seen.name, str(key))
        tracked = TRACK in self.path
        path = self.path.replace(TRACK, own).replace(CLASS, file_name(seen.kind) if tracked else own)
        sink = self._make(path)
        sink.open()
        self._parts[key] = (seen.label, sink)
        for number in range(len(self._times)):
            sink(self._blank(result, self._times.like(result.frame, number)))

    def _most(self, frame: Frame) -> int:
        """Files that there may be."""
        fitting = int(_MEMORY / _A_PIXEL / (frame.width * frame.height))
        self._limit = min(_MOST_VIDEOS, max(_LEAST_VIDEOS, fitting)) if self._video else _MOST
        return self._limit

    def _blank(self, result: Result, frame: Frame) -> Rendered:
        """What the effects make of a black picture in which nothing is: the same object for all frames of one size."""
        picture, nothing = frame.picture, _only(result, [])
        key = (picture.width, picture.height, picture.format.name)
        if key not in self._blanks:
            black = replace(frame, picture=_black(picture))
            self._blanks[key] = self.draw(replace(nothing, frame=black)).picture
        return Rendered(replace(nothing, frame=frame), self._blanks[key])

    def close(self) -> None:
        """Finalise all files. Raises the first error, once all are closed."""
        if self._closed:
            return
        self._closed = True
        errors = []
        for _, sink in self._parts.values():
            try:
                sink.close()
            except StreamsegError as error:
                errors.append(error)
        self._say()
        if errors:
            raise errors[0]

    def _say(self) -> None:
        if not self._parts and len(self._times):
            self.warnings.append(f"{self.path}: nothing was found, so there is no file")
        if self._untracked:
            self.warnings.append(f"{self.path}: {self._untracked} masks that belong to no track yet are in no file")
        if self._left_out:
            names = [*self._left_out.values()]
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            self.warnings.append(
                f"{self.path}: {len(names)} of {len(names) + len(self._parts)} have no file, since {self._limit} can be written at "
                f"a time: {', '.join(names[:_SHOWN])}{more}; write these in another run, or choose fewer with --classes"
            )
        written = {sink.name for _, sink in self._parts.values()}
        if old := [path for path in self._old if path not in written]:
            self.warnings.append(f"{self.path}: {len(old)} files of an earlier run are still there, such as {min(old)}")

    def abort(self) -> None:
        """Stop all at once; what is written stays readable."""
        if not self._closed:
            self._closed = True
            for _, sink in self._parts.values():
                sink.abort()

    def reports(self, name: str) -> list[OutputReport]:
        """Of each file, as of an output of its own."""
        parts = self._parts.values()
        return [OutputReport(f"{name} {label}", s.name, s.counters.frames, 0, tuple(s.warnings)) for label, s in parts]


@dataclass(slots=True)
class _Seen:
    """What goes into one file."""

    label: str
    """As a message calls it: `person#3`, `person`."""
    name: str
    """What stands for `{track}`; of a class for `{class}`."""
    kind: str
    """Its class."""
    rows: list[int] = field(default_factory=list)
    """Its instances in the frame."""


def _only(result: Result, rows: Sequence[int]) -> Result:
    """The result with these instances alone."""
    return replace(result, instances=result.instances[np.array(rows, np.int64)], occlusion=None)


def _black(picture: AnyPicture) -> AnyPicture:
    """A black picture of the same kind, in host memory."""
    like = planes.supported(picture)
    made = planes.new_frame(like.width, like.height, like.format.name)
    planes.copy_tags(like, made)
    views = planes.views(made)
    codes = (*color.drawing_codes((0, 0, 0), color.encoding(like)), 0.0)
    for plane in views.planes:
        values = np.array([round(codes[c]) << views.layout.lsb for c in plane.spec.components])
        plane.array[...] = values.reshape(plane.array.shape[2:])
    return made


def _pattern(path: str) -> str:
    """What finds the files that a run makes of such a path without `{class}`, of tracks that have no name."""
    return re.sub(r"%(0\d{1,2})?d", "[0-9]*", glob.escape(path).replace(TRACK, "[0-9]*"))
