"""Counts, lines and zones: each thing is told once, at its time, whatever flickers."""

from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest

from streamseg.core.result import Result
from streamseg.core.types import Frame, Instances, Occlusion
from streamseg.errors import ConfigError
from streamseg.events import EventDetector, Line, Zone, ground_points
from streamseg.track import Tracker
from tests import scenes
from tests.noisy_detector import NoisyDetector

WIDTH, HEIGHT = 1000, 500
PICTURE = av.VideoFrame(WIDTH, HEIGHT, "gray")
NAMES = ("person", "car")
MIDDLE = {"middle": Line(((0.5, 0.0), (0.5, 1.0)))}
"""From top to bottom: for who looks along it, smaller x is to the right."""
SQUARE = {"square": Zone(((400, 200), (600, 200), (600, 400), (400, 400)))}


def result(time: float, things: dict[int, tuple[float, float]], label: int = 0, epoch: int = 0) -> Result:
    """Boxes of 40x80 pixels with full masks whose feet stand at the points given."""
    boxes = np.array([(x - 20, y - 80, x + 20, y) for x, y in things.values()], np.float32).reshape(-1, 4)
    n = len(boxes)
    found = Instances(
        boxes,
        np.full(n, 0.9, np.float32),
        np.full(n, label, np.int64),
        np.full((n, 28, 28), 255, np.uint8),
        NAMES,
        np.array(list(things), np.int64).reshape(n),
    )
    return Result(Frame(PICTURE, round(time * 100), round(time * 1000), Fraction(1, 1000), epoch=epoch), found)


def play(detector: EventDetector, steps, rate: float = 25.0):
    """Feed `steps` (dicts of positions, None: nothing seen); all events, and the last activity."""
    events, last, start = [], None, round(detector._time * rate)
    for i, things in enumerate(steps, start + 1 if start else 0):
        last = detector(result(i / rate, things or {})).activity
        events += last.events
    detector.flush()
    return events, last


def walk(x0, x1, y=300.0, count=50, track=1):
    return [{track: (x, y)} for x in np.linspace(x0, x1, count)]


def kinds(events):
    return [(e.kind, e.direction or e.place) for e in events if e.kind != "count"]


# --- lines ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [10, 25, 60])
def test_a_line_is_crossed_once_and_at_its_time(rate):
    detector = EventDetector(MIDDLE)
    events, _ = play(detector, walk(300, 700, count=2 * rate + 1), rate)
    (crossing,) = [e for e in events if e.kind == "cross"]
    assert crossing.direction == "right_to_left", "looking down along the line, larger x is to the left"
    assert crossing.time == pytest.approx(1.0, abs=2 / rate + 0.02)
    assert detector.summary()["lines"] == {"middle": {"left_to_right": 0, "right_to_left": 1}}


def test_directions_are_those_of_who_looks_along_the_line():
    level = {"level": Line(((0.1, 0.5), (0.9, 0.5)))}
    down = [{1: (500, y)} for y in np.linspace(100, 400, 50)]
    assert kinds(play(EventDetector(level), down)[0]) == [("cross", "left_to_right")]
    assert kinds(play(EventDetector(level), down[::-1])[0]) == [("cross", "right_to_left")]


def test_directions_can_be_named():
    door = {"door": Line(((0.1, 0.5), (0.9, 0.5)), directions=("in", "out"))}
    down = [{1: (500, y)} for y in np.linspace(100, 400, 50)]
    detector = EventDetector(door)
    assert kinds(play(detector, down)[0]) == [("cross", "in")]
    assert detector.summary()["lines"] == {"door": {"in": 1, "out": 0}}


@pytest.mark.parametrize("names", [("in",), ("in", "in"), ("in", "")])
def test_directions_without_two_names_are_refused(names):
    with pytest.raises(ConfigError, match=r"two different names, as \[in, out\]"):
        Line(((0.1, 0.5), (0.9, 0.5)), directions=names)


def test_flicker_on_the_line_does_not_count():
    rng = np.random.default_rng(0)
    stands = [{1: (500 + rng.normal(0, 6), 300)} for _ in range(200)]
    events, _ = play(EventDetector(MIDDLE), stands)
    assert kinds(events) == []
    crosses = [{1: (x + rng.normal(0, 6), 300)} for x in np.linspace(420, 580, 100)]
    assert kinds(play(EventDetector(MIDDLE), crosses)[0]) == [("cross", "right_to_left")]


