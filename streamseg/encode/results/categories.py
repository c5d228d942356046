"""The names and numbers that classes have in other people's formats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from streamseg.datasets.coco_names import COCO

__all__ = ["NUIMAGES", "bdd_names", "coco_ids", "kitti_types", "mots_ids", "nuimages_names"]

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


_KITTI = {
    **{
        "person": "Pedestrian",
        "pedestrian": "Pedestrian",
        "rider": "Cyclist",
        "cyclist": "Cyclist",
        "car": "Car",
        "van": "Van",
    },
    **{"truck": "Truck", "tram": "Tram", "train": "Tram"},
}
_BDD = {
    **{"person": "pedestrian", "pedestrian": "pedestrian", "rider": "rider", "cyclist": "rider", "car": "car", "van": "car"},
    **{
        "truck": "truck",
        "bus": "bus",
        "train": "train",
        "tram": "train",
        "motorcycle": "motorcycle",
        "motorbike": "motorcycle",
    },
    **{"bicycle": "bicycle", "bike": "bicycle", "traffic light": "traffic light", "traffic sign": "traffic sign"},
    **{"stop sign": "traffic sign", "other person": "other person", "trailer": "trailer", "other vehicle": "other vehicle"},
}
_NUIMAGES = {
    **dict.fromkeys(("person", "pedestrian"), "human.pedestrian.adult"),
    **dict.fromkeys(("bicycle", "bike", "cyclist"), "vehicle.bicycle"),
    **dict.fromkeys(("motorcycle", "motorbike"), "vehicle.motorcycle"),
    **dict.fromkeys(("car", "van"), "vehicle.car"),
    **{"bus": "vehicle.bus.rigid", "truck": "vehicle.truck", "trailer": "vehicle.trailer"},
    **{"traffic cone": "movable_object.trafficcone", "barrier": "movable_object.barrier"},
    **dict.fromkeys(("bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe"), "animal"),
}
NUIMAGES = (
    *("animal", "flat.driveable_surface"),
    *(
        f"human.pedestrian.{who}"
        for who in ("adult", "child", "construction_worker", "personal_mobility", "police_officer", "stroller", "wheelchair")
    ),
    *(f"movable_object.{what}" for what in ("barrier", "debris", "pushable_pullable", "trafficcone")),
    "static_object.bicycle_rack",
    *(
        f"vehicle.{what}"
        for what in (
            *("bicycle", "bus.bendy", "bus.rigid", "car", "construction", "ego"),
            *("emergency.ambulance", "emergency.police", "motorcycle", "trailer", "truck"),
        )
    ),
)
"""All categories of nuImages: its development kit numbers them in the order of their names, and knows no others."""


def kitti_types(names: Sequence[str]) -> list[str]:
    """KITTI's type of each class; `Misc` where it has none. Its `Cyclist` is the person with the bicycle: a rider."""
    return [_named(_KITTI, name) or "Misc" for name in names]


def bdd_names(names: Sequence[str]) -> list[str | None]:
    """BDD100K's category of each class; None where it has none."""
    return [_named(_BDD, name) for name in names]


def nuimages_names(names: Sequence[str]) -> list[str | None]:
    """nuImages' category of each class, or the class itself where it is called so already; None where it has none."""
    return [name if name in NUIMAGES else _named(_NUIMAGES, name) for name in names]


def _named(table: Mapping[str, str], name: str) -> str | None:
    return table.get(name.casefold().replace("_", " "))
