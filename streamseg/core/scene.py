"""What a camera that looks ahead from a vehicle tells of the road: `Scene`, one a frame, and the nouns in it.

Directions are the camera's, as OpenCV has them: x to the right, y down, z forward along the optical axis; rotations turn by the
right hand about these axes: where they are positive, pitch (about x) looks further up, yaw (about y) further to the right, and roll
(about z) lowers the right side. Places on the road are metres on the ground below the camera: `distance` forward along the road,
`lateral` to the right.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from streamseg.system.unchanging import unchanging

__all__ = ["CameraModel", "Fix", "Hidden", "Horizon", "Scene", "Turn"]

FloatArray = npt.NDArray[np.float32]
ByteArray = npt.NDArray[np.uint8]


@unchanging
@dataclass(frozen=True, slots=True)
class CameraModel:
    """A camera on a vehicle: a pinhole, and how high it is mounted. Pixels are those of the upright frame that it is used for."""

    width: int
    height: int
    """Pixels, of the frames that the other numbers are for."""
    fx: float
    fy: float
    """Focal lengths, pixels."""
    cx: float
    cy: float
    """Principal point, pixels."""
    distortion: tuple[float, ...] = ()
    """OpenCV's k1, k2, p1, p2[, k3]; empty: none."""
    mounted: float | None = None
    """Metres of the camera above the road; None: not known, and no distance can be."""
    mounted_std: float = 0.05
    focal_std: float = 0.0
    """Standard deviation of the focal lengths, as a share of them: 0.2 where they were guessed."""
    source: str = ""
    """Who says so: `given`, `exif`, `gopro`, `guessed`."""
    pitch: float | None = None
    """Radians by which it looks up from the road, as mounted (down: negative); None: not known, and estimated."""
    roll: float | None = None
    """Radians, positive where its right side is lower than its left; None: not known."""
    yaw: float | None = None
    """Radians by which it looks to the right of where the vehicle goes; None: not known."""

    def resized(self, width: int, height: int) -> CameraModel:
        """The same camera, for frames of another size."""
        x, y = width / self.width, height / self.height
        return replace(self, width=width, height=height, fx=self.fx * x, fy=self.fy * y, cx=self.cx * x, cy=self.cy * y)


@unchanging
@dataclass(frozen=True, slots=True)
class Turn:
    """How the camera turned since the frame before, and what the rest of the picture's motion says; radians, see the module."""

    pitch: float
    yaw: float
    roll: float
    std: float
    """Standard deviation of each angle, radians."""
    focus: tuple[float, float] | None = None
    """Focus of expansion: the pixel towards which the camera moves; None: it stands, or none can be told."""
    moving: float | None = None
    """Probability that the camera moves forward; None: cannot be told."""
    focus_std: tuple[float, float] | None = None
    """Standard deviation of `focus`, pixels across and down; None: not said."""


@unchanging
@dataclass(frozen=True, slots=True)
class Horizon:
    """Where a flat road would end, and straight ahead on it."""

    y: float
    """Pixels: the horizon's row at the principal point's column."""
    slope: float = 0.0
    """Rows down for each column to the right: minus the tangent of the roll."""
    y_std: float = 0.0
    """Standard deviation of `y`, pixels, of this frame."""
    x: float | None = None
    """Pixels: the vanishing point of the road straight ahead; None: not known."""
    x_std: float = 0.0

    def at(self, x: npt.NDArray[Any] | float, center: float) -> npt.NDArray[np.float64]:
        """Its row at columns `x`; `center`: the principal point's column. All in pixels."""
        return np.asarray(self.y + self.slope * (np.asarray(x, np.float64) - center))


@unchanging
@dataclass(frozen=True, slots=True)
class Fix:
    """What a satellite receiver said of the vehicle, interpolated to a frame's time."""

    latitude: float
    longitude: float
    """Degrees, WGS 84."""
    altitude: float | None = None
    """Metres above the ellipsoid or the sea, as the receiver says."""
    speed: float | None = None
    """Metres a second over ground."""
    heading: float | None = None
    """Degrees clockwise from true north, of the way over ground."""
    accuracy: float | None = None
    """Metres, one standard deviation across the ground; None: not said."""
    utc: float | None = None
    """Seconds since 1970."""


