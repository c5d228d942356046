"""Streams whose packets are copied into a file of their own, as a camera's recordings and clips of events: which, and into what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from streamseg.decode.streams import pick_video
from streamseg.encode.video.containers import CONTAINERS, Container, container_of
from streamseg.encode.video.other_streams import fits
from streamseg.encode.video.remux import AV_ERRORS, codec_of, keep, keep_video

if TYPE_CHECKING:
    from av.stream import Stream
    from av.video.stream import VideoStream

__all__ = ["CopiedStreams", "choose_container", "streams_of"]


@dataclass(frozen=True, slots=True)
class CopiedStreams:
    """Streams of a source: parameters that stay when it is closed."""

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


def streams_of(streams: Sequence[Stream], *, sound: bool = True) -> CopiedStreams | None:
    """What is copied of a source's streams: its picture, and the sound; None where there is no picture."""
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
    return CopiedStreams(video.index, kept, tuple(unknown))


def choose_container(streams: CopiedStreams, wanted: str = "auto") -> tuple[str, Container, frozenset[int], str]:
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


def _held(streams: CopiedStreams, kind: Container) -> set[int]:
    return {index for index, kept in streams.kept.items() if fits(kept, kind)}
