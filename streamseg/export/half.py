"""Half precision: the network's convolutions and linear layers in float16, everything that decides in float32.

TensorRT takes each layer's precision from the types in the graph, so they are written there. Float16 are the backbone with its
pyramid, the proposal head and the box and mask heads, where the time goes. Float32 stay the normalised picture, box decoding,
softmax, NMS and RoIAlign: float16 has 11 bits, which places a point of a 1344 pixel wide picture to a pixel only.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection import MaskRCNN
from torchvision.ops import FrozenBatchNorm2d

from streamseg.networks.fine import Pyramid

__all__ = ["Affine", "halve", "without_batch_norm"]


class Affine(nn.Module):
    """What batch norm does once it is trained: x · scale + shift for each channel, float [B, C, H, W] → the same.

    Its two factors are computed in float32 from the four of batch norm, whose variances may lie outside of what float16 holds.
    """

    def __init__(self, norm: nn.BatchNorm2d | FrozenBatchNorm2d) -> None:
        super().__init__()
        mean, variance, weight, bias = norm.running_mean, norm.running_var, norm.weight, norm.bias
        assert isinstance(mean, Tensor)
        assert isinstance(variance, Tensor)
        scale = torch.rsqrt(variance.detach() + norm.eps)
        scale = scale if weight is None else scale * weight.detach()
        shift = -mean.detach() * scale
        shift = shift if bias is None else shift + bias.detach()
        self.scale: Tensor
        self.shift: Tensor
        self.register_buffer("scale", scale.view(1, -1, 1, 1))
        self.register_buffer("shift", shift.view(1, -1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """The normalised features."""
        return x * self.scale + self.shift


def without_batch_norm(model: MaskRCNN) -> MaskRCNN:
    """A copy of a trained model in evaluation mode whose batch norms are `Affine`; the other weights keep names and values."""
    result = copy.deepcopy(model).eval()
    for parent in list(result.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, (nn.BatchNorm2d, FrozenBatchNorm2d)):
                setattr(parent, name, Affine(child))
    return result


def halve(model: MaskRCNN) -> MaskRCNN:
    """A copy of a trained model that takes and gives float32 where `InferenceGraph` looks at it, and computes in float16 within.

    Features, proposal logits and deltas, class logits and box deltas come out as float32. The mask head's features stay float16:
    the graph applies the mask predictor's weights to them itself.
    """
    result = without_batch_norm(model)
    heads = result.roi_heads
    parts = (result.backbone, result.rpn.head, heads.box_head, heads.box_predictor, heads.mask_head, heads.mask_predictor)
    for part in parts:
        part.half().register_forward_pre_hook(_to_half)
    for part in (result.backbone, result.rpn.head, heads.box_predictor):
        part.register_forward_hook(_to_single)
    return result


def _to_half(module: nn.Module, inputs: tuple[Any, ...]) -> Any:
    return _cast(inputs, torch.float16)


def _to_single(module: nn.Module, inputs: tuple[Any, ...], outputs: Any) -> Any:
    return _cast(outputs, torch.float32)


def _cast(value: Any, dtype: torch.dtype) -> Any:
    """Every tensor in nested tuples, lists and dicts as `dtype`."""
    if isinstance(value, Tensor):
        return value.to(dtype)
    if isinstance(value, dict):
        levels = type(value)((key, _cast(inner, dtype)) for key, inner in value.items())
        if isinstance(value, Pyramid) and isinstance(levels, Pyramid):
            levels.fine = _cast(value.fine, dtype)
        return levels
    if isinstance(value, Iterable):
        return type(value)(_cast(inner, dtype) for inner in value)  # type: ignore[call-arg]
    return value
