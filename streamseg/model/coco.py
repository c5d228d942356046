"""Read COCO-format annotations, with what real label files add to the format.

Beside COCO's keys (https://cocodataset.org/#format-data) these are understood:

- image `exhaustive` (default true), `labelled_category_ids` (default all), `source`;
- annotation without `segmentation`: a box whose mask is unknown;
- annotation `iscrowd: 1`: a region to ignore;
- annotation `origin: "teacher"` with `score`: a detector's box. At `TEACHER_TRUST` or above it is an object,
  below it is a region to ignore; `xdup: true` (a second class on the same object) is dropped.

What is wrong in the file is named, counted, and skipped or refused.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as rle_tools

from streamseg.errors import ConfigError

TEACHER_TRUST = 0.5
"""Least score at which a teacher's box counts as an object."""

UNTRUSTED_TEACHER_IDS = frozenset({8})
"""Categories whose teacher boxes are only ever ignored: COCO id 8, truck, is wrong half of the time."""

OnBad = Literal["skip", "error"]


@dataclass(frozen=True, slots=True)
class Thing:
    """One annotated object: `box` xyxy in photo pixels, `label` 1..C, `rle` its mask or None."""

    box: tuple[float, float, float, float]
    label: int
    rle: Mapping[str, Any] | None

    def mask(self) -> NDArray[np.uint8]:
        """uint8 [H, W] of 0 and 1, at the photo's size."""
        decoded: NDArray[np.uint8] = rle_tools.decode(self.rle)
        return decoded


@dataclass(frozen=True, slots=True)
class Photo:
    """One annotated photo: `labelled` bool [C + 1], `ignore` boxes xyxy in photo pixels."""

    path: Path
    height: int
    width: int
    things: tuple[Thing, ...]
    ignore: tuple[tuple[float, float, float, float], ...]
    labelled: tuple[bool, ...]
    exhaustive: bool
    source: str


@dataclass(slots=True)
class BadData:
    """What was wrong, counted by kind, with the first few of each by name."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    on_bad: OnBad = "skip"

    def add(self, kind: str, where: str) -> None:
        """Note one fault; raises ConfigError when faults are refused."""
        if self.on_bad == "error":
            raise ConfigError(f"{where}: {kind}; correct the annotation, or skip such with on_bad='skip'")
        self.counts[kind] += 1
        names = self.examples.setdefault(kind, [])
        if len(names) < 5:
            names.append(where)

    def __str__(self) -> str:
        if not self.counts:
            return "no bad annotations"
        parts = (f"{n} × {kind} (e.g. {self.examples[kind][0]})" for kind, n in self.counts.items())
        return "skipped: " + "; ".join(parts)


def read_coco(
    annotations: Path,
    images: Path | None = None,
    category_ids: Sequence[int] | None = None,
    on_bad: OnBad = "skip",
) -> tuple[list[Photo], list[int], list[str], BadData]:
    """Photos of an annotation file, the category ids in label order, their names, and what was bad.

    `images`: the photos' folder, by default `images/` beside the file. `category_ids`: which categories
    become labels 1..C, in this order; by default all of the file by id. Others are ignored.
    Raises ConfigError when the file is not a COCO annotation file, or on bad data when `on_bad` is "error".
    """
    try:
        document = json.loads(annotations.read_text())
        categories = {int(c["id"]): str(c["name"]) for c in document["categories"]}
        rows, entries = document["annotations"], document["images"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{annotations} is not a COCO annotation file: {error!r}") from error
    ids = sorted(categories) if category_ids is None else list(category_ids)
    absent = [i for i in ids if i not in categories]
    if absent:
        raise ConfigError(f"{annotations} has no category {absent}; it has {sorted(categories)}")
    folder = images or annotations.parent / "images"
    bad = BadData(on_bad=on_bad)
    by_image: dict[int, list[dict[str, Any]]] = {int(entry["id"]): [] for entry in entries}
    for row in rows:
        if row.get("image_id") in by_image:
            by_image[row["image_id"]].append(row)
        else:
            bad.add("annotation of an image not in the file", f"annotation {row.get('id')}")
    photos = []
    for entry in entries:
        photo = _photo(entry, by_image[int(entry["id"])], folder, ids, set(categories), bad)
        if photo is not None:
            photos.append(photo)
    return photos, ids, [categories[i] for i in ids], bad


def _photo(
    entry: dict[str, Any],
    rows: list[dict[str, Any]],
    folder: Path,
    ids: list[int],
    known: set[int],
    bad: BadData,
) -> Photo | None:
    path = folder / str(entry["file_name"])
    height, width = int(entry["height"]), int(entry["width"])
    if not path.is_file():
        bad.add("image file missing", str(entry["file_name"]))
        return None
    things: list[Thing] = []
    ignore: list[tuple[float, float, float, float]] = []
    for row in rows:
        where = f"{entry['file_name']}, annotation {row.get('id')}"
        if row.get("category_id") not in known:
            bad.add("unknown category", where)
        elif row["category_id"] in ids and not row.get("xdup"):
            _sort_in(row, height, width, ids, where, things, ignore, bad)
    listed = entry.get("labelled_category_ids", ids)
    labelled = (True, *(i in listed for i in ids))
    exhaustive = bool(entry.get("exhaustive", True))
    source = str(entry.get("source", ""))
    return Photo(path, height, width, tuple(things), tuple(ignore), labelled, exhaustive, source)


def _sort_in(
    row: dict[str, Any],
    height: int,
    width: int,
    ids: list[int],
    where: str,
    things: list[Thing],
    ignore: list[tuple[float, float, float, float]],
    bad: BadData,
) -> None:
    """Append one annotation to `things` or `ignore`, or count it as bad."""
    try:
        x, y, w, h = (float(v) for v in row["bbox"])
    except (KeyError, TypeError, ValueError):
        bad.add("no bbox of four numbers", where)
        return
    if not np.isfinite([x, y, w, h]).all() or w <= 0 or h <= 0:
        bad.add("zero-area box", where)
        return
    box = (max(0.0, x), max(0.0, y), min(float(width), x + w), min(float(height), y + h))
    if box[2] - box[0] < 1 or box[3] - box[1] < 1:
        bad.add("box outside its image", where)
        return
    doubtful = row.get("origin") == "teacher" and (
        float(row.get("score", 1.0)) < TEACHER_TRUST or row["category_id"] in UNTRUSTED_TEACHER_IDS
    )
    if row.get("iscrowd") or doubtful:
        ignore.append(box)
        return
    rle = None
    if row.get("segmentation"):
        rle = _rle(row["segmentation"], height, width)
        if rle is None:
            bad.add("mask empty, malformed or outside its image", where)
            return
    things.append(Thing(box, ids.index(row["category_id"]) + 1, rle))


def _rle(segmentation: Any, height: int, width: int) -> Mapping[str, Any] | None:
    """Compressed RLE of polygons or of either RLE form; None when nothing of it lies in the image."""
    try:
        if isinstance(segmentation, dict):
            if list(segmentation["size"]) != [height, width]:
                return None
            rle = segmentation
            if isinstance(rle["counts"], list):
                rle = rle_tools.frPyObjects(rle, height, width)
        else:
            polygons = [p for p in segmentation if len(p) >= 6]
            if not polygons:
                return None
            rle = rle_tools.merge(rle_tools.frPyObjects(polygons, height, width))
        return rle if int(rle_tools.area(rle)) > 0 else None
    except (KeyError, TypeError, ValueError):
        return None
