"""Zones and Counts on the device: what the host draws of them, which seldom changes, painted there."""

from __future__ import annotations

import numpy as np

from streamseg import composite
from streamseg.composite.places import Drawing
from streamseg.core.types import Activity, Instances
from streamseg.gpu.kernels.columns import FIELDS
from streamseg.gpu.kernels.overlay import plate_row, plate_table
from streamseg.gpu.kernels.pack import Scratch, Upload, set_codes, set_region
from streamseg.gpu.kernels.paint import paint
from streamseg.gpu.kernels.surface import Surface
from streamseg.pixels.color import drawing_codes

__all__ = ["draw_places"]


def draw_places(
    effect: composite.Zones | composite.Counts,
    picture: Surface,
    _instances: Instances,
    activity: Activity | None,
    upload: Upload,
    scratch: Scratch,
) -> Surface:
    """What `composite.Zones` or `composite.Counts` draws, drawn into the planes of `picture`."""
    waiting: list[Drawing] = []
    drawings = effect.drawings(activity, picture.width, picture.height, picture.align) if activity is not None else ()
    for drawing in drawings:
        # Each shape goes over the text before it, as on the CPU: one launch from shape to shape.
        if not drawing.is_text and waiting:
            _paint(waiting, picture, upload, scratch)
            waiting = []
        waiting.append(drawing)
    if waiting:
        _paint(waiting, picture, upload, scratch)
    return picture


def _paint(drawings: list[Drawing], picture: Surface, upload: Upload, scratch: Scratch) -> None:
    """At most one shape, the first, and text."""
    shapes, texts = [d for d in drawings if not d.is_text], [d for d in drawings if d.is_text]
    table = np.zeros((len(shapes), FIELDS.value), np.float64)
    for row, shape in zip(table, shapes, strict=True):
        set_region(row, shape.region)
        set_codes(row, drawing_codes(shape.rgb, picture.encoding))
    rows, begin = [], 0
    for text in texts:
        rows.append(plate_row(text.region, begin, text.rgb, picture.encoding))
        begin += text.coverage.size
    plates = plate_table(rows)
    coverage = np.concatenate([np.zeros(0, np.uint8), *(text.coverage.reshape(-1) for text in texts)])
    table_, plates_, coverage_ = upload([table, plates, coverage])
    alphas = scratch.constant(shapes[0].coverage) if shapes else coverage_
    paint(picture, table_, alphas, plates_, coverage_, scale=1, line=0)
