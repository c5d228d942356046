"""Fine features for masks: two maps of few channels on strides 2 and 4, which only the mask branch reads.

A person 16 pixels tall is four rows of a pyramid whose finest stride is 4, too few for a silhouette. The boxes do not need more,
so that the maps are made for the masks alone, from the body's stride-2 map and the pyramid's stride-4 level, and are joined with
the mask branch's own features where these have 28×28 cells (the idea of Kirillov et al. 2020, PointRend, arXiv 1912.08193, and of
Zhang et al. 2021, RefineMask, arXiv 2104.08569, without their points and stages).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import MultiScaleRoIAlign, roi_align

from streamseg.networks.heads import MultiScaleRoIPool
from streamseg.networks.roi_align import SAMPLES, level_of

__all__ = ["FINE_SAMPLES", "FINE_SIDES", "FINE_STRIDES", "FineMaps", "FineRoIAlign", "FineRoIPool", "Pyramid", "fine_pooler"]

FINE_STRIDES = (2, 4)
FINE_SIDES = (112.0,)
"""Box sides, in input pixels, from which the map of stride 4 is read: up to there a bin is two cells of the finer map at most."""
FINE_SAMPLES = 1
"""Sample points per bin and axis: so many bins need no more, and four times as many would take 8 % of the whole network's time."""


class Pyramid(OrderedDict[str, Tensor]):
    """A pyramid's levels by name, as torchvision's detectors expect, and beside them the fine maps, which are no levels."""

    fine: list[Tensor]
    """Float [B, F, H/2, W/2] and [B, F, H/4, W/4]."""


class FineMaps(nn.Module):
    """Makes the fine maps: float [B, C2, H/2, W/2] and [B, C4, H/4, W/4] → [B, width, ...] of the same strides."""

    def __init__(self, detail: int, level: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.detail = nn.Conv2d(detail, width, 1)
        self.level = nn.Conv2d(level, width, 1)
        self.blend = nn.Conv2d(width, width, 3, padding=1, groups=width)

    def forward(self, detail: Tensor, level: Tensor) -> list[Tensor]:
        """The maps, the finer one first."""
        coarse = self.level(level)
        fine = self.detail(detail) + F.interpolate(coarse, scale_factor=2.0, mode="nearest")
        return [torch.relu(fine + self.blend(fine)), torch.relu(coarse)]


class _WithFine(MultiScaleRoIAlign):  # type: ignore[misc]  # torchvision is untyped
    """RoI pooling of the pyramid's levels, and RoIAlign of the fine maps into twice as many cells.

    Levels by name and xyxy boxes [R, 4] of each image, in input pixels, → float [sum of R, C, S, S] and [sum of R, F, 2S, 2S].
    """

    def forward(self, x: Pyramid, boxes: list[Tensor], image_shapes: list[tuple[int, int]]) -> tuple[Tensor, Tensor]:
        """What the mask head takes."""
        coarse = super().forward(x, boxes, image_shapes)
        image = torch.cat([torch.full_like(box[:, :1], i) for i, box in enumerate(boxes)])
        rois = torch.cat((image, torch.cat(boxes)), dim=1)
        level = level_of(rois[:, 1:], FINE_SIDES)
        side = 2 * self.output_size[0]
        result = x.fine[0].new_zeros((len(rois), x.fine[0].shape[1], side, side))
        for i, (fine, stride) in enumerate(zip(x.fine, FINE_STRIDES, strict=True)):
            mine = torch.where(level == i)[0]
            pooled = roi_align(fine, rois[mine].to(fine.dtype), side, 1 / stride, FINE_SAMPLES)
            result[mine] = pooled.to(result.dtype)  # mixed precision pools in float32
        return coarse, result


class FineRoIAlign(_WithFine):
    """By RoIAlign."""


class FineRoIPool(_WithFine, MultiScaleRoIPool):  # type: ignore[misc]  # it answers more than its base
    """By RoIPool; the fine maps still by RoIAlign, for whole cells are what they are against."""


def fine_pooler(kind: str, levels: Sequence[str], size: int, canonical_scale: int) -> MultiScaleRoIAlign:
    """As `heads.pooler`, with the fine features beside the others."""
    kinds = {"align": FineRoIAlign, "pool": FineRoIPool}
    return kinds[kind](list(levels), size, SAMPLES, canonical_scale=canonical_scale)
