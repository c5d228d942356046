"""What covers each pixel of a frame, as the channels of an EXR: a matte a track and a class, order, id, and Cryptomatte."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from streamseg.composite.shape import Shape
from streamseg.core import masks
from streamseg.core.masks import Region
from streamseg.core.overlaps import front_first
from streamseg.encode.exr.cryptomatte import Ranks

if TYPE_CHECKING:
    from streamseg.core.result import Result

__all__ = ["Cover", "covers", "id_and_order", "matte_layers", "ranked"]

Halves = npt.NDArray[np.float16]
Floats = npt.NDArray[np.float32]
_TOP = 65535
_HALVES: Halves = (np.arange(_TOP + 1) / _TOP).astype(np.float16)
_AS_IT_IS = Shape()


class Cover(NamedTuple):
    """Where one instance is."""

    instance: int
    """Its place among the result's instances."""
    region: Region
    coverage: npt.NDArray[np.uint16]
    """[region height, region width], 65535 inside, 0 outside, a ramp of about a pixel between; other instances do not count."""


def covers(result: Result, shape: Shape = _AS_IT_IS) -> list[Cover]:
    """Of each instance that is inside the frame, from front to back, with its matte in this shape."""
    found, frame = result.instances, result.frame
    depth = None if result.occlusion is None else result.occlusion.order
    seen = []
    for i in front_first(found, depth).tolist():
        region = masks.region_of(found.boxes[i], frame.width, frame.height)
        if region[2] > region[0]:
            seen.append(_cover(result, i, shape))
    return seen


def _cover(result: Result, i: int, shape: Shape) -> Cover:
    frame, box, mask = result.frame, result.instances.boxes[i], result.instances.grids[i]
    x0, y0, x1, y1 = region = masks.region_of(box, frame.width, frame.height)
    soft = result.instances.is_matte(i)
    coverage = masks.coverage(mask, box, region, frame.width, frame.height, dtype=np.uint16, matte=soft)
    if shape == _AS_IT_IS:
        return Cover(i, region, coverage)
    reach = shape.reach
    left, top = max(0, x0 - reach), max(0, y0 - reach)
    right, bottom = min(frame.width, x1 + reach), min(frame.height, y1 + reach)
    larger = np.zeros((bottom - top, right - left), np.uint16)
    larger[y0 - top : y1 - top, x0 - left : x1 - left] = coverage
    shape.apply(larger)
    return Cover(i, (left, top, right, bottom), larger)


def matte_layers(seen: Iterable[Cover], layer_of: Mapping[int, str], empty: Halves) -> dict[str, Halves]:
    """`{layer}.A` of each layer, float16 [height, width], 1 inside; the whole of each matte, also what others hide.

    `layer_of`: instance → layer; the others have none. Instances of one layer are joined.
    """
    planes: dict[str, Halves] = {}
    for cover in seen:
        if (layer := layer_of.get(cover.instance)) is None:
            continue
        x0, y0, x1, y1 = cover.region
        plane = planes.setdefault(f"{layer}.A", np.zeros_like(empty))[y0:y1, x0:x1]
        np.maximum(plane, _HALVES[cover.coverage], out=plane)
    return planes


def ranked(seen: Iterable[Cover], name_of: Mapping[int, Sequence[str]], ranks: Sequence[Ranks], shape: tuple[int, int]) -> None:
    """Fill Cryptomattes: where instances overlap the one in front covers, and those behind get what it leaves.

    name_of: instance → its name in each of `ranks`, "" where it has none there. shape: height and width.
    """
    left = np.ones(shape, np.float32)
    whole: list[dict[str, list[tuple[Region, Floats]]]] = [{} for _ in ranks]
    for cover in seen:
        x0, y0, x1, y1 = cover.region
        here = left[y0:y1, x0:x1]
        shown: Floats = here * (cover.coverage.astype(np.float32) * np.float32(1 / _TOP))
        here -= shown
        for parts, name in zip(whole, name_of[cover.instance], strict=True):
            if name:
                parts.setdefault(name, []).append((cover.region, shown))
    for into, parts in zip(ranks, whole, strict=True):
        for name, pieces in parts.items():
            into.add(name, *_joined(pieces))


def _joined(pieces: Sequence[tuple[Region, Floats]]) -> tuple[Region, Floats]:
    if len(pieces) == 1:
        return pieces[0]
    lows, highs = zip(*((region[:2], region[2:]) for region, _ in pieces), strict=True)
    (x0, y0), (x1, y1) = np.min(lows, axis=0).tolist(), np.max(highs, axis=0).tolist()
    joined: Floats = np.zeros((y1 - y0, x1 - x0), np.float32)
    for (left, top, right, bottom), shown in pieces:
        joined[top - y0 : bottom - y0, left - x0 : right - x0] += shown
    return (x0, y0, x1, y1), joined


def id_and_order(seen: Sequence[Cover], ids: npt.NDArray[np.int64], empty: Floats) -> dict[str, npt.NDArray[Any]]:
    """`id.X`, float32: the track of the nearest instance that covers at least half of a pixel; `order.Z`, float16: 1 where that
    is the nearest of all in the frame, 2 the next. Both [height, width], 0 where there is none.
    """
    if not seen:
        return {"id.X": empty, "order.Z": empty.astype(np.float16)}
    owner, order = np.zeros_like(empty), np.zeros(empty.shape, np.float16)
    for place, cover in reversed(list(enumerate(seen))):
        x0, y0, x1, y1 = cover.region
        inside = cover.coverage > _TOP // 2
        owner[y0:y1, x0:x1][inside] = ids[cover.instance]
        order[y0:y1, x0:x1][inside] = place + 1
    return {"id.X": owner, "order.Z": order}
