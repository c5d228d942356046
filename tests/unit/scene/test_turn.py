"""The camera's rotation is found on a street where it is known, with an honest deviation; and not where nothing tells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from streamseg.core.scene import CameraModel, Scene, Turn
from streamseg.scene.turn import Turning
from tests.unit.scene.street import Street, result_of, rotation

CAMERA = CameraModel(640, 360, 512.0, 512.0, 320.0, 180.0, source="given")
RATE = 25


@dataclass
class Drive:
    """Frames of a street seen by a camera that swings about its axes (radians a second, at most) and drives at `speed` (m/s)."""

    speed: float
    swing: tuple[float, float, float]
    frames: int = 16
    bonnet: int = 0
    """Rows at the bottom that show the own car."""
    camera: CameraModel | None = CAMERA

    def turns(self) -> list[tuple[np.ndarray, Turn | None]]:
        street, looks = Street(seed=3), Turning(self.camera)
        told, before = [], np.zeros(3)
        for k in range(self.frames):
            angle = np.array(self.swing) * np.sin(2 * np.pi * k / RATE) / (2 * np.pi)
            grey = street.picture(self.speed * k / RATE, rotation(*angle))
            if self.bonnet:
                grey[-self.bonnet :] = np.tile(street.textures[0], 2)[: self.bonnet, : street.width]
            result = result_of(grey, k / RATE, k)
            scene = looks(result, Scene.unknown(0))
            told.append((angle - before, scene.turn))
            before = angle
        return told[1:]


def errors(told: list[tuple[np.ndarray, Turn | None]]) -> tuple[np.ndarray, np.ndarray]:
    """Errors [n, 3] of pitch, yaw and roll, and what was said of them [n, 1]; all of them must be known."""
    turns = [turn for _, turn in told if turn is not None]
    assert len(turns) == len(told)
    found = np.array([(t.pitch, t.yaw, t.roll) for t in turns])
    return found - np.array([true for true, _ in told]), np.array([[t.std] for t in turns])


@pytest.mark.parametrize("speed", [0.0, 12.0])
def test_rotation_is_found_within_its_deviation(speed: float) -> None:
    error, std = errors(Drive(speed, (0.1, 0.3, 0.08)).turns())
    assert np.abs(error).max() < 0.0012  # radians a frame: 0.03 rad/s, a tenth of the swing
    assert (np.abs(error) < 2 * std).mean() > 0.85
    assert std.max() < 0.0006


def test_own_bonnet_does_not_hold_the_camera_still() -> None:
    error, _ = errors(Drive(12.0, (0.1, 0.3, 0.0), bonnet=90).turns())
    assert np.abs(error).max() < 0.002


def test_a_guessed_camera_says_so_in_the_deviation() -> None:
    told = Drive(0.0, (0.0, 0.4, 0.0), camera=None).turns()
    known, guess = errors(Drive(0.0, (0.0, 0.4, 0.0)).turns())[1], errors(told)[1]
    fast = [k for k, (true, _) in enumerate(told) if abs(true[1]) > 0.01]
    assert (guess[fast] > 0.2 * 0.01).all()
    assert (known[fast] < 0.001).all()


def test_focus_and_motion_are_told_once_it_moves() -> None:
    turn = Drive(12.0, (0.0, 0.0, 0.0), frames=30).turns()[-1][1]
    assert turn is not None
    assert turn.moving is not None
    assert turn.moving > 0.9
    assert turn.focus is not None
    assert np.hypot(turn.focus[0] - 320, turn.focus[1] - 180) < 16
    stands = Drive(0.0, (0.05, 0.1, 0.0)).turns()[-1][1]
    assert stands is not None
    assert stands.moving is not None
    assert stands.moving < 0.3
    assert stands.focus is None


def test_nothing_is_told_at_night_or_after_a_cut() -> None:
    looks, rng = Turning(CAMERA), np.random.default_rng(0)
    for k in range(4):
        dark = np.clip(rng.normal(16, 2, (360, 640)), 0, 255).astype(np.uint8)
        result = result_of(dark, k / RATE, k)
        assert looks(result, Scene.unknown(0)).turn is None
    for k, seed in enumerate((1, 2)):
        result = result_of(Street(seed=seed).picture(), 1 + k / RATE, 9 + k)
        assert looks(result, Scene.unknown(0)).turn is None


def test_a_jump_of_exposure_is_no_turn() -> None:
    looks, street = Turning(CAMERA), Street(seed=5)
    told = []
    for k, gain in enumerate((1.0, 1.0, 0.6, 0.6)):
        result = result_of((street.picture() * gain).astype(np.uint8), k / RATE, k)
        told.append(looks(result, Scene.unknown(0)).turn)
    assert all(t is None or max(abs(t.pitch), abs(t.yaw), abs(t.roll)) < max(0.0005, 3 * t.std) for t in told)
