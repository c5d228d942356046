"""Labels: text on a plate in the instance's colour, placed so that they can be read."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from string import Formatter
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from streamseg.composite.canvas import Canvas, crop, shrink
from streamseg.core.masks import Region
from streamseg.core.palette import text_color
from streamseg.core.types import Instances
from streamseg.pixels.color import Encoding, drawing_codes
from streamseg.pixels.text import render

__all__ = ["NUMBERS", "draw_plate", "fields_of", "font_size", "label_text", "place", "plate"]

ByteArray = npt.NDArray[np.uint8]
RGB = tuple[int, int, int]

_SMALLEST = 11  # pixels; below this the letters run together


NUMBERS = ("ttc", "distance", "speed")
"""Fields of a label that tell what is known of the road: `Scene`."""
_NO_NUMBERS: Mapping[str, str] = MappingProxyType(dict.fromkeys(NUMBERS, ""))


class _Absent:
    """The id of an instance that has none: empty, whatever the format asks for."""

    def __format__(self, spec: str) -> str:
        return ""


def label_text(template: str, instances: Instances, index: int, numbers: Mapping[str, str] = _NO_NUMBERS) -> str:
    """What `template` ({name}: its own, or its class's, {id}, {score}: the track's mean score) says of one instance.

    `numbers`: the texts of the fields in `NUMBERS`. Lines of which nothing is left are left out.
    """
    track = int(instances.track_ids[index])
    name = instances.track_names.get(track) or instances.class_names[instances.labels[index]]
    text = template.format(name=name, id=track or _Absent(), score=float(instances.track_scores[index]), **numbers)
    return "\n".join(line for line in map(_tidy, text.splitlines()) if line)


def _tidy(line: str) -> str:
    """One space between words, and a dot that stands alone only between parts that are there."""
    kept: list[str] = []
    for word in line.split():
        if word != "·" or (kept and kept[-1] != "·"):
            kept.append(word)
    return " ".join(kept[:-1] if kept[-1:] == ["·"] else kept)


def fields_of(template: str) -> set[str]:
    """The names of the fields in a label. Raises ValueError where it is none."""
    return {name.partition(".")[0].partition("[")[0] for _, name, _, _ in Formatter().parse(template) if name is not None}


def font_size(unit: float, text: float = 20.0) -> int:
    """Pixels of letters that have `text` on a 1080p picture."""
    return max(_SMALLEST, round(text * unit))


@lru_cache(maxsize=1024)
def plate(text: str, size: int, align: int) -> ByteArray:
    """The text's coverage with a margin around it; the sides are multiples of `align`, so that chroma does not bleed."""
    lines = [render(line, size) for line in text.split("\n")]
    widest = max(line.shape[1] for line in lines)
    glyphs = np.vstack([np.pad(line, ((0, 0), (0, widest - line.shape[1]))) for line in lines])
    pad_x, pad_y = max(2, round(size * 0.3)), max(1, round(size * 0.1))
    h, w = glyphs.shape[0] + 2 * pad_y, glyphs.shape[1] + 2 * pad_x
    whole = np.zeros((h + -h % align, w + -w % align), np.uint8)
    whole[pad_y : pad_y + glyphs.shape[0], pad_x : pad_x + glyphs.shape[1]] = glyphs
    return whole


def place(box: npt.ArrayLike, size: tuple[int, int], frame: tuple[int, int], taken: list[Region], align: int) -> Region | None:
    """Where a plate of `size` (w, h) goes for an instance: inside the frame, if possible on no other plate.

    Tried in turn: on top of the box, inside its top, under it, inside its foot, then upwards and downwards from its top. None when
    the frame is smaller than the plate.
    """
    w, h = size
    if w > frame[0] or h > frame[1]:
        return None
    left, top, right, bottom = (float(v) for v in np.asarray(box))
    xs = (left, right - w)
    ys = (top - h, top, bottom, bottom - h, top - 2 * h, top + h, top - 3 * h, top + 2 * h)
    best: Region | None = None
    for y in ys:
        y0 = int(y) // align * align
        if y0 < 0 or y0 + h > frame[1]:
            continue
        for x in xs:
            x0 = int(min(max(0.0, x), frame[0] - w)) // align * align
            spot = (x0, y0, x0 + w, y0 + h)
            if not any(_overlap(spot, other) for other in taken):
                return spot
            best = best or spot
    # Everywhere is taken, or the box is higher than the frame: as near to the box's top as the frame allows.
    x0 = int(min(max(0.0, left), frame[0] - w)) // align * align
    y0 = int(min(max(0.0, top), frame[1] - h)) // align * align
    return best or (x0, y0, x0 + w, y0 + h)


def _overlap(a: Region, b: Region) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def draw_plate(canvas: Canvas, spot: Region, coverage: ByteArray, rgb: RGB, ink: RGB | None = None) -> None:
    """Draw text on a plate of colour `rgb`; opaque, so that the contrast is what was computed. `ink`: None: black or white."""
    planes = canvas.writable()
    shrunk: dict[tuple[int, int], ByteArray] = {}
    for array, spec in planes.planes:
        shift = (spec.shift_x, spec.shift_y)
        if shift not in shrunk:
            shrunk[shift] = shrink(coverage, *shift, canvas.interlaced)
        table = _ramp(rgb, text_color(rgb) if ink is None else ink, canvas.encoding, spec.components, planes.layout.lsb)
        crop(array, spot, *shift)[...] = table[shrunk[shift]]


@lru_cache(maxsize=1024)
def _ramp(rgb: RGB, ink: RGB, encoding: Encoding, components: tuple[int, ...], lsb: int) -> npt.NDArray[Any]:
    """[256] or [256, components]: the codes from the plate's colour (0) to the text's (255)."""
    opaque = float(2**encoding.depth - 1)
    ends = [np.array([*drawing_codes(c, encoding), opaque])[list(components)] for c in (rgb, ink)]
    share = np.arange(256)[:, None] / 255
    codes = np.rint(ends[0] + (ends[1] - ends[0]) * share).astype(np.uint16) << lsb
    table: npt.NDArray[Any] = codes.astype(np.uint8 if encoding.depth <= 8 else np.uint16)
    return np.ascontiguousarray(table[:, 0]) if len(components) == 1 else table
