"""Alpha and Matte: the instances cut out, for an editor to lay over something else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import av
import numpy as np
import numpy.typing as npt

from streamseg.composite.canvas import Canvas
from streamseg.composite.choose import checked_where, chosen, matte, outside
from streamseg.composite.effect import Effect
from streamseg.core.types import Instances
from streamseg.errors import ConfigError
from streamseg.pixels import fields, planes
from streamseg.pixels.color import encoding
from streamseg.pixels.layouts import layout
from streamseg.pixels.picture import AnyPicture

__all__ = ["Alpha", "Matte", "to_image"]


def _set_alpha(picture: av.VideoFrame, alpha: npt.NDArray[np.uint8]) -> None:
    """Write `alpha` (0..255) as the picture's alpha, at its depth: 255 becomes the highest code, 0 stays 0."""
    views = planes.views(picture)
    top = 2**views.layout.depth - 1
    table = np.rint(np.arange(256) * (top / 255)).astype(views.layout.dtype)
    for array, spec in views.planes:
        if 3 in spec.components:
            channel = array if array.ndim == 2 else array[:, :, spec.components.index(3)]
            channel[...] = table[alpha]


def _stretch_luma(source: av.VideoFrame, target: av.VideoFrame) -> None:
    """Write full-range luma into a picture of more bits, highest code to highest: swscale makes 1020 of 255."""
    tags = encoding(source)
    old, new = planes.views(source), planes.views(target)
    if tags.family == "rgb" or not tags.full_range or new.layout.family != "yuv":
        return
    table = np.rint(np.arange(2**tags.depth) * ((2**new.layout.depth - 1) / (2**tags.depth - 1))).astype(new.layout.dtype)
    new.planes[0].array[...] = table[old.planes[0].array >> old.layout.lsb]


@dataclass(frozen=True)
class Alpha(Effect):
    """The picture with an alpha channel: opaque where the instances are, transparent elsewhere.

    Straight (not premultiplied): the colours under transparent pixels are the picture's own. Raises ConfigError for a pixel
    format without alpha.
    """

    classes: Sequence[str] | None = None
    """Names to keep; None: all."""
    format: str = "auto"
    """A pixel format with alpha, or auto: `yuva444p10le` (what ProRes 4444 takes), `rgba` or `rgba64le` for an RGB source."""
    feather: float = 0.0
    """Width of the soft edge in pixels of a 1080p picture; 0: antialiased."""
    where: str = "instances"
    """`instances`, `background`, or a selection: `person#3, largest`, `background of person#3`."""
    name: ClassVar[str] = "alpha"
    needs_masks: ClassVar[bool] = True
    alpha: ClassVar[bool] = True
    replaces: ClassVar[bool] = True

    def __post_init__(self) -> None:
        known = layout(self.format)
        if self.format != "auto" and (known is None or not known.alpha):
            raise ConfigError(f"alpha: {self.format!r} has no alpha channel; use auto, yuva444p10le, rgba or rgba64le")
        object.__setattr__(self, "where", checked_where("alpha", self.where))
        if not 0 <= self.feather <= 200:
            raise ConfigError(f"alpha: feather must be from 0 to 200 pixels, got {self.feather}")

    def __call__(self, canvas: Canvas, instances: Instances) -> None:
        """Replace the picture of `canvas` by one with alpha."""
        form = self.format
        if form == "auto":
            form = "yuva444p10le" if canvas.encoding.family != "rgb" else "rgba" if canvas.encoding.depth <= 8 else "rgba64le"
        picture = fields.convert(canvas.picture, form, interlaced=canvas.interlaced)
        if picture is canvas.picture:
            picture = planes.copy_frame(picture)
        _stretch_luma(canvas.picture, picture)
        _set_alpha(picture, _cover(self, canvas, instances))
        canvas.replace(picture)


@dataclass(frozen=True)
class Matte(Effect):
    """A grey picture: white where the instances are, black elsewhere, full range. Raises ConfigError for a value out of range."""

    classes: Sequence[str] | None = None
    """Names to keep; None: all."""
    feather: float = 0.0
    """Width of the soft edge in pixels of a 1080p picture; 0: antialiased."""
    where: str = "instances"
    """`instances`, `background`, or a selection: `person#3, largest`, `background of person#3`."""
    name: ClassVar[str] = "matte"
    needs_masks: ClassVar[bool] = True
    replaces: ClassVar[bool] = True
    kernel: ClassVar[str | None] = "streamseg.gpu.kernels.soften:draw_matte"

    def __post_init__(self) -> None:
        object.__setattr__(self, "where", checked_where("matte", self.where))
        if not 0 <= self.feather <= 200:
            raise ConfigError(f"matte: feather must be from 0 to 200 pixels, got {self.feather}")

    def __call__(self, canvas: Canvas, instances: Instances) -> None:
        """Replace the picture of `canvas` by the matte."""
        picture = planes.new_frame(canvas.width, canvas.height, "gray")
        planes.copy_tags(canvas.picture, picture)
        picture.color_range = 2
        planes.views(picture).planes[0].array[...] = _cover(self, canvas, instances)
        canvas.replace(picture)


def _cover(effect: Alpha | Matte, canvas: Canvas, instances: Instances) -> npt.NDArray[np.uint8]:
    """How much of each pixel is kept: uint8 [height, width]."""
    shown = chosen(instances, effect.classes, effect.where)
    cover = matte(shown, canvas.width, canvas.height, effect.feather * canvas.unit)
    return np.bitwise_not(cover) if outside(effect.where) else cover


def to_image(
    picture: AnyPicture, format: str = "rgb24", *, interlaced: bool = False
) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
    """`picture` as an array [height, width, channels] in a packed RGB format (rgb24, bgr24, rgba, rgb48le, ...).

    Uses the picture's own matrix and range, and of interlaced pictures each field's own chroma. Raises ConfigError for a format
    that is not packed RGB.
    """
    known = layout(format)
    if known is None or known.family != "rgb" or len(known.planes) != 1:
        raise ConfigError(f"{format!r} is not a packed RGB format; use rgb24, bgr24, rgba, bgra or rgb48le")
    converted = fields.convert(planes.on_host(picture), format, interlaced=interlaced)
    array: npt.NDArray[np.uint8] = planes.views(converted).planes[0].array
    # A copy: the view does not keep the picture's memory alive.
    return array.copy()
