"""Privacy: what must not be seen is painted over, or shown in coarse blocks. What that is, `streamseg.shield` works out.

The picture keeps nothing fine of what is hidden. `paint` keeps nothing at all. `pixelate` and `blur` keep means of blocks, of
which the largest hidden object is at most `BLOCKS` long; a blur is drawn between these means, so that it holds no more than they.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.composite.canvas import Canvas, crop
from streamseg.composite.cells import longer_sides, mark
from streamseg.composite.choose import check_classes
from streamseg.composite.colors import Color, checked_color, rgb_of
from streamseg.composite.effect import Effect
from streamseg.core.cover import Cover
from streamseg.core.masks import Region
from streamseg.core.seconds import parse_seconds
from streamseg.core.types import Activity, Instances
from streamseg.errors import ConfigError
from streamseg.errors.describe import brief
from streamseg.pixels.planes import copy_frame

__all__ = ["BLOCKS", "Fill", "Hider", "Privacy", "parse_margin"]

Array = npt.NDArray[Any]
ByteArray = npt.NDArray[np.uint8]
Fill = Literal["paint", "pixelate", "blur"]
BLOCKS = 8
"""Blocks along the longer side of the largest object that is hidden, at most."""
_LEAST_BLOCK = 8
"""Pixels."""
_CALM = 1.0
"""Seconds for which blocks stay as large as they were, so that they do not jump."""


@dataclass(frozen=True)
class Privacy(Effect):
    """Hide objects of some classes so that no frame shows them: by mask with a margin, also while they are lost or doubtful.

    It must be the first effect of an output; `privacy:` of a pipeline file (`--privacy`) hides them in all outputs. Raises
    ConfigError for a value out of range.
    """

    classes: Sequence[str] | None = ("person",)
    """Names of what is hidden; None: all that the model knows."""
    fill: Fill = "paint"
    """`paint`, one colour: nothing is left; `pixelate`: blocks, at most 8 along the largest object; `blur`: between such blocks."""
    color: Color = "grey"
    """Of `paint`."""
    margin: str | float = "4px 10%"
    """By how much masks are grown: pixels of the picture, and percent of the longer side of the object's box, added up."""
    score: float | str = "auto"
    """Detections with a score from here on are hidden; `auto`: all that the model gives."""
    hold: float | str = 1.0
    """Seconds for which what is not seen any more stays hidden along its motion, more and more around it."""
    delay: float | str = "auto"
    """Seconds for which frames wait, so that what is found is hidden before it was found, too; `auto`: 0.5, live 0."""
    unanswered: str = "hold"
    """What a frame shows that the network did not look at: `hold`, the picture before; `cover`, nothing; `carry`, what is not
    known to be there: what comes into view meanwhile is seen."""
    name: ClassVar[str] = "privacy"
    remembers: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "color", checked_color(self.name, self.color))
        if self.classes is not None:
            object.__setattr__(self, "classes", tuple(self.classes))
            if not self.classes:
                raise ConfigError("privacy: classes names none: name what is to be hidden, or write all")
        for option, allowed in (("fill", get_args(Fill)), ("unanswered", ("hold", "cover", "carry"))):
            if getattr(self, option) not in allowed:
                raise ConfigError(f"privacy: {option} must be one of {', '.join(allowed)}, got {brief(getattr(self, option))}")
        parse_margin(self.margin)
        if self.score != "auto" and not (isinstance(self.score, int | float) and 0 <= self.score < 1):
            raise ConfigError(f"privacy: score must be auto, or from 0 to below 1, got {brief(self.score)}")
        for option, most in (("hold", 60.0), ("delay", 5.0)):
            self._check_seconds(option, most)

    def _check_seconds(self, option: str, most: float) -> None:
        value = getattr(self, option)
        if option == "delay" and value == "auto":
            return
        try:
            seconds = parse_seconds(value)
        except ValueError as error:
            raise ConfigError(f"privacy: {option}: {error}") from error
        if not 0 <= seconds <= most:
            raise ConfigError(f"privacy: {option} must be from 0 to {most:g} seconds, got {brief(value)}")
        object.__setattr__(self, option, float(seconds))

    @property
    def reach(self) -> tuple[float, float]:
        """The margin: pixels, and share of the longer side of an object's box."""
        return parse_margin(self.margin)

    @property
    def seconds_held(self) -> float:
        """`hold` in seconds."""
        return float(self.hold)

    def seconds_delayed(self, live: bool) -> float:
        """`delay` in seconds."""
        return (0.0 if live else 0.5) if self.delay == "auto" else float(self.delay)

    def hides(self, found: Instances) -> npt.NDArray[np.bool_]:
        """[N] whether each is to be hidden. Raises ConfigError for a class that the model does not know."""
        wanted = np.ones(len(found), bool)
        if self.classes is not None:
            check_classes(self.classes, found.class_names)
            wanted = np.isin(found.labels, [found.class_names.index(name) for name in self.classes])
        return wanted if self.score == "auto" else wanted & (found.scores >= float(self.score))

    def __call__(self, canvas: Canvas, instances: Instances) -> None:
        """Hide it in one frame alone, which nothing is held for."""
        Hider(self)(canvas, instances)

    def begin(self) -> Callable[[Canvas, Instances], None]:
        """What hides it in one run: it holds the last picture that may be shown."""
        return Hider(self)

    def changes(self, instances: Instances, activity: Activity | None) -> bool:
        """See Effect: what is hidden is no matter of the instances alone."""
        return True


