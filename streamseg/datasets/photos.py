"""The nouns of a training set: an annotated photo, and the objects in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as rle_tools

__all__ = ["Corners", "TrainingObject", "TrainingPhoto"]

Corners = tuple[float, float, float, float]
"""xyxy in photo pixels."""


@dataclass(frozen=True, slots=True)
class TrainingObject:
    """One annotated object: `box` xyxy in photo pixels, `label` 1..C, `rle` its mask or None."""

    box: Corners
    label: int
    rle: Mapping[str, Any] | None

    def mask(self) -> NDArray[np.uint8]:
        """uint8 [H, W] of 0 and 1, at the photo's size."""
        decoded: NDArray[np.uint8] = rle_tools.decode(self.rle)
        return decoded


@dataclass(frozen=True, slots=True)
class TrainingPhoto:
    """One annotated photo: `labelled` bool [C + 1], `ignore` boxes xyxy in photo pixels."""

    path: Path
    height: int
    width: int
    objects: tuple[TrainingObject, ...]
    ignore: tuple[Corners, ...]
    labelled: tuple[bool, ...]
    exhaustive: bool
    source: str
