"""What is shown while a camera is away: a picture as the camera's last one was, with the reason in words."""

from __future__ import annotations

import time
from dataclasses import dataclass
from fractions import Fraction

import av

from streamseg.core.utc import as_local
from streamseg.decode.picture import DecodedPicture
from streamseg.pixels.placeholder import placeholder
from streamseg.pixels.planes import copy_tags, reformat

__all__ = ["Like", "Placeholders"]


@dataclass(frozen=True, slots=True)
class Like:
    """What a camera's pictures are like."""

    blank: av.VideoFrame
    """Of their size, format and colour description, in host memory; what it shows is undefined."""
    form: str
    time_base: Fraction

    @classmethod
    def of(cls, picture: DecodedPicture, before: Like | None) -> Like:
        """What `picture` is like: the same object as `before` where nothing has changed."""
        image, form = picture.image, picture.image.format.name
        if before is not None:
            same = (before.blank.width, before.blank.height, before.form) == (image.width, image.height, form)
            if same and before.time_base == picture.time_base:
                return before
        blank = av.VideoFrame(image.width, image.height, "nv12" if form == "cuda" else form)
        copy_tags(image, blank)
        return cls(blank, form, picture.time_base)


class Placeholders:
    """Makes the pictures of one loss. `like`: what the camera's are like; `reason`: why it is away, without credentials."""

    def __init__(self, like: Like, reason: str) -> None:
        self._like, self._reason = like, reason
        self._image = _drawn(like.blank, reason)
        self._first = True

    def at(self, seconds: float) -> DecodedPicture:
        """The placeholder at a time of the run."""
        pts, first = round(Fraction(seconds) / self._like.time_base), self._first
        self._first = False
        return DecodedPicture(self._image, pts, self._like.time_base, broken=first, arrived=time.monotonic(), lost=self._reason)


def _drawn(like: av.VideoFrame, reason: str) -> av.VideoFrame:
    since = f"since {as_local(time.time()):%Y-%m-%d %H:%M:%S}"
    made = av.VideoFrame.from_ndarray(
        placeholder(like.width, like.height, "no picture from the camera", (reason, since)), "rgb24"
    )
    copy_tags(like, made)
    picture = reformat(made, like.format.name)
    copy_tags(like, picture)
    return picture
