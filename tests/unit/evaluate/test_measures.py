"""Every measure on rectangles whose overlaps are worked out by hand."""

import math

import numpy as np
import pytest

from streamseg.datasets.segments import Crop
from streamseg.evaluate import score
from streamseg.evaluate.boundary import boundary_f, outline
from streamseg.evaluate.calibration import best_confidence, scaling
from streamseg.evaluate.region_ap import area_under_curve
from tests.unit.evaluate.scenes import CATEGORIES, blob, case, found, rectangle, truth

BOX = (30, 30, 20, 20)


def measured(*cases, conf=0.5):
    return score(cases, CATEGORIES, conf=conf)


def one(truths, detections, **more):
    return measured(case(truths, detections), **more)


def test_perfect_answers_score_one_hundred_everywhere():
    crowd = truth((60, 0, 40, 20), crowd=True)
    first = case([truth(BOX), truth((5, 40, 20, 30), 3), crowd], [found(BOX), found((5, 40, 20, 30), 3), found((65, 5, 9, 9))])
    second = case([truth((10, 10, 60, 60))], [found((10, 10, 60, 60), score=0.7)], 2)
    scores = measured(first, second)
    for name in CATEGORIES.values():
        assert scores.box["per_class"][name] == {"AP": pytest.approx(100), "AP50": pytest.approx(100)}
        assert scores.mask["per_class"][name] == {"AP": pytest.approx(100), "AP50": pytest.approx(100)}
        assert scores.apr["per_class"][name] == {"50": 100, "70": 100}
        assert scores.semantic["per_class"][name] == {"iou": 100, "dice": 100}
        assert scores.boundary["per_class"][name]["f"] == 100
    assert scores.pq["per_class"]["person"] == {"PQ": 100, "SQ": 100, "RQ": 100, "TP": 2, "FP": 0, "FN": 0}
    assert (scores.pq["PQ"], scores.semantic["pixel_accuracy"], scores.semantic["mean_iou"]) == (100, 100, 100)
    assert scores.boundary["matched"] == 3
    assert scores.photos == (100, 100)


def test_a_mask_shifted_by_a_fifth():
    # 20x20 pixels, 4 to the right: 16x20 of 24x20 are shared.
    scores = one([truth(BOX)], [found((34, 30, 20, 20))])
    iou = 100 * 320 / 480
    assert scores.semantic["per_class"]["person"] == pytest.approx({"iou": iou, "dice": 100 * 640 / 800})
    assert scores.semantic["per_class"]["car"] == {"iou": None, "dice": None}
    assert scores.semantic["pixel_accuracy"] == pytest.approx(100 * (7500 - 160) / 7500)
    background = 100 * (7500 - 480) / (7500 - 320)
    assert scores.semantic["mean_iou_with_background"] == pytest.approx((iou + background) / 2)
    assert scores.pq["per_class"]["person"] == pytest.approx({"PQ": iou, "SQ": iou, "RQ": 100, "TP": 1, "FP": 0, "FN": 0})
    # Right at 0.50, 0.55, 0.60 and 0.65 of the ten overlaps.
    assert scores.mask["AP"] == pytest.approx(40)
    assert (scores.mask["AP50"], scores.mask["AP75"]) == (pytest.approx(100), 0)
    assert scores.mask["APl"] is None
    assert (scores.apr["50"], scores.apr["70"]) == (100, 0)
    assert scores.boundary["iou"] == pytest.approx(iou)
    # Each outline is a ring of 4 x 20 pixels. Within a pixel of the other: 18 of each horizontal side, 2 of one vertical one.
    assert scores.boundary["f"] == pytest.approx(100 * 38 / 80)


def test_nothing_found_and_nothing_there():
    missed = one([truth(BOX)], [])
    assert (missed.box["AP"], missed.mask["AP"], missed.apr["50"], missed.pq["PQ"], missed.semantic["mean_iou"]) == (0,) * 5
    assert missed.boundary["f"] is None
    assert missed.photos == (0,)
    imagined = one([], [found(BOX)])
    assert (imagined.box["AP"], imagined.mask["AP"], imagined.apr["50"], imagined.semantic["mean_iou"]) == (None,) * 4
    assert imagined.photos == (0,)
    empty = one([], [])
    assert empty.photos == (None,)
    assert (empty.pq["PQ"], empty.semantic["pixel_accuracy"]) == (None, 100)


def test_scores_below_conf_count_for_rank_only():
    scores = one([truth(BOX)], [found(BOX, score=0.4)])
    assert (scores.mask["AP"], scores.apr["70"], scores.pq["PQ"], scores.semantic["mean_iou"]) == (
        pytest.approx(100),
        100,
        0,
        0,
    )
    assert one([truth(BOX)], [found(BOX, score=0.4)], conf=0.3).pq["PQ"] == 100


def test_another_class_is_wrong_for_both():
    scores = one([truth(BOX)], [found(BOX, 3)])
    assert scores.pq["per_class"]["person"]["FN"] == scores.pq["per_class"]["car"]["FP"] == 1
    assert scores.apr["50"] == scores.semantic["per_class"]["person"]["iou"] == 0


