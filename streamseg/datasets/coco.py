"""Read COCO-format data sets for training, with what real label files add to the format.

Beside COCO's keys (https://cocodataset.org/#format-data) these are understood:

- image `exhaustive` (default true), `labelled_category_ids` (default all of the file's), `source`;
- annotation without `segmentation`: a box whose mask is unknown;
- annotation `iscrowd: 1`: a region to ignore;
- annotation `origin: "teacher"` with `score`: a detector's box. At `TEACHER_TRUST` or above it is an object,
  below it is a region to ignore; `xdup: true` (a second class on the same object) is dropped.

Several files are joined by the names of their categories. A class that a file does not have was not looked for
in its photos: there it is neither present nor absent. What is wrong is counted in `Faults`; where an object
cannot be used but its place is known, the place is ignored, so that it is not learnt as background.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pycocotools import mask as rle_tools

from streamseg.datasets.annotations import Rle, as_id, find_images, leads_out, read_box, read_json, read_rle, read_tables
from streamseg.datasets.faults import Faults
from streamseg.datasets.photos import Corners, TrainingObject, TrainingPhoto
from streamseg.datasets.pictures import with_pictures
from streamseg.errors import ConfigError, SourceNotFound
from streamseg.system.callbacks import Progress

__all__ = ["DataFile", "TrainingData", "read_data"]

TEACHER_TRUST = 0.5
"""Least score at which a teacher's box counts as an object."""

UNTRUSTED_TEACHER_IDS = frozenset({8})
"""Categories whose teacher boxes are only ever ignored: COCO id 8, truck, is wrong half of the time."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """An annotation file and the folder of its pictures, by default where `find_images` finds them."""

    annotations: Path
    images: Path | None = None

    @classmethod
    def parse(cls, text: str) -> DataFile:
        """From JSON[@IMAGES]; a folder stands for the instances.json in it."""
        file, at, folder = text.partition("@")
        path = Path(file) / "instances.json" if Path(file).is_dir() else Path(file)
        if at and not Path(folder).is_dir():
            raise SourceNotFound(f"{text}: there is no folder {folder}; write ANNOTATIONS.json@FOLDER")
        return cls(path, Path(folder) if at else None)


@dataclass(slots=True)
class TrainingData:
    """Photos with their labels, and the classes: class i is label i + 1."""

    photos: list[TrainingPhoto]
    classes: tuple[str, ...]
    category_ids: tuple[int, ...]
    faults: Faults = field(default_factory=Faults)

    def objects(self) -> dict[str, tuple[int, int]]:
        """Of each class, how many objects there are, and how many of them have a mask."""
        counts = dict.fromkeys(self.classes, (0, 0))
        for item in (item for photo in self.photos for item in photo.objects):
            total, masks = counts[self.classes[item.label - 1]]
            counts[self.classes[item.label - 1]] = total + 1, masks + (item.rle is not None)
        return counts

    def ignored(self) -> int:
        """Regions that are neither learnt nor taken for background: crowds, doubtful labels."""
        return sum(len(photo.ignore) for photo in self.photos)


def read_data(
    files: Sequence[DataFile],
    classes: Sequence[str] | None = None,
    *,
    one_class: str | None = None,
    crowds: str = "ignore",
    bad_data: str = "skip",
    on_progress: Progress | None = None,
) -> TrainingData:
    """Read annotation files and look at every picture once.

    `classes`: names that become labels 1..C in this order, others being background; by default every category
    of the files. `one_class`: all of these objects are one class of this name. `crowds`: "ignore" what is marked
    `iscrowd`, as COCO means it, or take it as "objects". `on_progress` counts pictures. Raises SourceNotFound or
    ConfigError for a file that is missing or of another kind, for classes that no file has, where no photo is
    left, and on any fault when `bad_data` is "refuse".
    """
    if crowds not in ("ignore", "objects"):
        raise ConfigError(f"crowds: {crowds!r} is not a choice; allowed: ignore, objects")
    documents = [(file, *read_tables(read_json(file.annotations), file.annotations)) for file in files]
    names, ids = _classes([categories for _, categories, _, _ in documents], classes)
    faults = Faults()
    photos: list[TrainingPhoto] = []
    for file, categories, entries, rows in documents:
        folder = file.images or find_images(file.annotations, [str(entry["file_name"]) for entry in entries])
        photos += _Reader(folder, categories, names, one_class is not None, crowds, faults).photos(entries, rows)
    photos = with_pictures(photos, faults, on_progress)
    if one_class is not None:
        names, ids = (one_class,), (1,)
    faults.raise_if_refused(bad_data)
    if not photos:
        why = "; ".join(faults.sentences()) or "the files list no images"
        raise ConfigError(f"there is no photo to train on: {why}")
    return TrainingData(photos, names, ids, faults)


def _classes(files: Sequence[Mapping[int, str]], wanted: Sequence[str] | None) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Class names in label order and a category id for each: the id of the first file that has it, or a free one."""
    found: dict[str, tuple[str, int]] = {}
    for categories in files:
        for identity, name in sorted(categories.items()):
            found.setdefault(name.casefold(), (name, identity))
    if wanted is not None:
        absent = [name for name in wanted if name.casefold() not in found]
        if absent or not wanted:
            known = ", ".join(name for name, _ in found.values())
            raise ConfigError(f"the data have no class {', '.join(absent) or '(none given)'}; there are: {known}")
        found = {name.casefold(): found[name.casefold()] for name in wanted}
    if not found:
        raise ConfigError("the data have no categories")
    taken: set[int] = set()
    ids = []
    for _, identity in found.values():
        free = identity if identity not in taken else next(i for i in range(1, len(found) + len(taken) + 1) if i not in taken)
        taken.add(free)
        ids.append(free)
    return tuple(name for name, _ in found.values()), tuple(ids)


