"""Records of nuImages that tell of the vehicle and its camera: where nothing is known of a pose it is zero, `known` false."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from streamseg.core.utc import as_iso

if TYPE_CHECKING:
    from streamseg.core.scene import CameraModel, Fix, Scene

__all__ = ["calibration", "log_record", "pose"]

_EARTH = 6_371_000.0
"""Metres, its mean radius: places are metres from where the film begins, where a sphere is good enough."""
_AHEAD = [0.5, -0.5, 0.5, -0.5]
"""w, x, y, z: from a camera's axes (right, down, ahead) to a vehicle's (ahead, left, up)."""


def log_record(token: str, name: str, utc: float | None) -> dict[str, Any]:
    """The film."""
    return {
        "token": token,
        "logfile": name,
        "vehicle": "",
        "date_captured": "" if utc is None else as_iso(utc)[:10],
        "location": "",
    }


def calibration(token: str, sensor: str, camera: CameraModel | None) -> dict[str, Any]:
    """The camera; without one that is known its intrinsics are empty, as those of what is no camera."""
    known: dict[str, list[Any]] = {"camera_intrinsic": [], "camera_distortion": []}
    if camera is not None:
        known["camera_intrinsic"] = [[camera.fx, 0.0, camera.cx], [0.0, camera.fy, camera.cy], [0.0, 0.0, 1.0]]
        known["camera_distortion"] = [float(v) for v in (*camera.distortion, *(0.0,) * 5)[: max(5, len(camera.distortion))]]
    up = 0.0 if camera is None or camera.mounted is None else camera.mounted
    return {"token": token, "sensor_token": sensor, "translation": [0.0, 0.0, up], "rotation": _AHEAD, **known}


def pose(token: str, timestamp: int, scene: Scene | None, home: Fix | None) -> dict[str, Any]:
    """Where the vehicle is: metres east and north of `home`, above it, and its direction as a quaternion w, x, y, z."""
    fix, speed = (None, None) if scene is None else (scene.fix, scene.own_speed)
    place, rotation = [0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]
    if fix is not None and home is not None:
        turned = (fix.longitude - home.longitude + 180) % 360 - 180  # also over the date line
        east = math.radians(turned) * math.cos(math.radians(home.latitude)) * _EARTH
        north = math.radians(fix.latitude - home.latitude) * _EARTH
        up = 0.0 if fix.altitude is None or home.altitude is None else fix.altitude - home.altitude
        place = [round(value, 3) for value in (east, north, up)]
        if fix.heading is not None:
            half = math.radians(90 - fix.heading) / 2
            rotation = [math.cos(half), 0.0, 0.0, math.sin(half)]
    return {
        "token": token,
        "translation": place,
        "rotation": rotation,
        "rotation_rate": [0.0, 0.0, 0.0],
        "acceleration": [0.0, 0.0, 0.0],
        "speed": 0.0 if speed is None else speed,
        "timestamp": timestamp,
        "known": fix is not None,
    }
