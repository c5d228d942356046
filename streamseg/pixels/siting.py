"""Where the chroma samples of a picture lie between its luma samples, which PyAV neither tells nor sets.

swscale looks at it when it enlarges subsampled chroma. So a small picture of known samples, with the tags of the one that is asked
about, tells it; libavfilter's `setparams` sets it. Names are FFmpeg's, of H.273's ChromaLocType 0 to 5: left, center, topleft, top,
bottomleft, bottom.
"""

from __future__ import annotations

import threading
from functools import lru_cache

import av
import numpy as np

from streamseg.pixels.filters import Filter
from streamseg.pixels.layouts import layout
from streamseg.pixels.planes import new_frame, reformat, views

__all__ = ["siting", "with_siting"]

_SIDE = 16
"""Pixels a side: some chroma samples of every format."""
_LOCATIONS = ("center", "left", "topleft", "top", "bottomleft", "bottom")
_thread = threading.local()


def siting(picture: av.VideoFrame) -> str | None:
    """Where `picture` says that its chroma lies; None: at the centre, or it is not subsampled.

    The picture is of a format that `layouts.layout` knows. The centre is also what swscale takes where nothing is said.
    """
    known = layout(picture.format.name)
    if known is None or known.family != "yuv" or not any(plane.shift_x or plane.shift_y for plane in known.planes):
        return None
    # Little is copied of a large picture, a small one is padded; of fields swscale would make other samples.
    steps = [("crop", f"{_SIDE}:{_SIDE}:0:0"), ("copy", ""), ("setfield", "prog")]
    small = picture.width < _SIDE or picture.height < _SIDE
    corner = _filter(*([("pad", f"iw+{_SIDE}:ih+{_SIDE}")] if small else []), *steps)(picture)
    assert corner is not None  # the filters let every picture through
    return _answers(known.name).get(_sampled(corner))


def with_siting(picture: av.VideoFrame, location: str) -> av.VideoFrame:
    """A picture of the same memory that says that its chroma lies at `location`; its pts is to be set anew."""
    said = _filter(("setparams", f"chroma_location={location}"))(picture)
    assert said is not None  # the filter lets every picture through
    return said


@lru_cache(maxsize=64)
def _answers(name: str) -> dict[bytes, str | None]:
    """Chroma locations, by the result that each gives for a probe picture of that format; of equal results the first counts."""
    found: dict[bytes, str | None] = {}
    for location in _LOCATIONS:
        probe = with_siting(new_frame(_SIDE, _SIDE, name), location)
        found.setdefault(_sampled(probe), None if location == "center" else location)
    return found


def _sampled(probe: av.VideoFrame) -> bytes:
    """Draw an edge in both directions into the chroma of `probe`, and look where it comes to lie at full size."""
    for plane in views(probe).planes:
        height, width = plane.array.shape[:2]
        plane.array[...] = 0
        plane.array[height // 2 :, width // 2 :] = 1 << 7
    full = reformat(probe, "yuv444p")
    return b"".join(np.ascontiguousarray(plane.array).tobytes() for plane in views(full).planes[1:])


def _filter(*steps: tuple[str, str]) -> Filter:
    kept: dict[tuple[tuple[str, str], ...], Filter] = vars(_thread).setdefault("filters", {})
    return kept.setdefault(steps, Filter(*steps))
