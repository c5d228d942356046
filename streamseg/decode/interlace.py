"""Interlaced pictures before they become frames: weaves fields that were coded apart, and deinterlaces where that is asked for.

Deinterlacing is done by bwdif (libavfilter: yadif's motion check with w3fdif's interpolation). Whether a picture is interlaced is
taken from the picture, not from the header: films change from one to the other in mid-stream.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain
from typing import Literal

import av
from av.filter import Graph

from streamseg.decode.header import Header
from streamseg.decode.picture import DecodedPicture
from streamseg.errors import Unreadable
from streamseg.pixels.fields import FieldOrder, Marker, OrderReader, weave
from streamseg.pixels.planes import supported

__all__ = ["Deinterlace", "Fields", "Interlacing"]

Deinterlace = Literal["off", "frame", "field"]
"""`frame`: one progressive picture of each interlaced one; `field`: two, of both moments, so that the rate doubles."""
Fields = Literal["auto", "progressive", "tff", "bff"]
"""Whether and how pictures are interlaced: as they say, or as the user knows better."""

_LINE_BY_LINE = ("png", "apng", "gif")
"""Codecs whose interlacing is only the order in which a picture's lines are stored; FFmpeg flags it as if these were fields."""
_LEAST = 4
"""Pixels; bwdif takes no smaller pictures."""
_THREADS = 4


