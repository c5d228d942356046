"""Matting: masks go on where a box cuts its object off, outlines are exact, edges as soft as they are, and nothing else is lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from streamseg.composite.choose import matte
from streamseg.core.result import Result
from streamseg.core.types import Frame, Instances
from streamseg.evaluate.matting import conn, dtssd, grad, mad, mse
from streamseg.runtime import Stage
from streamseg.temporal.matting import Matting
from streamseg.temporal.refine import Refiner
from streamseg.temporal.smooth import Smooth, Smoother
from tests.noisy_detector import grid
from tests.scenes import ground
from tests.soft_scenes import fringed
from tests.temporal_scores import identified, iou, steady_detector

SIZE = (480, 360)


def _disc(x: float, y: float, radius: float) -> np.ndarray:
    yy, xx = np.mgrid[0 : SIZE[1], 0 : SIZE[0]] + 0.5
    return np.asarray((xx - x) ** 2 + (yy - y) ** 2 < radius**2)


def _shown(mask: np.ndarray, box: tuple[float, float, float, float], seed: int = 0, kind: str = "yuv420p") -> Result:
    """A dark red thing on a made-up street, found with its true mask in `box`."""
    picture = ground(*SIZE, seed)
    noise = np.random.default_rng(seed).normal(0, 6, picture.shape)
    picture = np.where(mask[..., None], np.clip(np.array([120, 30, 40]) + noise, 0, 255), picture).astype(np.uint8)
    frame = Frame(av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format=kind, threads=1), 0, 0, Fraction(1, 25))
    found = np.array([box], np.float32)
    masks = grid(mask, found[0])[None]
    return Result(frame, Instances(found, np.ones(1, np.float32), np.zeros(1, np.int64), masks, ("it",), np.array([1])))


@pytest.mark.parametrize("kind", ["yuv420p", "yuv422p10le", "rgb24", "gray"])
def test_a_mask_reaches_beyond_a_box_that_is_too_small(kind: str) -> None:
    disc = _disc(240, 180, 100)
    cut = _shown(disc, (140, 88, 340, 280), kind=kind)  # its top lies at 80: detectors usually err by so much
    before, after = Refiner()(cut), Matting()(cut)
    missing = disc & ~before.masks[0]
    assert missing.sum() > 500, "the box cuts off a segment of it"
    assert (after.masks[0] & missing).sum() > 0.85 * missing.sum()
    assert iou(after.masks[0], disc) > 0.98
    assert after.boxes[0, 1] < 84, "the box has grown with it"
    assert abs(after.boxes[0, 1] - 80) < 6
    np.testing.assert_allclose(after.boxes[0, [0, 2, 3]], [140, 340, 280], atol=8)
    assert after.instances.masks[0, 0].max() > 64, "its small mask spans the larger box, too"


def test_a_box_that_holds_all_of_it_stays_and_nothing_comes_in() -> None:
    disc = _disc(240, 180, 80)
    result = _shown(disc, (150, 90, 330, 270))
    after = Matting()(result)
    np.testing.assert_array_equal(after.boxes, result.boxes)
    np.testing.assert_array_equal(after.instances.masks, result.instances.masks)
    assert iou(after.masks[0], disc) > 0.98


def test_the_frames_own_border_cuts_and_is_not_crossed() -> None:
    disc = _disc(240, 20, 90)
    after = Matting()(_shown(disc, (150, 0, 330, 110)))
    assert after.boxes[0, 1] == 0
    assert iou(after.masks[0], disc) > 0.98


def test_what_goes_on_to_the_frames_border_is_found_there_though_its_box_stops_before() -> None:
    disc = _disc(240, 20, 90)
    before = _shown(disc, (150, 5, 330, 110))
    assert not Refiner()(before).masks[0][:3].any()
    after = Matting()(before)
    assert after.boxes[0, 1] == 0
    assert after.masks[0][0, 170:310].all()
    assert iou(after.masks[0], disc) > 0.98


def test_what_ends_just_before_the_frames_border_is_not_drawn_on_to_it() -> None:
    disc = _disc(240, 266, 90)  # to 356 of 360
    after = Matting()(_shown(disc, (150, 176, 330, 356)))
    assert not after.masks[0][358:].any()
    assert iou(after.masks[0], disc) > 0.98


def test_a_large_outline_is_exact_to_a_pixel() -> None:
    """On a grid of 28 a cell of this box is 11 pixels wide."""
    disc = _disc(240, 180, 150)
    result = _shown(disc, (85, 25, 395, 335))
    errors = {}
    for name, stage in {"raw": None, "edges": Refiner(), "matte": Matting()}.items():
        mask = (result if stage is None else stage(result)).masks[0]
        errors[name] = (mask ^ disc).sum() / (2 * np.pi * 150)  # pixels, all around
    assert errors["matte"] < 0.5
    assert errors["matte"] < 0.7 * errors["edges"]


def test_ground_in_the_objects_colours_that_the_network_did_not_see_is_left_out() -> None:
    disc, patch = _disc(240, 180, 80), _disc(335, 105, 14)
    result = _shown(disc | patch, (150, 90, 330, 270))
    alone = replace(result, instances=replace(result.instances, masks=grid(disc, result.boxes[0])[None]))
    assert not (Matting()(alone).masks[0] & patch).any()


def test_a_finer_mask_keeps_its_detail_where_the_picture_does_not_tell() -> None:
    comb = _disc(240, 180, 140) & (np.arange(SIZE[0]) // 14 % 2 == 0)[None]
    box = (100, 40, 380, 320)
    found = _shown(comb, box)
    plain = av.VideoFrame.from_ndarray(np.full((SIZE[1], SIZE[0], 3), 120, np.uint8), "rgb24")
    masks = grid(comb, found.boxes[0], 112)[None]
    blank = replace(found, frame=Frame(plain, 0, 0, Fraction(1, 25)), instances=replace(found.instances, masks=masks))
    assert iou(Matting()(blank).masks[0], comb) > 0.95


def _alpha(result: Result) -> np.ndarray:
    return np.asarray(matte(result.instances, result.frame.width, result.frame.height), np.float32) / 255


def _scores(make: Callable[[], Stage], frames: int = 7) -> dict[str, float]:
    """Means over the frames but the first two."""
    stage, detector, before, rows = make(), steady_detector(), None, []
    for truth, alpha in fringed(frames, width=400, height=320, size=230):
        found = _alpha(stage(identified(detector(truth), truth)))
        through = dtssd(found, before[0], alpha, before[1]) if before is not None else 0.0
        rows.append((mad(found, alpha), mse(found, alpha), grad(found, alpha), conn(found, alpha), through))
        before = (found, alpha)
    return dict(zip(("mad", "mse", "grad", "conn", "dtssd"), np.mean(rows[2:], axis=0).tolist(), strict=True))


def _both(refine: Stage) -> Stage:
    smooth = Smooth(Smoother())
    return lambda result: refine(smooth(result))


def test_mattes_are_soft_and_steady_where_the_picture_is() -> None:
    """At no more error in all, errors of edges and through time are less than 70 % of the network's own masks'; so they stay."""
    raw, edges, soft = (
        _scores(lambda: lambda result: result),
        _scores(lambda: _both(Refiner())),
        _scores(lambda: _both(Matting())),
    )
    assert soft["mad"] < 0.4 * raw["mad"]
    assert soft["grad"] < 0.2 * raw["grad"]
    assert soft["dtssd"] < 0.4 * raw["dtssd"]
    assert soft["conn"] < 0.4 * raw["conn"]
    for name, value in soft.items():
        assert value < 0.75 * edges[name], name


def test_drawn_mattes_keep_their_ramps_and_other_masks_do_not() -> None:
    truth, alpha = next(fringed(1, width=400, height=320, size=230))
    found = Matting()(identified(steady_detector(jitter=0, outline=0)(truth), truth))
    between = lambda matte: ((matte > 0.1) & (matte < 0.9)).sum()  # noqa: E731
    assert found.instances.is_matte(0)
    assert between(_alpha(found)) > 0.5 * between(alpha)
    hard = replace(found, instances=replace(found.instances, mattes=False))
    assert between(_alpha(hard)) < 0.6 * between(_alpha(found))


def test_many_large_objects_share_what_a_frame_may_cost() -> None:
    disc = _disc(240, 180, 150)
    one = _shown(disc, (85, 25, 395, 335)).instances
    many = Instances(
        *(np.repeat(array, 12, 0) for array in (one.boxes, one.scores, one.labels, one.masks)), one.class_names
    )  # fmt: skip
    result = Matting()(replace(_shown(disc, (85, 25, 395, 335)), instances=many))
    assert sum(g.size for g in result.instances.fine if g is not None) <= 400_000


def test_what_has_no_shape_or_no_size_passes() -> None:
    result = _shown(_disc(240, 180, 80), (150, 90, 330, 270))
    alone = replace(result, instances=replace(result.instances, masks=np.zeros((1, 0, 0), np.uint8)))
    assert Matting()(alone) is alone
    thin = replace(result, instances=replace(result.instances, boxes=np.array([[10, 10, 12, 90]], np.float32)))
    assert Matting()(thin) is thin


# --- the measures -----------------------------------------------------------------------------------------------------------


def test_measures_of_mattes_by_hand() -> None:
    truth = np.zeros((40, 40), np.float32)
    truth[10:30, 10:30] = 1
    assert [mad(truth, truth), mse(truth, truth), grad(truth, truth), conn(truth, truth)] == [0, 0, 0, 0]
    half = truth * 0.5
    assert mad(half, truth) == pytest.approx(1e3 * 400 * 0.5 / 1600)
    assert mse(half, truth) == pytest.approx(1e3 * 400 * 0.25 / 1600)
    assert dtssd(half, truth, truth, truth) == pytest.approx(100 * np.sqrt(400 * 0.25 / 1600))
    assert dtssd(half, half, truth, truth) == 0, "wrong, but steadily so"
    torn = truth.copy()
    torn[2:5, 2:5] = 1  # an island: 9 pixels that hang together with nothing
    assert conn(torn, truth) == pytest.approx(9 / 1e3)
    assert conn(np.where(truth > 0, truth, 0.1).astype(np.float32), truth) == 0, "what is hardly there does not count"
    blurred = cv2.GaussianBlur(truth, (0, 0), 2)
    assert grad(blurred, truth) > 5 * grad(cv2.GaussianBlur(truth, (0, 0), 0.6), truth)
    shifted = np.roll(truth, 1, 1)
    assert grad(shifted, truth) == pytest.approx(grad(truth, shifted))
