"""Identities hold through crossings, gaps, uneven time and wavering classes. Truth comes from scenes made here."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from streamseg.core.result import Result
from streamseg.core.types import Frame, Instances
from streamseg.track import Tracker
from streamseg.track.overlap import box_iou

CLASSES = ("person", "bicycle", "car", "truck")
TICKS = 90_000
Box = tuple[float, float, float, float]

YY, XX = np.mgrid[0:28, 0:28] + 0.5
FULL = np.full((28, 28), 255, np.uint8)
ELLIPSE = np.where((XX - 14) ** 2 + (YY - 14) ** 2 < 14**2, 255, 0).astype(np.uint8)
UPPER = np.where(XX + YY < 28, 255, 0).astype(np.uint8)
"""The triangle above the diagonal, and..."""
LOWER = 255 - UPPER


class Thing:
    """A rectangle that moves at constant speed (pixels a second), and when it can be seen."""

    def __init__(self, box: Box, speed=(0.0, 0.0), label=0, mask=FULL, seen: Callable[[float], bool] = lambda t: True) -> None:
        self.box, self.speed, self.label, self.mask, self.seen = np.array(box, np.float32), speed, label, mask, seen

    def at(self, t: float) -> np.ndarray:
        return (self.box + np.array([*self.speed, *self.speed]) * t).astype(np.float32)


def result(t: float, rows: Sequence[tuple[np.ndarray, int, np.ndarray, float]], epoch: int = 0, index: int = 0) -> Result:
    frame = Frame(None, index, round(t * TICKS), Fraction(1, TICKS), epoch=epoch)
    if not rows:
        return Result(frame, Instances.empty(CLASSES))
    boxes, labels, masks, scores = zip(*rows, strict=True)
    arrays = np.array(boxes, np.float32), np.array(scores, np.float32), np.array(labels, np.int64), np.array(masks, np.uint8)
    return Result(frame, Instances(*arrays, CLASSES))


def play(
    tracker: Tracker, things: Sequence[Thing], times: Sequence[float], *, noise: float = 0.0, seed: int = 0
) -> list[list[int]]:
    """For each thing the ids it was given; instances come in a random order, jittered by `noise` pixels."""
    chance = np.random.default_rng(seed)
    ids: list[list[int]] = [[] for _ in things]
    for i, t in enumerate(times):
        order = [int(k) for k in chance.permutation(len(things)) if things[k].seen(t)]
        rows = [(things[k].at(t) + chance.normal(0, noise, 4), things[k].label, things[k].mask, 0.9) for k in order]
        tracked = tracker(result(t, rows, index=i))
        for k, track_id in zip(order, tracked.track_ids, strict=True):
            ids[k].append(int(track_id))
    return ids


def steady(seconds: float, rate: float = 25.0) -> list[float]:
    return [i / rate for i in range(round(seconds * rate))]


def one_id_each(ids: list[list[int]]) -> bool:
    return all(len(set(own)) == 1 for own in ids) and len({own[0] for own in ids}) == len(ids)


def test_ids_are_there_from_the_first_frame_and_stay():
    things = [Thing((10, 10, 50, 90)), Thing((200, 10, 260, 90), (30, 0)), Thing((400, 300, 440, 330), (-40, -20))]
    ids = play(Tracker(), things, steady(4), noise=1.5)
    assert one_id_each(ids)
    assert sorted(own[0] for own in ids) == [1, 2, 3]


def test_arrays_other_than_ids_are_left_alone():
    before = result(0, [((10, 10, 50, 90), 0, ELLIPSE, 0.75), ((60, 10, 90, 90), 2, FULL, 0.5)])
    after = Tracker()(before)
    assert after.frame is before.frame
    for name in ("boxes", "scores", "labels", "masks"):
        np.testing.assert_array_equal(getattr(after.instances, name), getattr(before.instances, name))
    assert before.track_ids.tolist() == [0, 0], "the result that came in was changed"
    assert after.track_ids.tolist() == [1, 2]


@pytest.mark.parametrize("rate", [10, 25, 60])
@pytest.mark.parametrize("seed", range(3))
def test_two_that_cross_keep_their_ids(rate, seed):
    """Meeting head on, same class, same size: at the crossing only the velocities tell them apart."""
    things = [Thing((0, 100, 60, 220), (150, 0)), Thing((600, 105, 660, 225), (-150, 0))]
    assert one_id_each(play(Tracker(), things, steady(4, rate), noise=1.5, seed=seed))


def test_two_that_cross_while_one_hides_the_other_keep_their_ids():
    """While their boxes overlap by more than half, only the nearer one is detected."""
    near, far = Thing((0, 100, 60, 220), (150, 0)), Thing((600, 105, 660, 225), (-150, 0))
    far.seen = lambda t: box_iou(near.at(t)[None], far.at(t)[None])[0, 0] < 0.5
    assert one_id_each(play(Tracker(), [near, far], steady(4), noise=1.0))


def test_a_lost_track_does_not_take_the_id_of_one_in_view():
    """One stands and is lost from sight; within the second another comes to stand on the same spot."""

    class Comes(Thing):
        def at(self, t: float) -> np.ndarray:
            return super().at(min(t, 0.8))

    stands, comes = Thing((200, 100, 260, 220), seen=lambda t: t < 0.6), Comes((0, 100, 60, 220), (250, 0))
    for seed in range(5):
        assert one_id_each(play(Tracker(), [stands, comes], steady(2), noise=2.0, seed=seed))


def test_a_lost_track_gets_its_id_back_though_one_in_view_overlaps_a_little():
    hides = Thing((0, 100, 60, 220), seen=lambda t: not 0.5 < t < 0.9)
    near = Thing((30, 100, 90, 220), seen=lambda t: t < 0.9)  # gone in the very frame in which the other comes back
    assert one_id_each(play(Tracker(), [hides, near], steady(1.5)))


def test_the_best_pair_is_not_given_up_for_more_pairs():
    """The first track fits the first instance. That the second instance fits it a little too must not push it aside."""
    tracker = Tracker()
    left, middle, right = (0, 100, 100, 200), (50, 100, 150, 200), (100, 100, 200, 200)
    before = tracker(result(0, [(left, 0, FULL, 0.9), (middle, 0, FULL, 0.9)])).track_ids
    after = tracker(result(0.04, [((48, 100, 148, 200), 0, FULL, 0.9), (right, 0, FULL, 0.9)])).track_ids
    assert after[0] == before[1]


def test_masks_tell_apart_what_boxes_do_not():
    """Two triangles share nearly one box, and drift so that their boxes swap places: overlap of boxes alone would follow them."""
    times = [0.0, 0.04]
    first = [((100, 100, 200, 200), 0, UPPER, 0.9), ((104, 104, 204, 204), 0, LOWER, 0.9)]
    second = [((104, 104, 204, 204), 0, UPPER, 0.9), ((100, 100, 200, 200), 0, LOWER, 0.9)]
    tracker = Tracker()
    before, after = (tracker(result(t, rows)).track_ids.tolist() for t, rows in zip(times, (first, second), strict=True))
    assert before == after


def test_uneven_time_changes_nothing():
    """Variable frame rate: the step varies from 10 to 250 ms; in the longest a thing moves by its own width."""
    chance = np.random.default_rng(3)
    times = np.cumsum(chance.choice([0.01, 0.04, 0.1, 0.25], 120)).tolist()
    things = [Thing((0, 100, 60, 220), (240, 0)), Thing((4000, 100, 4060, 220), (-240, 0)), Thing((0, 110, 60, 230), (120, 0))]
    assert one_id_each(play(Tracker(), things, times, noise=1.0))


def test_dropped_frames_change_nothing():
    """Every fifth frame kept: 0.2 s apart, once the velocity is known."""
    times = steady(0.4) + [t for i, t in enumerate(steady(4)) if t > 0.4 and i % 5 == 0]
    things = [Thing((0, 100, 50, 220), (400, 0)), Thing((30, 400, 80, 520), (400, 0))]
    assert one_id_each(play(Tracker(), things, times, noise=1.0))


def test_small_things_that_jump_clear_of_themselves_are_followed_from_the_start():
    """12 pixels wide, 15 pixels a frame: no overlap at all before the velocity is known."""
    things = [Thing((0, 100, 12, 112), (375, 0)), Thing((0, 200, 12, 212), (375, 0))]
    assert one_id_each(play(Tracker(), things, steady(2)))


@pytest.mark.parametrize(("gap", "same"), [(0.2, True), (0.8, True), (1.4, False)])
def test_a_gap_shorter_than_max_age_is_bridged_along_the_way(gap, same):
    thing = Thing((0, 100, 60, 220), (200, 0), seen=lambda t: not 1 < t < 1 + gap)
    (ids,) = play(Tracker(max_age=1.0), [thing], steady(4), noise=0.5)
    assert (len(set(ids)) == 1) is same


@pytest.mark.parametrize(
    ("box", "label"),
    [
        ((500, 100, 560, 220), 0),  # elsewhere
        ((80, 100, 140, 220), 0),  # 1.3 widths aside
        ((60, 100, 120, 220), 2),  # right beside it, of another class
        ((20, 100, 80, 220), 2),  # over half of its place, of another class
    ],
)
def test_a_newcomer_does_not_inherit_the_id_of_one_that_left(box, label):
    leaves = Thing((0, 100, 60, 220), seen=lambda t: t < 1)
    comes = Thing(box, label=label, seen=lambda t: t >= 1)
    ids = play(Tracker(), [leaves, comes], steady(2))
    assert set(ids[0]) == {1}
    assert set(ids[1]) == {2}


def test_another_class_at_the_same_place_is_not_the_same_thing():
    """A rider on a bicycle: boxes overlap, and each is missed now and then."""
    rider = Thing((100, 50, 160, 200), (80, 0), label=0, seen=lambda t: round(t * 25) % 7 != 3)
    bicycle = Thing((90, 120, 170, 240), (80, 0), label=1, seen=lambda t: round(t * 25) % 5 != 2)
    assert one_id_each(play(Tracker(), [rider, bicycle], steady(3), noise=1.0))


def test_a_class_that_wavers_keeps_its_id_and_settles():
    """Truck in one frame of four, car in the others."""
    tracker = Tracker()
    thing = Thing((100, 100, 300, 200), (50, 0))
    ids, labels = set(), []
    for i, t in enumerate(steady(4)):
        tracked = tracker(result(t, [(thing.at(t), 3 if i % 4 == 1 else 2, FULL, 0.8)]))
        ids.add(int(tracked.track_ids[0]))
        labels.append(int(tracked.labels[0]))
    assert ids == {1}
    assert set(labels[3:]) == {2}


def test_a_class_that_changes_for_good_is_believed_in_the_end():
    """Eight seconds a truck in the distance, then, seen from near, a car: three seconds later it is one."""
    tracker, labels = Tracker(), {}
    for t in steady(11):
        tracked = tracker(result(t, [((100, 100, 300, 200), 3 if t < 8 else 2, FULL, 0.8)]))
        assert tracked.track_ids.tolist() == [1]
        labels[t] = int(tracked.labels[0])
    assert {label for t, label in labels.items() if t < 9} == {3}
    assert labels[10.96] == 2


def test_a_new_epoch_ends_all_tracks_but_ids_go_on():
    tracker = Tracker()
    row = ((100, 100, 200, 200), 0, FULL, 0.9)
    assert tracker(result(0, [row, ((300, 100, 400, 200), 0, FULL, 0.9)])).track_ids.tolist() == [1, 2]
    assert tracker(result(0.04, [row], epoch=1)).track_ids.tolist() == [3]
    assert [t.track_id for t in tracker.tracks] == [3]


def test_states_are_told():
    """A wall stands; one walks behind it; another vanishes in the open; a fourth comes at the end."""
    tracker = Tracker()
    wall = Thing((200, 50, 300, 250), label=3)
    walks = Thing((100, 100, 140, 220), (250, 0), label=0, seen=lambda t: t < 0.36)
    vanishes = Thing((500, 100, 540, 220), label=1, seen=lambda t: t < 0.4)
    comes = Thing((700, 100, 740, 220), label=2, seen=lambda t: t > 0.46)
    play(tracker, [wall, walks, vanishes, comes], steady(0.52))
    assert {t.label: t.state for t in tracker.tracks} == {3: "confirmed", 0: "occluded", 1: "lost", 2: "tentative"}


def test_a_frame_that_the_network_does_not_look_at_says_nothing():
    """Otherwise a thing that stands there would be lost on every second frame."""
    tracker, stands = Tracker(max_age=0.2), Thing((200, 50, 300, 250))
    play(tracker, [stands], steady(0.2))
    skipped = replace(result(0.6, []), detected=False)
    assert tracker(skipped) is skipped
    assert [t.state for t in tracker.tracks] == ["confirmed"]


def one_row(box, score, label=0):
    return (box, label, FULL, score)


def test_a_low_score_carries_on_what_is_known_but_begins_nothing():
    tracker, box = Tracker(conf=0.5), (100, 100, 160, 220)
    assert len(tracker(result(0, [one_row(box, 0.2)]))) == 0
    for i in range(1, 6):
        assert tracker(result(i / 25, [one_row(box, 0.9)])).track_ids.tolist() == [1]
    told = tracker(result(6 / 25, [one_row(box, 0.2), one_row((400, 100, 460, 220), 0.3)]))
    assert told.track_ids.tolist() == [1]
    assert told.scores.tolist() == [np.float32(0.2)]


def test_a_low_score_does_not_carry_on_what_was_seen_once():
    tracker, box = Tracker(conf=0.5), (100, 100, 160, 220)
    assert tracker(result(0, [one_row(box, 0.9)])).track_ids.tolist() == [1]
    assert len(tracker(result(0.04, [one_row(box, 0.2)]))) == 0


def test_two_known_people_are_not_given_up_for_one_strong_detection_of_both():
    """Weak networks find two people side by side as one; while each is still found weakly, each keeps his own."""
    tracker, left, right = Tracker(conf=0.5), (100, 100, 160, 220), (150, 100, 210, 220)
    for i in range(6):
        assert sorted(tracker(result(i / 25, [one_row(left, 0.9), one_row(right, 0.8)])).track_ids.tolist()) == [1, 2]
    told = tracker(result(0.24, [one_row((100, 100, 210, 220), 0.85), one_row(left, 0.3), one_row(right, 0.3)]))
    assert dict(zip(told.track_ids.tolist(), told.boxes.tolist(), strict=True)) == {1: list(left), 2: list(right)}


def test_of_two_tracks_on_one_thing_one_ends():
    """Two halves are found first; then the whole is found twice, for a second."""
    tracker = Tracker(conf=0.5)
    tracker(result(0, [one_row((100, 100, 160, 180), 0.9), one_row((100, 160, 160, 240), 0.8)]))
    whole, again = (100, 100, 160, 230), (100, 110, 160, 240)
    last = [tracker(result(i / 25, [one_row(whole, 0.9), one_row(again, 0.85)])).track_ids.tolist() for i in range(1, 26)]
    assert last[0] == [1, 2]
    assert last[-1] == [1]


@pytest.mark.parametrize("field", ["max_age", "confirm", "reidentify", "conf"])
def test_values_out_of_range_are_refused(field):
    with pytest.raises(ValueError, match=f"{field} is -1"):
        Tracker(**{field: -1})


def test_empty_frames_and_no_instances_at_all():
    tracker = Tracker()
    row = ((100, 100, 200, 200), 0, FULL, 0.9)
    assert tracker(result(0, [])).track_ids.tolist() == []
    assert tracker(result(0.04, [row])).track_ids.tolist() == [1]
    assert tracker(result(0.08, [])).track_ids.tolist() == []
    assert tracker(result(0.12, [row])).track_ids.tolist() == [1]


def test_masks_without_a_single_point_do_no_harm():
    nothing = np.zeros((28, 28), np.uint8)
    ids = play(Tracker(), [Thing((10, 10, 60, 60), mask=nothing), Thing((100, 10, 160, 60), mask=nothing)], steady(1))
    assert one_id_each(ids)


def test_a_duplicate_detection_does_not_steal_the_id_and_is_dropped():
    """The same thing twice in one frame: the better fit keeps the id; the other is not shown, and no track begins with it."""
    tracker = Tracker()
    tracker(result(0, [((100, 100, 200, 200), 0, FULL, 0.9)]))
    tracked = tracker(result(0.04, [((100, 100, 200, 200), 0, FULL, 0.9), ((110, 110, 215, 215), 0, FULL, 0.6)]))
    assert tracked.track_ids.tolist() == [1]
    assert tracked.boxes.tolist() == [[100, 100, 200, 200]]
    assert len(tracker.tracks) == 1


def test_what_it_tells_of_its_tracks():
    tracker = Tracker(max_age=1.0)
    things = [Thing((0, 0, 50, 50), label=2), Thing((100, 0, 150, 50), seen=lambda t: t < 1)]
    play(tracker, things, steady(1.6))
    by_label = {t.label: t for t in tracker.tracks}
    assert (by_label[2].hits, by_label[2].first_time, by_label[2].last_time) == (40, 0.0, pytest.approx(1.56))
    assert (by_label[0].hits, by_label[0].last_time) == (25, pytest.approx(0.96))
    tracker(result(3.0, []))
    assert tracker.tracks == []


def test_ids_are_never_used_again_and_nothing_grows_over_10_000_frames():
    """Things come and go at random places for 400 s; the tracks alive and the tracker's state stay bounded."""
    chance = np.random.default_rng(5)
    tracker = Tracker(max_age=0.5)
    highest, seen, alive = 0, set(), 0
    state: list[int] = []
    for i in range(10_000):
        if i % 10 == 0:
            corners = chance.uniform(0, 2000, (3, 2)).astype(np.float32)
        rows = [((x, y, x + 60, y + 60), 0, FULL, 0.9) for x, y in corners]
        for track_id in tracker(result(i / 25, rows, index=i)).track_ids.tolist():
            assert track_id in seen or track_id > highest, "an id came back"
            highest = max(highest, track_id)
            seen.add(track_id)
        seen = {t.track_id for t in tracker.tracks}
        alive = max(alive, len(seen))
        if i % 1000 == 999:
            state.append(len(pickle.dumps(tracker)))
    assert highest > 2500
    assert alive <= 12
    assert max(state[5:]) <= 1.5 * max(state[:5])


