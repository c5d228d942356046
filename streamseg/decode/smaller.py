"""A source at a fraction of its width and height, for previews: every frame with its time and number, scaled as it is decoded."""

from __future__ import annotations

from dataclasses import replace

from streamseg.core.types import Frame
from streamseg.decode.info import SourceInfo
from streamseg.pixels.planes import on_host, reformat, supported

__all__ = ["smaller_frame", "smaller_info"]


def smaller_info(info: SourceInfo, by: int) -> SourceInfo:
    """What is known of a source, of its pictures at 1 / `by` of their width and height."""
    width, height = _size(info.width, info.height, by)
    return replace(info, width=width, height=height)


def smaller_frame(frame: Frame, by: int) -> Frame:
    """A frame at 1 / `by` of its width and height, in its own pixel format."""
    picture = supported(on_host(frame.picture))
    width, height = _size(picture.width, picture.height, by)
    made = reformat(picture, picture.format.name, width=width, height=height, exact=False)
    made.pts, made.time_base = frame.pts, frame.time_base
    return replace(frame, picture=made)


def _size(width: int, height: int, by: int) -> tuple[int, int]:
    """Even, as encoders of 4:2:0 want it."""
    return max(2, 2 * round(width / (2 * by))), max(2, 2 * round(height / (2 * by)))
