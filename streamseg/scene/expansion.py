"""A Kalman filter for how objects grow in the picture, for many tracks at once.

Of something that comes nearer with a steady speed the inverse of the size falls linearly; so its growth g = d(log s)/dt itself
grows, g' = g² (from Lee 1976, tau = s / s'). Braking and accelerating add to that what is not known: a term that lasts for a second
or two. State: log size L, growth g, that term a, and the errors that each of the two measurements of L drags along: b of the
sizes that the detector gives, which fades, and r of the scale from the picture, which adds up.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["BOX", "PICTURE", "Expansion"]

BOX, PICTURE = 3, 4
"""Which error a measurement has."""
LASTS = 1.5
"""Seconds for which braking lasts."""
WANDER = 0.012
"""Square root of the variance that the scale from the picture gathers in a second."""
FASTEST = 0.4
"""Growth within one step of time that is followed."""
GATE = 3.0
"""Deviations beyond which a measurement has less to say, the less the farther."""
LEAN = 0.15
"""Share of a new measurement in the mean of how far they were off; where they lean to one side, somebody brakes hard."""
LEAN_STD = (LEAN / (2 - LEAN)) ** 0.5
JUMP = 4.0
"""Deviations at which it is odd; so often one after another, and it has jumped."""
ODD = 3

Doubles = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]


class Expansion:
    """Of `count` tracks; sizes are logarithms, times are seconds."""

    def __init__(self, count: int) -> None:
        self.x = np.zeros((count, 5))
        self.cov = np.zeros((count, 5, 5))
        self.odd = np.zeros(count, int)
        self.lean = np.zeros(count)

    def grown(self, count: int) -> Expansion:
        """With room for more."""
        more = Expansion(count)
        for name in ("x", "cov", "odd", "lean"):
            getattr(more, name)[: len(self.odd)] = getattr(self, name)
        return more

    def begin(self, row: int, growth_std: float, braking: float, usual: float) -> None:
        """A new track. `growth_std`: of its growth, 1/s; `braking`: of the change of that, 1/s²; `usual`: variance of sizes."""
        self.x[row], self.odd[row], self.lean[row] = 0, 0, 0
        self.cov[row] = np.diag([1.0, growth_std**2, braking**2, usual, 1e-4])

    def restart(self, row: int) -> None:
        """The scale from the picture begins anew."""
        self.x[row, PICTURE] = 0
        self.cov[row, PICTURE], self.cov[row, :, PICTURE] = 0, 0
        self.cov[row, PICTURE, PICTURE] = 1.0

    def advance(self, rows: Rows, elapsed: Doubles, braking: Doubles, lasting: Doubles, fade: Doubles, shaken: Doubles) -> None:
        """Go on by `elapsed` [n]. `lasting`, `fade`: variance of the detector's lasting errors, and how fast they fade;
        `shaken` [n]: variance of what the camera's rotation may have added to the log size.
        """
        x, dt = self.x[rows], elapsed
        braking = braking * (1 + np.clip(np.abs(self.lean[rows]) / LEAN_STD - 1.5, 0, 2))
        growth = np.clip(x[:, 1], -FASTEST / dt, FASTEST / dt)
        keeps, fades = np.exp(-dt / LASTS), np.exp(-dt / fade)
        moved = np.zeros((len(rows), 5, 5))
        moved[:, np.arange(5), np.arange(5)] = 1
        moved[:, 0, 1], moved[:, 0, 2] = dt / (1 - growth * dt), dt * dt / 2
        moved[:, 1, 1], moved[:, 1, 2] = 1 / np.square(1 - growth * dt), dt
        moved[:, 2, 2], moved[:, 3, 3] = keeps / (1 - growth * dt), fades
        x[:, 0] += -np.log1p(-growth * dt) + x[:, 2] * dt * dt / 2
        x[:, 1] = growth / (1 - growth * dt) + x[:, 2] * dt
        x[:, 2] *= keeps / (1 - growth * dt)  # the same braking matters more the nearer it is
        x[:, 3] *= fades
        cov = moved @ self.cov[rows] @ moved.transpose(0, 2, 1)
        cov[:, 0, 0] += shaken
        cov[:, 1, 1] += np.square(0.3 * braking) * dt
        cov[:, 2, 2] += np.square(braking) * (1 - keeps * keeps)
        cov[:, 3, 3] += lasting * (1 - fades * fades)
        cov[:, 4, 4] += WANDER**2 * dt
        self.x[rows], self.cov[rows] = x, cov

    def look(self, rows: Rows, kind: int, sizes: Doubles, variance: Doubles) -> npt.NDArray[np.bool_]:
        """Take in log sizes [n] whose new errors have `variance` [n]. True: odd so often that it has jumped, to stay there."""
        x, cov = self.x[rows], self.cov[rows]
        gain = cov[:, :, 0] + cov[:, :, kind]
        known = gain[:, 0] + gain[:, kind]
        off = sizes - x[:, 0] - x[:, kind]
        signed = off / np.sqrt(known + variance)
        odd = np.abs(signed)
        self.lean[rows] += LEAN * (np.clip(signed, -3, 3) - self.lean[rows])
        total = (known + variance) * np.square(np.maximum(odd / GATE, 1))
        gain /= total[:, None]
        self.x[rows] = x + gain * off[:, None]
        self.cov[rows] = cov - gain[:, :, None] * gain[:, None, :] * total[:, None, None]
        if kind != BOX:
            return odd > JUMP
        self.odd[rows] = np.where(odd > JUMP, self.odd[rows] + 1, 0)
        return np.asarray(self.odd[rows] >= ODD)

    def loosen(self, rows: Rows, kind: int, variance: Doubles) -> None:
        """Its error may be another from now on."""
        self.cov[rows, kind, kind] += variance
        self.odd[rows] = 0

    def growth(self, rows: Rows) -> tuple[Doubles, Doubles]:
        """[n] growth, 1/s, and its variance."""
        return self.x[rows, 1], self.cov[rows, 1, 1]
