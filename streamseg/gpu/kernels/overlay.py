"""Overlay on the device: fill, contour, box and label of every instance.

Three kernels: the masks sampled over each region (`cover`), what of that is visible and how opaque it is (here), colours and
labels laid over the planes (`paint`). Between the first two every sample must be there, since a contour looks at its surroundings.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt
import triton
import triton.language as tl

from streamseg import composite
from streamseg.composite.choose import chosen
from streamseg.composite.labels import font_size, label_text, place, plate
from streamseg.composite.overlay import around, box_width, contour_reach, contour_width, sampling
from streamseg.core.masks import Region
from streamseg.core.overlaps import front_first
from streamseg.core.palette import color_of, text_color
from streamseg.core.types import Activity, Instances
from streamseg.gpu.kernels import columns
from streamseg.gpu.kernels.columns import ELLIPSE, FIELDS, FILL, REACH, SAMPLES
from streamseg.gpu.kernels.common import EXACT, half_even
from streamseg.gpu.kernels.cover import cover, overlaps, sample_region
from streamseg.gpu.kernels.pack import Scratch, Upload, instance_table, set_codes, set_region
from streamseg.gpu.kernels.paint import paint
from streamseg.gpu.kernels.surface import Surface
from streamseg.pixels.color import Encoding, drawing_codes

__all__ = ["draw_overlay", "opacity_kernel", "plate_row", "plate_table"]

_BLOCK = (16, 64)
RGB = tuple[int, int, int]


@triton.jit(do_not_specialize=["count"])
def opacity_kernel(
    table: tl.tensor,
    covers: tl.tensor,
    ellipse: tl.tensor,
    out: tl.tensor,
    count: tl.tensor,
    SCALE: tl.constexpr,
    BY: tl.constexpr,
    BX: tl.constexpr,
) -> None:
    """A tile of samples, the instances from front to back: the opacity of each, where those before it do not cover it.

    ellipse: for each way of drawing, how far the contour reaches along x in each of its rows.
    """
    top, left = tl.program_id(0) * BY, tl.program_id(1) * BX
    y, x = top + tl.arange(0, BY), left + tl.arange(0, BX)
    taken = tl.zeros([BY, BX], tl.int32)
    for i in range(count):
        row = table + i * FIELDS
        x0, y0, x1, y1 = sample_region(row, SCALE)
        if overlaps(x0, y0, x1, y1, left, top, BX, BY):
            begin = tl.load(row + SAMPLES).to(tl.int64)
            inside = ((y >= y0) & (y < y1))[:, None] & ((x >= x0) & (x < x1))[None, :]
            at = (y - y0)[:, None] * (x1 - x0) + (x - x0)[None, :]
            covered = tl.load(covers + begin + at, mask=inside, other=0).to(tl.int32)
            visible = tl.minimum(covered, 255 - taken)
            taken = tl.maximum(taken, covered)
            alpha = half_even(visible.to(tl.float32) * tl.load(row + FILL).to(tl.float32)).to(tl.int32)
            reach, middle = tl.load(row + REACH).to(tl.int32), tl.load(row + ELLIPSE).to(tl.int32)
            # Where all of it is hidden there is no need to look for its outline.
            if (reach > 0) & (tl.max(tl.max(visible, axis=1), axis=0) > 0):
                least = covered
                for dy in range(-reach, reach + 1):
                    half = tl.load(ellipse + middle + dy)
                    row_known = ((y + dy >= y0) & (y + dy < y1))[:, None]
                    for dx in range(-half, half + 1):
                        known = row_known & ((x + dx >= x0) & (x + dx < x1))[None, :]
                        near = tl.load(covers + begin + at + (dy * (x1 - x0) + dx), mask=known, other=255)
                        least = tl.minimum(least, near.to(tl.int32))
                # Twice the difference, as on the CPU: the ramps on both sides of a thin line would leave little of its colour.
                edge = tl.minimum(2 * (covered - least), 255)
                alpha = tl.maximum(alpha, tl.minimum(edge, visible))
            tl.store(out + begin + at, alpha.to(tl.uint8), mask=inside)


@lru_cache(maxsize=64)
def _ellipse(reach: int) -> npt.NDArray[np.int32]:
    """How far the contour's structuring element reaches along x, in each of its rows."""
    element = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    return np.asarray((element.sum(axis=1) - 1) // 2, np.int32)


def draw_overlay(
    effect: composite.Overlay,
    picture: Surface,
    instances: Instances,
    _activity: Activity | None,
    upload: Upload,
    scratch: Scratch,
) -> Surface:
    """What `composite.Overlay` draws, drawn into the planes of `picture`."""
    shown = chosen(instances, effect.classes, effect.where)
    if len(shown) == 0:
        return picture
    width, height, unit = picture.width, picture.height, picture.unit
    line = contour_width(effect.contour, unit)
    boxes_alone = not shown.has_masks
    areas = effect.fill > 0 or effect.contour > 0 or effect.box
    stacked = shown[front_first(shown)]
    boxes = stacked.boxes.tolist() if areas else []
    regions = [around(box, line + 1, width, height, max(4, picture.align)) for box in boxes]
    scale = sampling(regions, width, height)
    drawn = replace(stacked, masks=stacked.mask_or_box) if boxes_alone else stacked
    table, grids, samples = instance_table(drawn[: len(regions)], regions, width, height, scale)
    sure, thin = (contour_reach(width, scale) for width in (line, line / 2))
    # By `doubtful`: opacity of the fill, reach of the contour, where the middle of its ellipse is.
    styles = [(effect.fill, sure, sure), (effect.fill / 2, thin, 2 * sure + 1 + thin)]
    styles = [(0.0, 0, sure)] * 2 if boxes_alone else styles
    for row, box, rgb, doubtful in zip(table, boxes, _colors(stacked), stacked.doubtful, strict=False):
        set_codes(row, drawing_codes(rgb, picture.encoding))
        row[columns.BOX_X0], row[columns.BOX_Y0], row[columns.BOX_X1], row[columns.BOX_Y1] = map(round, box)
        row[FILL], row[REACH], row[ELLIPSE] = styles[int(doubtful)]
    plates, coverage = _plates(effect, picture, shown, _colors(shown))
    parts = upload([table, grids, plates, coverage, np.concatenate([_ellipse(sure), _ellipse(thin)])])
    table_, grids_, plates_, coverage_, ellipse_ = parts
    alphas = scratch("alphas", (max(1, samples),))
    if samples:
        covers = scratch("covers", (samples,))
        size = (-(-height // scale), -(-width // scale))
        cover(table_, grids_, covers, size, scale)
        grid = (triton.cdiv(size[0], _BLOCK[0]), triton.cdiv(size[1], _BLOCK[1]))
        opacity_kernel[grid](table_, covers, ellipse_, alphas, len(table), SCALE=scale, BY=_BLOCK[0], BX=_BLOCK[1], **EXACT)
    ring = max(box_width(unit), line) if boxes_alone else box_width(unit) if effect.box else 0
    paint(picture, table_, alphas, plates_, coverage_, scale=scale, line=ring)
    return picture


def _colors(instances: Instances) -> list[RGB]:
    return [color_of(int(i), int(label)) for i, label in zip(instances.track_ids, instances.labels, strict=True)]


def _plates(
    effect: composite.Overlay, picture: Surface, shown: Instances, colors: list[RGB]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.uint8]]:
    """The labels' rows [P, PLATE_FIELDS] in the order they are drawn in, and their coverage, rendered as for the CPU."""
    rows, texts, placed, begin = [], [np.zeros(1, np.uint8)], list[Region](), 1
    ids, frame = shown.track_ids, (picture.width, picture.height)
    size = font_size(picture.unit)
    # The oldest track chooses its place first, so that places do not jump when scores change.
    order = sorted(range(len(shown)), key=lambda k: (ids[k] == 0, ids[k], k)) if effect.label else []
    for i in order:
        text = label_text(effect.label, shown, i)
        if not text:
            continue
        covered = plate(text, size, picture.align)
        spot = place(shown.boxes[i], (covered.shape[1], covered.shape[0]), frame, placed, picture.align)
        if spot is None:
            continue
        placed.append(spot)
        rows.append(plate_row(spot, begin, colors[i], picture.encoding))
        texts.append(covered.reshape(-1))
        begin += covered.size
    return plate_table(rows), np.concatenate(texts)


def plate_row(spot: Region, begin: int, rgb: RGB, encoding: Encoding) -> npt.NDArray[np.float64]:
    """A label's row: where it is, where its coverage begins, its codes."""
    row = np.zeros(columns.PLATE_FIELDS.value)
    set_region(row, spot)
    row[columns.TEXT] = begin
    ground, text = drawing_codes(rgb, encoding), drawing_codes(text_color(rgb), encoding)
    row[columns.PLATE0], row[columns.PLATE1], row[columns.PLATE2] = ground
    row[columns.TEXT0], row[columns.TEXT1], row[columns.TEXT2] = (t - g for g, t in zip(ground, text, strict=True))
    return row


def plate_table(rows: list[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    """[P, PLATE_FIELDS] of the rows."""
    return np.array(rows, np.float64).reshape(len(rows), columns.PLATE_FIELDS.value)
