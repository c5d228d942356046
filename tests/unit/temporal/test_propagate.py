"""Detect every N: masks carried along the flow, and which frames the network looks at."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from streamseg.core.result import Result
from streamseg.core.types import Frame, Instances
from streamseg.detect.preprocess import Prepared, Preprocess
from streamseg.detect.schedule import LONGEST_INTERVAL, DetectionSchedule
from streamseg.pixels.letterbox import Letterbox
from streamseg.temporal.propagate import Propagate
from tests import scenes
from tests.noisy_detector import NoisyDetector
from tests.scenes import Film, Scene, Truth
from tests.temporal_scores import iou


def _play(scene: Scene | Film, every: int, frames: int) -> list[tuple[Truth, Result, Result]]:
    """(truth, what is found in the frame, what is known of it when only every Nth is looked at)."""
    detector, stage, out = NoisyDetector.perfect(), Propagate(), []
    for truth in [truth for truth, _ in zip(scene, range(frames), strict=False)]:
        found = detector(truth)
        seen = truth.index % every == 0
        shown = found if seen else replace(found, instances=Instances.empty(scenes.CLASSES), detected=False)
        out.append((truth, found, stage(shown)))
    return out


def _overlaps(truth: Truth, result: Result) -> list[float]:
    """For each object in full view the IoU with the mask that fits best."""
    masks = list(result.masks)
    whole = np.flatnonzero((truth.visible_fraction > 0.9) & (truth.inside > 0.95))
    return [max((iou(mask, truth.visible[i]) for mask in masks), default=0.0) for i in whole]


@pytest.mark.parametrize("camera", [scenes.fixed, scenes.shake(3, base=scenes.pan(60))], ids=["still", "moving"])
def test_masks_follow_what_they_show(camera: scenes.Camera) -> None:
    played = _play(scenes.street(camera=camera), 3, 12)
    carried = [v for truth, _, known in played if not known.detected for v in _overlaps(truth, known)]
    frozen = [
        v
        for (_, _, before), (truth, _, known) in pairwise(played)
        if before.detected and not known.detected
        for v in _overlaps(truth, replace(known, instances=before.instances))
    ]
    assert np.mean(carried) > 0.85
    assert np.mean(carried) > np.mean(frozen) + 0.05


def test_boxes_grow_with_what_comes_nearer() -> None:
    near = scenes.block(scenes.straight(320, 180), 90, 110, (200, 80, 60), 1, zoom=lambda t: 1 + 1.5 * t)
    played = _play(Scene((near,), scenes.times(1), name="near"), 6, 6)
    widths = [float(known.boxes[0, 2] - known.boxes[0, 0]) for _, _, known in played]
    wanted = [float(found.boxes[0, 2] - found.boxes[0, 0]) for _, found, _ in played]
    np.testing.assert_allclose(widths, wanted, rtol=0.04)
    assert widths[5] > widths[0] * 1.2


def test_what_leaves_the_picture_shrinks_with_it_and_is_gone_with_the_next_look() -> None:
    car = scenes.car(scenes.straight(600, 180, 250), 60, (180, 40, 40), 1)
    played = _play(Scene((car,), scenes.times(1)), 6, 16)
    for truth, found, known in played:
        assert (known.boxes[:, 2:] > known.boxes[:, :2]).all()
        if truth.index <= 10:
            np.testing.assert_allclose(known.boxes[0, ::2], found.boxes[0, ::2], atol=4)
        if truth.index >= 12:
            assert len(known) == 0


def test_scores_and_classes_stay_and_ids_are_the_trackers() -> None:
    played = _play(scenes.crossing(), 3, 3)
    for _, _, known in played[1:]:
        np.testing.assert_array_equal(known.labels, played[0][2].labels)
        np.testing.assert_array_equal(known.scores, played[0][2].scores)
        assert not known.track_ids.any()


def test_nothing_is_carried_over_a_change_of_epoch() -> None:
    stage, detector, scene = Propagate(), NoisyDetector.perfect(), scenes.crossing()
    stage(detector(scene.truth(0)))
    later = replace(scene.truth(1), epoch=1).frame()
    assert len(stage(Result(later, Instances.empty(scenes.CLASSES), detected=False))) == 0


# --- which frames the network looks at ----------------------------------------------------------------------------------------


def _prepared(truth: Truth) -> Prepared:
    return Preprocess(144, 256)(truth.frame())


def _plain(index: int, time: float, epoch: int = 0) -> Prepared:
    """A grey frame without a picture: only its time counts."""
    frame = Frame(None, index, round(time * 1000), Fraction(1, 1000), epoch=epoch)  # type: ignore[arg-type]
    return Prepared(frame, np.full((144, 256, 3), 99, np.uint8), Letterbox(1, 1, 0, 0, 256, 144))


def test_every_third() -> None:
    schedule = DetectionSchedule(3)
    assert [schedule(_plain(i, i / 25)) for i in range(7)] == [True, False, False, True, False, False, True]


def test_a_new_epoch_is_looked_at_at_once() -> None:
    schedule = DetectionSchedule(5)
    assert [schedule(_plain(i, i / 25, epoch=int(i >= 2))) for i in range(5)] == [True, False, True, False, False]


def test_a_cut_is_looked_at_at_once_and_motion_is_no_cut() -> None:
    schedule, film = DetectionSchedule(1000), scenes.cuts(rate=10)
    looks = [truth.index for truth in film if schedule(_prepared(truth))]
    assert looks == [0, 20, 40]  # three scenes of two seconds


def test_auto_looks_at_all_that_it_has_time_for() -> None:
    """The network takes 100 ms, frames come every 40: every third."""
    schedule = DetectionSchedule("auto")
    looks = []
    for i in range(100):
        if schedule(_plain(i, i / 25)):
            looks.append(i)
            schedule.served(0.1)
    assert set(np.diff(looks[10:])) == {3}


def test_auto_looks_more_often_when_it_becomes_faster_again() -> None:
    schedule = DetectionSchedule("auto")
    for i in range(400):
        if schedule(_plain(i, i / 25)):
            schedule.served(0.2 if i < 100 else 0.01)
        if i == 99:
            assert schedule.every >= 5
    assert schedule.every == 1


def test_auto_leaves_more_out_while_frames_are_lost() -> None:
    """The network would be fast enough, but something else is not: half of the frames do not come."""
    schedule = DetectionSchedule("auto")
    for i in range(0, 200, 2):
        if schedule(_plain(i, i / 25)):
            schedule.served(0.01)
    assert 2 <= schedule.every <= LONGEST_INTERVAL


def test_auto_looks_at_each_frame_of_a_file_that_waits() -> None:
    """Frames that are never lost and a network that is faster than the video."""
    schedule = DetectionSchedule("auto")
    assert all(schedule(_plain(i, i / 25)) for i in range(50) if schedule.served(0.02) is None)


@pytest.mark.parametrize("every", [0, -1])
def test_bad_values(every: int) -> None:
    with pytest.raises(ValueError, match="allowed: 1 or more, or auto"):
        DetectionSchedule(every)
