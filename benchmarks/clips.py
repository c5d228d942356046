"""Clips for the benchmarks, made once from the sample clips and kept in the temporary folder."""

from __future__ import annotations

import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import av

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "samples"))
from fetch import fetch

FOLDER = Path(tempfile.gettempdir()) / "streamseg-benchmarks"


def street(width: int = 1280, height: int = 720) -> Path:
    """bikes.mp4, 250 frames of a street, scaled to fill `width` x `height`; H.264, as a camera gives it."""
    target = FOLDER / f"street-{width}x{height}.mp4"
    if target.exists():
        return target
    FOLDER.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part.mp4")
    with av.open(str(fetch()["bikes.mp4"])) as source, av.open(str(part), "w") as sink:
        stream = sink.add_stream("libx264", rate=25, options={"crf": "20", "preset": "medium"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number, frame in enumerate(source.decode(video=0)):
            scaled = frame.reformat(width, height, "yuv420p", interpolation="BICUBIC", threads=1)
            scaled.pts, scaled.time_base = number, Fraction(1, 25)
            sink.mux(stream.encode(scaled))
        sink.mux(stream.encode())
    part.rename(target)
    return target


def repeated(clip: Path, times: int) -> Path:
    """`clip` again and again in one file, its packets copied: a long video without an hour of encoding."""
    target = FOLDER / f"{clip.stem}-x{times}.mp4"
    if target.exists():
        return target
    FOLDER.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part.mp4")
    with av.open(str(part), "w") as sink:
        offset = 0
        stream = None
        for _ in range(times):
            with av.open(str(clip)) as source:
                video = source.streams.video[0]
                stream = stream or sink.add_stream_from_template(video)
                for packet in source.demux(video):
                    if packet.dts is None:
                        continue
                    packet.pts, packet.dts = packet.pts + offset, packet.dts + offset
                    packet.stream = stream
                    sink.mux(packet)
                offset += video.duration
    part.rename(target)
    return target