def test_without_hold_and_margin_the_same_flicker_counts():
    rng = np.random.default_rng(0)
    stands = [{1: (500 + rng.normal(0, 6), 300)} for _ in range(200)]
    assert len(kinds(play(EventDetector(MIDDLE, hold=0, margin=0), stands)[0])) > 20


def test_who_turns_around_behind_the_line_crosses_twice():
    there, back = walk(300, 700), walk(700, 300)
    assert kinds(play(EventDetector(MIDDLE), there + back)[0]) == [("cross", "right_to_left"), ("cross", "left_to_right")]


def test_around_the_end_of_a_line_is_not_through_it():
    short = {"gate": Line(((500, 200), (500, 400)))}
    assert kinds(play(EventDetector(short), walk(300, 700, y=450))[0]) == []
    assert kinds(play(EventDetector(short), walk(300, 700, y=350))[0]) == [("cross", "right_to_left")]
    around = walk(300, 700, y=450) + [{1: (700, y)} for y in np.linspace(450, 300, 20)] + walk(700, 600)
    assert kinds(play(EventDetector(short), around)[0]) == []


def test_hidden_while_crossing_is_still_one_crossing():
    steps = walk(300, 700)
    hidden = [s if not 18 <= i < 33 else None for i, s in enumerate(steps)]
    events, _ = play(EventDetector(MIDDLE), hidden)
    assert kinds(events) == [("cross", "right_to_left")]
    assert [e.kind for e in events].count("count") == 1


def test_who_vanishes_just_beyond_the_line_has_crossed_it():
    steps = walk(300, 520, count=40) + [None] * 150
    events, _ = play(EventDetector(MIDDLE, patience=3), steps)
    assert kinds(events) == [("cross", "right_to_left")]


def test_one_wild_frame_is_no_crossing():
    steps = walk(300, 450)
    steps[30] = {1: (800.0, 300.0)}
    assert kinds(play(EventDetector(MIDDLE), steps)[0]) == []


# --- zones ----------------------------------------------------------------------------------------------------------------


def test_enter_leave_and_the_time_between():
    events, activity = play(EventDetector(zones=SQUARE), walk(300, 700, count=101))
    enter, leave = (e for e in events if e.kind in ("enter", "leave"))
    assert (enter.kind, leave.kind, leave.place) == ("enter", "leave", "square")
    assert enter.time == pytest.approx(1.0, abs=0.1)
    assert leave.time == pytest.approx(3.0, abs=0.1)
    assert leave.seconds == pytest.approx(2.0, abs=0.1)
    assert activity.zones == {"square": {"inside": 0, "entered": 1, "left": 1}}


def test_flicker_on_the_edge_and_in_detection_is_one_visit():
    rng = np.random.default_rng(1)
    steps = [{1: (400 + rng.normal(0, 5), 300)} for _ in range(60)] + walk(405, 500)
    steps = [None if rng.random() < 0.3 else s for s in steps]
    events, activity = play(EventDetector(zones=SQUARE), steps)
    assert kinds(events) == [("enter", "square")]
    assert activity.zones["square"]["inside"] == 1


def test_who_is_inside_from_the_start_has_entered():
    events, _ = play(EventDetector(zones=SQUARE), [{1: (500.0, 300.0)}] * 25)
    (enter,) = [e for e in events if e.kind == "enter"]
    assert enter.time == 0.0


def test_a_stay_goes_on_while_hidden_and_ends_when_last_seen():
    steps = walk(300, 500) + [None] * 50 + [{1: (500.0, 300.0)}] * 25 + [None] * 150
    events, activity = play(EventDetector(zones=SQUARE, patience=3), steps)
    assert kinds(events) == [("enter", "square"), ("leave", "square")]
    leave = events[-1]
    assert leave.time == pytest.approx(124 / 25)
    assert leave.seconds == pytest.approx(124 / 25 - 1.0, abs=0.1)
    assert activity.zones["square"]["inside"] == 0


def test_who_is_not_seen_for_a_second_is_not_shown_as_inside():
    detector = EventDetector(zones=SQUARE, patience=3)
    _, activity = play(detector, walk(300, 500) + [None] * 20)
    assert activity.zones["square"]["inside"] == 1
    _, activity = play(detector, [None] * 50)
    assert activity.zones["square"]["inside"] == 0


