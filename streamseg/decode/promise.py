"""What the packets of a film promise of a run: how many pictures, and when each is shown."""

from __future__ import annotations

import os
from bisect import bisect_left, bisect_right
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import Any

from streamseg.decode.address import parse_source
from streamseg.decode.info import SourceInfo
from streamseg.decode.options import exactly
from streamseg.decode.timetable import Timetable, read_timetable

__all__ = ["Promise", "promised"]

_LEAD = 4
"""Pictures decoded before the first one that is to be deinterlaced as ever, at least: bwdif looks at the ones beside it."""


class Promise:
    """What a timetable says of a run, whose first picture is number 0. options: those of `Decoder`."""

    def __init__(self, table: Timetable, options: dict[str, Any]) -> None:
        self.table = table
        self._lead = _LEAD if options.get("deinterlace", "off") != "off" else 0
        self._pts = table.pts
        if any(a >= b for a, b in pairwise(table.pts)):  # as `Timeline` does where times repeat
            self._pts = list(accumulate(table.pts, lambda last, pts: max(pts, last + 1)))
        self._start = exactly(options.get("start") or 0)
        duration = options.get("duration")
        self._ends = None if duration is None else self._start + exactly(duration)
        origin = table.pts[0] if table.origin is None else table.origin
        self._skipped = bisect_left(self._pts, origin + -(-self._start // table.time_base)) if self._start else 0
        behind = len(self._pts) if self._ends is None else bisect_left(self._pts, origin + self._ends / table.time_base)
        self.total = max(0, behind - self._skipped)
        """How many pictures."""

    def index(self, number: int) -> int:
        """The number in the film."""
        return number + self._skipped

    def pts(self, number: int) -> int:
        """When it is shown."""
        return self._pts[number + self._skipped]

    def epoch(self, number: int) -> int:
        """How often the source's clock has become another before it."""
        return bisect_right(self.table.jumps, self.pts(number))

    def start_for(self, number: int) -> tuple[int, Fraction]:
        """The number of the first picture to decode for that one, which may be below zero; and what `Decoder` takes as `start`.

        The last one of a film lasts as long as the step before it, so that another is decoded before it.
        """
        wanted = number + self._skipped
        lead = max(self._lead, wanted == len(self._pts) - 1)
        at, start = self.table.start_for(max(0, wanted - lead))
        return at - self._skipped, start

    def duration_from(self, start: Fraction) -> Fraction | None:
        """The duration for `Decoder` that leads from `start` to where the run ends."""
        return None if self._ends is None else self._ends - start


def promised(source: str | os.PathLike[str], info: SourceInfo, options: dict[str, Any]) -> Timetable | str:
    """The timetable of a film, read from its packets; or why it has to be decoded from its beginning, in words."""
    if options.get("deinterlace", "off") == "field":
        return "how many pictures deinterlacing makes of each (deinterlace: field) is known when they are decoded"
    if info.kind == "images":
        return _of_images(source, info)
    if info.kind != "file":
        return "it is not one file of a film"
    table = read_timetable(source, options.get("max_pixels", 8192 * 8192), 0)
    if table is None:
        return (
            f"packets of {info.container} do not tell the times of all pictures, or seeks in it do not lead where they should"
        )
    if table.time_base != info.time_base:
        return "its times are not those of its packets"
    if table.jumps and not table.by_place:
        return f"its clock jumps {len(table.jumps)} times (recordings that were joined)"
    return table


def _of_images(source: str | os.PathLike[str], info: SourceInfo) -> Timetable | str:
    """Each picture of a folder stands alone, and its time is its number."""
    count = len(parse_source(source).images)
    if count < 2:
        return "it is one file of pictures, which is read from its beginning"
    numbers = list(range(count))
    return Timetable(info.time_base, numbers, numbers, numbers, [], {}, 0)
