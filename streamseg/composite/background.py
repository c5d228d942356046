"""GreenScreen and Background: what is around the objects replaced by a colour, a picture or a video."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, ClassVar, get_args

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.composite.area import Area, ByMask
from streamseg.composite.backdrop import Backdrop, check
from streamseg.composite.canvas import Canvas, crop
from streamseg.composite.choose import matte
from streamseg.composite.colors import RGB, Color, checked_color, rgb_of
from streamseg.composite.cutout import decontaminate
from streamseg.composite.fit import Fit, Fitted, fitted
from streamseg.composite.grade import faded
from streamseg.composite.shape import Shape
from streamseg.core.types import Frame, Instances
from streamseg.errors import ConfigError

__all__ = ["Background", "GreenScreen"]

Array = npt.NDArray[Any]
ByteArray = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class _Replaced(ByMask):
    """Base of those that put something else behind the objects."""

    where: str = "background"
    decontaminate: bool = field(default=True, kw_only=True)
    """Give the edge of what stays the colours of its inside, so that no rim of the old background is left."""

    def clean(self, canvas: Canvas, instances: Instances, area: Area, share: ByteArray | None = None) -> None:
        """Decontaminate what stays; `share` [height, width]: of each pixel that much, where the old background is still seen."""
        shown = self.shown(instances)
        if not self.decontaminate or len(shown) == 0:
            return
        # An edge that is to be very soft is taken to be soft in the film: colours are the object's behind it. A usual feather is
        # not: of small objects little but their edge is there.
        inwards = (max(0.0, self.feather / 2 - 3) - min(0.0, self.grow)) * canvas.unit
        shape = Shape(grow=-inwards if self.around else inwards)
        cover, kept = matte(shown, canvas.width, canvas.height, shape), np.full((canvas.height, canvas.width), 255, np.uint8)
        if not self.around:
            cover = cv2.bitwise_not(cover)  # type: ignore[assignment]
        x0, y0, x1, y1 = area.region
        kept[y0:y1, x0:x1] = cv2.bitwise_not(area.alpha)
        before = [array.copy() for array, _ in canvas.writable().planes] if share is not None else []
        decontaminate(canvas.picture, cover, kept, canvas.unit, interlaced=canvas.interlaced)
        if share is not None:
            canvas.mix((0, 0, canvas.width, canvas.height), cv2.bitwise_not(share), before)  # type: ignore[arg-type]


@dataclass(frozen=True)
class GreenScreen(_Replaced):
    """One colour behind the objects, to be keyed out in another program."""

    color: Color = "chroma-green"
    """A name (chroma-green is #00b140, chroma-blue #0047bb), '#rrggbb', or three numbers from 0 to 255; sRGB."""
    hard: bool = False
    """Each pixel is object or screen, none a mixture: for a program that keys one colour exactly."""
    name: ClassVar[str] = "greenscreen"
    colour: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "color", checked_color(self.name, self.color))
        if self.hard and self.feather:
            raise ConfigError(f"greenscreen: feather: {self.feather:g} makes the edge soft, and hard: true makes it hard")

    def shape(self, unit: float) -> Shape:
        """See ByMask."""
        return Shape(grow=self.grow * unit, feather=self.feather * unit, hard=self.hard)

    def __call__(self, canvas: Canvas, instances: Instances) -> None:
        """Draw onto `canvas`."""
        area = self.area(canvas, instances)
        if area is not None:
            canvas.writable()
            self.clean(canvas, instances, area)
            canvas.paint(*area, rgb_of(str(self.color)))


