"""Draw docs/parts.jpg: what each part of `lite` finds in one frame. `python samples/parts.py samples/clips/vtest.avi`.

The clip comes from `python samples/fetch.py`. The parts that are not shipped are exported, with the extra `train`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

import streamseg
from streamseg.core.palette import color_of

PARTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("Mask R-CNN", {"conf": 0.5}),
    ("--masks none", {"conf": 0.5, "masks": "none"}),
    ("--head proposals --conf 0.8", {"conf": 0.8, "head": "proposals"}),
    ("--head class-agnostic --conf 0.8", {"conf": 0.8, "head": "class-agnostic"}),
)
START, WIDTH, QUALITY = 5.0, 560, 82


def drawn(clip: str, title: str, options: dict[str, Any]) -> npt.NDArray[np.uint8]:
    """A frame with the masks and boxes that were found, each in a colour of its own: uint8 [H, W, 3] RGB."""
    plain = {"masks": "off", "edges": False}
    result = next(iter(streamseg.stream(clip, model="lite", start=START, duration=0.2, smooth=plain, **options)))
    picture = result.image()
    for i, box in enumerate(result.boxes):
        colour = np.array(color_of(i + 1, 0), np.float32)
        if result.instances.has_masks:
            inside = result.masks[i]
            picture[inside] = (0.45 * picture[inside] + 0.55 * colour).astype(np.uint8)
        left, top, right, bottom = (round(float(v)) for v in box)
        cv2.rectangle(picture, (left, top), (right, bottom), colour.tolist(), 1)
    width = round(WIDTH * picture.shape[0] / picture.shape[1])
    small = cv2.resize(picture, (WIDTH, width), interpolation=cv2.INTER_AREA)
    cv2.rectangle(small, (0, 0), (WIDTH, 24), (0, 0, 0), -1)
    cv2.putText(small, f"{title}: {len(result.boxes)}", (6, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
    return small


if __name__ == "__main__":
    tiles = [drawn(sys.argv[1], title, options) for title, options in PARTS]
    whole = np.vstack([np.hstack(tiles[:2]), np.hstack(tiles[2:])])
    cv2.imwrite(str(Path(__file__).parents[1] / "docs" / "parts.jpg"), whole[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
