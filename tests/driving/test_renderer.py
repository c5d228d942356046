"""The pictures show the same world as the truth: what moves in them moves as the truth says."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from tests.world import Actor, Body, World, body, car, scenarios, walker
from tests.world.motion import Road, drive, still, sway
from tests.world.render import Renderer
from tests.world.truth import Truth
from tests.world.view import projected
from tests.world.world import in_camera


def world(**rest: object) -> World:
    actors = (
        Actor(car((150, 40, 40)), drive(18.0, 8.0), still(0.5), 0.0),
        Actor(body.truck(), still(40.0), still(4.5), 0.0),
        Actor(body.house(), still(30.0), still(-14.0), 0.0),
        Actor(walker(), drive(12.0, 1.2), still(-4.0)),
    )
    made = World(actors, drive(0, 12.0), sway=sway(2, pitch=0.4), mount=(0.02, 0.01, 0.02), readout=0.02)
    return scenarios.small(replace(made, **rest))  # type: ignore[arg-type]


def grey(truth: Truth) -> np.ndarray:
    assert truth.picture is not None
    return truth.picture.to_ndarray(format="yuv420p", threads=1)[: truth.camera.height]


def followed(a: Truth, b: Truth, points: np.ndarray) -> np.ndarray:
    """[N, 2] where points of frame a are in frame b; NaN: lost."""
    found, state, _ = cv2.calcOpticalFlowPyrLK(
        grey(a), grey(b), points.astype(np.float32)[:, None] - 0.5, None, winSize=(15, 15)
    )
    found = found[:, 0] + 0.5
    found[state[:, 0] == 0] = np.nan
    return found


@pytest.mark.parametrize("road", [Road(), Road(1 / 150)], ids=["straight", "bend"])
def test_the_ground_moves_as_the_camera_does(road: Road) -> None:
    """Points of the ground at known places, found again by optical flow where the next frame's truth projects them."""
    w = world(road=road, actors=())
    render = Renderer(w, grain=1.0)
    a, b = (render(w.truth(i)) for i in (20, 21))
    places = [road.place(w.s(a.time) + s, d) for s in np.linspace(6, 14, 9) for d in np.linspace(-2.5, 2.5, 6)]
    solids = np.array([(x, 0.0, y) for x, y, _ in places])

    def seen(truth: Truth) -> np.ndarray:
        k = w.camera
        corners = [in_camera(solids, (0.0, 0.0, 0.0), pose) for pose in truth.poses]
        return projected(corners[0], corners[1], (k.fx, k.fy, k.cx, k.cy), k.height)

    before, after = seen(a), seen(b)
    off = followed(a, b, before) - after
    assert np.hypot(*(after - before).T).min() > 1
    assert np.nanmedian(off, axis=0) == pytest.approx((0, 0), abs=0.08)
    assert (np.hypot(*off.T) < 1).mean() > 0.8


def test_what_is_far_away_turns_with_the_camera() -> None:
    """Points of the far hills and clouds move by the truth's rotation alone."""
    w = world(actors=())
    render = Renderer(w, grain=0.5)
    a, b = (render(w.truth(i)) for i in (12, 13))
    k = w.camera
    rows = round(a.horizon.y) - 8
    points = cv2.goodFeaturesToTrack(grey(a)[:rows], 60, 0.01, 8)[:, 0] + 0.5
    rays = np.column_stack([(points[:, 0] - k.cx) / k.fx, (points[:, 1] - k.cy) / k.fy, np.ones(len(points))])
    turn = cv2.Rodrigues(np.array([b.turn.pitch, b.turn.yaw, b.turn.roll]))[0]
    after = rays @ turn
    expected = after[:, :2] / after[:, 2:] * (k.fx, k.fy) + (k.cx, k.cy)
    error = np.hypot(*(followed(a, b, points) - expected).T)
    assert np.hypot(*(expected - points).T).mean() > 0.3
    assert np.nanmedian(error) < 0.15


@pytest.mark.parametrize("shown", [car((150, 40, 40)), body.truck(), walker((200, 40, 40))], ids=lambda body: body.name)
def test_a_thing_is_painted_where_its_mask_is(shown: Body) -> None:
    """With it and without it the pictures differ inside its outline (and in its shadow), nowhere else above the road."""
    with_it = world(actors=(Actor(shown, still(20.0), still(1.0), 0.2),))
    without = replace(with_it, actors=())
    truth = with_it.truth(10)
    change = np.abs(Renderer(with_it).image(truth).astype(int) - Renderer(without).image(without.truth(10))).max(2) > 12
    mask = np.zeros(change.shape, np.uint8)
    for polygon in truth.shapes[0].polygons:
        cv2.fillConvexPoly(mask, np.rint(polygon - 0.5).astype(np.int32), 1)
    inner = cv2.erode(mask, np.ones((3, 3), np.uint8)) > 0
    outer = cv2.dilate(mask, np.ones((3, 3), np.uint8)) > 0
    assert change[inner].mean() > 0.85
    assert not (change & ~outer)[: round(truth.horizon.y) - 4].any()


def test_the_rear_of_a_car_grows_as_the_truth_says() -> None:
    """Of all scales the true one lays the later picture of the rear best over the earlier one."""
    w = world(
        actors=(Actor(car((150, 40, 40)), drive(14.0, 4.0), still(0.0), 0.0),), sway=lambda _: (0.0, 0.0, 0.0), readout=0.0
    )
    render = Renderer(w)
    first, last = w.truth(0), w.truth(5)
    early, late = (cv2.cvtColor(render.image(truth), cv2.COLOR_BGR2GRAY).astype(np.float32) for truth in (first, last))
    x, y = first.horizon.x, float(first.horizon.at(first.horizon.x, w.camera.cx))
    x0, y0, x1, y1 = np.rint(first.boxes[0]).astype(int)
    cut = slice(y0 + (y1 - y0) // 2 + 3, y1 - 3), slice(x0 + 8, x1 - 8)

    def unlike(scale: float) -> float:
        back = np.array([[scale, 0, (1 - scale) * (x - 0.5)], [0, scale, (1 - scale) * (y - 0.5)]])
        laid = cv2.warpAffine(late, back, early.shape[::-1], flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)
        return float(np.abs(laid - early)[cut].mean())

    scales = np.linspace(1.1, 1.2, 101)
    best = scales[np.argmin([unlike(scale) for scale in scales])]
    assert best == pytest.approx(first.distance[0] / last.distance[0], abs=0.003)
