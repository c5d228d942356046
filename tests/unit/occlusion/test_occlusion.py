"""Visible share, who hides whom, depth order and border, against scenes in which all of that is known."""

import itertools
import time
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest

from streamseg.core.result import Result
from streamseg.core.types import Frame, Instances
from streamseg.occlusion import OcclusionEstimator
from tests import scenes
from tests.noisy_detector import NoisyDetector
from tests.unit.encode.results.helpers import true_result

LEAST_VISIBLE = 0.1
"""Of what is seen of less than this, nothing can be asked."""
OVERLAP = 0.02
"""Two overlap when they share this much of the smaller one's whole extent."""


class Judgement:
    """How right an estimate was on a scene."""

    def __init__(self) -> None:
        self.pairs = self.right = self.hidden = self.named = 0
        self.errors: list[float] = []

    def take(self, result: Result, truth: scenes.Truth) -> None:
        estimate, index = result.occlusion, {int(t): k for k, t in enumerate(truth.ids)}
        fractions, ids = truth.visible_fraction, result.track_ids.tolist()
        known = [(i, index[t]) for i, t in enumerate(ids) if t in index and fractions[index[t]] >= LEAST_VISIBLE]
        for i, k in known:
            self.errors.append(abs(float(estimate.visible[i] - fractions[k])))
            hiders = [t for t in truth.occluders(k, 0.1) if t in ids]
            if hiders:
                self.hidden += 1
                self.named += int(estimate.occluded_by[i]) == hiders[0]
        for (i, k), (j, m) in itertools.combinations(known, 2):
            both = (truth.amodal[k] & truth.amodal[m]).sum()
            if both >= OVERLAP * min(truth.amodal[k].sum(), truth.amodal[m].sum()):
                self.pairs += 1
                self.right += (truth.depths[k] < truth.depths[m]) == (estimate.order[i] < estimate.order[j])


def true_ids(result: Result, truth: scenes.Truth) -> Result:
    """Each detection gets the id of the actor whose visible pixels it has most of, once each."""
    ids = np.zeros(len(result), np.int64)
    for i, mask in enumerate(result.masks):
        shared = [(mask & visible).sum() / max(1, (mask | visible).sum()) for visible in truth.visible]
        best = int(np.argmax(shared)) if shared else -1
        if best >= 0 and shared[best] > 0.3 and truth.ids[best] not in ids:
            ids[i] = truth.ids[best]
    return replace(result, instances=replace(result.instances, track_ids=ids))


def judge(scene, seed: int | None = None) -> Judgement:
    """Run the stage over a scene, with true masks or (seed) those of a detector that errs."""
    estimator, judgement = OcclusionEstimator(), Judgement()
    detector = None if seed is None else NoisyDetector(seed=seed)
    for truth in scene:
        result = true_result(truth) if detector is None else true_ids(detector(truth), truth)
        judgement.take(estimator(result), truth)
    return judgement


SCENES = (
    lambda: scenes.crossing(rate=15),
    lambda: scenes.crossing(rate=15, camera=scenes.shake(4), seed=3),
    lambda: scenes.street(rate=10, camera=scenes.pan(60), seed=2),
    lambda: scenes.crowd(rate=10, seed=4),
)


@pytest.fixture(scope="module")
def truths():
    return [list(make()) for make in SCENES]


@pytest.fixture(scope="module", params=[None, 1], ids=["true masks", "detector"])
def judged(request, truths):
    return request.param, [judge(scene, request.param) for scene in truths]


def test_depth_order_is_right_for_95_percent_of_overlapping_pairs(judged):
    pairs, right = sum(j.pairs for j in judged[1]), sum(j.right for j in judged[1])
    assert pairs > 200
    assert right / pairs >= 0.95
    assert min(j.right / j.pairs for j in judged[1]) >= 0.9


def test_visible_share_and_who_hides(judged):
    error, share = (0.03, 0.9) if judged[0] is None else (0.05, 0.85)
    assert np.mean([e for j in judged[1] for e in j.errors]) <= error
    assert sum(j.hidden for j in judged[1]) > 100
    assert sum(j.named for j in judged[1]) / sum(j.hidden for j in judged[1]) >= share


def test_what_is_no_instance_hides_too():
    """People and a car pass behind pillars: known to be hidden, by nobody."""
    estimator, errors, naive = OcclusionEstimator(), [], []
    for truth in scenes.pillar(rate=12.5):
        estimate = estimator(true_result(truth))
        fractions = truth.visible_fraction
        for i, track in enumerate(estimate.track_ids.tolist()):
            k = int(np.flatnonzero(truth.ids == track)[0])
            others = truth.hidden_by[k].max(initial=0)
            if others < 0.01 and fractions[k] < 0.7 and truth.inside[k] > 0.99:
                errors.append(abs(float(estimate.occlusion.visible[i]) - fractions[k]))
                naive.append(1 - fractions[k])
                assert estimate.occlusion.occluded_by[i] == 0
    assert len(errors) > 12
    assert np.mean(errors) < 0.6 * np.mean(naive)


# --- two boxes --------------------------------------------------------------------------------------------------------------

PICTURE = av.VideoFrame(640, 360, "gray")


