"""Colours that people with any colour vision tell apart, and text that stays legible on them."""

from __future__ import annotations

from functools import lru_cache

__all__ = ["BLACK", "PALETTE", "WHITE", "class_color", "color_of", "contrast", "text_color"]

RGB = tuple[int, int, int]

BLACK: RGB = (0, 0, 0)
WHITE: RGB = (255, 255, 255)

# Okabe and Ito, "Color Universal Design", 2008 (https://jfly.uni-koeln.de/color/), without black, neighbours far apart.
_OKABE_ITO: tuple[RGB, ...] = (
    (86, 180, 233),  # sky blue
    (230, 159, 0),  # orange
    (0, 158, 115),  # bluish green
    (204, 121, 167),  # reddish purple
    (240, 228, 66),  # yellow
    (0, 114, 178),  # blue
    (213, 94, 0),  # vermillion
)


def _towards(color: RGB, target: RGB, share: float) -> RGB:
    r, g, b = (round(c + (t - c) * share) for c, t in zip(color, target, strict=True))
    return r, g, b


# Lightness is what every kind of colour vision keeps: the eighth colour on are the seven again, lighter, then darker.
PALETTE: tuple[RGB, ...] = (
    *_OKABE_ITO,
    *(_towards(color, WHITE, 0.5) for color in _OKABE_ITO),
    *(_towards(color, BLACK, 0.4) for color in _OKABE_ITO),
)
"""sRGB 0..255."""


def color_of(track_id: int, label: int) -> RGB:
    """The colour of an instance: its track's for as long as the track lives, its class's while it is not tracked."""
    return PALETTE[(track_id - 1 if track_id > 0 else label) % len(PALETTE)]


# Road users; orange and vermillion are left to what is dangerous.
_OF_CLASS: dict[str, RGB] = {
    "car": _OKABE_ITO[0],
    "person": _OKABE_ITO[4],
    "pedestrian": _OKABE_ITO[4],
    "bicycle": _OKABE_ITO[2],
    "motorcycle": _towards(_OKABE_ITO[2], WHITE, 0.55),
    "rider": _towards(_OKABE_ITO[4], WHITE, 0.5),
    "truck": _OKABE_ITO[5],
    "bus": _OKABE_ITO[3],
}


def class_color(name: str, label: int) -> RGB:
    """The colour of a class: of road users always the same, whatever model found them."""
    return _OF_CLASS.get(name) or PALETTE[label % len(PALETTE)]


def _luminance(color: RGB) -> float:
    """Relative luminance, 0..1. WCAG 2.2, https://www.w3.org/TR/WCAG22/#dfn-relative-luminance."""
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in color))
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(a: RGB, b: RGB) -> float:
    """Contrast ratio, 1..21. WCAG 2.2."""
    low, high = sorted((_luminance(a), _luminance(b)))
    return (high + 0.05) / (low + 0.05)


@lru_cache(maxsize=256)
def text_color(plate: RGB) -> RGB:
    """Black or white, whichever stands out more on `plate`; the worse of the two best cases has a ratio of 4.58."""
    return max((BLACK, WHITE), key=lambda text: contrast(text, plate))
