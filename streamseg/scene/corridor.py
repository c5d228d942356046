"""The ego corridor: the part of the road that the vehicle will pass over if it goes on as it does, and who stands in it.

A point of a flat road that is seen `r` rows below the horizon lies `fy h / r` ahead of a camera at the height `h`, and
`(x - x0) h / r` to the side of straight ahead (`x0`): how wide something is beside how wide the corridor is depends on the height
alone, and that of cameras behind a windscreen is much the same. So places are told in metres here also where no camera is known:
they are then those of a usual one, with the deviation that this guess has.

A vehicle that turns by `w` a second at the speed `v` goes along an arc of the curvature `w / v`, which leads `w / v z^2 / 2` aside
at the distance `z`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamseg.core.scene import Scene
from streamseg.scene.feet import Feet

__all__ = ["Arc", "Bend", "Places", "Way", "moves", "outline", "places"]

FloatArray = npt.NDArray[np.float64]
HEIGHT, HEIGHT_STD = 1.35, 0.25
"""Metres of a usual camera above the road, where nobody says."""
FOCAL = 0.9
"""Focal length of a usual dash-cam, shares of the frame's width."""
HORIZON_STD, AHEAD_STD = 0.08, 0.06
"""Where nothing is known the horizon is the frame's middle, and straight ahead, too: deviation, shares of the height and width."""
DRIFTS, DRIFTS_STANDING = 0.4, 0.1
"""Share of a place's deviation that may change within a moment: a camera that nods, a bend that begins; and where it stands."""
SHOWN = 0.06
"""Up to this deviation of the horizon, a share of the frame's height, the corridor can be drawn."""
REACH = 0.09
"""The corridor ends at this share of the rows from the horizon to the frame's lower edge."""
POINTS = 9
"""Points of each side of its outline."""
SETTLED = 0.4
"""Seconds over which the turning is averaged."""
USUAL_SPEED, USUAL_SPEED_STD = 14.0, 7.0
"""Metres a second, where nobody says."""
MOVES, STANDS = 1.5, 0.3
"""Metres a second from which the vehicle moves, and under which it stands."""
SLOW = 2.0
"""Metres a second under which a turn says little of the way."""
CURVATURE_STD, UNSEEN_STD = 0.0003, 0.002
"""1/m: how wrong a curvature is at least, and what it may be where the turning is not known."""
STRAIGHT, WINDING = 2e-5, 0.015
"""How much the curvature of the road ahead may change in a metre, 1/m^2: on a straight road, and for each 1/m of the sharpest bend
lately: bends begin and end within some tens of metres, where there are any."""
LATELY = 6.0
"""Seconds for which a bend that is over is remembered."""
TURNING = 0.14
"""Radians a second from which the vehicle turns off: what comes into its way then, or leaves it, does so by that."""


@dataclass(frozen=True, slots=True)
class Arc:
    """The way that the vehicle takes."""

    curvature: float
    """1/m, positive to the right."""
    std: float
    change: float
    """1/m^2: deviation of how the road's curvature changes ahead."""
    speed: float
    """Metres a second, as known or as usual."""

    def aside(self, ahead: FloatArray) -> FloatArray:
        """Metres to the right of straight ahead of the corridor's middle, at so many metres ahead."""
        return self.curvature * ahead**2 / 2


