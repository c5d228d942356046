"""Where road users stand: the horizon over time, and from it and the camera's height metres on the road.

The road is taken to be flat as far as is looked; see docs/drive.md for what that means. A camera of which nothing is said gets a
guessed focal length; without its height there are no metres.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from streamseg.core.result import Result
from streamseg.core.scene import CameraModel, Scene
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


class Ground:
    """Sets `horizon`, `camera`, and, where the camera's height is known, `distance`, `lateral` and `speed`."""

    def __init__(self, camera: CameraModel | None) -> None:
        """`camera`: as far as it is known; None: nothing is."""
        self._given = camera
        self._begin(-1, 1, 1)
        self._names: tuple[str, ...] = ()
        self._sizes = np.zeros((0, 4))

    def __call__(self, result: Result, scene: Scene) -> Scene:
        """Look at one frame, whose `turn` and `growth` are known."""
        frame, found = result.frame, result.instances
        if frame.epoch != self._epoch or (frame.width, frame.height) != (self._camera.width, self._camera.height):
            self._begin(frame.epoch, frame.width, frame.height)
        if found.class_names != self._names:
            self._names, self._sizes = found.class_names, class_sizes(found.class_names)
        horizon = self._horizon
        horizon.advance(frame.time, scene.turn)
        n = len(found)
        if not n:
            return replace(scene, horizon=horizon.noun(), camera=self._camera)
        contacts = find_contacts(found, result.occlusion, frame.width, frame.height)
        sizes = self._sizes[found.labels]
        tops = contacts.foot - np.stack([np.zeros(n), contacts.height], axis=1)
        both = rays(self._camera, np.concatenate([contacts.foot, tops]))
        feet, tall = both[:n], np.maximum(both[:n, 1] - both[n:, 1], 1e-6)
        whole = np.isfinite(contacts.height_std) & np.isfinite(contacts.foot_std) & ~contacts.hidden
        tells = whole & (sizes[:, 1] <= WITNESS)
        horizon.see_sizes(frame.time, found.track_ids[tells], feet[tells], tall[tells], sizes[tells, 0], sizes[tells, 1])
        scene = replace(scene, horizon=horizon.noun(), camera=self._camera)
        if self._places is None:
            return scene
        return self._placed(result, scene, contacts, feet, tall, sizes)

    def _begin(self, epoch: int, width: int, height: int) -> None:
        given = self._given
        self._epoch = epoch
        self._camera = guessed_camera(width, height) if given is None else given.resized(width, height)
        self._horizon = HorizonFilter(self._camera)
        h, std = self._camera.mounted, self._camera.mounted_std
        self._places = None if h is None else Places(h, std / h)

    def _placed(
        self, result: Result, scene: Scene, contacts: Contacts, feet: FloatArray, tall: FloatArray, sizes: FloatArray
    ) -> Scene:
        """With metres."""
        assert self._places is not None
        camera, horizon = self._camera, self._horizon
        below, right = RoadView(horizon.level, horizon.slope, horizon.ahead).on_road(feet)
        seen = Seen(
            result.track_ids,
            below,
            np.hypot(contacts.foot_std / camera.fy, horizon.fast_std),
            np.hypot(np.where(np.isfinite(contacts.foot_std), contacts.foot_std, 0.0) / camera.fy, horizon.slow_std),
            tall,
            contacts.height_std / contacts.height,
            sizes[:, 0],
            sizes[:, 1],
            scene.growth.astype(np.float64),
            scene.growth_std.astype(np.float64),
        )
        x, p = self._places(seen, result.time)
        distance = np.exp(x[:, L])
        share = np.sqrt(p[:, L, L])
        scaled = np.hypot(share, camera.focal_std)
        rate_var = p[:, R, R] + 2 * x[:, R] * p[:, L, R] + np.square(x[:, R]) * (p[:, L, L] + camera.focal_std**2)
        speed, speed_std = distance * x[:, R], distance * np.sqrt(np.maximum(rate_var, 0.0))
        lateral = right * distance
        across = np.hypot(contacts.across_std / camera.fx, horizon.ahead_std)
        lateral_std = np.hypot(lateral * share, distance * across)
        told = (scaled < UNSURE) & (distance < FARTHEST)
        moves = told & (speed_std < UNSURE_SPEED)
        return replace(
            scene,
            distance=_where(told, distance),
            distance_std=_where(told, distance * scaled),
            lateral=_where(told, lateral),
            lateral_std=_where(told, lateral_std),
            speed=_where(moves, speed),
            speed_std=_where(moves, speed_std),
        )


def _where(told: npt.NDArray[np.bool_], values: FloatArray) -> npt.NDArray[np.float32]:
    return np.where(told, values, np.nan).astype(np.float32)
