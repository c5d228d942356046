"""What a mask predictor computes for every class alike, and its last layer, of which a graph needs one row an object."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.detection.mask_rcnn import MaskRCNNPredictor

from streamseg.errors import ConfigError
from streamseg.networks.lite import ShuffleMaskPredictor

__all__ = ["mask_features"]


def mask_features(predictor: nn.Module, x: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Class-independent mask features [R, F, 28, 28], and each label's weights [C+1, F] and bias [C+1].

    `x` is what the network's mask head answers: float [R, C, 14, 14], of `lite` with the fine features beside it.
    torchvision's transposed convolution 2×2/2 is run as a matrix product and a pixel shuffle.
    """
    if isinstance(predictor, ShuffleMaskPredictor):
        features, last = predictor.features(x), predictor.logits
    elif isinstance(predictor, MaskRCNNPredictor):
        deconv: nn.ConvTranspose2d = predictor.conv5_mask
        # Channels last, for the weights are [in, out·2·2] as they lie: transposed, they could not be read from the shared file.
        y = torch.matmul(x.flatten(2).transpose(1, 2), deconv.weight.flatten(1)).transpose(1, 2)
        y = y.reshape(*y.shape[:2], *x.shape[2:])
        if deconv.bias is not None:
            y = y + deconv.bias.repeat_interleave(4).view(1, -1, 1, 1)
        features = torch.relu(F.pixel_shuffle(y, 2))
        last = predictor.mask_fcn_logits
    else:
        raise ConfigError(f"a mask predictor of type {type(predictor).__name__} cannot be exported")
    if last.bias is None:
        raise ConfigError("a mask predictor without bias cannot be exported")
    return features, last.weight.flatten(1), last.bias
