"""Make the pictures of docs/effects.md: one of each effect, from a frame of the sample clip vtest.avi (OpenCV's, Apache-2.0).

python samples/effects.py [FOLDER]        (default: docs/effects)
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
from fetch import fetch

import streamseg
from streamseg.composite import (
    Background,
    Blur,
    Chain,
    DepthOfField,
    Desaturate,
    Effect,
    Exposure,
    GreenScreen,
    Outline,
    Pixelate,
    Remove,
    Solid,
    Spotlight,
    Tint,
)
from streamseg.removal import Remover

AT = 12.0
"""Seconds of the clip."""
PART = (slice(96, 384), slice(192, 576))
"""Rows and columns that are shown."""
MADE: dict[str, Effect | Chain] = {
    "blur": Blur(strength=0.6),
    "pixelate": Pixelate(block=32),
    "solid": Solid(grow=6),
    "desaturate": Desaturate(),
    "tint": Tint(color="orange"),
    "exposure": Exposure("background", stops=-2),
    "spotlight": Spotlight(stops=3, falloff=120),
    "outline": Outline(color="gold", width=6),
    "greenscreen": GreenScreen(),
    "background": Background(color="#7aa5d6", feather=4),
    "depth_of_field": DepthOfField(strength=1, reach=300),
    "chain": Desaturate() >> Exposure("background", stops=-1) >> Outline(color="gold", width=4),
}


def main(folder: Path) -> None:
    """Draw each effect on one frame, and write it as a JPEG."""
    folder.mkdir(parents=True, exist_ok=True)
    clip = fetch()["vtest.avi"]
    results = list(streamseg.stream(clip, start=AT - 2, duration=4.1, classes="person"))
    result = next(result for result in results if result.time >= AT)
    for name, effects in MADE.items():
        picture = result.draw(effects, "bgr24")[PART]
        cv2.imwrite(str(folder / f"{name}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 85])
    remover = Remover(Remove())
    empty = [made for each in results for made in remover(each)] + remover.flush()
    picture = next(made for made in empty if made.time >= AT).image("bgr24")[PART]
    cv2.imwrite(str(folder / "remove.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 85])


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1] / "docs" / "effects")
