"""Smooth: less flicker, no ghost, no lag, nothing smeared over a cut; refine: outlines that follow the picture."""

from __future__ import annotations

import time
from dataclasses import replace

import cv2
import numpy as np
import pytest

from streamseg.core.result import Result
from streamseg.core.types import Instances
from streamseg.runtime import Stage
from streamseg.temporal.refine import Refiner
from streamseg.temporal.smooth import Smooth, Smoother
from tests import scenes
from tests.noisy_detector import NoisyDetector
from tests.scenes import Scene, times
from tests.temporal_scores import Score, identified, iou, masks_by_id, steady_detector


def _play(scene: scenes.Scene, stages: dict[str, Stage], frames: int) -> dict[str, Score]:
    """The same trembling detections through each of `stages`; `floor`: what a detector that never errs scores, without a stage."""
    detector, exact = steady_detector(), NoisyDetector.perfect()
    scores = {name: Score(scene) for name in [*stages, "floor"]}
    for i in range(frames):
        truth = scene.truth(i)
        found = identified(detector(truth), truth)
        for name, stage in stages.items():
            scores[name].add(truth, stage(found))
        scores["floor"].add(truth, identified(exact(truth), truth))
    return scores


def refined(smooth: Smooth) -> Stage:
    """Both stages as one."""
    refine = Refiner()
    return lambda result: refine(smooth(result))


def test_flicker_falls_and_outlines_are_better() -> None:
    stages = {"raw": Smooth(None), "smooth": Smooth(Smoother()), "edges": refined(Smooth(None))}
    scores = _play(scenes.street(camera=scenes.shake(2)), stages | {"both": refined(Smooth(Smoother()))}, 16)
    floor = scores["floor"].flicker  # uncovered ground and what the grid of 28 cannot hold flicker even then
    assert scores["smooth"].flicker - floor < 0.6 * (scores["raw"].flicker - floor)
    assert scores["smooth"].iou > scores["raw"].iou
    assert scores["smooth"].f > scores["raw"].f
    assert scores["edges"].f > scores["raw"].f + 0.03
    assert scores["edges"].iou > scores["raw"].iou + 0.01
    assert scores["both"].f > scores["raw"].f + 0.04
    assert scores["both"].flicker - floor < 0.5 * (scores["raw"].flicker - floor)


def test_fifty_frames_a_second() -> None:
    """More frames are averaged, over the same time: the masks are no softer."""
    scores = _play(scenes.crossing(50.0), {"raw": Smooth(None), "smooth": Smooth(Smoother())}, 16)
    floor = scores["floor"].flicker
    assert scores["smooth"].flicker - floor < 0.4 * (scores["raw"].flicker - floor)
    assert scores["smooth"].iou > scores["raw"].iou - 0.003


def test_the_first_frame_of_a_track_is_its_own_mask() -> None:
    scene, smoother = scenes.crossing(), Smoother()
    for truth in map(scene.truth, range(6)):
        found = identified(steady_detector()(truth), truth)
        if truth.index == 5:
            found = replace(found, instances=replace(found.instances, track_ids=found.instances.track_ids + 100))
        smoothed = smoother(found)
        if truth.index in (0, 5):
            np.testing.assert_array_equal(smoothed.instances.masks, found.instances.masks)
            np.testing.assert_array_equal(smoothed.instances.boxes, found.instances.boxes)


def test_no_ghost_is_left_behind_by_fast_motion() -> None:
    scene, smoother = scenes.fast(), Smoother(0.2)
    checked = 0
    for truth in map(scene.truth, range(25)):
        found = identified(steady_detector(jitter=0)(truth), truth)
        smoothed, raw = masks_by_id(smoother(found)), masks_by_id(found)
        for i, track in enumerate(truth.ids.tolist()):
            if track in smoothed:
                checked += 1
                assert iou(smoothed[track], truth.visible[i]) > iou(raw[track], truth.visible[i]) - 0.1
    assert checked > 40