class Bend:
    """The curvature of the way, from how the camera turns."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """A new epoch."""
        self._rate, self._variance, self._known, self._sharpest = 0.0, math.inf, False, 0.0

    @property
    def turning(self) -> bool:
        """It turns off."""
        return self._known and abs(self._rate) > TURNING

    def __call__(self, scene: Scene, elapsed: float) -> Arc:
        """Look at one frame; `elapsed`: seconds since the one before."""
        turn = scene.turn
        if turn is None or elapsed <= 0 or not math.isfinite(turn.yaw) or not math.isfinite(turn.std):
            self._known = self._known and elapsed < 1
        else:
            rate, variance = turn.yaw / elapsed, (turn.std / elapsed) ** 2
            gain = 1 - math.exp(-elapsed / SETTLED) if self._known else 1.0
            self._rate += gain * (rate - self._rate)
            self._variance = (1 - gain) ** 2 * (self._variance if self._known else 0.0) + gain**2 * variance
            self._known = True
        speed, speed_std = USUAL_SPEED, USUAL_SPEED_STD
        if scene.own_speed is not None and math.isfinite(scene.own_speed):
            speed, speed_std = max(scene.own_speed, 0.0), 0.3 + 0.03 * scene.own_speed
        if not self._known or speed < SLOW:
            return Arc(0.0, UNSEEN_STD, STRAIGHT + WINDING * UNSEEN_STD, speed)
        curvature = self._rate / speed
        spread = curvature * speed_std / speed
        self._sharpest = max(abs(curvature), self._sharpest * math.exp(-elapsed / LATELY))
        std = math.sqrt(self._variance / speed**2 + spread**2 + CURVATURE_STD**2)
        return Arc(curvature, std, STRAIGHT + WINDING * self._sharpest, speed)


@dataclass(frozen=True, slots=True)
class Way:
    """What turns pixels into places of one frame."""

    x: float
    x_std: float
    """Pixels: straight ahead."""
    y: float
    y_std: float
    slope: float
    center: float
    """The horizon, as `Horizon` has it; `center`: the principal point's column."""
    height: float
    height_std: float
    """Metres of the camera above the road."""
    fx: float
    fy: float
    arc: Arc
    half: float
    """Metres: half the corridor's width."""
    known: bool
    """It is sure enough to be drawn."""

    @classmethod
    def of(cls, scene: Scene, size: tuple[int, int], arc: Arc, half: float) -> Way:
        """What is known in a frame of this width and height, and for the rest what is usual."""
        width, height = size
        camera, horizon = scene.camera, scene.horizon
        focus = None if scene.turn is None else scene.turn.focus
        fx, fy, center = FOCAL * width, FOCAL * width, width / 2
        mounted, mounted_std = HEIGHT, HEIGHT_STD
        if camera is not None:
            fx, fy, center = camera.fx, camera.fy, camera.cx
            if camera.mounted is not None:
                mounted, mounted_std = camera.mounted, camera.mounted_std
        x, x_std = (center, AHEAD_STD * width) if focus is None else (focus[0], 0.02 * width)
        y, y_std, slope = (height / 2, HORIZON_STD * height, 0.0) if focus is None else (focus[1], 0.03 * height, 0.0)
        if horizon is not None and math.isfinite(horizon.y):
            y, y_std, slope = horizon.y, horizon.y_std, horizon.slope
            if horizon.x is not None and math.isfinite(horizon.x):
                x, x_std = horizon.x, horizon.x_std
        known = y_std <= SHOWN * height and y < height
        return cls(x, max(x_std, 0.5), y, max(y_std, 0.5), slope, center, mounted, mounted_std, fx, fy, arc, half, known)


@dataclass(frozen=True, slots=True)
class Places:
    """Where each instance stands beside the way. NaN: not known, as of what is not on the road below the horizon."""

    ahead: FloatArray
    """[N] metres."""
    across: FloatArray
    """[N] metres to the right of the corridor's middle, of the middle of its foot."""
    half: FloatArray
    """[N] metres: half its width."""
    std: FloatArray
    """[N] metres: deviation of `across`."""
    noise: FloatArray
    """[N] metres: that part of it that changes from frame to frame, or within a moment."""
    sweep: FloatArray
    """[N] metres a second: deviation of how fast it seems to move across the way by a bend that begins or ends."""


