"""Which parameters learn: the first stages of a body that was trained on ImageNet can stay as they are.

That saves most time on few cores: no gradients are computed for the first stages, which work on the largest maps.
"""

from __future__ import annotations

from itertools import pairwise

from torch import nn
from torchvision.models.detection import MaskRCNN

from streamseg.errors import ConfigError
from streamseg.networks.backbones import EfficientNetLite0
from streamseg.networks.heads import SharedTrunk

__all__ = ["freeze", "freeze_but_masks", "stages"]


def stages(model: MaskRCNN) -> list[list[nn.Module]]:
    """The body's modules in groups: the stem, then each stage, in the order that a picture goes through them."""
    body = model.backbone.body
    if isinstance(body, EfficientNetLite0):
        ends = [0, *(end + 1 for end in body.stage_ends)]
        return [[body._conv_stem, body._bn0], *(list(body._blocks[a:b]) for a, b in pairwise(ends))]
    children = dict(body.named_children())
    if "layer1" in children:  # a ResNet
        stem = [module for name, module in children.items() if not name.startswith("layer")]
        return [stem, *([module] for name, module in children.items() if name.startswith("layer"))]
    first, *others = children.values()
    return [[first], *([module] for module in others)]


def freeze(model: MaskRCNN, count: int | None) -> None:
    """Let the stem and the first `count` stages of the body not learn; with 0 all of it learns but batch norm.

    None: three stages of `lite`, one of a ResNet and three of MobileNetV3, which is what weights of ImageNet are usually
    fine-tuned with. Batch norm of the body never learns: steps of a few pictures would spoil it.
    """
    groups = stages(model)
    if count is None:
        count = 1 if len(groups) <= 5 else 3
    if count >= len(groups):
        raise ConfigError(f"cannot freeze {count} stages: the body has {len(groups) - 1}")
    frozen = groups[: count + 1] if count else []
    for parameter in model.backbone.body.parameters():
        parameter.requires_grad_(True)
    for module in (module for group in frozen for module in group):
        module.requires_grad_(False)
    for module in model.backbone.body.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.requires_grad_(False)


def freeze_but_masks(model: MaskRCNN) -> None:
    """Let the mask branch alone learn: every other parameter and every other batch norm's statistics stay as they are.

    Raises ConfigError where the box branch has the same trunk.
    """
    if isinstance(model.roi_heads.mask_head, SharedTrunk):
        raise ConfigError("learn masks: this network's mask and box branches share their trunk; masks cannot learn alone")
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    model.eval()
    model.training = model.roi_heads.training = True
    heads = model.roi_heads
    for part in (heads.mask_head, heads.mask_predictor, getattr(model.backbone, "fine", None)):
        if part is not None:
            part.train().requires_grad_(True)