@dataclass(frozen=True, slots=True)
class Interlacing:
    """What is wanted."""

    fields: Fields = "auto"
    deinterlace: Deinterlace = "off"

    def apply(
        self, header: Header, first: DecodedPicture, rest: Iterable[DecodedPicture]
    ) -> tuple[Header, Iterator[DecodedPicture]]:
        """The pictures as whole frames with their field order, and the header with the rate and time base that they now have.

        Raises Unreadable where the first picture is on a GPU and interlaced: then it does not say how.
        """
        if self.fields == "auto" and (header.kind == "images" or header.codec in _LINE_BY_LINE):
            return header, chain([first], rest)
        if self.fields == "auto" and first.image.format.name == "cuda" and first.image.interlaced_frame:
            raise Unreadable("interlaced pictures do not tell the order of their fields to NVDEC; use --decode cpu")
        pictures: Iterator[DecodedPicture] = self._ordered(chain([first], rest))
        apart = header.codec == "hevc" and first.image.interlaced_frame
        if header.codec == "hevc":
            pictures = _woven(pictures)
        if apart and header.rate:
            # FFmpeg flags pictures of H.265 only where each is one field.
            header = replace(header, rate=header.rate / 2, frame_count=header.frame_count and max(1, header.frame_count // 2))
        if self.deinterlace == "off":
            return header, pictures
        twice = self.deinterlace == "field"
        if twice:
            header = _halved(header, doubles=self._order(first, OrderReader()) is not None)
        return header, _Deinterlacer(twice, header.rate).pictures(pictures)

    def _order(self, picture: DecodedPicture, read: OrderReader) -> FieldOrder | None:
        if self.fields != "auto":
            return None if self.fields == "progressive" else self.fields
        if picture.image.format.name == "cuda":
            # Which came first nobody tells of a picture on a GPU; high definition has the top field first.
            return "tff" if picture.image.interlaced_frame else None
        return read(picture.image)

    def _ordered(self, pictures: Iterable[DecodedPicture]) -> Iterator[DecodedPicture]:
        read = OrderReader()
        for picture in pictures:
            picture.field_order = self._order(picture, read)
            yield picture


def _halved(header: Header, doubles: bool) -> Header:
    """For pictures at each field's time: that of the second may lie between two ticks."""
    return replace(
        header,
        time_base=header.time_base / 2,
        origin=None if header.origin is None else header.origin * 2,
        rate=header.rate * 2 if header.rate and doubles else header.rate,
        frame_count=header.frame_count * 2 if header.frame_count and doubles else header.frame_count,
    )


def _woven(pictures: Iterable[DecodedPicture]) -> Iterator[DecodedPicture]:
    """Frames of pictures that are one field each, where they are; `field_order` tells which of the two: tff the top one."""
    held: DecodedPicture | None = None
    for picture in pictures:
        if held is not None and _fit(held, picture):
            yield _pair(held, picture)
            held = None
            continue
        if held is not None:
            yield _alone(held)
            held = None
        if picture.field_order is None:
            yield picture
        else:
            held = picture
    if held is not None:
        yield _alone(held)


def _fit(first: DecodedPicture, second: DecodedPicture) -> bool:
    a, b = first.image, second.image
    same = (a.width, a.height, a.format.name) == (b.width, b.height, b.format.name)
    return same and not second.broken and second.field_order not in (None, first.field_order)


def _pair(first: DecodedPicture, second: DecodedPicture) -> DecodedPicture:
    fields = [supported(first.image), supported(second.image)]
    whole = weave(*(fields if first.field_order == "tff" else fields[::-1]))
    return replace(first, image=whole, duration=first.duration + second.duration)


def _alone(picture: DecodedPicture) -> DecodedPicture:
    """A field whose other one is missing: its lines twice."""
    field = supported(picture.image)
    return replace(picture, image=weave(field, field), field_order=None)


class _Deinterlacer:
    def __init__(self, twice: bool, rate: Fraction | None) -> None:
        self._twice = twice
        self._step = 1 / (rate or Fraction(25))
        self._mark = Marker()
        self._graph: Graph | None = None
        self._key: tuple[int, int, str] | None = None
        self._pending: deque[DecodedPicture] = deque()
        """Pushed, and not yet all come out: bwdif holds one back."""
        self._seconds = False
        """The second field of the first of them comes next."""

    def pictures(self, pictures: Iterable[DecodedPicture]) -> Iterator[DecodedPicture]:
        """Progressive pictures; those that were progressive pass as they are."""
        for picture in pictures:
            image = supported(picture.image)
            key = (image.width, image.height, image.format.name)
            if picture.broken or key != self._key:
                yield from self._flush()
                self._key = key
            if image.width < _LEAST or image.height < _LEAST:
                yield replace(picture, field_order=None)
                continue
            yield from self._push(picture, image)
        yield from self._flush()

    def _push(self, picture: DecodedPicture, image: av.VideoFrame) -> Iterator[DecodedPicture]:
        if self._graph is None:
            self._graph = graph = Graph()
            graph.threads = min(_THREADS, os.cpu_count() or 1)
            source = graph.add_buffer(width=image.width, height=image.height, format=image.format, time_base=Fraction(1, 1000))
            bwdif = graph.add("bwdif", f"mode={'send_field' if self._twice else 'send_frame'}:parity=auto:deint=interlaced")
            back = graph.add("format", f"pix_fmts={image.format.name}")  # bwdif takes planar formats only
            graph.link_nodes(source, bwdif, back, graph.add("buffersink"))
            graph.configure()
        self._pending.append(picture)
        # Frames are told apart by their order alone: bwdif is not to see times that jump.
        marked = self._mark(image, picture.field_order)
        marked.pts = None
        self._graph.vpush(marked)
        yield from self._pull()

    def _flush(self) -> Iterator[DecodedPicture]:
        if self._graph is not None:
            self._graph.vpush(None)
            yield from self._pull()
        self._graph = None
        self._pending.clear()
        self._seconds = False

    def _pull(self) -> Iterator[DecodedPicture]:
        assert self._graph is not None
        while True:
            try:
                image = self._graph.vpull()
            except (BlockingIOError, EOFError):
                return
            yield self._timed(image)

    def _timed(self, image: av.VideoFrame) -> DecodedPicture:
        picture = self._pending[0]
        image.pts = None
        if not self._twice:
            self._pending.popleft()
            return replace(picture, image=image, field_order=None)
        pts = None if picture.pts is None else 2 * picture.pts
        time_base, seconds = picture.time_base / 2, self._seconds
        self._seconds = picture.field_order is not None and not seconds
        gap = self._gap(picture) if picture.field_order is not None else picture.duration
        if not self._seconds:
            self._pending.popleft()
        if picture.field_order is None:
            return replace(picture, image=image, pts=pts, time_base=time_base, duration=2 * picture.duration)
        if seconds:
            pts = None if pts is None else pts + gap
        known = picture.duration > 0
        return replace(
            picture,
            image=image,
            pts=pts,
            time_base=time_base,
            duration=gap if known and not seconds else 2 * picture.duration - gap if known else 0,
            broken=picture.broken and not seconds,
            field_order=None,
        )

    def _gap(self, picture: DecodedPicture) -> int:
        """Half of the time that the frame lasts, in ticks of half the length; a pause after it does not count."""
        lasts = picture.duration or round(self._step / picture.time_base)
        if len(self._pending) > 1:
            following = self._pending[1]
            if picture.pts is not None and following.pts is not None and following.time_base == picture.time_base:
                apart = following.pts - picture.pts
                if apart > 0 and (not picture.duration or apart < picture.duration):
                    return apart
        return lasts
