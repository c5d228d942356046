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
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

__all__ = ["Places", "Seen"]

FloatArray = npt.NDArray[np.float64]
L, R, K, C, E = range(5)
"""The state: log distance, its rate (1/s), log of its size over its class's; and considered: error of t, error of log h."""
LOG_NEAREST, LOG_FARTHEST = math.log(0.5), math.log(400.0)
"""Of metres."""
FASTEST = 90.0
"""Metres a second: of two on a motorway towards each other."""
FIRST_SPEED = 12.0
"""Metres a second: standard deviation of a relative speed before anything is known."""
AGILITY = 12.0
"""m²/s³: spectral density of the relative acceleration; about 3 m/s² that last for most of a second."""
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
ODD, ODDEST = 2.5, 0.4
"""Deviations from which somebody is taken to be of no usual size; and the deviation, a share, that its size has then."""
LOST = 1.0
"""Deviation of the logarithm of a distance from which nothing is known of it any more."""
PATIENCE = 3.0
"""Seconds for which an unseen track is remembered."""
DIAGONAL = np.arange(3)


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
    overhang: FloatArray
    """Metres from its nearest point to where its foot is seen."""
    overhang_std: FloatArray
    growth: FloatArray
    growth_std: FloatArray
    """1/s; NaN: not known."""

    def of(self, rows: npt.NDArray[np.bool_]) -> Seen:
        """Of some of them."""
        return Seen(*(getattr(self, field.name)[rows] for field in fields(self)))


