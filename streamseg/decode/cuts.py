"""Whether a film can be decoded in parts, side by side, and where parts may begin.

All packets are read once, without decoding them. At some of the places where a part would begin it is then tried: what is decoded
from there has to be, to the bit, what decoding from farther before gives.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from streamseg.core.types import Frame
from streamseg.decode.decoder import Decoder
from streamseg.decode.promise import Promise, promised
from streamseg.decode.stretch import NotDivisible, Stretch
from streamseg.decode.timetable import Timetable
from streamseg.errors import StreamsegError
from streamseg.pixels import planes

__all__ = ["Cuts", "cuts"]

_TRIED = 2
"""Places at which it is tried."""
_COMPARED = 8
"""Pictures that are compared there."""


@dataclass(frozen=True, slots=True)
class Cuts:
    """Where the parts of a run may begin. Its first picture is number 0."""

    table: Timetable
    """What each part is decoded with (`Stretch`)."""
    total: int
    """How many pictures the packets promise."""
    starts: tuple[int, ...]
    """Multiples of the step at which a part may begin: 0, and those to which it is not farther than a step from a key frame."""
    vain: tuple[int, ...]
    """How many pictures are decoded in vain for each."""

    @property
    def longest(self) -> int:
        """Pictures of the longest part, if the run is cut at all of `starts`."""
        return max(b - a for a, b in zip(self.starts, (*self.starts[1:], self.total), strict=True))


def cuts(source: str | os.PathLike[str], step: int, options: dict[str, Any]) -> Cuts | str:
    """Where parts of a film may begin, multiples of `step`; or why it cannot be divided, in words.

    options: those of `Decoder`. Raises what `Decoder.open` raises.
    """
    with Decoder(source, **options) as decoder:
        info = decoder.open()
    if options.get("realtime"):
        return "it is played at its own speed (realtime)"
    if (options.get("start") or 0) or options.get("duration") is not None:
        return "only a span of it is read (start, duration, end)"
    table = promised(source, info, options)
    if isinstance(table, str):
        return table
    if table.problem:
        return table.problem.removeprefix(f"{info.name}: ")
    promise = Promise(table, options)
    places = [(start, start - promise.start_for(start)[0]) for start in range(0, promise.total, step)]
    near = [(start, vain) for start, vain in places if vain <= step]
    found = Cuts(table, promise.total, tuple(start for start, _ in near), tuple(vain for _, vain in near))
    if promise.total <= step:
        return f"it has {promise.total} pictures only"
    if found.longest > max(step, promise.total // 2):
        apart = float((table.pts[-1] - table.pts[0]) * table.time_base) / len(table.keys)
        vain = sum(vain for _, vain in places) / promise.total
        return f"its key frames are {apart:.0f} s apart: in parts it would be decoded {1 + vain:.1f} times"
    try:
        for at in {-(-i * (len(near) - 1) // _TRIED) for i in range(1, _TRIED + 1)}:
            _try(source, found, at, promise, options)
    except NotDivisible as error:
        return str(error).removeprefix(f"{info.name}: ")
    return found


def _try(source: str | os.PathLike[str], found: Cuts, at: int, promise: Promise, options: dict[str, Any]) -> None:
    """Decode from where a part begins, and from farther before. Raises NotDivisible where they differ, or something is wrong."""
    first = found.starts[at]
    before = max(0, first - found.vain[at] - 1)
    end = min(first + _COMPARED, found.total)
    by_itself, going_on = (Stretch(source, found.table, begin, end, options) for begin in (first, before))
    try:
        for stretch in (by_itself, going_on):
            stretch.open()
        for one, other in zip(by_itself.frames(), islice(going_on.frames(), first - before, None), strict=True):
            if not _same(one, other):
                raise NotDivisible(
                    f"{by_itself.info.name}: its pictures depend on those before their key frame, from {one.time:.2f} s on"
                )
    except NotDivisible:
        raise
    except (StreamsegError, ValueError) as error:
        raise NotDivisible(str(error)) from error
    finally:
        by_itself.close()
        going_on.close()


def _same(one: Frame, other: Frame) -> bool:
    told = [
        (frame.index, frame.pts, frame.duration, frame.epoch, frame.field_order, frame.synthetic_pts, frame.corrupt)
        for frame in (one, other)
    ]
    shapes = [(frame.picture.format.name, frame.width, frame.height) for frame in (one, other)]
    if told[0] != told[1] or shapes[0] != shapes[1]:
        return False
    views = (planes.views(planes.on_host(one.picture)), planes.views(planes.on_host(other.picture)))
    return all(np.array_equal(a.array, b.array) for a, b in zip(views[0].planes, views[1].planes, strict=True))
