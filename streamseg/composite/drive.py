"""What the effects of a driving scene have in common: day or night, colours by class, and none where the camera stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Literal, TypeVar, get_args

import numpy as np
import numpy.typing as npt

from streamseg.composite.canvas import Canvas
from streamseg.composite.effect import Effect
from streamseg.composite.memory import Driving, Memory
from streamseg.composite.theme import Light, Theme, ThemeName, checked_theme
from streamseg.core.palette import class_color, color_of
from streamseg.core.scene import Scene
from streamseg.core.types import Instances
from streamseg.errors import ConfigError

__all__ = ["ColorBy", "Drawing", "DriveEffect", "checked_color_by", "colors", "scene_of", "track_rows"]

RGB = tuple[int, int, int]
ColorBy = Literal["auto", "class", "track"]
E = TypeVar("E", bound="DriveEffect")


@dataclass(frozen=True)
class DriveEffect(Effect):
    """Base of the effects that show a driving scene. They draw nothing where it was looked at and the camera never drove.

    They are drawn in host memory, and depend on the frames before. Raises ConfigError for a value out of range.
    """

    theme: ThemeName = field(default="auto", kw_only=True)
    """`day`, `night`, or `auto`: as bright as the picture is, followed slowly."""
    colour: ClassVar[bool] = True
    remembers: ClassVar[bool] = True
    drawing: ClassVar[type[Drawing[Any]]]
    """What draws it in one run."""

    def __post_init__(self) -> None:
        checked_theme(self.name, self.theme)

    def begin(self) -> Drawing[Any]:
        """See Effect."""
        return self.drawing(self)

    def __call__(self, canvas: Canvas, instances: Instances) -> None:
        """Draw onto `canvas`, as on the first frame of a film."""
        self.begin()(canvas, instances)

    def check_range(self, option: str, low: float, high: float, unit: str = "") -> None:
        """Raise ConfigError where an option is not from `low` to `high`."""
        value = getattr(self, option)
        if not low <= value <= high:
            raise ConfigError(f"{self.name}: {option} must be from {low:g} to {high:g}{unit and ' '}{unit}, got {value}")


class Drawing(Generic[E]):
    """Draws a `DriveEffect` in one run."""

    def __init__(self, effect: E) -> None:
        self.effect = effect
        self._memory = Memory()

    def __call__(self, canvas: Canvas, instances: Instances) -> None:
        """Draw one frame."""
        theme = Light.of(canvas, self.effect.theme)
        if self._memory.step(canvas) is None:
            self.forget()
        if Driving.of(canvas):
            self.draw(canvas, instances, theme)

    def forget(self) -> None:
        """Begin anew: continuity is lost."""

    def draw(self, canvas: Canvas, instances: Instances, theme: Theme) -> None:
        """Draw onto `canvas`."""
        raise NotImplementedError


def scene_of(canvas: Canvas, instances: Instances) -> Scene | None:
    """The scene, if it is one of these instances."""
    scene = canvas.scene
    return scene if scene is not None and len(scene.growth) == len(instances) else None


def checked_color_by(effect: str, color_by: str) -> None:
    """Raise ConfigError, in which `effect` is named, for what colours cannot be chosen by."""
    if color_by not in get_args(ColorBy):
        raise ConfigError(f"{effect}: color_by must be one of {', '.join(get_args(ColorBy))}, got {color_by!r}")


def colors(instances: Instances, color_by: ColorBy, driving: bool) -> list[RGB]:
    """The colour of each: its class's, or its track's; `auto`: by class where the camera is `driving`."""
    labels = instances.labels.tolist()
    if color_by == "class" or (color_by == "auto" and driving):
        return [class_color(instances.class_names[label], label) for label in labels]
    return [color_of(track, label) for track, label in zip(instances.track_ids.tolist(), labels, strict=True)]


def track_rows(instances: Instances) -> dict[int, int]:
    """Which instance each track is."""
    return {track: i for i, track in enumerate(instances.track_ids.tolist()) if track > 0}


def finite(*values: npt.ArrayLike) -> bool:
    """Whether all of them are known."""
    return all(bool(np.isfinite(value).all()) for value in map(np.asarray, values))
