"""Read the annotated photos of a COCO-format file for scoring, and detections that others wrote.

COCO's format (https://cocodataset.org/#format-data): polygons, run lengths as numbers or text, `iscrowd`. Beside its keys an image
may hold `labelled_category_ids`, the categories that were looked for in it (default: all). What is wrong in a file is named,
counted and left out; a file that is something else altogether is refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pycocotools import mask as rle_tools

from streamseg.datasets.annotations import (
    Box,
    Rle,
    as_id,
    find_images,
    is_file,
    leads_out,
    read_box,
    read_json,
    read_rle,
    read_tables,
)
from streamseg.datasets.faults import Faults
from streamseg.datasets.segments import Case, Detection, Photo, Truth
from streamseg.errors import ConfigError, SourceNotFound

__all__ = ["Dataset", "as_one_class", "cases_of", "locate", "read_dataset", "read_json", "read_rle"]


@dataclass(slots=True)
class Dataset:
    """The photos of an annotation file."""

    path: Path
    photos: list[Photo]
    categories: dict[int, str]
    """Names by id, in the file's order."""
    faults: Faults
    partial: int = 0
    """Photos with `exhaustive: false`: objects in them may be unlabelled, and count as false if found."""


def locate(data: Path) -> Path:
    """The annotation file that DATA means: itself, or instances.json in a folder. Raises SourceNotFound."""
    if data.is_file():
        return data
    if not data.is_dir():
        raise SourceNotFound(f"{data}: no such file or folder; give a COCO-format .json, or the folder of an instances.json")
    file = data / "instances.json"
    if not file.is_file():
        raise SourceNotFound(f"{data}: there is no instances.json in this folder; give the annotation file itself")
    return file


def read_dataset(path: Path, images: Path | None = None, limit: int | None = None, *, pictures: bool = True) -> Dataset:
    """The photos of an annotation file whose picture is there (unless not `pictures`), the first `limit` of them.

    `images` is the folder of the pictures, by default the one that `find_images` finds. Raises SourceNotFound (no file, no
    pictures) or ConfigError (not a COCO annotation file).
    """
    document = read_json(path)
    categories, entries, rows = read_tables(document, path)
    _refuse_doubles(entries, path)
    folder = images if images is not None else find_images(path, [str(entry["file_name"]) for entry in entries])
    dataset = Dataset(path, [], categories, Faults())
    by_image: dict[Any, list[Mapping[str, Any]]] = {entry["id"]: [] for entry in entries}
    for row in rows:
        if (image := as_id(row.get("image_id"))) in by_image:
            by_image[image].append(row)
        else:
            dataset.faults.add("annotation of an image that the file does not list", f"annotation {row.get('id')}")
    for entry in entries:
        if limit is not None and len(dataset.photos) >= limit:
            break
        photo = _photo(entry, by_image[entry["id"]], folder, dataset, pictures)
        if photo is not None:
            dataset.photos.append(photo)
            dataset.partial += entry.get("exhaustive", True) is False
    if not dataset.photos:
        why = "; ".join(dataset.faults.sentences()) or "the file lists no images"
        raise SourceNotFound(f"{path}: nothing to evaluate in {folder}: {why}. Name the folder of the pictures with --images")
    return dataset


def _refuse_doubles(entries: Sequence[Mapping[str, Any]], path: Path) -> None:
    if len({entry["id"] for entry in entries}) != len(entries) or any(min(e["width"], e["height"]) < 1 for e in entries):
        raise ConfigError(f"{path}: image ids must differ, and widths and heights be at least 1")


