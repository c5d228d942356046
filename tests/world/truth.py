"""What is true of one frame of the world."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt

from streamseg.core.scene import CameraModel, Horizon, Turn
from streamseg.core.types import Frame
from tests.scenes import CLASSES

TICKS = 90_000
Floats = npt.NDArray[np.float64]
Polygon = npt.NDArray[np.float32]
"""[V, 2] convex, frame pixels."""

_BLANK: dict[tuple[int, int], av.VideoFrame] = {}


@dataclass(frozen=True)
class Shape:
    """The outline of one solid thing in the picture, whatever hides it."""

    actor: int
    """Number in the world's list."""
    depth: float
    """Metres; the smaller hides the larger."""
    polygons: tuple[Polygon, ...]
    """It covers what any of them covers; clipped to the frame."""
    box: Floats
    """[4] xyxy around them."""


@dataclass(frozen=True)
class Truth:
    """N: the road users of which at least a pixel lies in the picture, hidden or not; by the number of the actor."""

    index: int
    time: float
    camera: CameraModel
    """As it really is."""
    ids: npt.NDArray[np.int64]
    """[N] the actor's number + 1."""
    labels: npt.NDArray[np.int64]
    distance: Floats
    """[N] metres ahead of the camera, to its nearest point (negative: beside it, or behind)."""
    lateral: Floats
    """[N] metres to the right, of the middle of the side that faces the camera."""
    speed: Floats
    """[N] metres a second along the camera's way, of it against the camera; negative: it comes nearer."""
    across: Floats
    """[N] metres a second to the right, of it against the camera."""
    growth: Floats
    """[N] 1/s: d log(size) / dt of the side that faces the camera, as it would be did the camera not turn: -speed / distance."""
    ttc: Floats
    """[N] seconds, 1 / growth; infinite where it does not come nearer."""
    gap: Floats
    """[N] metres: of its footprint from the way of a vehicle 1.8 m wide that follows the road; 0: it is in the way."""
    own_speed: float
    yaw_rate: float
    """Of the vehicle, radians a second, positive to the right."""
    horizon: Horizon
    turn: Turn
    """Since the frame before; of the first none."""
    shapes: tuple[Shape, ...]
    """All that stands in the picture, scenery too, the nearest first."""
    boxes: Floats
    """[N, 4] xyxy of the whole of each inside the frame."""
    outer: Floats
    """[N, 4] xyxy of the whole of each, also beyond the frame."""
    poses: tuple[tuple[Floats, Floats], ...] = ()
    """(rotation, position) of the camera when its first row is read, and when its last one is; for a renderer."""
    picture: av.VideoFrame | None = None
    epoch: int = 0

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def names(self) -> list[str]:
        return [CLASSES[label] for label in self.labels]

    def shape_of(self, actor_id: int) -> Shape:
        """Of the road user of that id."""
        return next(shape for shape in self.shapes if shape.actor == actor_id - 1)

    def row(self, actor_id: int) -> int | None:
        """Where that id stands in the arrays; None: it is not in the picture."""
        at = np.flatnonzero(self.ids == actor_id)
        return int(at[0]) if len(at) else None

    def frame(self) -> Frame:
        """With the picture that a renderer gave, or a grey one in which there is nothing to see (always the same object)."""
        size = self.camera.width, self.camera.height
        picture = self.picture
        if picture is None:
            if size not in _BLANK:
                _BLANK[size] = av.VideoFrame.from_ndarray(np.full((size[1] * 3 // 2, size[0]), 128, np.uint8), "yuv420p")
            picture = _BLANK[size]
        return Frame(picture, self.index, round(self.time * TICKS), Fraction(1, TICKS), epoch=self.epoch)
