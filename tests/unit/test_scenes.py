"""The truth of the made-up scenes is true: what other tests are measured against."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from tests import scenes
from tests.noisy_detector import NoisyDetector, grid


def small(scene: scenes.Scene, seconds: float = 0.4) -> scenes.Scene:
    return replace(scene, times=tuple(t for t in scene.times if t < seconds))


@pytest.mark.parametrize("make", [scenes.pillar, scenes.street, scenes.crowd])
def test_masks_and_occlusion_agree(make):
    truth = make().truth(40)
    assert truth.visible.sum(0).max() <= 1, "visible masks overlap"
    assert not (truth.visible & ~truth.amodal).any()
    assert ((truth.hidden_by >= 0) & (truth.hidden_by <= 1)).all()
    hidden = 1 - truth.visible_fraction
    by_instances = truth.hidden_by.sum(1)
    assert (by_instances <= hidden + 1e-9).all(), "scenery may hide more, never less"
    for i, j in zip(*np.nonzero(truth.hidden_by), strict=True):
        assert truth.depths[j] < truth.depths[i], "hidden by something farther away"
    assert hidden.max() > 0.3, "nothing to test in this frame"


def test_inside_tells_what_is_beyond_the_edge():
    actor = scenes.block(scenes.straight(0, 100), 40, 40, (200, 0, 0))
    truth = scenes.Scene([actor], (0.0,), 320, 200).truth(0)
    assert truth.inside[0] == pytest.approx(0.5, abs=0.03)
    assert truth.amodal[0].sum() == 20 * 40


def test_flow_leads_to_the_same_surface_under_a_moving_camera():
    scene = replace(small(scenes.crossing(camera=scenes.shake(6, 1, scenes.pan(60, 10, 0.1)))), grain=0.0)
    a, b, flow = scene.truth(3), scene.truth(5), scene.flow(3, 5)
    x, y = np.meshgrid(np.arange(scene.width, dtype=np.float32), np.arange(scene.height, dtype=np.float32))
    warped = cv2.remap(b.image, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR)
    inside = cv2.erode(np.ones(x.shape, np.uint8), np.ones((61, 61)), borderValue=0) > 0
    error = np.abs(warped.astype(int) - a.image).mean(2)[inside]
    still = np.abs(b.image.astype(int) - a.image).mean(2)[inside]
    assert np.median(error) < 1.5
    assert np.median(still) > 8
    ground = (a.amodal.sum(0) == 0) & (x < 100)
    motion = scene.camera_motion(3, 5)
    expected = motion[0, 0] * (x + 0.5) + motion[0, 1] * (y + 0.5) + motion[0, 2] - (x + 0.5)
    np.testing.assert_allclose(flow[..., 0][ground], expected[ground], atol=1e-3)


def test_time_not_frames_moves_the_world():
    slow, quick = scenes.street(rate=10), scenes.street(rate=60)
    a, b = slow.truth(10), quick.truth(60)
    assert a.time == b.time == 1.0
    np.testing.assert_array_equal(a.visible, b.visible)


def test_a_film_cuts_with_time_and_ids_going_on():
    truths = list(replace(scenes.cuts(), scenes=[small(s, 0.2) for s in scenes.cuts().scenes]))
    assert [t.index for t in truths] == list(range(15))
    np.testing.assert_allclose(np.diff([t.time for t in truths]), 0.04)
    assert not set(truths[4].ids) & set(truths[5].ids)


def test_the_perfect_detector_tells_the_truth_and_the_noisy_one_is_repeatable():
    scene = small(scenes.street(), 2.1)
    truth = scene.truth(50)
    found = NoisyDetector.perfect()(truth)
    shown = truth.visible[truth.visible.sum((1, 2)) >= 12]
    assert len(found) == len(shown)
    for mask in found.masks:
        ious = (mask & shown).sum((1, 2)) / (mask | shown).sum((1, 2))
        assert ious.max() > 0.8
    first, again = ([NoisyDetector(seed=3).instances(truth) for _ in range(2)] for _ in range(2))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a.boxes, b.boxes)
        np.testing.assert_array_equal(a.masks, b.masks)


def test_a_grid_spans_its_box_exactly():
    mask = np.zeros((100, 100), bool)
    mask[20:76, 10:38] = True
    levels = grid(mask, np.array([10, 20, 66, 76]))
    assert (levels[:, :13] == 255).all()
    assert (levels[:, 15:] == 0).all()
