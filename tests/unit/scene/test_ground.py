"""Metres on the road: as true as the deviations say, and none where none can be known."""

import math
from dataclasses import replace

import numpy as np
import pytest

from streamseg.core.scene import Turn
from streamseg.scene.ground import Ground
from tests.unit.scene.flat_road import CAMERA, RATE, Box, project, scene_of, seen

SWAY = 0.004
"""Radians by which the vehicle nods in these tests."""


def nod(time: float) -> float:
    return SWAY * math.sin(2 * math.pi * 1.3 * time)


def drive(ground, things, seconds=4.0, *, pitch=0.0, camera=CAMERA, focus=True, noise=0.0, roll=0.0, told=True, growth=None):
    """The scenes of a drive on which `things` (a function of time) are seen by a camera that nods about `pitch`."""
    before = pitch + nod(0.0)
    for i in range(int(seconds * RATE)):
        time = i / RATE
        now = pitch + nod(time)
        horizon = camera.cx, camera.cy + camera.fy * math.tan(now)
        turn = Turn(now - before, 0.0, 0.0, 3e-4, horizon if focus else None, 1.0, (6.0, 6.0)) if told else None
        before = now
        result = seen(things(time), time, now, camera, roll, noise)
        yield time, ground(result, scene_of(result, turn, () if growth is None else growth(time)))


def test_distances_are_true_within_their_bars_while_the_camera_nods():
    """A camera tilted by 2 degrees of which nobody says so; cars and a person at 12 to 60 m, one comes nearer with 5 m/s."""

    def things(time):
        return {1: Box("car", 45 - 5 * time, 1.0), 2: Box("person", 12.0, -3.0, 1.75, 0.5), 3: Box("car", 60.0, 4.0)}

    def growth(time):
        return [5 / (45 - 5 * time), 0.0, 0.0]

    *_, (time, scene) = drive(Ground(CAMERA), things, pitch=math.radians(-2), noise=1.0, growth=growth)
    truth = np.array([45 - 5 * time, 12.0, 60.0])
    assert np.abs(scene.distance / truth - 1).max() < 0.08
    assert (np.abs(scene.distance - truth) < 2 * scene.distance_std).all()
    assert (scene.distance_std / truth < 0.15).all()
    assert np.abs(scene.lateral - [1.0, -3.0, 4.0]).max() < 0.7
    assert scene.speed[0] == pytest.approx(-5, abs=1.0)
    assert (np.abs(scene.speed - [-5, 0, 0]) < 2 * scene.speed_std).all()
    assert abs(scene.horizon.y - (360 - 1000 * math.tan(math.radians(2) - nod(time)))) < 2 * scene.horizon.y_std + 1


def test_far_away_the_bar_is_wider():
    *_, (_, scene) = drive(Ground(CAMERA), lambda t: {1: Box("truck", 15.0, 0, 3.0), 2: Box("truck", 70.0, 6, 3.0)})
    share = scene.distance_std / scene.distance
    assert share[1] > 2 * share[0]


def test_a_sudden_nod_moves_no_distance_where_the_turn_is_known_and_widens_the_bar_where_it_is_not():
    quiet = Box("truck", 30.0, 0, 2.9)
    bars = {}
    for told in (True, False):
        *_, (_, scene) = drive(Ground(CAMERA), lambda t: {1: quiet}, focus=False, told=told, seconds=2)
        bars[told] = float(scene.horizon.y_std)
    assert bars[False] > bars[True]


def test_without_the_cameras_height_there_are_no_metres():
    ground = Ground(replace(CAMERA, mounted=None))
    *_, (_, scene) = drive(ground, lambda t: {1: Box("car", 20.0)}, seconds=1, camera=CAMERA)
    for name in ("distance", "distance_std", "lateral", "lateral_std", "speed", "speed_std"):
        assert np.isnan(getattr(scene, name)).all(), name
    assert scene.horizon is not None
    assert scene.camera.mounted is None


def test_with_nothing_known_of_the_camera_there_is_a_guess_that_says_so():
    result = seen({1: Box("car", 20.0)}, 0.0)
    scene = Ground(None)(result, scene_of(result))
    assert scene.camera.source == "guessed"
    assert scene.camera.focal_std >= 0.2
    assert np.isnan(scene.distance).all()
    assert scene.horizon.y_std > 25


def test_a_guessed_focal_length_is_in_the_bar():
    guessed = replace(CAMERA, focal_std=0.25, source="guessed")
    *_, (_, scene) = drive(Ground(guessed), lambda t: {1: Box("car", 20.0)}, seconds=2)
    assert scene.distance_std[0] / scene.distance[0] > 0.25


