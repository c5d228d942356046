"""What a source's container tells before its first picture is decoded: streams, rate, duration, colour, times."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av

from streamseg.decode.address import Address, Kind
from streamseg.decode.color_tags import ColorTags
from streamseg.decode.labels import NO_LABELS, Labels, labels_of

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

__all__ = [
    "Header",
    "StreamInfo",
    "duration_of",
    "end_of",
    "header_of",
    "images_header",
    "is_finite",
    "is_timeless",
    "lacks_pts",
    "nominal_rate",
    "streams_of",
]

NO_TIMESTAMPS = 0x80
"""AVFMT_NOTIMESTAMPS (libavformat/avformat.h): libav makes times up, at 25 a second or as the codec's own header says."""
_BT470BG = 5


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """One stream of the source."""

    index: int
    type: str
    """video, audio, subtitle, data or attachment."""
    codec: str
    language: str | None = None
    title: str | None = None
    duration: float | None = None
    """Seconds."""
    detail: str = ""
    """For people: size or sample rate and channels."""


@dataclass(frozen=True, slots=True)
class Header:
    """What is known of a source before its first picture is decoded."""

    name: str
    kind: Kind
    live: bool
    time_base: Fraction
    rate: Fraction | None
    duration: float | None
    frame_count: int | None
    """Of the whole source."""
    tags: ColorTags
    sample_aspect_ratio: Fraction | None
    metadata: dict[str, str]
    streams: tuple[StreamInfo, ...]
    container: str
    codec: str
    video_index: int = 0
    origin: int | None = 0
    """pts of the source's first picture, in `time_base`; None until it is decoded."""
    chapters: tuple[dict[str, Any], ...] = ()
    by_arrival: bool = False
    """A live source without a clock of its own: a picture's time is when it arrived."""
    timeless: bool = False
    """A bare stream of pictures (raw H.264, images in a pipe): what libav gives as times is made up."""
    counted: bool = False
    """Such a stream for which the user named a rate: a picture's time is its number by that rate."""
    end: Fraction | None = None
    """When the last picture ends, seconds on the source's clock, if the container tells."""
    labels: Labels = NO_LABELS


def is_finite(container: InputContainer) -> bool:
    """Whether what a web server sends has an end: the server states a size, or the container states a duration.

    Some films come without either. For a fragmented MP4 libav's duration does not count: it covers the fragments seen so far.
    """
    in_parts = "mp4" in container.format.name and not any(stream.frames for stream in container.streams)
    if duration_of(container) is not None and not in_parts:
        return True
    return container.format.name not in ("hls", "dash") and bool(container.size > 0)


def is_timeless(container: InputContainer) -> bool:
    """Whether the format holds pictures only, one after the other, so that libav makes up their times."""
    name = container.format.name
    return bool(container.format.flags & NO_TIMESTAMPS) or name.endswith("_pipe") or name == "image2pipe"


def lacks_pts(container: InputContainer, stream: VideoStream) -> bool:
    """Whether pictures come in another order than they are shown, and their container (AVI) only counts them."""
    return container.format.name == "avi" and stream.codec_context.reorder_depth > 0


def header_of(address: Address, container: InputContainer, stream: VideoStream, *, live: bool, rate: Fraction | None) -> Header:
    """What the container tells. rate: given by the user; used where the container has none, or where libav makes it up."""
    context = stream.codec_context
    timeless = is_timeless(container)
    by_arrival, counted = live and timeless, timeless and not live and rate is not None
    tags = ColorTags(int(context.colorspace), int(context.color_range), int(context.color_primaries), int(context.color_trc))
    if context.name == "vp8" and tags.space == ColorTags().space:
        tags = replace(tags, space=_BT470BG)  # what it always is (RFC 6386, 9.2), which libvpx does not say
    return Header(
        address.name,
        address.kind,
        live,
        1 / rate if counted and rate else Fraction(1, 90000) if by_arrival or not stream.time_base else stream.time_base,
        rate if by_arrival or counted else nominal_rate(stream) or rate,
        None if live else duration_of(container),
        _count(stream),
        tags,
        stream.sample_aspect_ratio or None,
        dict(container.metadata),
        streams_of(container),
        container.format.name,
        context.name,
        stream.index,
        0 if by_arrival or counted else None if lacks_pts(container, stream) else stream.start_time,
        tuple(dict(chapter) for chapter in container.chapters()),
        by_arrival,
        timeless,
        counted,
        None if live or timeless else end_of(container, stream),
        NO_LABELS if live else labels_of(container, stream),
    )


def _count(stream: VideoStream) -> int | None:
    """How many pictures the header tells, without those that an edit list cuts off."""
    entries = stream.index_entries
    if stream.frames and stream.frames == len(entries) and (entries[0].is_discard or entries[-1].is_discard):
        return sum(not entry.is_discard for entry in entries)
    return stream.frames or None


def images_header(address: Address, rate: Fraction, count: int) -> Header:
    """For `count` stills: one every 1 / `rate` seconds."""
    stream = StreamInfo(0, "video", address.images[0].suffix.lower().lstrip("."), detail=f"{count} images")
    aspect, length = None, float(count / rate)
    return Header(
        address.name, "images", False, 1 / rate, rate, length, count, ColorTags(), aspect, {}, (stream,), "images", stream.codec
    )


def nominal_rate(stream: VideoStream) -> Fraction | None:
    """Frames a second as libav guesses them, None where that is absurd (RTSP often says 90000)."""
    for rate in (stream.guessed_rate, stream.average_rate, stream.base_rate):
        if rate and 0 < rate <= 1000:
            return Fraction(rate)
    return None


def duration_of(container: InputContainer) -> float | None:
    """Seconds of the longest stream, None if the container does not tell (streams that never end)."""
    return container.duration / av.time_base if container.duration and container.duration > 0 else None


def end_of(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """When a stream's last picture ends, seconds on its clock; None if the container does not tell."""
    alone = sum(s.type in ("video", "audio") for s in container.streams) == 1
    length = Fraction(max(0, container.duration or 0), av.time_base)
    if stream.duration and stream.duration > 0 and stream.time_base:
        start = (stream.start_time or 0) * stream.time_base
        # mp4's own duration of a stream is short by what the last pictures' order takes longer than the first ones'.
        return start + max(stream.duration * stream.time_base, length if alone else 0)
    if "matroska" not in container.format.name or not length:
        return None
    if alone:
        return length
    # The longest stream's end is told, and each one's in a tag, if at all.
    told = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d{1,9})?)", stream.metadata.get("DURATION", ""))
    seconds = int(told[1]) * 3600 + int(told[2]) * 60 + Fraction(told[3]) if told else None
    return seconds if seconds is not None and seconds <= length + Fraction(1, 100) else None


def streams_of(container: InputContainer) -> tuple[StreamInfo, ...]:
    """A line on every stream."""
    return tuple(_describe(s) for s in container.streams)


def _describe(stream: Any) -> StreamInfo:
    context = stream.codec_context
    duration = float(stream.duration * stream.time_base) if stream.duration and stream.duration > 0 else None
    detail = ""
    if context is not None and stream.type == "video":
        detail = f"{context.width}x{context.height} {context.pix_fmt or 'unknown format'}"
    elif context is not None and stream.type == "audio":
        detail = f"{context.sample_rate} Hz, {context.layout.name}"
    return StreamInfo(
        stream.index,
        stream.type,
        context.name if context is not None else stream.type,
        stream.language,
        stream.metadata.get("title"),
        duration,
        detail,
    )
