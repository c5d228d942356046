import numpy as np
import pytest

from streamseg.core import masks
from streamseg.core.overlaps import label_map
from tests.unit.pictures import ellipse, field, instances


def soft(seed: int = 0) -> np.ndarray:
    """A smooth random mask."""
    from scipy import ndimage

    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(28, 28)), 3)
    return np.clip(noise / noise.std() * 90 + 140, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    "box", [[10.2, 20.7, 300.9, 250.1], [100.0, 100.0, 128.0, 128.0], [300.5, 2.0, 331.2, 200.0], [7.5, 3.25, 9.75, 11.5]]
)
def test_paste_is_the_bilinear_field_at_pixel_centres(box):
    mask = soft()
    (x0, y0, x1, y1), crop = masks.paste(mask, box, 640, 360)
    expected = field(mask, box, 640, 360)
    assert crop.dtype == np.uint8
    assert np.abs(crop - expected[y0:y1, x0:x1]).max() <= 0.5 + 1e-3
    outside = expected.copy()
    outside[y0:y1, x0:x1] = 0
    assert outside.max() <= 127.5, "a pixel above one half lies outside the region"


def test_a_mask_cell_a_pixel_is_copied():
    mask = soft(1)
    region, crop = masks.paste(mask, [4, 6, 32, 34], 64, 48)
    assert region == (4, 6, 32, 34)
    np.testing.assert_array_equal(crop, mask)


@pytest.mark.parametrize("box", [[10.0, 20.0, 310.0, 250.0], [33.3, 41.9, 120.2, 300.1], [100.0, 100.0, 160.0, 150.0]])
def test_full_agrees_with_torchvision(box):
    """torchvision rounds the box to whole pixels, so that its outline may be up to a pixel off: that much and no more."""
    torch = pytest.importorskip("torch")
    roi_heads = pytest.importorskip("torchvision.models.detection.roi_heads")
    from scipy import ndimage

    mask = ellipse()
    theirs = roi_heads.paste_masks_in_image(torch.from_numpy(mask)[None, None].float() / 255, torch.tensor([box]), (360, 640))[
        0, 0
    ].numpy()
    ours = masks.full(mask, box, 640, 360)
    theirs = theirs > 0.5
    ball = ndimage.generate_binary_structure(2, 2)
    assert not (ours & ~ndimage.binary_dilation(theirs, ball)).any()
    assert not (ndimage.binary_erosion(theirs, ball) & ~ours).any()
    assert (ours & theirs).sum() / (ours | theirs).sum() >= 0.96


@pytest.mark.parametrize("box", [[10.2, 20.7, 300.9, 250.1], [100.4, 100.1, 121.3, 125.2], [33.3, 41.9, 120.2, 300.1]])
def test_full_agrees_with_the_reference_field(box):
    """grid_sample is what detectron2 pastes with."""
    torch = pytest.importorskip("torch")
    y, x = torch.meshgrid(torch.arange(360) + 0.5, torch.arange(640) + 0.5, indexing="ij")
    grid = torch.stack([(x - box[0]) / (box[2] - box[0]), (y - box[1]) / (box[3] - box[1])], -1)[None] * 2 - 1
    mask = soft(2)
    theirs = torch.nn.functional.grid_sample(torch.from_numpy(mask)[None, None].float(), grid, align_corners=False)[
        0, 0
    ].numpy()
    ours = masks.full(mask, box, 640, 360)
    assert (ours & (theirs > 127.5)).sum() / (ours | (theirs > 127.5)).sum() >= 0.999


def test_a_mask_cut_off_by_the_frame_reaches_its_border():
    """Zero padding would leave a gap along the border wherever the probability is below one."""
    mask = np.full((28, 28), 140, np.uint8)
    whole = masks.full(mask, [0, 0, 100, 80], 100, 80)
    assert whole.all()
    inside = masks.full(mask, [10, 10, 90, 70], 100, 80)
    assert not inside[10].any()
    assert inside[40, 50]