class Places:
    """Call it with each frame's measurements; the camera's height in metres and its deviation, a share, are for all."""

    def __init__(self, mounted: float, mounted_std: float) -> None:
        self._log_h, self._h_var = math.log(mounted), mounted_std**2
        self._rows: dict[int, int] = {}
        self._x, self._p, self._time = np.zeros((0, 5)), np.zeros((0, 5, 5)), np.zeros(0)

    def __call__(self, seen: Seen, time: float) -> tuple[FloatArray, FloatArray]:
        """The state [N, 5] of each and its covariance [N, 5, 5]; NaN where nothing is known."""
        n = len(seen.ids)
        x, p, elapsed = np.full((n, 5), np.nan), np.full((n, 5, 5), np.nan), np.full(n, 0.04)
        rows = np.array([self._rows.get(track, -1) if track else -1 for track in seen.ids.tolist()], np.int64)
        old = np.flatnonzero(rows >= 0)
        if len(old):
            elapsed[old] = np.clip(time - self._time[rows[old]], 1e-3, PATIENCE)
            x[old], p[old] = self._advanced(rows[old], elapsed[old], seen.below_slow[old], seen.overhang_std[old])
        lost = ~(p[:, L, L] < LOST**2)
        x[lost] = np.nan
        self._begin(x, p, seen, np.flatnonzero(lost))
        known = np.isfinite(x[:, L])
        if known.all():
            self._update(x, p, seen, elapsed)
        elif known.any():
            x[known], p[known] = self._update(x[known], p[known], seen.of(known), elapsed[known])
        self._keep(seen, x, p, time, known)
        return x, p

    def _advanced(
        self, rows: npt.NDArray[np.int64], dt: FloatArray, slow: FloatArray, overhang: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """At a constant relative speed; `slow`: the deviation that the error of t has now."""
        x, p = self._x[rows], self._p[rows]
        gain = np.maximum(1 + x[:, R] * dt, 0.3)
        x[:, L] += np.log(gain)
        x[:, R] /= gain
        lean, fade = (dt / gain)[:, None], (1 / gain**2)[:, None]
        p[:, L] += lean * p[:, R]
        p[:, R] *= fade
        p[:, :, L] += lean * p[:, :, R]
        p[:, :, R] *= fade
        shaken = AGILITY * np.exp(-2 * x[:, L])
        p[:, R, R] += shaken * dt
        p[:, L, R] += shaken * dt**2 / 2
        p[:, R, L] = p[:, L, R]
        p[:, L, L] += shaken * dt**3 / 3
        p[:, K, K] += CHANGE**2 * dt
        # the error of t is as large as it is said to be now, and forgets what it was
        now = self._slow(x, slow, overhang)
        share = (np.exp(-dt / SLOW_TIME) * np.minimum(now / np.sqrt(p[:, C, C]), 1.0))[:, None]
        p[:, C] *= share
        p[:, :, C] *= share
        p[:, C, C] = now**2
        return x, p

    def _slow(self, x: FloatArray, slow: FloatArray, overhang: FloatArray) -> FloatArray:
        """[n] deviation of the errors of t that stay: also those of a road that is not flat, and of how far in the tyres are."""
        distance = np.exp(x[:, L])
        tyres = math.exp(self._log_h) * overhang / np.square(np.maximum(distance, 1.0))
        return np.asarray(np.sqrt(np.square(slow) + np.square(CURVED / 2 * distance) + np.square(tyres)))

    def _begin(self, x: FloatArray, p: FloatArray, seen: Seen, new: npt.NDArray[np.intp]) -> None:
        """By the size where that is seen, else by the foot where that tells enough."""
        for i in new.tolist():
            height, share, slow = seen.height[i], seen.height_std[i], seen.below_slow[i]
            std = math.hypot(seen.below_std[i], slow)
            if not math.isfinite(height):
                continue
            if math.isfinite(seen.tall_std[i]):
                log, var, tied = math.log(height / seen.tall[i]), share**2 + seen.tall_std[i] ** 2, share**2
            elif seen.below[i] > 3 * std:
                log, var, tied = self._log_h - math.log(seen.below[i]), (std / seen.below[i]) ** 2 + 1.0, 0.0
            else:
                continue
            x[i], p[i] = 0.0, 0.0
            x[i, L] = log = min(max(log, LOG_NEAREST), LOG_FARTHEST)
            p[i, L, L], p[i, K, K], p[i, E, E] = var, share**2, self._h_var
            p[i, L, K] = p[i, K, L] = tied
            p[i, R, R] = (FIRST_SPEED * math.exp(-log)) ** 2
            p[i, C, C] = self._slow(x[i : i + 1], slow, seen.overhang_std[i : i + 1])[0] ** 2

    def _update(self, x: FloatArray, p: FloatArray, seen: Seen, elapsed: FloatArray) -> tuple[FloatArray, FloatArray]:
        """By size, foot and growth at once, in place. Considered errors stay as they are."""
        n = len(x)
        rows, off, noise = np.zeros((n, 3, 5)), np.zeros((n, 3)), np.full((n, 3), np.inf)
        rows[:, 0, L], rows[:, 0, K], rows[:, 2, R] = -1, 1, 1
        off[:, 0] = np.log(seen.tall / seen.height) - (x[:, K] - x[:, L])
        noise[:, 0] = np.square(seen.tall_std)
        self._by_foot(x, seen, rows, off, noise)
        off[:, 2] = -seen.growth - x[:, R]
        noise[:, 2] = np.square(seen.growth_std) * np.maximum(1.0, GROWTH_TIME / elapsed)
        told = np.isfinite(noise) & np.isfinite(off)
        off, noise = np.where(told, off, 0.0), np.where(told, noise, 1.0)
        rows *= told[:, :, None]
        _allow_odd_sizes(p, rows[:, 1], off[:, 1], noise[:, 1])
        spread = p @ rows.transpose(0, 2, 1)
        s = rows @ spread
        own = s[:, DIAGONAL, DIAGONAL]
        s[:, DIAGONAL, DIAGONAL] += np.maximum(noise, np.square(off) / DOUBT**2 - own)
        gain = np.linalg.solve(s, spread.transpose(0, 2, 1)).transpose(0, 2, 1).copy()
        gain[:, C:] = 0
        x += (gain @ off[:, :, None])[:, :, 0]
        cross = gain @ spread.transpose(0, 2, 1)
        p += gain @ s @ gain.transpose(0, 2, 1) - cross - cross.transpose(0, 2, 1)
        p[:] = (p + p.transpose(0, 2, 1)) / 2  # else errors of rounding grow from frame to frame
        x[:, L] = np.clip(x[:, L], LOG_NEAREST, LOG_FARTHEST)
        most = FASTEST * np.exp(-x[:, L])
        x[:, R] = np.clip(x[:, R], -most, most)
        return x, p

    def _by_foot(self, x: FloatArray, seen: Seen, rows: FloatArray, off: FloatArray, noise: FloatArray) -> None:
        """As a logarithm where the foot is surely below the horizon, which is exact; else as it is."""
        distance = np.exp(x[:, L])
        foot = distance + seen.overhang
        expected = math.exp(self._log_h) / foot
        sure = seen.below > 5 * np.hypot(seen.below_std, seen.below_slow)
        scale = 1 / np.where(sure, seen.below, 1.0)
        rows[:, 1, E] = np.where(sure, 1.0, expected)
        rows[:, 1, L], rows[:, 1, C] = -rows[:, 1, E] * distance / foot, scale
        log = np.log(np.where(sure, seen.below, 1.0) / expected)
        off[:, 1] = np.where(sure, log, seen.below - expected)
        noise[:, 1] = np.square(seen.below_std * scale)

    def _keep(self, seen: Seen, x: FloatArray, p: FloatArray, time: float, known: npt.NDArray[np.bool_]) -> None:
        """Those seen now, and those seen a moment ago."""
        now = known & (seen.ids > 0)
        ids = seen.ids[now].tolist()
        fresh = set(ids)
        rest = [(track, row) for track, row in self._rows.items() if track not in fresh and time - self._time[row] <= PATIENCE]
        x, p, times = x[now], p[now], np.full(len(ids), time)
        if rest:
            kept = [row for _, row in rest]
            x, p = np.concatenate([x, self._x[kept]]), np.concatenate([p, self._p[kept]])
            times = np.concatenate([times, self._time[kept]])
        self._x, self._p, self._time = x, p, times
        self._rows = {track: row for row, track in enumerate([*ids, *(track for track, _ in rest)])}


def _allow_odd_sizes(p: FloatArray, row: FloatArray, off: FloatArray, noise: FloatArray) -> None:
    """Where foot and size disagree by more than both may, its class says nothing of its size: a van that is called a car."""
    s = np.einsum("ni,nij,nj->n", row, p, row) + noise
    odd = np.flatnonzero((np.square(off) > ODD**2 * s) & (p[:, K, K] < ODDEST**2 / 2))
    for i in odd:
        p[i, L, L] += ODDEST**2
        p[i, K, K] += ODDEST**2
        p[i, L, K] += ODDEST**2
        p[i, K, L] += ODDEST**2
