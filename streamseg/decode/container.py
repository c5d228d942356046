"""Opens the container that an address names, and a decoder for its video."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

import av
from av.codec.hwaccel import HWAccel
from av.container import InputContainer

from streamseg.decode.address import Address
from streamseg.decode.faults import AV_ERRORS
from streamseg.decode.header import Header
from streamseg.errors import Unreadable

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext
    from av.video.stream import VideoStream

__all__ = ["first_picture", "open_container", "with_alpha"]

_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""Decoders that read alpha, by codec. WebM stores alpha beside each picture, and FFmpeg's own decoders leave it out."""


def open_container(address: Address, timeout: float, file: Any = None, accel: HWAccel | None = None) -> InputContainer:
    """Open what `address` names. accel: hardware to decode with. libav's exceptions pass through; callers map them with `fault`.

    Raises Unreadable for an empty file.
    """
    limits = (2 * timeout, timeout) if address.threaded else None
    if address.kind == "file" and file is None and not os.path.getsize(address.url.removeprefix("file:")):
        raise Unreadable(f"{address.name}: is empty (0 bytes)")
    target = file if file is not None else address.url
    return cast(
        InputContainer,
        av.open(
            target,
            "r",
            format=address.format,
            options=address.options,
            timeout=limits,
            metadata_errors="replace",
            hwaccel=accel,
        ),
    )


def with_alpha(stream: VideoStream) -> VideoCodecContext | None:
    """A decoder that gives the stream's alpha where its usual one does not; None where none is needed, or none is there."""
    name = _ALPHA_DECODERS.get(stream.codec_context.name)
    if name is None or not any(key.lower() == "alpha_mode" and value == "1" for key, value in stream.metadata.items()):
        return None
    if name not in av.codec.codecs_available:
        return None
    context = cast("VideoCodecContext", av.CodecContext.create(name, "r"))
    context.extradata = stream.codec_context.extradata
    return context


def first_picture(address: Address, header: Header, timeout: float) -> av.VideoFrame | None:
    """The very first picture of a source, opened once more; None where it cannot be decoded."""
    try:
        with open_container(address, timeout) as container:
            return next(container.decode(container.streams[header.video_index]), None)  # type: ignore[return-value]
    except AV_ERRORS:
        return None
