"""How large road users are: the typical height and width of each class, and by how much one differs from another.

Heights are from the ground to the highest point, as a picture shows it; widths are those of a vehicle seen from behind. The
deviations are shares: that of a person covers adults and older children, walking; that of a lorry covers all that is called a
truck, from the pickup to the articulated one. Means of cars and trucks are those of the 3-D boxes of KITTI (Geiger et al. 2012:
car 1.53 m high, 1.63 m wide; truck 3.25 m; pedestrian 1.76 m; cyclist 1.74 m; tram 3.53 m), widened for what is called so
elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["SIZES", "Size", "class_sizes"]


@dataclass(frozen=True, slots=True)
class Size:
    """Of a class; metres, and shares of them."""

    height: float
    height_std: float
    width: float
    width_std: float
    length: float = 0.0
    """0: it shows no side that is longer than it is wide."""
    overhang: float = 0.0
    overhang_std: float = 0.0
    """From its end to where its foot is seen, metres: at its tyres, or, of a low bumper, at its end."""


SIZES = {
    "person": Size(1.70, 0.09, 0.55, 0.3),
    "rider": Size(1.65, 0.12, 0.6, 0.3),
    "bicycle": Size(1.05, 0.15, 0.6, 0.5),
    "motorcycle": Size(1.25, 0.2, 0.8, 0.4),
    "car": Size(1.55, 0.12, 1.8, 0.07, 4.5, 0.2, 0.4),
    "van": Size(2.1, 0.15, 1.95, 0.07, 5.5, 0.2, 0.4),
    "bus": Size(3.1, 0.15, 2.5, 0.05, 12.0, 0.3, 0.8),
    "truck": Size(2.9, 0.3, 2.4, 0.12, 9.0, 0.3, 0.5),
    "train": Size(3.6, 0.15, 2.7, 0.1, 20.0),
    "dog": Size(0.55, 0.4, 0.3, 0.5),
    "cat": Size(0.28, 0.25, 0.2, 0.5),
    "horse": Size(1.7, 0.15, 0.7, 0.5),
    "cow": Size(1.4, 0.15, 0.7, 0.5),
    "sheep": Size(0.8, 0.2, 0.5, 0.5),
}
"""By the names of COCO, and what others call the same."""
_ALSO = {
    "pedestrian": "person",
    "people": "person",
    "cyclist": "rider",
    "bike": "bicycle",
    "motorbike": "motorcycle",
    "motor": "motorcycle",
    "lorry": "truck",
    "tram": "train",
    "caravan": "van",
    "trailer": "truck",
}


def class_sizes(names: Sequence[str]) -> npt.NDArray[np.float64]:
    """[C, 7] of each class, as `Size` has them: metres, and shares of them; NaN: it is no road user."""
    table = np.full((len(names), 7), np.nan)
    for row, name in zip(table, names, strict=True):
        plain = name.strip().lower()
        size = SIZES.get(_ALSO.get(plain, plain))
        if size is not None:
            row[:] = size.height, size.height_std, size.width, size.width_std, size.length, size.overhang, size.overhang_std
    return table
