"""Sizes of the network's input as people write them: the height first."""

from __future__ import annotations

import re

from streamseg.errors.describe import brief

__all__ = ["read_size"]


def read_size(text: object) -> tuple[int, int]:
    """`320x576` (also 320X576, 320×576, 320 x 576) as (320, 576). Raises ValueError, which says how to write it."""
    match = re.fullmatch(r"\s*(\d+)\s*[xX×]\s*(\d+)\s*", text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"{brief(text)} is not a size; write HEIGHTxWIDTH, as 320x576")
    return int(match[1]), int(match[2])
