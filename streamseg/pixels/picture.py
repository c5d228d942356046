"""The type of a decoded picture, whether its planes lie in host memory or on a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Protocol, TypeAlias, runtime_checkable

import av

__all__ = ["AnyPicture", "PictureOnDevice"]


@runtime_checkable
class PictureOnDevice(Protocol):
    """What is needed of a picture that lies elsewhere than in host memory (`streamseg.device.picture.DevicePicture` is one).

    It says its size, format, time and colour tags as `av.VideoFrame` does, and can be fetched.
    """

    width: int
    """Pixels, upright."""
    height: int
    format: av.VideoFormat
    pts: int | None
    dts: int | None
    time_base: Fraction | None
    colorspace: int
    color_range: int
    color_primaries: int
    color_trc: int
    is_corrupt: bool

    @property
    def side_data(self) -> Sequence[Any]:
        """Objects with a `type` that `bytes` reads, as PyAV has them."""

    def host(self) -> av.VideoFrame:
        """The picture in host memory, downloaded the first time. Never to be written into."""

    def to_ndarray(self, **options: Any) -> Any:
        """As `av.VideoFrame.to_ndarray`."""


AnyPicture: TypeAlias = av.VideoFrame | PictureOnDevice
"""A picture in host memory or on a GPU: both say their size, format, time and colour tags."""
