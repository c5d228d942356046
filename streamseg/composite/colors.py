"""Colours as people write them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from streamseg.errors import ConfigError
from streamseg.errors.describe import brief, did_you_mean

__all__ = ["RGB", "Color", "checked_color", "rgb_of"]

RGB = tuple[int, int, int]
Color = str | int | Sequence[int] | None
"""What may stand for a colour in a pipeline file; `checked_color` says what is wrong with the rest."""

# CSS Color Module Level 4, named colours; the two screens as chroma keyers' paint is sold.
_NAMES: dict[str, str] = {
    "black": "#000000",
    "white": "#ffffff",
    "grey": "#808080",
    "gray": "#808080",
    "silver": "#c0c0c0",
    "red": "#ff0000",
    "maroon": "#800000",
    "orange": "#ffa500",
    "gold": "#ffd700",
    "yellow": "#ffff00",
    "olive": "#808000",
    "lime": "#00ff00",
    "green": "#008000",
    "teal": "#008080",
    "cyan": "#00ffff",
    "aqua": "#00ffff",
    "blue": "#0000ff",
    "navy": "#000080",
    "purple": "#800080",
    "magenta": "#ff00ff",
    "fuchsia": "#ff00ff",
    "pink": "#ffc0cb",
    "brown": "#a52a2a",
    "beige": "#f5f5dc",
    "chroma-green": "#00b140",
    "chroma-blue": "#0047bb",
}


def checked_color(effect: str, color: Color) -> str:
    """`color` as the field of an effect keeps it: `#rrggbb`. Raises ConfigError, in which `effect` is named.

    A name (`red`, `chroma-green`), `#rrggbb`, `#rgb`, `0xrrggbb`, or three numbers from 0 to 255; always sRGB.
    """
    if isinstance(color, str):
        try:
            return "#{:02x}{:02x}{:02x}".format(*rgb_of(color))
        except ConfigError as error:
            raise ConfigError(f"{effect}: color: {error}") from None
    if color is None:
        raise ConfigError(f"{effect}: color is empty; in YAML a # begins a comment: write it in quotes, as '#00ff00'")
    if isinstance(color, int):
        raise ConfigError(f"{effect}: color: {color} is a number; write it in quotes, as '#00ff00' or '0x00ff00', or as a name")
    if len(color) != 3 or not all(isinstance(part, int) and 0 <= part <= 255 for part in color):
        raise ConfigError(f"{effect}: color: {brief(color)} is not three whole numbers from 0 to 255: red, green, blue")
    return "#{:02x}{:02x}{:02x}".format(*color)


@lru_cache(maxsize=256)
def rgb_of(text: str) -> RGB:
    """The sRGB colour, 0..255, that a text means. Raises ConfigError."""
    written = _NAMES.get(text.strip().lower(), text.strip().lower())
    if short := re.fullmatch(r"#([0-9a-f])([0-9a-f])([0-9a-f])", written):
        written = "#" + "".join(2 * digit for digit in short.groups())
    found = re.fullmatch(r"(?:#|0x)([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})", written)
    if found is None:
        known = list(_NAMES)
        raise ConfigError(
            f"{brief(text)} is no colour{did_you_mean(text, known)}; write '#rrggbb', or one of {', '.join(known)}"
        )
    red, green, blue = (int(part, 16) for part in found.groups())
    return red, green, blue
