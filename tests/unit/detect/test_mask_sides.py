"""Masks of any number of cells a side go through every stage; finer ones show more."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from streamseg.composite import Overlay
from streamseg.composite.compositor import Compositor
from streamseg.core import masks
from streamseg.core.result import FullMasks, Result
from streamseg.core.types import Frame, Instances
from streamseg.detect.infer import Pending
from streamseg.detect.postprocess import Postprocess
from streamseg.engine import Outputs
from streamseg.events.ground import ground_points
from streamseg.occlusion import OcclusionEstimator
from streamseg.pixels.letterbox import Letterbox
from streamseg.temporal import warp
from streamseg.temporal.flow import Flow
from streamseg.temporal.refine import Refiner
from streamseg.temporal.smooth import Smooth, Smoother
from streamseg.track import Tracker
from tests import graphs, scenes
from tests.noisy_detector import NoisyDetector, grid
from tests.temporal_scores import iou, masks_by_id

SIDES = [14, 20, 28, 56, 112]
WIDTH, HEIGHT = 640, 360
BOX = (101.5, 42.0, 510.0, 301.0)


def ellipse() -> np.ndarray:
    """[HEIGHT, WIDTH] bool: the turned ellipse that touches all sides of a box, less a slit that coarse grids cannot show."""
    x0, y0, x1, y1 = BOX
    yy, xx = np.mgrid[0:HEIGHT, 0:WIDTH] + 0.5
    u, v = (xx - (x0 + x1) / 2) / (x1 - x0) * 2, (yy - (y0 + y1) / 2) / (y1 - y0) * 2
    inside = (u * u + v * v - 0.6 * u * v) / (1 - 0.09) < 1
    return inside & ~((np.abs(u) < 0.02) & (v < 0.5))


def answer(side: int) -> Result:
    """What the postprocess stage makes of an engine that answers the ellipse, on masks of that side."""
    spec = graphs.spec((HEIGHT, WIDTH), detections=3, side=side)
    arrays = {name: np.zeros((1, *info.shape[1:]), info.dtype) for name, info in spec.outputs.items()}
    arrays["labels"][:] = -1
    arrays["boxes"][0, 1], arrays["scores"][0, 1], arrays["labels"][0, 1] = BOX, 0.9, 2
    arrays["masks"][0, 1] = grid(ellipse(), np.array(BOX), side) / 255
    future: Future[Outputs] = Future()
    future.set_result(Outputs(arrays, spec.outputs))
    frame = Frame(av.VideoFrame(WIDTH, HEIGHT, "yuv420p"), 0, 0, Fraction(1, 25))
    return Postprocess(spec)(Pending(frame, Letterbox(1.0, 1.0, 0, 0, WIDTH, HEIGHT), future, 0))


def test_the_finer_the_networks_masks_the_better_what_is_pasted_fits():
    mask_utils = pytest.importorskip("pycocotools.mask", reason="needs the extra 'train'")
    fits = []
    for side in SIDES:
        result = answer(side)
        assert result.instances.masks.shape == (1, side, side)
        pasted = result.masks[0]
        line = result.to_json()["instances"][0]
        assert np.array_equal(mask_utils.decode(line["mask"]), pasted), "what is written is what is pasted"
        fits.append(iou(pasted, ellipse()))
    assert fits == sorted(fits)
    assert fits[0] < 0.97
    assert fits[2] < 0.98
    assert fits[-1] > 0.99


@pytest.mark.parametrize("side", SIDES)
def test_cut_at_the_frames_border_the_rest_stays_where_it_was(side):
    whole = np.array([[-100, 20, 300, 200]], np.float32)
    x = (np.arange(side) + 0.5) / side * 400 - 100
    steps = np.broadcast_to(np.where(x > 150, 255, 0).astype(np.uint8), (1, side, side))
    boxes, cut = masks.crop_to(whole, np.ascontiguousarray(steps), WIDTH, HEIGHT)
    assert (boxes.tolist(), cut.shape) == ([[0, 20, 300, 200]], (1, side, side))
    edge = np.flatnonzero(masks.full(cut[0], boxes[0], WIDTH, HEIGHT)[100])[0]
    assert abs(edge - 150) <= 400 / side


@pytest.mark.parametrize("side", SIDES)
def test_masks_are_resized_within_their_boxes(side):
    shape = grid(ellipse(), np.array(BOX), 56)[None]
    other = masks.resized(shape, side)
    assert other.shape == (1, side, side)
    pasted = [masks.full(each[0], BOX, WIDTH, HEIGHT) for each in (shape, other)]
    assert iou(*pasted) > 0.955
    assert masks.resized(shape, 56) is shape
    assert masks.resized(np.zeros((0, 9, 9), np.float32), side).shape == (0, side, side)


SCENE = scenes.crossing()
NOISY = NoisyDetector(blur=0.4, miss=0, false=0, copies=0, merge=0, flicker=0)


def played(sides: list[int], detector: NoisyDetector = NOISY) -> Iterator[tuple[scenes.Truth, Result]]:
    """People who cross, through all stages; the network does not look at the fourth frame. `sides`: of its masks, in turn."""
    tracker, smooth, refine, occlusion = Tracker(confirm=0), Smooth(Smoother()), Refiner(), OcclusionEstimator()
    for i in range(5):
        truth = SCENE.truth(40 + i)
        result = replace(detector, seed=i, side=sides[i % len(sides)])(truth)
        if i == 3:
            result = replace(result, instances=Instances.empty(result.instances.class_names), detected=False)
        else:
            result = tracker(result)
        yield truth, occlusion(refine(smooth(result)))


@pytest.fixture(scope="module")
def usual() -> list[tuple[scenes.Truth, Result]]:
    return list(played([28]))


@pytest.mark.parametrize("side", [14, 56, 112])
def test_stages_see_the_same_with_masks_of_any_side(side, usual):
    for (truth, expected), (_, result) in zip(usual, played([side]), strict=True):
        found = result.instances
        assert found.masks.shape[1:] == (side, side)
        assert found.track_ids.tolist() == expected.instances.track_ids.tolist()
        assert result.occlusion.occluded_by.tolist() == expected.occlusion.occluded_by.tolist()
        np.testing.assert_allclose(result.occlusion.visible, expected.occlusion.visible, atol=0.12)
        np.testing.assert_allclose(ground_points(found), ground_points(expected.instances), atol=8)
        ours, theirs = masks_by_id(result), masks_by_id(expected)
        assert all(iou(ours[track], theirs[track]) > 0.8 for track in theirs)
        pictures = [truth.frame().picture, *(Compositor([Overlay()])(each).picture for each in (expected, result))]
        plain, usually, drawn = (picture.to_ndarray()[:HEIGHT].astype(int) for picture in pictures)
        assert np.abs(drawn - plain).mean() == pytest.approx(np.abs(usually - plain).mean(), rel=0.1)


def test_finer_masks_stay_finer_through_all_stages():
    """Nothing on the way brings them down to 28."""
    fits = []
    for side in (14, 28, 112):
        scores = []
        for truth, result in played([side], NoisyDetector.perfect()):
            shown = masks_by_id(result).values()
            scores += [max(iou(mask, true) for mask in shown) for true in truth.visible if true.sum() > 2000]
        fits.append(np.mean(scores))
    assert (np.diff(fits) > 0.001).all()


@pytest.mark.parametrize("sides", [[14, 56], [112, 28, 20]])
def test_frames_whose_masks_differ_in_size_are_compared_all_the_same(sides, usual):
    """A model may be changed under way: past and present are looked at on one grid."""
    for (_, expected), (_, result) in zip(usual, played(sides), strict=True):
        assert result.instances.track_ids.tolist() == expected.instances.track_ids.tolist()
        ours, theirs = masks_by_id(result), masks_by_id(expected)
        assert all(iou(ours[track], theirs[track]) > 0.75 for track in theirs)


@pytest.mark.parametrize("side", SIDES)
def test_who_stands_with_one_foot_ahead_stands_between_both(side):
    """The lower third counts, however many rows that is: one leg ends at the box's foot, the other a fifth above it."""
    legs = np.zeros((180, 100), bool)
    legs[:, :30], legs[:144, 70:] = True, True
    box = np.array([50, 100, 150, 280], np.float32)
    picture = np.zeros((HEIGHT, WIDTH), bool)
    picture[100:280, 50:150] = legs
    scores, labels = np.array([0.9], np.float32), np.zeros(1, np.int64)
    found = Instances(box[None], scores, labels, grid(picture, box, side)[None], ("person",))
    # 60 rows of the one leg, centred at 65, and 24 of the other, centred at 135.
    np.testing.assert_allclose(ground_points(found), [[(60 * 65 + 24 * 135) / 84, 280]], atol=8)


