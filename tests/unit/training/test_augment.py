from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs extra `train`")

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from streamseg.config.training import Augmentation
from streamseg.datasets.coco import DataFile, read_data
from streamseg.datasets.pictures import read_picture
from streamseg.errors import ConfigError
from streamseg.training.dataset import Samples, repeat_rare, source_weights
from tests.unit.conftest import annotation

MakeCoco = Callable[..., Path]
ROWS = [
    annotation(1, 1, (10, 10, 30, 40)),
    annotation(2, 1, (60, 20, 30, 20), category=3, segmentation=None),
    annotation(3, 2, (5, 5, 40, 50), category=3),
    annotation(4, 2, (50, 5, 40, 50), iscrowd=1),
]


def samples(path: Path, seed: int = 0, paste: float = 0.6) -> Samples:
    photos = read_data([DataFile(path)]).photos
    how = replace(Augmentation(), paste=paste)
    return Samples(photos, source_weights(photos, {}), [(64, 96), (96, 64)], 2, seed, how)


def test_a_sample_depends_on_seed_and_number_alone(make_coco: MakeCoco) -> None:
    path = make_coco(ROWS)
    first, second, other = samples(path), samples(path), samples(path, seed=1)
    for n in (7, 3, 12):
        image, target = first[n]
        again, target_again = second[n]
        assert torch.equal(image, again)
        assert all(torch.equal(target[k], target_again[k]) for k in target)
    assert first[4][0].shape == first[5][0].shape, "a batch has one canvas"
    assert any(first[n][0].shape != other[n][0].shape or not torch.equal(first[n][0], other[n][0]) for n in range(4))


