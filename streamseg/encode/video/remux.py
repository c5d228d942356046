"""Keeps a stream's parameters after its source is closed, and adds a stream with these to another file, to copy its packets there.

PyAV adds a stream only if `avformat_query_codec` says yes. But that tells which codecs to encode with: Matroska and AVI also take
whatever has a tag in RIFF's table, such as G.711 and ADPCM, and only their `write_header` knows. So the parameters bypass that
check through libav's `null` bitstream filter, which copies all of them from one stream to another.
"""

from __future__ import annotations

import io
from typing import Any

import av
from av.bitstream import BitStreamFilterContext
from av.container import OutputContainer
from av.stream import Stream

__all__ = ["AV_ERRORS", "add_copy", "codec_of", "keep", "keep_video", "tagged"]

AV_ERRORS = (av.FFmpegError, OSError, ValueError)
"""What PyAV raises when it cannot encode or write."""
_DEFAULT_LAYOUTS = ("mono", "stereo", "2.1", "quad", "5.0", "5.1", "6.1", "7.1")
"""libav's default (av_channel_layout_default) for 1 to 8 channels."""


def keep(template: Stream) -> Stream:
    """A stream of the same parameters in a file of its own that goes nowhere; the source can be closed.

    Its `codec_context` is a decoder of its own that was not opened yet, or None where this build of FFmpeg has none. Channels
    that stand in no order get the usual one, which some muxers insist on. Raises one of AV_ERRORS.
    """
    nowhere = av.open(io.BytesIO(), "w", format="null")
    if template.codec_context is None or template.type == "video":
        kept = _of(nowhere, template)
    else:
        kept = nowhere.add_stream_from_template(template)
        context: Any = kept.codec_context
        if template.type == "audio" and context.layout.name.endswith(" channels") and 0 < len(context.layout.channels) <= 8:
            context.layout = _DEFAULT_LAYOUTS[len(context.layout.channels) - 1]
            nowhere.start_encoding()  # which writes the context's parameters into the stream
        if template.time_base:
            # Without it libav skips an encoder's priming, but leaves the time where it was.
            context.options = {"pkt_timebase": str(template.time_base)}
    kept.time_base = template.time_base
    kept.metadata.update(template.metadata)
    kept.disposition = template.disposition
    return kept


def keep_video(template: Stream) -> Stream:
    """As `keep`, of a picture that is to be copied into another kind of file: without the mark of the one it came in.

    Raises one of AV_ERRORS.
    """
    kept = av.open(io.BytesIO(), "w", format="null").add_stream_from_template(template, opaque=True)
    kept.time_base = template.time_base
    kept.metadata.update(template.metadata)
    return kept


def tagged(kept: Stream, tag: str) -> Stream:
    """A stream that `keep_video` gave, marked for players that know its codec by one mark only. Raises one of AV_ERRORS."""
    nowhere = av.open(io.BytesIO(), "w", format="null")
    made = nowhere.add_stream_from_template(kept, opaque=True)
    context: Any = made.codec_context
    context.codec_tag = tag
    nowhere.start_encoding()  # which writes the context's parameters into the stream
    made.time_base = kept.time_base
    made.metadata.update(kept.metadata)
    return made


def add_copy(container: OutputContainer, kept: Stream) -> Stream:
    """Add a stream of the parameters, metadata and disposition of one that `keep` gave. Raises one of AV_ERRORS."""
    stream = _of(container, kept)
    stream.time_base = kept.time_base
    stream.metadata.update(kept.metadata)
    stream.disposition = kept.disposition
    return stream


def _of(container: OutputContainer, stream: Stream) -> Stream:
    added = container.add_data_stream()
    BitStreamFilterContext("null", in_stream=stream, out_stream=added)
    return added


def codec_of(stream: Stream) -> str:
    """FFmpeg's name of a stream's codec (not of a decoder of it), also where this build has no decoder; else `unknown`."""
    if stream.codec_context is not None:
        return str(stream.codec_context.codec.canonical_name)
    with av.open(io.BytesIO(), "w", format="null") as nowhere:
        return str(getattr(_of(nowhere, stream), "name", None) or "unknown")
