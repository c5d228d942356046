"""RoIAlign over all pyramid levels by one GridSample, with no RoiAlign op.

RoIAlign (He et al. 2017, section 3) samples each bin bilinearly at 2×2 points and averages them. Here the
levels are laid into one feature map: the finest on top, the others side by side under it, each with a
border of one repeated pixel so that rounding never mixes neighbours. Every RoI's sample points are moved to
its level's place; one GridSample reads them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

BORDER = 1
SAMPLES = 2
"""Sample points per bin and axis, torchvision's sampling_ratio."""

OUTSIDE = -1e5
"""A position that is outside every feature map, where GridSample reads zero."""


@dataclass(frozen=True, slots=True)
class LevelPosition:
    """Where a level lies in the combined feature map: its own size, and where its pixel (0, 0) is there, in pixels."""

    height: int
    width: int
    top: int
    left: int
    scale: float
    """Level pixels per input pixel, 1 / stride."""


def layout(sizes: Sequence[tuple[int, int]], strides: Sequence[int]) -> tuple[list[LevelPosition], int, int]:
    """Places of levels of (height, width), finest first, and height and width of the combined feature map."""
    top, left, places = 0, 0, []
    for i, ((height, width), stride) in enumerate(zip(sizes, strides, strict=True)):
        places.append(LevelPosition(height, width, top + BORDER, left + BORDER, 1.0 / stride))
        if i == 0:
            top = height + 2 * BORDER
        else:
            left += width + 2 * BORDER
    total_width = max(sizes[0][1] + 2 * BORDER, left)
    total_height = top + (max(h for h, _ in sizes[1:]) + 2 * BORDER if len(sizes) > 1 else 0)
    return places, total_height, total_width


def combine_levels(levels: Sequence[Tensor]) -> Tensor:
    """Levels float [B, C, h, w], finest first → one feature map [B, C, H, W] as `layout` describes."""
    padded = [F.pad(level, (BORDER,) * 4, mode="replicate") for level in levels]
    if len(padded) == 1:
        return padded[0]
    tallest = padded[1].shape[2]
    row = torch.cat([F.pad(p, (0, 0, 0, tallest - p.shape[2])) for p in padded[1:]], dim=3)
    width = max(padded[0].shape[3], row.shape[3])
    parts = [F.pad(p, (0, width - p.shape[3])) for p in (padded[0], row)]
    return torch.cat(parts, dim=2)


def level_of(boxes: Tensor, thresholds: Sequence[float]) -> Tensor:
    """Index of each box's pyramid level: xyxy [..., 4] → int64 [...].

    Equation 1 of Lin et al. 2017, k = floor(k0 + log2(sqrt(area) / s0)), written as comparisons with the box
    sides at which k steps up, so that no runtime's logarithm decides.
    """
    area = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    level = torch.zeros_like(area)
    for side in thresholds:
        level = level + (area >= side * side).to(area.dtype)
    return level.to(torch.int64)


def combined_roi_align(
    features: Tensor,
    boxes: Tensor,
    places: Sequence[LevelPosition],
    thresholds: Sequence[float],
    size: int,
    samples: int = SAMPLES,
) -> Tensor:
    """Pooled RoIs: feature map [B, C, H, W], boxes xyxy [B, R, 4] in input pixels → [B·R, C, size, size].

    Equals torchvision's MultiScaleRoIAlign(sampling_ratio=samples) for boxes inside the picture.
    """
    batch, count = boxes.shape[0], boxes.shape[1]
    level = level_of(boxes, thresholds)
    table = torch.tensor(
        [[p.scale, p.left, p.top, p.width - 1, p.height - 1] for p in places],
        dtype=boxes.dtype,
        device=boxes.device,
    )
    scale, left, top, last_x, last_y = table[level].unsqueeze(-1).unbind(-2)
    side = size * samples
    steps = (torch.arange(side, dtype=boxes.dtype, device=boxes.device) + 0.5) / side
    xs = _points(boxes[..., 0:1], boxes[..., 2:3], scale, last_x, steps) + left
    ys = _points(boxes[..., 1:2], boxes[..., 3:4], scale, last_y, steps) + top
    xs = xs * (2.0 / (features.shape[3] - 1)) - 1
    ys = ys * (2.0 / (features.shape[2] - 1)) - 1
    grid = torch.stack(
        (
            xs.unsqueeze(-2).expand(batch, count, side, side),
            ys.unsqueeze(-1).expand(batch, count, side, side),
        ),
        dim=-1,
    ).reshape(batch, count * side, side, 2)
    sampled = F.grid_sample(features, grid.to(features.dtype), mode="bilinear", align_corners=True)
    pooled = F.avg_pool2d(sampled, samples) if samples > 1 else sampled
    channels = features.shape[1]
    pooled = pooled.reshape(batch, channels, count, size, size).transpose(1, 2)
    return pooled.reshape(batch * count, channels, size, size)


def _points(low: Tensor, high: Tensor, scale: Tensor, last: Tensor, steps: Tensor) -> Tensor:
    """Sample positions along one axis in level pixels: [B, R, 1] → [B, R, side].

    A box is taken as one level pixel wide at least, so at the picture's edge samples may lie outside: up to
    one pixel they read the last one, further out they read zero, which is what lies outside the feature map.
    """
    start, end = low * scale, high * scale
    extent = (end - start).clamp(min=1.0)
    points = start + extent * steps
    inside = torch.minimum(points.clamp(min=0.0), last)
    return torch.where(points > last + 1, torch.full_like(points, OUTSIDE), inside)
