"""How the camera turned from frame to frame, and where it goes: from points of the picture that belong to no road user.

Corners, one a cell of a grid, are followed on a small grey picture (Lucas-Kanade on a pyramid, Bouguet 2001). The motion of a
point at rest is a part from the camera's rotation, the same for all distances, and a part from its translation, which points away
from the focus of expansion (Longuet-Higgins and Prazdny, "The interpretation of a moving retinal image", 1980). So across the ray
from the focus there is rotation alone: rotation and focus are found together such that nothing is left there (Bruss and Horn,
"Passive navigation", 1983), by Gauss-Newton steps with robust weights.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from streamseg.core.result import Result
from streamseg.core.scene import CameraModel, Scene, Turn
from streamseg.scene.flow_points import CELLS, FlowPoints
from streamseg.scene.grey import Greys

__all__ = ["Turning", "guessed"]

LEAST = 14
"""Points that must agree."""
AGREE = 0.45
"""Share of the points, weighted, that must agree."""
NOISE = 0.06
"""Pixels of the small picture: standard deviation of a followed point, at least."""
STANDS, MOVES = 0.08, 0.25
"""Pixels of the small picture by which a point moves that surely stands, or surely does not."""
STEPS = 5
"""Of Gauss and Newton."""
ALL_STAND = 0.7
"""Share of the points that must stand for the camera to stand; fewer may be on its own car's bonnet, or dirt on the glass."""
FOCUS_STD = (0.15, 0.10)
"""Radians, across and down: where the focus may be, before anything was seen, about the middle of the picture."""
FOCUS_DRIFT = 0.03
"""Radians in a second by which the focus may move: a car that turns slides over the front a bit."""
FOCUS_KNOWN = 0.035
"""Radians: the focus is told once its deviation is below this."""
MOVING_TIME = 0.5
"""Seconds in which it may begin or cease to move."""
GUESSED = 0.8
"""Focal length, in widths of the picture, of a camera of which nothing is known: between that of phones (0.9) and of dash-cams."""
GUESSED_STD = 0.3

Doubles = npt.NDArray[np.float64]


def guessed(width: int, height: int) -> CameraModel:
    """A camera for frames of this size (pixels) of which nothing is known."""
    focal = GUESSED * max(width, height)
    return CameraModel(width, height, focal, focal, width / 2, height / 2, focal_std=GUESSED_STD, source="guessed")


@dataclass(slots=True)
class _Fit:
    rotation: Doubles
    """[3] about x, y, z: radians."""
    rotation_std: float
    focus: Doubles
    """[2] the tangents of the directions of the focus."""
    focus_cov: Doubles
    away: Doubles
    """[n] motion that rotation leaves, along the ray from the focus, outward positive, radians."""
    reach: Doubles
    """[n] distance from the focus."""
    weights: Doubles
    noise: float
    """Radians: robust deviation of what is left across the ray."""


class Turning:
    """Sets `turn`; None where too little of the picture tells. Frames must come in the order of their pts."""

    def __init__(self, camera: CameraModel | None, greys: Greys | None = None) -> None:
        """`camera`: as far as it is known; without one a focal length is guessed. `greys`: of the parts beside it."""
        self._camera, self._greys = camera, Greys() if greys is None else greys
        self._points = FlowPoints()
        self._begin(-1, (0, 0))

    def _begin(self, epoch: int, size: tuple[int, int]) -> None:
        self._epoch, self._size, self._time = epoch, size, -math.inf
        self._points.forget()
        self._stuck = np.zeros(CELLS)
        self._focus, self._focus_cov = np.zeros(2), np.diag(np.square(FOCUS_STD))
        self._moving = 0.5

    def __call__(self, result: Result, scene: Scene) -> Scene:
        """Look at one frame."""
        frame, grey = result.frame, self._greys(result.frame)
        if frame.epoch != self._epoch or (frame.width, frame.height) != self._size:
            self._begin(frame.epoch, (frame.width, frame.height))
        elapsed, self._time = frame.time - self._time, frame.time
        camera = guessed(*self._size) if self._camera is None else self._camera.resized(*self._size)
        followed = self._points(grey, result.boxes)
        if followed is None or not 0 < elapsed < 0.5:
            return scene
        cells, begin, end = followed
        focal = np.array([camera.fx, camera.fy]) / grey.scale
        middle = np.array([camera.cx, camera.cy]) / grey.scale
        turn = self._turn(cells, (begin + end) / 2, end - begin, focal, middle, elapsed, camera.focal_std)
        if turn is None:
            return scene
        if turn.focus is not None:
            x, y = turn.focus
            turn = replace(turn, focus=(camera.cx + camera.fx * x, camera.cy + camera.fy * y))
        return replace(scene, turn=turn)

    def _turn(
        self,
        cells: npt.NDArray[np.intp],
        points: Doubles,
        flow: Doubles,
        focal: Doubles,
        middle: Doubles,
        elapsed: float,
        focal_std: float,
    ) -> Turn | None:
        """`points` and `flow`: [n, 2] pixels of the small picture; the focus is told in tangents."""
        length = np.hypot(flow[:, 0], flow[:, 1])
        stands = length < STANDS
        usable = self._stuck[cells] < 1
        if stands.sum() < ALL_STAND * len(stands):  # something moves: what stands exactly may be a part of the own car
            moving = length > MOVES
            if moving.sum() >= LEAST and stands.mean() > 0.15:
                usable &= ~stands
        if usable.sum() < LEAST:
            return None
        x, f = (points - middle) / focal, flow / focal
        spread = self._focus_cov + np.eye(2) * FOCUS_DRIFT**2 * elapsed
        fit = _fit(x[usable], f[usable], self._focus, spread, NOISE / float(focal.mean()))
        if fit is None:
            return None
        self._learn_stuck(cells, x, flow, fit.rotation, focal)
        self._follow_focus(fit, elapsed)
        pitch, yaw, roll = fit.rotation.tolist()
        std = math.hypot(fit.rotation_std, focal_std * float(np.abs(fit.rotation[:2]).max()))
        known = self._moving > 0.8 and math.sqrt(float(self._focus_cov.trace() / 2)) < FOCUS_KNOWN
        focus = (float(self._focus[0]), float(self._focus[1])) if known else None
        return Turn(pitch, yaw, roll, std, focus, self._moving)

    def _learn_stuck(self, cells: npt.NDArray[np.intp], x: Doubles, flow: Doubles, rotation: Doubles, focal: Doubles) -> None:
        """Cells whose points stay where the camera's rotation should have moved them are on the own car, or on its glass."""
        expected = (_rotational(x) @ rotation) * focal
        told = np.hypot(expected[:, 0], expected[:, 1]) > 0.35
        left = np.hypot(*(flow - expected).T)
        stays = np.hypot(flow[:, 0], flow[:, 1]) < np.minimum(0.5 * left, 2 * STANDS)
        self._stuck[cells[told & stays]] += 0.25
        self._stuck[cells[told & ~stays]] -= 0.25
        np.clip(self._stuck, 0, 2, out=self._stuck)

    def _follow_focus(self, fit: _Fit, elapsed: float) -> None:
        """Whether the camera moves, and where to."""
        sure = fit.weights * (fit.reach > 0.05)
        if sure.sum() < LEAST / 2:
            return
        rate = fit.away / np.maximum(fit.reach, 0.05)
        weight = sure * np.square(fit.reach)
        mean = float((weight * rate).sum() / weight.sum())
        std = fit.noise * math.sqrt(float((np.square(weight / np.maximum(fit.reach, 0.05))).sum())) / float(weight.sum())
        said = 1 / (1 + math.exp(-np.clip(1.5 * (mean / max(2 * std, 1e-9) - 2.5), -8, 8)))
        gain = 1 - math.exp(-elapsed / MOVING_TIME)
        self._moving += gain * (said - self._moving)
        self._focus_cov += np.eye(2) * FOCUS_DRIFT**2 * elapsed
        if self._moving > 0.5:
            self._focus, self._focus_cov = fit.focus, fit.focus_cov
        widest = np.square(FOCUS_STD)
        for k in (0, 1):
            if self._focus_cov[k, k] > widest[k]:
                self._focus_cov *= widest[k] / self._focus_cov[k, k]


