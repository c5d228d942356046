"""Parts that several networks share: RoI pooling by either rule, and mask predictors for all or for no class.

RoIAlign (He et al. 2017, section 3) samples bilinearly and rounds nothing. RoIPool (Girshick 2015, Fast R-CNN, section 2.1)
rounds the RoI and its bins to whole cells and takes each bin's maximum: it is here to be compared with, as in the paper's
table 2c and 2d.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torchvision.models.detection.mask_rcnn import MaskRCNNPredictor
from torchvision.ops import MultiScaleRoIAlign, roi_pool

from streamseg.errors import ConfigError
from streamseg.networks.roi_align import SAMPLES, level_of

__all__ = ["MaskPredictor", "MultiScaleRoIPool", "SharedTrunk", "level_sides", "pooler", "spread"]


class MultiScaleRoIPool(MultiScaleRoIAlign):  # type: ignore[misc]  # torchvision is untyped
    """RoIPool over a pyramid, with RoIAlign's rule for which level an RoI is pooled from."""

    def forward(self, x: dict[str, Tensor], boxes: list[Tensor], image_shapes: list[tuple[int, int]]) -> Tensor:
        """Levels float [B, C, h, w] by name, xyxy boxes [R, 4] of each image in input pixels → [sum of R, C, size, size]."""
        levels = [x[name] for name in self.featmap_names]
        height = max(shape[0] for shape in image_shapes)
        strides = [2 ** round(torch.tensor(height / level.shape[2]).log2().item()) for level in levels]
        image = torch.cat([torch.full_like(box[:, :1], i) for i, box in enumerate(boxes)])
        rois = torch.cat((image, torch.cat(boxes)), dim=1)
        chosen = level_of(rois[:, 1:], level_sides(self, strides))
        result = levels[0].new_zeros((len(rois), levels[0].shape[1], *self.output_size))
        for i, (level, stride) in enumerate(zip(levels, strides, strict=True)):
            mine = torch.where(chosen == i)[0]
            # In float32: bf16 could not name columns from 256 on, and on a CPU there is no other RoIPool.
            pooled = roi_pool(level.float(), rois[mine].float(), self.output_size, 1 / stride)
            result[mine] = pooled.to(result.dtype)
        return result


def level_sides(pool: MultiScaleRoIAlign, strides: Sequence[int]) -> list[float]:
    """Box sides, in input pixels, from which the next coarser level is used (equation 1 of Lin et al. 2017)."""
    finest = strides[0].bit_length() - 1
    return [pool.canonical_scale * 2.0 ** (finest + 1 + i - pool.canonical_level - 1e-6) for i in range(len(strides) - 1)]


def pooler(kind: str, levels: Sequence[str], size: int, canonical_scale: int = 224) -> MultiScaleRoIAlign:
    """RoI pooling to `size` × `size` by "align" or "pool"; raises ConfigError for another kind."""
    kinds = {"align": MultiScaleRoIAlign, "pool": MultiScaleRoIPool}
    if kind not in kinds:
        raise ConfigError(f"roi_pool is {kind!r}; allowed: {', '.join(kinds)}")
    return kinds[kind](list(levels), size, SAMPLES, canonical_scale=canonical_scale)


AGNOSTIC_ROWS = 2
"""Mask rows of a network with class-agnostic masks: background's, unused as always, and that of any object."""


def spread(logits: Tensor, num_labels: int) -> Tensor:
    """Mask logits for each label, float [R, labels, S, S], from as many rows or from the two of class-agnostic masks."""
    return logits if logits.shape[1] == num_labels else logits[:, 1:2].expand(-1, num_labels, -1, -1)


class MaskPredictor(MaskRCNNPredictor):  # type: ignore[misc]  # torchvision is untyped
    """torchvision's mask predictor, whose masks may be those of any object instead of one for each class.

    Float [R, C, S, S] → logits [R, labels, 2S, 2S]. The parameters have torchvision's names; class-agnostic ones have two rows.
    """

    def __init__(self, channels: int, hidden: int, num_labels: int, class_agnostic: bool = False) -> None:
        super().__init__(channels, hidden, AGNOSTIC_ROWS if class_agnostic else num_labels)
        self.num_labels = num_labels

    def forward(self, x: Tensor) -> Tensor:
        """Logits of each label."""
        return spread(cast(nn.Module, super()).forward(x), self.num_labels)


class SharedTrunk(nn.Module):
    """A module that is owned elsewhere, so that its parameters exist once: in state dicts, counts and optimisers."""

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self._trunk = (trunk,)  # in a tuple, where torch does not look for submodules

    @property
    def trunk(self) -> nn.Module:
        """The module that does the work."""
        return self._trunk[0]

    def forward(self, x: Tensor) -> Tensor:
        """What the trunk answers."""
        result: Tensor = self.trunk(x)
        return result
