"""Drive a sink as the pipeline does, without an engine: decoded or made pictures, no instances."""

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from streamseg.composite import Rendered
from streamseg.core.result import Result
from streamseg.core.types import Frame, Instances
from streamseg.decode import Decoder
from streamseg.decode.color_tags import ColorTags
from streamseg.decode.info import SourceInfo
from streamseg.encode import Sink, open_sink

INFO = SourceInfo(
    name="made",
    kind="file",
    live=False,
    width=96,
    height=64,
    pix_fmt="yuv420p",
    bit_depth=8,
    time_base=Fraction(1, 25),
    rate=Fraction(25),
    duration=None,
    frame_count=None,
    color=ColorTags(),
    rotation=0,
    sample_aspect_ratio=None,
    metadata={},
    streams=(),
    container="mov,mp4,m4a,3gp,3g2,mj2",
)


def rendered(frame: Frame, picture: av.VideoFrame | None = None, names: tuple[str, ...] = ("car",)) -> Rendered:
    return Rendered(Result(frame, Instances.empty(names)), picture or frame.picture)


def frames(pictures: Iterable[av.VideoFrame], times: Iterable[int] | None = None, time_base: Fraction = Fraction(1, 25)):
    """Frames at `times` (0, 1, 2, ... by default) in units of `time_base`."""
    made = []
    for index, picture in enumerate(pictures):
        pts = index if times is None else list(times)[index]
        picture.pts, picture.time_base = pts, time_base
        made.append(Frame(picture, index, pts, time_base, 1))
    return made


def write(path: Path | str, pictures: Iterable[av.VideoFrame], info: SourceInfo = INFO, **options: Any) -> Sink:
    """Write made pictures; the closed sink."""
    all_frames = frames(pictures)
    if all_frames:
        first = all_frames[0].picture
        info = replace(info, pix_fmt=first.format.name, width=first.width, height=first.height)
    sink = open_sink(path, info, **options)
    sink.open()
    try:
        for frame in all_frames:
            sink(rendered(frame))
    except BaseException:
        sink.abort()  # as the runtime does
        raise
    sink.close()
    return sink


def copy(source: Path, target: Path, *, start: float = 0.0, duration: float | None = None, **options: Any) -> Sink:
    """Decode `source` and write it, with its audio and subtitles, to `target`; the closed sink."""
    with Decoder(source, start=start, duration=duration) as decoder:
        sink = open_sink(target, decoder.info, source=source, passthrough=decoder.subscribe(), **options)
        sink.open()
        for frame in decoder.frames():
            sink(rendered(frame))
    sink.close()
    return sink


def times(path: Path) -> list[Fraction]:
    """Presentation times in seconds, by PyAV alone."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return [frame.pts * stream.time_base for frame in container.decode(stream)]
