"""Pictures turned upright by the display matrix of their source, plane by plane and without touching a sample's value."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.sidedata.sidedata import Type as SideDataType

from streamseg.pixels import sidedata
from streamseg.pixels.planes import copy_tags

__all__ = ["TURNS", "UPRIGHT", "Orientation", "display_orientation", "turn"]


@dataclass(frozen=True, slots=True)
class Orientation:
    """One of the eight ways to lay a rectangle on a pixel grid: transpose first, then mirror."""

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @property
    def degrees(self) -> int:
        """The counter-clockwise turn this is (of a mirrored picture: after mirroring left to right)."""
        if self.transpose:
            return 90 if self.flip_y else 270
        return 180 if self.flip_y else 0

    @property
    def mirrored(self) -> bool:
        """Whether it is more than a turn."""
        return self.transpose == (self.flip_x == self.flip_y)

    def then(self, other: Orientation) -> Orientation:
        """This, and `other` after it."""
        x, y = (self.flip_y, self.flip_x) if other.transpose else (self.flip_x, self.flip_y)
        return Orientation(self.transpose != other.transpose, x != other.flip_x, y != other.flip_y)


UPRIGHT = Orientation()
TURNS = {
    0: UPRIGHT,
    90: Orientation(transpose=True, flip_y=True),
    180: Orientation(flip_x=True, flip_y=True),
    270: Orientation(transpose=True, flip_x=True),
}
"""By degrees counter-clockwise."""


def display_orientation(picture: av.VideoFrame) -> Orientation | None:
    """How to make `picture` upright, from its display matrix; None if that asks for a turn by other than quarter turns.

    The matrix (libavutil/display.h) maps source (p, q) to (a p + c q, b p + d q), all 16.16 fixed point, p to the right, q down.
    """
    side_data = sidedata.listed(picture)
    if side_data is None:  # PyAV can tell a turn, but no mirroring
        return TURNS.get(round(picture.rotation) % 360)
    matrix = next((bytes(s) for s in side_data if s.type is SideDataType.DISPLAYMATRIX), None)
    if matrix is None:
        return UPRIGHT
    a, b, _, c, d, *_ = struct.unpack("=9i", matrix[:36])
    if max(abs(b), abs(c)) < 16 and a and d:
        return Orientation(False, a < 0, d < 0)
    if max(abs(a), abs(d)) < 16 and b and c:
        return Orientation(True, c < 0, b < 0)
    return None


def turn(picture: av.VideoFrame, orientation: Orientation) -> av.VideoFrame:
    """A copy of `picture`, turned; time and colour tags are kept.

    Every sample keeps its value. A quarter turn makes 4:2:2 (chroma halved across) a picture with chroma halved downwards, which
    few programs know, so it becomes 4:4:4, each chroma sample written twice. The format must be one that `planes.views` can read.
    """
    if orientation == UPRIGHT:
        return picture
    width, height = (picture.height, picture.width) if orientation.transpose else (picture.width, picture.height)
    name = _transposed_format(picture.format) if orientation.transpose else picture.format.name
    result = av.VideoFrame(width, height, name)
    for number in range(len(picture.planes)):
        target = _samples(result, number)
        target[:] = _turned(_samples(picture, number), orientation, target.shape[0])
    copy_tags(picture, result)
    return result


def _turned(samples: npt.NDArray[Any], orientation: Orientation, height: int) -> npt.NDArray[Any]:
    """[h, w, n] -> [height, w', n], rows repeated where `height` asks for more than there are.

    OpenCV does it in blocks, several times faster than numpy's strided copy.
    """
    n = samples.shape[2]
    result: npt.NDArray[Any] = cv2.transpose(samples) if orientation.transpose else samples
    if height > result.shape[0]:  # before mirroring: the sample that is cut short is the last one of the source
        result = np.repeat(result, -(-height // result.shape[0]), axis=0)[:height]
    if orientation.flip_x or orientation.flip_y:
        code = -1 if orientation.flip_x and orientation.flip_y else 1 if orientation.flip_x else 0
        result = cv2.flip(result, code)
    return result.reshape(*result.shape[:2], n)


def _samples(picture: av.VideoFrame, number: int) -> npt.NDArray[Any]:
    """A writable view of a plane: [h, w, samples per pixel], without the padding of its lines."""
    plane = picture.planes[number]
    parts = [c for c in picture.format.components if c.plane == number]
    size = 4 if parts[0].bits > 16 else 2 if parts[0].bits > 8 else 1
    pixel = picture.format.padded_bits_per_pixel // 8 if len(picture.planes) == 1 else size * len(parts)
    buffer: Any = plane
    rows = np.frombuffer(buffer, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width * pixel]
    # uint32 samples are seen as pairs of uint16: they are only moved, and OpenCV takes 8 and 16 bit of any count
    grid: npt.NDArray[Any] = rows.view(np.uint8 if size == 1 else np.uint16)
    return grid.reshape(plane.height, plane.width, pixel // min(size, 2))


def _transposed_format(pixel_format: av.VideoFormat) -> str:
    name: str = pixel_format.name
    across, down = 16 // pixel_format.chroma_width(16), 16 // pixel_format.chroma_height(16)
    if across == down:
        return name
    if down > across:
        return name.replace("440", "422")
    for halved, full in (("422", "444"), ("411", "444"), ("nv16", "nv24"), ("nv20", "nv24"), ("p21", "p41")):
        name = name.replace(halved, full)
    return name
