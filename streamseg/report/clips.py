"""A few seconds of film around an event, small enough to lie within the page."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

from streamseg.composite import to_image
from streamseg.core.types import Frame
from streamseg.decode import open_source
from streamseg.decode.faults import AV_ERRORS
from streamseg.errors import StreamsegError
from streamseg.report.summary import Box

__all__ = ["AFTER", "BEFORE", "Clip", "Clips"]

BEFORE, AFTER = 4.0, 2.0
"""Seconds around the event."""
_HEIGHT = 270
_RATE = 12
"""Pictures a second at most."""
_MARK = (240, 228, 66)

ByteArray = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Clip:
    """What is shown of an event."""

    video: bytes
    """An mp4, H.264, without sound."""
    poster: bytes
    """A JPEG: the moment itself, what it is about marked."""


class Clips:
    """Cuts clips out of one film."""

    def __init__(self, film: Path) -> None:
        self._film = film
        self._begin: float | None = None

    def cut(self, time: float, box: Box | None) -> Clip:
        """Around `time` (presentation time, seconds); `box`: xyxy in frame pixels, marked on the poster. Raises StreamsegError."""
        if self._begin is None:
            with open_source(self._film, threads=1) as opened:
                self._begin = opened.info.start_time
        start = max(0.0, time - BEFORE - self._begin)
        pictures: list[tuple[float, ByteArray]] = []
        at: tuple[float, ByteArray] | None = None
        with open_source(self._film, start=start, duration=BEFORE + AFTER, threads=1) as source:
            for frame in _thinned(source.frames()):
                small, factor = _small(frame)
                pictures.append((frame.time, small))
                if at is None or abs(frame.time - time) < abs(at[0] - time):
                    at = frame.time, _marked(small, box, factor)
        if at is None:
            raise StreamsegError(f"{self._film}: no pictures at {time:.1f} s")
        _, poster = cv2.imencode(".jpg", at[1][..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])
        try:
            return Clip(_encoded(pictures), poster.tobytes())
        except AV_ERRORS as error:
            raise StreamsegError(f"{self._film}: a clip at {time:.1f} s cannot be encoded: {error}") from error


def _thinned(frames: Iterator[Frame]) -> Iterator[Frame]:
    after = -np.inf
    for frame in frames:
        if frame.time >= after - 1e-3:
            after = frame.time + 1 / _RATE
            yield frame


def _small(frame: Frame) -> tuple[ByteArray, float]:
    """RGB [height, width, 3] with even sides, and its pixels to one of the frame's."""
    whole = to_image(frame.picture, interlaced=frame.field_order is not None)
    height, width = whole.shape[:2]
    factor = min(1.0, _HEIGHT / min(height, width))
    size = max(2, round(width * factor) // 2 * 2), max(2, round(height * factor) // 2 * 2)
    return cv2.resize(whole, size, interpolation=cv2.INTER_AREA), factor  # type: ignore[return-value]


def _marked(picture: ByteArray, box: Box | None, factor: float) -> ByteArray:
    if box is None:
        return picture
    corners = [round(value * factor) for value in box]
    made = picture.copy()
    for colour, width in (((0, 0, 0), 4), (_MARK, 2)):
        cv2.rectangle(made, (corners[0], corners[1]), (corners[2], corners[3]), colour, width)
    return made


def _encoded(pictures: list[tuple[float, ByteArray]]) -> bytes:
    """An mp4 whose times begin with 0; pictures of another size than the first are left out."""
    target, base = io.BytesIO(), Fraction(1, 1000)
    height, width = pictures[0][1].shape[:2]
    with av.open(target, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=_RATE, options={"crf": "30", "preset": "veryfast", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = stream.codec_context.time_base = base
        for time, picture in pictures:
            if picture.shape[:2] != (height, width):
                continue
            frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format="yuv420p", dst_colorspace="ITU601", threads=1)
            frame.pts, frame.time_base = round((time - pictures[0][0]) * 1000), base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return target.getvalue()