def test_thirty_instances_take_about_a_millisecond():
    """Of core time: 0.5 ms on the machine this was written on; the limit leaves room for a slow one."""
    chance = np.random.default_rng(0)
    things = []
    for _ in range(30):
        x, y = chance.uniform(0, 400, 2)
        things.append(Thing((x, y, x + 120, y + 160), tuple(chance.normal(0, 60, 2)), mask=ELLIPSE))
    tracker, spent = Tracker(), []
    for i, t in enumerate(steady(4)):
        frame = result(t, [(thing.at(t), 0, thing.mask, 0.9) for thing in things], index=i)
        start = time.thread_time()
        tracker(frame)
        spent.append(time.thread_time() - start)
    assert float(np.median(spent)) < 0.003


def test_box_iou():
    a = np.array([[0, 0, 10, 10], [5, 5, 5, 5]], np.float32)
    b = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]], np.float32)
    np.testing.assert_allclose(box_iou(a, b), [[1, 1 / 3, 0], [0, 0, 0]], atol=1e-6)


def test_a_max_age_of_nothing_is_refused():
    with pytest.raises(ValueError, match="max_age is 0"):
        Tracker(max_age=0)


def follow(tracker: Tracker, scores: Sequence[float], rate: float = 25.0) -> list[Instances]:
    """One thing that stands still, seen with these scores."""
    box = np.array((10, 10, 50, 90), np.float32)
    return [tracker(result(i / rate, [(box, 0, ELLIPSE, s)], index=i)).instances for i, s in enumerate(scores)]


