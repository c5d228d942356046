"""Pictures and instances that the unit tests of drawing share: noise in every format, masks of known shape."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from scipy import ndimage

from streamseg.core.result import Result
from streamseg.core.types import Frame, Instances
from streamseg.pixels import planes

NAMES = ("person", "car", "dog")


def noise(fmt: str, width: int, height: int, seed: int = 0) -> av.VideoFrame:
    """A picture of random codes over the whole range of the format, with a time and tags of its own."""
    picture = av.VideoFrame(width, height, fmt)
    rng = np.random.default_rng(seed)
    view = planes.views(picture)
    for array, _ in view.planes:
        array[...] = rng.integers(0, 2**view.layout.depth, array.shape) << view.layout.lsb
    picture.pts, picture.time_base = 1234, Fraction(1, 90000)
    picture.colorspace, picture.color_range, picture.color_primaries, picture.color_trc = 1, 1, 1, 1
    return picture


def assert_same(a: av.VideoFrame, b: av.VideoFrame) -> None:
    """The same codes in the same format."""
    assert a.format.name == b.format.name
    for mine, theirs in zip(planes.views(a).planes, planes.views(b).planes, strict=True):
        np.testing.assert_array_equal(mine.array, theirs.array)


def ellipse() -> np.ndarray:
    """uint8 [28, 28], 255 inside the ellipse that fills nine tenths of the box, 0 outside."""
    y, x = np.mgrid[0:28, 0:28] + 0.5
    return np.where(np.hypot(x - 14, y - 14) < 12.6, 255, 0).astype(np.uint8)


def instances(boxes: list[list[float]], *, masks: np.ndarray | None = None, tracked: bool = True) -> Instances:
    """One instance a box, scores falling from 0.9, classes in turn, ids from 1."""
    n = len(boxes)
    return Instances(
        np.array(boxes, np.float32).reshape(n, 4),
        np.linspace(0.9, 0.6, n).astype(np.float32),
        np.arange(n, dtype=np.int64) % len(NAMES),
        np.repeat(ellipse()[None], n, 0) if masks is None else masks,
        NAMES,
        np.arange(1, n + 1, dtype=np.int64) if tracked else np.zeros(n, np.int64),
    )


def result(picture: av.VideoFrame, found: Instances) -> Result:
    return Result(Frame(picture, 0, picture.pts or 0, Fraction(1, 90000)), found)


def field(mask: np.ndarray, box: list[float], width: int, height: int) -> np.ndarray:
    """The mask's bilinear field at every pixel centre of a frame, 0..255, float64, zero outside the grid: by scipy, not by us."""
    x = (np.arange(width) + 0.5 - box[0]) / (box[2] - box[0]) * 28 - 0.5
    y = (np.arange(height) + 0.5 - box[1]) / (box[3] - box[1]) * 28 - 0.5
    # scipy's own zero padding blends only up to the outermost centre; with a ring of zeros it goes on for one cell.
    grid = np.pad(mask.astype(np.float64), 1)
    return ndimage.map_coordinates(grid, np.meshgrid(y + 1, x + 1, indexing="ij"), order=1, mode="constant", cval=0.0)


def codes(picture: av.VideoFrame) -> list[np.ndarray]:
    """Copies of all planes, in codes (not shifted), int64."""
    view = planes.views(picture)
    return [array.astype(np.int64) >> view.layout.lsb for array, _ in view.planes]
