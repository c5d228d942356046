"""The contact sheet as one picture."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.core.palette import text_color
from streamseg.pixels.text import render
from streamseg.sheet.rows import BINS, Row, clock

__all__ = ["picture"]

ByteArray = npt.NDArray[np.uint8]
RGB = tuple[int, int, int]
_GROUND: RGB = (24, 24, 24)
_INK: RGB = (240, 240, 240)
_SOFT: RGB = (175, 175, 175)
_BAR: RGB = (60, 60, 60)
_LEFT, _GAP, _PAD = 250, 6, 16
_HEAD, _TEXT = 26, 15
"""Font sizes, pixels."""
_LINE = 21
_FOOT = 40
"""Below the pictures of a row: their times, and the bar."""


def picture(rows: Sequence[Row], title: str, notes: Sequence[str], number: int, pages: int) -> bytes:
    """Sheet `number` of `pages` as PNG, 8 bits, RGB."""
    decoded = [[(time, _decoded(data)) for time, data in row.pictures] for row in rows]
    side = max((len(image) for row in decoded for _, image in row), default=144)
    across = max((len(row) for row in decoded), default=1)
    head = _PAD + _HEAD + 14 + _LINE * len(notes) + 8
    high = max(side + _FOOT, 6 * _LINE) + 10
    sheet = np.empty((head + high * len(rows) + _PAD, 2 * _PAD + _LEFT + across * (side + _GAP), 3), np.uint8)
    sheet[:] = _GROUND
    _write(sheet, title if pages == 1 else f"{title}, sheet {number + 1} of {pages}", _PAD, _PAD, _HEAD, _INK)
    for i, note in enumerate(notes):
        _write(sheet, note, _PAD, _PAD + _HEAD + 12 + i * _LINE, _TEXT, _SOFT)
    for i, (row, images) in enumerate(zip(rows, decoded, strict=True)):
        _row(sheet, row, images, head + i * high, side)
    _, data = cv2.imencode(".png", sheet[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 4])
    return data.tobytes()


def _decoded(data: bytes) -> ByteArray:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None  # we made it
    return np.asarray(image[..., ::-1], np.uint8)


def _row(sheet: ByteArray, row: Row, images: Sequence[tuple[float, ByteArray]], top: int, side: int) -> None:
    track = row.track
    sheet[top - 5, _PAD:-_PAD] = _BAR
    plate = render(f"#{track.track_id}", _TEXT + 3)
    h, w = plate.shape
    cv2.rectangle(sheet, (_PAD, top + 1), (_PAD + w + 11, top + h + 3), row.colour, -1)
    _lay(sheet, plate, _PAD + 6, top + 2, text_color(row.colour))
    _write(sheet, _cut(row.name or track.name, _TEXT + 3, _LEFT - w - 30), _PAD + w + 20, top + 2, _TEXT + 3, _INK)
    facts = [
        *([track.name] if row.name else []),
        f"{clock(track.first_time)} to {clock(track.last_time)}",
        f"{track.frames} frames, gap {track.longest_gap:.2f} s",
        f"confidence {track.score:.0%}",
    ]
    for i, fact in enumerate(facts):
        _write(sheet, _cut(fact, _TEXT, _LEFT - 10), _PAD, top + 30 + i * _LINE, _TEXT, _SOFT)
    for i, (time, image) in enumerate(images):
        x = _PAD + _LEFT + i * (side + _GAP)
        sheet[top : top + side, x : x + side] = image
        _write(sheet, clock(time), x, top + side + 3, _TEXT - 1, _SOFT)
    begin, length = _PAD + _LEFT, sheet.shape[1] - 2 * _PAD - _LEFT - _GAP
    bar = sheet[top + side + 26 : top + side + 32, begin : begin + length]
    bar[:] = _BAR
    bar[:, np.array(row.seen, bool)[np.arange(length) * BINS // length]] = row.colour


def _cut(text: str, size: int, room: int) -> str:
    """`text`, or as much of its beginning as there is room for."""
    if render(text, size).shape[1] <= room:
        return text
    kept = len(text)
    while kept > 1 and render(f"{text[:kept]}…", size).shape[1] > room:
        kept -= 1
    return f"{text[:kept]}…"


def _write(sheet: ByteArray, text: str, x: int, y: int, size: int, colour: RGB) -> None:
    _lay(sheet, render(text, size), x, y, colour)


def _lay(sheet: ByteArray, cover: ByteArray, x: int, y: int, colour: RGB) -> None:
    """Text over the sheet, as far as it goes."""
    part = sheet[y : y + cover.shape[0], x : x + cover.shape[1]]
    weight = cover[: part.shape[0], : part.shape[1], None].astype(np.float32) / 255
    part[:] = np.rint(part * (1 - weight) + np.array(colour, np.float32) * weight).astype(np.uint8)
