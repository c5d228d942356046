"""Makes the file that a `Clip` describes, once a session for all rows that use it."""

from __future__ import annotations

import hashlib
import os
import shutil
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
from av.filter import Graph

from tests.conformance import changes, extras, pictures
from tests.conformance.clip import Clip
from tests.conformance.encoders import ENCODERS

__all__ = ["lossless", "make"]

os.environ.setdefault("SVT_LOG", "1")  # else SVT-AV1 prints a page for every source; 1: errors

_MUXERS = {
    "y4m": "yuv4mpegpipe",
    "ts": "mpegts",
    "mpg": "mpeg",
    "vob": "vob",
    "ogv": "ogg",
    "mkv": "matroska",
    "m2v": "mpeg2video",
}


def lossless(clip: Clip) -> bool:
    """Whether its file decodes to the formula's own values on every CPU."""
    if clip.codec.startswith("h264") and ("10" in clip.pix_fmt or clip.b):
        return False
    return ENCODERS[clip.codec].lossless and not clip.suffix.startswith("jpg")


def make(clip: Clip, root: Path) -> Path:
    """The file (or folder) of a clip below `root`."""
    key = hashlib.sha256(repr(clip).encode()).hexdigest()[:16]
    stills = clip.suffix.endswith("/")
    path = root / (key if stills else f"{key}.{'png' if clip.change == 'png' else clip.suffix}")
    if not path.exists():
        part = path.with_name(f"part-{path.name}")
        try:
            (_stills if stills else _film)(clip, part)
            changes.CHANGES[clip.change](clip, part, root, make)
            part.rename(path)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True) if part.is_dir() else part.unlink(missing_ok=True)
            raise
    return path


def _stills(clip: Clip, folder: Path) -> None:
    folder.mkdir()
    for number in range(clip.frames):
        data = b"".join(_encode(clip, number, 1))
        (folder / f"still{number:03d}.{clip.suffix[:-1]}").write_bytes(data)


def _encode(clip: Clip, first: int, count: int) -> list[bytes]:
    encoder = ENCODERS[clip.codec]
    context: Any = av.CodecContext.create(encoder.name, "w")
    context.width, context.height, context.pix_fmt = *clip.size, clip.pix_fmt
    context.time_base, context.thread_count = 1 / clip.rate, 1
    if clip.pix_fmt.startswith("yuvj"):
        context.color_range = 2
    context.options = encoder.options(clip) | encoder.fixed | dict(clip.options)
    packets = []
    for number in range(first, first + count):
        frame = pictures.picture(number, *clip.size, clip.pix_fmt)
        frame.pts, frame.time_base = number, 1 / clip.rate
        packets += context.encode(frame)
    return [bytes(packet) for packet in packets + context.encode(None)]


def _film(clip: Clip, path: Path) -> None:
    form = _MUXERS.get(clip.suffix, clip.suffix)
    with av.open(str(path), "w", format=form, container_options=dict(clip.muxer)) as container:
        container.metadata.update(dict(clip.tags))
        video = _video_stream(clip, container)
        packets = [(p, video) for p in _coded(clip, video)]
        packets += extras.sounds(clip, container) + extras.subtitles(clip, container)
        extras.chapters(clip, container)
        # Muxers want the streams in step; what carries no decoding time comes at its presentation.
        for packet, stream in sorted(packets, key=lambda pair: _moment(pair[0])):
            packet.stream = stream
            container.mux_one(packet)


def _moment(packet: Any) -> Fraction:
    return Fraction(packet.dts if packet.dts is not None else packet.pts or 0) * packet.time_base


def _video_stream(clip: Clip, container: Any) -> Any:
    encoder = ENCODERS[clip.codec]
    options = encoder.options(clip) | encoder.fixed | dict(clip.options)
    stream = container.add_stream(encoder.name, rate=clip.rate, options=options)
    stream.width, stream.height, stream.pix_fmt = *clip.size, clip.pix_fmt
    context = stream.codec_context
    context.time_base, context.gop_size, context.thread_count = clip.counts, clip.gop, 1
    context.colorspace, context.color_range, context.color_primaries, context.color_trc = clip.colour
    if clip.pix_fmt.startswith("yuvj"):
        context.color_range = 2
    if clip.sar:
        stream.sample_aspect_ratio = clip.sar
    if clip.turn or clip.mirror:
        stream.set_display_rotation(clip.turn, hflip=clip.mirror)
    stream.metadata.update(dict(clip.stream_tags))
    return stream


def _coded(clip: Clip, stream: Any) -> list[Any]:
    fields = _field_marker(clip.field, *clip.size, clip.pix_fmt) if clip.field else None
    packets = []
    for number, seconds in enumerate(clip.times()):
        frame = pictures.picture(number, *clip.size, clip.pix_fmt)
        if fields is not None:
            fields.push(frame)
            frame = fields.pull()
        frame.pts, frame.time_base = round((clip.begin + seconds) / clip.counts), clip.counts
        frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc = clip.colour
        if clip.pix_fmt.startswith("yuvj"):
            frame.color_range = 2
        packets += stream.encode(frame)
    packets += stream.encode(None)
    if clip.timing == "cfr" and clip.codec not in ("h264", "hevc"):
        for packet in packets:
            packet.duration = packet.duration or round(1 / clip.rate / packet.time_base)
    return packets


@lru_cache(maxsize=8)
def _field_marker(order: str, width: int, height: int, pix_fmt: str) -> Graph:
    """PyAV cannot flag a picture as interlaced itself; libavfilter can."""
    graph = Graph()
    source = graph.add_buffer(width=width, height=height, format=pix_fmt, time_base=Fraction(1, 25))
    fields = graph.add("setfield", order)
    source.link_to(fields)
    fields.link_to(graph.add("buffersink"))
    graph.configure()
    return graph