@pytest.mark.parametrize("box", [[-50, -50, -10, -10], [200, 10, 300, 50], [10, 10, 10, 40], [30, 30, 20, 20]])
def test_boxes_without_a_pixel(box):
    assert not masks.full(ellipse(), box, 100, 80).any()
    assert not label_map(instances([box]), 100, 80).any()


def test_crop_to_keeps_what_is_inside():
    boxes = np.array([[-60.0, 20.0, 90.0, 140.0], [10.0, 10.0, 50.0, 60.0], [150.0, 150.0, 190.0, 190.0]], np.float32)
    grids = np.stack([soft(i) for i in range(3)])
    new_boxes, new_masks = masks.crop_to(boxes, grids, 120, 100)
    np.testing.assert_array_equal(new_boxes[0], [0, 20, 90, 100])
    before = field(grids[0], boxes[0].tolist(), 120, 100) > 127.5
    after = masks.full(new_masks[0], new_boxes[0], 120, 100)
    assert (before & after).sum() / (before | after).sum() > 0.97
    np.testing.assert_array_equal(new_boxes[1], boxes[1])
    np.testing.assert_array_equal(new_masks[1], grids[1])
    assert not masks.full(new_masks[2], new_boxes[2], 120, 100).any()
    assert grids[0].any(), "the masks given must not be written into"


def test_a_box_of_no_area_covers_nothing_of_a_region():
    cover = masks.coverage(np.full((28, 28), 255, np.uint8), [10, 10, 10, 30], (4, 8, 20, 40), 64, 48)
    assert cover.shape == (32, 16)
    assert not cover.any()


def test_the_edge_of_a_tiny_mask_is_not_sharpened():
    """Its cells are less than a third of a pixel: the field itself is the ramp."""
    mask, box = soft(3), [10.3, 12.6, 15.3, 17.6]
    region, crop = masks.paste(mask, box, 64, 48)
    np.testing.assert_array_equal(masks.coverage(mask, box, region, 64, 48), crop)
    assert (
        masks.coverage(mask, [10, 10, 50, 40], (10, 10, 50, 40), 64, 48) != masks.paste(mask, [10, 10, 50, 40], 64, 48)[1]
    ).any()


def test_coverage_is_a_ramp_of_about_a_pixel_along_the_outline():
    """A disc of 80 pixels: between inside and outside lie one or two pixels, not the three of the grid's own slope."""
    y, x = np.mgrid[:28, :28] + 0.5
    mask = (255 / (1 + np.exp((np.hypot(x - 14, y - 14) - 10) * 2))).astype(np.uint8)
    box, region = [8, 8, 120, 120], (8, 8, 120, 120)
    cover, plain = masks.coverage(mask, box, region, 128, 128), masks.paste(mask, box, 128, 128)[1]
    np.testing.assert_array_equal(cover > 127, plain > 127)
    ramp, slope = (((picture > 25) & (picture < 230)).sum() for picture in (cover, plain))
    assert 0 < ramp < slope / 2
    assert (cover[56, 56], cover[56, 0]) == (255, 0)


def test_regions_move_outwards_to_multiples_and_not_past_the_frame():
    assert masks.region_of([5.5, 6.2, 9.1, 11.0], 64, 48, align=4) == (4, 4, 12, 12)
    assert masks.region_of([-3, -2, 70, 50], 62, 47, align=4) == (0, 0, 62, 47)
    assert masks.region_of([60.2, 40.1, 61.9, 46.5], 62, 47, align=4) == (60, 40, 62, 47)
    assert masks.region_of([64, 3, 70, 9], 64, 48) == masks.region_of([5, 9, 5, 12], 64, 48) == (0, 0, 0, 0)
    assert masks.region_of([63.9, 3, 70, 9], 64, 48) == (63, 3, 64, 9)