@unchanging
@dataclass(frozen=True, slots=True)
class Hidden:
    """A road user that was seen, is behind another now, and is expected to come out again."""

    track_id: int
    name: str
    """Its class."""
    behind: int
    """Track id of what hides it."""
    box: tuple[float, float, float, float]
    """xyxy, frame pixels: where it should be now."""
    since: float
    """Presentation time in seconds at which it was last seen."""


@unchanging
@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """The road in one frame. Arrays are aligned with the frame's instances, of length N; NaN: not known."""

    growth: FloatArray
    """[N] 1/s: how fast each grows, the rate of the logarithm of its size (Lee 1976). Positive: it comes nearer, in 1 / growth."""
    growth_std: FloatArray
    """[N] 1/s, its standard deviation; its error is near to normal, that of a time is not."""
    ttc: FloatArray
    """[N] seconds to collision, if both go on as they do; NaN also where it may as well not come nearer."""
    ttc_std: FloatArray
    """[N] seconds."""
    distance: FloatArray
    """[N] metres along the road, to its nearest point."""
    distance_std: FloatArray
    lateral: FloatArray
    """[N] metres to the right of straight ahead, of the middle of its foot."""
    lateral_std: FloatArray
    speed: FloatArray
    """[N] metres a second along the road, relative to the camera: negative where it comes nearer."""
    speed_std: FloatArray
    in_path: FloatArray
    """[N] probability that it stands in the ego corridor."""
    alert: ByteArray
    """[N] 0: none; 1: caution; 2: warning."""
    lead: int = 0
    """Track id of the vehicle ahead in the same lane; 0: there is none."""
    hidden: tuple[Hidden, ...] = ()
    corridor: FloatArray = field(default_factory=lambda: np.zeros((0, 2), np.float32))
    """[P, 2] frame pixels: the outline of the ego corridor on the road; empty: not known."""
    horizon: Horizon | None = None
    turn: Turn | None = None
    camera: CameraModel | None = None
    fix: Fix | None = None
    own_speed: float | None = None
    """Of the vehicle, metres a second, from its receiver; None: not known."""

    def __post_init__(self) -> None:
        n = len(self.growth)
        for name in _ARRAYS:
            array, dtype = getattr(self, name), np.uint8 if name == "alert" else np.float32
            if array.shape != (n,) or array.dtype != dtype:
                raise ValueError(f"Scene.{name}: expected {np.dtype(dtype).name} [{n}], got {array.dtype} {list(array.shape)}")

    @classmethod
    def unknown(cls, n: int) -> Scene:
        """Nothing is known of `n` instances."""
        nan = np.full(n, np.nan, np.float32)
        return cls(nan, nan, nan, nan, nan, nan, nan, nan, nan, nan, nan, np.zeros(n, np.uint8))

    def __repr__(self) -> str:
        return f"Scene(of {len(self.growth)} instances, {int((self.alert > 0).sum())} alerts, lead {self.lead or None})"

    def instance_json(self, i: int) -> dict[str, Any]:
        """The numbers of one instance, rounded; None where not known."""
        known: dict[str, Any] = {name: _rounded(getattr(self, name)[i]) for name in _ARRAYS[:-1]}
        return known | {"alert": int(self.alert[i])}

    def to_json(self) -> dict[str, Any]:
        """What is known of the frame as a whole, as plain data; {}: nothing."""
        data: dict[str, Any] = {"lead": self.lead} if self.lead else {}
        if (speed := _rounded(self.own_speed)) is not None:
            data["own_speed"] = speed
        if self.horizon is not None:
            data["horizon"] = _plain(self.horizon)
        if self.turn is not None:
            data["turn"] = _plain(self.turn)
        if self.fix is not None:
            data["fix"] = {name: getattr(self.fix, name) for name in self.fix.__dataclass_fields__}
        if len(self.corridor):
            data["corridor"] = [[round(float(v), 1) for v in point] for point in self.corridor]
        if self.hidden:
            data["hidden"] = [_plain(hidden) for hidden in self.hidden]
        return data


_ARRAYS = (
    "growth",
    "growth_std",
    "ttc",
    "ttc_std",
    "distance",
    "distance_std",
    "lateral",
    "lateral_std",
    "speed",
    "speed_std",
    "in_path",
    "alert",
)


def _rounded(value: Any) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), 4)


def _plain(noun: Any) -> Mapping[str, Any]:
    told = {}
    for name in noun.__dataclass_fields__:
        value = getattr(noun, name)
        if isinstance(value, tuple):
            value = [round(float(v), 2) for v in value]
        told[name] = round(value, 6) if isinstance(value, float) else value
    return told
