"""What a graph does to boxes beside NMS: decode them, choose rows of them, blank the rows that are none."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["decode_boxes", "large", "only", "take"]

MAX_LOG_RATIO = math.log(1000.0 / 16)
"""torchvision's bound on a box's growth."""


def decode_boxes(deltas: Tensor, boxes: Tensor, weights: Sequence[float]) -> Tensor:
    """Boxes moved by (dx, dy, dw, dh) over `weights` (Girshick 2014): [..., 4], xyxy [..., 4] → xyxy [..., 4]."""
    size = boxes[..., 2:] - boxes[..., :2]
    centre = boxes[..., :2] + 0.5 * size
    move = deltas[..., :2] / deltas.new_tensor(weights[:2])
    grow = (deltas[..., 2:] / deltas.new_tensor(weights[2:])).clamp(max=MAX_LOG_RATIO)
    centre = move * size + centre
    half = 0.5 * torch.exp(grow) * size
    return torch.cat((centre - half, centre + half), dim=-1)


def take(values: Tensor, index: Tensor) -> Tensor:
    """Rows `index` [..., K] of `values` [..., N, 4] → [..., K, 4]."""
    return values.gather(-2, index.unsqueeze(-1).expand(*index.shape, values.shape[-1]))


def only(real: Tensor, boxes: Tensor) -> Tensor:
    """Boxes [..., 4], zero where `real` float [...] is 0, whatever stands there: NaN times 0 would be NaN."""
    return torch.where(real.unsqueeze(-1) > 0, boxes, torch.zeros_like(boxes))


def large(boxes: Tensor, side: float) -> Tensor:
    """1 where both sides reach `side` pixels, else 0: xyxy [..., 4] → float [...]."""
    wide = (boxes[..., 2] - boxes[..., 0] >= side) & (boxes[..., 3] - boxes[..., 1] >= side)
    return wide.to(boxes.dtype)
