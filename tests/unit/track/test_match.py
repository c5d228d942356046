"""Which detection becomes which track: each rule of `associate` from both sides of its limit."""

from __future__ import annotations

import numpy as np
import pytest

from streamseg.core.types import Instances
from streamseg.track.appearance import BINS
from streamseg.track.match import associate
from streamseg.track.overlap import overlap
from streamseg.track.state import Detected, Tracks

CLASSES = ("person", "car")
SIDE = 100.0
NOW = 10.0


def square(x: float = 0.0, y: float = 0.0, width: float = SIDE, height: float = SIDE) -> list[float]:
    return [x, y, x + width, y + height]


def beside(share: float, x: float = 0.0) -> list[float]:
    """A square that overlaps the one at x by this IoU."""
    return square(x + SIDE * (1 - share) / (1 + share))


def look(alike: float | None) -> np.ndarray:
    """A histogram of this similarity to `look(1)`; None: nothing is known."""
    made = np.zeros(BINS, np.float32)
    if alike is not None:
        made[0], made[1] = 4 * alike**2, 4 * (1 - alike**2)
    return made


def found(boxes, *, scores=None, labels=None, looks=None, high=None, copy=None, same=None) -> Detected:
    n = len(boxes)
    scores = np.linspace(0.9, 0.8, n) if scores is None else scores
    instances = Instances(
        np.array(boxes, np.float32), np.array(scores, np.float32), np.array(labels or [0] * n, np.int64),
        np.full((n, 28, 28), 255, np.uint8), CLASSES,
    )  # fmt: skip
    made = Detected.of(instances, np.stack([look(a) for a in (looks or [None] * n)]), 0.5)
    copy = np.zeros(n, bool) if copy is None else np.array(copy)
    same = np.zeros((n, n), bool) if same is None else np.array(same)
    return Detected(made.instances, made.masks, made.looks, np.array([True] * n if high is None else high), same, copy)


def tracks(boxes, *, alike=None, hits=5, age=0.04, unseen=0.0, votes=None, hidden=None, since=None, seen=None) -> Tracks:
    """Tracks last seen `age` seconds ago."""
    n = len(boxes)
    made = Tracks.born(found(boxes, looks=[alike] * n), np.arange(n), np.arange(1, n + 1), NOW)
    made.hits[:] = hits
    made.last[:] = NOW - np.array(age)
    made.first[:] = made.last - 1.0 if since is None else since
    made.unseen[:] = unseen
    if votes is not None:
        made.votes[:] = votes
    if hidden is not None:
        made.hidden[:] = hidden
    if seen is not None:
        made.seen[:] = seen
    return made


def pairs(some: Tracks, others: Detected, max_age: float = 1.0, confirm: float = 0.1) -> dict[int, int]:
    rows, columns = associate(some, others, NOW, max_age=max_age, confirm=confirm)
    assert len(rows) == len(columns) == len(set(rows.tolist())) == len(set(columns.tolist()))
    return dict(zip(rows.tolist(), columns.tolist(), strict=True))


def matches(some: Tracks, others: Detected, **limits: float) -> bool:
    return pairs(some, others, **limits) == {0: 0}


FAR = 1000.0
"""Where nothing else is."""


def test_overlaps_are_what_the_other_tests_take_them_for():
    boxes = [beside(share) for share in (0.25, 0.4, 0.6, 0.8)]
    one, many = found([square()]), found(boxes)
    shares = overlap(one.instances.boxes, one.masks, many.instances.boxes, many.masks)[0]
    np.testing.assert_allclose(shares, [0.25, 0.4, 0.6, 0.8], atol=0.03)


def test_nothing_matches_nothing():
    assert pairs(tracks([square()]), found([square(FAR)])) == {}
    empty = found([square()])
    assert associate(tracks([square()]).select(np.array([False])), empty, NOW, max_age=1, confirm=0.1)[0].dtype == np.int64


@pytest.mark.parametrize(("share", "yes"), [(0.65, True), (0.48, False)])
def test_another_class_needs_a_much_better_overlap(share, yes):
    assert matches(tracks([square()]), found([beside(share)], labels=[1])) is yes


@pytest.mark.parametrize(("alike", "yes"), [(0.96, True), (0.9, False)])
def test_another_class_with_the_same_colours_is_a_slip(alike, yes):
    assert matches(tracks([square()], alike=1), found([beside(0.45)], labels=[1], looks=[alike])) is yes


@pytest.mark.parametrize(("share", "yes"), [(0.25, True), (0.15, False)])
def test_a_class_that_it_has_been_seen_as_before_is_its_own(share, yes):
    assert matches(tracks([square()], votes=[1 - share, share]), found([beside(0.45)], labels=[1])) is yes


