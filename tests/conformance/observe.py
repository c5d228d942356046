"""What a file holds, read by PyAV alone: nothing of streamseg is used here."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.filter import Graph

from tests.conformance.pictures import Components, components

__all__ = ["Seen", "SeenPicture", "SeenTrack", "digest", "essence", "field_order", "observe", "observe_stills"]


@dataclass
class SeenPicture:
    """A decoded picture."""

    time: Fraction | None
    """Seconds."""
    parts: Components
    width: int
    height: int
    pix_fmt: str
    colour: tuple[int, int, int, int]
    rotation: int
    interlaced: bool
    raw: av.VideoFrame


@dataclass
class SeenTrack:
    """A stream that is not decoded."""

    kind: str
    codec: str
    language: str | None
    title: str | None
    disposition: int
    packets: list[tuple[Fraction | None, Fraction, bytes]] = field(default_factory=list)
    """(time, duration, bytes), in the order of the file."""

    @property
    def begin(self) -> Fraction:
        """Of its first packet."""
        return next((t for t, _, _ in self.packets if t is not None), Fraction(0))


@dataclass
class Seen:
    """A whole film."""

    pictures: list[SeenPicture]
    tick: Fraction
    """Seconds in which its pictures' times are counted."""
    codec: str
    sar: Fraction | None
    end: Fraction
    """Where the last picture ends, by its packet or, in mp4, its track."""
    container: str
    seconds: Fraction | None
    """How long the file says it lasts."""
    tracks: list[SeenTrack]
    tags: dict[str, str]
    stream_tags: dict[str, str]
    chapters: list[tuple[Fraction, Fraction, str]]
    side: set[str]
    """Kinds of data beside the first picture."""
    timecode: str | None
    """Of the first picture, as any of its streams says."""

    def times(self) -> list[Fraction | None]:
        """Of all pictures."""
        return [p.time for p in self.pictures]

    def of(self, kind: str) -> list[SeenTrack]:
        """The tracks of one kind that hold anything."""
        return [t for t in self.tracks if t.kind == kind and t.packets]


def observe(path: Path, form: str | None = None) -> Seen:
    """Demux and decode all of a file."""
    with av.open(str(path), format=form, metadata_errors="replace") as container:
        video = next(s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic)
        tracks = {s.index: _track(s) for s in container.streams if s.index != video.index}
        pictures, end, packet_length = [], Fraction(0), Fraction(0)
        video.codec_context.thread_count = 1
        decode = _decoder(video)
        for packet in container.demux():
            if not packet.size:
                continue  # PyAV's sign of an end; it names the wrong stream
            if packet.stream_index == video.index:
                packet_length = (packet.duration or 0) * packet.time_base
                if packet.pts is not None:
                    end = max(end, packet.pts * packet.time_base + packet_length)
                pictures += [_picture(frame, video) for frame in decode(packet)]
            else:
                moment = packet.pts if packet.pts is not None else packet.dts
                at = None if moment is None else moment * packet.time_base
                # libav's negative durations come as huge ones: of the last packet of Ogg, which is to be cut.
                lasts = 0 if (packet.duration or 0) >= 1 << 31 else (packet.duration or 0)
                tracks[packet.stream_index].packets.append((at, lasts * packet.time_base, bytes(packet)))
        pictures += [_picture(frame, video) for frame in decode(None)]
        length = Fraction(container.duration, av.time_base) if container.duration and container.duration > 0 else None
        if "mp4" in container.format.name and video.duration:
            # A packet lasts until the next one is decoded there; where the last picture ends, the track's edit says.
            alone = length is not None and len(container.streams) == 1
            begin = Fraction(container.start_time or 0, av.time_base)
            end = begin + length if alone else max(p.time or Fraction(0) for p in pictures) + (packet_length or Fraction(0))
        marks = [
            (c["start"] * c["time_base"], c["end"] * c["time_base"], c["metadata"].get("title", ""))
            for c in container.chapters()
        ]
        return Seen(
            pictures, video.time_base, video.codec_context.name, video.sample_aspect_ratio or None, end, container.format.name,
            length, list(tracks.values()), dict(container.metadata), dict(video.metadata), marks, _side(pictures),
            _timecode(container),
        )  # fmt: skip