def result(step: int, boxes: list[tuple[float, ...]], ids: list[int], cut: dict[int, np.ndarray] | None = None, epoch: int = 0):
    n = len(boxes)
    masks = np.full((n, 28, 28), 255, np.uint8)
    for i, mask in (cut or {}).items():
        masks[i] = mask
    found = Instances(
        np.array(boxes, np.float32).reshape(n, 4),
        np.full(n, 0.9, np.float32),
        np.zeros(n, np.int64),
        masks,
        ("thing",),
        np.array(ids, np.int64).reshape(n),
    )
    return Result(Frame(PICTURE, step, step, Fraction(1, 25), epoch=epoch), found)


def pass_behind(estimator, steps: int = 20):
    """Box 2 (100 wide) goes right behind box 1 (x from 300), which is no lower: only time tells."""
    for step in range(steps):
        x = 100 + 10 * step
        right = min(x + 100, 300)
        yield estimator(result(step, [(300, 100, 400, 250), (x, 100, right, 250)], [1, 2]))


def test_a_box_that_slides_behind_another():
    for step, seen in enumerate(pass_behind(OcclusionEstimator())):
        shown = min(1.0, (300 - (100 + 10 * step)) / 100)
        assert seen.occlusion.visible[0] > 0.95
        assert seen.occlusion.visible[1] == pytest.approx(shown, abs=0.08)
        if shown < 0.9:
            assert seen.occlusion.occluded_by.tolist() == [0, 1]
            assert seen.occlusion.order.tolist() == [0, 1]
            assert seen.occlusion.extents[1] == pytest.approx([100 + 10 * step, 100, 200 + 10 * step, 250], abs=6)


def test_masks_that_overlap_share_nothing_when_disjoint():
    """A network may also say what is behind: then the mask itself is the extent, and depth comes from the ground."""
    boxes = [(300, 100, 400, 260), (340, 100, 440, 230)]
    seen = OcclusionEstimator()(result(0, boxes, [1, 2]))
    assert seen.occlusion.order.tolist() == [0, 1]
    assert seen.occlusion.visible == pytest.approx([1.0, 0.4], abs=0.05)
    (_, near), (_, far) = seen.segments(disjoint=True)
    assert near.mean() > 0.97
    assert far.mean() == pytest.approx(0.4, abs=0.03)


def test_a_bite_tells_what_is_in_front():
    """Neither stands lower, and nothing is known from before."""
    bitten = np.full((28, 28), 255, np.uint8)
    bitten[14:, 10:18] = 0
    boxes = [(200, 100, 340, 240), (250, 170, 290, 240)]
    seen = OcclusionEstimator()(result(0, boxes, [1, 2], {0: bitten}))
    assert seen.occlusion.order.tolist() == [1, 0]
    assert seen.occlusion.occluded_by[0] == 0, "its whole extent is not known yet"


def test_nothing_is_remembered_over_an_epoch():
    estimator = OcclusionEstimator()
    for _ in pass_behind(estimator, 15):
        pass
    seen = estimator(result(15, [(300, 100, 400, 250), (250, 100, 300, 250)], [1, 2], epoch=1))
    assert seen.occlusion.visible.tolist() == [1.0, 1.0]


def test_border_and_who_is_alone():
    seen = OcclusionEstimator()(result(0, [(0, 50, 60, 120), (200, 50, 260, 120), (580, 290, 640, 360)], [1, 2, 3]))
    assert seen.occlusion.at_border.tolist() == [True, False, True]
    assert seen.occlusion.visible.tolist() == [1, 1, 1]
    assert np.array_equal(seen.occlusion.extents, seen.boxes)


@pytest.mark.parametrize("ids", [[], [0, 0]])
def test_nothing_and_untracked(ids):
    boxes = [(300, 100, 400, 260), (340, 100, 440, 230)][: len(ids)]
    seen = OcclusionEstimator()(result(0, boxes, ids))
    assert len(seen.occlusion.order) == len(ids)
    assert sorted(seen.occlusion.order.tolist()) == list(range(len(ids)))


def test_order_is_an_order_even_when_all_hide_each_other():
    """Three boxes in a ring: every rank is given once."""
    boxes = [(200, 100, 300, 200), (250, 150, 350, 250), (180, 160, 280, 260)]
    seen = OcclusionEstimator()(result(0, boxes, [1, 2, 3]))
    assert sorted(seen.occlusion.order.tolist()) == [0, 1, 2]


def test_memory_is_bounded():
    estimator = OcclusionEstimator(max_age=0.5)
    for step in range(2000):
        a, b = 2 * step + 1, 2 * step + 2
        estimator(result(step, [(300, 100, 400, 260), (340, 100, 440, 230)], [a, b]))
    assert len(estimator._memory) <= 30
    assert len(estimator._pairs) <= 120


def test_ten_instances_cost_a_millisecond():
    """Of core time, at 25 frames a second; the limit leaves room for a busy machine."""
    made = [true_result(t) for t in itertools.islice(scenes.crowd(seed=1, count=11), 0, 40)]
    assert np.mean([len(r) for r in made]) > 8
    best = np.inf
    for _ in range(3):
        estimator = OcclusionEstimator()
        began = time.thread_time()
        for r in made:
            estimator(r)
        best = min(best, (time.thread_time() - began) / len(made))
    assert best < 0.003


def test_json_says_it(tmp_path):
    seen = list(pass_behind(OcclusionEstimator()))[14].to_json()["instances"]
    assert [i["occluded_by"] for i in seen] == [None, 1]
    assert [i["order"] for i in seen] == [0, 1]
    assert seen[1]["visible"] == pytest.approx(0.6, abs=0.08)
    assert seen[1]["extent"][2] == pytest.approx(340, abs=6)
    assert seen[0]["at_border"] is False
