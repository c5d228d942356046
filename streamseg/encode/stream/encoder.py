"""Pictures in, H.264 out at once: constrained baseline, which every browser plays over MSE and over WebRTC.

The encoder is x264 (NVENC where frames live on a GPU that has it). It holds nothing back, and keeps to a bit rate that a network
can carry.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from streamseg.core.types import Frame
from streamseg.decode.color_tags import ColorTags
from streamseg.encode.stream import h264
from streamseg.encode.stream.fmp4 import TIMESCALE
from streamseg.encode.stream.unit import StreamFormat
from streamseg.encode.video import nvenc
from streamseg.encode.video.codecs import CODECS, Choice
from streamseg.encode.video.encoder import Described, Encoder
from streamseg.encode.video.muxer import add_video
from streamseg.encode.video.remux import AV_ERRORS
from streamseg.encode.video.segments import nowhere
from streamseg.errors import OutputError
from streamseg.pixels.color import encoding
from streamseg.pixels.letterbox import Fitter
from streamseg.pixels.planes import copy_tags, new_frame, on_host, supported, views

if TYPE_CHECKING:
    from streamseg.pixels.picture import AnyPicture

__all__ = ["About", "LiveEncoder", "StreamSettings"]

_CLOCK = Fraction(1, TIMESCALE)
_WIDE = 1920 * 1080
"""Pixels above which one core may be too slow for a picture."""
_BITS_A_PIXEL = 0.17
"""At 25 pictures a second: 4 Mbit/s for 1280x720."""


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """How it is encoded."""

    crf: int = 23
    """Quality, smaller is better, where the bit rate allows it."""
    most_bits: int | None = None
    """Bits a second that are kept to, over a second; None: 0.17 a pixel of 25 pictures, which is 4 million for 1280x720."""
    threads: int = 0
    """Of the encoder; 0: one, or as many as there are cores for pictures above 1920x1080."""
    to_file: bool = False
    """For a file: no bit rate is kept to, and what the oldest browsers cannot play is used (the high profile)."""


@dataclass(frozen=True, slots=True)
class About:
    """What an encoder has to know of the source beside its pictures (`SourceInfo` says it, too)."""

    rate: Fraction | None = Fraction(25)
    color: ColorTags = field(default_factory=ColorTags)
    sample_aspect_ratio: Fraction | None = None


class LiveEncoder:
    """Encodes pictures of one size, format and epoch."""

    def __init__(self, frame: Frame, about: Described, settings: StreamSettings, number: int, *, gpu: bool = False) -> None:
        """`frame`: the first. `number`: of the format. Raises OutputError where it cannot be opened."""
        self._kind = _kind(frame)
        self._number, self._epoch = number, frame.epoch
        first = _own(frame.picture, frame)
        size = (first.width, first.height)
        name = "h264_nvenc" if gpu and nvenc.why_not_nvenc("h264_nvenc", size) is None else "h264"
        rate = about.rate or Fraction(25)
        choice = Choice(name, CODECS[name], "yuv420p", _options(name, size, settings), reorders=False)
        threads = settings.threads or (1 if size[0] * size[1] <= _WIDE else 0)
        try:
            # Annex B knows no header: each key frame brings its parameter sets along, as RTP and MPEG-TS want it.
            self._stream = stream = add_video(nowhere("h264"), choice, rate, _CLOCK)
            self._encoder = Encoder(stream, choice, first, about, replace(frame, field_order=None, time_base=_CLOCK), threads)
            # The stream asks for key frames by the clock; this is for films that stand still in time.
            stream.codec_context.gop_size = 600
        except AV_ERRORS as error:
            raise OutputError(f"a stream of {size[0]}x{size[1]} cannot be encoded: {error}") from error
        self.format: StreamFormat | None = None
        """Known once a picture was encoded."""
        self.padding = self._encoder.padding
        """Why pictures come out larger than they are; empty: they do not."""

    def fits(self, frame: Frame) -> bool:
        """Whether a frame can go on where the ones before it ended."""
        return _kind(frame) == self._kind

    def encode(self, frame: Frame, ticks: int, *, key: bool) -> tuple[bytes, bool]:
        """One picture, shown at `ticks` of 1/90000 s: its NAL units, and whether it is a key frame. Raises OutputError."""
        picture = _own(frame.picture, frame)
        timed = replace(frame, picture=picture, pts=ticks, time_base=_CLOCK, duration=0, field_order=None)
        made = self._encoder.encode(picture, timed, key=key)
        if len(made) != 1 or made[0].pts != ticks:
            raise OutputError(f"the encoder gave {len(made)} packets for {frame!r}, not one of its time")
        data, is_key = bytes(made[0]), bool(made[0].is_keyframe)
        if self.format is None:
            sets = h264.parameter_sets(h264.nal_units(data))
            if sets is None or not is_key:
                raise OutputError(f"the encoder began with no key frame at {frame!r}")
            context = self._stream.codec_context
            self.format = StreamFormat(self._number, context.width, context.height, self._epoch, *sets)
        return data, is_key


def _kind(frame: Frame) -> tuple[Any, ...]:
    tags = encoding(frame.picture)
    return frame.epoch, frame.width, frame.height, frame.picture.format.name, tags


def _options(name: str, size: tuple[int, int], settings: StreamSettings) -> dict[str, str]:
    most = settings.most_bits or max(500_000, round(_BITS_A_PIXEL * 25 * size[0] * size[1]))
    network = {"maxrate": str(most), "bufsize": str(most), "profile": "baseline"}
    bound = {"forced-idr": "1"} | ({"profile": "high"} if settings.to_file else network)
    if name == "h264_nvenc":
        return nvenc.options(str(settings.crf), live=True) | bound
    return {"preset": "superfast", "tune": "zerolatency", "crf": str(settings.crf), "bf": "0"} | bound


def _own(picture: AnyPicture, frame: Frame) -> av.VideoFrame:
    """The picture in planes of our own, for encoders write its time and type into it; HDR is tone-mapped."""
    if encoding(picture).transfer != "sdr":
        rgb = _fitting(picture.height, picture.width)(picture, frame.field_order)[0]
        return av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
    shared = on_host(picture)
    whole = supported(shared)
    if whole is not shared:
        return whole
    made = new_frame(whole.width, whole.height, whole.format.name)
    copy_tags(whole, made)
    for into, of in zip(views(made).planes, views(whole).planes, strict=True):
        into.array[...] = of.array
    return made


@lru_cache(maxsize=4)
def _fitting(height: int, width: int) -> Fitter:
    return Fitter(height, width)
