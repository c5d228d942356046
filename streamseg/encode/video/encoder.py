"""A configured video encoder: pictures in, packets out, in the source's own ticks."""

from __future__ import annotations

import contextlib
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Protocol

import av
from av.codec.context import Flags
from av.video.format import VideoFormat
from av.video.frame import PictureType
from av.video.stream import VideoStream

from streamseg.encode.video.codecs import CODECS, Choice
from streamseg.encode.video.convert import PictureConverter
from streamseg.encode.video.pixel_formats import padded_size
from streamseg.encode.video.remux import AV_ERRORS
from streamseg.encode.video.settings import encoder_rate
from streamseg.errors import OutputError
from streamseg.pixels.color import encoding
from streamseg.pixels.fields import FieldOrder, Marker
from streamseg.system.scheduling import usual_scheduling

if TYPE_CHECKING:
    from streamseg.core.types import Frame
    from streamseg.decode.color_tags import ColorTags

__all__ = ["KEYFRAME_SECONDS", "Described", "Encoder"]

KEYFRAME_SECONDS = 2
_UNSPECIFIED = 2
_AV_FIELD: dict[FieldOrder, int] = {"tff": 2, "bff": 3}
_RGB = 0  # H.273 MatrixCoefficients: none
# x265 does not set the decoding times of a film that has no more pictures than it may hold for B-frames: they are what lay in its
# memory. So short a film has no B-frame.
_UNORDERED = 2
_AVCOL = {"bt709": 1, "fcc": 4, "bt601": 6, "smpte240m": 7, "bt2020": 9}


class Described(Protocol):
    """What an encoder has to know of a source beside its pictures; `SourceInfo` is one."""

    @property
    def rate(self) -> Fraction | None:
        """Nominal frames a second."""

    @property
    def color(self) -> ColorTags:
        """Of its pictures as decoded."""

    @property
    def sample_aspect_ratio(self) -> Fraction | None:
        """Of the upright picture."""