def parse_margin(value: object) -> tuple[float, float]:
    """`4px 8%`, in either order, one alone, or a number of pixels: pixels, and share of the object. Raises ConfigError."""
    text = str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
    pixels, share = 0.0, 0.0
    parts = [part for part in re.split(r"[\s,+]+", text.strip().lower()) if part]
    for part in parts:
        found = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)(px|%|)", part)
        if found is None:
            parts = []
            break
        pixels, share = (pixels, share + float(found[1]) / 100) if found[2] == "%" else (pixels + float(found[1]), share)
    if not parts:
        raise ConfigError(f"privacy: margin is {brief(value)}; write pixels and percent of the object's size, as '4px 8%'")
    if pixels > 500 or share > 2:
        raise ConfigError(f"privacy: margin: {brief(value)} is too much; allowed: up to 500px and 200%")
    return pixels, share


class Hider:
    """Hides what the covers of one run's frames say."""

    def __init__(self, effect: Privacy) -> None:
        self._effect = effect
        self._held: tuple[Any, Any] | None = None
        self._block, self._since = 0, 0.0
        self.unknown = 0
        """Frames of which nobody said what is to be hidden: they are hidden whole."""

    def __call__(self, canvas: Canvas, instances: Instances) -> None:
        """Hide it in `canvas`, on which other effects draw afterwards."""
        self.show(canvas, instances)
        if self._held is not None and self._held[1] is canvas.picture:
            self._held = (self._held[0], copy_frame(canvas.picture))

    def show(self, canvas: Canvas, instances: Instances) -> bool:
        """Hide what the frame's cover says, and those of `instances`; gives whether the picture before stands there instead.

        The picture of `canvas` is then held: nobody else may write into it. Without a cover all of it is hidden.
        """
        cover = canvas.covers.get(self._effect)
        key = (canvas.epoch, canvas.width, canvas.height, canvas.picture.format.name)
        self.unknown += cover is None
        if cover is not None and cover.unanswered == "hold" and self._held is not None and self._held[0] == key:
            canvas.replace(copy_frame(self._held[1]))
            return True
        if cover is None or cover.whole:
            region = (0, 0, canvas.width, canvas.height)
            canvas.paint(region, np.full((canvas.height, canvas.width), 255, np.uint8), rgb_of(str(self._effect.color)))
            return False
        self._hide(canvas, self._with(cover, instances, canvas))
        self._held = (key, canvas.picture) if self._effect.unanswered == "hold" else None
        return False

    def _with(self, cover: Cover, instances: Instances, canvas: Canvas) -> Cover:
        """The cover with what is shown as an object of these classes, wherever a later stage has put it."""
        shown = instances[self._effect.hides(instances)]
        if not len(shown):
            return cover
        pixels, share = self._effect.reach
        sides, cells = longer_sides(shown.boxes), np.zeros_like(cover.cells)
        mark(cells, 255, shown, (pixels + share * sides).tolist(), (canvas.width, canvas.height), cover.step)
        return cover.joined(cells, float(sides.max()))

    def _hide(self, canvas: Canvas, cover: Cover) -> None:
        x, y, w, h = cv2.boundingRect(cover.cells)
        if not w:
            return
        whole = cover.alpha(canvas.width, canvas.height, canvas.steps)
        block = self._block_of(canvas, cover) if self._effect.fill != "paint" else canvas.align
        x0, y0 = (max(0, at * cover.step // block * block - block) for at in (x, y))
        x1, y1 = (
            min(side, -(-at * cover.step // block) * block + block)
            for at, side in ((x + w, canvas.width), (y + h, canvas.height))
        )
        region = (x0, y0, x1, y1)
        alpha = np.ascontiguousarray(whole[y0:y1, x0:x1])
        if self._effect.fill == "paint":
            canvas.paint(region, alpha, rgb_of(str(self._effect.color)))
        else:
            canvas.mix(region, alpha, _coarse(canvas, region, block, smooth=self._effect.fill == "blur"))

    def _block_of(self, canvas: Canvas, cover: Cover) -> int:
        """Pixels of a block: a power of two, so that it seldom changes, and never smaller than a moment ago."""
        least = max(cover.largest / BLOCKS, _LEAST_BLOCK, canvas.align)
        wanted = 1 << int(np.ceil(np.log2(least)))
        if wanted >= self._block or not 0 <= canvas.time - self._since <= _CALM:
            self._block, self._since = wanted, canvas.time
        return self._block


def _coarse(canvas: Canvas, region: Region, block: int, *, smooth: bool) -> list[Array]:
    """For each plane the region in means of blocks, which begin at multiples of `block` in the frame; of both fields the same."""
    made = []
    for array, spec in canvas.views().planes:
        part = crop(array, region, spec.shift_x, spec.shift_y)
        wide, high = block >> spec.shift_x, block >> spec.shift_y
        rows, columns = part.shape[:2]
        padded = cv2.copyMakeBorder(part, 0, -rows % high, 0, -columns % wide, cv2.BORDER_REPLICATE)
        small = cv2.resize(padded, (padded.shape[1] // wide, padded.shape[0] // high), interpolation=cv2.INTER_AREA)
        how = cv2.INTER_LINEAR if smooth else cv2.INTER_NEAREST
        large = cv2.resize(small, (padded.shape[1], padded.shape[0]), interpolation=how)
        made.append(np.ascontiguousarray(large[:rows, :columns]))
    return made
