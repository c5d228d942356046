"""A film as a sequence: `streamseg.open(film)[120]` is the result of frame 120, picture and all.

Annotations are no strings here, so that `help` shows what they mean.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from operator import index as as_index
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, SupportsIndex, overload

from streamseg.core.result import Result
from streamseg.core.types import Frame, Instances
from streamseg.decode.access import RandomAccess
from streamseg.decode.address import as_source
from streamseg.decode.frames import FrameSource
from streamseg.errors import ConfigError, ResultsError
from streamseg.errors.describe import brief
from streamseg.pipeline.outputs import film_of
from streamseg.pipeline.results import key_of
from streamseg.record import ENDING, Results, open_results
from streamseg.record.source_key import same_source
from streamseg.system.output_files import local_path

__all__ = ["Part", "Video", "open_video"]

Fields = Literal["auto", "progressive", "tff", "bff"]
Deinterlace = Literal["off", "frame", "field"]


class Video(Sequence[Result]):
    """The frames of a film, by number and by time, with what a results file holds of them: see `streamseg.open`.

    `len(video)`, `video[120]`, `video[-1]`, `video[10:20]`, `video.at(12.5)`, and iteration. May be used from several threads.
    """

    def __init__(self, frames: RandomAccess, results: Results | None, notes: Sequence[str] = ()) -> None:
        self._frames, self._notes = frames, tuple(notes)
        self.results: Results | None = results
        """What was found in the film; None: no results file is there that is of it."""

    @property
    def width(self) -> int:
        """Pixels, upright, of the first frame."""
        return self._frames.info.width

    @property
    def height(self) -> int:
        """Pixels, upright, of the first frame."""
        return self._frames.info.height

    @property
    def pixel_aspect(self) -> float:
        """Width of a pixel, where its height is 1."""
        return float(self._frames.info.sample_aspect_ratio or 1)

    @property
    def rate(self) -> Fraction | None:
        """Nominal frames a second; never compute a time from it."""
        return self._frames.info.rate

    @property
    def duration(self) -> float | None:
        """Seconds that the film says it lasts."""
        return self._frames.info.duration

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was unusual so far: a film that breaks off, a results file that is of another one."""
        return (*self._notes, *self._frames.warnings)

    def __len__(self) -> int:
        """How many frames there are, exactly. The end of the film is decoded for that, once; all of it where it cannot seek."""
        return len(self._frames)

    @overload
    def __getitem__(self, number: SupportsIndex) -> Result: ...
    @overload
    def __getitem__(self, number: slice) -> "Part": ...
    def __getitem__(self, number: SupportsIndex | slice) -> "Result | Part":
        """The result of a frame, from 0 or, below zero, from the end; of a slice a sequence that decodes when it is asked.

        Raises IndexError beyond the film, SourceError for what cannot be read.
        """
        if isinstance(number, slice):
            return Part(self, range(*number.indices(len(self))))
        at = as_index(number)
        if at < 0:
            at += len(self)
            if at < 0:
                raise IndexError(f"{self._frames.info.name}: there is no frame {at - len(self)}: it has {len(self)}")
        return self._result(self._frames.frame(at))

    def __iter__(self) -> Iterator[Result]:
        """All of them, in order, each decoded once."""
        return (self._result(frame) for frame in self._frames.frames())

    def at(self, seconds: float) -> Result:
        """What is shown at `seconds` of the film's clock, which is that of `Result.time`.

        Raises IndexError before its first frame and after its last one.
        """
        return self._result(self._frames.at(seconds))

    def _result(self, frame: Frame) -> Result:
        results = self.results
        if results is None:
            return Result(frame, Instances.empty((), 0), detected=False)
        if frame.index not in results:
            return Result(frame, Instances.empty(results.class_names, 0), detected=False)
        record = results[frame.index]
        if record.pts != frame.pts:
            raise ResultsError(
                f"{results.path}: frame {frame.index} is at {record.time:.3f} s in it, and at {frame.time:.3f} s in the film: "
                "look at the film anew"
            )
        return record.of(replace(frame, epoch=record.epoch) if record.epoch != frame.epoch else frame)

    def close(self) -> None:
        """Give back what is open. Twice is harmless."""
        self._frames.close()
        if self.results is not None:
            self.results.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        info = self._frames.info
        rate = "" if info.rate is None else f" at {float(info.rate):g} a second"
        found = "no results" if self.results is None else f"results of {len(self.results)} frames"
        return f"Video({info.name!r}, {info.width}x{info.height}{rate}, {found})"


