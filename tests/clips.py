"""Tiny clips for tests, written with PyAV: every property that the tests compare is set here, not taken from a file.

Content: a soft gradient, a bright square that moves 3 pixels a frame, and along the top edge a bar code of 8 blocks, the
frame number in binary (most significant bit first), coarse enough to survive lossy coding: `read_index` gets it back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.codec.context import Flags

BITS = 8
WIDTH, HEIGHT = 96, 64
UNEVEN = (0, 1, 2, 5, 6, 10, 11, 12, 13, 20, 24, 25, 26, 33, 34, 40)
"""Times in units of 1/50 s of the frames of `vfr`."""


def gray(index: int, width: int = WIDTH, height: int = HEIGHT, peak: int = 255) -> np.ndarray:
    """The luma picture number `index`: [height, width], uint8 or, for `peak` > 255, uint16; 16/255..235/255 of `peak`."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    picture = 60 + 80.0 * x / width + 40.0 * y / height
    left = (3 * index) % max(1, width - 16)
    top = height // 2 - 4
    picture[top : top + 12, left : left + 12] = 220
    code_height, edges = height // 4, np.linspace(0, width, BITS + 1).astype(int)
    for bit in range(BITS):
        picture[:code_height, edges[bit] : edges[bit + 1]] = 235 if index >> (BITS - 1 - bit) & 1 else 16
    return np.rint(picture * (peak / 255)).astype(np.uint16 if peak > 255 else np.uint8)