@pytest.mark.parametrize("change", ["cut", "epoch", "unseen"])
def test_nothing_is_smeared_over_a_gap(change: str) -> None:
    """The same ids stand at the same place after a cut, as if the tracker had not noticed."""
    smoother = Smoother(0.5)
    before, after = scenes.crossing(), scenes.street(seed=3)
    for truth in map(before.truth, range(5)):
        smoother(identified(steady_detector()(truth), truth))
    truth = replace(after.truth(5), epoch=int(change == "epoch"))
    if change == "unseen":
        smoother(Result(before.truth(5).frame(), Instances.empty(scenes.CLASSES)))
        truth = before.truth(6)
    found = identified(steady_detector()(truth), truth)
    smoothed = smoother(found)
    for mask, own in zip(smoothed.masks, found.masks, strict=True):
        assert iou(mask, own) > 0.97


def test_memory_is_the_tracks_of_one_frame() -> None:
    smoother, scene = Smoother(), scenes.crossing()
    for truth in map(scene.truth, range(4)):
        found = identified(steady_detector()(truth), truth)
        ids = found.instances.track_ids + 10 * truth.index
        smoother(replace(found, instances=replace(found.instances, track_ids=ids)))
        assert smoother._past is not None
        assert len(smoother._past.ids) == len(found)


def test_edges_of_ten_bits_and_rgb_are_found_as_well() -> None:
    truth = scenes.street().truth(12)
    gains = []
    for name in ("yuv420p", "yuv420p10le", "nv12", "rgb24"):
        found = replace(steady_detector()(truth), frame=truth.frame(name))
        found, fine = identified(found, truth), identified(Refiner()(found), truth)
        score, raw = Score(scenes.street()), Score(scenes.street())
        score.add(truth, fine)
        raw.add(truth, found)
        gains.append(score.f - raw.f)
    assert min(gains) > 0.02


def test_where_the_picture_says_nothing_the_mask_stays() -> None:
    truth = scenes.street().truth(12)
    found = steady_detector()(replace(truth, image=np.full_like(truth.image, 128)))
    for mask, own in zip(Refiner()(found).masks, found.masks, strict=True):
        assert iou(mask, own) > 0.95


def test_small_instances_and_none_at_all() -> None:
    frame = scenes.street().truth(12).frame()
    assert len(Refiner()(Result(frame, Instances.empty(scenes.CLASSES)))) == 0
    boxes = np.array([[10, 10, 22, 22], [0, 0, 640, 360], [100, 100, 300, 101]], np.float32)
    masks = np.full((3, 28, 28), 255, np.uint8)
    found = Instances(boxes, np.ones(3, np.float32), np.zeros(3, np.int64), masks, scenes.CLASSES)
    fine = Refiner()(Result(frame, found)).instances.fine
    assert fine[0] is None
    assert fine[1] is not None
    assert fine[1].shape == (160, 160)
    assert fine[2] is None


def test_the_cost_of_ten_instances_at_720p() -> None:
    """A bound that holds on a busy machine; benchmarks/smoothing.py measures the figure itself."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        scene, stage, spent = (
            Scene((), times(0.3), 1280, 720, camera=scenes.shake(3)),
            refined(Smooth(Smoother())),
            [],
        )
        corners = np.random.default_rng(0).uniform(0, (980, 400), (10, 2))
        boxes = np.concatenate([corners, corners + np.array([150, 300])], 1).astype(np.float32)
        masks = np.repeat((cv2.circle(np.zeros((28, 28), np.uint8), (14, 14), 11, 255, -1))[None], 10, 0)
        found = Instances(boxes, np.ones(10, np.float32), np.zeros(10, np.int64), masks, scenes.CLASSES, np.arange(1, 11))
        for truth in scene:
            result = Result(truth.frame(), found)
            began = time.thread_time()
            stage(result)
            spent.append(time.thread_time() - began)
        assert min(spent[1:]) < 0.018
    finally:
        cv2.setNumThreads(threads)