def test_a_mistake_is_not_followed_for_ever():
    """A stone that was taken for a person for a moment stays no `person 19 %`, though its low scores match its track."""
    shown = [len(found) for found in follow(Tracker(0.5), [0.55] * 5 + [0.19] * 200)]
    assert shown[:10] == [1] * 10, "a track ends at its first low score"
    assert shown[-150:] == [0] * 150
    assert min(i for i, n in enumerate(shown) if n == 0) / 25 < 1.5
    assert [len(found) for found in follow(Tracker(0.5, keep=0), [0.55] * 5 + [0.19] * 200)] == [1] * 205


def test_a_track_that_becomes_sure_again_is_the_same_one():
    found = follow(Tracker(0.5), [0.8] * 10 + [0.15] * 100 + [0.8] * 50)
    assert len(found[100]) == 0
    assert {int(i) for one in found for i in one.track_ids} == {1}
    assert all(len(one) == 1 for one in found[110:])


def test_tracks_tell_their_mean_score_and_whether_it_is_in_doubt():
    found = follow(Tracker(0.5), [0.9] * 25 + [0.4] * 100)
    means = [float(one.track_scores[0]) for one in found]
    assert means[24] == pytest.approx(0.9)
    assert all(a >= b for a, b in pairwise(means))
    assert means[50] == pytest.approx(0.4 + 0.5 * np.exp(-26 / 25), abs=0.01), "a second after, 1/e of what was is left"
    assert [bool(one.doubtful[0]) for one in found] == [mean < 0.5 for mean in means]
    assert found[50].scores.tolist() == pytest.approx([0.4]), "the frame's own score is changed"
    assert not found[0].doubtful[0]
    assert found[-1].doubtful[0]
