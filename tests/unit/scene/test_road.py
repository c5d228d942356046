"""The way ahead: corridor, lead, alerts, and what happens, on drives of known geometry (drives.py)."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from streamseg.scene.road import Road, RoadSettings
from streamseg.scene.thresholds import Thresholds
from tests.unit.scene.drives import CAMERA, FOCAL, HEIGHT, HORIZON, MOUNTED, WIDTH, User, drive, watch

MPH = 0.44704
G = 9.80665


def braking(t: float) -> float:
    """Metres, 30 at first, to one that from 2 s on brakes with 0.3 g."""
    return 30 - 0.15 * G * max(t - 2, 0) ** 2


NHTSA = {
    "stopped": (2.1, lambda t: 150 - 45 * MPH * t, lambda _: 45 * MPH, 6.9),
    "braking": (2.4, braking, lambda t: 0.3 * G * max(t - 2, 1e-9), 5.2),
    "slower": (2.0, lambda t: 100 - 25 * MPH * t, lambda _: 25 * MPH, 8.2),
}


@pytest.mark.parametrize("metres", [False, True])
@pytest.mark.parametrize("name", NHTSA)
def test_the_three_tests_of_nhtsa_are_warned_of_in_time(name, metres):
    """Forward collision warning confirmation test, February 2013: the alert at that time to collision, or before."""
    wanted, ahead, closing, seconds = NHTSA[name]
    seen = watch(drive([User(ahead)], seconds, noise=0, camera=CAMERA if metres else None, metres=metres))
    ((time, event),) = [each for each in seen.events if each[1].kind == "alert"]
    assert ahead(time) / closing(time) >= wanted
    assert event.details["ttc"] == pytest.approx(ahead(time) / closing(time), rel=0.02)
    assert ("distance" in event.details) == metres
    assert event.track_id == 1
    assert event.name == "car"


def test_a_warning_goes_on_once_and_stays_on():
    seen = watch(drive([User(lambda t: 60 - 15 * t)], 3.7, noise=0))
    levels = [level for _, level in seen.level(1)]
    assert sorted(levels) == levels, "caution, then the warning, and neither goes off while it comes nearer"
    assert {0, 1, 2} == set(levels)


def test_an_alert_goes_off_when_the_danger_is_over():
    def ahead(t):  # to 18 m at 12 m/s, then away
        return 54 - 12 * t if t < 3 else 18 + 6 * (t - 3)

    levels = dict(watch(drive([User(ahead)], 6, noise=0)).level(1))
    on = [t for t, level in levels.items() if level == 2]
    assert 1.3 < min(on) < 2.4
    assert 1.0 <= max(on) - min(on) < 2.5, "for a moment at least, and not for long"
    assert levels[5.0] == 0


HARMLESS = {
    "following": [User(lambda t: 18 + 3 * np.sin(0.8 * t))],
    "beside us": [User(lambda t: 60 - 12 * t, lambda _: 3.5), User(lambda t: 60 - 12 * t, lambda _: -3.5, "truck")],
    "parked": [User(lambda t, k=k: 10 + 7.0 * k - 9 * t, lambda _: 2.9) for k in range(9)],
    "on the pavement": [User(lambda t, k=k: 15 + 9.0 * k - 9 * t, lambda _: 3.6, "person") for k in range(7)],
    "oncoming": [User(lambda t: 120 - 28 * t, lambda _: -3.5)],
    "waits at the kerb": [User(lambda t: 45 - 10 * t, lambda t: 2.4 + 1.3 * max(1.5 - t, 0), "person")],
    "walks behind us": [User(lambda t: 50 - 9 * t, lambda t: 12 - 1.3 * t, "person")],
    "a bend begins beside a parked car": [User(lambda t: 50 - 14 * t, lambda t: 4.6 - 1.1 * np.clip(t - 0.5, 0, 1.6))],
    "a queue is joined with gentle braking": [
        User(lambda t: 28 - 7 * min(t, 1) - 17.5 * (1 - (1 - np.clip(t - 1, 0, 5) / 5) ** 2))
    ],
}


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", HARMLESS)
def test_nobody_is_warned_of_what_is_harmless(name, seed):
    seen = watch(drive(HARMLESS[name], 6, seed=seed))
    assert not any(scene.alert.any() for scene in seen.scenes)
    assert "near_miss" not in seen.kinds()


def test_one_who_walks_into_the_way_is_warned_of_before_he_is_in_it():
    """At 30 m, 4 m to the right; the vehicle and he are at the same place after 3 s."""
    seen = watch(drive([User(lambda t: 30 - 10 * t, lambda t: 4.2 - 1.4 * t, "person")], 2.8, noise=0))
    ((time, event),) = [each for each in seen.events if each[1].kind == "alert"]
    assert time < 1.9
    assert 4.2 - 1.4 * time > 1.15 + 0.275, "he is not in the way yet"
    assert event.details["in_path"] < 0.5


def test_what_has_just_appeared_is_no_reason():
    seen = watch(drive([User(lambda t: 25 - 12 * t, seen=lambda t: t > 0.6)], 1.0, noise=0))
    assert not any(scene.alert.any() for scene in seen.scenes)


def test_a_class_has_a_time_of_its_own_or_none():
    def first(thresholds):
        seen = watch(drive([User(lambda t: 75 - 15 * t)], 4.6, noise=0), Road(RoadSettings(alerts=thresholds)))
        times = [t for t, event in seen.events if event.kind == "alert"]
        return times[0] if times else None

    early, late = first(Thresholds("early")), first(Thresholds("late"))
    assert early < first(Thresholds()) < first(Thresholds("euro-ncap")) < late
    assert 5 - first(Thresholds(times={"car": 2.0})) == pytest.approx(5 - late, abs=0.05)
    assert first(Thresholds(times={"car": 0.0})) is None
    assert first(None) is None


# --- who is in the way, and who leads ------------------------------------------------------------------------------------------


def test_who_stands_in_the_corridor():
    users = [
        User(lambda _: 15.0),
        User(lambda _: 15.0, lambda _: 3.5),
        User(lambda _: 15.0, lambda _: -2.05),
        User(lambda _: 15.0, lambda _: 0.0, "traffic light"),
    ]
    from tests.unit.scene import drives

    drives.SIZES.setdefault("traffic light", (0.4, 0.9))
    scene = watch(drive(users, 1, noise=0)).scenes[-1]
    ahead, beside, edge, light = scene.in_path
    assert ahead > 0.99
    assert beside < 0.01
    assert 0.4 < edge < 0.7, "its side is at the edge of the corridor, 0.9 + 0.25 m from the middle"
    assert np.isnan(light), "no road user"


def test_the_corridor_is_the_width_of_the_vehicle_on_the_road():
    points = watch(drive([], 0.2, noise=0)).scenes[-1].corridor
    for x, y in points:
        ahead = FOCAL * MOUNTED / (y - HORIZON)
        assert abs(x - WIDTH / 2) * ahead / FOCAL == pytest.approx(1.15, rel=0.05), "a usual camera is 1.35 m high, this 1.3"
    assert points[:, 1].max() == HEIGHT
    assert len(points) == 18


def test_the_corridor_bends_with_the_vehicle():
    """A bend of 100 m to the right: the way is (30 m)^2 / 200 m to the right 30 m ahead."""
    frames = drive([], 3, noise=0, camera=CAMERA, own_speed=lambda _: 10.0, yaw=lambda _: 0.1)
    points = watch(frames).scenes[-1].corridor
    half = len(points) // 2
    middle = (points[:half] + points[::-1][:half]) / 2
    ahead = FOCAL * MOUNTED / (middle[:, 1] - HORIZON)
    off = (middle[:, 0] - WIDTH / 2) * ahead / FOCAL
    inside = middle[:, 0] < WIDTH - 150
    assert inside.sum() > 4
    np.testing.assert_allclose(off[inside], ahead[inside] ** 2 / 200, rtol=0.05, atol=0.05)


def test_who_stands_straight_ahead_in_a_bend_is_not_in_the_way():
    def bent(yaw):
        frames = drive([User(lambda _: 35.0)], 2, noise=0, camera=CAMERA, own_speed=lambda _: 10.0, yaw=lambda _: yaw)
        return float(watch(frames).scenes[-1].in_path[0])

    assert bent(0.0) > 0.9
    assert bent(0.1) < 0.2, "6 m beside it"


def test_the_lead_stays_the_lead_through_a_loss_and_a_new_identity():
    lead = User(lambda _: 20.0, seen=lambda t: not 2 < t < 2.6, track=lambda t: 1 if t < 4 else 7)
    beside = User(lambda _: 12.0, lambda _: 3.5, track=2)
    before = User(lambda _: 45.0, track=3)
    seen = watch(drive([lead, beside, before], 6, noise=0))
    leads = {result.frame.time: scene.lead for result, scene in zip(seen.results, seen.scenes, strict=True)}
    assert {lead for t, lead in leads.items() if 0.5 < t < 3.99} == {1}
    assert {lead for t, lead in leads.items() if t > 4.01} == {7}


def test_the_lead_changes_when_it_leaves_the_lane():
    seen = watch(drive([User(lambda _: 20.0, lambda t: 1.2 * max(t - 2, 0)), User(lambda _: 50.0)], 8, noise=0))
    leads = [scene.lead for scene in seen.scenes]
    assert leads[40] == 1
    assert leads[-1] == 2
    assert [a for a, b in itertools.pairwise(leads) if a != b] in ([0, 1], [0, 1, 0]), "it does not go to and fro"


# --- what happens ------------------------------------------------------------------------------------------------------------


def test_cutting_in_is_told_once():
    """From 4.5 s to 6.5 s from the left lane into ours, 18 m ahead."""
    seen = watch(drive([User(lambda _: 18.0, lambda t: -3.5 + 3.5 * np.clip((t - 3) / 2, 0, 1))], 9))
    (event,) = seen.of("cut_in")
    assert 3.5 < event.time < 4.8
    assert "crossing" not in seen.kinds()


def test_a_lane_change_of_our_own_is_no_cut_in():
    def ours(t):
        return 3.5 * np.clip((t - 3) / 2.5, 0, 1)

    users = [User(lambda _, k=k: 15.0 + 12 * k, lambda t, k=k: -3.5 * (k % 2) + ours(t) - 3.5) for k in range(4)]
    assert "cut_in" not in watch(drive(users, 9)).kinds()


def test_crossing_is_told_when_it_is_through():
    seen = watch(drive([User(lambda _: 14.0, lambda t: 5 - 1.4 * t, "person")], 8, moving=lambda _: 0.0))
    ((told, event),) = [each for each in seen.events if each[1].kind == "crossing"]
    assert event.time == pytest.approx(5 / 1.4, abs=0.3), "when it was in the middle of the way"
    assert told > event.time
    assert event.details["seconds"] == pytest.approx(2 * (1.15 + 0.275) / 1.4, abs=0.6)


def test_a_lead_that_comes_to_a_stand_is_told():
    """10 m/s, and from 2 s on 2.5 m/s2 of both: they stand at 6 s."""
    speed = lambda t: max(10 - 2.5 * max(t - 2, 0), 0.0)  # noqa: E731
    frames = drive([User(lambda _: 12.0)], 9, moving=lambda t: 1.0 if speed(t) > 0.5 else 0.0)
    seen = watch(frames)
    stops = {event.track_id: event for event in seen.of("stop")}
    assert set(stops) == {0, 1}, "the lead, and the vehicle itself"
    assert stops[1].time == pytest.approx(6, abs=0.6)
    assert stops[0].name == "own vehicle"


def test_a_near_miss_is_told_of_with_its_closest_moment():
    """20 m/s towards one that stands, braked with 9 m/s2 too late to keep away more than 2 m."""

    def ahead(t):
        brakes = max(t - 2.0, 0)
        stops = min(brakes, 20 / 9)
        return 64.5 - 20 * (t - brakes) - (20 * stops - 4.5 * stops**2)

    seen = watch(drive([User(ahead)], 5, noise=0, moving=lambda t: float(t < 4.2)))
    (event,) = seen.of("near_miss")
    assert event.details["ttc"] < 1.0
    assert event.details["ttc_std"] > 0


def test_one_behind_a_van_is_expected_to_come_out_again():
    def across(t):
        return 6 - 1.5 * t

    hides = lambda t: 1.2 < across(t) < 3.8  # noqa: E731
    van = User(lambda _: 12.0, lambda _: 2.5, "truck")
    person = User(
        lambda _: 16.0,
        across,
        "person",
        seen=lambda t: not hides(t),
        visible=lambda t: 0.4 if across(t) > 3.0 else 1.0,
        behind=lambda t: 1 if across(t) > 3.0 and across(t) < 4.3 else 0,
    )
    seen = watch(drive([van, person], 6, moving=lambda _: 0.0))
    kinds = [(event.kind, event.track_id) for _, event in seen.events if event.kind in ("hidden", "reappear")]
    assert kinds == [("hidden", 2), ("reappear", 2)]
    hidden = [(r.frame.time, s.hidden[0]) for r, s in zip(seen.results, seen.scenes, strict=True) if s.hidden]
    time, one = hidden[len(hidden) // 2]
    assert one.behind == 1
    assert (one.box[0] + one.box[2]) / 2 == pytest.approx(WIDTH / 2 + across(time) * FOCAL / 16, abs=40)
    assert hidden[-1][0] < 3.4, "until it is seen again"


def test_who_comes_out_as_a_new_track_is_the_one_who_was_hidden():
    def across(t):
        return 6 - 1.5 * t

    van = User(lambda _: 12.0, lambda _: 2.5, "truck")
    person = User(
        lambda _: 16.0, across, "person", seen=lambda t: not 1.2 < across(t) < 3.8, track=lambda t: 2 if across(t) > 3 else 9
    )
    seen = watch(drive([van, person], 6, moving=lambda _: 0.0))
    (event,) = seen.of("reappear")
    assert (event.track_id, event.details["was"]) == (9, 2)


def test_who_walks_out_of_the_picture_is_not_hidden():
    users = [User(lambda _: 12.0, lambda t: 5 + 1.5 * t, "person"), User(lambda _: 10.0, lambda _: -3.5, "truck")]
    assert "hidden" not in watch(drive(users, 6)).kinds()


# --- whatever is missing -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "unknown", [{"horizon": None}, {"turn": None}, {"horizon": None, "turn": None}, {"growth": np.full(2, np.nan, np.float32)}]
)
def test_it_works_with_whatever_is_not_known(unknown):
    users = [User(lambda _: 15.0), User(lambda _: 20.0, lambda _: 3.5)]
    seen = watch(drive(users, 2, **unknown))
    scene = seen.scenes[-1]
    assert scene.in_path[0] > 0.5 > scene.in_path[1]
    assert scene.lead == 1
    assert not scene.alert.any()


def test_nothing_is_known_of_an_empty_road_or_an_untracked_frame():
    for result, scene in drive([], 0.2):
        seen, events = Road()(result, scene)
        assert (len(seen.in_path), seen.lead, seen.hidden, events) == (0, 0, (), ())
    seen = watch(drive([User(lambda _: 15.0, track=lambda _: 0)], 1))
    assert seen.scenes[-1].in_path[0] > 0.9
    assert (seen.scenes[-1].lead, seen.events) == (0, [])


def test_nothing_goes_on_into_another_epoch():
    road = Road()
    watch(drive([User(lambda t: 40 - 12 * t)], 2.4, noise=0), road)
    seen = watch(drive([User(lambda t: 12 - 12 * t)], 0.3, noise=0, epoch=lambda _: 1), road)
    assert not seen.scenes[-1].alert.any()
    assert seen.scenes[0].lead == 0


def test_frames_may_come_at_any_times():
    rng = np.random.default_rng(1)
    times = np.cumsum(rng.uniform(0.01, 0.12, 120))
    seen = watch(drive([User(lambda t: 90 - 15 * t)], 0, times=times[times < 5.4], noise=0))
    ((time, _),) = [each for each in seen.events if each[1].kind == "alert"]
    assert 2.1 < 6 - time < 3.2


def test_memory_is_bounded():
    users = [User(lambda t, k=k: 30 + 2.0 * k - 20 * t, lambda _: 3.5, track=k + 1) for k in range(120)]
    road = Road()
    watch(drive(users, 11, rate=10), road)
    assert len(road._followed) < 60
    assert len(road._alerts) < 60
    assert len(road._happenings._stories) < 60
    assert len(road._hidden._seen) < 60


def test_details_hold_numbers_alone():
    seen = watch(drive([User(lambda t: 60 - 15 * t)], 3.7, noise=0))
    for _, event in seen.events:
        assert all(np.isfinite(value) for value in event.details.values())


def test_a_car_behind_another_is_not_told_of():
    van = User(lambda _: 12.0, lambda _: 2.5, "truck")
    car = User(lambda _: 25.0, lambda t: 9 - 2 * t, seen=lambda t: not 2.0 < 9 - 2 * t < 7.0)
    assert "hidden" not in watch(drive([van, car], 4, moving=lambda _: 0.0)).kinds()