def moves(scene: Scene) -> bool | None:
    """Whether the vehicle moves; None: cannot be told, or is between the two."""
    if scene.own_speed is not None and math.isfinite(scene.own_speed):
        return True if scene.own_speed > MOVES else False if scene.own_speed < STANDS else None
    if scene.turn is None or scene.turn.moving is None:
        return None
    return True if scene.turn.moving > 0.8 else False if scene.turn.moving < 0.2 else None


def places(way: Way, foot: Feet, scene: Scene, wide: FloatArray) -> Places:
    """Where they stand, by their feet, or by what is known in metres.

    `wide`: [N] metres, how wide one of its class usually is; NaN: not known. What hides a part of it hides that much of its width.
    """
    middle, spread = (foot.left + foot.right) / 2, (foot.right - foot.left) / 2
    with np.errstate(all="ignore"):
        rows = foot.row - (way.y + way.slope * (middle - way.center))
        rows_std = np.hypot(foot.row_std, way.y_std)
        rows = np.where((rows > 2 * foot.row_std) & (rows > way.y_std), rows, np.nan)
        ahead, across = way.fy * way.height / rows, (middle - way.x) * (way.fy / way.fx) * way.height / rows
        scale = way.fy / way.fx * way.height / rows
        half = spread * scale
        noise = np.hypot(across * foot.row_std / rows, foot.column_std * scale)
        std = np.hypot(across * rows_std / rows, np.hypot(way.x_std, foot.column_std) * scale)
        known = np.isfinite(scene.distance) & np.isfinite(scene.distance_std) & (scene.distance > 0)
        metre = scene.distance / way.fx
        ahead, across = np.where(known, scene.distance, ahead), np.where(known, (middle - way.x) * metre, across)
        apart = np.hypot(across * scene.distance_std / scene.distance, np.hypot(way.x_std, foot.column_std) * metre)
        std, half = np.where(known, apart, std), np.where(known, spread * metre, half)
        missing = np.where(foot.hidden != 0, np.fmax(wide / 2 - half, 0.0), 0.0)
        across, half, std = across + missing * foot.hidden, half + missing, np.hypot(std, missing / 2)
        far = np.nan_to_num(ahead)
        arc = np.hypot(far**2 / 2 * way.arc.std, far**3 / 6 * way.arc.change)
        across = across - way.arc.aside(ahead)
        guess = np.where(known, 0.0, np.maximum(np.abs(across) - half, 0) * way.height_std / way.height)
        std = np.sqrt(std**2 + arc**2 + guess**2 + 0.05**2)
    noise = np.where(foot.hidden != 0, np.fmax(noise, 0.2 * wide), noise)
    sweep = far**2 / 2 * way.arc.change * way.arc.speed
    return Places(
        ahead,
        across,
        half,
        std,
        np.fmin(np.hypot(noise, (DRIFTS_STANDING if moves(scene) is False else DRIFTS) * std), std),
        sweep,
    )


def outline(way: Way, size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """[P, 2] frame pixels: up its left side, down its right one; empty where the way is not known well enough."""
    width, height = size
    rows_below = height - way.y
    if not way.known or rows_below <= 4 * way.y_std or rows_below < 0.05 * height:
        return np.zeros((0, 2), np.float32)
    top = max(REACH * rows_below, 3 * way.y_std)
    rows = 1 / np.linspace(1 / rows_below, 1 / top, POINTS)  # as far from each other on the road
    ahead = way.fy * way.height / rows
    center = way.x + way.fx * way.arc.aside(ahead) / ahead
    half = way.half * rows / way.height * way.fx / way.fy
    inside = (np.abs(center - width / 2) < width / 2 + half) | (np.arange(POINTS) < 2)
    until = POINTS if inside.all() else int(np.argmin(inside))
    left, right = (np.stack([center + s * half, way.y + rows], axis=1)[:until] for s in (-1, 1))
    points = np.concatenate([left, right[::-1]])
    points[:, 1] += way.slope * (points[:, 0] - way.center)
    return np.asarray(np.clip(points, 0, [width, height]), np.float32)