class Encoder:
    """A configured encoder. Works in the source's ticks, so that no picture's pts is ever rewritten."""

    def __init__(
        self, stream: VideoStream, choice: Choice, first: av.VideoFrame, info: Described, frame: Frame, threads: int
    ) -> None:
        tags, field_order = encoding(first), frame.field_order
        size = (first.width, first.height)
        padded = padded_size(*size, choice.pix_fmt, interlaced=field_order is not None) if choice.codec.even else size
        self.padding = ""
        if padded != size:
            need = "an even size" if field_order is None else "an even size of each field"
            self.padding = f"{size[0]}x{size[1]} is padded to {padded[0]}x{padded[1]}: {choice.name} needs {need}"
        into_rgb = VideoFormat(choice.pix_fmt, 16, 16).is_rgb
        matrix = tags.matrix if tags.family == "yuv" else "bt709"
        full = into_rgb or (tags.full_range and tags.family != "rgb" and choice.codec.ranged)
        self.fit = PictureConverter(first, padded, choice.pix_fmt, matrix=matrix, full_range=full)
        self._stream, self._info = stream, info
        self._durations: dict[int, int] = {}
        self._holds = choice.ends_with_key
        self._held: tuple[av.VideoFrame, Frame] | None = None
        self._sent = 0
        self._intra = choice.codec.intra
        self._shown: tuple[av.VideoFrame, FieldOrder | None] | None = None
        self._again: bytes | None = None
        """What `_shown` was encoded to, once it came twice."""
        context = stream.codec_context
        context.width, context.height = padded
        context.pix_fmt = choice.pix_fmt
        context.thread_count = threads
        self._mark, self._codec = Marker(), choice.name
        self.marks_fields = choice.codec.fields and field_order is not None
        if field_order is not None:
            context.field_order = _AV_FIELD[field_order]
        if self.marks_fields:
            context.flags |= Flags.interlaced_dct
        context.framerate = encoder_rate(info.rate, frame.time_base)
        # Odd rates are often wrong (90000) or of time lapses (1/60).
        rate = min(max(float(info.rate or 25), 5.0), 240.0)
        context.gop_size = 1 if choice.codec.intra else round(rate * KEYFRAME_SECONDS)
        self._tag_colour(first, tags.family == "rgb", matrix, full)
        if into_rgb:
            context.colorspace = _RGB
        if info.sample_aspect_ratio:
            stream.sample_aspect_ratio = info.sample_aspect_ratio

    def _tag_colour(self, first: av.VideoFrame, rgb: bool, matrix: str, full: bool) -> None:
        context = self._stream.codec_context
        known = int(first.color_range) in {1, 2} or full or rgb
        context.color_range = (2 if full else 1) if known else 0
        context.colorspace = _AVCOL[matrix] if rgb else int(first.colorspace)
        # An output that converts this very picture may just have taken its tags off; the source's do not change.
        tags = self._info.color
        context.color_primaries = next(
            (t for t in (int(first.color_primaries), tags.primaries) if t != _UNSPECIFIED), _UNSPECIFIED
        )
        context.color_trc = next((t for t in (int(first.color_trc), tags.transfer) if t != _UNSPECIFIED), _UNSPECIFIED)

    @property
    def resized(self) -> int:
        """Pictures that had another size than the first."""
        return self.fit.resized

    def fitted(self, picture: av.VideoFrame, frame: Frame) -> av.VideoFrame:
        """The picture as the encoder takes it."""
        try:
            return self.fit(picture, interlaced=frame.field_order is not None)
        except AV_ERRORS as error:
            raise OutputError(f"{self._stream.codec_context.name} cannot encode {frame!r}: {error}") from error

    def encode(self, picture: av.VideoFrame, frame: Frame, *, key: bool = False) -> list[av.Packet[Any]]:
        """Packets that are ready; times in the source's ticks. `key`: decoding can begin at this picture.

        The same picture again (a matte in which nothing is, for an hour) costs nothing where every picture is coded alone.
        """
        same = self._shown is not None and self._shown[0] is picture and self._shown[1] == frame.field_order
        if same and self._again is not None:
            return [self._repeated(self._again, frame)]
        made = self.fitted(picture, frame)
        if self._intra:
            packets = self._send(made, frame)
            at_once = same and len(packets) == 1 and packets[0].pts == frame.pts
            self._shown, self._again = (picture, frame.field_order), bytes(packets[0]) if at_once else None
            return packets
        if not self._holds:
            return self._send(made, frame, PictureType.I if key else PictureType.NONE)
        held, self._held = self._held, (made, frame)
        return self._send(*held) if held is not None else []

    def _send(self, made: av.VideoFrame, frame: Frame, kind: PictureType = PictureType.NONE) -> list[av.Packet[Any]]:
        try:
            made = self._mark(made, frame.field_order)
            # Decoders leave the type there, and encoders take it as an order.
            made.pict_type = kind
            if made.pts != frame.pts or made.time_base != frame.time_base:
                made.pts, made.time_base = frame.pts, frame.time_base
            self._sent += 1
            if frame.duration > 0:
                self._durations[frame.pts] = frame.duration
            # The first picture opens an encoder that its container has not opened: one of a part.
            with usual_scheduling() if self._sent == 1 else contextlib.nullcontext():
                packets = self._stream.encode(made)
            return [self._timed(packet) for packet in packets]
        except AV_ERRORS as error:
            raise OutputError(f"{self._stream.codec_context.name} cannot encode {frame!r}: {error}") from error

    def _repeated(self, data: bytes, frame: Frame) -> av.Packet[Any]:
        packet = av.Packet(data)
        packet.stream, packet.time_base, packet.is_keyframe = self._stream, frame.time_base, True
        packet.pts = packet.dts = frame.pts
        packet.duration = frame.duration
        return packet

    def unmarked(self) -> str:
        """What is wrong with an interlaced picture that the encoder was not set up for."""
        said = "interlaced pictures are stored as progressive ones"
        if CODECS[self._codec].fields:
            return f"{said}, since the film began progressive; --deinterlace frame makes all of it so"
        return f"{said}: {self._codec} cannot mark fields; use h264 in .mp4, .mov or .mkv, or --deinterlace frame"

    def flush(self) -> list[av.Packet[Any]]:
        """The packets still inside."""
        held, self._held = self._held, None
        # No B-frame leans on a key frame that comes later: the picture that is shown last is then the last one in the file, too.
        last = self._send(*held, PictureType.I) if held is not None else []
        try:
            packets = last + [self._timed(packet) for packet in self._stream.encode(None)]
        except AV_ERRORS as error:
            raise OutputError(f"{self._stream.codec_context.name} cannot finish: {error}") from error
        if self._sent <= _UNORDERED:
            for packet in packets:
                packet.dts = packet.pts
        return packets

    def _timed(self, packet: av.Packet[Any]) -> av.Packet[Any]:
        # Encoders drop or guess the duration; the last picture's is known to nobody else.
        duration = self._durations.pop(packet.pts, None) if packet.pts is not None else None
        if duration is not None:
            packet.duration = duration
        return packet