def test_dwell_is_told_once_a_stay():
    zones = {"square": replace(SQUARE["square"], dwell=1.5)}
    stay = walk(300, 500) + [{1: (500.0, 300.0)}] * 100
    events, _ = play(EventDetector(zones=zones), stay)
    (dwell,) = [e for e in events if e.kind == "dwell"]
    assert dwell.seconds == pytest.approx(1.5, abs=0.05)
    assert not [e for e in play(EventDetector(zones=zones), walk(300, 700, count=40))[0] if e.kind == "dwell"]


def test_the_summary_knows_stays_that_go_on():
    detector = EventDetector(zones=SQUARE)
    play(detector, walk(300, 500) + [{1: (500.0, 300.0)}] * 100)
    zone = detector.summary()["zones"]["square"]
    assert (zone["inside"], zone["entered"], zone["left"]) == (1, 1, 0)
    assert zone["longest_seconds"] == pytest.approx(5.0, abs=0.2)


def test_only_the_classes_asked_for():
    people = {"square": replace(SQUARE["square"], classes=("car",))}
    assert kinds(play(EventDetector(zones=people), walk(300, 700))[0]) == []
    with pytest.raises(ConfigError, match=r"square.*'bicycle'.*person, car"):
        EventDetector(zones={"square": replace(SQUARE["square"], classes=("bicycle",))})(result(0, {}))


def test_fractions_and_pixels_are_the_same_place():
    fractions = {"square": Zone(((0.4, 0.4), (0.6, 0.4), (0.6, 0.8), (0.4, 0.8)))}
    steps = walk(300, 700)
    assert play(EventDetector(zones=fractions), steps)[0] == play(EventDetector(zones=SQUARE), steps)[0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Line(((0, 0),)), "two different points"),
        (lambda: Line(((0.5, 0.5), (0.5, 0.5))), "two different points"),
        (lambda: Line(((0.1, 0.1), (1.2, 0.5))), r"fractions.*0\.\.1"),
        (lambda: Zone(((0, 0), (1, 1))), "three or more"),
        (lambda: Zone(((0, 0), (0.5, 0.5), (1, 1))), "enclose an area"),
        (lambda: Zone(((0, 0), (0, 9), (9, float("nan")))), "finite"),
        (lambda: Zone(((0, 0), (0, 9), (9, 9)), dwell=0), "above 0"),
        (lambda: EventDetector({"a": MIDDLE["middle"]}, {"a": SQUARE["square"]}), "'a' is the name"),
    ],
)
def test_what_makes_no_place_is_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


# --- counts ---------------------------------------------------------------------------------------------------------------


def test_a_track_counts_once_it_is_confirmed():
    events, activity = play(EventDetector(confirm=0.5), walk(100, 200, count=50))
    (count,) = events
    assert (count.kind, count.track_id, count.name) == ("count", 1, "person")
    assert count.time == pytest.approx(0.52, abs=0.05)
    assert (activity.now, activity.total) == ({"person": 1}, {"person": 1})


def test_a_flash_does_not_count_nor_cross():
    steps = walk(300, 350) + [{1: (350.0, 300.0), 2: (x, 300.0)} for x in (480.0, 490.0, 520.0)] + walk(350, 400)
    detector = EventDetector(MIDDLE, zones=SQUARE, hold=0)
    events, activity = play(detector, steps)
    assert {e.track_id for e in events} <= {1}
    assert activity.total == {"person": 1}


def test_events_from_before_the_count_are_told_after_it():
    events, _ = play(EventDetector(MIDDLE, confirm=1.0, hold=0.1), walk(480, 700, count=50))
    assert [e.kind for e in events] == ["count", "cross"]
    assert events[1].time < events[0].time


def test_flicker_and_coming_back_count_once():
    rng = np.random.default_rng(2)
    steps = [s if rng.random() > 0.4 else None for s in walk(100, 300, count=100)] + [None] * 60 + walk(300, 400)
    events, activity = play(EventDetector(patience=4), steps)
    assert [e.kind for e in events] == ["count"]
    assert activity.total == {"person": 1}