@pytest.mark.parametrize(
    ("share", "alike", "hidden", "yes"),
    [
        (0.5, 0.6, False, True), (0.5, 0.5, False, False), (0.7, 0.5, False, True), (0.7, 0.1, False, True),
        (0.4, 0.5, True, True), (0.25, 0.5, True, False),
    ],
)  # fmt: skip
def test_other_colours_need_a_certain_overlap_less_of_what_comes_out_of_hiding(share, alike, hidden, yes):
    assert matches(tracks([square()], alike=1, hidden=[hidden]), found([beside(share)], looks=[alike])) is yes


@pytest.mark.parametrize(("alike", "yes"), [(0.75, True), (0.62, False)])
def test_one_that_was_lost_must_be_more_alike(alike, yes):
    some = tracks([square(), square(FAR)], alike=1, age=[0.5, 0.04])
    assert (0 in pairs(some, found([beside(0.8)], looks=[alike]))) is yes
    alone = tracks([square()], alike=1, age=0.2)
    assert matches(alone, found([beside(0.8)], looks=[0.62])), "just seen, by the time that it tells"


@pytest.mark.parametrize(("share", "winner"), [(0.7, 1), (0.5, 0)])
def test_of_two_at_one_place_the_one_in_view_wins_unless_it_fits_much_worse(share, winner):
    some = tracks([square(), beside(share, beside(0.9)[0])], age=[0.6, 0.04])
    assert pairs(some, found([beside(0.9)])) == {winner: 0}


def test_one_only_just_lost_is_hardly_worse_off():
    some = tracks([square(), beside(0.7, beside(0.8)[0])], age=[0.08, 0.04])
    assert pairs(some, found([beside(0.8)])) == {0: 0}


def test_where_pictures_are_far_apart_the_one_seen_last_still_wins():
    """What counts is how much longer ago than of the others, not the time from a picture to the next."""
    some = tracks([square(), beside(0.7, beside(0.75)[0])], age=[0.3, 0.2])
    assert pairs(some, found([beside(0.75)])) == {1: 0}


@pytest.mark.parametrize(
    ("share", "high", "copy", "yes"),
    [(0.5, True, True, True), (0.34, True, True, False), (0.42, False, False, True), (0.28, False, False, False)],
)
def test_copies_and_low_scores_need_more_overlap(share, high, copy, yes):
    assert matches(tracks([square()]), found([beside(share)], high=[high], copy=[copy])) is yes


def test_low_scores_carry_on_only_what_is_sure_in_view_and_not_unlike():
    low = found([beside(0.7)], high=[False], looks=[0.7])
    assert matches(tracks([square()], alike=1), low)
    assert not matches(tracks([square()], alike=1, hits=1), low)
    assert not matches(tracks([square()], alike=1, since=[NOW - 0.09]), low)
    assert not matches(tracks([square()], alike=1, since=[NOW - 0.5]), low, confirm=0.6)
    assert 0 not in pairs(tracks([square(), square(FAR)], alike=1, age=[0.6, 0.04]), low), "not in view"
    assert not matches(tracks([square()], alike=1), found([beside(0.7)], high=[False], looks=[0.5]))


@pytest.mark.parametrize(("low", "winner"), [(0.62, 0), (0.85, 1)])
def test_a_low_score_takes_a_track_only_if_it_fits_much_better(low, winner):
    assert pairs(tracks([square()]), found([beside(0.5), beside(low)], high=[True, False])) == {0: winner}


@pytest.mark.parametrize(("copied", "winner"), [(0.65, 0), (0.85, 1)])
def test_a_copy_takes_a_track_only_if_it_fits_better_by_far(copied, winner):
    assert pairs(tracks([square()]), found([beside(0.55), beside(copied)], copy=[False, True])) == {0: winner}


@pytest.mark.parametrize(("alike", "winner"), [(1.0, 1), (0.7, 0), (None, 0)])
def test_colours_decide_between_equals_and_unknown_ones_do_not(alike, winner):
    assert pairs(tracks([square()], alike=1), found([beside(0.62), beside(0.59)], looks=[None, alike])) == {0: winner}


@pytest.mark.parametrize(
    ("sizes", "hits", "yes"), [(1.0, 5, True), (1.2, 5, False), (1.2, 2, True), (1.55, 2, True), (1.75, 2, False)]
)
def test_nearness_is_enough_for_what_moved_clear_of_itself(sizes, hits, yes):
    """Buffered IoU of 0.3, or 0.1 while the velocity is not known."""
    assert matches(tracks([square()], hits=hits, since=[NOW - 0.04]), found([square(sizes * SIDE)])) is yes


def test_nearness_is_not_enough_for_strangers_old_ones_copies_or_low_scores():
    near = square(0.9 * SIDE + 15)
    assert matches(tracks([square()]), found([near]))
    assert not matches(tracks([square()]), found([near], labels=[1]))
    assert not matches(tracks([square()], unseen=1.1), found([near]))
    assert matches(tracks([square()], unseen=0.9), found([near]))
    assert not matches(tracks([square()]), found([near], high=[False]))
    assert not matches(tracks([square()]), found([near], copy=[True]))
    assert not matches(tracks([square()], alike=1), found([near], looks=[0.5]))
    assert matches(tracks([square()], alike=1), found([near], looks=[0.6]))


