"""One picture of some validation photos, with what was found in each beside what is there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.datasets.segments import Case, Photo
from streamseg.errors import OutputError, SourceError
from streamseg.evaluate.page import draw_pair
from streamseg.pixels.text import render
from streamseg.system.output_files import replace_atomically

__all__ = ["choose_photos", "draw_predictions", "write_predictions"]

UInt8Array = NDArray[np.uint8]

PHOTOS = 12
COLUMNS = 3
SIDE = 320
"""Longer side of each drawn photo, in pixels."""
HEAD = 22
"""Rows above each pair for its caption."""


def choose_photos(photos: Sequence[Photo], count: int = PHOTOS) -> list[int]:
    """Image ids of photos to show every time: those with the rarest classes first, so that each class is seen."""
    present = {photo.image_id: {t.category_id for t in photo.truths if not t.crowd} for photo in photos}
    frequency = Counter(category for categories in present.values() for category in categories)
    chosen: list[int] = []
    shown: Counter[int] = Counter()
    while len(chosen) < min(count, len(photos)):
        left = [i for i in present if i not in chosen]
        wanted = sorted(frequency, key=lambda c: (shown[c], frequency[c]))
        having = next(([i for i in left if c in present[i]] for c in wanted if any(c in present[i] for i in left)), left)
        pick = having[len(having) // 2]
        chosen.append(pick)
        shown.update(present[pick])
    return sorted(chosen)


def draw_predictions(cases: Sequence[Case], names: Mapping[int, str], conf: float) -> UInt8Array:
    """Uint8 RGB [H, W, 3]: for each case a caption and the photo twice, found objects left, true ones right."""
    cells = sorted((_cell(case, names, conf) for case in cases), key=len)  # those of one row are of like height
    return np.concatenate([_row(cells[i : i + COLUMNS]) for i in range(0, len(cells), COLUMNS)])


def _row(cells: Sequence[UInt8Array]) -> UInt8Array:
    row = np.full((max(map(len, cells)), COLUMNS * 2 * SIDE, 3), 255, np.uint8)
    for i, cell in enumerate(cells):
        row[: len(cell), i * 2 * SIDE : (i + 1) * 2 * SIDE] = cell
    return row


def _cell(case: Case, names: Mapping[int, str], conf: float) -> UInt8Array:
    caption = case.photo.path.name
    sides: tuple[UInt8Array, ...] = ()
    try:
        verdict, *drawn = draw_pair(case, conf, names, SIDE - 4, enlarge=4.0, font=9)
        sides = tuple(drawn)
        caption += f": {len(verdict.matches)} right, {len(verdict.false)} false, {len(verdict.missed)} missed"
    except SourceError:
        caption += ": cannot be read"
    height = max((side.shape[0] for side in sides), default=SIDE)
    cell = np.full((HEAD + height + 4, 2 * SIDE, 3), 255, np.uint8)
    for i, side in enumerate(sides):
        cell[HEAD : HEAD + side.shape[0], i * SIDE + 2 : i * SIDE + 2 + side.shape[1]] = side
    ink = render(caption, 13)[:HEAD, : 2 * SIDE - 4]
    cell[2 : 2 + ink.shape[0], 2 : 2 + ink.shape[1]] = 255 - ink[..., None]
    return cell


def write_predictions(path: Path, cases: Sequence[Case], names: Mapping[int, str], conf: float = 0.5) -> None:
    """Write `draw_predictions` as PNG. Replaces what is there. Raises OutputError."""
    _, data = cv2.imencode(".png", draw_predictions(cases, names, conf)[..., ::-1])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_atomically(path, data.tobytes())
    except OSError as error:
        raise OutputError(f"{path}: cannot write the predictions: {error.strerror or error}") from error
