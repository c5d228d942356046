"""Turns what a program gives (`decode.frames`) into pictures: arrays or `av.VideoFrame`s, with times or counted at a rate."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from numbers import Real
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from streamseg.decode.color_tags import ColorTags
from streamseg.decode.frames import END, FrameSource
from streamseg.decode.header import Header, StreamInfo
from streamseg.decode.picture import DecodedPicture
from streamseg.errors import NoVideo, SourceError, StreamsegError, TooLarge, clean
from streamseg.errors.describe import brief
from streamseg.pixels.planes import copy_frame, new_frame, views
from streamseg.system.callbacks import Message

__all__ = ["open_frames", "picture_of", "said"]

TICK = Fraction(1, 720_000)
"""Seconds a tick where pictures come with times: 1.4 microseconds. The time of a frame at all usual rates is a whole multiple."""
_FORMATS = {3: "rgb24", 4: "rgba"}
_SRGB = ColorTags(space=0, range=2, primaries=1, transfer=13)
"""What RGB without a word is taken for: IEC 61966-2-1, full range."""
_GREY = ColorTags(space=2, range=2, primaries=1, transfer=13)
_ALLOWED = "a picture is uint8: RGB [height, width, 3], RGBA [height, width, 4] or grey [height, width]; or an av.VideoFrame"


def open_frames(
    source: FrameSource, rate: Fraction | None, max_pixels: int, on_message: Message
) -> tuple[Header, Iterator[DecodedPicture]]:
    """What the first picture tells, and all pictures, read as they are asked for; `rate` a second (25 if None) without times.

    Raises NoVideo if there is none, SourceError if it is not a picture, TooLarge; so does reading on.
    """
    rate = source.rate if rate is None else rate
    pictures = _Pictures(source, max_pixels).read()
    first = next(pictures, None)
    if first is None:
        if source.stopped:
            raise SourceError(f"{source}: stopped while the first one was waited for")
        raise NoVideo(f"{source}: there is none; the iterator was at its end at once")
    timed = first.pts is not None
    if not timed and rate is None:
        on_message(f"{source}: have no times of their own; 25 frames a second are taken (--rate says other)")
    counted = Fraction(rate or 25)
    stream = StreamInfo(0, "video", "rawvideo", detail=f"{first.image.width}x{first.image.height} {first.image.format.name}")
    header = Header(
        name=str(source),
        kind="frames",
        live=False,
        time_base=first.time_base if timed else 1 / counted,
        rate=rate if timed else counted,
        duration=None if timed or source.count is None else float(source.count / counted),
        frame_count=source.count,
        tags=ColorTags(),
        sample_aspect_ratio=None,
        metadata={},
        streams=(stream,),
        container="frames",
        codec="rawvideo",
        origin=None if timed else 0,
        timeless=not timed,
        counted=not timed,
    )
    return header, chain([first], pictures)


class _Pictures:
    """Makes pictures of one source's items; the first one tells whether they have times."""

    def __init__(self, source: FrameSource, max_pixels: int) -> None:
        self._source, self._max_pixels = source, max_pixels
        self._index = 0
        self._timed: bool | None = None

    def read(self) -> Iterator[DecodedPicture]:
        """All of them."""
        while True:
            try:
                item = self._source.pull()
            except Exception as error:
                raise SourceError(f"frame {self._index}: its iterator failed: {said(error)}") from clean(error)
            if item is END:
                return
            yield self._picture(item)
            del item  # not held while it is waited for the next one
            self._index += 1

    def _picture(self, item: Any) -> DecodedPicture:
        where = f"frame {self._index}"
        given, time = item if isinstance(item, tuple) and len(item) == 2 else (item, None)
        paired = given is not item
        if isinstance(given, av.VideoFrame):
            width, height = given.width, given.height
        elif problem := _problem(given):
            raise SourceError(f"{where}: {problem}")
        else:
            height, width = given.shape[:2]
        if width * height > self._max_pixels:
            raise TooLarge(
                f"{where}: a picture of {width}x{height} exceeds the limit of {self._max_pixels} pixels (max_pixels)"
            )
        try:
            image = _copy(given) if isinstance(given, av.VideoFrame) else _image(given)
        except StreamsegError as error:
            raise SourceError(f"{where}: {error}") from error
        pts, time_base = (_ticks(time, where), TICK) if paired else (image.pts, image.time_base or TICK)
        timed = pts is not None
        if self._timed is None:
            self._timed = timed
        elif paired and not self._timed:
            raise SourceError(f"{where}: comes with a time, and the first one did not; give all of them times, or none")
        elif self._timed and not timed and not isinstance(given, av.VideoFrame):
            raise SourceError(f"{where}: comes without a time, and the first one did not; give all of them times, or none")
        return DecodedPicture(image, pts, time_base)


def picture_of(given: Any, where: str) -> av.VideoFrame:
    """One array as a picture, in memory of its own. Raises SourceError for what is none, which `where` names."""
    if problem := _problem(given):
        raise SourceError(f"{where}: {problem}")
    return _image(given)


def _ticks(time: object, where: str) -> int:
    """A time in seconds as a number of `TICK`s. Raises SourceError."""
    if not isinstance(time, Real) or isinstance(time, bool) or not abs(float(time)) < 1e12:
        raise SourceError(f"{where}: its time is {brief(time)}; a number of seconds is needed")
    return round(time / TICK if isinstance(time, Fraction) else float(time) / float(TICK))


def said(error: BaseException) -> str:
    """An error of the program's own, in a few words."""
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return text if len(text) <= 300 else f"{text[:300]}..."


def _problem(given: Any) -> str | None:
    """What is wrong with what should be an array of one picture."""
    if not isinstance(given, np.ndarray):
        hint = "; numpy.asarray makes an array of it" if hasattr(given, "__array__") else ""
        return f"{brief(given)} is no picture; {_ALLOWED}{hint}"
    shape = given.shape
    fits = given.ndim == 2 or (given.ndim == 3 and shape[2] in (1, 3, 4))
    if fits and given.dtype == np.uint8:
        return None if given.size else f"{brief(given)} has no pixels"
    hint = ""
    if given.dtype != np.uint8:
        floats = given.dtype.kind == "f"
        hint = " (where they go from 0 to 1: (255 * a).round().astype(numpy.uint8))" if floats else ""
        hint = " (16 bits: (a >> 8).astype(numpy.uint8))" if given.dtype == np.uint16 else hint
    elif given.ndim == 3 and shape[0] in (1, 3, 4):
        hint = " (channels stand last: a.transpose(1, 2, 0))"
    return f"{brief(given)} is no picture; {_ALLOWED}{hint}"


def _copy(picture: av.VideoFrame) -> av.VideoFrame:
    """Its owner may write into it again, and finds its colour tags as they were. One on a GPU is the decoder's own."""
    return picture if picture.format.name == "cuda" else copy_frame(picture)


def _image(array: npt.NDArray[np.uint8]) -> av.VideoFrame:
    """A copy of the array, which its owner may go on to use."""
    grey = array.ndim == 2 or array.shape[2] == 1
    height, width = array.shape[:2]
    image = new_frame(width, height, "gray" if grey else _FORMATS[array.shape[2]])
    views(image).planes[0].array[...] = array[..., 0] if grey and array.ndim == 3 else array  # 3 times as fast as from_ndarray
    tags = _GREY if grey else _SRGB
    image.colorspace, image.color_range = tags.space, tags.range
    image.color_primaries, image.color_trc = tags.primaries, tags.transfer
    return image
