"""Whether a film can be decoded in parts, side by side, and where parts may begin.

All packets are read once, without decoding them. At some of the places where a part would begin it is then tried: what is decoded
from there has to be, to the bit, what decoding from farther before gives. It is tried at each where a key frame is not sure to be
one (`entry`): Blu-rays and cameras have such pictures, and what is decoded from there looks whole, and is not.
"""

from __future__ import annotations

import os
from bisect import bisect_left, bisect_right
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
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
_COMPARED = 20
"""Pictures that are compared there: more than a decoder remembers."""
_HELD = 1.0
"""Seconds before a part's first picture from which it is decoded, too: what follows objects holds pictures for so long."""


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
    total = Promise(table, options).total
    if total <= step:
        return f"it has {total} pictures only"
    try:
        table = _sure(source, table, step, options, float(info.rate or 25))
        found = _near(table, step, options)
        if found.longest > max(step, total // 2):
            apart = float((table.pts[-1] - table.pts[0]) * table.time_base) / max(1, len(table.keys))
            return f"its key frames are {apart:.0f} s apart: a part would be decoded from too far before"
        for at in {-(-i * (len(found.starts) - 1) // _TRIED) for i in range(1, _TRIED + 1)}:
            if not _stands(source, table, found.starts[at], options):
                at_seconds = float(table.pts[found.starts[at]] * table.time_base)
                return f"its pictures depend on those before their key frame, from {at_seconds:.2f} s on"
    except NotDivisible as error:
        return str(error).removeprefix(f"{info.name}: ")
    return found


def _near(table: Timetable, step: int, options: dict[str, Any]) -> Cuts:
    promise = Promise(table, options)
    places = [(start, start - promise.start_for(start)[0]) for start in range(0, promise.total, step)]
    near = [(start, vain) for start, vain in places if vain <= step]
    return Cuts(table, promise.total, tuple(start for start, _ in near), tuple(vain for _, vain in near))


def _sure(source: str | os.PathLike[str], table: Timetable, step: int, options: dict[str, Any], rate: float) -> Timetable:
    """With the key frames alone that are sure, and of the others those near where parts would begin, if they prove so."""
    if not table.unsure:
        return table
    known = {key: True for key in table.keys if key not in table.unsure}
    wanted = [
        (start, bisect_right(table.keys, table.pts[max(0, start - ahead)]) - 1)
        for start in range(step, len(table.pts), step)
        for ahead in (0, round(_HELD * rate))
    ]

    def try_it(key: int) -> bool:
        return _stands(source, table, bisect_left(table.pts, key), options | {"threads": 1})

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        while wanted:
            near = [(start, at) for start, at in wanted if start - bisect_left(table.pts, table.keys[at]) <= step]
            asked = list(dict.fromkeys(key for _, at in near if (key := table.keys[at]) not in known))
            known |= dict(zip(asked, pool.map(try_it, asked), strict=True))
            wanted = [(start, at - 1) for start, at in near if at > 0 and not known[table.keys[at]]]
    sure = [(key, decoded) for key, decoded in zip(table.keys, table.decoded, strict=True) if known.get(key)]
    return replace(table, keys=[key for key, _ in sure], decoded=[decoded for _, decoded in sure])


def _stands(source: str | os.PathLike[str], table: Timetable, first: int, options: dict[str, Any]) -> bool:
    """Whether pictures from number `first` on are the same, decoded from the key frame before it, and from the one before that.

    Raises NotDivisible where something else is wrong.
    """
    before = max(0, Promise(table, options).start_for(first)[0] - 1)
    end = first + _COMPARED
    by_itself, going_on = (Stretch(source, table, begin, end, options) for begin in (first, before))
    try:
        for stretch in (by_itself, going_on):
            stretch.open()
        pairs = zip(by_itself.frames(), islice(going_on.frames(), first - before, None), strict=True)
        return all(_same(one, other) for one, other in pairs)
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
