from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs extra `train`")

import math

import torch
from torchvision.models.detection.image_list import ImageList

from streamseg.networks.build import build_network
from streamseg.networks.losses import doubtful, inside_fraction, marginal_cross_entropy


def boxes(*rows: tuple[float, float, float, float]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float32).reshape(-1, 4)


def test_inside_fraction_is_of_the_box_not_of_the_region() -> None:
    small, region = boxes((0, 0, 10, 10), (5, 0, 15, 10), (50, 50, 60, 60)), boxes((0, 0, 10, 40))
    assert inside_fraction(small, region).tolist() == [1.0, 0.5, 0.0]
    assert inside_fraction(small, boxes()).tolist() == [0, 0, 0]


def test_nothing_is_doubtful_in_a_fully_labelled_image() -> None:
    assert not doubtful(boxes((0, 0, 5, 5)), {"boxes": boxes()}).any()


def test_negatives_in_a_crowd_are_doubtful() -> None:
    target = {"boxes": boxes((0, 0, 20, 20)), "ignore": boxes((100, 100, 200, 200))}
    candidates = boxes((110, 110, 130, 130), (30, 30, 40, 40))
    assert doubtful(candidates, target).tolist() == [True, False]


def test_far_background_of_a_non_exhaustive_image_is_doubtful() -> None:
    target = {"boxes": boxes((0, 0, 20, 20)), "exhaustive": torch.tensor(False)}
    beside, far = (10.0, 10.0, 30.0, 30.0), (300.0, 300.0, 320.0, 320.0)
    assert doubtful(boxes(beside, far), target).tolist() == [False, True]
    target["boxes"] = boxes()
    assert doubtful(boxes(beside, far), target).all()


def test_background_may_be_any_label_that_was_not_annotated() -> None:
    logits = torch.log(torch.tensor([[0.2, 0.5, 0.3]])).repeat(3, 1)
    unlabelled = torch.tensor([[False, True, False], [False, False, False], [False, True, False]])
    labels = torch.tensor([0, 0, 2])
    expected = -(math.log(0.2 + 0.5) + math.log(0.2) + math.log(0.3)) / 3
    assert abs(float(marginal_cross_entropy(logits, labels, unlabelled)) - expected) < 1e-5
    assert float(marginal_cross_entropy(logits[:0], labels[:0], unlabelled[:0])) == 0


def gradients(target: dict[str, torch.Tensor]) -> dict[str, float]:
    """Size of the gradient that each head gets from one image with this target."""
    torch.manual_seed(0)
    model = build_network("lite", 2).train()
    x = torch.randn(1, 3, 64, 96)
    listed = ImageList(x, [(64, 96)])
    features = model.backbone(x)
    proposals, losses = model.rpn(listed, features, [target])
    _, more = model.roi_heads(features, proposals, [(64, 96)], [target])
    total = sum({**losses, **more}.values())
    assert torch.isfinite(total)
    if total.requires_grad:
        total.backward()
    parts = {"rpn": model.rpn.head.cls_logits, "box": model.roi_heads.box_predictor, "mask": model.roi_heads.mask_predictor}
    return {k: sum(float(p.grad.abs().sum()) for p in m.parameters() if p.grad is not None) for k, m in parts.items()}


def target(count: int, **more: torch.Tensor) -> dict[str, torch.Tensor]:
    box = boxes((20, 10, 60, 50))[:count]
    masks = torch.zeros(count, 64, 96, dtype=torch.uint8)
    masks[:, 10:50, 20:60] = 1
    return {"boxes": box, "labels": torch.ones(count, dtype=torch.int64), "masks": masks, **more}


def test_an_image_without_trusted_labels_teaches_nothing() -> None:
    nothing = gradients(target(0, exhaustive=torch.tensor(False)))
    assert nothing == {"rpn": 0, "box": 0, "mask": 0}
    assert gradients(target(0))["rpn"] > 0, "a fully labelled empty photo is all background"


def test_an_object_without_mask_trains_the_boxes_only() -> None:
    with_mask = gradients(target(1, has_mask=torch.tensor([True])))
    without = gradients(target(1, has_mask=torch.tensor([False])))
    assert with_mask["mask"] > 0
    assert without["mask"] == 0
    assert without["box"] > 0
