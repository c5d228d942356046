"""The camera as geometry: pixels to rays, rays to the road, and a guess where nobody says what the camera is."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.core.scene import CameraModel

__all__ = ["GUESSED_STD", "RoadView", "guessed_camera", "rays"]

FloatArray = npt.NDArray[np.float64]

GUESSED_FIELD = 70.0
"""Degrees across the picture of a camera of which nothing is known: telephones film with 60 to 70, dash-cams with 70 to 110."""
GUESSED_STD = 0.25
"""Share: with it 95 % of such cameras are between 50 and 110 degrees."""


def guessed_camera(width: int, height: int, mounted: float | None = None, mounted_std: float = 0.05) -> CameraModel:
    """A camera for frames of that size (pixels) of which nothing is known but, perhaps, its height in metres."""
    focal = max(width, height) / 2 / math.tan(math.radians(GUESSED_FIELD / 2))
    camera = CameraModel(width, height, focal, focal, width / 2, height / 2, focal_std=GUESSED_STD, source="guessed")
    return replace(camera, mounted=mounted, mounted_std=mounted_std)


def rays(camera: CameraModel, points: npt.NDArray[np.floating]) -> FloatArray:
    """[N, 2] x and y of the rays (x, y, 1) through `points` [N, 2], pixels, in the camera's coordinates; the lens undone."""
    plain = np.empty((len(points), 2))
    if not camera.distortion or not len(points):
        plain[:, 0], plain[:, 1] = (points[:, 0] - camera.cx) / camera.fx, (points[:, 1] - camera.cy) / camera.fy
        return plain
    matrix = np.array([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1.0]])
    undone = cv2.undistortPoints(points.astype(np.float64)[:, None], matrix, np.array(camera.distortion))
    plain[:] = undone[:, 0]
    return plain


class RoadView:
    """How the camera stands to a flat road: turns rays of the camera into places on it.

    level: y of the ray to the horizon straight ahead of the camera; slope: rows down for each column, in rays; ahead: x of the ray
    to the vanishing point of the road.
    """

    def __init__(self, level: float, slope: float, ahead: float) -> None:
        norm = 1 / math.sqrt(1 + slope * slope + level * level)
        dx, dy, dz = -slope * norm, norm, -level * norm
        y = level + slope * ahead
        norm = 1 / math.sqrt(1 + ahead * ahead + y * y)
        fx, fy, fz = ahead * norm, y * norm, norm
        self._axes = np.array([[dy * fz - dz * fy, dz * fx - dx * fz, dx * fy - dy * fx], [dx, dy, dz], [fx, fy, fz]])

    def on_road(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """For rays [N, 2]: how far below the horizon each looks, and how far to the right of straight ahead.

        Both are tangents: a camera `h` metres above the road sees what is `h / below` metres ahead, and `right` times that aside.
        What is above the horizon has a `below` of less than 0. Rays that do not look ahead give NaN.
        """
        x, y, z = self._axes[:, :2] @ points.T + self._axes[:, 2:]
        z = np.where(z > 1e-6, z, np.nan)
        return y / z, x / z
