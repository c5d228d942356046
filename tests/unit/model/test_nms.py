from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs extra `train`")

import torch
from torchvision.ops import batched_nms, nms

from streamseg.model.nms import fixed_point_nms, pairwise_iou


def sorted_boxes(count: int, seed: int, spread: float = 100.0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    low = torch.rand(count, 2, generator=generator) * spread
    size = 5 + torch.rand(count, 2, generator=generator) * 60
    scores = torch.rand(count, generator=generator).sort(descending=True).values
    return torch.cat((low, low + size), 1), scores


def chain(count: int, shift: float = 4.0) -> torch.Tensor:
    """Boxes of which each overlaps only its neighbours above 0.4: the longest chain there is."""
    x = torch.arange(count) * shift
    return torch.stack((x, torch.zeros(count), x + 10, torch.full((count,), 10.0)), 1)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7])
def test_equals_torchvision_on_random_boxes(seed: int, threshold: float) -> None:
    boxes, scores = sorted_boxes(200, seed)
    expected = torch.zeros(200)
    expected[nms(boxes, scores, threshold)] = 1
    assert torch.equal(fixed_point_nms(boxes, torch.ones(200), threshold), expected)


def test_equals_batched_nms_within_groups() -> None:
    boxes, scores = sorted_boxes(150, 3, spread=30)
    groups = torch.arange(150) % 4
    expected = torch.zeros(150)
    expected[batched_nms(boxes, scores, groups, 0.5)] = 1
    assert torch.equal(fixed_point_nms(boxes, torch.ones(150), 0.5, groups), expected)


@pytest.mark.parametrize("iterations", [2, 5, 10])
def test_chain_is_exact_up_to_the_bound_and_not_beyond(iterations: int) -> None:
    for length in range(1, iterations + 4):
        boxes = chain(length)
        exact = (torch.arange(length) % 2 == 0).float()
        assert torch.equal(exact.nonzero()[:, 0], nms(boxes, torch.linspace(1, 0.1, length), 0.4))
        kept = fixed_point_nms(boxes, torch.ones(length), 0.4, iterations=iterations)
        assert torch.equal(kept[: iterations + 1], exact[: iterations + 1])
        if length > iterations + 1:
            assert not torch.equal(kept, exact)


def test_boxes_that_are_not_valid_neither_stay_nor_suppress() -> None:
    boxes = torch.tensor([[0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 0, 0]], dtype=torch.float32)
    assert fixed_point_nms(boxes, torch.tensor([0.0, 1.0, 0.0]), 0.5).tolist() == [0, 1, 0]


def test_iou_of_empty_boxes_is_zero() -> None:
    assert pairwise_iou(torch.zeros(3, 4)).abs().max() == 0
