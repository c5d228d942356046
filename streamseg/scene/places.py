"""How far away each road user is and how fast it moves, filtered along its track, with what is not known of it.

A foot that a camera `h` metres high sees `t` below the horizon (a tangent) is `h / t` away; somebody `H` metres tall who fills
`s` of the picture (a tangent, too) is `H / s` away; what grows by `g` a second comes nearer by `g` times its distance (Lee
1976). The state of a track is the logarithm of its distance, the rate of that, and the logarithm of how much taller than its
class it is. Beside it stand two errors that stay what they are from frame to frame, so that no number of frames makes them
smaller: that of the horizon and of the outline's foot, and that of the camera's height. They are not estimated but taken into
account (Schmidt 1966, "consider states"): this is what keeps the deviations honest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Places", "Seen"]

FloatArray = npt.NDArray[np.float64]
L, R, K, C, E = range(5)
"""The state: log distance, its rate (1/s), log of its size over its class's; and considered: error of t, error of log h."""
NEAREST, FARTHEST = 0.5, 400.0
"""Metres."""
FASTEST = 90.0
"""Metres a second: of two on a motorway towards each other."""
FIRST_SPEED = 12.0
"""Metres a second: standard deviation of a relative speed before anything is known."""
AGILITY = 6.0
"""m²/s³: spectral density of the relative acceleration; about 2 m/s² that last for most of a second."""
CHANGE = 0.03
"""By how much (a share, growing with the root of seconds) what is seen of its height changes while it turns or walks."""
SLOW_TIME = 4.0
"""Seconds within which the slow errors are alike."""
GROWTH_TIME = 0.15
"""Seconds within which the errors of the growth are alike."""
CURVED = 1 / 20_000
"""1/m: standard deviation of the road's curvature up and down (motorways are built with radii from about 10 km on)."""
DOUBT = 2.5
"""Deviations from which a measurement counts less."""
ODD = 2.0
"""Deviations from which somebody is taken to be of no usual size; up to `ODDEST`, a share."""
ODDEST = 0.4
PATIENCE = 3.0
"""Seconds for which an unseen track is remembered."""


@dataclass(slots=True)
class Seen:
    """What is measured of each road user in one frame, arrays of length N."""

    ids: npt.NDArray[np.int64]
    below: FloatArray
    """t: how far below the horizon its foot is seen, a tangent."""
    below_std: FloatArray
    """Of the fast errors; inf: not seen."""
    below_slow: FloatArray
    """Of those that stay."""
    tall: FloatArray
    """s: how tall it is seen, a tangent."""
    tall_std: FloatArray
    """A share; inf: not seen whole."""
    height: FloatArray
    """Metres that its class is tall; NaN: it is no road user."""
    height_std: FloatArray
    """A share."""
    growth: FloatArray
    growth_std: FloatArray
    """1/s; NaN: not known."""


