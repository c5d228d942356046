"""Temperature scaling of a network's class scores (Guo et al. 2017, arXiv 1706.04599)."""

from __future__ import annotations

import torch
from torchvision.models.detection import MaskRCNN

from streamseg.errors import ConfigError

__all__ = ["soften"]


def soften(model: MaskRCNN, temperature: float) -> None:
    """Divide the class logits by `temperature` for good: the last layer's weights and bias are; the network stays as it is.

    Above 1 the scores become less sure. The order of one picture's detections of one class hardly changes. Raises ConfigError for a
    temperature outside of [0.1, 10].
    """
    if not 0.1 <= temperature <= 10:
        raise ConfigError(f"temperature is {temperature}; allowed: 0.1 to 10")
    last = model.roi_heads.box_predictor.cls_score
    with torch.no_grad():
        for parameter in last.parameters():
            parameter.div_(temperature)