def _decoder(video: Any) -> Callable[[Any], list[av.VideoFrame]]:
    """What decodes packets: FFmpeg's own decoders of VP8 and VP9 leave out the alpha that WebM stores beside their pictures."""
    own = video.codec_context
    name = {"vp8": "libvpx", "vp9": "libvpx-vp9"}.get(own.name)
    if name is None or video.metadata.get("alpha_mode") != "1":
        return own.decode
    other = av.CodecContext.create(name, "r")

    def decode(packet: Any) -> list[av.VideoFrame]:
        frames = other.decode(packet)
        for frame in frames if own.name == "vp8" else ():
            frame.colorspace = 5  # VP8 has this matrix alone (RFC 6386, 9.2); libvpx does not say so, FFmpeg's decoder does
        return frames

    return decode


def _timecode(container: Any) -> str | None:
    tags = [container.metadata, *(s.metadata for s in container.streams)]
    return next((value for each in tags for key, value in each.items() if key.lower() == "timecode"), None)


def _track(stream: Any) -> SeenTrack:
    codec = stream.codec_context.name if stream.codec_context is not None else "unknown"
    return SeenTrack(stream.type, codec, stream.language, stream.metadata.get("title"), int(stream.disposition))


def _picture(frame: av.VideoFrame, stream: Any) -> SeenPicture:
    context = stream.codec_context
    colour = (
        int(frame.colorspace) if frame.colorspace != 2 else int(context.colorspace),
        2 if frame.format.name.startswith("yuvj") else int(frame.color_range or context.color_range),
        int(frame.color_primaries) if frame.color_primaries != 2 else int(context.color_primaries),
        int(frame.color_trc) if frame.color_trc != 2 else int(context.color_trc),
    )
    time = None if frame.pts is None else frame.pts * (frame.time_base or stream.time_base)
    return SeenPicture(
        time,
        components(frame),
        frame.width,
        frame.height,
        frame.format.name,
        colour,
        frame.rotation,
        frame.interlaced_frame,
        frame,
    )


def _side(pictures: list[SeenPicture]) -> set[str]:
    if not pictures:
        return set()
    try:
        return {item.type.name for item in pictures[0].raw.side_data}  # type: ignore[attr-defined]
    except ValueError:
        return set()


def field_order(picture: SeenPicture) -> str:
    """tff, bff or progressive. PyAV does not say which; libavfilter's `fieldorder` changes only pictures of the other order."""
    if not picture.interlaced:
        return "progressive"
    graph = Graph()
    source = graph.add_buffer(width=picture.width, height=picture.height, format=picture.raw.format, time_base=Fraction(1, 25))
    turned = graph.add("fieldorder", "tff")
    source.link_to(turned)
    turned.link_to(graph.add("buffersink"))
    graph.configure()
    graph.push(picture.raw)
    luma = components(graph.pull())["Y"]  # type: ignore[arg-type]
    return "tff" if (luma == picture.parts["Y"]).all() else "bff"


def essence(codec: str, packets: list[tuple[Fraction | None, Fraction, bytes]]) -> list[bytes]:
    """The coded sound itself: PCM as one run of bytes, since containers cut it where they like; AAC without its ADTS headers."""
    data = [payload for _, _, payload in packets]
    if codec.startswith(("pcm_", "adpcm_g")):
        return [b"".join(data)]
    if codec == "aac":
        return [d[7 if d[1] & 1 else 9 :] if d[:1] == b"\xff" and d[1] & 0xF6 == 0xF0 else d for d in data]
    return data


def digest(*parts: Any) -> str:
    """Twelve hexadecimal digits of the SHA-256 of bytes or of texts."""
    total = hashlib.sha256()
    for part in parts:
        total.update(part if isinstance(part, bytes) else str(part).encode())
    return total.hexdigest()[:12]


def observe_stills(folder: Path) -> Seen:
    """A folder of stills in the order of their names, each as PyAV decodes it; they have no times."""
    pictures = []
    for path in sorted(p for p in folder.iterdir() if not p.name.startswith(".")):
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            picture = next(_picture(frame, stream) for frame in container.decode(stream))
        picture.time = None
        pictures.append(picture)
    codec = {p.pix_fmt for p in pictures}
    return Seen(
        pictures, Fraction(1, 25), ",".join(sorted(codec)), None, Fraction(0), "images", None, [], {}, {}, [], set(), None
    )
