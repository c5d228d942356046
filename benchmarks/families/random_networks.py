"""How a network of random weights comes to detect: activations, boxes and scores that are spread as those of a trained one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

Forward = Callable[[], object]
"""Runs the network on some pictures."""


def tensor(pictures: list[np.ndarray]) -> torch.Tensor:
    """Pictures, uint8 [H, W, 3] BGR, as float32 [N, 3, H, W] RGB from 0 to 1."""
    return torch.from_numpy(np.stack(pictures)[..., ::-1].copy()).permute(0, 3, 1, 2).float() / 255


def calibrate(net: torch.nn.Module, forward: Forward) -> None:
    """Give the batch norms the statistics of these pictures, so that activations vary as those of a trained network do."""
    net.eval()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
            module.reset_running_stats()
            module.train()
    with torch.no_grad():
        forward()
    net.eval()


def answers(layer: torch.nn.Module, forward: Forward) -> torch.Tensor:
    """What a layer gives meanwhile, [N, C, cells]: the cells of all its calls in a row."""
    got: list[torch.Tensor] = []
    hook = layer.register_forward_hook(lambda module, given, answer: got.append(answer.detach()))
    with torch.no_grad():
        forward()
    hook.remove()
    return torch.cat([each.unsqueeze(-1).flatten(2) for each in got], 2)


def spread(layer: torch.nn.Module, forward: Forward, wanted: float) -> torch.Tensor:
    """Scale `layer` so that its answers vary by `wanted` round 0; what they are then [N, C, cells]."""
    layer.bias.data[:] = 0
    given = answers(layer, forward)
    scale = wanted / float(given.std(dim=(0, 2)).mean())
    layer.weight.data *= scale
    return given * scale


def bias_for(tops: torch.Tensor, share: float, logit: float = -1.1) -> float:
    """What to add so that `share` of `tops` is above the logit, which is that of 0.25 unless told."""
    return logit - float(torch.quantile(tops.flatten()[:4_000_000], 1 - share))