def test_targets_are_consistent(make_coco: MakeCoco) -> None:
    data = samples(make_coco(ROWS), paste=1.0)
    pasted = 0
    for n in range(60):
        image, target = data[n]
        height, width = image.shape[1:]
        boxes, masks = target["boxes"], target["masks"]
        assert masks.shape == (len(boxes), height, width)
        assert len(target["labels"]) == len(boxes) == len(target["has_mask"])
        assert (boxes >= 0).all()
        assert (boxes <= torch.tensor([width, height, width, height])).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all()
        pasted += len(boxes) > 2
        cover = masks[target["has_mask"]].sum(0)
        assert cover.max() <= 1 if len(cover) else True, "what is pasted over is taken from what lies below"
        for box, mask, known in zip(boxes, masks, target["has_mask"], strict=True):
            if known:
                ys, xs = np.nonzero(mask.numpy())
                assert box.tolist() == [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
            else:
                assert not mask.any()
    assert pasted > 20


def test_the_mask_lies_on_the_object(make_coco: MakeCoco) -> None:
    """The object is bright green on a dark photo: whatever the scale and flip, mask and colour agree."""
    data = samples(make_coco([annotation(1, 1, (20, 10, 40, 40))], images=1), paste=0.0)
    agreed = []
    for n in range(20):
        image, target = data[n]
        if len(target["masks"]) and int(target["masks"][0].sum()) > 200:
            mask = target["masks"][0].bool()
            green = image[1].float()
            agreed.append(float(green[mask].mean()) > 1.3 * float(image[0].float()[mask].mean()))
    assert len(agreed) > 5
    assert np.mean(agreed) > 0.8  # some samples lose their colour on purpose


def test_shares_of_sources(make_coco: MakeCoco) -> None:
    photos = read_data([DataFile(make_coco([], images=4, source="a"))]).photos
    assert source_weights(photos, {"a": 1.0}).tolist() == [0.25] * 4
    for wrong in ({"b": 0.5}, {"a": 0.5}, {"a": 1.5}):
        with pytest.raises(ConfigError):
            source_weights(photos, wrong)


def test_photos_of_rare_classes_come_more_often_and_sources_keep_their_part(make_coco: MakeCoco) -> None:
    rows = [annotation(i, i, (10, 10, 30, 40), category=3 if i == 10 else 1) for i in range(1, 11)]
    photos = [replace(photo, source="ab"[i % 2]) for i, photo in enumerate(read_data([DataFile(make_coco(rows, 10))]).photos)]
    odds = source_weights(photos, {"a": 0.6, "b": 0.4})
    raised = repeat_rare(photos, odds, 0.32)
    # The car's photo is 0.4 / 5 = 0.08 of the draws: it counts sqrt(0.32 / 0.08) = 2 against the 4 others of its source.
    assert raised[9] == pytest.approx(0.4 * 2 / 6)
    assert raised[1:9:2] == pytest.approx(0.4 / 6)
    assert raised[0::2] == pytest.approx(odds[0::2]), "a source without rare classes is as it was"
    assert repeat_rare(photos, odds, 0.05) == pytest.approx(odds), "no class is that rare"


@pytest.mark.parametrize(("power", "cars"), [(0.0, 0.5), (1.0, 0.1)])
def test_pasted_classes_come_by_their_frequency_or_alike(make_coco: MakeCoco, power: float, cars: float) -> None:
    rows = [annotation(i, i, (10, 10, 30, 40), category=3 if i == 10 else 1) for i in range(1, 11)]
    photos = read_data([DataFile(make_coco(rows, 10))]).photos
    data = Samples(photos, source_weights(photos, {}), [(64, 96)], 1, 0, Augmentation(paste=1.0, paste_power=power))
    assert dict(zip(data.paste_labels, data.paste_odds.tolist(), strict=True))[2] == pytest.approx(cars)


def test_a_picture_that_breaks_later_is_named(make_coco: MakeCoco) -> None:
    path = make_coco([annotation(1, 1, (5, 5, 40, 40))], images=1)
    data = samples(path)
    (path.parent / "images" / "1.png").write_bytes(b"not a picture")
    with pytest.raises(ConfigError, match=r"1\.png"):
        data[0]


def test_no_photo_at_all_is_refused() -> None:
    with pytest.raises(ConfigError, match="no photo"):
        Samples([], np.zeros(0), [(64, 96)], 1, 0)


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_boxes_without_masks_lie_on_the_picture_too(make_coco: MakeCoco, flip: float) -> None:
    """The bright object's edges in the picture are where its box is, whatever the scale, mirrored or not."""
    path = make_coco([annotation(1, 1, (30, 16, 32, 32), segmentation=None)], images=1)
    how = replace(Augmentation.none(), scale=(0.4, 3.0), flip=flip)
    photos = read_data([DataFile(path)]).photos
    data = Samples(photos, source_weights(photos, {}), [(96, 128)], 1, 0, how)
    seen = 0
    for n in range(20):
        image, target = data[n]
        bright = image[1].numpy() > 145  # half way between the object's 200 and the photo's 0 to 90
        ys, xs = np.nonzero(bright)
        inside = target["boxes"][0].tolist()
        if min(inside[:2]) > 1 and inside[2] < 127 and inside[3] < 95:
            seen += 1
            assert np.allclose(inside, [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1], atol=1.01)
    assert seen > 4


def test_the_scale_is_drawn_from_its_range(make_coco: MakeCoco) -> None:
    """Ghiasi et al. jitter by 0.1 to 2; here every size in the range is about as likely as twice that size."""
    path = make_coco([annotation(1, 1, (38, 22, 20, 20))], images=1)
    photos = read_data([DataFile(path)]).photos
    how = replace(Augmentation.none(), scale=(0.5, 2.0), centre=1.0)
    data = Samples(photos, source_weights(photos, {}), [(128, 192)], 1, 0, how)
    widths = [float(b[2] - b[0]) for n in range(80) for b in data[n][1]["boxes"]]
    assert 19 <= min(widths) < 24
    assert 68 < max(widths) <= 82
    assert 0.3 < np.mean(np.array(widths) < 40) < 0.7


def test_without_augmentation_a_photo_is_itself(make_coco: MakeCoco) -> None:
    path = make_coco([annotation(1, 1, (10, 10, 30, 40))], images=1)
    photos = read_data([DataFile(path)]).photos
    image, target = Samples(photos, source_weights(photos, {}), [(64, 96)], 1, 0, Augmentation.none())[0]
    assert np.array_equal(image.permute(1, 2, 0).numpy(), read_picture(photos[0]))
    assert target["boxes"].tolist() == [[10, 10, 40, 50]]


def test_no_more_is_pasted_than_asked_for(make_coco: MakeCoco) -> None:
    path = make_coco([annotation(1, 1, (10, 10, 30, 40))], images=1)
    photos = read_data([DataFile(path)]).photos
    how = replace(Augmentation(), paste=1.0, paste_most=1)
    data = Samples(photos, source_weights(photos, {}), [(64, 96)], 1, 0, how)
    assert max(len(data[n][1]["boxes"]) for n in range(30)) == 2


@pytest.mark.parametrize(
    "wrong", [{"scale": (2.0, 0.5)}, {"paste": 1.5}, {"flip": -0.1}, {"colour": 9.0}, {"paste_most": 0}, {"paste_power": 2.0}]
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Augmentation(**wrong)
