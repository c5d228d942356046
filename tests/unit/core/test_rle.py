"""Our RLE is COCO's: pycocotools reads it back to the same mask, and writes the same bytes."""

import numpy as np
import pytest

from streamseg.core import rle

mask_utils = pytest.importorskip("pycocotools.mask", reason="needs the extra 'train'")


def whole(crop, x0, y0, width, height):
    full = np.zeros((height, width), bool)
    full[y0 : y0 + crop.shape[0], x0 : x0 + crop.shape[1]] = crop
    return full


@pytest.mark.parametrize("seed", range(30))
def test_equals_pycocotools_on_random_blobs(seed):
    rng = np.random.default_rng(seed)
    width, height = rng.integers(1, 90, 2)
    w, h = rng.integers(1, width + 1), rng.integers(1, height + 1)
    x0, y0 = rng.integers(0, width - w + 1), rng.integers(0, height - h + 1)
    crop = rng.random((h, w)) < rng.choice([0.0, 0.1, 0.5, 0.95, 1.0])
    full = whole(crop, x0, y0, width, height)
    expected = mask_utils.encode(np.asfortranarray(full.astype(np.uint8)))
    made = rle.encode(crop, int(x0), int(y0), int(width), int(height))
    assert made == {"size": [height, width], "counts": expected["counts"].decode()}
    assert np.array_equal(mask_utils.decode(made), full)


def test_a_run_goes_on_from_one_column_to_the_next():
    crop = np.ones((5, 3), bool)
    made = rle.encode(crop, 1, 0, 6, 5)
    assert np.array_equal(mask_utils.decode(made), whole(crop, 1, 0, 6, 5))
    assert mask_utils.area(made) == 15


def test_a_1080p_ellipse():
    y, x = np.mgrid[:700, :900]
    crop = ((x - 450) / 450) ** 2 + ((y - 350) / 350) ** 2 < 1
    made = rle.encode(crop, 500, 200, 1920, 1080)
    assert np.array_equal(mask_utils.decode(made), whole(crop, 500, 200, 1920, 1080))


@pytest.mark.parametrize(("x0", "y0"), [(-1, 0), (0, -1), (8, 0), (0, 8)])
def test_a_crop_outside_the_frame_is_refused(x0, y0):
    with pytest.raises(ValueError, match="does not lie inside"):
        rle.encode(np.ones((3, 3), bool), x0, y0, 10, 10)


@pytest.mark.parametrize("seed", range(10))
def test_runs_of_what_was_compressed(seed):
    rng = np.random.default_rng(seed)
    crop = rng.random((40, 30)) < rng.choice([0.0, 0.05, 0.5, 1.0])
    made = rle.encode(crop, 3, 2, 50, 60)
    runs = rle.runs_of(made["counts"])
    assert sum(runs) == 50 * 60
    assert mask_utils.frPyObjects({"size": [60, 50], "counts": runs}, 60, 50)["counts"].decode() == made["counts"]


@pytest.mark.parametrize("counts", ["\x7f", "0 0", "P", "00P"])
def test_what_spells_no_runs_is_refused(counts):
    with pytest.raises(ValueError, match="run lengths"):
        rle.runs_of(counts)