class _Reader:
    """Makes photos of one file's entries."""

    def __init__(
        self, folder: Path, categories: Mapping[int, str], names: Sequence[str], merge: bool, crowds: str, faults: Faults
    ) -> None:
        places = {name.casefold(): 1 if merge else i for i, name in enumerate(names, 1)}
        self.folder, self.categories, self.faults = folder, categories, faults
        self.label_of = {i: places[name.casefold()] for i, name in categories.items() if name.casefold() in places}
        self.labels = 1 if merge else len(names)
        self.heed_crowds = crowds == "ignore"

    def photos(self, entries: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]) -> list[TrainingPhoto]:
        """The photos that are well described; whether their pictures can be read is not looked at yet."""
        by_image: dict[Any, list[Mapping[str, Any]]] = {entry["id"]: [] for entry in entries}
        seen: dict[Any, Mapping[str, Any]] = {}
        for row in rows:
            where, identity, image = f"annotation {row.get('id')}", as_id(row.get("id")), as_id(row.get("image_id"))
            if image not in by_image:
                self.faults.add("annotation of an image not in the file", where)
                continue
            if identity is not None and identity in seen:
                if _same(seen[identity], row):
                    self.faults.add("annotation given twice", where)
                    continue
                self.faults.add("annotation id used twice", where, "both kept")
            seen[identity] = row
            by_image[image].append(row)
        answer, known = [], set()
        for entry in entries:
            if entry["id"] in known:
                self.faults.add("image id used twice", f"{entry['file_name']}, image {entry['id']}")
                continue
            known.add(entry["id"])
            photo = self._photo(entry, by_image[entry["id"]])
            if photo is not None:
                answer.append(photo)
        return answer

    def _photo(self, entry: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> TrainingPhoto | None:
        name, height, width = str(entry["file_name"]), int(entry["height"]), int(entry["width"])
        if leads_out(name):
            self.faults.add("image whose name leads out of the folder", name)
            return None
        if min(height, width) < 1:
            self.faults.add("image of no size", f"{name}, {width}×{height}")
            return None
        objects: list[TrainingObject] = []
        ignore: list[Corners] = []
        for row in rows:
            found = self._object(row, height, width, f"{name}, annotation {row.get('id')}")
            if isinstance(found, TrainingObject):
                objects.append(found)
            elif found is not None:
                ignore.append(found)
        listed = entry.get("labelled_category_ids")
        ids = listed if isinstance(listed, list) else self.categories
        looked_for = {self.label_of[i] for i in map(as_id, ids) if i in self.label_of}
        labelled = (True, *(label in looked_for for label in range(1, self.labels + 1)))
        exhaustive = bool(entry.get("exhaustive", True))
        source = str(entry.get("source", ""))
        return TrainingPhoto(self.folder / name, height, width, tuple(objects), tuple(ignore), labelled, exhaustive, source)

    def _object(self, row: Mapping[str, Any], height: int, width: int, where: str) -> TrainingObject | Corners | None:
        """An object, a region to ignore, or None for what is left out."""
        category = as_id(row.get("category_id"))
        box, rle = _clipped(row.get("bbox"), height, width), None
        if category not in self.categories:
            self.faults.add("category not in the list", where, "left out" if box is None else "region ignored")
            return box
        if category not in self.label_of or row.get("xdup"):
            return None
        if row.get("segmentation"):
            rle = read_rle(row["segmentation"], height, width)
        if box is None:
            return self._boxless(row, rle, category, where)
        if (self.heed_crowds and row.get("iscrowd")) or _doubtful(row):
            return box
        if row.get("segmentation") and rle is None:
            self.faults.add("mask malformed, empty or outside its image", where, "region ignored")
            return box
        return TrainingObject(box, self.label_of[category], rle)

    def _boxless(self, row: Mapping[str, Any], rle: Rle | None, category: Any, where: str) -> TrainingObject | Corners | None:
        kind = "box missing, not of four numbers, of no area or outside its image"
        if rle is None:
            self.faults.add(kind, where)
            return None
        self.faults.add(kind, where, "its mask's taken")
        x, y, w, h = (float(v) for v in rle_tools.toBbox(rle))
        box = (x, y, x + w, y + h)
        return box if self.heed_crowds and row.get("iscrowd") else TrainingObject(box, self.label_of[category], rle)


def _doubtful(row: Mapping[str, Any]) -> bool:
    """Whether this is a teacher's box that may well be wrong."""
    if row.get("origin") != "teacher":
        return False
    score = row.get("score", 1.0)
    return not isinstance(score, (int, float)) or score < TEACHER_TRUST or row.get("category_id") in UNTRUSTED_TEACHER_IDS


def _same(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    return all(first.get(k) == second.get(k) for k in ("image_id", "category_id", "bbox", "segmentation"))


def _clipped(bbox: Any, height: int, width: int) -> Corners | None:
    """xyxy within the image; None where nothing of at least a pixel is left."""
    found = read_box(bbox)
    if found is None:
        return None
    x, y, w, h = found
    box = (max(0.0, x), max(0.0, y), min(float(width), x + w), min(float(height), y + h))
    return box if min(box[2] - box[0], box[3] - box[1]) >= 1 else None
