from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs extra `train`")

import torch
from torchvision.ops import MultiScaleRoIAlign

from streamseg.networks.roi_align import combine_levels, combined_roi_align, layout, level_of

STRIDES = (4, 8, 16, 32)


@pytest.mark.parametrize(("height", "width"), [(256, 448), (320, 576), (448, 320)])
@pytest.mark.parametrize("size", [7, 14])
def test_equals_multi_scale_roi_align(height: int, width: int, size: int) -> None:
    generator = torch.Generator().manual_seed(size)
    levels = [torch.randn(2, 8, height // s, width // s, generator=generator) * 20 for s in STRIDES]
    limit = torch.tensor([width, height], dtype=torch.float32)
    low = torch.rand(2, 60, 2, generator=generator) * limit
    high = torch.minimum(low + torch.rand(2, 60, 2, generator=generator) ** 3 * limit, limit)
    boxes = torch.cat((low, high), 2)
    boxes[:, 0] = torch.tensor([0, 0, width, height])  # the whole picture: samples reach the last pixel
    boxes[:, 1] = 0  # a padded row
    pool = MultiScaleRoIAlign(["0", "1", "2", "3"], size, 2, canonical_scale=160)
    named = {str(i): level for i, level in enumerate(levels)}
    expected = pool(named, list(boxes), [(height, width)] * 2)
    places, full_height, full_width = layout([tuple(f.shape[2:]) for f in levels], STRIDES)
    features = combine_levels(levels)
    assert features.shape[2:] == (full_height, full_width)
    got = combined_roi_align(features, boxes, places, [80.0, 160.0, 320.0], size)
    assert (got - expected).abs().max() < 2e-3  # of values up to 80


def test_level_steps_up_at_the_stated_sides() -> None:
    sides = torch.tensor([10.0, 79.9, 80.0, 159.9, 160.0, 319.0, 320.0, 900.0])
    boxes = torch.stack((torch.zeros(8), torch.zeros(8), sides, sides), 1)
    assert level_of(boxes, [80.0, 160.0, 320.0]).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_one_level_needs_no_thresholds() -> None:
    """C4: stride 16 alone, RoIs of every size."""
    generator = torch.Generator().manual_seed(0)
    level = torch.randn(1, 4, 10, 14, generator=generator) * 20
    low = torch.rand(1, 40, 2, generator=generator) * torch.tensor([224.0, 160])
    high = torch.minimum(low + torch.rand(1, 40, 2, generator=generator) ** 3 * 224, torch.tensor([224.0, 160]))
    boxes = torch.cat((low, high), 2)
    expected = MultiScaleRoIAlign(["0"], 14, 2)({"0": level}, list(boxes), [(160, 224)])
    places, _, _ = layout([(10, 14)], [16])
    assert (combined_roi_align(combine_levels([level]), boxes, places, [], 14) - expected).abs().max() < 2e-3
