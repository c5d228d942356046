from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs extra `train`")

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from streamseg.errors import ConfigError
from streamseg.model.augment import Samples, source_weights
from streamseg.model.coco import read_coco
from tests.unit.model.conftest import annotation

MakeCoco = Callable[..., Path]
ROWS = [
    annotation(1, 1, (10, 10, 30, 40)),
    annotation(2, 1, (60, 20, 30, 20), category=3, segmentation=None),
    annotation(3, 2, (5, 5, 40, 50), category=3),
    annotation(4, 2, (50, 5, 40, 50), iscrowd=1),
]


def samples(path: Path, seed: int = 0, paste: float = 0.6) -> Samples:
    photos = read_coco(path)[0]
    return Samples(photos, source_weights(photos, {}), [(64, 96), (96, 64)], batch=2, seed=seed, paste=paste)


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
    photos = read_coco(make_coco([], images=4, source="a"))[0]
    assert source_weights(photos, {"a": 1.0}).tolist() == [0.25] * 4
    for wrong in ({"b": 0.5}, {"a": 0.5}, {"a": 1.5}):
        with pytest.raises(ConfigError):
            source_weights(photos, wrong)


def test_a_broken_picture_is_named(make_coco: MakeCoco) -> None:
    path = make_coco([annotation(1, 1, (5, 5, 40, 40))], images=1)
    (path.parent / "images" / "1.png").write_bytes(b"not a picture")
    with pytest.raises(ConfigError, match=r"1\.png"):
        samples(path)[0]


def test_no_photo_at_all_is_refused() -> None:
    with pytest.raises(ConfigError, match="no photo"):
        Samples([], np.zeros(0), [(64, 96)], 1, 0)
