"""The numbers that classes have in other people's formats."""

from __future__ import annotations

from collections.abc import Sequence

from streamseg.datasets.coco_names import COCO

__all__ = ["coco_ids", "mots_ids"]

# Voigtlaender et al., "MOTS", CVPR 2019: car 1, pedestrian 2; 10 marks regions to ignore.
_MOTS = {"car": 1, "person": 2, "pedestrian": 2}
_MOTS_IGNORE = 10


def coco_ids(names: Sequence[str]) -> list[int]:
    """COCO's category id of each class; classes that COCO does not know get 91, 92, ..."""
    unknown = iter(range(91, 91 + len(names)))
    return [COCO[name] if name in COCO else next(unknown) for name in names]


def mots_ids(names: Sequence[str]) -> list[int]:
    """MOTS's class id of each class: car 1, person 2; the others follow from 3 in their order, without 10 (ignore)."""
    others = (i for i in range(3, 4 + len(names)) if i != _MOTS_IGNORE)
    return [_MOTS[name] if name in _MOTS else next(others) for name in names]
