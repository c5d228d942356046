"""Remove: an object gone where its background is seen at another time. What does it is `streamseg.removal`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

from streamseg.composite.area import ByMask
from streamseg.composite.canvas import Canvas
from streamseg.composite.colors import RGB, Color, checked_color, rgb_of
from streamseg.core.seconds import parse_seconds
from streamseg.core.types import Instances
from streamseg.errors import ConfigError

__all__ = ["Missing", "Remove"]

Missing = Literal["hold", "blur", "mark"]
Show = Literal["picture", "missing"]


@dataclass(frozen=True)
class Remove(ByMask):
    """Take objects out: each of their pixels becomes what is seen there at another time, in a window around the frame.

    The camera's motion is taken out, and of what is seen the median is taken. It needs frames before and after, and so is a stage
    of its own before the others of an output: the first of its effects, and only one of them. Raises ConfigError otherwise.
    """

    window: float | str = 2.0
    """Seconds before and after a frame in which its background is looked for; memory may allow less."""
    missing: Missing = "blur"
    """What never was seen: `hold`, the object stays there; `blur`, filled from around it; `mark`, painted with `color`."""
    cleanup: float = 24.0
    """So far beyond the outline what is not as at other times goes, too: a shadow, hair, what the mask missed; 0: nothing."""
    show: Show = "picture"
    """`missing`: in place of the picture a grey one, white where the background never was seen."""
    color: Color = "magenta"
    """Of `mark`."""
    grow: float = field(default=8.0, kw_only=True)
    """By how much the outline of the objects is moved outwards: what a mask leaves over would stay, and spoil what is seen."""
    feather: float = field(default=4.0, kw_only=True)
    """Width of the soft edge, half of it on either side of the outline; 0: antialiased."""
    name: ClassVar[str] = "remove"
    remembers: ClassVar[bool] = True
    ahead: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "color", checked_color(self.name, self.color))
        try:
            object.__setattr__(self, "window", parse_seconds(self.window))
        except ValueError as error:
            raise ConfigError(f"remove: window: {error}") from error
        if not 0 < self.seconds <= 60:
            raise ConfigError(f"remove: window must be above 0 and at most 60 seconds, got {self.window}")
        for option, allowed in (("missing", get_args(Missing)), ("show", get_args(Show))):
            if getattr(self, option) not in allowed:
                raise ConfigError(f"remove: {option} must be one of {', '.join(allowed)}, got {getattr(self, option)!r}")
        self.check_range("cleanup", 0, 200, "pixels")
        if self.around:
            raise ConfigError(f"remove: where: {self.where!r} is no object: write instances, or as 'person#3, largest'")

    @property
    def seconds(self) -> float:
        """`window` in seconds."""
        return float(self.window)

    @property
    def rgb(self) -> RGB:
        """The colour of `mark`, 0..255."""
        return rgb_of(str(self.color))

    def __call__(self, canvas: Canvas, instances: Instances) -> None:
        """Raise ConfigError: one frame tells nothing of what is behind."""
        raise ConfigError(
            "remove: it needs the frames before and after: write it first among the effects of an output, as "
            "streamseg.run(film, out, effects=Remove('person#3'))"
        )
