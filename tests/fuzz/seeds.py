"""Small sound media files of many kinds, which the campaign over media damages: 9 pictures of 64x48, sound, sometimes subtitles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from tests import clips

SIZE = (64, 48)
FRAMES = 9
RATE = 25
_LONGEST_STEP = 20_000
"""Seconds from a packet to the next that an mp4 holds at every rate of sound."""
TEXTS = ((0.0, 0.1, "one"), (0.15, 0.3, "two"))


@dataclass(frozen=True)
class Seed:
    """How one of them is made."""

    name: str
    video: str
    pix_fmt: str = "yuv420p"
    audio: str | None = None
    subtitle: str | None = None
    format: str | None = None
    options: dict[str, str] = field(default_factory=dict)
    """Of the video encoder."""
    container: dict[str, str] = field(default_factory=dict)
    sound_rate: int = 48000


X264 = {"preset": "ultrafast", "crf": "30", "threads": "1", "g": "4"}
X264_B = X264 | {"preset": "veryfast", "x264-params": "b-adapt=0:bframes=3:keyint=6:rc-lookahead=0:mbtree=0"}
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}

SEEDS = (
    Seed("b.mp4", "libx264", audio="aac", subtitle="mov_text", options=X264_B),
    Seed("fragments.mp4", "libx264", audio="aac", options=X264, container=FRAGMENTS),
    Seed("clip.mov", "mpeg4", audio="pcm_s16be"),
    Seed("prores.mov", "prores_ks", "yuva444p10le"),
    Seed("b.mkv", "libx264", audio="ac3", subtitle="subrip", options=X264_B),
    Seed("vp9.webm", "libvpx-vp9", audio="libopus", subtitle="webvtt", options={"cpu-used": "8", "deadline": "realtime"}),
    Seed("alpha.webm", "libvpx", "yuva420p", options={"auto-alt-ref": "0", "deadline": "realtime"}),
    Seed("clip.avi", "mpeg4", audio="libmp3lame", options={"bf": "2"}),
    Seed("clip.ts", "mpeg2video", audio="mp2", options={"bf": "2", "g": "5"}),
    Seed("clip.mpg", "mpeg1video", audio="mp2", format="mpeg"),
    Seed("clip.flv", "flv", audio="libmp3lame", sound_rate=44100),
    Seed("clip.ogg", "libvpx", audio="libopus", options={"deadline": "realtime"}),
    Seed("clip.gif", "gif", "rgb8"),
    Seed("clip.apng", "apng", "rgba", format="apng"),
    Seed("raw.h264", "libx264", format="h264", options=X264_B),
    Seed("raw.hevc", "libx265", "yuv420p10le", format="hevc", options={"x265-params": "log-level=none:pools=1:bframes=2"}),
    Seed("raw.mjpeg", "mjpeg", "yuvj420p", format="mjpeg"),
    Seed("clip.mxf", "mpeg2video", "yuv422p", audio="pcm_s16le"),
    Seed("ffv1.nut", "ffv1", "yuv444p", audio="pcm_s16le"),
    Seed("clip.y4m", "wrapped_avframe", format="yuv4mpegpipe"),
    Seed("vp8.ivf", "libvpx", format="ivf", options={"deadline": "realtime"}),
    Seed("clip.wmv", "wmv2", audio="libmp3lame", format="asf"),
    Seed("grey.mkv", "ffv1", "gray16le"),
    Seed("frame.png", "png", "rgb24", format="image2"),
    Seed("frame.jpg", "mjpeg", "yuvj420p", format="image2"),
    Seed("frame.tiff", "tiff", "rgb48le", format="image2"),
    Seed("frame.webp", "libwebp", "yuva420p", format="image2"),
    Seed("frame.bmp", "bmp", "bgr24", format="image2"),
)


@dataclass
class Coded:
    """A packet that is being edited; times in units of `time_base`."""

    stream: int
    data: bytes
    pts: int | None
    dts: int | None
    duration: int
    time_base: Fraction
    key: bool


def write_all(folder: Path) -> list[Path]:
    """Every seed in `folder`; those that are there are left as they are."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for seed in SEEDS:
        path = folder / seed.name
        if not path.exists():
            part = path.with_name(f"part-{seed.name}")
            write(part, seed)
            part.rename(path)
        paths.append(path)
    return paths


