"""Flow: exact enough on scenes whose flow is known, any pixel format, computed once, never over a change of epoch."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import av
import numpy as np
import pytest

from streamseg.core.types import Frame
from streamseg.temporal.flow import FlowCache, small_luma
from tests import scenes
from tests.scenes import TICKS, Scene


def _errors(scene: Scene, i: int, j: int) -> np.ndarray:
    """Distance in pixels between estimated and true flow from frame j back to i, at every fourth pixel."""
    source, target = scene.truth(i), scene.truth(j)
    flow = FlowCache().between(source.frame(), target.frame())
    assert flow is not None
    y, x = np.mgrid[2 : scene.height : 4, 2 : scene.width : 4].astype(np.float32)
    points = np.stack([x, y], -1)[None] + np.float32(0.5)
    found, _ = flow.at(points)
    return np.linalg.norm((found - points)[0] - scene.flow(j, i)[2::4, 2::4], axis=-1)


@pytest.mark.parametrize(
    "camera", [scenes.fixed, scenes.pan(140, -60), scenes.pan(-90, 20, zoom=0.3)], ids=["still", "pan", "zoom"]
)
def test_flow_is_within_a_pixel_nearly_everywhere(camera: scenes.Camera) -> None:
    errors = _errors(scenes.street(camera=camera), 10, 11)
    assert np.median(errors) < 0.5
    assert np.mean(errors < 2.0) > 0.85


def test_a_walkers_own_motion_is_seen() -> None:
    scene = scenes.crossing()
    truth = scene.truth(11)
    errors = _errors(scene, 10, 11)
    on_people = truth.visible[[0, 1]].any(0)[2::4, 2::4]
    assert np.median(errors[on_people]) < 1.0  # they move by more than 4 pixels a frame


def test_likeness_falls_where_something_is_uncovered() -> None:
    scene = scenes.street()
    flow = FlowCache().between(scene.truth(10).frame(), scene.truth(20).frame())
    assert flow is not None
    y, x = np.mgrid[0 : scene.height, 0 : scene.width].astype(np.float32)
    _, likeness = flow.at(np.stack([x, y], -1)[None] + np.float32(0.5))
    uncovered = scene.truth(10).visible.any(0) & ~scene.truth(20).visible.any(0)
    still = ~scene.truth(10).visible.any(0) & ~scene.truth(20).visible.any(0)
    assert likeness[0][uncovered].mean() < likeness[0][still].mean() - 0.15


def test_nothing_is_said_over_a_change_of_epoch_or_size() -> None:
    frame = scenes.crossing().truth(0).frame()
    later = scenes.crossing().truth(1).frame()
    assert FlowCache().between(frame, replace(later, epoch=1)) is None
    assert FlowCache().between(frame, scenes.Scene((), (0.0, 0.04), 320, 180).truth(1).frame()) is None


def test_each_flow_is_computed_once_and_memory_is_bounded() -> None:
    flows = FlowCache(keep=3)
    truths = [scenes.crossing().truth(i).frame() for i in range(8)]
    first = flows.between(truths[0], truths[1])
    assert flows.between(truths[0], truths[1]) is first
    for before, now in pairwise(truths):
        flows.between(before, now)
    assert len(flows._lumas) <= 3
    assert len(flows._flows) <= 3


@pytest.mark.parametrize("name", ["yuv420p", "nv12", "yuv420p10le", "p010le", "rgb24", "gbrp", "gray", "yuv444p16le"])
def test_luma_of_every_kind_of_picture(name: str) -> None:
    shade = np.repeat(np.linspace(40, 210, 640).astype(np.uint8)[None], 360, 0)
    picture = av.VideoFrame.from_ndarray(np.dstack([shade] * 3), "rgb24").reformat(format=name, threads=1)
    small = small_luma(Frame(picture, 0, 0, scenes.Fraction(1, TICKS)))
    assert small.shape == (144, 256)
    assert small.dtype == np.uint8
    wanted = shade[0, 1::5][:128].astype(float)
    slope = np.polyfit(wanted, small[70, ::2].astype(float), 1)[0]
    assert 0.8 < slope < 1.05  # limited range squeezes the codes


@pytest.mark.parametrize("size", [(16, 16), (2, 2), (700, 20), (33, 1000)])
def test_pictures_of_any_shape(size: tuple[int, int]) -> None:
    width, height = size
    scene = Scene((), (0.0, 0.04), width, height, camera=scenes.pan(25))
    flow = FlowCache().between(scene.truth(0).frame("yuv444p"), scene.truth(1).frame("yuv444p"))
    assert flow is not None
    points, _ = flow.at(np.array([[[[0.5, 0.5], [width - 0.5, height - 0.5]]]], np.float32))
    assert np.isfinite(points).all()


def test_flow_around_boxes_is_as_exact_there_and_less_work() -> None:
    scene, i = scenes.crossing(camera=scenes.pan(40)), 11
    source, target = scene.truth(i - 1), scene.truth(i)
    rows, columns = np.nonzero(target.visible[0])
    box = np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], np.float32)
    flows = FlowCache()
    near = flows.between(source.frame(), target.frame(), box)
    assert near is not None
    assert near.field.size < 0.7 * near.target.size * 2
    points = np.stack([columns, rows], -1)[None, None].astype(np.float32) + np.float32(0.5)
    true = scene.flow(i, i - 1)[rows, columns]
    found = (near.at(points)[0] - points)[0, 0]
    assert np.median(np.linalg.norm(found - true, axis=1)) < 1.0
    assert flows.between(source.frame(), target.frame(), box) is near, "what is known is not computed again"
    whole = flows.between(source.frame(), target.frame())
    assert whole is not near, "but what is not known is"
    assert whole is not None
    assert whole.field.shape[:2] == whole.target.shape
