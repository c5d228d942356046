"""Effects that make each pixel of what it was, or paint it over: solid, desaturate, tint, exposure, spotlight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.composite.area import Area, ByMask
from streamseg.composite.canvas import Canvas
from streamseg.composite.colors import RGB, Color, checked_color, rgb_of
from streamseg.composite.distance import ramp
from streamseg.composite.samples import Samples
from streamseg.composite.tones import exposed, tinted
from streamseg.core.types import Instances

__all__ = ["Desaturate", "Exposure", "Solid", "Spotlight", "Tint", "faded"]

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class _Faded(ByMask):
    """Base of those that can be shown in part."""

    strength: float = field(default=1.0, kw_only=True)
    """0..1: how much of it is shown; at 1 nothing of the picture is left."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_range("strength", 0, 1)

    def area(self, canvas: Canvas, instances: Instances, margin: int = 0) -> Area | None:
        """See ByMask."""
        found = super().area(canvas, instances, margin)
        return None if found is None else faded(found, self.strength)


def faded(area: Area, strength: float) -> Area:
    """The same area, its alpha times `strength`."""
    return area if strength == 1 else Area(area.region, cv2.convertScaleAbs(area.alpha, alpha=strength))  # type: ignore[arg-type]


@dataclass(frozen=True)
class _Graded(_Faded):
    """Base of those that compute new codes of the old ones."""

    def __call__(self, canvas: Canvas, instances: Instances) -> None:
        """Draw onto `canvas`."""
        area = self.area(canvas, instances)
        if area is not None:
            samples = Samples(canvas, area.region)
            canvas.mix(*area, samples.in_planes(self.graded(samples)), keep_alpha=True)

    def graded(self, samples: Samples) -> Mapping[int, Array]:
        """The components that change, in codes."""
        raise NotImplementedError


@dataclass(frozen=True)
class Solid(_Faded):
    """Paint objects over with a colour, so that nobody can be recognised; or all that is around them."""

    color: Color = "black"
    """A name, '#rrggbb', or three numbers from 0 to 255; sRGB, in HDR at the brightness of reference white."""
    name: ClassVar[str] = "solid"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "color", checked_color(self.name, self.color))

    @property
    def rgb(self) -> RGB:
        """The colour, 0..255."""
        return rgb_of(str(self.color))

    @property
    def in_color(self) -> bool:
        """See Effect."""
        return len(set(self.rgb)) > 1

    def __call__(self, canvas: Canvas, instances: Instances) -> None:
        """Draw onto `canvas`."""
        area = self.area(canvas, instances)
        if area is not None:
            canvas.paint(*area, self.rgb)


@dataclass(frozen=True)
class Desaturate(_Graded):
    """Take the colour away: of the background by default, so that the objects stand out. Luma stays as it is."""

    where: str = "background"
    name: ClassVar[str] = "desaturate"

    def graded(self, samples: Samples) -> Mapping[int, Array]:
        """See _Graded."""
        if samples.encoding.family == "yuv":
            neutral = np.full_like(samples[1], 1 << (samples.encoding.depth - 1))
            return {1: neutral, 2: neutral}
        return {} if samples.encoding.family == "gray" else {0: samples.luma, 1: samples.luma, 2: samples.luma}


@dataclass(frozen=True)
class Tint(_Graded):
    """Give everything the hue of one colour. Luma stays as it is, so that light and shadow can still be seen."""

    color: Color = "orange"
    """A name, '#rrggbb', or three numbers from 0 to 255; sRGB."""
    name: ClassVar[str] = "tint"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "color", checked_color(self.name, self.color))

    @property
    def in_color(self) -> bool:
        """See Effect."""
        return len(set(rgb_of(str(self.color)))) > 1

    def graded(self, samples: Samples) -> Mapping[int, Array]:
        """See _Graded."""
        tables = tinted(rgb_of(str(self.color)), samples.encoding)
        if samples.encoding.family == "yuv":
            return {component: tables[component].take(samples.luma_at_chroma) for component in (1, 2)}
        return {} if samples.encoding.family == "gray" else {c: tables[c].take(samples.luma) for c in range(3)}


@dataclass(frozen=True)
class Exposure(_Graded):
    """Brighter or darker by so many stops, as light is: 1 doubles it. What would be brighter than white becomes white."""

    stops: float = -1.0
    """Twice as bright for each; negative: half as bright."""
    name: ClassVar[str] = "exposure"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_range("stops", -10, 10)

    def graded(self, samples: Samples) -> Mapping[int, Array]:
        """See _Graded."""
        return exposure(samples, self.stops)


@dataclass(frozen=True)
class Spotlight(ByMask):
    """Light on the objects: what is around them grows darker with the distance, beginning at their outline."""

    where: str = "background"
    stops: float = 2.0
    """How much darker the background is where no light falls: halved for each."""
    falloff: float = 160.0
    """Pixels of a 1080p picture from the outline to where no light falls any more; 0: a hard edge."""
    name: ClassVar[str] = "spotlight"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_range("stops", 0, 10)
        self.check_range("falloff", 0, 2000, "pixels")

    def __call__(self, canvas: Canvas, instances: Instances) -> None:
        """Draw onto `canvas`."""
        area = self.area(canvas, instances)
        if area is None:
            return
        if self.falloff and self.around and len(self.shown(instances)):
            area = Area(area.region, ramp(cv2.bitwise_not(area.alpha), self.falloff * canvas.unit))  # type: ignore[arg-type]
        samples = Samples(canvas, area.region)
        canvas.mix(*area, samples.in_planes(exposure(samples, -self.stops)), keep_alpha=True)


def exposure(samples: Samples, stops: float) -> dict[int, Array]:
    """All components, brighter by `stops`."""
    of = samples.encoding
    table, slope = exposed(stops, of)
    if of.family == "rgb":
        return {component: table.take(samples[component]) for component in range(3)}
    made: dict[int, Array] = {0: _looked_up(table, samples[0])}
    if of.family == "yuv":
        gain, middle = slope.astype(np.float32).take(samples.luma_at_chroma), np.float32(1 << (of.depth - 1))
        for component in (1, 2):
            scaled = (samples[component] - middle) * gain + middle
            made[component] = np.clip(np.rint(scaled), 0, 2**of.depth - 1).astype(table.dtype)
    return made


def _looked_up(table: Array, codes: Array) -> Array:
    """The table's entry for each code."""
    return cv2.LUT(np.ascontiguousarray(codes), table) if codes.dtype == np.uint8 else table.take(codes)
