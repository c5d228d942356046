"""Growth and time to collision of made-up masks whose growth is known: near the truth, and with a bar that covers it as it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from streamseg.core.result import Result
from streamseg.core.scene import CameraModel, Scene, Turn
from streamseg.scene.growth import Growth
from tests.unit.scene.street import Street, frame_of, instances, result_of

WIDTH, HEIGHT, FOCAL = 1280, 720, 1024.0
RATE = 25
PLAIN = np.full((HEIGHT, WIDTH), 128, np.uint8)

Way = Callable[[float], float]


def box_at(distance: float) -> np.ndarray:
    """Of a car 1.8 m wide and 1.5 m high, straight ahead, on a road 1.4 m below the camera."""
    return np.array([-0.9, -0.1, 0.9, 1.4]) / distance * FOCAL + np.array([WIDTH, HEIGHT] * 2) / 2


def play(way: Way, seconds: float, *, trembles: float = 0.02, lasts: float = 0.0, seed: int = 0) -> np.ndarray:
    """Rows [n, 5]: true growth, growth, its deviation, ttc, its deviation; NaN where not told.

    Each side of a box errs by `trembles` of the size; `lasts`: seconds in which such an error fades. Nothing can be followed in
    the pictures, which are plain.
    """
    rng, growth = np.random.default_rng(seed), Growth()
    frame = frame_of(PLAIN, 0, 0)
    kept = np.exp(-1 / (RATE * lasts)) if lasts else 0.0
    error, told = rng.normal(0, 1, 4), []
    for k in range(round(seconds * RATE)):
        t = k / RATE
        error = kept * error + np.sqrt(1 - kept**2) * rng.normal(0, 1, 4)
        box = box_at(way(t))
        found = instances([box + trembles * error * np.tile(box[2:] - box[:2], 2)], [1])
        result = Result(replace(frame, index=k, pts=round(t * 90_000)), found)
        scene = growth(result, Scene.unknown(1))
        true = (way(t - 1e-3) - way(t + 1e-3)) / 2e-3 / way(t)
        told.append((true, scene.growth[0], scene.growth_std[0], scene.ttc[0], scene.ttc_std[0]))
    return np.array(told)


NEARS: Way = lambda t: 40 - 9 * t  # noqa: E731
STANDS: Way = lambda t: 20.0  # noqa: E731
LEAVES: Way = lambda t: 12 + 5 * t  # noqa: E731
BRAKES: Way = lambda t: 30 - 1.2 * t * t  # noqa: E731


@pytest.mark.parametrize(
    ("trembles", "lasts"),
    [(0.02, 0.2), *(pytest.param(*noise, marks=pytest.mark.long) for noise in ((0.01, 0.0), (0.03, 0.0), (0.02, 0.5)))],
)
def test_the_bar_covers_the_truth_as_often_as_it_says(trembles: float, lasts: float) -> None:
    """Counted at times that are far apart: an error lasts, so that frames of one track are one sight."""
    rows = [play(way, 2.6, trembles=trembles, lasts=lasts, seed=k) for k in range(8) for way in (NEARS, STANDS, LEAVES, BRAKES)]
    some = np.concatenate([row[[20, 42, 64]] for row in rows])
    some = some[np.isfinite(some[:, 1])]
    assert len(some) > 85
    off = np.abs(some[:, 1] - some[:, 0]) / some[:, 2]
    assert (off < 1).mean() > 0.63
    assert (off < 2).mean() > 0.92
    assert np.median(some[:, 2]) < 0.1  # and it says something


def test_time_to_collision_is_one_over_growth_and_only_where_it_grows() -> None:
    nears, stands, leaves = (play(way, 3.2, trembles=0.01) for way in (NEARS, STANDS, LEAVES))
    last = nears[-10:]
    np.testing.assert_allclose(last[:, 3], 1 / last[:, 1], rtol=1e-5)
    np.testing.assert_allclose(last[:, 4], last[:, 2] / last[:, 1] ** 2, rtol=1e-4)
    assert np.median(np.abs(last[:, 3] * last[:, 0] - 1)) < 0.1
    np.testing.assert_allclose(last[:, 3], 1 / last[:, 0], rtol=0.2)
    assert np.isnan(leaves[:, 3]).all()
    assert np.isnan(stands[:, 3]).mean() > 0.95


def test_nothing_is_told_of_what_is_new() -> None:
    row = play(NEARS, 1.0)
    first = np.flatnonzero(np.isfinite(row[:, 1]))[0] / RATE
    assert 0.25 <= first <= 0.8


def test_a_picture_says_more_than_a_box_that_trembles() -> None:
    street, growth, rng = Street(WIDTH // 2, HEIGHT // 2, FOCAL / 2, seed=1), Growth(), np.random.default_rng(1)
    off, std = [], []
    for k in range(24):
        distance = 20 - 9 * k / RATE
        car = (-0.9, 1.8, 1.5, distance)
        box = street.box(car)
        box = box + 0.02 * rng.normal(0, 1, 4) * np.tile(box[2:] - box[:2], 2)
        result = result_of(street.picture(15 * k / RATE, None, car), k / RATE, k, [box], [1])
        scene = growth(result, Scene.unknown(1))
        off.append(scene.growth[0] / (9 / distance) - 1)
        std.append(scene.growth_std[0])
    assert np.abs(off[-8:]).max() < 0.06
    assert std[-1] < 0.09 * 9 / distance


def test_a_mask_that_takes_in_the_shadow_does_not_collide() -> None:
    """The box jumps by a fifth, as masks do that take in a car's shadow or the car beside it, and jumps back."""
    growth = Growth()
    for k in range(100):
        box = box_at(20)
        if 40 <= k < 70:
            box[3] += 0.2 * (box[3] - box[1])
        result = result_of(PLAIN, k / RATE, k, [box], [1])
        scene = growth(result, Scene.unknown(1))
        assert not scene.ttc[0] < 4
    assert abs(scene.growth[0]) < 0.05