def _rotational(x: Doubles) -> Doubles:
    """[n, 2, 3]: how points at `x` [n, 2] (tangents) move where the camera turns by one radian about x, y, z."""
    across, down = x[:, 0], x[:, 1]
    made = np.empty((len(x), 2, 3))
    made[:, 0, 0], made[:, 0, 1], made[:, 0, 2] = across * down, -(1 + across * across), down
    made[:, 1, 0], made[:, 1, 1], made[:, 1, 2] = 1 + down * down, -across * down, -across
    return made


def _fit(x: Doubles, f: Doubles, focus: Doubles, spread: Doubles, noise: float) -> _Fit | None:
    """Rotation and focus from points [n, 2] and their motion, tangents; `focus`, `spread`: what is known of the focus."""
    turns = _rotational(x)
    rotation = np.array([np.median(f[:, 1]), -np.median(f[:, 0]), 0.0])
    before, known = focus, np.linalg.inv(spread)
    scale = 8 * noise
    for step in range(STEPS + 1):
        ray = x - focus
        reach = np.maximum(np.hypot(ray[:, 0], ray[:, 1]), 1e-6)
        along = ray / reach[:, None]
        rest = f - turns @ rotation
        away = (rest * along).sum(1)
        across = along[:, 0] * rest[:, 1] - along[:, 1] * rest[:, 0]
        # Towards the focus nothing can be: there is the point noise, or not at rest.
        inward = np.minimum(away, 0)
        weights = 1 / np.square(1 + (np.square(across) + np.square(inward)) / (4 * scale * scale))
        if step == STEPS:
            break
        # Where the focus moves, rays turn: what lies along the old ray shows across the new one.
        lever = away / reach
        jacobian = np.empty((len(x), 5))
        jacobian[:, :3] = -(along[:, :1] * turns[:, 1] - along[:, 1:] * turns[:, 0])
        jacobian[:, 3], jacobian[:, 4] = -lever * along[:, 1], lever * along[:, 0]
        weighted = jacobian * weights[:, None]
        normal = weighted.T @ jacobian
        slope = weighted.T @ across
        # Near the focus a point moves by rotation alone in both directions.
        near = weights / (1 + np.square(reach / 0.02))
        radial = -(along[:, :1] * turns[:, 0] + along[:, 1:] * turns[:, 1])
        normal[:3, :3] += (radial * near[:, None]).T @ radial
        slope[:3] += (radial * near[:, None]).T @ away
        normal[3:, 3:] += known * scale**2
        slope[3:] += known @ (focus - before) * scale**2
        normal[np.diag_indices(5)] += 1e-12
        change = np.linalg.solve(normal, slope)
        rotation = rotation - change[:3]
        focus = focus - change[3:]
        spread_now = 1.4826 * float(np.median(np.abs(across)))
        scale = max(noise, min(spread_now, 0.6 * scale))
    good = weights > 0.25
    if good.sum() < LEAST or good.mean() < AGREE:
        return None
    covariance = np.linalg.inv(normal) * (1.5 * scale) ** 2
    std = math.sqrt(float(covariance.diagonal()[:3].max()))
    return _Fit(rotation, std, focus, covariance[3:, 3:], away, reach, weights, scale)
