"""What the picture tells: the camera's motion, the objects' own, cuts. The truth comes from scenes made for it."""

from dataclasses import replace

import numpy as np
import pytest

from streamseg.track.camera import CameraMotion, small_grey
from streamseg.track.overlap import bordered
from tests import scenes
from tests.noisy_detector import NoisyDetector

EMPTY = np.zeros((0, 4), np.float32), np.zeros((0, 30, 30), bool)


def watch(scene, i, j, objects=True):
    """The change from frame i to j, and the truth and detections of i."""
    camera, truth = CameraMotion(), scene.truth(i)
    found = NoisyDetector.perfect()(truth).instances
    camera(truth.frame(), *EMPTY)
    return camera(scene.truth(j).frame(), *((found.boxes, bordered(found.masks)) if objects else EMPTY)), truth, found


@pytest.mark.parametrize(
    "camera",
    [scenes.pan(60, 20), scenes.pan(-150, 0), scenes.shake(8, 3), scenes.pan(20, 0, 0.2)],
    ids=["pan", "fast", "shake", "zoom"],
)
@pytest.mark.parametrize("rate", [10, 60])
def test_the_cameras_motion_is_found_behind_what_moves(camera, rate):
    scene = scenes.street(rate, camera=camera)
    change, *_ = watch(scene, rate, rate + 1)
    assert not change.cut
    true = scene.camera_motion(rate, rate + 1)
    corners = np.array([[0, 0, 1], [640, 0, 1], [0, 360, 1], [640, 360, 1]], float).T
    assert np.abs(change.matrix @ corners - true @ corners).max() < 1.5


def test_the_motion_is_in_frame_pixels_whatever_the_size():
    scene = replace(scenes.street(25, camera=scenes.pan(100, 0)), width=1280, height=720)
    change, *_ = watch(scene, 10, 11, objects=False)
    assert change.matrix[0, 2] == pytest.approx(4.0, abs=0.7)


def test_objects_own_motion_is_found_and_its_doubt_is_told():
    scene = scenes.street(25, camera=scenes.pan(50, 0))
    change, truth, found = watch(scene, 50, 51)
    flow = scene.flow(50, 51)
    checked = 0
    for k in np.flatnonzero(np.isfinite(change.deviation)):
        x0, y0, x1, y1 = found.boxes[k]
        inside = [m[int(y0 + 1) : int(y1), int(x0 + 1) : int(x1)].mean() for m in truth.visible]
        mine = truth.visible[int(np.argmax(inside))]
        error = np.abs(change.shift[k] - np.median(flow[mine], axis=0)).max()
        assert error < max(1.5, 2 * change.deviation[k])
        checked += 1
    assert checked >= 4


def test_a_cut_is_seen_and_nothing_else_is_taken_for_one():
    a, b = scenes.street(25, seed=1), scenes.crowd(25, seed=2)
    camera = CameraMotion()
    assert not camera(a.truth(10).frame(), *EMPTY).cut
    assert camera(b.truth(10).frame(), *EMPTY).cut
    assert not camera(b.truth(11).frame(), *EMPTY).cut


def test_a_flash_is_no_cut():
    scene, camera = scenes.street(25), CameraMotion()
    camera(scene.truth(10).frame(), *EMPTY)
    truth = scene.truth(11)
    bright = replace(truth, image=np.clip(truth.image.astype(int) * 1.3 + 60, 0, 255).astype(np.uint8))
    assert not camera(bright.frame(), *EMPTY).cut
    assert not camera(scene.truth(12).frame(), *EMPTY).cut


def test_a_whip_pan_is_no_cut():
    scene, camera = scenes.street(25, camera=scenes.pan(2500, 0)), CameraMotion()
    camera(scene.truth(0).frame(), *EMPTY)
    assert not camera(scene.truth(1).frame(), *EMPTY).cut


def test_black_frames_tell_nothing():
    scene, camera = scenes.street(25), CameraMotion()
    black = replace(scene.truth(0), image=np.zeros((360, 640, 3), np.uint8))
    for _ in range(2):
        change = camera(black.frame(), *EMPTY)
        assert not change.cut
        np.testing.assert_array_equal(change.matrix, np.eye(2, 3))


@pytest.mark.parametrize("name", ["yuv420p", "nv12", "yuv420p10le", "p010le", "rgb24", "gray", "yuv444p"])
def test_grey_is_alike_in_all_formats(name):
    truth = scenes.street(25).truth(0)
    grey, scale = small_grey(truth.frame(name))
    reference, _ = small_grey(truth.frame("yuv420p"))
    assert grey.dtype == np.uint8
    assert scale.tolist() == [2, 2]
    if name not in ("rgb24", "gray"):  # these have full range
        assert np.abs(grey.astype(int) - reference).max() <= 2
    assert np.corrcoef(grey.ravel(), reference.ravel())[0, 1] > 0.97


def test_something_small_that_moves_over_a_plain_ground_is_no_cut():
    """Nothing to follow on the ground, and all structure there is has moved."""
    camera, base = CameraMotion(), scenes.street(25).truth(0)
    for i in range(5):
        image = np.repeat(np.linspace(60, 140, 640).astype(np.uint8)[None, :, None], 360, 0).repeat(3, 2)
        image[150:220, 40 + 90 * i : 110 + 90 * i] = 235
        assert not camera(replace(base, image=image, index=i).frame(), *EMPTY).cut
