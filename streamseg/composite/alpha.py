"""Alpha and Matte: the instances cut out, for an editor to lay over something else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import av
import cv2
import numpy as np
import numpy.typing as npt

from streamseg.composite.canvas import Canvas
from streamseg.composite.choose import checked_where, chosen, matte, outside
from streamseg.composite.cutout import decontaminate, premultiply
from streamseg.composite.effect import Effect
from streamseg.composite.shape import Shape, Shaped
from streamseg.core.types import Instances
from streamseg.errors import ConfigError
from streamseg.pixels import fields, planes
from streamseg.pixels.color import encoding
from streamseg.pixels.layouts import layout
from streamseg.pixels.picture import AnyPicture

__all__ = ["Alpha", "Matte", "to_image"]

Bits = Literal[8, 10, 12, 16]


def _set_alpha(picture: av.VideoFrame, alpha: npt.NDArray[Any]) -> None:
    """Write `alpha`, in the picture's own codes, as its alpha."""
    for array, spec in planes.views(picture).planes:
        if 3 in spec.components:
            channel = array if array.ndim == 2 else array[:, :, spec.components.index(3)]
            channel[...] = alpha


def _stretch_luma(source: av.VideoFrame, target: av.VideoFrame) -> None:
    """Write full-range luma into a picture of more bits, highest code to highest: swscale makes 1020 of 255."""
    tags = encoding(source)
    old, new = planes.views(source), planes.views(target)
    if tags.family == "rgb" or not tags.full_range or new.layout.family != "yuv":
        return
    table = np.rint(np.arange(2**tags.depth) * ((2**new.layout.depth - 1) / (2**tags.depth - 1))).astype(new.layout.dtype)
    new.planes[0].array[...] = table[old.planes[0].array >> old.layout.lsb]


@dataclass(frozen=True)
class Alpha(Shaped, Effect):
    """The picture with an alpha channel: opaque where the instances are, transparent elsewhere.

    Straight, if not asked otherwise: the colours under transparent pixels are the picture's own, and at the object's edge its own.
    Raises ConfigError for a pixel format without alpha, and for a shape that cannot be.
    """

    classes: Sequence[str] | None = None
    """Names to keep; None: all."""
    format: str = "auto"
    """A pixel format with alpha, or auto: `yuva444p10le` (what ProRes 4444 takes), `rgba` or `rgba64le` for an RGB source."""
    where: str = "instances"
    """`instances`, `background`, or a selection: `person#3, largest`, `background of person#3`."""
    premultiplied: bool = False
    """Colours are multiplied by alpha: black where it is transparent. The output must be able to say so."""
    decontaminate: bool = True
    """At the object's edge, and beside it, colours are those of its inside, without what was behind it."""
    name: ClassVar[str] = "alpha"
    needs_masks: ClassVar[bool] = True
    alpha: ClassVar[bool] = True
    replaces: ClassVar[bool] = True

    def __post_init__(self) -> None:
        known = layout(self.format)
        if self.format != "auto" and (known is None or not known.alpha):
            raise ConfigError(f"alpha: {self.format!r} has no alpha channel; use auto, yuva444p10le, rgba or rgba64le")
        object.__setattr__(self, "where", checked_where("alpha", self.where))
        self.check_shape("alpha")

    @property
    def asked_bits(self) -> int:
        """Those of `format`, where it is given."""
        known = layout(self.format)
        return known.depth if known is not None else 0

    def __call__(self, canvas: Canvas, instances: Instances) -> None:
        """Replace the picture of `canvas` by one with alpha."""
        form = self.format
        if form == "auto":
            form = "yuva444p10le" if canvas.encoding.family != "rgb" else "rgba" if canvas.encoding.depth <= 8 else "rgba64le"
        picture = fields.convert(canvas.picture, form, interlaced=canvas.interlaced)
        if picture is canvas.picture:
            picture = planes.copy_frame(picture)
        _stretch_luma(canvas.picture, picture)
        alpha = _cover(self, canvas, instances, planes.views(picture).layout.depth)
        if self.decontaminate and alpha.any():
            found = _cover(self, canvas, instances, 8, Shape(grow=min(0.0, self.shape.grow), holes=self.holes))
            decontaminate(picture, found, alpha, canvas.unit, interlaced=canvas.interlaced)
        if self.premultiplied:
            premultiply(picture, alpha, interlaced=canvas.interlaced)
        _set_alpha(picture, alpha)
        canvas.replace(picture)


@dataclass(frozen=True)
class Matte(Shaped, Effect):
    """A grey picture: white where the instances are, black elsewhere, full range. Raises ConfigError for what it cannot be."""

    classes: Sequence[str] | None = None
    """Names to keep; None: all."""
    bits: Bits = 8
    """Of a sample; soft edges are worked out at that depth."""
    where: str = "instances"
    """`instances`, `background`, or a selection: `person#3, largest`, `background of person#3`."""
    name: ClassVar[str] = "matte"
    needs_masks: ClassVar[bool] = True
    replaces: ClassVar[bool] = True
    kernel: ClassVar[str | None] = "streamseg.gpu.kernels.soften:draw_matte"

    def __post_init__(self) -> None:
        if self.bits not in get_args(Bits):
            raise ConfigError(f"matte: bits must be one of {', '.join(map(str, get_args(Bits)))}, got {self.bits!r}")
        object.__setattr__(self, "where", checked_where("matte", self.where))
        self.check_shape("matte")

    @property
    def asked_bits(self) -> int:
        """`bits`, if they are more than the usual 8."""
        return self.bits if self.bits > 8 else 0

    def fitting_kernel(self) -> str | None:
        """It draws mattes of 8 bits, as they are or with a feather."""
        return self.kernel if self.bits == 8 and self.shape.is_feather_alone else None

    def __call__(self, canvas: Canvas, instances: Instances) -> None:
        """Replace the picture of `canvas` by the matte."""
        form = "gray" if self.bits == 8 else f"gray{self.bits}le"
        picture = planes.new_frame(canvas.width, canvas.height, form)
        planes.copy_tags(canvas.picture, picture)
        picture.color_range = 2
        planes.views(picture).planes[0].array[...] = _cover(self, canvas, instances, self.bits)
        canvas.replace(picture)


def _cover(
    effect: Alpha | Matte, canvas: Canvas, instances: Instances, depth: int, shape: Shape | None = None
) -> npt.NDArray[Any]:
    """How much of each pixel is kept: [height, width], in codes of `depth` bits; above 8 worked out in 16."""
    shown, shape = chosen(instances, effect.classes, effect.where), effect.shape if shape is None else shape
    if depth <= 8:
        cover: npt.NDArray[Any] = matte(shown, canvas.width, canvas.height, shape)
    else:
        cover = matte(shown, canvas.width, canvas.height, shape, np.uint16)
    if outside(effect.where):
        np.bitwise_not(cover, out=cover)
    if 8 < depth < 16 and cover.any():
        cv2.addWeighted(cover, (2**depth - 1) / (2**16 - 1), cover, 0, 0, cover)
    return cover


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
