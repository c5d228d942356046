"""`mobilenetv3-fpn`: torchvision's MobileNetV3-Large (Howard et al. 2019, arXiv 1905.02244) with a pyramid.

torchvision's own detector of this body has two levels, both of stride 32, which is too coarse for masks. Here the pyramid
has the strides 4 to 64 of the other networks, tapped where the body's resolution is about to halve, and is 128 channels wide.
"""

from __future__ import annotations

from torch import nn
from torchvision.models import mobilenet_v3_large
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads
from torchvision.models.detection.rpn import RPNHead

from streamseg.networks.design import Design, imagenet_weights
from streamseg.networks.heads import MaskPredictor, pooler
from streamseg.networks.resnet import LEVELS, BatchNormFPN

__all__ = ["mobilenetv3_fpn"]

TAPS = {"3": 24, "6": 40, "12": 112, "16": 960}
"""Index among the body's features, and channels, of the last layer at strides 4, 8, 16 and 32."""

WIDTH = 128


def mobilenetv3_fpn(design: Design) -> MaskRCNN:
    """MobileNetV3-Large + FPN of 128 channels on strides 4–64, plain heads, 8 M parameters."""
    body = mobilenet_v3_large(weights=None)
    if design.pretrained:
        body.load_state_dict(imagenet_weights("mobilenet_v3_large"))
    taps = {layer: str(i) for i, layer in enumerate(TAPS)}
    backbone = BatchNormFPN(body.features, taps, list(TAPS.values()), WIDTH, norm_layer=nn.BatchNorm2d)
    return MaskRCNN(
        backbone,
        min_size=320,
        max_size=576,
        rpn_anchor_generator=AnchorGenerator(((16,), (32,), (64,), (128,), (288,)), ((0.5, 1.0, 2.0),) * 5),
        rpn_head=RPNHead(WIDTH, 3),
        box_roi_pool=pooler(design.roi_pool, LEVELS, 7, canonical_scale=160),
        box_head=TwoMLPHead(WIDTH * 49, 512),
        box_predictor=FastRCNNPredictor(512, design.num_labels),
        mask_roi_pool=pooler(design.roi_pool, LEVELS, 14, canonical_scale=160),
        mask_head=MaskRCNNHeads(WIDTH, [WIDTH] * 4, 1, norm_layer=nn.BatchNorm2d),
        mask_predictor=MaskPredictor(WIDTH, WIDTH, design.num_labels, design.class_agnostic_masks),
        rpn_pre_nms_top_n_train=1000,
        rpn_post_nms_top_n_train=1000,
        rpn_pre_nms_top_n_test=300,
        rpn_post_nms_top_n_test=300,
        box_batch_size_per_image=256,
    )