@dataclass(frozen=True)
class Background(_Replaced):
    """A picture, a video or a colour behind the objects. Raises ConfigError or SourceError for a file that cannot be read.

    A video runs at its own times, from the film's beginning: at 12 s of the film it shows what it shows 12 s after its own first
    picture, whatever the rates of both. It is decoded for itself, and its colours are brought into the film's encoding.
    Transparent parts of it show the film.
    """

    source: str = ""
    """A picture or video; empty: `color`."""
    color: Color = "black"
    """The background where there is no source, and the bars beside one that is `contain`ed."""
    fit: Fit = "cover"
    """cover: scaled until it covers the frame, and cut; contain: until it lies inside, with bars; stretch: to the frame's shape."""
    loop: bool = True
    """A video begins anew at its end; false: its last picture stays."""
    strength: float = field(default=1.0, kw_only=True)
    """0..1: how much of it is shown."""
    name: ClassVar[str] = "background"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "color", checked_color(self.name, self.color))
        self.check_range("strength", 0, 1)
        if self.fit not in get_args(Fit):
            raise ConfigError(f"background: fit must be one of {', '.join(get_args(Fit))}, got {self.fit!r}")

    @property
    def rgb(self) -> RGB:
        """The colour, 0..255."""
        return rgb_of(str(self.color))

    @property
    def in_color(self) -> bool:
        """See Effect."""
        return bool(self.source) or len(set(self.rgb)) > 1

    def check(self) -> None:
        """See Effect."""
        if self.source:
            check(self.source)

    def begin(self) -> _Behind:
        """See Effect."""
        return _Behind(self)

    def __call__(self, canvas: Canvas, instances: Instances) -> None:
        """Draw onto `canvas`, with the file opened for this one frame."""
        behind = self.begin()
        try:
            behind(canvas, instances)
        finally:
            behind.close()


class _Behind:
    """Draws a `Background` in one run: holds its file open, and what it last made of it."""

    def __init__(self, effect: Background) -> None:
        self._effect = effect
        self._backdrop = Backdrop(effect.source, loop=effect.loop) if effect.source else None
        self._key: tuple[Any, ...] = ()
        self._fitted: Fitted | None = None

    def __call__(self, canvas: Canvas, instances: Instances) -> None:
        effect = self._effect
        area = effect.area(canvas, instances)
        if area is None:
            return
        canvas.writable()
        if self._backdrop is None:
            effect.clean(canvas, instances, area, self._share(canvas, None))
            canvas.paint(*faded(area, effect.strength), effect.rgb)
            return
        shown = self._fit(self._backdrop.at(canvas.time), canvas, self._backdrop.info.sample_aspect_ratio)
        effect.clean(canvas, instances, area, self._share(canvas, shown.alpha))
        x0, y0, x1, y1 = area.region
        alpha = faded(area, effect.strength).alpha
        if shown.alpha is not None:
            alpha = cv2.multiply(alpha, shown.alpha[y0:y1, x0:x1], scale=1 / 255)  # type: ignore[assignment]
        specs = [plane.spec for plane in canvas.views().planes]
        parts = [crop(plane, area.region, spec.shift_x, spec.shift_y) for plane, spec in zip(shown.planes, specs, strict=True)]
        canvas.mix(area.region, alpha, parts)

    def _share(self, canvas: Canvas, alpha: ByteArray | None) -> ByteArray | None:
        """How much of the new background each pixel shows behind the objects; None: it shows nothing else."""
        strength = self._effect.strength
        if alpha is None:
            whole = np.full((canvas.height, canvas.width), round(255 * strength), np.uint8)
            return None if strength == 1 else whole
        return cv2.convertScaleAbs(alpha, alpha=strength)  # type: ignore[return-value]

    def _fit(self, frame: Frame, canvas: Canvas, aspect: Fraction | None) -> Fitted:
        """`frame` as it is shown behind this picture; the last one is kept, which for a still is the only one."""
        key = (frame, canvas.encoding, canvas.picture.format.name, canvas.width, canvas.height, canvas.interlaced)
        if self._fitted is None or key[0] is not self._key[0] or key[1:] != self._key[1:]:
            self._fitted = fitted(frame.picture, canvas, self._effect.fit, self._effect.rgb, aspect)
            self._key = key
        return self._fitted

    def close(self) -> None:
        """Close the file."""
        if self._backdrop is not None:
            self._backdrop.close()