def read_index(luma: np.ndarray, peak: int = 255) -> int:
    """The number that the bar code of a luma picture (or of a channel of an RGB one) spells."""
    height, width = luma.shape
    edges = np.linspace(0, width, BITS + 1)
    centres = ((edges[:-1] + edges[1:]) / 2).astype(int)
    bits = [luma[height // 8, c - 1 : c + 2].mean() > 0.5 * peak for c in centres]
    return int(sum(bit << (BITS - 1 - i) for i, bit in enumerate(bits)))


def plane_array(frame: av.VideoFrame, plane: int = 0) -> np.ndarray:
    """Plane `plane` without its padding, as [h, w] or, for interleaved components, [h, w, n]; a copy."""
    p = frame.planes[plane]
    component = next(c for c in frame.format.components if c.plane == plane)
    n = sum(c.plane == plane for c in frame.format.components)
    dtype = np.uint16 if component.bits > 8 else np.uint8
    rows = np.frombuffer(p, np.uint8).reshape(-1, p.line_size)[: p.height]
    flat = rows[:, : p.width * n * np.dtype(dtype).itemsize].copy().view(dtype)
    return flat.reshape(p.height, p.width, n) if n > 1 else flat


def fill_plane(frame: av.VideoFrame, plane: int, values: np.ndarray) -> None:
    """Write [h, w] or [h, w, n] values into a plane, row by row (its lines are padded)."""
    p = frame.planes[plane]
    rows = np.zeros((p.height, p.line_size), np.uint8)
    packed = np.ascontiguousarray(values).reshape(p.height, -1).view(np.uint8)
    rows[:, : packed.shape[1]] = packed
    p.update(rows.tobytes())


def picture(index: int, width: int = WIDTH, height: int = HEIGHT, pix_fmt: str = "yuv420p") -> av.VideoFrame:
    """Picture number `index` in an 8 to 16 bit planar or semi-planar YUV, gray or rgb24 format; its chroma moves too."""
    frame = av.VideoFrame(width, height, pix_fmt)
    if pix_fmt in ("rgb24", "bgr24", "rgb48le"):
        luma = gray(index, width, height, 65535 if "48" in pix_fmt else 255)
        fill_plane(frame, 0, np.stack([luma, luma[::-1], 255 * (luma.max() > 255) + luma // 2], axis=2).astype(luma.dtype))
        return frame
    for number, plane in enumerate(frame.planes):
        component = next(c for c in frame.format.components if c.plane == number)
        pairs = sum(c.plane == number for c in frame.format.components)
        peak = (1 << component.bits) - 1
        shift = 6 if pix_fmt.startswith("p010") else 0
        if component.is_luma or len(frame.planes) == 1:
            values = gray(index, plane.width, plane.height, peak)
        else:
            across = np.linspace(0.3, 0.7, plane.width * pairs)[None, :].repeat(plane.height, 0)
            down = np.linspace(-0.1, 0.1, plane.height)[:, None] * (1 if number == 1 else -1)
            values = np.rint((across + down + 0.002 * (index % 40)) * peak).astype(np.uint16 if peak > 255 else np.uint8)
        fill_plane(frame, number, values << shift)
    return frame


@dataclass
class Colour:
    """Colour tags of a clip, as FFmpeg's numbers (ITU-T H.273; range: 1 limited, 2 full); the defaults mean 'unspecified'."""

    space: int = 2
    range: int = 0
    primaries: int = 2
    transfer: int = 2


BT709 = Colour(1, 1, 1, 1)
BT601_FULL = Colour(6, 2, 6, 6)
BT2020_PQ = Colour(9, 1, 9, 16)
BT2020_HLG = Colour(9, 1, 9, 18)


@dataclass
class Video:
    """How a clip's pictures are coded."""

    size: tuple[int, int] = (WIDTH, HEIGHT)
    """(width, height) as coded, before any rotation tag."""
    codec: str = "libx264"
    pix_fmt: str = "yuv420p"
    colour: Colour = field(default_factory=lambda: BT709)
    gop: int = 12
    b_frames: int = 0
    rotation: int = 0
    """Degrees counter-clockwise that a player must turn the picture (PyAV's sign)."""
    options: dict[str, str] = field(default_factory=dict)


def _codec_options(video: Video) -> dict[str, str]:
    if video.codec == "libx264":
        base = {"preset": "veryfast", "crf": "12", "bf": str(video.b_frames), "threads": "1"}
        if video.b_frames:
            base["x264-params"] = f"b-adapt=0:bframes={video.b_frames}"
    elif video.codec == "libx265":
        base = {"preset": "ultrafast", "crf": "12", "x265-params": f"log-level=none:pools=1:bframes={video.b_frames}"}
    else:
        base = {}
    return base | video.options


def write(
    path: Path,
    times: Sequence[int],
    time_base: Fraction,
    video: Video | None = None,
    *,
    rate: Fraction | None = None,
    audio: bool = False,
    metadata: dict[str, str] | None = None,
    container_format: str | None = None,
    container_options: dict[str, str] | None = None,
    first_index: int = 0,
) -> Path:
    """Write one picture at each of `times` (units of `time_base`), with a stereo AAC tone beside it if `audio`."""
    video = video or Video()
    with av.open(str(path), "w", format=container_format, options=container_options or {}) as container:
        container.metadata.update(metadata or {})
        stream = container.add_stream(video.codec, rate=rate or Fraction(1) / time_base, options=_codec_options(video))
        stream.width, stream.height = video.size
        stream.pix_fmt = video.pix_fmt
        context = stream.codec_context
        context.time_base = time_base
        context.gop_size = video.gop
        context.thread_count = 1
        context.colorspace, context.color_range = video.colour.space, video.colour.range
        context.color_primaries, context.color_trc = video.colour.primaries, video.colour.transfer
        if video.rotation:
            stream.set_display_rotation(video.rotation)
        tone = Tone(container) if audio else None
        for number, at in enumerate(times):
            frame = picture(first_index + number, *video.size, video.pix_fmt)
            frame.pts, frame.time_base = at, time_base
            frame.colorspace, frame.color_range = video.colour.space, video.colour.range
            frame.color_primaries, frame.color_trc = video.colour.primaries, video.colour.transfer
            container.mux(stream.encode(frame))
            if tone is not None:
                tone.play_until(float(at * time_base))
        container.mux(stream.encode(None))
        if tone is not None:
            tone.finish()
    return path


class Tone:
    """A stereo AAC stream of a 440 Hz tone in a container that is being written."""

    def __init__(self, container: av.container.OutputContainer, rate: int = 48000) -> None:
        self.container, self.rate, self.done = container, rate, 0
        self.stream = container.add_stream("aac", rate=rate)
        self.stream.codec_context.flags |= Flags.bitexact
        self.stream.codec_context.layout = "stereo"

    def play_until(self, seconds: float) -> None:
        """Append whole AAC frames (1024 samples) until `seconds` are covered."""
        while self.done < seconds * self.rate:
            n = np.arange(self.done, self.done + 1024)
            tone = (0.2 * np.sin(2 * np.pi * 440 * n / self.rate)).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(np.stack([tone, -tone]), format="fltp", layout="stereo")
            frame.sample_rate, frame.pts, frame.time_base = self.rate, self.done, Fraction(1, self.rate)
            self.container.mux(self.stream.encode(frame))
            self.done += 1024

    def finish(self) -> None:
        self.container.mux(self.stream.encode(None))


def cfr(path: Path, frames: int = 30, rate: Fraction | int = 25, video: Video | None = None, **more: object) -> Path:
    """Constant rate: picture i at i / rate. Pass `Fraction(30000, 1001)` for 29.97."""
    return write(path, range(frames), 1 / Fraction(rate), video, rate=Fraction(rate), **more)  # type: ignore[arg-type]


def ntsc(path: Path, frames: int = 30, **more: object) -> Path:
    """30000/1001 frames a second."""
    return cfr(path, frames, Fraction(30000, 1001), **more)  # type: ignore[arg-type]


def vfr(path: Path, **more: object) -> Path:
    """Pictures at the uneven times `UNEVEN` / 50 s, with 3 B-frames between references."""
    more.setdefault("video", Video(b_frames=3))
    return write(path, UNEVEN, Fraction(1, 50), rate=Fraction(50), **more)  # type: ignore[arg-type]


def hdr10(path: Path, frames: int = 8, codec: str = "libx265", **more: object) -> Path:
    """10 bit yuv420p10le tagged bt2020, PQ, limited range; `codec` libx265 or libx264."""
    video = Video(codec=codec, pix_fmt="yuv420p10le", colour=BT2020_PQ)
    return cfr(path, frames, 25, video, **more)


def lossless(
    path: Path, frames: int = 8, pix_fmt: str = "yuv420p", size: tuple[int, int] = (WIDTH, HEIGHT), **more: object
) -> Path:
    """FFV1 in Matroska (.mkv), for tests that compare pixels exactly."""
    return cfr(path, frames, 25, Video(codec="ffv1", pix_fmt=pix_fmt, size=size), **more)


def of_arrays(path: Path, pictures: Iterable[np.ndarray]) -> Path:
    """RGB pictures, uint8 [height, width, 3], at 25 a second in FFV1, 4:4:4 (.mkv): colours stay what they are."""
    with av.open(str(path), "w") as container:
        stream = None
        for rgb in pictures:
            if stream is None:
                height, width = rgb.shape[:2]
                stream = container.add_stream("ffv1", rate=25, width=width, height=height, pix_fmt="yuv444p")
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(format="yuv444p", threads=1)))
        container.mux(stream.encode(None))
    return path


def moving_boxes(path: Path, frames: int) -> Path:
    """A red box goes from left to right, a green one stands."""
    pictures = np.zeros((frames, HEIGHT, WIDTH, 3), np.uint8)
    for i, rgb in enumerate(pictures):
        rgb[8:20, 70:84] = (0, 255, 0)
        rgb[24:56, 4 + 2 * i : 24 + 2 * i] = (255, 0, 0)
    return of_arrays(path, pictures)


def nv12(path: Path, frames: int = 6, size: tuple[int, int] = (WIDTH, HEIGHT), **more: object) -> Path:
    """Raw nv12 pictures in NUT (.nut): the layout hardware decoders give."""
    return cfr(path, frames, 25, Video(codec="rawvideo", pix_fmt="nv12", size=size), **more)


def rotated(
    path: Path, degrees: int = 90, frames: int = 6, pix_fmt: str = "yuv420p", codec: str = "libx264", **more: object
) -> Path:
    """An .mp4 or .mov whose display matrix asks for a turn of `degrees` counter-clockwise (PyAV's `VideoFrame.rotation`)."""
    return cfr(path, frames, 25, Video(rotation=degrees, pix_fmt=pix_fmt, codec=codec), **more)


def odd(path: Path, frames: int = 6, size: tuple[int, int] = (81, 59), **more: object) -> Path:
    """yuv444p H.264 with an odd width and height."""
    return cfr(path, frames, 25, Video(size=size, pix_fmt="yuv444p"), **more)


def raw_h264(path: Path, frames: int = 12, **more: object) -> Path:
    """A bare .h264 elementary stream: no container, no pts."""
    return cfr(path, frames, 25, container_format="h264", **more)


def ts(path: Path, frames: int = 12, size: tuple[int, int] = (WIDTH, HEIGHT), **more: object) -> Path:
    """An MPEG transport stream, which may be cut or concatenated anywhere."""
    return cfr(path, frames, 25, Video(size=size), container_format="mpegts", **more)


def size_change(path: Path, first: tuple[int, int] = (96, 64), second: tuple[int, int] = (64, 48), frames: int = 12) -> Path:
    """Two transport streams of different sizes, one after the other: the pts jump back to the start where the size changes."""
    a = ts(path.with_suffix(".a.ts"), frames, first)
    b = ts(path.with_suffix(".b.ts"), frames, second, first_index=frames)
    path.write_bytes(a.read_bytes() + b.read_bytes())
    return path


def packets(path: Path, kind: str = "audio") -> list[tuple[int | None, int | None, bytes]]:
    """(pts, dts, bytes) of the packets of the first stream of a kind."""
    with av.open(str(path)) as container:
        stream = getattr(container.streams, kind)[0]
        return [(p.pts, p.dts, bytes(p)) for p in container.demux(stream) if p.size]


def duplicate_pts(path: Path, frames: int = 12, every: int = 4, codec: str = "mjpeg") -> Path:
    """A Matroska file in which each `every`-th picture carries its predecessor's pts."""
    times = [i - 1 if i % every == every - 1 else i for i in range(frames)]
    video = Video(codec=codec, pix_fmt="yuvj420p" if codec == "mjpeg" else "yuv420p", colour=Colour())
    with av.open(str(path), "w") as container:
        stream = container.add_stream(video.codec, rate=25, options=_codec_options(video))
        stream.width, stream.height = video.size
        stream.pix_fmt = video.pix_fmt
        stream.codec_context.color_range = 2 if codec == "mjpeg" else 0
        coded = []
        for number in range(frames):
            frame = picture(number, *video.size, video.pix_fmt)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            coded += stream.encode(frame)
        coded += stream.encode(None)
        for packet in coded:
            packet.pts = packet.dts = times[packet.pts or 0] * 40
            packet.time_base = Fraction(1, 1000)
            container.mux(packet)
    return path


SUBTITLES = ((0.1, 0.5, "one"), (0.6, 1.0, "two"), (1.1, 1.6, "three"))
"""(start, end, text) in seconds of the subtitles of `with_subtitles`."""


def with_subtitles(path: Path, frames: int = 45, rate: int = 25, **more: object) -> Path:
    """H.264 video, an AAC tone and text subtitles: SubRip in .mkv, mov_text in .mp4."""
    plain = cfr(path.with_name(f"plain-{path.stem}.mkv"), frames, rate, audio=True, **more)
    mp4 = path.suffix in (".mp4", ".mov")
    with av.open(str(plain)) as source, av.open(str(path), "w") as container:
        streams = {s.index: container.add_stream_from_template(s) for s in source.streams}
        text = container.add_mux_stream("mov_text" if mp4 else "subrip", time_base=Fraction(1, 1000))
        text.metadata["language"] = "eng"
        coded = [p for p in source.demux() if p.dts is not None]
        for packet in coded:
            packet.stream = streams[packet.stream_index]
        for start, end, line in SUBTITLES:
            data = line.encode()
            packet = av.Packet(len(data).to_bytes(2, "big") + data if mp4 else data)
            packet.time_base = Fraction(1, 1000)
            packet.pts = packet.dts = round(start * 1000)
            packet.duration = round((end - start) * 1000)
            packet.stream = text
            coded.append(packet)
        for packet in sorted(coded, key=lambda p: p.dts * p.time_base):
            container.mux(packet)
    return path


def audio_only(path: Path, seconds: float = 0.5) -> Path:
    """An .mp4 or .m4a with an AAC tone and no picture."""
    with av.open(str(path), "w") as container:
        tone = Tone(container)
        tone.play_until(seconds)
        tone.finish()
    return path


def image_folder(
    folder: Path, frames: int = 5, suffix: str = "png", bits: int = 8, size: tuple[int, int] = (WIDTH, HEIGHT)
) -> Path:
    """A folder of stills named frame1, frame2, ... frame10 (not zero padded: only a natural sort orders them)."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(frames):
        save_image(folder / f"frame{number + 1}.{suffix}", number, bits, size)
    return folder


def save_image(path: Path, index: int, bits: int = 8, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Path:
    """Picture number `index` as a still: PNG (rgb24, or rgb48be for `bits` 16) or JPEG (yuvj420p)."""
    jpeg = path.suffix in (".jpg", ".jpeg")
    context = av.CodecContext.create("mjpeg" if jpeg else "png", "w")
    context.width, context.height = size
    if jpeg:
        context.pix_fmt, context.color_range = "yuvj420p", 2
        context.options = {"qmin": "1", "q:v": "1"}
    else:
        context.pix_fmt = "rgb48be" if bits == 16 else "rgb24"
    context.time_base = Fraction(1, 25)
    frame = picture(index, *size, "yuvj420p" if jpeg else "rgb48le" if bits == 16 else "rgb24")
    if frame.format.name != context.pix_fmt:
        frame = frame.reformat(format=context.pix_fmt, threads=1)
    frame.pts, frame.time_base = 0, Fraction(1, 25)
    data: Iterable[bytes] = [bytes(p) for p in context.encode(frame) + context.encode(None)]
    path.write_bytes(b"".join(data))
    return path


def decoded(path: Path) -> list[av.VideoFrame]:
    """All pictures of a clip, decoded by PyAV alone: the reference that tests compare with."""
    with av.open(str(path)) as container:
        return list(container.decode(container.streams.video[0]))
