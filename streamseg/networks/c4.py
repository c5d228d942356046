"""`resnet50-c4`: Mask R-CNN without a pyramid, whose branches split late (He et al. 2017, figure 4, left).

The backbone ends after the fourth stage of ResNet-50 ("C4": one map of stride 16, 1024 channels). RoIAlign gives 14×14 cells of
it for each RoI; the fifth stage, "res5", runs on them as the trunk of both branches and halves them to 7×7. The box branch
averages its 2048 channels; the mask branch upsamples them to a 14×14 mask.

Detectron's R_50_C4 in all but two points: RoIAlign takes 2×2 samples per bin (there: as many as there are cells), and
batch norm has epsilon 1e-5.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.models.detection.rpn import RPNHead
from torchvision.ops import FrozenBatchNorm2d

from streamseg.networks.design import Design
from streamseg.networks.heads import MaskPredictor, SharedTrunk, pooler
from streamseg.networks.resnet import resnet50_body

__all__ = ["C4Backbone", "PooledPredictor", "Res5", "resnet50_c4"]

POOLED = 14
C4_CHANNELS, C5_CHANNELS = 1024, 2048


class C4Backbone(nn.Module):
    """ResNet's stages up to the fourth: float [B, 3, H, W] → {"0": [B, 1024, H/16, W/16]}."""

    out_channels = C4_CHANNELS

    def __init__(self, resnet: nn.Module) -> None:
        super().__init__()
        self.body = IntermediateLayerGetter(resnet, {"layer3": "0"})

    def forward(self, x: Tensor) -> OrderedDict[str, Tensor]:
        """The one level of a normalised picture."""
        level: OrderedDict[str, Tensor] = self.body(x)
        return level


class Res5(nn.Module):
    """ResNet's fifth stage on RoIs: float [R, 1024, 14, 14] → [R, 2048, 7, 7]."""

    def __init__(self, stage: nn.Module) -> None:
        super().__init__()
        self.layer4 = stage

    def forward(self, x: Tensor) -> Tensor:
        """The trunk's features."""
        result: Tensor = self.layer4(x)
        return result


class PooledPredictor(FastRCNNPredictor):  # type: ignore[misc]  # torchvision is untyped
    """Averages a trunk's cells, then classifies and regresses: float [R, 2048, 7, 7] → [R, labels], [R, 4·labels]."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits and box deltas."""
        logits, deltas = super().forward(x.mean(dim=(2, 3)))
        return logits, deltas


def resnet50_c4(design: Design) -> MaskRCNN:
    """Five anchor sizes × three ratios on the one level; 36 M parameters, most of the work in res5 for each RoI."""
    resnet = resnet50_body(design, FrozenBatchNorm2d)
    trunk = Res5(resnet.layer4)  # type: ignore[arg-type]  # a stage is a module
    model = MaskRCNN(
        C4Backbone(resnet),
        rpn_anchor_generator=AnchorGenerator(((32, 64, 128, 256, 512),), ((0.5, 1.0, 2.0),)),
        rpn_head=RPNHead(C4_CHANNELS, 15),
        box_roi_pool=pooler(design.roi_pool, ["0"], POOLED),
        box_head=trunk,
        box_predictor=PooledPredictor(C5_CHANNELS, design.num_labels),
        mask_roi_pool=pooler(design.roi_pool, ["0"], POOLED),
        mask_head=SharedTrunk(trunk),
        mask_predictor=MaskPredictor(C5_CHANNELS, 256, design.num_labels, design.class_agnostic_masks),
        rpn_pre_nms_top_n_train=12000,
        rpn_post_nms_top_n_train=2000,
        rpn_pre_nms_top_n_test=1000,
        rpn_post_nms_top_n_test=300,
        box_batch_size_per_image=128,
    )
    model.roi_heads.mask_side = POOLED
    return model
