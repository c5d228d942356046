"""Takes the pictures of the rows from the film, and writes the sheets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2

from streamseg.composite import to_image
from streamseg.core.types import Frame
from streamseg.edits import Film
from streamseg.errors import OutputError
from streamseg.sheet.page import page
from streamseg.sheet.picture import picture
from streamseg.sheet.rows import Row
from streamseg.sheet.thumbnail import thumbnail
from streamseg.system.output_files import replace_atomically

__all__ = ["MOST_PICTURES", "PICTURES", "ROWS", "SIDE", "take_pictures", "write_sheets"]

SIDE = 168
"""Pixels of a thumbnail's side."""
ROWS = 100
"""Of one sheet."""
PICTURES = 8
"""Of a track."""
MOST_PICTURES = 20_000
"""Of all tracks: about 100 MB, which is held in memory."""
_QUALITY = 85


def take_pictures(rows: Sequence[Row], film: Film, frames: Iterable[Frame], aspect: float = 1.0) -> None:
    """Fill `Row.pictures` from frames, which come in any order, others among them; `aspect` as of `thumbnail`."""
    wanted: dict[int, list[Row]] = {}
    for row in rows:
        for number in row.frames:
            wanted.setdefault(number, []).append(row)
    for frame in frames:
        asking = wanted.pop(frame.index, None)
        if asking is not None:
            found = film.edited(film.results[frame.index]).instances
            whole = to_image(frame.picture, interlaced=frame.field_order is not None)
            for row in asking:
                only = found[found.track_ids == row.track.track_id][:1]
                small = thumbnail(whole, only, SIDE, row.colour, aspect)  # type: ignore[arg-type]
                _, data = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
                row.pictures.append((frame.time, data.tobytes()))
        if not wanted:
            break
    for row in rows:
        row.pictures.sort()


def write_sheets(rows: Sequence[Row], title: str, notes: Sequence[str], paths: Sequence[Path]) -> list[Path]:
    """Write the rows as each of `paths` says (.html or .png): `ROWS` in one file, others in NAME-2, NAME-3. Gives all paths.

    Raises OutputError.
    """
    parts = [rows[at : at + ROWS] for at in range(0, len(rows), ROWS)] or [[]]
    written = []
    for path in paths:
        names = [path if i == 0 else path.with_name(f"{path.stem}-{i + 1}{path.suffix}") for i in range(len(parts))]
        for i, (part, name) in enumerate(zip(parts, names, strict=True)):
            if path.suffix.lower() == ".png":
                data = picture(part, title, notes, i, len(parts))
            else:
                data = page(part, title, notes, [each.name for each in names], i).encode()
            try:
                replace_atomically(name, data)
            except OSError as error:
                raise OutputError(f"{name}: cannot write the contact sheet: {error.strerror or error}") from error
            written.append(name)
    return written
