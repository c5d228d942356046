from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs extra `train`")

import torch
from torchvision.ops import batched_nms, nms

from streamseg.export.nms import ITERATIONS, fixed_point_nms, iterations_needed, pairwise_iou


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


def exact_nms(boxes: torch.Tensor, threshold: float) -> torch.Tensor:
    """torchvision's, of boxes in order of score, as a vector of 1 and 0."""
    kept = torch.zeros(len(boxes))
    kept[nms(boxes, torch.linspace(1, 0.1, len(boxes)), threshold)] = 1
    return kept


@pytest.mark.parametrize("iterations", [2, 5, 10, 15])
def test_chain_is_exact_up_to_the_bound_and_not_beyond(iterations: int) -> None:
    for length in range(1, iterations + 6):
        boxes = chain(length)
        exact = exact_nms(boxes, 0.4)
        assert exact.tolist() == [(i + 1) % 2 for i in range(length)]
        assert iterations_needed(boxes, torch.ones(length), 0.4) == length - 1, "the last of a chain has the rank N - 1"
        kept = fixed_point_nms(boxes, torch.ones(length), 0.4, iterations=iterations)
        assert torch.equal(kept[: iterations + 1], exact[: iterations + 1]), "the head of a chain is right, however long it is"
        assert torch.equal(kept, exact) == (length <= iterations + 1)


@pytest.mark.parametrize("seed", range(6))
def test_after_even_iterations_a_box_may_be_too_many_but_none_is_missing(seed: int) -> None:
    """Boxes in a row whose scores nearly fall along it: many chains of many lengths, some longer than the iterations."""
    generator = torch.Generator().manual_seed(seed)
    order = (torch.arange(120) + 6 * torch.rand(120, generator=generator)).argsort()
    boxes = chain(120, shift=3.0)[order]
    exact = exact_nms(boxes, 0.3)
    needed = iterations_needed(boxes, torch.ones(120), 0.3)
    assert needed > 3
    for n in range(needed + 3):
        kept = fixed_point_nms(boxes, torch.ones(120), 0.3, iterations=n)
        assert (kept >= exact).all() if n % 2 == 0 else (kept <= exact).all()
        assert torch.equal(kept, exact) == (n >= needed)
    assert ITERATIONS % 2 == 0


def test_a_heap_of_boxes_needs_one_iteration_though_its_chain_is_long() -> None:
    boxes = torch.tensor([[0, 0, 100, 100]], dtype=torch.float32) + torch.arange(50)[:, None] * 0.1
    assert iterations_needed(boxes, torch.ones(50), 0.5) == 1
    assert fixed_point_nms(boxes, torch.ones(50), 0.5, iterations=2).tolist() == [1] + [0] * 49


def test_no_more_iterations_are_needed_than_there_are_other_boxes() -> None:
    for seed in range(20):
        boxes, _ = sorted_boxes(40, seed, spread=40)
        assert iterations_needed(boxes, torch.ones(40), 0.3) <= 39
        assert torch.equal(fixed_point_nms(boxes, torch.ones(40), 0.3, iterations=39), exact_nms(boxes, 0.3))


def test_boxes_of_equal_score_are_taken_in_the_order_they_come() -> None:
    """As torchvision does when its stable sort meets equal scores; which of two equals wins is not defined, that one does is."""
    boxes = chain(9)
    kept = torch.zeros(9)
    kept[nms(boxes, torch.full((9,), 0.5), 0.4)] = 1
    assert torch.equal(fixed_point_nms(boxes, torch.ones(9), 0.4), kept)
    backwards = fixed_point_nms(boxes.flip(0), torch.ones(9), 0.4)
    assert backwards.sum() == kept.sum()
    same = torch.tensor([[0, 0, 10, 10]]).repeat(6, 1).float()
    assert fixed_point_nms(same, torch.ones(6), 0.5).tolist() == [1, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_box_that_is_not_finite_disturbs_no_other(bad: float) -> None:
    boxes, _ = sorted_boxes(60, 5)
    sick = boxes.clone()
    sick[10] = bad
    sick[20, 2] = bad
    valid = torch.ones(60)
    valid[[10, 20]] = 0
    healthy = torch.arange(60)[valid > 0]
    kept = fixed_point_nms(sick, valid, 0.5)
    assert kept[[10, 20]].tolist() == [0, 0]
    assert torch.equal(kept[healthy], exact_nms(boxes[healthy], 0.5))
    assert torch.isfinite(fixed_point_nms(sick, torch.ones(60), 0.5)).all()


def test_boxes_that_are_not_valid_neither_stay_nor_suppress() -> None:
    boxes = torch.tensor([[0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 0, 0]], dtype=torch.float32)
    assert fixed_point_nms(boxes, torch.tensor([0.0, 1.0, 0.0]), 0.5).tolist() == [0, 1, 0]


def test_iou_of_empty_boxes_is_zero() -> None:
    assert pairwise_iou(torch.zeros(3, 4)).abs().max() == 0
