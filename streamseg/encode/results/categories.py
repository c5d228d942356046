"""The numbers that classes have in other people's formats."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["coco_ids", "mots_ids"]

# COCO's 80 classes in the order of their ids, which run from 1 to 90 with gaps (Lin et al. 2014, cocodataset.org).
_COCO_NAMES = (
    "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,stop sign,parking meter,bench,bird,cat,"
    "dog,horse,sheep,cow,elephant,bear,zebra,giraffe,backpack,umbrella,handbag,tie,suitcase,frisbee,skis,snowboard,sports ball,"
    "kite,baseball bat,baseball glove,skateboard,surfboard,tennis racket,bottle,wine glass,cup,fork,knife,spoon,bowl,banana,apple,"
    "sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,couch,potted plant,bed,dining table,toilet,tv,laptop,mouse,"
    "remote,keyboard,cell phone,microwave,oven,toaster,sink,refrigerator,book,clock,vase,scissors,teddy bear,hair drier,toothbrush"
)
_COCO_GAPS = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
_COCO = dict(zip(_COCO_NAMES.split(","), (i for i in range(1, 91) if i not in _COCO_GAPS), strict=True))

# Voigtlaender et al., "MOTS", CVPR 2019: car 1, pedestrian 2; 10 marks regions to ignore.
_MOTS = {"car": 1, "person": 2, "pedestrian": 2}
_MOTS_IGNORE = 10


def coco_ids(names: Sequence[str]) -> list[int]:
    """COCO's category id of each class; classes that COCO does not know get 91, 92, ..."""
    unknown = iter(range(91, 91 + len(names)))
    return [_COCO[name] if name in _COCO else next(unknown) for name in names]


def mots_ids(names: Sequence[str]) -> list[int]:
    """MOTS's class id of each class: car 1, person 2; the others follow from 3 in their order, without 10 (ignore)."""
    others = (i for i in range(3, 4 + len(names)) if i != _MOTS_IGNORE)
    return [_MOTS[name] if name in _MOTS else next(others) for name in names]
