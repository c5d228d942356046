"""Which of a container's streams is decoded.

FFmpeg shows the stills of an image file in MP4's container (HEIF: HEIC, AVIF) as streams, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from av.stream import Disposition

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

__all__ = ["find_video", "left_out_photos", "pick_video"]


def find_video(container: InputContainer) -> VideoStream | None:
    """The stream to decode: the one flagged default, else the first; cover art is not video."""
    return pick_video(container.streams.video)


def pick_video(streams: Sequence[VideoStream]) -> VideoStream | None:
    """`find_video`, among these streams of a container."""
    pictures = [s for s in streams if not s.disposition & Disposition.attached_pic and s.codec_context]
    # An image sequence has a cover, too: an item, which has no time; the sequence is a track.
    pictures = [s for s in pictures if not _is_item(s)] or pictures
    default = [s for s in pictures if s.disposition & Disposition.default]
    return next(iter(default or pictures), None)


def _is_item(stream: VideoStream) -> bool:
    """Whether it is a still of an image file: FFmpeg gives it one frame of one second."""
    return stream.frames == 1 and stream.time_base == 1 and stream.duration is None


def left_out_photos(container: InputContainer) -> list[str]:
    """What to say of an image file that holds more than what is read of it."""
    videos = [s for s in container.streams.video if s.codec_context]
    items = [s for s in videos if _is_item(s) and not s.disposition & Disposition.dependent]
    if not items:
        return []
    said = []
    if any((s.codec_context.pix_fmt or "").startswith("gray") for s in videos):
        said.append("holds its transparency (or depth) as a picture of its own, which is left out")
    first = items[0].codec_context
    alike = [s for s in items if (s.codec_context.width, s.codec_context.pix_fmt) == (first.width, first.pix_fmt)]
    if all(_is_item(s) for s in videos) and len(alike) > 1:
        said.append(f"holds {len(alike)} photos, of which only the first is read")
    return said