def test_what_leaves_the_frame_is_not_said_to_shrink() -> None:
    """A car drifts out at the left: its width is cut, its height is not."""
    growth = Growth()
    for k in range(60):
        whole = box_at(20) - np.array([560 + 2.5 * k, 0, 560 + 2.5 * k, 0])
        box = np.maximum(whole, 0)
        if box[2] < 12:
            break
        result = result_of(PLAIN, k / RATE, k, [box], [1])
        scene = growth(result, Scene.unknown(1))
    assert k > 35
    assert not abs(scene.growth[0]) >= 0.05


def test_what_comes_in_at_the_bottom_does_not_collide() -> None:
    """A car that drives in under a camera above the road: first its roof is seen, then all of it, which is wider."""
    growth = Growth()
    for k in range(25):
        seen = 30 + 7 * k
        box = np.array([560 - 1.2 * k, HEIGHT - seen, 720 + 1.2 * k, HEIGHT])
        result = result_of(PLAIN, k / RATE, k, [box], [1])
        scene = growth(result, Scene.unknown(1))
        if seen < 120:
            assert np.isnan(scene.ttc[0])


def test_a_camera_that_turns_makes_nothing_come_nearer() -> None:
    """The camera turns away at 0.3 rad/s from a car that keeps its distance: in the picture it moves outward and grows."""
    yaw, camera = -0.3, CameraModel(WIDTH, HEIGHT, FOCAL, FOCAL, WIDTH / 2, HEIGHT / 2)
    told = {}
    for known in (True, False):
        growth = Growth(camera)
        for k in range(45):
            angle = -yaw * k / RATE  # of the car, to the right
            corners = []
            for y in (-0.1, 1.4):
                for x in (-0.9, 0.9):
                    # The car turns with the ray to it, so that its distance alone counts: depth along the axis is what it loses.
                    at = np.array([x, y, 20.0])
                    across = np.cos(angle) * at[0] + np.sin(angle) * at[2]
                    ahead = -np.sin(angle) * at[0] + np.cos(angle) * at[2]
                    corners.append((across / ahead, at[1] / ahead))
            low, high = np.min(corners, 0), np.max(corners, 0)
            box = np.concatenate([low, high]) * FOCAL + np.array([WIDTH, HEIGHT] * 2) / 2
            result = result_of(PLAIN, k / RATE, k, [box], [1])
            scene = Scene.unknown(1)
            if known:
                scene = replace(scene, turn=Turn(0.0, yaw / RATE, 0.0, 1e-4))
            scene = growth(result, scene)
        told[known] = float(scene.growth[0]), float(scene.growth_std[0])
    assert abs(told[True][0]) < 0.04
    assert told[False][0] > 0.06  # so much it grows
    assert told[False][1] > 1.5 * told[True][1]  # and who does not know the turn says so


def test_epochs_gaps_and_frames_that_were_not_looked_at() -> None:
    growth = Growth()

    def look(k: int, seconds: float, *, epoch: int = 0, detected: bool = True) -> Scene:
        result = result_of(PLAIN, seconds, k, [box_at(20)], [1])
        result = replace(result, frame=replace(result.frame, epoch=epoch), detected=detected)
        return growth(result, Scene.unknown(1))

    for k in range(30):
        scene = look(k, k / RATE)
    known = scene.growth_std[0]
    assert np.isfinite(known)
    for k in range(30, 40):
        scene = look(k, k / RATE, detected=False)
    assert np.isnan(scene.growth_std[0]) or scene.growth_std[0] > known  # nothing was measured meanwhile
    assert np.isfinite(look(40, 40 / RATE).growth[0])
    assert np.isnan(look(41, 44 / RATE + 2).growth[0])
    for k in range(42, 72):
        scene = look(k, (44 + k) / RATE)
    assert np.isfinite(scene.growth[0])
    assert np.isnan(look(72, 116.5 / RATE, epoch=1).growth[0])


def test_memory_is_bounded_by_what_is_seen_at_once() -> None:
    growth = Growth()
    for k in range(300):
        boxes = [box_at(20 + j) for j in range(3)]
        result = result_of(PLAIN, k / 5, k, boxes, [3 * (k // 2) + j + 1 for j in range(3)])
        growth(result, Scene.unknown(3))
    assert len(growth._rows) < 30
    assert len(growth._tracks.begun) <= 64
