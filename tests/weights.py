"""Weights files of a few bytes, which say what they are but hold no network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path


def tiny_weights(path: Path, network: str = "resnet50-fpn", classes: Sequence[str] = ("person", "car"), value: int = 1) -> Path:
    """A safetensors file with one float32 of those bytes; `value` makes it another file."""
    header = {
        "__metadata__": {"streamseg.network": network, "streamseg.classes": json.dumps(list(classes))},
        "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
    }
    text = json.dumps(header).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(len(text).to_bytes(8, "little") + text + value.to_bytes(4, "little"))
    return path
