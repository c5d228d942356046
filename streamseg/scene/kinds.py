"""Which classes are road users, and of what kind: models call them by many names."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

__all__ = ["KINDS", "Kind", "kind_of"]

Kind = Literal["vehicle", "cycle", "person", "animal"]
_NAMES: dict[Kind, str] = {
    "vehicle": "car truck bus train tram van lorry pickup suv taxi ambulance caravan trailer tractor vehicle on-rails trolley "
    "other-vehicle auto-rickshaw autorickshaw construction-vehicle",
    "cycle": "bicycle motorcycle motorbike bike motor moped scooter cyclist bicyclist motorcyclist rider tricycle",
    "person": "person pedestrian people person-sitting child wheelchair other-person",
    "animal": "dog cat horse sheep cow deer moose boar bear elephant zebra giraffe animal",
}
KINDS: tuple[Kind, ...] = tuple(_NAMES)
_KIND_OF = {name: kind for kind, names in _NAMES.items() for name in names.split()}


@lru_cache(1024)
def kind_of(name: str) -> Kind | None:
    """The kind of road user that a model's class is (COCO, Cityscapes, BDD100K, KITTI); None: no road user."""
    return _KIND_OF.get(name.strip().lower().replace(" ", "-").replace("_", "-"))
