"""Where road users stand: the horizon over time, and from it and the camera's height metres on the road.

The road is taken to be flat as far as is looked; see docs/drive.md for what that means. A camera of which nothing is said gets a
guessed focal length; without its height there are no metres.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from streamseg.core.result import Result
from streamseg.core.scene import CameraModel, Scene
from streamseg.core.types import Instances
from streamseg.scene.camera import RoadView, guessed_camera, rays
from streamseg.scene.contact import Contacts, find_contacts
from streamseg.scene.horizon import HorizonFilter
from streamseg.scene.places import L, Places, R, Seen
from streamseg.scene.sizes import class_sizes

__all__ = ["Ground"]

FloatArray = npt.NDArray[np.float64]
UNSURE = 0.5
"""A distance is told where its deviation is less than this share of it."""
UNSURE_SPEED = 10.0
"""Metres a second: a speed is told where its deviation is less."""
FARTHEST = 250.0
"""Metres up to which distances are told."""
WITNESS = 0.13
"""Classes whose heights differ by no more than this share tell where the horizon is."""


@dataclass(slots=True)
class _Look:
    """What the camera sees of each, as tangents."""

    feet: FloatArray
    left: FloatArray
    right: FloatArray
    """[N, 2] rays through the foot, and through the ends of the box at its height."""
    tall: FloatArray
    """[N]"""
    sizes: FloatArray
    """[N, 7] as `class_sizes` has it."""
    taller: npt.NDArray[np.bool_]
    """[N] it is taller than its class is, as its width tells."""


class Ground:
    """Sets `horizon`, `camera`, and, where the camera's height is known, `distance`, `lateral` and `speed`."""

    def __init__(self, camera: CameraModel | None) -> None:
        """`camera`: as far as it is known; None: nothing is."""
        self._given = camera
        self._begin(-1, 1, 1)
        self._names: tuple[str, ...] = ()
        self._sizes = np.zeros((0, 7))

    def __call__(self, result: Result, scene: Scene) -> Scene:
        """Look at one frame, whose `turn` and `growth` are known."""
        frame, found = result.frame, result.instances
        if frame.epoch != self._epoch or (frame.width, frame.height) != (self._camera.width, self._camera.height):
            self._begin(frame.epoch, frame.width, frame.height)
        if found.class_names != self._names:
            self._names, self._sizes = found.class_names, class_sizes(found.class_names)
        horizon, time = self._horizon, frame.time
        horizon.advance(time, scene.turn)
        if not len(found):
            return replace(scene, horizon=horizon.noun(), camera=self._camera)
        contacts = find_contacts(found, result.occlusion, frame.width, frame.height)
        look = self._look(found, contacts)
        whole = ~contacts.hidden & np.isfinite(contacts.height_std) & np.isfinite(contacts.foot_std)
        tells = np.flatnonzero(whole & (look.sizes[:, 1] <= WITNESS) & ~look.taller)
        ids, sizes = found.track_ids[tells], look.sizes[tells]
        horizon.see_sizes(time, ids, look.feet[tells], look.tall[tells], sizes[:, 0], sizes[:, 1])
        told = {} if self._places is None else self._placed(result.track_ids, time, scene, contacts, look)
        return replace(scene, horizon=horizon.noun(), camera=self._camera, **told)

    def _begin(self, epoch: int, width: int, height: int) -> None:
        given = self._given
        self._epoch = epoch
        self._camera = guessed_camera(width, height) if given is None else given.resized(width, height)
        self._horizon = HorizonFilter(self._camera)
        h, std = self._camera.mounted, self._camera.mounted_std
        self._places = None if h is None else Places(h, std / h)

    def _look(self, found: Instances, contacts: Contacts) -> _Look:
        n, boxes, x, y = len(found), found.boxes, contacts.foot[:, 0], contacts.foot[:, 1]
        points = np.empty((4 * n, 2))
        points[:, 0] = np.concatenate([x, x, boxes[:, 0], boxes[:, 2]])
        points[:, 1] = np.concatenate([y, y - contacts.height, y, y])
        feet, tops, left, right = rays(self._camera, points).reshape(4, n, 2)
        tall = np.maximum(feet[:, 1] - tops[:, 1], 1e-6)
        sizes = self._sizes[found.labels[contacts.like]]
        # As wide as a vehicle is from behind at least, it is so tall; more where its side is seen, too.
        wide = np.maximum(right[:, 0] - left[:, 0], 1e-6)
        least = np.where((sizes[:, 4] > 0) & ~contacts.hidden, sizes[:, 2] * tall / wide, 0.0)
        taller = least > sizes[:, 0] * (1 + 0.5 * sizes[:, 1])
        if taller.any():
            sizes[taller, 0] = least[taller]
        return _Look(feet, left, right, tall, sizes, taller)

    def _placed(self, ids: npt.NDArray[np.int64], time: float, scene: Scene, contacts: Contacts, look: _Look) -> dict[str, Any]:
        """What is known in metres."""
        assert self._places is not None
        camera, horizon = self._camera, self._horizon
        view = RoadView(horizon.level, horizon.slope, horizon.ahead)
        below, right = view.on_road(np.concatenate([look.feet, look.left, look.right]))
        n, row_std = len(ids), contacts.foot_std / camera.fy
        seen = Seen(
            ids,
            below[:n],
            np.hypot(row_std, horizon.fast_std),
            np.hypot(np.where(np.isfinite(row_std), row_std, 0.0), horizon.slow_std),
            look.tall,
            contacts.height_std / contacts.height,
            look.sizes[:, 0],
            look.sizes[:, 1],
            look.sizes[:, 5],
            look.sizes[:, 6],
            scene.growth.astype(np.float64),
            scene.growth_std.astype(np.float64),
        )
        x, p = self._places(seen, time)
        distance, share = np.exp(x[:, L]), np.sqrt(p[:, L, L])
        lateral, doubt = _middles(right.reshape(3, n) * distance, distance, look.sizes)
        scaled = np.hypot(share, camera.focal_std)
        rate_var = p[:, R, R] + 2 * x[:, R] * p[:, L, R] + np.square(x[:, R]) * (p[:, L, L] + camera.focal_std**2)
        speed, speed_std = distance * x[:, R], distance * np.sqrt(np.maximum(rate_var, 0.0))
        across = np.hypot(contacts.across_std / camera.fx, horizon.ahead_std) * distance
        told = (scaled < UNSURE) & (distance < FARTHEST)
        moves = told & (speed_std < UNSURE_SPEED)
        return {
            "distance": _where(told, distance),
            "distance_std": _where(told, distance * scaled),
            "lateral": _where(told, lateral),
            "lateral_std": _where(told, np.sqrt(np.square(lateral * share) + np.square(across) + np.square(doubt))),
            "speed": _where(moves, speed),
            "speed_std": _where(moves, speed_std),
        }