class Part(Sequence[Result]):
    """Some frames of a film, each decoded when it is asked for: memory does not grow with their number."""

    def __init__(self, video: Video, numbers: range) -> None:
        self._video, self._numbers = video, numbers

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, number: SupportsIndex) -> Result: ...
    @overload
    def __getitem__(self, number: slice) -> "Part": ...
    def __getitem__(self, number: SupportsIndex | slice) -> "Result | Part":
        """As of the film, counted within this part."""
        if isinstance(number, slice):
            return Part(self._video, self._numbers[number])
        return self._video[self._numbers[as_index(number)]]

    def __repr__(self) -> str:
        return f"Part({self._numbers} of {self._video!r})"


def open_video(
    source: str | PathLike[str],
    *,
    results: str | PathLike[str] | Results | None = "auto",
    rate: float | None = None,
    fields: Fields | None = None,
    deinterlace: Deinterlace | bool | None = None,
) -> Video:
    """See `streamseg.open`."""
    given = as_source(source)
    if isinstance(given, FrameSource | int) or local_path(given) is None:
        raise ConfigError(f"{brief(str(source))}: frames by number need a film in a file, or a folder of images")
    found, notes = _results_of(given, results)
    asked: dict[str, Any] = {"rate": rate, "fields": fields, "deinterlace": deinterlace}
    asked["deinterlace"] = {True: "frame", False: "off"}.get(deinterlace, deinterlace)  # type: ignore[arg-type]
    told = found.head.get("settings", {}) if found is not None else {}
    options: dict[str, Any] = {}
    for name, usual in (("rate", None), ("fields", "auto"), ("deinterlace", "off")):
        was = told.get(f"decode.{name}", usual)
        options[name] = was if asked[name] is None else asked[name]
        if found is not None and options[name] != was:
            found.close()
            if results != "auto":
                raise ResultsError(f"{found.path}: it was made with {name} {was}, not {options[name]}")
            notes, found = [f"{found.path}: it was made with {name} {was}, not {options[name]}: it is left aside"], None
    try:
        frames = RandomAccess(given, **options)
    except BaseException:
        if found is not None:
            found.close()
        raise
    if found is not None and found.time_base != frames.info.time_base:
        frames.close()
        found.close()
        raise ResultsError(f"{found.path}: its times are in units of {found.time_base} s, the film's {frames.info.time_base} s")
    return Video(frames, found, notes)


def _results_of(source: str | Path, asked: str | PathLike[str] | Results | None) -> tuple[Results | None, list[str]]:
    """The results file of a film, and why one that is there is not taken. Raises ResultsError for one that was named."""
    if asked is None or asked == "off":
        return None, []
    if isinstance(asked, Results):
        found = open_results(asked.path)
    elif asked == "auto":
        path = Path(str(source)).parent / f"{film_of(source)[0]}{ENDING}"
        if not path.is_file():
            return None, []
        try:
            found = open_results(path)
        except ResultsError as error:
            return None, [str(error)]
    else:
        found = open_results(Path(asked).expanduser())
    if same_source(found.head.get("source"), key_of(source)):
        return found, []
    found.close()
    said = f"{found.path}: it is of another film"
    if asked != "auto":
        raise ResultsError(said)
    return None, [f"{said}, and is left aside"]
