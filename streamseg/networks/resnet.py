"""`resnet50-fpn` and `resnet50-fpn-v2`: torchvision's two Mask R-CNNs, parameter for parameter.

The first is He et al. 2017 with the pyramid of Lin et al. 2017; the second (Li et al. 2021, arXiv 2111.11429) adds batch norm
to pyramid and heads, a second convolution to the proposal head and four to the box head.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torchvision.models import resnet50
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.faster_rcnn import FastRCNNConvFCHead, FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads
from torchvision.models.detection.rpn import RPNHead
from torchvision.ops import FrozenBatchNorm2d

from streamseg.networks.design import Design, imagenet_weights
from streamseg.networks.heads import MaskPredictor, pooler

__all__ = ["BatchNormFPN", "frozen_norm", "resnet50_body", "resnet50_fpn", "resnet50_fpn_v2", "with_eps"]

LEVELS = ["0", "1", "2", "3"]
"""The pyramid levels that RoIs are pooled from: strides 4, 8, 16, 32."""

IMAGENET_EPS = 1e-5
"""Batch norm's epsilon of torchvision's ImageNet weights."""

WIDTH = 256


class BatchNormFPN(BackboneWithFPN):  # type: ignore[misc]  # torchvision is untyped
    """torchvision's body and pyramid; the body's batch norm keeps the statistics it was loaded with.

    A few pictures per step, as detectors are trained with, give statistics worse than ImageNet's.
    """

    def train(self, mode: bool = True) -> BatchNormFPN:
        """Training mode for all but the body's batch norm."""
        super().train(mode)
        for module in self.body.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self


def frozen_norm(channels: int) -> nn.Module:
    """Frozen batch norm with epsilon 0: what torchvision's COCO_V1 weights of the first network were trained with."""
    norm: nn.Module = FrozenBatchNorm2d(channels, eps=0.0)
    return norm


def with_eps(state: dict[str, Tensor], eps: float) -> dict[str, Tensor]:
    """The same batch norms for an epsilon of 0 instead of `eps`: it is added to each variance."""
    return {key: value + eps if key.endswith(".running_var") else value for key, value in state.items()}


def resnet50_body(design: Design, norm: Any) -> nn.Module:
    """ResNet-50 with norm layers made by `norm`; with torchvision's ImageNet weights where the design says so."""
    body: nn.Module = resnet50(weights=None, norm_layer=norm)
    if design.pretrained:
        state = imagenet_weights("resnet50")
        body.load_state_dict(with_eps(state, IMAGENET_EPS) if norm is frozen_norm else state)
    return body


def _pyramid(body: nn.Module, norm: Any = None) -> BatchNormFPN:
    taps = {f"layer{i}": str(i - 1) for i in (1, 2, 3, 4)}
    return BatchNormFPN(body, taps, [256, 512, 1024, 2048], WIDTH, norm_layer=norm)


def _anchors() -> AnchorGenerator:
    return AnchorGenerator(tuple((size,) for size in (32, 64, 128, 256, 512)), ((0.5, 1.0, 2.0),) * 5)


def _assemble(backbone: nn.Module, design: Design, depth: int, box_head: nn.Module, box_width: int, norm: Any) -> MaskRCNN:
    return MaskRCNN(
        backbone,
        rpn_anchor_generator=_anchors(),
        rpn_head=RPNHead(WIDTH, 3, conv_depth=depth),
        box_roi_pool=pooler(design.roi_pool, LEVELS, 7),
        box_head=box_head,
        box_predictor=FastRCNNPredictor(box_width, design.num_labels),
        mask_roi_pool=pooler(design.roi_pool, LEVELS, 14),
        mask_head=MaskRCNNHeads(WIDTH, [256] * 4, 1, norm_layer=norm),
        mask_predictor=MaskPredictor(256, 256, design.num_labels, design.class_agnostic_masks),
    )


def resnet50_fpn(design: Design) -> MaskRCNN:
    """torchvision's maskrcnn_resnet50_fpn, 44 M parameters, with frozen batch norm of epsilon 0."""
    backbone = _pyramid(resnet50_body(design, frozen_norm))
    return _assemble(backbone, design, 1, TwoMLPHead(WIDTH * 49, 1024), 1024, None)


def resnet50_fpn_v2(design: Design) -> MaskRCNN:
    """torchvision's maskrcnn_resnet50_fpn_v2, 46 M parameters, with batch norm."""
    backbone = _pyramid(resnet50_body(design, nn.BatchNorm2d), nn.BatchNorm2d)
    head = FastRCNNConvFCHead((WIDTH, 7, 7), [256] * 4, [1024], norm_layer=nn.BatchNorm2d)
    return _assemble(backbone, design, 2, head, 1024, nn.BatchNorm2d)