def test_overlap_goes_before_nearness():
    some = tracks([square(), square(1.05 * SIDE)])
    assert pairs(some, found([square(1.1 * SIDE), square(2.15 * SIDE)])) == {1: 0}
    assert pairs(some, found([square(1.1 * SIDE), square(-1.0 * SIDE)])) == {1: 0, 0: 1}


LOST = {"alike": 1, "unseen": 2.0}
"""Too long unseen for its motion to tell."""


@pytest.mark.parametrize(
    ("sizes", "age", "yes"), [(1.5, 1.0, True), (1.7, 1.0, False), (1.7, 2.0, True), (2.3, 2.0, True), (2.6, 2.0, False)]
)
def test_what_was_lost_is_recognised_within_reach_which_grows(sizes, age, yes):
    """0.8 of its size, and 0.8 more a second."""
    assert matches(tracks([square()], age=age, **LOST), found([square(sizes * SIDE)], looks=[0.95])) is yes


@pytest.mark.parametrize(("width", "height"), [(400, 100), (100, 400)])
@pytest.mark.parametrize(("away", "yes"), [(300, True), (340, False)])
def test_reach_goes_by_the_square_root_of_the_area(width, height, away, yes):
    some = tracks([square(0, 0, width, height)], age=1.0, **LOST)
    for x, y in ((away, 0), (0, away)):
        assert matches(some, found([square(x, y, width, height)], looks=[0.95])) is yes


def test_what_was_lost_is_recognised_by_its_colours_if_it_was_sure():
    place = square(0.5 * SIDE)
    assert matches(tracks([square()], age=1.0, **LOST), found([place], looks=[0.9]))
    assert not matches(tracks([square()], age=1.0, **LOST), found([place], looks=[0.86]))
    assert not matches(tracks([square()], age=1.0, **LOST), found([place], looks=[None]))
    assert not matches(tracks([square()], age=1.0, hits=1, **LOST), found([place], looks=[0.95]))
    assert not matches(tracks([square()], age=1.0, **LOST), found([place], looks=[0.95], high=[False]))
    assert not matches(tracks([square()], age=1.0, **LOST), found([place], looks=[0.91], labels=[1]))


@pytest.mark.parametrize(
    ("width", "height", "yes"),
    [
        (1.3, 1.3, True),
        (1.5, 1.5, False),
        (0.75, 0.75, True),
        (0.6, 0.6, False),
        (1, 3, True),
        (5.5, 1, True),
        (1, 6.5, False),
        (0.2, 1, True),
    ],
)
def test_what_was_lost_is_recognised_by_its_size_of_which_a_side_may_be_cut(width, height, yes):
    w, h = width * SIDE, height * SIDE
    box = [SIDE / 2 - w / 2, SIDE / 2 - h / 2, SIDE / 2 + w / 2, SIDE / 2 + h / 2]
    assert matches(tracks([square()], age=1.0, **LOST), found([box], looks=[0.95])) is yes


def test_what_was_lost_may_be_where_it_was_seen_or_where_it_should_be():
    some = tracks([square()], age=1.0, seen=[square(FAR)], **LOST)
    assert matches(some, found([square(0.3 * SIDE)], looks=[0.95]))
    assert matches(some, found([square(FAR + 0.3 * SIDE)], looks=[0.95]))
    assert not matches(some, found([square(FAR / 2)], looks=[0.95]))


def test_of_two_alike_the_nearer_is_recognised():
    some = tracks([square()], age=1.0, **LOST)
    assert pairs(some, found([square(1.4 * SIDE), square(0.2 * SIDE)], looks=[0.95, 0.92])) == {0: 1}
    assert pairs(some, found([square(0.5 * SIDE), square(0.4 * SIDE)], looks=[0.99, 0.89])) == {0: 0}


SAME = [[False, True], [True, False]]


def test_a_track_gets_the_whole_rather_than_a_part_of_the_same_thing():
    part, whole = square(), square(-60, 0, 2.2 * SIDE, SIDE)
    assert pairs(tracks([part]), found([whole, part], copy=[False, True], same=SAME)) == {0: 0}
    assert pairs(tracks([part]), found([whole, part], copy=[False, True])) == {0: 1}, "they show different things"
    assert pairs(tracks([part]), found([whole, part], copy=[False, True], same=SAME, high=[False, True])) == {0: 1}
    small = square(10, 10, 80, 80)
    assert pairs(tracks([part]), found([small, part], copy=[False, True], same=SAME)) == {0: 1}, "it is larger"


def test_the_whole_is_not_taken_from_another_track():
    part, whole = square(), square(-60, 0, 2.2 * SIDE, SIDE)
    assert pairs(tracks([part, whole]), found([whole, part], copy=[False, True], same=SAME)) == {0: 1, 1: 0}
