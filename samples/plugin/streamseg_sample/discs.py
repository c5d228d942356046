"""A source: white discs that drift over a grey ground, for trying pipelines without a film.

streamseg run 'discs://320x180?frames=50&rate=25' -p samples/plugin/glow.yaml -o discs.mp4
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from urllib.parse import parse_qs, urlsplit

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.decode import AddedSource
from streamseg.errors import SourceError

_ADDRESS = "discs://WIDTHxHEIGHT?frames=N&rate=N"


class Discs(AddedSource):
    """What an address `discs://320x180?frames=50&rate=25` shows."""

    def __init__(self, address: str) -> None:
        """Raises SourceError for an address that is none."""
        parts, size = urlsplit(address), re.fullmatch(r"(\d{2,4})x(\d{2,4})", urlsplit(address).netloc)
        asked = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        if size is None or not all(asked.get(key, "1").isdecimal() for key in ("frames", "rate")) or asked.get("rate") == "0":
            raise SourceError(f"{address}: no such discs; write {_ADDRESS}")
        self.width, self.height = int(size[1]), int(size[2])
        self.frames, self.rate = int(asked.get("frames", 50)), Fraction(asked.get("rate", "25"))

    def __len__(self) -> int:
        return self.frames

    def __iter__(self) -> Iterator[tuple[npt.NDArray[np.uint8], Fraction]]:
        """Pictures, uint8 RGB [height, width, 3], with their times in seconds."""
        radius = max(4, self.height // 8)
        for index in range(self.frames):
            picture = np.full((self.height, self.width, 3), 90, np.uint8)
            for row, speed in ((0.3, 2), (0.7, 3)):
                x = radius + (index * speed) % max(1, self.width - 2 * radius)
                cv2.circle(picture, (x, round(self.height * row)), round(radius * row * 1.4), (255, 255, 255), -1, cv2.LINE_AA)
            yield picture, index / self.rate
