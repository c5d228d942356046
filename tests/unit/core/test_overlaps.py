import numpy as np
import pytest

from streamseg.core import masks
from streamseg.core.overlaps import disjoint, label_map
from streamseg.core.types import Instances
from tests.unit.pictures import ellipse, field, instances


@pytest.mark.parametrize("scale", [1, 2])
def test_label_map_shows_the_higher_score_on_top(scale):
    found = instances([[10, 10, 90, 90], [40, 20, 140, 95], [60, 5, 110, 60]])
    picture = label_map(found, 151, 99, scale)
    assert picture.shape == (-(-99 // scale), -(-151 // scale))
    expected = np.zeros((99, 151), int)
    for i in (2, 1, 0):
        expected[field(ellipse(), found.boxes[i].tolist(), 151, 99) > 127.5] = i + 1
    same = picture.repeat(scale, 0).repeat(scale, 1)[:99, :151] == expected
    assert same.mean() > (0.999 if scale == 1 else 0.97)


def test_label_map_of_a_crowd_does_not_wrap():
    found = instances([[i % 20 * 5, i // 20 * 5, i % 20 * 5 + 5, i // 20 * 5 + 5] for i in range(300)])
    assert label_map(found, 100, 80).max() == 300


def test_disjoint_gives_each_pixel_to_the_nearest():
    boxes = np.array([[2, 2, 30, 30], [10, 10, 40, 40], [20, 5, 60, 25]], np.float32)
    found = Instances(
        boxes, np.array([0.9, 0.8, 0.7], np.float32), np.zeros(3, np.int64), np.full((3, 28, 28), 255, np.uint8), ("thing",)
    )
    whole = [masks.full(m, b, 64, 48) for m, b in zip(found.masks, boxes, strict=True)]
    for order in (None, np.array([2, 0, 1])):
        nearest_first = [0, 1, 2] if order is None else [1, 2, 0]
        taken = np.zeros((48, 64), bool)
        made = disjoint(found, 64, 48, order)
        for i in nearest_first:
            (x0, y0, x1, y1), crop = made[i]
            mask = np.zeros((48, 64), bool)
            mask[y0:y1, x0:x1] = crop
            assert np.array_equal(mask, whole[i] & ~taken)
            taken |= whole[i]


@pytest.mark.parametrize("side", ["left", "top", "right", "bottom"])
@pytest.mark.parametrize("cut_off", [True, False])
def test_a_mask_goes_on_where_the_frame_cuts_its_object_off(side, cut_off):
    """And falls to zero over a cell elsewhere. The outermost cells have a value that the next ones have not."""
    mask = np.full((28, 28), 40, np.uint8)
    edge = {"left": np.s_[:, 0], "top": np.s_[0], "right": np.s_[:, -1], "bottom": np.s_[-1]}[side]
    mask[edge] = 200
    frame, away = 112, 0 if cut_off else 8
    box = [0.0, 0.0, 112.0, 112.0]
    position = {"left": 0, "top": 1, "right": 2, "bottom": 3}[side]
    box[position] += away if position < 2 else -away
    (x0, y0, x1, y1), crop = masks.paste(mask, box, frame, frame)
    assert (x1 - x0, y1 - y0) == crop.shape[::-1]
    line = crop[edge][28:84]
    if cut_off:
        assert set(np.unique(line)) == {200}, "half a cell outside of the outermost centres"
    else:
        assert line.max() < 200


def test_labels_fit_any_number_of_instances():
    boxes = [[2 * (i % 30), 3 * (i // 30), 2 * (i % 30) + 2, 3 * (i // 30) + 3] for i in range(300)]
    for count, dtype in ((254, np.uint8), (255, np.int16), (300, np.int16)):
        found = Instances(
            np.array(boxes[:count], np.float32), np.linspace(1, 0.5, count, dtype=np.float32), np.zeros(count, np.int64),
            np.full((count, 28, 28), 255, np.uint8), ("car",),
        )  # fmt: skip
        labels = label_map(found, 60, 30)
        assert labels.dtype == dtype
        assert labels.max() == count
        assert set(np.unique(labels)) >= set(range(1, count + 1))
        half = label_map(found, 60, 29, scale=2)
        assert half.shape == (15, 30)
