"""`lite`, the embedded model's network: EfficientNet-Lite0, a light pyramid, and heads of separable convolutions."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead

from streamseg.networks.backbones import (
    LITE0_MEAN,
    LITE0_STD,
    EfficientNetLite0,
    LightFPN,
    Separable,
    imagenet_lite0_weights,
)
from streamseg.networks.design import Design
from streamseg.networks.fine import fine_pooler
from streamseg.networks.heads import AGNOSTIC_ROWS, pooler, spread

__all__ = ["SeparableMaskHead", "SeparableRPNHead", "ShuffleMaskPredictor", "lite"]

LEVELS = ["0", "1", "2", "3"]
"""The pyramid levels that RoIs are pooled from: strides 4, 8, 16, 32."""

MASK_SIZE = 28


class SeparableRPNHead(nn.Module):
    """RPN head shared by all levels: one separable convolution, then objectness and box deltas.

    Input: list of float [B, C, h, w]. Output: lists of [B, A, h, w] logits and [B, 4A, h, w] deltas.
    """

    def __init__(self, channels: int, anchors: int) -> None:
        super().__init__()
        self.conv = Separable(channels, channels, norm=False)
        self.cls_logits = nn.Conv2d(channels, anchors, 1)
        self.bbox_pred = nn.Conv2d(channels, anchors * 4, 1)
        for layer in (self.cls_logits, self.bbox_pred):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # these convolutions have a bias

    def forward(self, features: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Logits and deltas of each level."""
        shared = [self.conv(f) for f in features]
        return [self.cls_logits(s) for s in shared], [self.bbox_pred(s) for s in shared]


class SeparableMaskHead(nn.Sequential):
    """Four separable convolutions at 14×14, C → `width` channels, that know where in the box they are and what is all over it.

    Takes float [R, C, 14, 14] and the fine features [R, F, 28, 28]; gives [R, width, 14, 14] and the fine features as they came.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__(Separable(channels, width), *(Separable(width, width) for _ in range(3)))
        self.place = nn.Parameter(torch.zeros(1, width, MASK_SIZE // 2, MASK_SIZE // 2))
        self.context = nn.Linear(width, width)
        for parameter in self.context.parameters():
            nn.init.zeros_(parameter)

    def forward(self, pooled: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Features of each RoI, and the fine ones."""
        coarse, fine = pooled
        first, *others = (self[i] for i in range(4))
        x = first(coarse) + self.place
        for block in others:
            x = block(x)
        return x + self.context(x.mean(dim=(2, 3)))[:, :, None, None], fine


class ShuffleMaskPredictor(nn.Module):
    """14×14 features, and fine ones, to 28×28 mask logits per label (background's row is unused), or the same ones for every label.

    The 2×2 stride-2 transposed convolution of the paper is written as a 1×1 convolution and a pixel
    shuffle (Shi et al. 2016): the same map, and every runtime builds it. A depthwise 3×3 after it
    smooths the seams between the four phases. What the fine features say is added to that; untrained, it is nothing.
    """

    def __init__(self, width: int, hidden: int, num_labels: int, class_agnostic: bool = False, fine: int = 0) -> None:
        super().__init__()
        self.expand = nn.Conv2d(width, hidden * 4, 1)
        self.shuffle = nn.PixelShuffle(2)
        self.refine = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        last = Separable(hidden, hidden, norm=False, relu=False)
        for parameter in last[1].parameters():
            nn.init.zeros_(parameter)
        self.fuse = nn.Sequential(Separable(hidden + fine, hidden), last)
        self.logits = nn.Conv2d(hidden, AGNOSTIC_ROWS if class_agnostic else num_labels, 1)
        self.num_labels = num_labels

    def features(self, x: tuple[Tensor, Tensor]) -> Tensor:
        """Class-independent part: float [R, width, 14, 14] and [R, fine, 28, 28] → [R, hidden, 28, 28]."""
        coarse, fine = x
        y = torch.relu(self.shuffle(self.expand(coarse)))
        y = torch.relu(y + self.refine(y))
        return torch.relu(y + self.fuse(torch.cat((y, fine), dim=1)))

    def forward(self, x: tuple[Tensor, Tensor]) -> Tensor:
        """Float [R, width, 14, 14] and [R, fine, 28, 28] → logits [R, labels, 28, 28]."""
        return spread(self.logits(self.features(x)), self.num_labels)


def lite(design: Design) -> MaskRCNN:
    """EfficientNet-Lite0 + FPN of 96 channels on strides 4–64, separable heads, about 5 M parameters.

    Its ImageNet weights come from a package of extra `train`.
    """
    body = EfficientNetLite0()
    if design.pretrained:
        body.load_state_dict(imagenet_lite0_weights())
    width, fine = 96, 24
    backbone = LightFPN(body, width, fine)
    anchors = AnchorGenerator(sizes=((16,), (32,), (64,), (128,), (288,)), aspect_ratios=((0.5, 1.0, 2.0),) * 5)
    return MaskRCNN(
        backbone,
        min_size=320,
        max_size=576,
        image_mean=list(LITE0_MEAN),
        image_std=list(LITE0_STD),
        rpn_anchor_generator=anchors,
        rpn_head=SeparableRPNHead(width, 3),
        box_roi_pool=pooler(design.roi_pool, LEVELS, 7, canonical_scale=160),
        box_head=TwoMLPHead(width * 49, 256),
        box_predictor=FastRCNNPredictor(256, design.num_labels),
        # Masks read one level finer than boxes do, for their outline; the shipped weights were trained so.
        mask_roi_pool=fine_pooler(design.roi_pool, LEVELS, MASK_SIZE // 2, canonical_scale=320),
        mask_head=SeparableMaskHead(width, 128),
        mask_predictor=ShuffleMaskPredictor(128, 64, design.num_labels, design.class_agnostic_masks, fine),
        rpn_pre_nms_top_n_train=400,
        rpn_post_nms_top_n_train=400,
        rpn_pre_nms_top_n_test=100,
        rpn_post_nms_top_n_test=100,
        box_batch_size_per_image=128,
        box_detections_per_img=30,
    )
