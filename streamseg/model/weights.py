"""Weights of our networks on disk: safetensors, half precision, named and counted.

The file holds the network's whole state (convolutions and linear layers as float16, batch norm as float32)
and, as metadata, the network's name and its classes. It loads back into `networks.build` for fine-tuning,
and the exported graphs refer to the same bytes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torchvision.models.detection import MaskRCNN

from streamseg.errors import ModelError
from streamseg.model.networks import build


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What a model is: its network and its classes in label order (index 0 is the first class)."""

    network: str
    classes: tuple[str, ...]
    category_ids: tuple[int, ...]


def is_half(name: str, tensor: Tensor) -> bool:
    """Whether this tensor is stored as float16: weights of two or more dimensions and their like."""
    return tensor.is_floating_point() and tensor.dim() >= 2


def save_weights(model: MaskRCNN, info: ModelInfo, path: Path) -> None:
    """Write the model's state; the file appears whole or not at all."""
    state = {}
    for name, tensor in model.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        dtype = torch.float16 if is_half(name, tensor) else tensor.dtype
        state[name] = tensor.detach().to("cpu", dtype).contiguous()
    metadata = {
        "streamseg.network": info.network,
        "streamseg.classes": json.dumps(info.classes),
        "streamseg.category_ids": json.dumps(info.category_ids),
    }
    partial = path.with_suffix(".partial")
    save_file(state, partial, metadata)
    partial.replace(path)


def load_weights(path: Path) -> tuple[MaskRCNN, ModelInfo]:
    """The network of a weights file, float32, in evaluation mode.

    Raises ModelError when the file is missing, not ours, or does not fit its network.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path} is not a weights file: {error}") from error
    try:
        info = ModelInfo(
            metadata["streamseg.network"],
            tuple(json.loads(metadata["streamseg.classes"])),
            tuple(json.loads(metadata["streamseg.category_ids"])),
        )
    except (KeyError, ValueError) as error:
        raise ModelError(f"{path} does not say which network and classes it holds") from error
    model = build(info.network, len(info.classes))
    missing, unexpected = model.load_state_dict(state, strict=False)
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise ModelError(f"{path} does not fit {info.network}: {(missing + unexpected)[:3]} differ")
    return model.eval(), info
