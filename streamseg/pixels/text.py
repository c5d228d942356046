"""Text as coverage: how much of each pixel the glyphs cover, rendered once a word."""

from __future__ import annotations

from functools import cache, lru_cache
from threading import Lock
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["render"]

ByteArray = npt.NDArray[np.uint8]

_SEMIBOLD = 600
# Outputs are drawn in threads of their own, and the font renders into memory that it keeps.
_FONT_LOCK = Lock()


@lru_cache(maxsize=1024)
def render(text: str, size: int) -> ByteArray:
    """One line of text.

    Args:
        text: any Unicode text; runs of white space become one space.
        size: of the font, pixels.

    Returns: uint8 [h, w], 255 where a glyph covers the pixel; read-only; h depends on `size` only.
    """
    # Scores and ids change from frame to frame, words seldom: a word is rendered once, and a line put together from words.
    words = [_word(word, size) for word in text.split()] or [_word("", size)]
    space = np.zeros((words[0].shape[0], round(size * 0.28)), np.uint8)
    line = np.hstack([part for word in words for part in (space, word)][1:])
    line.flags.writeable = False
    return line


@lru_cache(maxsize=4096)
def _word(word: str, size: int) -> ByteArray:
    ascent, descent = round(size * 0.8), round(size * 0.25)
    strip = np.zeros((ascent + descent, (len(word) + 2) * size * 2), np.uint8)
    end = _draw(strip, word, ascent, size)
    used = cv2.boundingRect(strip)
    return strip[:, used[0] : max(end, used[0] + used[2])].copy()


def _draw(strip: ByteArray, word: str, baseline: int, size: int) -> int:
    """Draw one word a little in from the left; returns the column after it."""
    margin = size // 2
    if hasattr(cv2, "FontFace"):
        with _FONT_LOCK:
            end, _ = cv2.putText(strip, word, (margin, baseline), (255,), _font(), size, _SEMIBOLD)
        return int(end[0])
    # OpenCV 4 has only stroke fonts; the size is that of their capitals, 21 units high.
    scale, thickness = size * 0.72 / 21, max(1, round(size / 12))
    cv2.putText(strip, word, (margin, baseline), cv2.FONT_HERSHEY_SIMPLEX, scale, (255,), thickness, cv2.LINE_AA)
    return margin + int(cv2.getTextSize(word, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)[0][0])


@cache
def _font() -> Any:
    """OpenCV's built-in sans serif, which knows Latin, Greek, Cyrillic and CJK."""
    return cv2.FontFace("sans")
