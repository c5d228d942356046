"""How much the sizes that a detector gives tremble, and for how long an error lasts: learned per track from its own sizes.

Second differences of a size over several lags leave its growth out, and hold the noise: of white noise they are as large at all
lags, of lasting errors they grow with the lag (the variogram of geostatistics, Matheron 1963; here of second order). Four kinds of
noise are compared: errors that are new each time, and those that fade in 0.1, 0.3 and 0.8 s.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["Jitter"]

KEPT = 13
"""Sizes of each track that are kept."""
APART = 0.028
"""Seconds between two of them, at least."""
LAGS = (1, 3, 6)
FADE = np.array([1e-3, 0.1, 0.3, 0.8])
"""Seconds in which an error of each kind fades."""
USUAL = np.array([0.2, 0.15, 0.35, 0.3])
"""How much of it is of each kind, before anything was seen."""
WORTH = 8.0
"""The usual counts as so many sights."""
MEMORY = 90.0
"""Sights over which it is averaged, at most."""
OUTLIER = 12.0
"""A difference whose square is larger by this counts as no more: it was a jump."""
SHARP = 1.2
"""How fast a kind loses belief by how badly it fits."""

Doubles = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]


class Jitter:
    """Of `count` tracks; sizes are logarithms, times are seconds.

    What is learned is how much more, or less, than `usual` they tremble: what is far, and small, does so more.
    """

    def __init__(self, count: int) -> None:
        self.times = np.zeros((count, KEPT))
        self.sizes = np.zeros((count, KEPT))
        self.filled = np.zeros(count, int)
        self.square = np.zeros((count, len(LAGS)))
        self.seen = np.zeros((count, len(LAGS)))
        self.lag = np.tile(np.array(LAGS) * 0.04, (count, 1))

    def grown(self, count: int) -> Jitter:
        """With room for more."""
        more = Jitter(count)
        for name in ("times", "sizes", "filled", "square", "seen", "lag"):
            getattr(more, name)[: len(self.filled)] = getattr(self, name)
        return more

    def begin(self, row: int) -> None:
        """A new track."""
        self.filled[row], self.seen[row] = 0, WORTH
        self.lag[row] = np.array(LAGS) * 0.04
        self.square[row] = USUAL @ _differences(self.lag[row])

    def jumped(self, rows: Rows) -> None:
        """Sizes before are no more to be compared with."""
        self.filled[rows] = 0

    def add(self, rows: Rows, time: float, sizes: Doubles, usual: Doubles, bend: Doubles) -> None:
        """New sizes [n], their `usual` variance [n]; `bend` [n]: second derivative of the true size, as far as it is known."""
        last = self.times[rows, 0]
        fresh = (self.filled[rows] == 0) | (time - last >= APART)
        rows, sizes, usual, bend = rows[fresh], sizes[fresh], usual[fresh], bend[fresh]
        self.times[rows, 1:], self.sizes[rows, 1:] = self.times[rows, :-1], self.sizes[rows, :-1]
        self.times[rows, 0], self.sizes[rows, 0] = time, sizes
        self.filled[rows] = np.minimum(self.filled[rows] + 1, KEPT)
        for k, lag in enumerate(LAGS):
            known = self.filled[rows] > 2 * lag
            at = rows[known]
            if not len(at):
                continue
            one, two = self.times[at, 0] - self.times[at, lag], self.times[at, lag] - self.times[at, 2 * lag]
            ratio = one / two
            known2 = (one < 0.12 * lag) & (two < 0.12 * lag)
            difference = self.sizes[at, 0] - (1 + ratio) * self.sizes[at, lag] + ratio * self.sizes[at, 2 * lag]
            difference -= bend[known] * one * (one + two) / 2
            square = np.square(difference) / usual[known] * 6 / (1 + np.square(1 + ratio) + np.square(ratio))
            at, square, one, two = at[known2], square[known2], one[known2], two[known2]
            square = np.minimum(square, OUTLIER * self.square[at, k])
            self.seen[at, k] = np.minimum(self.seen[at, k] + 1, MEMORY)
            self.square[at, k] += (square - self.square[at, k]) / self.seen[at, k]
            self.lag[at, k] += ((one + two) / 2 - self.lag[at, k]) / self.seen[at, k]

    def noise(self, rows: Rows, usual: Doubles) -> tuple[Doubles, Doubles, Doubles]:
        """[n] each, where sizes have the `usual` variance [n]: of new and lasting errors, and the seconds in which these fade."""
        expected = _differences(self.lag[rows])  # [n, kinds, lags]
        ratio = np.log(np.maximum(self.square[rows], 1e-6))[:, None] - np.log(expected)
        level = ratio.mean(2)
        misfit = np.square(ratio - level[..., None]).sum(2) * self.seen[rows].mean(1)[:, None] / 8
        belief = USUAL * np.exp(-SHARP * (misfit - misfit.min(1, keepdims=True)))
        belief /= belief.sum(1, keepdims=True)
        parts = belief * np.exp(level) * usual[:, None]
        lasting = parts[:, 1:].sum(1)
        fade = np.exp((parts[:, 1:] * np.log(FADE[1:])).sum(1) / np.maximum(lasting, 1e-12))
        return parts[:, 0], lasting, fade


def _differences(lag: Doubles) -> Doubles:
    """[..., kinds, lags]: mean square of a second difference over `lag` [..., lags] of noise of each kind, of variance one."""
    kept = np.exp(-lag[..., None, :] / FADE[:, None])
    return np.asarray(6 - 8 * kept + 2 * np.square(kept))
