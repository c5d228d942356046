"""The filter of places and speeds: in seconds and shares of the size, and not misled by what hides a part."""

from itertools import pairwise

import numpy as np
import pytest

from streamseg.track.motion import KalmanFilters, to_boxes, to_centres

WIDE = (100_000, 100_000)


def box(x, y=500.0, w=60.0, h=120.0):
    return np.array([[x - w / 2, y - h / 2, x + w / 2, y + h / 2]], np.float32)


def play(motion, boxes_at, times, frame=WIDE, doubt=1.0):
    rows = np.array([0])
    for before, now in pairwise(times):
        motion.predict(now - before)
        motion.update(rows, boxes_at(now), np.full(1, doubt), frame)


@pytest.mark.parametrize("rate", [10, 25, 60])
def test_speed_is_learned_in_seconds_at_any_rate(rate):
    chance = np.random.default_rng(0)
    motion = KalmanFilters.born(box(1000))
    play(motion, lambda t: box(1000 + 200 * t) + chance.normal(0, 1.5, 4).astype(np.float32), np.arange(0, 2, 1 / rate))
    assert motion.speed[0, 0] == pytest.approx(200, rel=0.15)
    assert abs(motion.speed[0, 1]) < 30


def test_near_and_far_are_the_same_but_for_the_scale():
    near, far = KalmanFilters.born(box(1000)), KalmanFilters.born(box(1000) / 10)
    play(near, lambda t: box(1000 + 200 * t**2), np.arange(0, 1, 0.04))
    play(far, lambda t: box(1000 + 200 * t**2) / 10, np.arange(0, 1, 0.04))
    np.testing.assert_allclose(near.place, far.place * 10, rtol=1e-3)
    np.testing.assert_allclose(near.speed, far.speed * 10, rtol=1e-2, atol=0.5)


def test_one_step_or_many_lead_to_the_same_place():
    """Dropped frames: predicting 0.4 s at once or in ten steps."""
    one, many = KalmanFilters.born(box(1000)), KalmanFilters.born(box(1000))
    one.speed[0, :2] = many.speed[0, :2] = (150, -40)
    one.predict(0.4)
    for _ in range(10):
        many.predict(0.04)
    np.testing.assert_allclose(one.place, many.place)
    np.testing.assert_allclose(one.p00[:, :2], many.p00[:, :2])


def test_what_goes_behind_something_goes_on_at_its_speed():
    """It walks right at 200 pixels a second, behind a wall that begins at x = 1300: the right edge stops there."""
    motion = KalmanFilters.born(box(1000))

    def seen(t):
        return np.minimum(box(1000 + 200 * t), np.array([1e9, 1e9, 1300, 1e9], np.float32))

    play(motion, seen, np.arange(0, 1.56, 0.04))
    assert motion.speed[0, 0] > 160
    assert motion.place[0, 0] == pytest.approx(1000 + 200 * 1.52, abs=15)
    assert motion.place[0, 2] > 50, "its width is known although little of it shows"


def test_what_comes_in_over_the_border_has_the_speed_of_its_inner_edge():
    motion = KalmanFilters.born(np.array([[0, 440, 8, 560]], np.float32))
    frame = (2000, 1000)
    play(motion, lambda t: np.clip(box(-22 + 200 * t), 0, 2000), np.arange(0, 0.24, 0.04), frame)
    assert motion.speed[0, 0] > 150, "the centre of what shows moves at half the speed"


def test_a_growth_is_not_carried_on_for_long():
    motion = KalmanFilters.born(box(1000))
    play(motion, lambda t: box(1000, w=60 + 100 * t), np.arange(0, 0.6, 0.04))
    width = motion.place[0, 2]
    motion.predict(5.0)
    assert motion.place[0, 2] < width + 60


def test_the_camera_carries_places_but_not_speeds():
    motion = KalmanFilters.born(box(1000))
    motion.speed[0, :2] = (100, 0)
    motion.warp(np.array([[1.1, 0, 30], [0, 1.1, -20]]))
    np.testing.assert_allclose(motion.place[0], [1130, 530, 66, 132])
    np.testing.assert_allclose(motion.speed[0, :2], [110, 0])


def test_measured_speed_counts_by_its_deviation():
    sure, unsure = KalmanFilters.born(box(1000)), KalmanFilters.born(box(1000))
    for motion, deviation in ((sure, 5.0), (unsure, 5000.0)):
        motion.observe_speed(np.array([0]), np.array([[150.0, -30.0]]), np.array([deviation]))
    np.testing.assert_allclose(sure.speed[0, :2], [150, -30], rtol=0.05)
    assert np.abs(unsure.speed[0, :2]).max() < 10


def test_boxes_and_centres_are_inverse():
    boxes = np.array([[10, 20, 50, 100], [0, 0, 5, 5]], np.float32)
    np.testing.assert_allclose(to_boxes(to_centres(boxes)), boxes)