def _photo(
    entry: Mapping[str, Any], rows: Iterable[Mapping[str, Any]], folder: Path, dataset: Dataset, pictures: bool
) -> Photo | None:
    name = str(entry["file_name"])
    if leads_out(name):
        dataset.faults.add("image whose name leads out of the folder", name)
        return None
    if pictures and not is_file(folder / name):
        dataset.faults.add("image file is missing", name)
        return None
    listed = entry.get("labelled_category_ids")
    labelled = frozenset(map(as_id, listed)) if isinstance(listed, list) else None
    truths = []
    for row in rows:
        where = f"{name}, annotation {row.get('id')}"
        category = as_id(row.get("category_id"))
        if category not in dataset.categories:
            dataset.faults.add("annotation of an unknown category", where)
        elif labelled is None or category in labelled:
            truth = _truth(row, int(entry["height"]), int(entry["width"]))
            if isinstance(truth, Truth):
                truths.append(truth)
            else:
                dataset.faults.add(truth, where)
    return Photo(int(entry["id"]), folder / name, int(entry["width"]), int(entry["height"]), tuple(truths), labelled)


def _truth(row: Mapping[str, Any], height: int, width: int) -> Truth | str:
    """One annotation, or what is wrong with it."""
    crowd, segmentation = bool(row.get("iscrowd")), row.get("segmentation")
    box = read_box(row.get("bbox"))
    if not segmentation:
        if box is None:
            return "annotation with neither a mask nor a box of positive size"
        rle = read_rle([_corners(box)], height, width)
        return (
            "annotation outside its image"
            if rle is None
            else Truth(int(row["category_id"]), box, rle, _area(row, rle), crowd, False)
        )
    rle = read_rle(segmentation, height, width)
    if rle is None:
        return "annotation whose mask is malformed, empty or of another size than its image"
    if box is None:
        x, y, w, h = (float(v) for v in rle_tools.toBbox(rle))
        box = x, y, w, h
    return Truth(int(row["category_id"]), box, rle, _area(row, rle), crowd)


def _area(row: Mapping[str, Any], rle: Rle) -> float:
    stated = row.get("area")
    usable = isinstance(stated, (int, float)) and math.isfinite(stated) and stated > 0
    return float(stated) if usable and stated is not None else float(rle_tools.area(rle))


def _corners(box: Box) -> list[float]:
    x, y, w, h = box
    return [x, y, x + w, y, x + w, y + h, x, y + h]


def as_one_class(dataset: Dataset, name: str) -> Dataset:
    """The data set with every object of one category, 1, called `name`: for what finds objects and does not tell what they are.

    Where only some categories were looked for in a photo it is counted as `partial`.
    """
    photos = [
        replace(photo, truths=tuple(replace(t, category_id=1) for t in photo.truths), labelled=None) for photo in dataset.photos
    ]
    partial = sum(photo.labelled is not None and not photo.labelled >= dataset.categories.keys() for photo in dataset.photos)
    return replace(dataset, photos=photos, categories={1: name}, partial=max(partial, dataset.partial))


def cases_of(dataset: Dataset, rows: Sequence[Mapping[str, Any]]) -> list[Case]:
    """The photos of a data set with the detections of a COCO results list, whoever wrote it.

    A row holds image_id, category_id, score and segmentation (bbox beside it, or else the mask's). Raises ConfigError for a list
    of something else; rows of unknown images or categories and malformed masks are left out and counted in `dataset.faults`.
    """
    photos = {photo.image_id: photo for photo in dataset.photos}
    found: dict[int, list[Detection]] = {identity: [] for identity in photos}
    for number, row in enumerate(rows):
        try:
            image_id, category, score = int(row["image_id"]), int(row["category_id"]), float(row["score"])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ConfigError(f"row {number} of the detections is not a COCO result ({error!r})") from error
        photo = photos.get(image_id)
        if photo is None or category not in dataset.categories:
            dataset.faults.add("detection of an unknown image or category", f"row {number}")
            continue
        if photo.labelled is not None and category not in photo.labelled:
            continue
        rle = read_rle(row.get("segmentation"), photo.height, photo.width)
        if rle is None or not math.isfinite(score):
            dataset.faults.add("detection whose mask is malformed, empty or of another size than its image", f"row {number}")
            continue
        x, y, w, h = (float(v) for v in rle_tools.toBbox(rle))
        found[image_id].append(Detection(category, read_box(row.get("bbox")) or (x, y, w, h), rle, score))
    return [Case(photo, tuple(sorted(found[identity], key=lambda d: -d.score))) for identity, photo in photos.items()]
