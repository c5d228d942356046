"""Which instances an effect applies to, and the matte and bounds of these.

An effect that applies to a part of the picture says which in its field `where`: `instances`, all of them; a selection of them, as
`person#3, largest` (docs/selections.md); `background`, all that is outside of them; or `background of person#3`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.composite.shape import Shape
from streamseg.core import masks
from streamseg.core.masks import Region, Sample
from streamseg.core.types import Instances
from streamseg.errors import ConfigError
from streamseg.errors.describe import brief, classes_known
from streamseg.select import Selection

__all__ = ["bounds", "check_classes", "checked_where", "chosen", "chosen_rows", "matte", "outside", "selection_of"]

_AS_IT_IS = Shape()


def chosen(instances: Instances, classes: Sequence[str] | None, where: str | Selection = "instances") -> Instances:
    """The instances whose class is in `classes` (None: all), and that `where` means, or those outside of which it means.

    Raises ConfigError for a name that the model does not know, and for a selection that the whole film must tell (`largest`).
    """
    rows = chosen_rows(instances, classes, where)
    return instances if rows is None else instances[rows]


def chosen_rows(
    instances: Instances, classes: Sequence[str] | None, where: str | Selection = "instances"
) -> npt.NDArray[np.int64] | None:
    """Which of the instances `chosen` takes; None: all."""
    selection = selection_of(where)
    if selection is None and classes is None:
        return None
    kept = np.ones(len(instances), np.bool_) if selection is None else selection.chosen(instances)
    if classes is not None:
        known = instances.class_names
        check_classes(classes, known)
        kept = kept & np.isin(instances.labels, [known.index(name) for name in classes])
    return np.flatnonzero(kept)


def outside(where: str | Selection) -> bool:
    """Whether `where` means what is around the instances, and not these."""
    return _read(str(where))[0]


def selection_of(where: str | Selection) -> Selection | None:
    """The selection in `where`; None: there is none, all instances are meant. Raises ConfigError, which shows the place."""
    return _read(str(where))[1]


def checked_where(effect: str, where: str | Selection, *, objects_only: bool = False) -> str:
    """`where` as the field of an effect keeps it: as text. Raises ConfigError, in which `effect` is named.

    `objects_only`: an effect that has nothing to do in the background.
    """
    if not isinstance(where, str | Selection):
        raise ConfigError(f"{effect}: where is background, instances or a selection as 'person#3, largest', not {brief(where)}")
    try:
        around = outside(where)
    except ConfigError as error:
        raise ConfigError(f"{effect}: where: {error}") from error
    if objects_only and around:
        raise ConfigError(f"{effect}: where: {str(where)!r} is no object: write instances, or as 'person#3, largest'")
    return str(where)


@lru_cache(maxsize=256)
def _read(where: str) -> tuple[bool, Selection | None]:
    words = " ".join(where.split())
    if words.lower() in ("background", "instances"):
        return words.lower() == "background", None
    if words.lower().startswith("background of "):
        return True, Selection.parse(words[len("background of ") :])
    return False, Selection.parse(where)


def check_classes(named: Iterable[str], known: Sequence[str], where: str = "") -> None:
    """Raise ConfigError where an effect names a class that the model, which knows `known`, does not; `where` begins it."""
    unknown = [name for name in named if name not in known]
    if unknown:
        raise ConfigError(f"{where}unknown class {brief(unknown[0])} in an effect; {classes_known(unknown[0], known)}")


def matte(
    instances: Instances,
    width: int,
    height: int,
    shape: Shape = _AS_IT_IS,
    dtype: type[Sample] = np.uint8,  # type: ignore[assignment]
) -> npt.NDArray[Sample]:
    """How much of each pixel any of the instances covers: [height, width] of `dtype`, its highest code inside, 0 outside.

    `shape`: what is done to it, in pixels of this size. `dtype` is uint8 or uint16; ramps are worked out at that depth.
    """
    union = np.zeros((height, width), dtype)
    if len(instances) == 0:
        return union
    for i, (mask, box) in enumerate(zip(instances.grids, instances.boxes, strict=True)):
        x0, y0, x1, y1 = region = masks.region_of(box, width, height)
        if x1 > x0:
            target = union[y0:y1, x0:x1]
            soft = instances.is_matte(i)
            cv2.max(target, masks.coverage(mask, box, region, width, height, dtype=dtype, matte=soft), target)
    if shape != _AS_IT_IS:
        x0, y0, x1, y1 = bounds(instances, width, height, margin=shape.reach)
        shape.apply(union[y0:y1, x0:x1])
    return union


def bounds(instances: Instances, width: int, height: int, *, margin: int = 0, align: int = 1) -> Region:
    """The smallest region around all boxes, `margin` pixels wider on each side, inside the frame."""
    low, high = instances.boxes[:, :2].min(axis=0) - margin, instances.boxes[:, 2:].max(axis=0) + margin
    return masks.region_of(np.concatenate([low, high]), width, height, align)
