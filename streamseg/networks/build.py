"""The networks by name. `build_network("lite", 8)` is the embedded model's Mask R-CNN (He et al. 2017, arXiv 1703.06870).

    lite             EfficientNet-Lite0, pyramid of 96 channels, separable heads: the embedded model
    mobilenetv3-fpn  MobileNetV3-Large, pyramid of 128 channels
    resnet50-fpn     torchvision's maskrcnn_resnet50_fpn
    resnet50-fpn-v2  torchvision's maskrcnn_resnet50_fpn_v2
    resnet50-c4      no pyramid, branches split late

Every network is a torchvision `MaskRCNN` whose proposal network and heads also know partial labels
(`losses.py`), so that torchvision's own inference is the reference for the exported graph.
Label 0 is background; class i of the class list is label `model.class_labels[i]`, i + 1 unless the weights came with labels
that have no name (`weights.from_torchvision`).
"""

from __future__ import annotations

from collections.abc import Callable

from torchvision.models.detection import MaskRCNN

from streamseg.errors import ConfigError
from streamseg.networks.c4 import resnet50_c4
from streamseg.networks.design import Design, RoIPooling
from streamseg.networks.lite import lite
from streamseg.networks.losses import PartialRoIHeads, PartialRPN
from streamseg.networks.mobilenet import mobilenetv3_fpn
from streamseg.networks.resnet import resnet50_fpn, resnet50_fpn_v2

__all__ = ["NETWORKS", "build_network"]

NETWORKS: dict[str, Callable[[Design], MaskRCNN]] = {
    "lite": lite,
    "mobilenetv3-fpn": mobilenetv3_fpn,
    "resnet50-c4": resnet50_c4,
    "resnet50-fpn": resnet50_fpn,
    "resnet50-fpn-v2": resnet50_fpn_v2,
}


def build_network(
    name: str,
    num_classes: int,
    pretrained: bool = False,
    *,
    class_agnostic_masks: bool = False,
    roi_pool: RoIPooling = "align",
) -> MaskRCNN:
    """The network called `name` for `num_classes` classes (background not counted), in training mode.

    `pretrained`: its body starts from ImageNet weights, the rest at random; without it all is random.
    `class_agnostic_masks`: one mask for an object of whatever class, as DeepMask's (Pinheiro et al. 2015), which learns from
    objects of all classes together, also those of a single class "object".
    `roi_pool`: "align" for RoIAlign; "pool" for RoIPool, which cannot be exported.

    Raises ConfigError for an unknown name, pooling or number of classes; ModelError when ImageNet weights are asked for and are
    not on this machine; MissingExtra.
    """
    if name not in NETWORKS:
        raise ConfigError(f"unknown network {name!r}; there are: {', '.join(sorted(NETWORKS))}")
    if num_classes < 1:
        raise ConfigError(f"a network for {num_classes} classes; allowed: 1 or more, background not counted")
    model = NETWORKS[name](Design(num_classes, pretrained, class_agnostic_masks, roi_pool))
    model.rpn = PartialRPN.like(model.rpn)
    model.roi_heads = PartialRoIHeads.like(model.roi_heads)
    model.class_labels = tuple(range(1, num_classes + 1))
    return model
