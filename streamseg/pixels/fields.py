"""Interlaced pictures: two fields, taken one after the other, whose lines are woven into one frame.

What works on lines above one another (blur, scaling, a change of chroma resolution) works on each field alone: the lines beside
are of another moment. Chroma of interlaced 4:2:0 belongs to fields, too: its even lines to the top field (ITU-T H.264, 6.2).

PyAV tells whether a picture is interlaced, but neither which field came first nor can it say so of a picture that was made here;
libavfilter can.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import av
import numpy as np

from streamseg.pixels import planes
from streamseg.pixels.filters import Filter
from streamseg.pixels.layouts import layout
from streamseg.pixels.picture import AnyPicture

__all__ = [
    "LEAST_LINES",
    "WORDS",
    "FieldOrder",
    "Marker",
    "OrderReader",
    "by_field",
    "convert",
    "first_field",
    "full_chroma",
    "one_moment",
    "split",
    "weave",
]

FieldOrder = Literal["tff", "bff"]
"""Which field was taken first: the top one, which is the even lines, or the bottom one."""

LEAST_LINES = 4
"""Pictures with fewer lines are not taken apart: a field of them would have no chroma of its own."""

WORDS: dict[FieldOrder, str] = {"tff": "top field first", "bff": "bottom field first"}


class OrderReader:
    """Reads which field of a picture came first; used by one thread."""

    def __init__(self) -> None:
        self._select = Filter(("select", "eq(interlace_type,TOPFIRST)"))

    def __call__(self, picture: av.VideoFrame) -> FieldOrder | None:
        """The order, None if the picture is flagged progressive. Takes some microseconds. Not for pictures on a GPU."""
        if not picture.interlaced_frame:
            return None
        return "bff" if self._select(picture) is None else "tff"


class Marker:
    """Flags pictures, for an encoder; used by one thread."""

    def __init__(self) -> None:
        self._filters = {order: Filter(("setfield", order)) for order in ("tff", "bff", "prog")}

    def __call__(self, picture: av.VideoFrame, order: FieldOrder | None) -> av.VideoFrame:
        """`picture`, or the same memory with other flags."""
        if order is None and not picture.interlaced_frame:
            return picture
        pts, time_base = picture.pts, picture.time_base
        marked = self._filters[order or "prog"](picture)
        assert marked is not None  # setfield keeps every picture
        marked.pts = pts
        if time_base is not None:
            marked.time_base = time_base
        return marked


def split(picture: av.VideoFrame) -> tuple[av.VideoFrame, av.VideoFrame]:
    """The top and the bottom field, each a picture of half the height (rounded up, and down), tags kept."""
    whole = planes.views(picture)
    made = []
    for parity, height in ((0, -(-picture.height // 2)), (1, picture.height // 2)):
        half = planes.new_frame(picture.width, height, picture.format.name)
        for into, of in zip(planes.views(half).planes, whole.planes, strict=True):
            lines = of.array[parity::2]
            count = min(len(lines), len(into.array))
            into.array[:count] = lines[:count]
            # Of heights that are no multiple of four, as 486, the bottom field has one chroma line less.
            into.array[count:] = lines[-1:]
        planes.copy_tags(picture, half)
        made.append(half)
    return made[0], made[1]


def weave(top: av.VideoFrame, bottom: av.VideoFrame) -> av.VideoFrame:
    """One picture of both fields, which have one width and format; tags are the top one's."""
    whole = planes.new_frame(top.width, top.height + bottom.height, top.format.name)
    upper, lower = planes.views(top).planes, planes.views(bottom).planes
    for into, even, odd in zip(planes.views(whole).planes, upper, lower, strict=True):
        for parity, field in ((0, even.array), (1, odd.array)):
            lines = into.array[parity::2]
            lines[...] = field[: len(lines)]
    planes.copy_tags(top, whole)
    return whole


def by_field(picture: av.VideoFrame, work: Callable[[av.VideoFrame], av.VideoFrame]) -> av.VideoFrame:
    """What `work` makes of each field, woven. `picture` is of a format that `planes.views` reads, and so is what comes out."""
    top, bottom = split(picture)
    return weave(work(top), work(bottom))


def convert(picture: av.VideoFrame, name: str, *, interlaced: bool) -> av.VideoFrame:
    """As `planes.convert`; chroma that is halved downwards is enlarged within its field. `name`: one that `planes.views` reads."""
    known = layout(picture.format.name)
    if not interlaced or known is None or picture.format.name == name or not any(spec.shift_y for spec in known.planes):
        return planes.convert(picture, name)
    return by_field(picture, lambda field: planes.convert(field, name))


def full_chroma(picture: av.VideoFrame) -> av.VideoFrame:
    """An interlaced picture with chroma for every line, for code that shows it as one moment; itself if it has that already."""
    known = layout(picture.format.name)
    if known is None or not any(spec.shift_y for spec in known.planes):
        return picture
    return convert(
        picture, f"yuv{'a' if known.alpha else ''}444p{'' if known.depth == 8 else f'{known.depth}le'}", interlaced=True
    )


def first_field(whole: planes.Planes, order: FieldOrder | None) -> planes.Planes:
    """The lines of the field that was taken first, as views; `whole` itself where there are none, or fewer than four lines."""
    if order is None or whole.height < LEAST_LINES:
        return whole
    lines = slice(0 if order == "tff" else 1, None, 2)
    return whole._replace(
        height=whole.height // 2, planes=tuple(planes.Plane(plane.array[lines], plane.spec) for plane in whole.planes)
    )


def one_moment(picture: AnyPicture, order: FieldOrder | None) -> planes.Planes:
    """The planes of a picture for what looks at them: of an interlaced one the first field, each line twice.

    Both fields together show what moves twice. Raises Unreadable for a pixel format that nothing here can convert.
    """
    whole = planes.views(planes.supported(picture))
    field = first_field(whole, order)
    if field is whole:
        return whole
    made = []
    for all_lines, its in zip(whole.planes, field.planes, strict=True):
        rows = np.minimum(np.arange(len(all_lines.array)) // 2, len(its.array) - 1)
        made.append(planes.Plane(its.array[rows], its.spec))
    return whole._replace(planes=tuple(made))