def test_what_is_no_road_user_has_no_distance():
    *_, (_, scene) = drive(Ground(CAMERA), lambda t: {1: Box("traffic light", 20.0, 0, 0.9, 0.3, above=4.0)}, seconds=1)
    assert np.isnan(scene.distance).all()


def test_what_the_lower_border_cuts_off_is_nearer_than_the_border_tells():
    """A car that we come close to: its foot leaves the picture at 3.6 m, and it is followed by its growth from there."""

    def things(time):
        return {1: Box("car", max(8.0 - 1.5 * time, 2.5))}

    for time, scene in drive(Ground(CAMERA), things, seconds=3.4):
        truth = 8.0 - 1.5 * time
        if math.isfinite(scene.distance[0]) and time > 0.5:
            assert abs(scene.distance[0] - truth) < 2.5 * scene.distance_std[0] + 0.1, time


def test_the_lens_is_undone():
    """A wide lens bends what is far from the middle: without it a person at the side seems a tenth nearer or farther."""
    bent = replace(CAMERA, distortion=(-0.25, 0.05, 0.0, 0.0))
    people = {1: Box("person", 9.0, 4.5, 1.7, 0.5)}
    *_, (_, scene) = drive(Ground(bent), lambda t: people, camera=bent, seconds=2)
    *_, (_, plain) = drive(Ground(CAMERA), lambda t: people, camera=bent, seconds=2)
    assert scene.distance[0] == pytest.approx(9.0, rel=0.05)
    assert scene.lateral[0] == pytest.approx(4.5, abs=0.3)
    assert abs(plain.distance[0] / 9.0 - 1) > 0.05


def test_a_van_that_is_called_a_car_is_where_it_stands_and_not_where_a_car_of_its_size_would():
    *_, (_, scene) = drive(Ground(CAMERA), lambda t: {1: Box("car", 18.0, 0, 2.3, 2.0)}, noise=0.5)
    assert scene.distance[0] == pytest.approx(18.0, rel=0.08)


def test_nothing_is_kept_from_another_epoch():
    ground = Ground(CAMERA)
    *_, (_, before) = drive(ground, lambda t: {1: Box("car", 20.0)}, pitch=0.05)
    result = seen({1: Box("car", 50.0)}, 9.0)
    result = replace(result, frame=replace(result.frame, epoch=1))
    scene = ground(result, scene_of(result))
    assert before.horizon.y_std < 8 < scene.horizon.y_std
    assert scene.distance[0] == pytest.approx(50.0, rel=0.1)


def test_frames_without_anyone_and_unknown_turns_are_taken():
    ground = Ground(CAMERA)
    result = seen({}, 0.0)
    scene = ground(result, scene_of(result, Turn(math.nan, math.nan, math.nan, math.nan, (math.nan, 3.0), None)))
    assert scene.distance.shape == (0,)
    assert math.isfinite(scene.horizon.y)


def test_the_world_is_projected_as_it_should_be():
    """The tests' own geometry: looking up moves the horizon down, at 10 m a foot is 130 pixels below it."""
    level = project(CAMERA, np.array([0, 0, 1e6]), 0.05)
    assert level[1] == pytest.approx(360 + 1000 * math.tan(0.05), abs=0.1)
    assert project(CAMERA, np.array([0, 1.3, 10.0]), 0.0)[1] == pytest.approx(490)


def test_a_track_that_is_followed_for_minutes_keeps_sound_deviations():
    """Errors of rounding grew until a variance was negative: after about ten seconds of braking behind someone."""
    ground = Ground(CAMERA)
    gap = lambda time: 6 + 14 * math.exp(-time / 4)  # noqa: E731
    for _, scene in drive(ground, lambda time: {1: Box("car", gap(time))}, seconds=20, noise=1.0):
        assert math.isfinite(scene.distance[0])
        assert scene.distance_std[0] > 0.1


def test_a_number_that_goes_to_another_gives_no_speed_of_a_jet():
    """Detections that jump (a number passed on from a car 60 m away to one at 8 m, and back) made others say 1536 km/h."""
    told = []
    for time, scene in drive(Ground(CAMERA), lambda time: {1: Box("car", 8.0 if int(time * 2.5) % 2 else 60.0)}, seconds=4):
        told.append(float(scene.speed[0]))
        assert not abs(scene.speed[0]) > 90, time
        assert not scene.speed_std[0] > 10, time  # what is not known is left out
    assert np.isnan(told).any()
