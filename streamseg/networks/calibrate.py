"""Calibrating a network's class scores by two numbers (Platt 1999; Guo et al. 2017, arXiv 1706.04599)."""

from __future__ import annotations

import torch
from torchvision.models.detection import MaskRCNN

from streamseg.errors import ConfigError

__all__ = ["calibrate"]


def calibrate(model: MaskRCNN, temperature: float = 1.0, shift: float = 0.0) -> None:
    """Divide the class logits by `temperature` and raise the background's by `shift`, in the last layer's weights, for good.

    The log odds of a class against the background, x, become x / temperature - shift. The order of one picture's detections of one
    class hardly changes. Raises ConfigError for a temperature outside of [0.1, 10] and a shift outside of [-10, 10].
    """
    if not 0.1 <= temperature <= 10:
        raise ConfigError(f"temperature is {temperature}; allowed: 0.1 to 10")
    if not -10 <= shift <= 10:
        raise ConfigError(f"score-shift is {shift}; allowed: -10 to 10")
    last = model.roi_heads.box_predictor.cls_score
    with torch.no_grad():
        for parameter in last.parameters():
            parameter.div_(temperature)
        last.bias[0] += shift
