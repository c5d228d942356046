"""Where on the road things are, as boxes in metres, and how the camera looks at it.

The frame `ego` has its origin on the ground below the camera: x forward along the road, y to the left, z up. The frame `camera` is
the camera's own: x to the right, y down, z forward along the optical axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from streamseg.encode.logs.seen import Seen, shown
from streamseg.scene.sizes import class_sizes

if TYPE_CHECKING:
    from streamseg.core.result import Result
    from streamseg.core.scene import CameraModel, Horizon

__all__ = ["Placed", "camera_axes", "camera_of", "placed_in", "quaternion"]

Matrix = npt.NDArray[np.float64]
_LENGTHS = {"bicycle": 1.8, "motorcycle": 2.1}
"""Metres along the road of those that the scene takes for as long as wide."""


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """An instance on the road."""

    seen: Seen
    center: tuple[float, float, float]
    """Metres in `ego`."""
    size: tuple[float, float, float]
    """Metres along x, y and z."""
    near: tuple[float, float]
    """Metres along x: the distance of its nearest point, less and plus one standard deviation."""


def camera_of(result: Result) -> CameraModel | None:
    """The camera, for frames of this frame's size; None: not known."""
    camera, frame = None if result.scene is None else result.scene.camera, result.frame
    if camera is None or (camera.width, camera.height) == (frame.width, frame.height):
        return camera
    return camera.resized(frame.width, frame.height)


def placed_in(result: Result, seen: Sequence[Seen]) -> list[Placed]:
    """The instances of which it is known where they are. Width and height are those of the box, where the camera is known; of the
    whole instance, hidden parts included, where these have been estimated."""
    scene, camera, hidden = result.scene, camera_of(result), result.occlusion
    placed = []
    for i, each in enumerate(seen if scene is not None else ()):
        assert scene is not None
        distance, lateral = float(scene.distance[i]), float(scene.lateral[i])
        if not (shown(distance) and distance > 0):
            continue
        x0, y0, x1, y1 = each.box if hidden is None else hidden.extents[i].tolist()
        length, width, height = _usual(each.name)
        if camera is not None:
            across, width, height = width, (x1 - x0) * distance / camera.fx, (y1 - y0) * distance / camera.fy
            # What is much wider than usual stands across the road.
            length = across if width > (across + length) / 2 else length
        if not shown(lateral):
            lateral = 0.0 if camera is None else ((x0 + x1) / 2 - camera.cx) * distance / camera.fx
        std = float(scene.distance_std[i]) if shown(scene.distance_std[i]) else 0.0
        center = (distance + length / 2, -lateral, height / 2)
        placed.append(Placed(each, center, (length, width, height), (max(0.0, distance - std), distance + std)))
    return placed


def _usual(name: str) -> tuple[float, float, float]:
    """Length along the road, width and height of a class, metres."""
    height, width, length = np.nan_to_num(class_sizes((name,))[0, [0, 2, 4]], nan=1.0).tolist()
    return _LENGTHS.get(name, length or width), width, height


def camera_axes(camera: CameraModel, horizon: Horizon | None) -> Matrix:
    """[3, 3]: turns directions of `camera` into `ego`. Level and straight ahead where no horizon is known.

    Up is the normal of the plane through camera and horizon; ahead is the vanishing point on that, or where the camera looks.
    """
    up, ahead = np.array([0.0, -1.0, 0.0]), np.array([0.0, 0.0, 1.0])
    if horizon is not None and shown(horizon.y):
        up = np.array([horizon.slope * camera.fx / camera.fy, -1.0, (horizon.y - camera.cy) / camera.fy])
        up /= np.linalg.norm(up)
        if horizon.x is not None and shown(horizon.x):
            ahead[0] = (horizon.x - camera.cx) / camera.fx
            ahead[1] = (float(horizon.at(horizon.x, camera.cx)) - camera.cy) / camera.fy
        ahead -= (ahead @ up) * up
        ahead /= np.linalg.norm(ahead)
    return np.stack([ahead, np.cross(up, ahead), up])


def quaternion(turn: Matrix) -> tuple[float, float, float, float]:
    """x, y, z, w of a rotation matrix."""
    # Of the four ways to divide, the one whose divisor is largest.
    squares = np.array(
        [
            1 + turn[0, 0] - turn[1, 1] - turn[2, 2],
            1 - turn[0, 0] + turn[1, 1] - turn[2, 2],
            1 - turn[0, 0] - turn[1, 1] + turn[2, 2],
            1 + np.trace(turn),
        ]
    )
    k = int(squares.argmax())
    half = 2 * np.sqrt(squares[k])
    apart = (turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1])
    parts = np.empty(4)
    parts[k] = half / 4
    for i in range(3):
        if k == 3:
            parts[i] = apart[i] / half
        elif i != k:
            parts[i] = (turn[i, k] + turn[k, i]) / half
    if k != 3:
        parts[3] = apart[k] / half
    x, y, z, w = (float(part) for part in parts)
    return x, y, z, w