def test_region_ap_is_the_area_under_the_monotone_curve():
    # Right, wrong, right of two objects: recall 1/2 at precision 1, recall 1 at 2/3.
    other = (60, 40, 20, 20)
    detections = [found(BOX, score=0.9), found((0, 0, 9, 9), score=0.8), found(other, score=0.7)]
    assert one([truth(BOX), truth(other)], detections).apr["per_class"]["person"]["50"] == pytest.approx(100 * (1 + 2 / 3) / 2)
    assert area_under_curve(np.array([False, True, True]), 4) == pytest.approx(2 / 4 * 2 / 3)
    assert area_under_curve(np.array([], bool), 3) == 0


def test_region_ap_pools_photos_by_score_and_counts_an_object_once():
    twice = case([truth(BOX)], [found(BOX, score=0.9), found(BOX, score=0.6)])
    once = case([truth(BOX)], [found(BOX, score=0.5)], 2)
    # Right, wrong (taken), right.
    assert measured(twice, once).apr["per_class"]["person"]["50"] == pytest.approx(100 * (1 + 2 / 3) / 2)


def test_region_ap_ranks_the_detections_of_all_photos_together():
    wrong = case([], [found(BOX, score=0.3)])
    right = case([truth(BOX)], [found(BOX, score=0.8)], 2)
    assert measured(wrong, right).apr["50"] == measured(right, wrong).apr["50"] == 100


def test_a_crowd_is_neither_right_nor_wrong():
    crowd = truth((0, 0, 50, 40), crowd=True)
    inside, half_out = (5, 5, 20, 20), (40, 5, 30, 20)
    scores = one([truth((60, 50, 20, 20)), crowd], [found((60, 50, 20, 20), score=0.9), found(inside, score=0.95)])
    assert (scores.mask["AP"], scores.box["AP"], scores.apr["70"], scores.pq["PQ"]) == (
        pytest.approx(100),
        pytest.approx(100),
        100,
        100,
    )
    assert scores.semantic["mean_iou"] == 100
    # A third of it lies in the crowd: a false one.
    assert one([crowd], [found(half_out)]).pq["per_class"]["person"]["FP"] == 1
    # A crowd of people does not excuse a car, but its pixels count for no class.
    assert one([crowd], [found(inside, 3)]).pq["per_class"]["car"]["FP"] == 1
    assert one([crowd], [found(inside, 3)]).semantic["pixel_accuracy"] == 100


def test_an_object_of_unknown_mask_counts_for_boxes_only():
    boxed = truth(BOX, has_mask=False)
    missed = one([boxed], [])
    assert (missed.box["AP"], missed.mask["AP"], missed.apr["50"], missed.pq["PQ"]) == (0, None, None, None)
    assert one([boxed], [found(BOX)]).box["AP"] == pytest.approx(100)
    assert one([boxed], [found(BOX)]).photos == (None,)


def test_panoptic_masks_do_not_overlap():
    # The lower score keeps 12 of its 20 columns: 240 of 400 pixels of the object, IoU 0.6.
    right = (38, 30, 20, 20)
    scores = one([truth(BOX), truth((42, 0, 20, 20))], [found(BOX, score=0.9), found((42, 30, 20, 20), 3, score=0.8)])
    assert scores.pq["per_class"]["person"] == pytest.approx(
        {"PQ": 100 / 1.5, "SQ": 100, "RQ": 100 / 1.5, "TP": 1, "FP": 0, "FN": 1}
    )
    assert scores.pq["per_class"]["car"]["FP"] == 1
    kept = one([truth((50, 30, 8, 20))], [found(BOX, score=0.9, category=3), found(right, score=0.8)])
    assert kept.pq["per_class"]["person"]["FN"] == 1  # 8 of 20 columns left: dropped, not cut
    assert kept.pq["per_class"]["person"]["FP"] == 0
    cut = one([truth((50, 30, 12, 20))], [found(BOX, score=0.9, category=3), found((42, 30, 20, 20), score=0.8)])
    assert cut.pq["per_class"]["person"]["SQ"] == 100


def test_panoptic_matches_overlap_by_more_than_half():
    # 10 of 30 columns shared, then 14 of 26.
    assert one([truth(BOX)], [found((40, 30, 20, 20))]).pq["PQ"] == 0
    assert one([truth(BOX)], [found((36, 30, 20, 20))]).pq["PQ"] == pytest.approx(100 * 14 / 26)


def test_an_object_wholly_behind_others_need_not_be_found():
    twice = one([truth(BOX), truth(BOX)], [found(BOX)])
    assert (twice.pq["PQ"], twice.pq["per_class"]["person"]["FN"]) == (100, 0)


def test_an_object_within_a_crowd_counts():
    crowd = truth((0, 0, 100, 75), crowd=True)
    assert one([truth(BOX), crowd], []).semantic["per_class"]["person"]["iou"] == 0
    assert one([truth(BOX), crowd], [found(BOX)]).semantic["per_class"]["person"]["iou"] == 100


