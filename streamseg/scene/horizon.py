"""The horizon over time, and straight ahead on it: a filter that weighs all that tells of them.

The camera's mounting changes little; its vehicle nods on its springs. So the horizon is a slow part, and a fast one that
returns to rest within seconds. What is measured: how the camera turned since the frame before (fast); the focus of expansion,
which lies on the horizon where the vehicle goes along the road; and road users of known size who stand on it. Of these a foot
at row v, s pixels below the head of somebody H metres tall, seen by a camera h metres high, says that the horizon is at v - s h
/ H (Hoiem, Efros and Hebert, "Putting Objects in Perspective", CVPR 2006).

All is in tangents of the camera's rays, which are pixels divided by the focal length; a Kalman filter (Kalman 1960) whose
doubtful measurements count less (Huber 1964).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from streamseg.core.scene import CameraModel, Horizon, Turn
from streamseg.scene.camera import rays

__all__ = ["HorizonFilter"]

FloatArray = npt.NDArray[np.float64]
B, J, S, H, D, F = range(6)
"""Of the state: see `HorizonFilter`."""
MOUNT_STD, GIVEN_STD = 0.08, 0.006
"""Radians: of the pitch of a camera of which nobody says it, and of one that is given."""
ROLL_STD, ROLL_GIVEN_STD = 0.02, 0.006
AHEAD_STD = 0.08
DRIFT = 3e-4
"""Radians after a second (growing with the root of time): the mounting, the load, the slope of the road."""
NOD_STD, NOD_TIME = 0.0045, 0.25
"""Radians by which the vehicle nods on its springs, and seconds within which it does so."""
ROLL_TIME = 2.5
"""Seconds in which the roll returns to how the camera is mounted."""
RATE_STD, RATE_DRIFT = 0.006, 0.002
"""Radians a second that measured turns drift by, or that the road is curved by; and by how much that changes in a second."""
FOCUS_STD = 0.004
"""Radians: of a focus of expansion at least."""
BESIDE_STD, BESIDE_DRIFT, AHEAD_BESIDE = 0.004, 0.001, 0.003
"""Radians that it is off for long, up or down, and by how much that changes in a second; and the same across."""
FOCUS_TIME = 0.12
"""Seconds within which the errors of the focus are alike, so that many frames say little more than one."""
TURNING = 0.03
"""Radians a second from which the focus is not straight ahead."""
SIZE_TIME = 30.0
"""Seconds after which the size of somebody counts as a new witness."""
SEEN_TIME, LEAST_SHARE = 0.5, 0.03
"""Seconds in which it says so, and the least share of that which is worth the work."""
MOUNTED, MOUNTED_STD = 1.35, 0.35
"""Metres, and a share: the height of a camera of which nobody says it."""
WIDEST = np.square([0.1, 1.0, 0.02, 1.0, RATE_STD, BESIDE_STD])
DOUBT = 2.0
"""Deviations from which a measurement counts less."""


class HorizonFilter:
    """State: the level (slow), the nod (fast), the slope, the logarithm of the camera's height, the rate at which the measured
    turns drift, and how far beside the horizon the focus is; and, apart from these, straight ahead."""

    def __init__(self, camera: CameraModel) -> None:
        self._camera = camera
        level = 0.0 if camera.pitch is None else math.tan(camera.pitch)
        slope = 0.0 if camera.roll is None else -math.tan(camera.roll)
        mounted = MOUNTED if camera.mounted is None else camera.mounted
        self._x = np.array([level, 0.0, slope, math.log(mounted), 0.0, 0.0])
        self._p = np.diag(
            np.square(
                [
                    MOUNT_STD if camera.pitch is None else GIVEN_STD,
                    NOD_STD,
                    ROLL_STD if camera.roll is None else ROLL_GIVEN_STD,
                    MOUNTED_STD if camera.mounted is None else camera.mounted_std / camera.mounted,
                    RATE_STD,
                    BESIDE_STD,
                ]
            )
        )
        self._ahead = 0.0 if camera.yaw is None else -math.tan(camera.yaw)
        self._ahead_var = (AHEAD_STD if camera.yaw is None else GIVEN_STD) ** 2
        self._time: float | None = None
        self._budget: dict[int, tuple[float, float]] = {}

    @property
    def level(self) -> float:
        """The tangent of the ray to the horizon straight ahead of the camera, positive below its axis."""
        return float(self._x[B] + self._x[J])

    @property
    def slope(self) -> float:
        """Rows down for each column to the right, of rays."""
        return float(self._x[S])

    @property
    def ahead(self) -> float:
        """x of the ray to the vanishing point of the road."""
        return self._ahead

    @property
    def ahead_std(self) -> float:
        """Its standard deviation."""
        return math.sqrt(self._ahead_var + AHEAD_BESIDE**2)

    @property
    def slow_std(self) -> float:
        """Standard deviation of what changes slowly."""
        return math.sqrt(max(float(self._p[B, B]), 0.0))

    @property
    def std(self) -> float:
        """Standard deviation of `level`."""
        p = self._p
        return math.sqrt(max(float(p[B, B] + 2 * p[B, J] + p[J, J]), 0.0))

    @property
    def fast_std(self) -> float:
        """Standard deviation of what the nod adds."""
        return math.sqrt(max(self.std**2 - self.slow_std**2, 0.0))

    def noun(self) -> Horizon:
        """The same in pixels."""
        c = self._camera
        return Horizon(
            c.cy + c.fy * self.level,
            self.slope * c.fy / c.fx,
            c.fy * self.std,
            c.cx + c.fx * self._ahead,
            c.fx * self.ahead_std,
        )

    def advance(self, time: float, turn: Turn | None) -> None:
        """Go on to a frame, of which `turn` says how the camera turned since the one before."""
        elapsed = 0.0 if self._time is None else max(time - self._time, 0.0)
        self._time = time
        if not elapsed:
            return
        self._nod(elapsed, turn)
        back = math.exp(-elapsed / ROLL_TIME)
        mounted = 0.0 if self._camera.roll is None else -math.tan(self._camera.roll)
        self._x[S] = mounted + back * (self._x[S] - mounted)
        grown = np.array([DRIFT**2, 0.0, DRIFT**2, 0.0, RATE_DRIFT**2, BESIDE_DRIFT**2]) * elapsed
        self._p[range(6), range(6)] += np.where(self._p.diagonal() < WIDEST, grown, 0.0)
        self._ahead_var += DRIFT**2 * elapsed
        if turn is not None and turn.focus is not None:
            self._see_focus(turn, turn.focus, elapsed)

    def _nod(self, elapsed: float, turn: Turn | None) -> None:
        """The nod returns to rest, on the whole; what the measured turn says of it is weighed against that.

        The turn is that of the nod over this time, and what the measurement drifts by, or the road is curved up or down.
        """
        x, p, keep = self._x, self._p, math.exp(-elapsed / NOD_TIME)
        shaken = NOD_STD**2 * (1 - keep * keep)
        step = moved = 0.0
        lean = np.zeros(6)
        if turn is not None and math.isfinite(turn.pitch) and math.isfinite(turn.std):
            row = np.zeros(6)
            row[J], row[D] = keep - 1, elapsed
            spread = p @ row
            innovation = turn.pitch - float(row @ x)
            s = float(row @ spread) + shaken + turn.std**2
            s = max(s, innovation**2 / DOUBT**2)
            x += spread / s * innovation
            p -= np.outer(spread, spread) / s
            moved, step, lean = shaken / s * innovation, shaken - shaken**2 / s, -spread * shaken / s
            x[S] -= turn.roll if math.isfinite(turn.roll) else 0.0
        else:
            step = shaken
        x[J] = keep * x[J] + moved
        p[J] *= keep
        p[:, J] *= keep
        lean[J] *= keep
        p[J] += lean
        p[:, J] += lean
        p[J, J] += step

    def _see_focus(self, turn: Turn, focus: tuple[float, float], elapsed: float) -> None:
        c = self._camera
        x, y = rays(c, np.array([focus]))[0].tolist()
        std_x, std_y = (
            (FOCUS_STD, FOCUS_STD) if turn.focus_std is None else (turn.focus_std[0] / c.fx, turn.focus_std[1] / c.fy)
        )
        if not all(map(math.isfinite, (x, y, std_x, std_y))):
            return
        std_x, std_y = max(std_x, FOCUS_STD), max(std_y, FOCUS_STD)
        alike = max(1.0, FOCUS_TIME / elapsed)
        row = np.array([1.0, 1.0, x, 0.0, 0.0, 1.0])
        self._update(row, y - float(row @ self._x), std_y**2 * alike)
        rate = abs(turn.yaw) / elapsed
        if rate < TURNING:
            doubt = (std_x**2 + (rate * 0.3) ** 2) * alike  # in a bend the camera slides a little sideways
            innovation, s = x - self._ahead, self._ahead_var + doubt
            s = max(s, innovation**2 / DOUBT**2)
            gain = self._ahead_var / s
            self._ahead += gain * innovation
            self._ahead_var *= 1 - gain

    def see_sizes(
        self, time: float, ids: npt.NDArray[np.int64], rays: FloatArray, tall: FloatArray, height: FloatArray, std: FloatArray
    ) -> None:
        """Road users who stand on the road and are seen whole.

        rays: [n, 2] of their feet; tall: [n] their heights in the picture, in tangents; height, std: [n] metres that their class is
        tall, and its deviation as a share. Each is one witness, however long it is seen.
        """
        for i in range(len(ids)):
            share = self._witness(int(ids[i]), time)
            if share <= 0:
                continue
            lift = float(tall[i]) * math.exp(self._x[H]) / float(height[i])
            x, y = float(rays[i, 0]), float(rays[i, 1])
            innovation = y - lift - self.level - self.slope * x
            noise = (lift * float(std[i])) ** 2 + 1e-6
            self._update(np.array([1.0, 1.0, x, lift, 0.0, 0.0]), innovation, noise / share)

    def _witness(self, track: int, time: float) -> float:
        """What share of one independent witness somebody may be in this frame."""
        left, since = self._budget.get(track, (1.0, time - 0.04))
        elapsed = max(time - since, 0.0)
        left = min(1.0, left + elapsed / SIZE_TIME)
        share = min(left, elapsed / SEEN_TIME)
        if not track:
            return share
        if share < LEAST_SHARE:  # it is asked again when it can say something
            return 0.0
        self._budget[track] = left - share, time
        if len(self._budget) > 256:
            self._budget = {key: value for key, value in self._budget.items() if time - value[1] < SIZE_TIME}
        return share

    def _update(self, row: FloatArray, innovation: float, noise: float) -> None:
        spread = self._p @ row
        s = float(row @ spread) + noise
        s = max(s, innovation**2 / DOUBT**2)
        gain = spread / s
        self._x += gain * innovation
        self._p -= np.outer(gain, spread)