@pytest.mark.parametrize("side", [14, 28, 112])
def test_refined_masks_are_not_coarser_than_the_networks(side):
    """Where one cell for 2.5 pixels would be fewer; and what is fine enough already is left alone."""
    frame = SCENE.truth(40).frame()
    found = NoisyDetector(side=side).instances(SCENE.truth(40))[:1]
    for size, refined in ((1.35 * side, False), (1.5 * side, True)):
        box = np.array([[100, 100, 100 + size, 100 + size]], np.float32)
        fine = Refiner()(Result(frame, replace(found, boxes=box))).instances.fine
        assert bool(fine) is refined
        assert not fine or len(fine[0]) >= side


@pytest.mark.parametrize("side", [28, 112])
def test_refinement_moves_an_outline_towards_the_edge_beside_it(side):
    """A finer grid is no surer of its outline: what the picture says within the same distance counts."""
    image = np.full((400, 400, 3), 60, np.uint8)
    image[100:300, 100:300] = (200, 120, 90)
    picture = av.VideoFrame.from_ndarray(image, "rgb24").reformat(format="yuv420p", threads=1)
    centres = (np.arange(side) + 0.5) / side * 240 + 80
    # The object fills 100..300 of the box 80..320; the network's outline is 12 pixels inside of it.
    inside = np.clip((100 - np.abs(centres - 200) - 12) / 16 + 0.5, 0, 1)
    mask = np.rint(255 * np.minimum(inside[:, None], inside[None])).astype(np.uint8)
    found = Instances(
        np.array([[80, 80, 320, 320]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int64), mask[None], ("person",)
    )
    result = Refiner()(Result(Frame(picture, 0, 0, Fraction(1, 25)), found))
    truth = np.zeros((400, 400), bool)
    truth[100:300, 100:300] = True
    before, after = (float((m & truth).sum() / (m | truth).sum()) for m in (FullMasks(found, 400, 400)[0], result.masks[0]))
    assert after > before + 0.03  # 0.87 and 0.82 from 0.77


def test_more_masks_than_opencv_looks_up_at_once():
    """Its pictures and maps have fewer than 32768 rows: 300 masks of 112 with their borders have more."""
    count, side = 300, 112
    boxes = np.tile(np.array([[10, 10, 122, 122]], np.float32), (count, 1))
    levels = np.zeros((count, side, side), np.float32)
    levels += np.arange(count, dtype=np.float32)[:, None, None] % 251
    values = warp.look_up(levels, boxes, warp.cells(boxes, side), 640, 360)
    np.testing.assert_allclose(values, levels, atol=1e-3)


def test_a_picture_is_looked_up_at_any_number_of_points():
    from streamseg.temporal.flow import pick

    ramp = np.broadcast_to(np.arange(64, dtype=np.float32), (8, 64)).copy()
    points = np.zeros((70_000, 1, 2), np.float32)
    points[:, 0, 0] = np.arange(70_000) % 64
    np.testing.assert_allclose(pick(ramp, points, cv2.INTER_LINEAR)[:, 0], points[:, 0, 0], atol=1e-3)


def test_cells_of_a_fine_grid_are_traced_as_one_by_one():
    """Of 112 cells a side only some are followed; what is between them moves as they do, to the box's very edge."""
    y, x = np.mgrid[0:90, 0:160].astype(np.float32)
    # The picture grew by a twentieth around (40, 30): the farther a point, the longer its way.
    field = np.stack([(x + 0.5 - 40) * -0.05, (y + 0.5 - 30) * -0.05], axis=-1)
    grey = np.full((90, 160), 90, np.uint8)
    flow = Flow(field, grey, grey, (4.0, 4.0), (0, 0, 160, 90))
    boxes = np.array([[60, 40, 560, 300], [300, 200, 420, 330]], np.float32)
    points, sources, likeness = warp.traced(flow, boxes, 112)
    one_by_one, alike = flow.at(points)
    np.testing.assert_array_equal(points, warp.cells(boxes, 112))
    # At the edge half a coarse cell is left out, by which the way changes by a twentieth of it.
    np.testing.assert_allclose(sources, one_by_one, atol=0.05 * 500 / 28 / 2 + 0.1)
    np.testing.assert_array_equal(likeness, alike)