def test_overlapping_truth_gives_the_smaller_object_the_pixels():
    big, small = truth((20, 20, 40, 40)), truth(BOX, 3)
    scores = one([big, small], [found((20, 20, 40, 40), score=0.6), found(BOX, 3, 0.9)])
    assert (scores.pq["PQ"], scores.semantic["mean_iou"]) == (100, 100)


def test_outlines_against_distances_of_all_pairs():
    rng = np.random.default_rng(3)
    for _ in range(20):
        a, b, reach = blob(rng, 50, 40), blob(rng, 50, 40), float(rng.integers(1, 6))
        edges = [np.argwhere(outline(mask)) for mask in (a, b)]
        if not all(map(len, edges)):
            continue
        away = np.linalg.norm(edges[0][:, None] - edges[1][None], axis=2)
        precision, recall = (away.min(1) <= reach).mean(), (away.min(0) <= reach).mean()
        f = 2 * precision * recall / (precision + recall) if precision + recall else 0
        assert boundary_f(a, b, reach) == pytest.approx((f, precision, recall))


def test_the_border_of_the_picture_is_no_outline():
    left, all_of_it = rectangle(0, 0, 50, 75), rectangle(0, 0, 100, 75)
    assert outline(left).sum() == 75
    assert not outline(all_of_it).any()
    assert boundary_f(all_of_it, all_of_it, 1) == (1, 1, 1)
    assert boundary_f(all_of_it, left, 1)[0] == 0


def test_a_crop_gives_any_window_of_its_mask():
    crop = Crop.of(truth(BOX).rle)
    whole = rectangle(*BOX)
    for x0, y0, x1, y1 in ((0, 0, 100, 75), (25, 35, 40, 45), (40, 20, 60, 60), (0, 0, 20, 20), (35, 35, 36, 36)):
        assert (crop.window(x0, y0, x1, y1) == whole[y0:y1, x0:x1]).all()


def test_an_outline_within_the_tolerance_is_right():
    side = math.ceil(0.008 * 125)
    assert one([truth(BOX)], [found((30 + side, 30, 20, 20))]).boundary["f"] == 100
    assert one([truth(BOX)], [found((30 + side + 1, 30, 20, 20))]).boundary["f"] < 100


def test_scores_that_are_too_sure():
    # Of ten detections with 0.9 six are right, of ten with 0.3 three.
    def scene(number, score, hits):
        return case([truth(BOX)], [found(BOX if hits else (60, 5, 20, 20), score=score)], number)

    scenes = [scene(i, 0.9, i % 10 < 6) for i in range(100)] + [scene(i, 0.3, i % 10 < 3) for i in range(100, 200)]
    found_out = measured(*scenes).calibration
    assert found_out["bins"] == [
        pytest.approx([0.3, 0.4, 100, 30, 30]) if low == 0.3 else pytest.approx([0.9, 1.0, 100, 90, 60]) for low in (0.3, 0.9)
    ]
    assert found_out["error"] == pytest.approx(15)
    assert (found_out["temperature"], found_out["shift"]) == (pytest.approx(2.43, abs=0.01), pytest.approx(0.5, abs=0.01))


def test_the_scaling_that_made_scores_too_sure_is_found():
    rng = np.random.default_rng(1)
    honest = rng.uniform(0.05, 0.95, 20000)
    right = rng.random(20000) < honest
    logits = np.log(honest / (1 - honest))
    assert scaling(1 / (1 + np.exp(-1.6 * (logits + 1.2))), right) == pytest.approx((1.6, 1.2), abs=0.06)
    assert scaling(honest[:30], np.ones(30, bool)) == (None, None)  # all are right: no shift is far enough


def test_a_second_box_on_an_object_is_wrong_and_one_in_a_crowd_is_neither():
    crowd = truth((60, 0, 40, 20), crowd=True)
    scores = one([truth(BOX), crowd], [found(BOX, score=0.8), found((31, 30, 20, 20), score=0.6), found((65, 5, 9, 9))])
    assert scores.calibration["bins"] == [pytest.approx([0.6, 0.7, 1, 60, 0]), pytest.approx([0.8, 0.9, 1, 80, 100])]
    nothing = one([truth(BOX)], []).calibration
    assert nothing.pop("bins") == []
    assert set(nothing.values()) == {None}


def test_detections_are_best_shown_from_the_score_of_the_best_f1():
    # By falling score: right, wrong, right, right (all of 0.5: one threshold takes both), wrong. Four objects.
    scores, right = np.array([0.5, 0.9, 0.8, 0.5, 0.3]), np.array([True, True, False, True, False])
    assert best_confidence(scores, right, 4) == (0.5, pytest.approx(100 * 2 * 3 / (4 + 4)))
    assert best_confidence(scores, np.zeros(5, bool), 4) == (None, None)
    two = [truth(BOX), truth((5, 40, 20, 30))]
    assert one(two, [found(BOX, score=0.8), found((60, 5, 20, 20), score=0.6)]).calibration["conf"] == 0.8
