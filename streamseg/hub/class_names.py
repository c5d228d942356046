"""The names of a foreign model's classes: as its file says, COCO's where their number says so, or numbered."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from streamseg.datasets.coco_names import COCO

__all__ = ["ClassNames", "class_names", "coco_numbers", "names_in", "stated_names"]


@dataclass(frozen=True, slots=True)
class ClassNames:
    """Names and COCO ids in the order of the labels, and why these."""

    names: tuple[str, ...]
    category_ids: tuple[int, ...]
    """Empty where they are not COCO's."""
    reason: str
    told: bool = True
    """False: the file does not tell how many labels there are."""


def class_names(
    count: int | None, stated: Sequence[str] | None = None, where: str = "its metadata", *, otherwise: int = len(COCO)
) -> ClassNames:
    """The names of `count` labels that count from 0: those `stated` in the file, else what their number tells.

    80 are COCO's in the order of their ids; 90 and 91 are COCO's ids from 1 on and from 0 on, the labels that COCO never used
    called unused12 and so on. Names that stand there twice get a number. `stated` of another length than `count` are not believed.

    `count` None: the file does not tell. There are then as many as are `stated`, else `otherwise`, for COCO's names.
    """
    if count is None and not stated:
        assumed = class_names(otherwise)
        why = f"assumed: COCO's {otherwise}; the file does not tell how many labels it has: write yours here"
        return replace(assumed, reason=why, told=False)
    count = len(stated or ()) if count is None else count
    if stated is not None and len(stated) == count and count:
        names = _different(stated)
        return ClassNames(
            names, coco_numbers(names), f"{where} names them" + ("" if names == tuple(stated) else ", some twice: numbered")
        )
    but = f" ({where} names {len(stated)})" if stated else ""
    if count == len(COCO):
        return ClassNames(tuple(COCO), tuple(COCO.values()), f"assumed: COCO's, since there are 80{but}")
    if count in (90, 91):
        ids = tuple(range(91 - count, 91))
        known = {number: name for name, number in COCO.items()}
        names = tuple(known.get(number, "background" if number == 0 else f"unused{number}") for number in ids)
        return ClassNames(names, ids, f"assumed: COCO's by their ids, since there are {count}{but}")
    return ClassNames(tuple(f"class{i}" for i in range(count)), (), f"assumed: the file names none; write yours here{but}")


def coco_numbers(names: object) -> tuple[int, ...]:
    """COCO's ids of these classes, in their order; none where one of them is not COCO's, or they are no list of names."""
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) and name in COCO for name in names):
        return ()
    return tuple(COCO[name] for name in names)


_KEYS = ("names", "class_names", "classes", "labels")
"""Of metadata entries in which makers of ONNX files write the names of classes."""


def names_in(metadata: Mapping[str, str]) -> tuple[str, ...] | None:
    """The class names that a file's metadata state, under any of the keys that are usual; None where there are none."""
    return next((found for key in _KEYS if (found := stated_names(metadata.get(key, ""))) is not None), None)


def stated_names(text: str) -> tuple[str, ...] | None:
    """Names of a metadata entry: a list or {label: name}, written as JSON or as Python does; None where it is neither."""
    value: object = None
    for read in (json.loads, ast.literal_eval):
        try:
            value = read(text)
            break
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    if isinstance(value, dict):
        try:
            by_label = {int(label): str(name) for label, name in value.items()}
        except (TypeError, ValueError):
            return None
        if sorted(by_label) != list(range(len(by_label))):
            return None
        value = [by_label[label] for label in range(len(by_label))]
    if not isinstance(value, list) or not value or not all(isinstance(name, str) and name.strip() for name in value):
        return None
    return tuple(name.strip() for name in value)


def _different(names: Sequence[str]) -> tuple[str, ...]:
    found: list[str] = []
    for name in names:
        number, unique = 1, name
        while unique in found:
            number += 1
            unique = f"{name} {number}"
        found.append(unique)
    return tuple(found)