class Places:
    """Call it with each frame's measurements; the camera's height in metres and its deviation, a share, are for all."""

    def __init__(self, mounted: float, mounted_std: float) -> None:
        self._log_h, self._h_var = math.log(mounted), mounted_std**2
        self._rows: dict[int, int] = {}
        self._x, self._p = np.zeros((0, 5)), np.zeros((0, 5, 5))
        self._time, self._slow = np.zeros(0), np.zeros(0)

    def __call__(self, seen: Seen, time: float) -> tuple[FloatArray, FloatArray]:
        """The state [N, 5] of each and its covariance [N, 5, 5]; NaN where nothing is known."""
        n = len(seen.ids)
        x, p = np.full((n, 5), np.nan), np.full((n, 5, 5), np.nan)
        rows = np.array([self._rows.get(track, -1) if track else -1 for track in seen.ids.tolist()], np.int64)
        old = rows >= 0
        if old.any():
            x[old], p[old] = self._advanced(rows[old], time)
        elapsed = np.full(n, 0.04)
        if old.any():
            elapsed[old] = np.clip(time - self._time[rows[old]], 1e-3, 1.0)
        self._begin(x, p, seen, ~old)
        known = np.isfinite(x[:, L])
        if known.any():
            self._slow_errors(p, seen, rows, old, elapsed)
            x[known], p[known] = self._updated(x[known], p[known], seen, np.flatnonzero(known), elapsed[known])
        self._keep(seen, x, p, time, known)
        return x, p

    # --- prediction ---------------------------------------------------------------------------------------------------------

    def _advanced(self, rows: npt.NDArray[np.int64], time: float) -> tuple[FloatArray, FloatArray]:
        """At a constant relative speed."""
        x, p = self._x[rows], self._p[rows]
        dt = np.clip(time - self._time[rows], 0.0, PATIENCE)
        gain = np.maximum(1 + x[:, R] * dt, 0.2)
        moved = np.broadcast_to(np.eye(5), p.shape).copy()
        moved[:, L, R], moved[:, R, R] = dt / gain, 1 / gain**2
        x[:, L] += np.log(gain)
        x[:, R] /= gain
        p = moved @ p @ moved.transpose(0, 2, 1)
        far = np.exp(-2 * x[:, L])
        p[:, R, R] += AGILITY * dt * far
        p[:, L, R] += AGILITY * dt**2 / 2 * far
        p[:, R, L] += AGILITY * dt**2 / 2 * far
        p[:, L, L] += AGILITY * dt**3 / 3 * far
        p[:, K, K] += CHANGE**2 * dt
        return x, p

    def _begin(self, x: FloatArray, p: FloatArray, seen: Seen, new: npt.NDArray[np.bool_]) -> None:
        """By the size where that is seen, else by the foot where that tells enough."""
        by_size = new & np.isfinite(seen.tall_std) & np.isfinite(seen.height)
        var = np.square(seen.below_std) + np.square(seen.below_slow)
        by_foot = new & ~by_size & np.isfinite(seen.height) & (seen.below > 3 * np.sqrt(var))
        for i in np.flatnonzero(by_size | by_foot):
            x[i], p[i] = 0.0, 0.0
            if by_size[i]:
                x[i, L] = math.log(seen.height[i] / seen.tall[i])
                p[i, L, L] = seen.height_std[i] ** 2 + seen.tall_std[i] ** 2
                p[i, L, K] = p[i, K, L] = seen.height_std[i] ** 2
            else:
                x[i, L] = self._log_h - math.log(seen.below[i])
                p[i, L, L] = var[i] / seen.below[i] ** 2 + self._h_var + 1.0
            x[i, L] = min(max(x[i, L], math.log(NEAREST)), math.log(FARTHEST))
            p[i, R, R] = (FIRST_SPEED * math.exp(-x[i, L])) ** 2
            p[i, K, K] = seen.height_std[i] ** 2
            p[i, C, C], p[i, E, E] = seen.below_slow[i] ** 2, self._h_var

    def _slow_errors(
        self, p: FloatArray, seen: Seen, rows: npt.NDArray[np.int64], old: npt.NDArray[np.bool_], elapsed: FloatArray
    ) -> None:
        """The error of t is now as large as it is said to be, and forgets what it was."""
        share = np.exp(-elapsed[old] / SLOW_TIME) * np.minimum(
            seen.below_slow[old] / np.maximum(self._slow[rows[old]], 1e-9), 1.0
        )
        index = np.flatnonzero(old)
        p[index, C, :] *= share[:, None]
        p[index, :, C] *= share[:, None]
        p[index, C, C] = np.square(seen.below_slow[old])

    # --- measurement --------------------------------------------------------------------------------------------------------

    def _updated(
        self, x: FloatArray, p: FloatArray, seen: Seen, at: npt.NDArray[np.intp], elapsed: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        self._by_size(x, p, seen, at)
        self._by_foot(x, p, seen, at)
        growth, std = seen.growth[at], seen.growth_std[at]
        told = np.isfinite(growth) & np.isfinite(std)
        row = np.zeros((len(at), 5))
        row[:, R] = 1
        alike = np.maximum(1.0, GROWTH_TIME / elapsed)
        noise = np.where(told, np.square(np.where(told, std, 1.0)) * alike, np.inf)
        _update(x, p, row, np.where(told, -growth, 0.0) - x[:, R], noise)
        x[:, L] = np.clip(x[:, L], math.log(NEAREST), math.log(FARTHEST))
        most = FASTEST * np.exp(-x[:, L])
        x[:, R] = np.clip(x[:, R], -most, most)
        return x, p

    def _by_size(self, x: FloatArray, p: FloatArray, seen: Seen, at: npt.NDArray[np.intp]) -> None:
        std = seen.tall_std[at]
        told = np.isfinite(std)
        row = np.zeros((len(at), 5))
        row[:, L], row[:, K] = -1, 1
        measured = np.log(np.where(told, seen.tall[at], 1.0) / seen.height[at])
        innovation = np.where(told, measured - (x[:, K] - x[:, L]), 0.0)
        _update(x, p, row, innovation, np.where(told, np.square(std), np.inf))

    def _by_foot(self, x: FloatArray, p: FloatArray, seen: Seen, at: npt.NDArray[np.intp]) -> None:
        """As a logarithm where the foot is surely below the horizon, which is exact; else as it is."""
        below, std, slow = seen.below[at], seen.below_std[at], seen.below_slow[at]
        told = np.isfinite(std) & np.isfinite(below)
        expected = np.exp(self._log_h - x[:, L])
        p[:, C, C] = np.square(slow) + np.square(CURVED / 2 * np.exp(x[:, L]))
        sure = told & (below > 5 * np.hypot(np.where(told, std, 1.0), slow))
        scale = np.where(sure, 1 / np.where(sure, below, 1.0), 1.0)
        row = np.zeros((len(at), 5))
        row[:, L] = np.where(sure, -1.0, -expected)
        row[:, E] = -row[:, L]
        row[:, C] = scale
        log = np.log(np.where(sure, below, 1.0)) - (self._log_h - x[:, L])
        innovation = np.where(told, np.where(sure, log, below - expected), 0.0)
        noise = np.where(told, np.square(std * scale), np.inf)
        _allow_odd_sizes(p, row, innovation, noise)
        _update(x, p, row, innovation, noise)

    # --- memory -------------------------------------------------------------------------------------------------------------

    def _keep(self, seen: Seen, x: FloatArray, p: FloatArray, time: float, known: npt.NDArray[np.bool_]) -> None:
        """Those seen now, and those seen a moment ago."""
        now = known & (seen.ids > 0)
        ids = seen.ids[now].tolist()
        fresh = set(ids)
        rest = [(track, row) for track, row in self._rows.items() if track not in fresh and time - self._time[row] <= PATIENCE]
        kept = [row for _, row in rest]
        self._x, self._p = np.concatenate([x[now], self._x[kept]]), np.concatenate([p[now], self._p[kept]])
        self._slow = np.concatenate([seen.below_slow[now], self._slow[kept]])
        self._time = np.concatenate([np.full(len(ids), time), self._time[kept]])
        self._rows = {track: row for row, track in enumerate([*ids, *(track for track, _ in rest)])}


def _allow_odd_sizes(p: FloatArray, row: FloatArray, innovation: FloatArray, noise: FloatArray) -> None:
    """Where foot and size disagree by more than both may, it may be of no usual size: a van that is called a car."""
    told = np.isfinite(noise)
    s = np.einsum("ni,nij,nj->n", row, p, row) + np.where(told, noise, 0.0)
    lacks = np.where(told, np.square(innovation) / ODD**2 - s, 0.0)
    slope = np.maximum(np.square(row[:, L]), 1e-9)
    more = np.clip(lacks / slope, 0.0, np.maximum(ODDEST**2 - p[:, K, K], 0.0))
    for i, j in ((L, L), (L, K), (K, L), (K, K)):
        p[:, i, j] += more


def _update(x: FloatArray, p: FloatArray, row: FloatArray, innovation: FloatArray, noise: FloatArray) -> None:
    """A scalar measurement of each, in place; `noise`: its variance, inf: there is none. Considered errors stay as they are."""
    told = np.isfinite(noise)
    spread = np.einsum("nij,nj->ni", p, row)
    s = np.einsum("ni,ni->n", row, spread) + np.where(told, noise, 1.0)
    s = np.maximum(s, np.square(innovation) / DOUBT**2)
    gain = np.where(told[:, None], spread / s[:, None], 0.0)
    gain[:, C:] = 0
    x += gain * innovation[:, None]
    cross = gain[:, :, None] * spread[:, None, :]
    p += gain[:, :, None] * gain[:, None, :] * s[:, None, None] - cross - cross.transpose(0, 2, 1)
