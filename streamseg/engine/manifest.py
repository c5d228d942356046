"""What a compiled engine was made from: its key, which names its folder in the store, and the manifest that lies in it."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Literal

from pydantic import BaseModel, ConfigDict

__all__ = ["Key", "Manifest"]

_STRICT = ConfigDict(extra="forbid", frozen=True)


class Key(BaseModel):
    """What an engine depends on: two engines with equal keys are interchangeable."""

    model_config = _STRICT

    model: str
    height: int
    width: int
    onnx_sha256: str
    """Of the graph and its weights (GraphSpec.sha256)."""
    precision: str
    library: str
    """tensorrt or tensorrt-rtx."""
    version: str
    """Of the library: a plan is read only by the version that made it."""
    batches: tuple[int, ...]
    """One optimisation profile each."""
    capabilities: tuple[str, ...]
    """Compute capabilities, as sm_86; empty: as the library does by default, 8.0 and later."""
    gpu: str
    """The GPU it was tuned on; empty where the library does not tune at build."""

    @property
    def fingerprint(self) -> str:
        """sha256 of all fields, hexadecimal."""
        return hashlib.sha256(json.dumps(self.model_dump(), sort_keys=True).encode()).hexdigest()

    @property
    def folder(self) -> str:
        """The name of the engine's folder."""
        name = re.sub(r"[^A-Za-z0-9_.-]", "_", self.model).lstrip(".")[:60]
        return f"{name}-{self.height}x{self.width}-{self.precision}-{self.library}-{self.fingerprint[:16]}"

    def runs_on(self, gpu: str, capability: tuple[int, int]) -> bool:
        """Whether it was built for a GPU of that name and compute capability."""
        if self.gpu and self.gpu != gpu:
            return False
        return f"sm_{capability[0]}{capability[1]}" in self.capabilities or (not self.capabilities and capability >= (8, 0))


class Manifest(BaseModel):
    """What stands in manifest.json."""

    model_config = _STRICT

    format: Literal[1] = 1
    key: Key
    plan_sha256: str
    plan_bytes: int
    built: str
    """UTC, ISO 8601."""
    seconds: float
    """That the build took."""
    layers: dict[str, dict[str, int]]
    """Layers of the strongly typed network by kind and type; layers.json lists them all."""
