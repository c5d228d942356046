"""What a network is asked to be: the choices that `build_network` takes, and where ImageNet weights come from."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from streamseg.errors import ModelError
from streamseg.system.folders import models_root

__all__ = ["IMAGENET_FILES", "Design", "RoIPooling", "imagenet_file", "imagenet_weights"]

RoIPooling = Literal["align", "pool"]

IMAGENET_FILES = {
    "resnet50": "resnet50-0676ba61.pth",
    "mobilenet_v3_large": "mobilenet_v3_large-8738ca79.pth",
}
"""torchvision's IMAGENET1K_V1 weights of each body; the end of the name is the start of the file's sha256."""


@dataclass(frozen=True, slots=True)
class Design:
    """One network to build; the arguments of `build_network`."""

    num_classes: int
    """Background not counted."""
    pretrained: bool = False
    class_agnostic_masks: bool = False
    roi_pool: RoIPooling = "align"

    @property
    def num_labels(self) -> int:
        """Classes and background."""
        return self.num_classes + 1


def imagenet_file(body: str) -> Path:
    """The file with the ImageNet weights of `body`; raises ModelError, which says where to put it, when it is not here.

    Looked for in the folder of the user's models and in torch's own cache, where torchvision puts what it downloads.
    """
    name = IMAGENET_FILES[body]
    torch_home = Path(os.environ.get("TORCH_HOME", Path.home() / ".cache" / "torch"))
    places = [models_root() / "imagenet" / name, torch_home / "hub" / "checkpoints" / name]
    for place in places:
        if place.is_file():
            return place
    raise ModelError(
        f"the ImageNet weights of {body} are not on this machine: neither {places[0]} nor {places[1]} exists; "
        f"fetch them: streamseg models pull imagenet-{body}; or start from random or other weights "
        "(pretrained=False)"
    )


def imagenet_weights(body: str) -> dict[str, Tensor]:
    """torchvision's state of `body` trained on ImageNet; raises ModelError when the file is missing or not that."""
    path = imagenet_file(body)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises its own, pickle's, zipfile's and plain RuntimeErrors for a broken file
        raise ModelError(
            f"{path} is not a file of weights ({type(error).__name__}): delete it and download it again"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ModelError(f"{path} holds no weights: delete it and download it again")
    return state
