"""What a camera shows while there is no picture of it: one that says why, which viewers and recordings get as any other."""

from __future__ import annotations

import time
from dataclasses import replace
from fractions import Fraction

import av

from streamseg.composite import Rendered
from streamseg.core.result import Result
from streamseg.core.types import Frame, Instances
from streamseg.core.utc import as_local
from streamseg.encode.sink import RenderedPicture
from streamseg.pixels.placeholder import placeholder
from streamseg.pixels.planes import reformat

__all__ = ["away"]

_SIZE = (1280, 720)
"""Of a camera that has shown nothing yet."""
_TIME_BASE = Fraction(1, 90_000)


def away(name: str, reason: str, before: RenderedPicture | None) -> Rendered:
    """The placeholder of a camera that is away for `reason` (without credentials). `before`: what it showed last."""
    now, last = time.monotonic(), None if before is None else before.result.frame
    width, height = _SIZE if before is None else (before.picture.width, before.picture.height)
    since = f"since {as_local(time.time()):%Y-%m-%d %H:%M:%S}"
    drawn = av.VideoFrame.from_ndarray(placeholder(width, height, f"no picture from {name}", (reason, since)), "rgb24")
    picture = reformat(drawn, "yuv420p", matrix="bt709")
    picture.colorspace, picture.color_range = 1, 1
    if last is None:
        frame = Frame(picture, 0, 0, _TIME_BASE, arrived=now, utc=time.time(), lost=reason)
    else:
        later = max(1, round(Fraction(now - last.arrived) / last.time_base))
        frame = replace(
            last,
            picture=picture,
            pts=last.pts + later,
            duration=0,
            epoch=last.epoch + 1,
            arrived=now,
            utc=time.time(),
            lost=reason,
            corrupt=False,
            field_order=None,
        )
    names = () if before is None else before.result.instances.class_names
    return Rendered(Result(frame, Instances.empty(names), detected=False), picture)
