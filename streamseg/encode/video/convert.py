"""Converts pictures to the pixel format and size that an encoder takes; pictures that have these already are not touched.

A picture is converted once, straight from its own format to the encoder's, with matrix and range stated. Neither changes: limited
range stays limited, BT.2020 stays BT.2020. From RGB to RGB of at least as many bits, every value is kept.
"""

from __future__ import annotations

from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.video.format import VideoFormat

from streamseg.pixels.color import Matrix, encoding
from streamseg.pixels.fields import by_field
from streamseg.pixels.layouts import layout, nearest_layout
from streamseg.pixels.planes import (
    copy_tags,
    new_frame,
    reformat,
    supported,
    views,
    with_chroma,
)

__all__ = ["PictureConverter"]


class PictureConverter:
    """Turns any picture into `pix_fmt` at one size.

    The size is the first picture's, padded to `padded` by repeating the last column and row. A picture of another size (the
    source changed) is scaled to fit and centred on black.
    """

    def __init__(
        self, first: av.VideoFrame, padded: tuple[int, int], pix_fmt: str, *, matrix: Matrix, full_range: bool
    ) -> None:
        self._size = (first.width, first.height)
        self._padded = padded
        self._target = pix_fmt
        # The samples of a big-endian format cannot be looked at: it is made last.
        self._pix_fmt = pix_fmt if layout(pix_fmt) is not None else nearest_layout(pix_fmt)
        self._matrix, self._full = matrix, full_range
        self.resized = 0
        """Pictures that did not have the first one's size."""

    def __call__(self, picture: av.VideoFrame, *, interlaced: bool = False) -> av.VideoFrame:
        """The picture as the encoder takes it; itself if nothing has to change. The fields of an interlaced one are not mixed."""
        if (picture.width, picture.height) != self._size:
            self.resized += 1
            made = self._letterbox(picture, interlaced)
        else:
            made = self._convert(picture, interlaced)
        if (made.width, made.height) != self._padded:
            made = self._pad(made, interlaced)
        if self._target != self._pix_fmt:
            made = reformat(made, self._target)
        if made is not picture:
            made.pts = picture.pts
            if picture.time_base is not None:
                made.time_base = picture.time_base
        return made

    def _convert(self, picture: av.VideoFrame, interlaced: bool, size: tuple[int, int] | None = None) -> av.VideoFrame:
        name, tags = picture.format.name, encoding(picture)
        same_code = tags.family != "yuv" or (tags.matrix == self._matrix and tags.full_range == self._full)
        if size is None and name == self._pix_fmt and same_code:
            return picture
        if tags.family == "gray" and (tags.full_range == self._full or not tags.full_range):
            # swscale takes grey for full range, whatever it is told.
            picture = with_chroma(picture)
            if size is None and picture.format.name == self._pix_fmt and tags.full_range == self._full:
                return picture
        if interlaced and (size is not None or _halved_down(picture.format) != _halved_down(VideoFormat(self._pix_fmt))):
            half = None if size is None else (size[0], size[1] // 2)
            made = by_field(supported(picture), lambda field: self._scale(field, half))
        else:
            made = self._scale(picture, size)
        if size is None:
            _widen_alpha(picture, made)
        return made

    def _scale(self, picture: av.VideoFrame, size: tuple[int, int] | None) -> av.VideoFrame:
        width, height = size or (None, None)
        return reformat(picture, self._pix_fmt, width=width, height=height, matrix=self._matrix, full_range=self._full)

    def _letterbox(self, picture: av.VideoFrame, interlaced: bool) -> av.VideoFrame:
        width, height = self._size
        scale = min(width / picture.width, height / picture.height)
        # Even sizes and offsets, so that chroma samples, and those of each field, fall where the canvas has them.
        inner = (min(width, _even(picture.width * scale)), min(height, _even(picture.height * scale, interlaced)))
        small = self._convert(picture, interlaced, inner)
        canvas = self._black()
        left, top = _even((width - inner[0]) / 2 - 0.5), _even((height - inner[1]) / 2 - 0.5, interlaced)
        for into, of in zip(views(canvas).planes, views(small).planes, strict=True):
            x, y = left >> into.spec.shift_x, top >> into.spec.shift_y
            rows, columns = of.array.shape[:2]
            into.array[y : y + rows, x : x + columns] = of.array
        return canvas

    def _pad(self, picture: av.VideoFrame, interlaced: bool) -> av.VideoFrame:
        padded = new_frame(*self._padded, picture.format.name)
        copy_tags(picture, padded)
        for into, of in zip(views(padded).planes, views(supported(picture)).planes, strict=True):
            rows, columns = of.array.shape[:2]
            into.array[:rows, :columns] = of.array
            into.array[:rows, columns:] = of.array[:, -1:]
            for row in range(rows, len(into.array)):
                into.array[row] = into.array[max(0, row - 1 - interlaced)]
        return padded

    def _black(self) -> av.VideoFrame:
        canvas = new_frame(*self._size, self._pix_fmt)
        planes = views(canvas)
        form, unit = planes.layout, 1 << (planes.layout.depth - 8)
        for plane in planes.planes:
            values = [0 if self._full or form.family == "rgb" else 16 * unit, 128 * unit, 128 * unit, (1 << form.depth) - 1]
            if form.family == "rgb":
                values[1:3] = [0, 0]
            plane.array[...] = np.array([values[c] << form.lsb for c in plane.spec.components]).reshape(plane.array.shape[2:])
        return canvas


def _widen_alpha(narrow: av.VideoFrame, wide: av.VideoFrame) -> None:
    """swscale shifts 8 bit alpha up, which leaves opaque at 1020 of 1023; make it the whole scale."""
    a, b = layout(narrow.format.name), layout(wide.format.name)
    if a is None or b is None or not (a.alpha and b.alpha and a.depth < b.depth):
        return
    table = np.rint(np.arange(1 << a.depth) * (((1 << b.depth) - 1) / ((1 << a.depth) - 1))).astype(b.dtype) << b.lsb
    _alpha(wide)[...] = table[_alpha(narrow)]


def _alpha(picture: av.VideoFrame) -> npt.NDArray[Any]:
    plane = next(p for p in views(picture).planes if 3 in p.spec.components)
    return plane.array if len(plane.spec.components) == 1 else plane.array[..., plane.spec.components.index(3)]


def _halved_down(form: VideoFormat) -> bool:
    return not form.is_rgb and form.chroma_height(4) < 4


def _even(value: float, interlaced: bool = False) -> int:
    step = 4 if interlaced else 2
    return max(0, round(value / step) * step)
