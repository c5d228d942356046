"""Instances of boxes alone, and those whose mask is their whole box: what each stage makes of them."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from streamseg.composite import Blur, Compositor, Overlay, Pixelate
from streamseg.core import masks
from streamseg.core.palette import color_of
from streamseg.core.result import Result
from streamseg.core.types import Frame, Instances
from streamseg.errors import ConfigError
from streamseg.events.ground import ground_points
from streamseg.occlusion import OcclusionEstimator
from streamseg.temporal.refine import Refiner
from streamseg.temporal.smooth import Smooth, Smoother
from streamseg.track import Tracker
from tests.unit import pictures

NONE, WHOLE = np.zeros((2, 0, 0), np.uint8), np.full((2, 1, 1), 255, np.uint8)
BOXES = [[4.0, 6.0, 24.0, 30.0], [20.0, 10.0, 60.0, 40.0]]


def found(grids=NONE, boxes=BOXES) -> Instances:
    return pictures.instances(boxes, masks=grids[: len(boxes)])


def result(instances: Instances, index: int = 0, shift: int = 0) -> Result:
    """A frame of noise, `shift` pixels further to the right, with time."""
    picture = pictures.noise("yuv420p", 96, 64)
    if shift:
        from streamseg.pixels import planes

        for array, spec in planes.views(picture).planes:
            array[...] = np.roll(array, shift >> spec.shift_x, 1)
    return Result(Frame(picture, index, index, Fraction(1, 25)), instances)


def test_boxes_alone_say_so():
    boxes = found()
    assert (boxes.has_masks, boxes.side) == (False, 0)
    assert not boxes[:1].has_masks
    assert not boxes[np.zeros(2, bool)].has_masks
    assert found(WHOLE).has_masks
    assert not found(WHOLE).has_shapes
    assert pictures.instances(BOXES).has_shapes
    np.testing.assert_array_equal(boxes.mask_or_box, WHOLE)
    with pytest.raises(ConfigError, match='masks="box"'):
        boxes.grids  # noqa: B018


@pytest.mark.parametrize(
    "box", [[4.0, 6.0, 24.0, 30.0], [4.3, 6.7, 7.1, 60.2], [0.0, 0.0, 96.0, 64.0], [-9.0, 50.0, 30.2, 90.0]]
)
def test_a_mask_that_is_its_whole_box_has_the_boxs_pixels(box):
    """Also in the corners: a bilinear grid of one cell would round them off by a fifth of the box."""
    x, y = np.arange(96) + 0.5, np.arange(64) + 0.5
    inside = ((y > box[1]) & (y < box[3]))[:, None] & ((x > box[0]) & (x < box[2]))
    np.testing.assert_array_equal(masks.full(WHOLE[0], box, 96, 64), inside)
    x0, y0, x1, y1 = region = masks.region_of(box, 96, 64)
    cover = masks.coverage(WHOLE[0], box, region, 96, 64)
    edge = (np.minimum(abs(x - box[0]), abs(x - box[2])) < 1) | (np.minimum(abs(y - box[1]), abs(y - box[3])) < 1)[:, None]
    clear = ~edge[y0:y1, x0:x1]
    np.testing.assert_array_equal(cover[clear], 255 * inside[y0:y1, x0:x1][clear])


LARGE_FIRST = [[0.0, 0.0, 96.0, 64.0], [10.0, 10.0, 40.0, 40.0], [20.0, 20.0, 30.0, 30.0]]


def test_of_boxes_for_masks_the_smaller_lies_in_front():
    """The larger has the higher score, and stands lower, as what is nearer does; it would hide the others wholly."""
    sure = result(pictures.instances(LARGE_FIRST, masks=np.full((3, 1, 1), 255, np.uint8)))
    for seen in (sure, OcclusionEstimator()(sure)):
        assert [int(mask.sum()) for _, mask in seen.segments(disjoint=True)] == [96 * 64 - 30 * 30, 30 * 30 - 10 * 10, 10 * 10]
    drawn = Compositor([Overlay(fill=1, contour=0, label="")])(sure).picture.to_ndarray(format="rgb24", threads=1).astype(int)
    colours = np.array([color_of(track, 0) for track in (1, 2, 3)])
    shown = [int(np.abs(colours - drawn[y, x]).sum(axis=1).argmin()) for x, y in ((5, 5), (12, 35), (25, 25))]
    assert shown == [0, 1, 2]
    same = replace(sure, instances=replace(sure.instances, masks=np.full((3, 2, 2), 255, np.uint8)))
    assert [mask.any() for _, mask in same.segments(disjoint=True)] == [True, False, False]  # masks with shapes: by score


def test_results_hold_boxes_and_no_mask():
    boxes = result(found())
    assert (boxes.has_masks, result(found(WHOLE)).has_masks) == (False, True)
    [first, _] = boxes.to_json()["instances"]
    assert first["box"] == BOXES[0]
    assert "mask" not in first
    assert [row["mask"] for row in boxes.rows(masks=True)] == [None, None]
    assert [row["x1"] for row in boxes.rows()] == [24, 60]
    with pytest.raises(ConfigError, match="boxes alone"):
        boxes.masks[0]
    with pytest.raises(ConfigError, match="boxes alone"):
        list(boxes.segments())
    assert boxes._repr_png_()
    assert boxes.masks._repr_png_()
    assert boxes.instances._repr_html_()
    [_, whole] = result(found(WHOLE)).segments()
    assert whole[0] == (20, 10, 60, 40)
    assert whole[1].all()


def test_supervision_gets_no_masks():
    supervision = pytest.importorskip("supervision")
    detections = result(found()).to_supervision()
    assert isinstance(detections, supervision.Detections)
    assert detections.mask is None
    assert len(detections) == 2


def test_an_overlay_draws_boxes_and_fills_nothing():
    before = result(found(boxes=BOXES[:1]))
    drawn = Compositor([Overlay(label="")])(before).picture
    changed = pictures.codes(drawn)[0] != pictures.codes(before.frame.picture)[0]
    lines = np.zeros((64, 96), bool)
    lines[6:30, 4:24], lines[7:29, 5:23] = True, False
    assert not changed[~lines].any()
    assert changed[lines].mean() > 0.9
    assert (Compositor([Overlay(label="", fill=0, contour=0)])(before).picture) is before.frame.picture


@pytest.mark.parametrize("effect", [Blur(), Pixelate()])
def test_what_needs_masks_refuses_boxes(effect):
    with pytest.raises(ConfigError, match='masks="box"'):
        Compositor([effect])(result(found()))


def test_pixels_of_the_whole_box_are_made_unrecognisable():
    before = result(found(WHOLE, [[8.0, 8.0, 40.0, 40.0]]))
    drawn = pictures.codes(Compositor([Pixelate(block=128)])(before).picture)[0]
    changed = drawn != pictures.codes(before.frame.picture)[0]
    assert changed[8:40, 8:40].mean() > 0.9
    assert changed[8:12, 8:12].mean() > 0.8
    changed[8:40, 8:40] = False
    assert not changed.any()


def test_they_stand_where_their_box_ends():
    np.testing.assert_allclose(ground_points(found()), [[14, 30], [40, 40]])


@pytest.mark.parametrize("grids", [NONE, WHOLE])
def test_who_stands_behind_another_is_no_copy_of_it(grids):
    """A box lies often within another of its class; only masks that do show one thing twice."""
    boxes = pictures.instances([[10, 10, 50, 60], [20, 12, 45, 50]], masks=grids, tracked=False)
    boxes = replace(boxes, labels=np.zeros(2, np.int64))
    track = Tracker(0.5)
    for index in range(6):
        followed = track(result(boxes, index)).instances
    assert followed.track_ids.tolist() == [1, 2]
    assert followed.has_masks == boxes.has_masks


def test_two_boxes_in_one_place_are_one_object():
    boxes = pictures.instances([[10, 10, 50, 60], [11, 10, 50, 59]], masks=NONE, tracked=False)
    track = Tracker(0.5)
    for index in range(6):
        followed = track(result(replace(boxes, labels=np.zeros(2, np.int64)), index)).instances
    assert len(followed) == 1


@pytest.mark.parametrize("grids", [NONE, WHOLE])
def test_boxes_are_carried_along_and_steadied(grids):
    """Where the network did not look they move with the picture; a trembling box is averaged; no mask comes into being."""
    smooth = Smooth(Smoother(0.5))
    first = smooth(result(found(grids)))
    still = smooth(result(found(grids, [[4.4, 6.0, 24.4, 30.0], BOXES[1]]), 1))
    assert 4.0 < still.boxes[0, 0] < 4.4
    carried = smooth(replace(result(Instances.empty(pictures.NAMES), 2, 4), detected=False))
    np.testing.assert_allclose(carried.boxes, still.boxes + np.array([4, 0, 4, 0]), atol=1.0)
    for each in (first, still, carried):
        np.testing.assert_array_equal(each.instances.masks, grids)


@pytest.mark.parametrize("grids", [NONE, WHOLE])
def test_outlines_that_nobody_found_are_not_refined(grids):
    big = result(found(grids, [[4, 4, 90, 60]]))
    assert Refiner()(big) is big


@pytest.mark.parametrize("grids", [NONE, WHOLE])
def test_the_lower_of_two_boxes_is_in_front(grids):
    estimate = OcclusionEstimator()
    for index in range(5):
        judged = estimate(result(found(grids, [[10, 10, 50, 40], [30, 12, 70, 60]]), index)).occlusion
    assert judged is not None
    assert judged.order.tolist() == [1, 0]
    assert np.isfinite(judged.visible).all()
    assert judged.visible[1] == 1
    assert judged.visible[0] <= 1
