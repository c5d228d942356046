"""Packets of a camera outside of the connection that they came over, and the streams that they belong to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast, get_args

import av
from av.packet import PacketSideData, PktSideDataT

from streamseg.decode.streams import pick_video
from streamseg.encode.video.containers import CONTAINERS, Container, container_of
from streamseg.encode.video.other_streams import fits
from streamseg.encode.video.remux import AV_ERRORS, codec_of, keep, keep_video

if TYPE_CHECKING:
    from av.stream import Stream
    from av.video.stream import VideoStream

    Packet = av.Packet[Any]

__all__ = ["CameraStreams", "StoredPacket", "choose_container", "streams_of"]

_KINDS = get_args(PktSideDataT)
_WANTED = ("new_extradata", "param_change", "skip_samples", "palette")
"""Side data without which a packet cannot be decoded; the rest tells of the connection."""


@dataclass(frozen=True, slots=True)
class StoredPacket:
    """A packet's bytes and times, independent of any container."""

    stream: int
    """Index in the source."""
    data: bytes
    pts: int | None
    dts: int | None
    duration: int
    time_base: Fraction
    key: bool
    at: float
    """When it was read, monotonic seconds."""
    side: tuple[tuple[str, bytes], ...] = ()

    @classmethod
    def of(cls, packet: Packet, at: float) -> StoredPacket:
        """A copy of what `packet` holds."""
        side = tuple((each.data_type, bytes(each)) for each in packet.iter_sidedata() if each.data_type in _WANTED)
        times = (packet.pts, packet.dts, packet.duration or 0)
        return cls(packet.stream_index, bytes(packet), *times, packet.time_base, packet.is_keyframe, at, side)

    @property
    def ticks(self) -> int | None:
        """Its decoding time, or where that is missing, when it is shown."""
        return self.dts if self.dts is not None else self.pts

    def packet(self) -> Packet:
        """A packet for a muxer, to be used once."""
        made: Packet = av.Packet(len(self.data))
        made.update(self.data)
        made.time_base = self.time_base
        made.pts, made.dts, made.duration = self.pts, self.dts, self.duration
        made.is_keyframe = self.key
        for kind, data in self.side:
            beside = PacketSideData(_KINDS.index(kind), len(data))  # type: ignore[call-arg]
            if data:
                beside.update(data)
            made.set_sidedata(beside, move=True)
        return made


@dataclass(frozen=True, slots=True)
class CameraStreams:
    """The streams of one connection: parameters that stay when it is closed."""

    video: int
    """Index of the picture's."""
    kept: Mapping[int, Stream]
    """By index in the source: the picture, and its sound."""
    unknown: tuple[str, ...] = ()
    """What to say of streams that nobody could play."""

    @property
    def codec(self) -> str:
        """FFmpeg's name of the picture's codec."""
        return codec_of(self.kept[self.video])


def streams_of(streams: Sequence[Stream], *, sound: bool = True) -> CameraStreams | None:
    """What is recorded of a source's streams; None where there is no picture."""
    video = pick_video([cast("VideoStream", s) for s in streams if s.type == "video"])
    if video is None:
        return None
    kept, unknown = {video.index: keep_video(video)}, []
    for stream in streams if sound else ():
        if stream.type != "audio":
            continue
        try:
            kept[stream.index] = keep(stream)
        except AV_ERRORS:
            unknown.append(f"audio stream {stream.index}")
    return CameraStreams(video.index, kept, tuple(unknown))


def choose_container(streams: CameraStreams, wanted: str = "auto") -> tuple[str, Container, frozenset[int], str]:
    """Suffix, kind, the streams that go into it, and what to say (may be empty).

    `auto` is .mp4, which browsers play, and .mkv where .mp4 would leave a stream out. What the chosen kind cannot hold is left out
    and said; where that is the picture, .mkv is taken.
    """
    able = {suffix: _held(streams, container_of(suffix)) for suffix in (".mp4", ".mkv")}
    if wanted == "auto":
        suffix = ".mp4" if len(able[".mp4"]) == len(streams.kept) else ".mkv"
        said = ""
    else:
        suffix, said = f".{wanted}", ""
        if streams.video not in able[suffix]:
            said, suffix = f"a {suffix} file cannot hold {streams.codec}; recorded as .mkv", ".mkv"
    lost = [codec_of(kept) for index, kept in streams.kept.items() if index not in able[suffix]]
    if lost and not said:
        elsewhere = "; write container: mkv" if len(able[".mkv"]) == len(streams.kept) else ""
        said = f"sound ({', '.join(lost)}) is not recorded: a {suffix} file cannot hold it{elsewhere}"
    return suffix, CONTAINERS[suffix], frozenset(able[suffix]), said


def _held(streams: CameraStreams, kind: Container) -> set[int]:
    return {index for index, kept in streams.kept.items() if fits(kept, kind)}
