"""DepthOfField: the background out of focus, the more the further it is from the objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.composite.area import ByMask
from streamseg.composite.blurred import Blurred, weighted_planes
from streamseg.composite.canvas import Canvas, Rows
from streamseg.composite.distance import distance
from streamseg.core.masks import AT_BORDER
from streamseg.core.types import Instances
from streamseg.errors import ConfigError
from streamseg.pixels.layouts import PlaneSpec

__all__ = ["DepthOfField"]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
ByteArray = npt.NDArray[np.uint8]
Falloff = Literal["ground", "edge"]

_LEVELS = (0.25, 0.5, 1.0)
"""Of the strongest blur: between these, and the picture itself, each pixel's own is mixed."""
_SETTLING = 0.3
"""Seconds in which the ground's line follows the feet: these step, it must not."""


@dataclass(frozen=True)
class DepthOfField(ByMask):
    """Throw the background out of focus as a lens does, the more the further away it is.

    How far is guessed. `ground`: the ground is in focus where the objects stand, and the blur grows with the height in the picture
    above that line, and below it; where an object is cut off by the picture's lower border, so that nobody sees where it
    stands, the whole background is equally far. `edge`: the blur grows with the distance from the outline.
    What is blurred is averaged with itself only: the objects leave no halo of their colours.
    """

    where: str = "background"
    strength: float = 0.5
    """0..1 of the strongest blur; 1 is a Gaussian of 32 pixels on a 1080p picture."""
    falloff: Falloff = "ground"
    """What distance is taken from: the line on which the objects stand, or their outline."""
    reach: float = 400.0
    """Pixels of a 1080p picture from there to the strongest blur."""
    feather: float = field(default=6.0, kw_only=True)
    """Width of the soft edge, half of it on either side of the outline; 0: antialiased."""
    name: ClassVar[str] = "depth_of_field"
    remembers: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.strength <= 1:
            raise ConfigError(f"depth_of_field: strength must be above 0 and at most 1, got {self.strength}")
        self.check_range("reach", 1, 4000, "pixels")
        if self.falloff not in get_args(Falloff):
            raise ConfigError(f"depth_of_field: falloff must be one of {', '.join(get_args(Falloff))}, got {self.falloff!r}")
        if not self.around:
            raise ConfigError(
                f"depth_of_field: where: {self.where!r} is not around objects; write background, or background of person#3"
            )

    def begin(self) -> _Focus:
        """See Effect."""
        return _Focus(self)

    def __call__(self, canvas: Canvas, instances: Instances) -> None:
        """Draw onto `canvas`, as on the first frame of a film."""
        self.begin()(canvas, instances)


class _Focus:
    """Draws a `DepthOfField` in one run; remembers where the ground's line was."""

    def __init__(self, effect: DepthOfField) -> None:
        self._effect = effect
        self._line: tuple[float, float] | None = None
        self._seen = (0.0, 0)

    def __call__(self, canvas: Canvas, instances: Instances) -> None:
        effect, shown = self._effect, self._effect.shown(instances)
        area = effect.area(canvas, instances)
        if area is None:
            return
        if len(shown) == 0:
            depth = np.ones((canvas.height, 1), np.float32)
        elif effect.falloff == "edge":
            away = distance(cv2.bitwise_not(area.alpha), effect.reach * canvas.unit)  # type: ignore[arg-type]
            depth = np.minimum(away * np.float32(1 / (effect.reach * canvas.unit)), 1)
        else:
            depth = self._ground(canvas, shown)
        canvas.mix(*area, _planes(canvas, area.alpha, depth, max(1.0, 32 * effect.strength * canvas.unit)))

    def _ground(self, canvas: Canvas, shown: Instances) -> Floats:
        """How blurred each row is, 0..1, [height, 1]."""
        feet = shown.boxes[:, 3]
        standing = feet[feet < canvas.height - AT_BORDER]
        reach = self._effect.reach * canvas.unit
        if len(standing) == 0:
            standing = np.array([canvas.height + reach], np.float32)
        line = self._steady(canvas, float(standing.min()), float(standing.max()))
        rows = np.arange(canvas.height, dtype=np.float32)[:, None] + np.float32(0.5)
        away = np.maximum(np.maximum(line[0] - rows, rows - line[1]), 0)
        t = np.minimum(away / np.float32(reach), 1)
        return np.asarray(t * t * (3 - 2 * t), np.float32)

    def _steady(self, canvas: Canvas, far: float, near: float) -> tuple[float, float]:
        """The line's upper and lower end, following what they were asked to be."""
        passed, epoch = canvas.time - self._seen[0], self._seen[1]
        if self._line is None or epoch != canvas.epoch or not 0 <= passed < 1:
            self._line = far, near
        else:
            share = 1 - float(np.exp(-passed / _SETTLING))
            self._line = self._line[0] + share * (far - self._line[0]), self._line[1] + share * (near - self._line[1])
        self._seen = canvas.time, canvas.epoch
        return self._line


def _planes(canvas: Canvas, alpha: ByteArray, depth: Floats, sigma: float) -> list[Array | Rows]:
    """Each plane, blurred as `depth` says: 0..1 of `sigma` for each pixel, [height, width] or a row's [height, 1]."""

    def make(spec: PlaneSpec, part: Array, depth: Floats, *weights: ByteArray) -> _Levels:
        sigmas = sigma / (1 << spec.shift_x), sigma / (1 << spec.shift_y + canvas.interlaced)
        return _Levels(part, depth, weights, *sigmas)

    def of_plane(part: Array) -> tuple[Floats]:
        across = part.shape[1] if depth.shape[1] > 1 else 1
        own = cv2.resize(depth, (across, part.shape[0]), interpolation=cv2.INTER_LINEAR)
        return (np.asarray(own, np.float32).reshape(part.shape[0], across),)

    return weighted_planes(canvas, (0, 0, canvas.width, canvas.height), alpha, make, of_plane)


class _Levels:
    """A plane blurred more or less, sample by sample: mixed of what is blurred in some strengths, and itself."""

    def __init__(self, array: Array, depth: Floats, weights: Sequence[ByteArray], sigma_x: float, sigma_y: float) -> None:
        self._array, self._depth = array, depth
        self._blurred = [Blurred(array, weights, sigma_x * share, sigma_y * share) for share in _LEVELS]

    def __call__(self, rows: slice) -> Array:
        depth = self._depth[rows]
        if self._array.ndim == 3:
            depth = depth[:, :, None]
        least, most = float(depth.min()), float(depth.max())
        mixed, low = self._array[rows].astype(np.float32), 0.0
        for share, blurred in zip(_LEVELS, self._blurred, strict=True):
            if low < most and least < share:
                part = np.clip((depth - np.float32(low)) * np.float32(1 / (share - low)), 0, 1)
                mixed += (blurred.exact(rows) - mixed) * part
            elif least >= share and (share == _LEVELS[-1] or least < 2 * share):  # the next level begins with this one
                mixed = blurred.exact(rows)
            low = share
        rounded: Array = np.rint(mixed).astype(self._array.dtype)
        return rounded

    def whole(self) -> Array:
        """All rows."""
        return self(slice(0, len(self._array)))
