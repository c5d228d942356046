"""The picture that stands for a camera's while there is none: dark, with what is the matter in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from streamseg.pixels.text import render

__all__ = ["placeholder"]

_GROUND, _TITLE, _TEXT = (24, 26, 30), (255, 196, 0), (214, 218, 224)


def placeholder(width: int, height: int, title: str, lines: Sequence[str] = ()) -> npt.NDArray[np.uint8]:
    """A picture of `title` and `lines`, broken where they are too long: uint8 RGB [height, width, 3]."""
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = _GROUND
    size = max(8, min(height // 12, width // 22))
    most = width - 2 * size
    rows = [(row, _TITLE, round(1.4 * size)) for row in _rows(title, round(1.4 * size), most)]
    rows += [(row, _TEXT, size) for line in lines for row in _rows(line, size, most)]
    drawn = [(render(text, big), color) for text, color, big in rows]
    y = max(size // 2, (height - sum(len(strip) + size // 3 for strip, _ in drawn)) // 2)
    for whole, color in drawn:
        strip = whole[: max(0, height - y), :most]
        x = (width - strip.shape[1]) // 2
        at = picture[y : y + len(strip), x : x + strip.shape[1]]
        share = strip[..., None].astype(np.uint16)
        at[:] = ((at * (255 - share) + np.array(color, np.uint16) * share + 127) // 255).astype(np.uint8)
        y += len(strip) + size // 3
    return picture


def _rows(text: str, size: int, most: int) -> list[str]:
    """`text` in rows of at most `most` pixels; a word that is longer has a row of its own, and is cut off."""
    rows: list[str] = []
    for word in text.split():
        joined = f"{rows[-1]} {word}" if rows else word
        if rows and render(joined, size).shape[1] <= most:
            rows[-1] = joined
        else:
            rows.append(word)
    return rows
