import numpy as np
import pytest

from streamseg import masks
from streamseg.types import Instances
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
    found = instances([box])
    assert not masks.label_map(found, 100, 80).any()


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


@pytest.mark.parametrize("scale", [1, 2])
def test_label_map_shows_the_higher_score_on_top(scale):
    found = instances([[10, 10, 90, 90], [40, 20, 140, 95], [60, 5, 110, 60]])
    picture = masks.label_map(found, 151, 99, scale)
    assert picture.shape == (-(-99 // scale), -(-151 // scale))
    expected = np.zeros((99, 151), int)
    for i in (2, 1, 0):
        expected[field(ellipse(), found.boxes[i].tolist(), 151, 99) > 127.5] = i + 1
    same = picture.repeat(scale, 0).repeat(scale, 1)[:99, :151] == expected
    assert same.mean() > (0.999 if scale == 1 else 0.97)


def test_label_map_of_a_crowd_does_not_wrap():
    found = instances([[i % 20 * 5, i // 20 * 5, i % 20 * 5 + 5, i // 20 * 5 + 5] for i in range(300)])
    assert masks.label_map(found, 100, 80).max() == 300


def test_disjoint_gives_each_pixel_to_the_nearest():
    boxes = np.array([[2, 2, 30, 30], [10, 10, 40, 40], [20, 5, 60, 25]], np.float32)
    found = Instances(
        boxes, np.array([0.9, 0.8, 0.7], np.float32), np.zeros(3, np.int64), np.full((3, 28, 28), 255, np.uint8), ("thing",)
    )
    whole = [masks.full(m, b, 64, 48) for m, b in zip(found.masks, boxes, strict=True)]
    for order in (None, np.array([2, 0, 1])):
        nearest_first = [0, 1, 2] if order is None else [1, 2, 0]
        taken = np.zeros((48, 64), bool)
        made = masks.disjoint(found, 64, 48, order)
        for i in nearest_first:
            (x0, y0, x1, y1), crop = made[i]
            mask = np.zeros((48, 64), bool)
            mask[y0:y1, x0:x1] = crop
            assert np.array_equal(mask, whole[i] & ~taken)
            taken |= whole[i]
