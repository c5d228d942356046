"""How results show themselves to a person: as a small picture or table in a notebook, as a table in a terminal."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from streamseg.pixels import fields, planes
from streamseg.pixels.picture import AnyPicture

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["LONGEST", "MOST", "as_html", "as_table", "png", "rgb"]

LONGEST = 512
"""Pixels of a picture's longer side: a notebook keeps every picture that it shows."""
MOST = 30
"""Rows of a table."""
UInt8Array = npt.NDArray[np.uint8]
Rows = Sequence[Sequence[str]]


def png(image: UInt8Array) -> bytes:
    """An RGB [height, width, 3] or grey picture as PNG, made smaller where a side is longer than `LONGEST`."""
    import cv2

    height, width = image.shape[:2]
    scale = min(1.0, LONGEST / max(height, width))
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    _, data = cv2.imencode(".png", image if image.ndim == 2 else image[..., ::-1])
    return data.tobytes()


def rgb(picture: AnyPicture, interlaced: bool) -> UInt8Array:
    """A picture as RGB, uint8 [height, width, 3]."""
    converted = fields.convert(planes.on_host(picture), "rgb24", interlaced=interlaced)
    array: UInt8Array = planes.views(converted).planes[0].array
    return array.copy()  # the view does not keep the picture's memory alive


def as_html(title: str, heads: Sequence[str], rows: Rows, masks: Sequence[UInt8Array]) -> str:
    """A table of the first `MOST` rows, each with its mask."""
    lines = [f"<tr>{''.join(f'<th>{head}</th>' for head in (*heads, 'mask'))}</tr>"]
    for cells, mask in zip(rows[:MOST], masks, strict=False):
        image = f'<img alt="mask" src="data:image/png;base64,{base64.b64encode(png(mask)).decode()}">'
        lines.append(f"<tr>{''.join(f'<td>{cell}</td>' for cell in (*map(html.escape, cells), image))}</tr>")
    left = f"<p>{_left(rows)}</p>" if len(rows) > MOST else ""
    return f"<p>{html.escape(title)}</p><table>{''.join(lines)}</table>{left}"


def as_table(title: str, heads: Sequence[str], rows: Rows) -> Table:
    """The same for a terminal, by rich."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title), caption=_left(rows) if len(rows) > MOST else None, title_justify="left")
    for head in heads:
        table.add_column(head)
    for cells in rows[:MOST]:
        table.add_row(*map(Text, cells))
    return table


def _left(rows: Rows) -> str:
    return f"and {len(rows) - MOST} more"
