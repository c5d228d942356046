"""The world that driving scenes are measured against is itself exact: against OpenCV's projection, and against itself over time."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from tests.world import Actor, Detector, World, body, car, scenarios, walker
from tests.world.detector import grid, visible
from tests.world.drive import Drive, matched
from tests.world.motion import Road, drive, still, sway
from tests.world.view import turned


def test_a_box_is_where_opencv_projects_it() -> None:
    block = body.van()
    world = World((Actor(block, still(20.0), still(-2.0), 0.4),), still(0.0), mount=(0.03, -0.05, 0.02), sway=sway(3))
    truth = world.truth(5)
    c, s = np.cos(0.4), np.sin(0.4)
    corners = []
    for right, up, front in block.solids(0, 0, 0)[0]:
        corners.append((-2.0 + right * c + front * s, 1.3 - up, 20.0 - right * s + front * c))
    assert np.ptp(block.solids(0, 0, 0)[0], axis=0) == pytest.approx((block.width, block.height, block.length))
    axes = turned(*sway(3)(truth.time)) @ turned(0.03, -0.05, 0.02)
    k = world.camera
    matrix = np.array([[k.fx, 0, k.cx], [0, k.fy, k.cy], [0, 0, 1]])
    points = cv2.projectPoints(np.array(corners), cv2.Rodrigues(axes.T)[0], np.zeros(3), matrix, None)[0][:, 0]
    assert truth.outer[0] == pytest.approx([*points.min(0), *points.max(0)], abs=0.01)


def test_a_rolling_shutter_reads_each_row_in_its_own_moment() -> None:
    """A post that passes sideways leans: by its speed times the time between its top and its foot."""
    across = drive(-5.0, 10.0)
    world = World((Actor(body.post(4.0), still(10.0), across, 0.0),), still(0.0), readout=0.03)
    still_world = replace(world, readout=0.0)
    polygon, upright = (w.truth(10).shapes[0].polygons[0] for w in (world, still_world))
    top, foot = polygon[:, 1].min(), polygon[:, 1].max()
    leans = polygon[polygon[:, 1] > foot - 0.5][:, 0].min() - polygon[polygon[:, 1] < top + 0.5][:, 0].min()
    straight = upright[upright[:, 1] > foot - 3][:, 0].min() - upright[upright[:, 1] < top + 3][:, 0].min()
    pixels = 10.0 * 0.03 * (foot - top) / world.camera.height * world.camera.fx / 9.9
    assert leans - straight == pytest.approx(pixels, rel=0.03)


def test_growth_and_speed_are_those_of_the_boxes_and_places() -> None:
    """Of a flat thing the size is in inverse proportion to the distance; between two frames it grows as `growth` says."""
    flat = body.Body("car", "block", 0.02, 1.8, 1.5)
    world = World((Actor(flat, drive(40, 12.0), still(0.0)),), drive(0, 20.0))
    a, b = world.truth(20), world.truth(21)
    sizes = [np.log(t.outer[0, 3] - t.outer[0, 1]) for t in (a, b)]
    growth = (a.growth[0] + b.growth[0]) / 2
    assert (sizes[1] - sizes[0]) * 25 == pytest.approx(growth, rel=0.01)
    assert a.speed[0] == pytest.approx(-8.0)
    assert a.distance[0] == pytest.approx(40 - 8 * 0.8, abs=0.02)
    assert a.ttc[0] == pytest.approx(a.distance[0] / 8)


def test_the_horizon_is_where_far_things_stand() -> None:
    post = Actor(body.post(0.01), still(5000.0), still(0.0), 0.0)
    world = World((post,), still(0.0), mount=(0.02, 0.01, 0.03), sway=sway(2))
    truth = world.truth(3)
    axes, eye = world.looking(truth.time)
    x, y, z = axes.T @ (np.array([0.0, 1e6, 0.0]) - eye)
    k = world.camera
    horizon = truth.horizon
    assert horizon.x == pytest.approx(k.cx + k.fx * x / z, abs=0.01)
    assert float(horizon.at(horizon.x or 0.0, k.cx)) == pytest.approx(k.cy + k.fy * y / z, abs=0.01)


def test_the_turn_is_what_moves_the_far_points() -> None:
    world = World((), drive(0, 15.0), sway=sway(4), road=Road(1 / 100))
    world = replace(world, rate=25.0)
    axes = [world.looking(t)[0] for t in (1.0, 1.04)]
    turn = world.truth(26).turn
    rotation = cv2.Rodrigues(np.array([turn.pitch, turn.yaw, turn.roll]))[0]
    assert axes[0] @ rotation == pytest.approx(axes[1], abs=1e-9)
    assert world.truth(26).yaw_rate == pytest.approx(0.15, rel=1e-3)
    assert turn.yaw == pytest.approx(0.15 / 25, abs=0.003)


def test_road_coordinates_come_back() -> None:
    for road in (Road(), Road(1 / 80, 20.0), Road(-1 / 150, 0.0)):
        for s, d in ((5.0, 2.0), (60.0, -3.0), (90.0, 4.0)):
            x, y, _ = road.place(s, d)
            back = road.along(np.array([x]), np.array([y]))
            assert (back[0][0], back[1][0]) == pytest.approx((s, d), abs=1e-6)


def test_what_stands_in_front_hides() -> None:
    near = Actor(body.van(), still(15.0), still(0.5), 0.0)
    far = Actor(car(), still(30.0), still(-0.7), 0.0)
    truth = World((far, near), still(0.0)).truth(0)
    seen = visible(truth.shape_of(1), truth.shapes)
    assert seen is not None
    box, share = seen
    assert 0.2 < share < 0.8
    assert box[0] == pytest.approx(truth.boxes[0, 0])
    assert box[2] < truth.boxes[0, 2] - 5
    assert box[2] == pytest.approx(truth.boxes[1, 0], abs=1.0)  # it ends where the van begins
    assert grid(truth.shape_of(1), truth.shapes, truth.boxes[0])[:, -4:].max() == 0


def test_what_leaves_the_picture_is_cut_off() -> None:
    """One that we pass is beside us, then behind: its box ends at the border, then it is gone."""
    world = World((Actor(car(), still(12.0), still(3.5), 0.0),), drive(0, 10.0), seconds=2.0)
    boxes = [truth.boxes[0] for truth in world if len(truth)]
    assert len(boxes) < len(world)
    assert all(box[2] == 1280 for box in boxes[-5:])
    assert boxes[-1][0] > 900
    assert all((box >= 0).all() and box[2] <= 1280 and box[3] <= 720 for box in boxes)


def test_a_walker_moves_its_legs_and_keeps_its_feet_down() -> None:
    world = World((Actor(walker(), still(10.0), drive(-3, 1.4)),), still(0.0))
    widths, feet = [], []
    for truth in world:
        if len(truth) and truth.boxes[0, 2] < 1280:
            widths.append(np.ptp(truth.boxes[0, ::2]))
            feet.append(truth.boxes[0, 3])
    assert max(widths) > 1.5 * min(widths)
    assert np.ptp(feet) < 6


def test_the_detector_errs_as_it_says() -> None:
    world = World((Actor(car(), still(20.0), still(0.0), 0.0),), still(0.0), seconds=20.0)
    detector = Detector(1, jitter=0.01, pixels=0.0, drift=0.02, drift_time=0.5, late=0.0, miss=0.1, ids=True)
    exact, found, boxes = world.truth(0).boxes[0], 0, []
    for truth in world:
        result = detector(truth)
        found += len(result)
        boxes += list(result.boxes)
    errors = (np.array(boxes) - exact) / np.tile(exact[2:] - exact[:2], 2)
    assert errors.mean(0) == pytest.approx(0, abs=0.01)
    assert np.diff(errors, axis=0).std() < errors.std() * 1.1  # it lasts
    width = errors[:, 2] - errors[:, 0]
    assert width.std() == pytest.approx(np.hypot(0.02, 0.01 * np.sqrt(2)), rel=0.25)
    assert 0.6 < found / len(world) < 0.9  # a burst lasts 2.5 frames


@pytest.mark.parametrize("make", scenarios.PEACEFUL, ids=lambda make: make.__name__)
def test_nobody_is_in_danger_in_the_peaceful_scenarios(make) -> None:
    """Worked out from the truth: nothing in our way comes nearer within 4 s."""
    for seed in range(2):
        world = replace(make(seed, 60.0), rate=0.25)
        for truth in world:
            ahead = (truth.gap == 0) & (truth.distance > 0)
            assert not (ahead & (truth.ttc < 4.0)).any(), (seed, truth.time, truth.ids[ahead], truth.ttc[ahead])


def test_the_scenarios_are_those_of_the_test_procedure() -> None:
    """45 mph are 20.12 m/s, 20 mph 8.94 m/s; 0.3 g are 2.94 m/s2."""
    begin = scenarios.stopped_lead().truth(0)
    assert begin.speed[0] == pytest.approx(-20.12, abs=0.01)
    assert scenarios.slower_lead().truth(0).speed[0] == pytest.approx(-(20.12 - 8.94), abs=0.01)
    braking = scenarios.braking_lead()
    assert braking.truth(10).distance[0] == pytest.approx(30, abs=0.3)
    speeds = [braking.truth(i).speed[0] for i in (100, 125)]
    assert speeds[1] - speeds[0] == pytest.approx(-2.942, abs=0.01)


def test_the_stages_follow_the_road_users() -> None:
    """One id for the one ahead, matched to the truth, from soon after the start to the end."""
    ids = set()
    seen = 0
    for truth, result in Drive(scenarios.small(scenarios.slower_lead(1), rate=12.5), Detector(1)):
        rows = matched(truth, result)
        if 1 in rows:
            ids.add(int(result.track_ids[rows[1]]))
            seen += 1
    assert len(ids - {0}) == 1
    assert seen > 60