def _middles(across: FloatArray, distance: FloatArray, sizes: FloatArray) -> tuple[FloatArray, FloatArray]:
    """[N] metres to the right of the middle of what faces the camera, and a deviation of it.

    across: [3, N] of the foot, the left and the right edge, as if all were at `distance`. Of a vehicle beside the way the side is
    seen, too: what faces the camera is as wide as its class, from its outer edge on.
    """
    foot, left, right = across
    width, length = sizes[:, 2], sizes[:, 4]
    wide = right - left
    sign = np.where(left + right > 0, 1.0, -1.0)
    outer, inner = np.where(sign > 0, right, -left), np.where(sign > 0, left, -right)
    face = outer - width
    with_side = (length > 0) & (wide > 1.1 * width)
    # the far end of its side, which goes along the road
    along = with_side & (face > 0) & (inner < face + 0.3) & (inner > face * distance / (distance + 1.3 * length) - 0.3)
    middle = np.where(along, sign * (outer - width / 2), np.where(length > 0, (left + right) / 2, foot))
    doubt = np.where(along, width * sizes[:, 3], np.where(with_side, (wide - width) / 4, 0.0))
    return middle, doubt


def _where(told: npt.NDArray[np.bool_], values: FloatArray) -> npt.NDArray[np.float32]:
    return np.where(told, values, np.nan).astype(np.float32)