def write(path: Path, seed: Seed) -> None:
    """One seed, the same bytes every time as far as libav lets us."""
    still = seed.format == "image2"
    options = {"fflags": "+bitexact", **({"update": "1"} if still else {}), **seed.container}
    with av.open(str(path), "w", format=seed.format, options=options) as container:
        stream: Any = container.add_stream(seed.video, rate=RATE, options=seed.options)
        stream.width, stream.height = SIZE
        stream.pix_fmt = seed.pix_fmt
        stream.codec_context.thread_count = 1
        if seed.pix_fmt.startswith("yuvj"):
            stream.codec_context.color_range = 2
        sound: Any = container.add_stream(seed.audio, rate=seed.sound_rate) if seed.audio else None
        if sound is not None:
            sound.codec_context.layout = "stereo"
        text: Any = container.add_mux_stream(seed.subtitle, time_base=Fraction(1, 1000)) if seed.subtitle else None
        for packet in _coded(stream, sound, text, seed, 1 if still else FRAMES):
            container.mux(packet)


def _coded(video: Any, sound: Any, text: Any, seed: Seed, count: int) -> Iterator[Any]:
    packets = []
    for index in range(count):
        frame = clips.picture(index, *SIZE).reformat(format=seed.pix_fmt, threads=1)
        frame.pts, frame.time_base = index, Fraction(1, RATE)
        packets += video.encode(frame)
    packets += video.encode(None)
    if sound is not None:
        packets += _tone(sound, seed.sound_rate, count / RATE)
    if text is not None:
        packets += [_subtitle(text, *line, seed.subtitle == "mov_text") for line in TEXTS]
    yield from sorted(packets, key=lambda p: (p.dts if p.dts is not None else p.pts or 0) * p.time_base)


def _tone(stream: Any, rate: int, seconds: float) -> list[Any]:
    context = stream.codec_context
    n = np.arange(int(rate * seconds))
    wave = (6000 * np.sin(2 * np.pi * 440 * n / rate)).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(np.stack([wave, -wave]), format="s16p", layout="stereo")
    frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
    resampler = av.AudioResampler(context.format, "stereo", rate, frame_size=context.frame_size or 1024)
    packets = []
    for part in (*resampler.resample(frame), *resampler.resample(None)):
        packets += stream.encode(part)
    return packets + list(stream.encode(None))


def _subtitle(stream: Any, start: float, end: float, line: str, mp4: bool) -> Any:
    data = line.encode()
    packet: Any = av.Packet(len(data).to_bytes(2, "big") + data if mp4 else data)
    packet.time_base, packet.stream = Fraction(1, 1000), stream
    packet.pts = packet.dts = round(start * 1000)
    packet.duration = round((end - start) * 1000)
    return packet


def packets_of(path: Path) -> list[Coded]:
    """The packets of a seed, in the order of the file."""
    with av.open(str(path)) as container:
        return [
            Coded(p.stream_index, bytes(p), p.pts, p.dts, p.duration or 0, p.time_base, p.is_keyframe)
            for p in container.demux()
            if p.size
        ]


def remux(source: Path, packets: Sequence[Coded], target: Path, format: str) -> None:
    """Write edited packets with the streams of `source`. Raises libav's errors, or ValueError, where the muxer refuses them."""
    with (
        av.open(str(source)) as template,
        av.open(str(target), "w", format=format, options={"fflags": "+bitexact"}) as container,
    ):
        streams: Any = {}
        for stream in template.streams:
            if stream.type in ("video", "audio", "subtitle"):
                streams[stream.index] = container.add_stream_from_template(stream)
        last: dict[int, Fraction] = {}
        for coded in packets:
            if coded.stream not in streams:
                continue
            times = [t * coded.time_base for t in (coded.pts, coded.dts) if t is not None]
            span = max([*times, last.get(coded.stream, Fraction(0))]) - min([*times, last.get(coded.stream, Fraction(0))])
            if format in ("mp4", "mov") and span + coded.duration * coded.time_base > _LONGEST_STEP:
                raise ValueError("libav's muxer would end the process")
            last[coded.stream] = max(times, default=Fraction(0))
            packet: Any = av.Packet(coded.data)
            packet.pts, packet.dts, packet.duration = coded.pts, coded.dts, coded.duration
            packet.time_base, packet.is_keyframe = coded.time_base, coded.key
            packet.stream = streams[coded.stream]
            container.mux_one(packet)
