"""Clips: of each event a film of the seconds before and after it, cut out of the source without encoding, and a table of them.

    drive.clips/
        clips.csv                              a line an event: its clip, where in that it is, and what the CSV of events says
        00-03-12.4_near_miss_car#7.mp4         named by the first event that it shows

A clip begins with the key frame before. Events whose clips overlap share one. Each is whole when it is there, soon after its last
event, so that a run that is killed leaves those before.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Unpack, cast

from streamseg.core.event_clips import KINDS, EventClips
from streamseg.encode.csv_text import BOM, csv_line
from streamseg.encode.file_sink import FileOptions
from streamseg.encode.image_folder import check_folder
from streamseg.encode.results.base import FormatSink
from streamseg.encode.results.event_cells import COLUMNS, event_row
from streamseg.encode.results.events_csv import cells
from streamseg.encode.sink import OutputRequest, Sink
from streamseg.encode.video.cut import Cut, FilmPart, cut
from streamseg.errors import OutputError
from streamseg.system.file_names import FileNames
from streamseg.system.output_files import OutputFile

if TYPE_CHECKING:
    from streamseg.core.result import Result
    from streamseg.decode import SourceInfo

__all__ = ["ClipsSink", "Joint"]

_TABLE = "clips.csv"
_LATE = 10.0
"""Seconds after which an event may be told at most, to be part of a clip that it would have made longer."""


class Joint(Protocol):
    """Where a file begins in a source of several (`streamseg.decode.joined.Joint`)."""

    @property
    def at(self) -> float:
        """Seconds of the source."""

    @property
    def shift(self) -> float:
        """Seconds from the file's own clock to the source's."""

    @property
    def part(self) -> Any:
        """With its `path`."""


@dataclass(slots=True)
class _Clip:
    begin: float
    """Seconds of the source, as `end`."""
    end: float
    name: str
    rows: list[dict[str, Any]] = field(default_factory=list)


class ClipsSink(FormatSink):
    """Writes a folder of films, and the table."""

    folder: ClassVar[bool] = True
    copies: ClassVar[bool] = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        info: SourceInfo,
        clips: EventClips | None = None,
        joints: Callable[[], Sequence[Joint]] | None = None,
        **place: Unpack[FileOptions],
    ) -> None:
        super().__init__(path, info, **place)
        self._clips, self._joints = clips or EventClips(), joints or (lambda: ())

    @classmethod
    def make(cls, request: OutputRequest) -> Sink:
        """See OutputKind."""
        place: FileOptions = {"overwrite": request.overwrite, "source": request.source}
        return cast("Sink", cls(request.path, request.info, request.clips, request.joints, **place))

    def open(self) -> None:
        """Check and make the folder. Raises OutputError, also where the source cannot be read again."""
        film = self._info.kind == "trip" or (self._info.kind == "file" and self._source is not None and self._source.is_file())
        if not film or self._info.live:
            raise OutputError(
                f"{self.name}: clips are cut out of films on this machine, and {self._info.name} is none; of cameras "
                "`streamseg live` records clips (docs/live.md)"
            )
        check_folder(self.path, self._source, self._overwrite, re.compile(re.escape(_TABLE)), "tables")

    def _begin(self, first: Result) -> None:
        self._table = OutputFile(self.path / _TABLE, self._overwrite)
        self._table.append(BOM + csv_line(("clip", "begin", "end", "at", *COLUMNS)))
        self._names = FileNames()
        self._waiting: list[_Clip] = []
        self._last: tuple[_Clip, Cut] | None = None
        """The one that was written last."""
        self._epoch, self._made, self._without, self._full = first.frame.epoch, 0, 0, 0

    def _write(self, result: Result) -> None:
        kinds = self._clips.kinds or KINDS[result.scene is not None]
        named = result.instances.track_names
        lost = result.frame.synthetic_pts or (result.frame.epoch != self._epoch and not self._joints())
        for event in result.activity.events if result.activity else ():
            if event.kind in kinds:
                row = event_row(event, result.frame.index, named.get(event.track_id))
                if lost:  # its clock has jumped, or it has none: where in the file this is cannot be told
                    self._without += 1
                    self._tell([row], None)
                else:
                    self._notice(row)
        while self._waiting and result.time > self._waiting[0].end + _LATE:
            self._cut(self._waiting.pop(0))

    def _notice(self, row: dict[str, Any]) -> None:
        at, options = row["time"], self._clips
        begin, end = at - options.before, at + options.after
        if self._last is not None and self._last[1].begin <= at <= self._last[1].begin + self._last[1].seconds:
            self._tell([row], self._last[1])
            return
        for clip in self._waiting:
            if begin <= clip.end and end >= clip.begin and max(end, clip.end) - min(begin, clip.begin) <= options.longest:
                clip.begin, clip.end = min(begin, clip.begin), max(end, clip.end)
                clip.rows.append(row)
                return
        before = max((clip.end for clip in self._waiting if clip.begin <= begin), default=begin)
        self._waiting.append(_Clip(max(begin, min(before, at)), end, _name(row), [row]))
        self._waiting.sort(key=lambda clip: clip.begin)

    def _cut(self, clip: _Clip) -> None:
        if self._clips.limit and self.counters.bytes >= self._clips.limit:
            self._full += 1
            self._tell(clip.rows, None)
            return
        target = self.path / self._names(clip.name, str(self._made + 1))
        title = f"{clip.rows[0]['kind']} at {clip.rows[0]['time']:.1f} s of {self._info.name}"
        made = cut(list(self._parts(clip.begin, clip.end)), clip.begin, clip.end, target, title)
        if made is None:
            self._without += 1
            self._tell(clip.rows, None)
            return
        self._made += 1
        self.counters.bytes += made.size
        if made.said and not any(made.said in words for words in self.warnings):
            self.warnings.append(f"{self.name}: {made.said}")
        self._last = (clip, made)
        self._tell(clip.rows, made)

    def _parts(self, begin: float, end: float) -> Iterator[FilmPart]:
        """The files that hold this time."""
        joints = list(self._joints())
        if not joints:
            assert self._source is not None
            yield FilmPart(self._source)
        for number, joint in enumerate(joints):
            until = joints[number + 1].at if number + 1 < len(joints) else end
            if joint.at <= end and (until > begin or number == len(joints) - 1):
                yield FilmPart(Path(joint.part.path), Fraction(joint.shift).limit_denominator(1_000_000))

    def _tell(self, rows: Sequence[dict[str, Any]], made: Cut | None) -> None:
        for row in sorted(rows, key=lambda row: row["time"]):
            place: tuple[Any, ...] = (None,) * 4
            if made is not None:
                at = row["time"] - made.begin
                place = (made.path.name, round(made.begin, 3), round(made.begin + made.seconds, 3), round(at, 3))
            self._table.append(csv_line((*place, *cells(row))))

    def _finish(self) -> None:
        try:
            while self._waiting:
                self._cut(self._waiting.pop(0))
        finally:
            self._table.close()
        if self._full:
            most = self._clips.limit / 1e9
            self.warnings.append(
                f"{self.name}: {self._full} clips are not written: the others have reached {most:g} GB (limit)"
            )
        if self._without:
            self.warnings.append(f"{self.name}: {self._without} events have no clip: where they are in the file is not known")


def _name(row: dict[str, Any]) -> str:
    """`00-03-12.4_near_miss_car#7`."""
    tenths = round(10 * max(0.0, row["time"]))
    minutes, rest = divmod(tenths, 600)
    who = row["name"] or row["class"] + (f"#{row['track']}" if row["track"] else "")
    return f"{minutes // 60:02d}-{minutes % 60:02d}-{rest / 10:04.1f}_{row['kind']}_{who}"
