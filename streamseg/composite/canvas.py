"""The picture that effects draw on: the decoder's until the first of them writes, then a copy of it.

All drawing is one operation, on each plane in its own codes: out = picture x (255 - alpha) / 255 + paint x alpha / 255. Where alpha
is 0 the result is the picture's value exactly; where it is 255, the paint's.
"""

from __future__ import annotations

from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from streamseg import color, planes
from streamseg.masks import Region

__all__ = ["Canvas"]

Array = npt.NDArray[Any]
ByteArray = npt.NDArray[np.uint8]
RGB = tuple[int, int, int]


class Canvas:
    """One frame's picture on its way through the effects of one output."""

    def __init__(self, picture: av.VideoFrame) -> None:
        self._picture = planes.supported(picture)
        self._views: planes.Planes | None = None
        # A picture that was converted is nobody else's.
        self._own = self._picture is not picture
        self.encoding = color.encoding(self._picture)

    @property
    def picture(self) -> av.VideoFrame:
        """The picture as it stands; not to be written into."""
        return self._picture

    @property
    def width(self) -> int:
        """Pixels."""
        return int(self._picture.width)

    @property
    def height(self) -> int:
        """Pixels."""
        return int(self._picture.height)

    @property
    def unit(self) -> float:
        """Pixels of this picture to one of a 1080p picture: what sizes of drawings are multiplied by."""
        return min(self.width, self.height) / 1080

    @property
    def align(self) -> int:
        """Regions whose corners are multiples of this cover whole chroma samples."""
        return 1 << max(max(spec.shift_x, spec.shift_y) for spec in self.views().layout.planes)

    def views(self) -> planes.Planes:
        """The planes as they stand, for reading."""
        if self._views is None:
            self._views = planes.views(self._picture)
        return self._views

    def writable(self) -> planes.Planes:
        """The planes, for writing: the picture is copied the first time."""
        if not self._own:
            self._picture = planes.copy_frame(self._picture)
            self._own, self._views = True, None
        return self.views()

    def replace(self, picture: av.VideoFrame) -> None:
        """Go on with `picture`, which must be nobody else's."""
        self._picture, self._own, self._views = picture, True, None
        self.encoding = color.encoding(picture)

    def codes(self, rgb: RGB) -> tuple[float, float, float, float]:
        """The codes of an sRGB colour in this picture's encoding, and of an opaque alpha."""
        return (*color.drawing_codes(rgb, self.encoding), float(2**self.encoding.depth - 1))

    def paint(self, region: Region, alpha: ByteArray, rgb: RGB) -> None:
        """Lay a colour over `region` (corners at multiples of `align`, or at the frame's border), uint8 `alpha` at full size."""
        codes = self.codes(rgb)
        lsb = self.writable().layout.lsb
        shrunk: dict[tuple[int, int], ByteArray] = {}
        for array, spec in self.writable().planes:
            shift = (spec.shift_x, spec.shift_y)
            if shift not in shrunk:
                shrunk[shift] = shrink(alpha, *shift)
            target = crop(array, region, *shift)
            paint = [round(codes[c]) for c in spec.components]
            if lsb:
                target[...] = _over_color(target >> lsb, shrunk[shift], paint) << lsb
            else:
                _over_color(target, shrunk[shift], paint, target)

    def mix(self, region: Region, alpha: ByteArray, others: list[Array]) -> None:
        """Lay other planes, one crop of the region for each of this picture's planes, over `region`."""
        lsb = self.writable().layout.lsb
        for (array, spec), other in zip(self.writable().planes, others, strict=True):
            target = crop(array, region, spec.shift_x, spec.shift_y)
            weight = shrink(alpha, spec.shift_x, spec.shift_y)
            if lsb:
                target[...] = _over(target >> lsb, weight, other >> lsb) << lsb
            else:
                _over(target, weight, other, target)


def crop(array: Array, region: Region, shift_x: int, shift_y: int) -> Array:
    """The part of a plane under `region` (full-size pixels)."""
    x0, y0, x1, y1 = region
    return array[y0 >> shift_y : -(-y1 >> shift_y), x0 >> shift_x : -(-x1 >> shift_x)]


def shrink(alpha: ByteArray, shift_x: int, shift_y: int) -> ByteArray:
    """The mean alpha under each sample of a subsampled plane; an odd last column or row counts as two."""
    if not (shift_x or shift_y):
        return alpha
    h, w = alpha.shape
    more_x, more_y = -w % (1 << shift_x), -h % (1 << shift_y)
    if more_x or more_y:
        alpha = cv2.copyMakeBorder(alpha, 0, more_y, 0, more_x, cv2.BORDER_REPLICATE)  # type: ignore[assignment]
    size = ((w + more_x) >> shift_x, (h + more_y) >> shift_y)
    return cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def _weights(alpha: ByteArray, like: Array) -> tuple[Array, Array]:
    """Alpha and 255 - alpha in the type and with the channels of `like`."""
    rest: Array = cv2.bitwise_not(alpha)
    weight: Array = alpha
    if like.dtype != np.uint8:
        weight, rest = weight.astype(like.dtype), rest.astype(like.dtype)
    if like.ndim == 3:
        weight, rest = cv2.merge([weight] * like.shape[2]), cv2.merge([rest] * like.shape[2])
    return weight, rest


def _over_color(source: Array, alpha: ByteArray, paint: list[int], into: Array | None = None) -> Array:
    """`paint`, one code a channel, over `source`."""
    weight, rest = _weights(alpha, source)
    kept = cv2.multiply(source, rest, scale=1 / 255)
    if len(paint) > 1:
        added: Array = cv2.multiply(weight, np.array([*paint, 0, 0, 0][:4], np.float64), scale=1 / 255)
    elif source.dtype == np.uint8:
        added = cv2.convertScaleAbs(weight, alpha=paint[0] / 255)
    else:
        added = cv2.addWeighted(weight, paint[0] / 255, weight, 0, 0)
    return cv2.add(kept, added, into)


def _over(source: Array, alpha: ByteArray, other: Array, into: Array | None = None) -> Array:
    """`other` over `source`."""
    weight, rest = _weights(alpha, source)
    return cv2.add(cv2.multiply(source, rest, scale=1 / 255), cv2.multiply(other, weight, scale=1 / 255), into)