def test_a_new_epoch_ends_all_stays():
    detector = EventDetector(zones=SQUARE)
    play(detector, walk(300, 500))
    activity = detector(result(9.0, {7: (500.0, 300.0)}, epoch=1)).activity
    assert [(e.kind, e.track_id) for e in activity.events] == [("leave", 1)]


def test_who_is_seen_to_the_end_of_a_short_video_counts():
    detector = EventDetector(confirm=0.5)
    play(detector, walk(100, 120, count=4))
    assert detector.summary()["total"] == {"person": 1}
    detector = EventDetector(confirm=0.5)
    play(detector, [{}] * 20 + walk(100, 120, count=2))
    assert detector.summary()["total"] == {}, "a flash at the end"


def test_memory_is_bounded():
    detector = EventDetector(MIDDLE, SQUARE, patience=1)
    for i in range(3000):
        detector(result(i / 25, {i // 10 + 1: (300 + 40 * (i % 10), 300)}))
    assert len(detector._subjects) <= 5
    assert detector.counts.total == {"person": 300}


# --- where it stands ------------------------------------------------------------------------------------------------------


def test_the_ground_point_is_the_foot_of_the_mask():
    mask = np.zeros((1, 28, 28), np.uint8)
    mask[0, :21, 14:] = 255
    found = Instances(
        np.array([[100, 100, 128, 156]], np.float32),
        np.ones(1, np.float32),
        np.zeros(1, np.int64),
        mask,
        NAMES,
        np.ones(1, np.int64),
    )
    assert ground_points(found)[0] == pytest.approx([121, 142])
    extents = np.array([[100, 100, 128, 200]], np.float32)
    hidden = Occlusion(np.ones(1, np.float32), np.zeros(1, np.int64), np.zeros(1, np.int64), np.zeros(1, bool), extents)
    assert ground_points(found, hidden)[0] == pytest.approx([114, 200]), "the feet are behind something"


# --- all of it, on people who pass each other -----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 3])
def test_people_who_hide_each_other_are_counted_and_cross_once(seed):
    """A detector that errs, the tracker, the occlusion estimate: four people, two each way through the middle of the picture."""
    from streamseg.occlusion import OcclusionEstimator

    detect, track, judge = NoisyDetector(seed=seed, false=0, copies=0), Tracker(0.5), OcclusionEstimator()
    line = {"middle": Line(((250, 0), (250, 360)))}
    watch, events = EventDetector(line, confirm=0.4), []
    scene = scenes.crossing(seed=seed)
    for truth in scene:
        events += watch(judge(track(detect(truth)))).activity.events
    watch.flush()
    assert watch.counts.total == {"person": 4}
    # At 250 the first two and the third have all passed by the end, the fourth comes from the other side and passes too.
    first, last = scene.truth(0), scene.truth(len(scene) - 1)
    expected = {"left_to_right": 0, "right_to_left": 0}
    for actor in range(4):
        x0, x1 = (_foot_x(t, actor + 1) for t in (first, last))
        if (x0 - 250) * (x1 - 250) < 0:
            expected["right_to_left" if x1 > x0 else "left_to_right"] += 1
    assert sum(expected.values()) == 4
    assert watch.counts.crossed["middle"] == expected


def _foot_x(truth, actor) -> float:
    (index,) = np.flatnonzero(truth.ids == actor)
    return float(np.flatnonzero(truth.amodal[index].any(0)).mean())


@pytest.mark.parametrize("far", [1e300, float("inf"), float("nan"), -2e6])
def test_points_beyond_every_frame_are_refused(far):
    """An overflow was warned of on the terminal."""
    with pytest.raises(ConfigError, match="points must be finite numbers"):
        Zone(((far, 1.0), (2.0, 3.0), (3.0, 9.0)))


def test_events_of_a_camera_say_when_it_was_by_the_clock_on_the_wall():
    """A crossing is told when it is certain; its time and its clock time are those of when it happened."""
    begin, events = 1_796_058_480.0, []
    detector = EventDetector(MIDDLE)
    for i, things in enumerate(walk(300, 700)):
        made = result(i / 25, things)
        events += detector(replace(made, frame=replace(made.frame, utc=begin + made.frame.time))).activity.events
    assert {e.kind for e in events} == {"count", "cross"}
    assert [e.utc - begin for e in events] == pytest.approx([e.time for e in events], abs=1e-6)
