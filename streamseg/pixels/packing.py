"""Pictures as plain data, so that results can be pickled: PyAV's pictures cannot, and one on a GPU is of no use elsewhere."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from streamseg.pixels import planes, sidedata
from streamseg.pixels.fields import FieldOrder, Marker, OrderReader
from streamseg.pixels.siting import siting, with_siting

if TYPE_CHECKING:
    import av

    from streamseg.pixels.picture import AnyPicture

__all__ = ["PackedPicture", "pack"]


class PackedPicture(NamedTuple):
    """A picture's planes and all that it says of itself."""

    format: str
    """The pixel format, as FFmpeg names it."""
    width: int
    height: int
    planes: tuple[npt.NDArray[Any], ...]
    """[h, w], or [h, w, n] where samples are interleaved, without padding; uint8 up to 8 bits, uint16 above."""
    pts: int | None
    dts: int | None
    time_base: Fraction | None
    colors: tuple[int, int, int, int]
    """Matrix, range, primaries, transfer: H.273's numbers, as FFmpeg has them."""
    side_data: tuple[sidedata.Kept, ...]
    siting: str | None
    """Where its chroma lies (`streamseg.pixels.siting`)."""
    fields: FieldOrder | None
    """Of an interlaced picture: which field came first."""

    def picture(self) -> av.VideoFrame:
        """The picture again, in host memory."""
        picture = planes.new_frame(self.width, self.height, self.format)
        for array, target in zip(self.planes, planes.views(picture).planes, strict=True):
            np.copyto(target.array, array)
        if self.siting is not None:
            picture = with_siting(picture, self.siting)
        picture = Marker()(picture, self.fields)
        picture.pts, picture.dts = self.pts, self.dts
        if self.time_base is not None:
            picture.time_base = self.time_base
        picture.colorspace, picture.color_range, picture.color_primaries, picture.color_trc = self.colors
        sidedata.keep(picture, self.side_data)
        return picture


def pack(picture: AnyPicture) -> PackedPicture:
    """`picture` as plain data; in the nearest format that `planes` can read, where it is in one that it cannot."""
    kept = sidedata.copies(picture)
    host = planes.supported(picture)
    return PackedPicture(
        host.format.name,
        host.width,
        host.height,
        tuple(np.ascontiguousarray(plane.array) for plane in planes.views(host).planes),
        host.pts,
        host.dts,
        host.time_base,
        (int(host.colorspace), int(host.color_range), int(host.color_primaries), int(host.color_trc)),
        kept,
        siting(host),
        OrderReader()(host),
    )
