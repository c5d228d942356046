"""COCO-format annotations (https://cocodataset.org/#format-data), as evaluation and training both read them.

Polygons and both forms of run lengths become compressed run lengths. What is wrong in a file is the caller's to count (`Faults`).
Needs pycocotools, which the extras `eval` and `train` bring.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from streamseg.core.rle import runs_of
from streamseg.errors import ConfigError, MissingExtra, SourceNotFound

try:
    from pycocotools import mask as rle_tools
except ImportError as _error:
    raise MissingExtra("pycocotools", "eval") from _error

__all__ = [
    "Box",
    "Rle",
    "as_id",
    "find_images",
    "is_file",
    "leads_out",
    "read_box",
    "read_json",
    "read_rle",
    "read_tables",
]

Box = tuple[float, float, float, float]
"""x, y, width, height in photo pixels."""
Rle = dict[str, Any]
"""Compressed run lengths: {"size": [height, width], "counts": bytes}."""

# pycocotools counts pixels in 32 bit, and takes 100 bytes for each pixel along an outline.
_MOST_PIXELS = 2**31 - 1
_LONGEST_OUTLINE = 2_000_000


def read_json(path: Path) -> Any:
    """Raises SourceNotFound, or ConfigError with file:line for a file that is not JSON."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise SourceNotFound(f"{path}: no such file") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path}:{error.lineno}: not JSON: {error.msg}") from error
    except (ValueError, RecursionError) as error:  # not UTF-8; a number of thousands of digits; nested too deeply
        raise ConfigError(f"{path}: not JSON: {error}") from error


def read_tables(document: Any, path: Path) -> tuple[dict[int, str], list[dict[str, Any]], list[dict[str, Any]]]:
    """Category names by id, images and annotations of a document. Raises ConfigError if it is not COCO's.

    Every image has a whole id, width and height and a file name; that ids differ and sizes are positive is not checked.
    """
    try:
        categories = {_integer(c["id"]): str(c["name"]) for c in document["categories"]}
        entries, rows = list(document["images"]), list(document["annotations"])
        for e in entries:
            _ = (_integer(e["id"]), _integer(e["width"]), _integer(e["height"]), e["file_name"] + "")
        if not all(isinstance(row, dict) for row in rows):
            raise TypeError("an annotation is not an object")
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        what = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
        raise ConfigError(
            f"{path}: not a COCO annotation file ({what}); it needs images (id, file_name, width, height), annotations "
            "and categories (id, name)"
        ) from error
    return categories, entries, rows


def _integer(value: Any) -> int:
    if isinstance(value, bool) or int(value) != value or abs(value) >= 2**63:
        raise ValueError(f"{value!r} is not a whole number (of 64 bits)")
    return int(value)


def as_id(value: Any) -> Any:
    """An id as a file gives it, or None for what none can be: a list, an object."""
    return value if isinstance(value, (int, float, str)) else None


def is_file(path: Path) -> bool:
    """Whether there is such a file; there is none of a name that no file can have."""
    try:
        return path.is_file()
    except OSError:
        return False


def leads_out(name: str) -> bool:
    """Whether a picture's name would be looked for outside of its folder."""
    forms = (PurePosixPath(name), PureWindowsPath(name))
    return any(form.is_absolute() or ".." in form.parts for form in forms)


def find_images(path: Path, names: Sequence[str]) -> Path:
    """The folder that holds most of the first pictures of the annotation file `path`: where labelling tools put them.

    images/ beside the file, which is also the answer where none is found; the file's own folder; images/ beside its folder,
    and in there, or beside the folder too, one named as the subset in instances_SUBSET.json.
    """
    subset = path.stem.removeprefix("instances_")
    above = path.parent.parent
    places = [path.parent / "images", path.parent, above / "images", above / "images" / subset, above / subset]
    some = [name for name in names[:50] if not leads_out(name)]
    return max(places, key=lambda place: sum(is_file(place / name) for name in some))


def read_box(value: Any) -> Box | None:
    """COCO's [x, y, width, height] of positive size, or None for anything else."""
    try:
        x, y, w, h = (float(v) for v in value)
    except (TypeError, ValueError, OverflowError):
        return None
    return (x, y, w, h) if math.isfinite(x + y + w + h) and w > 0 and h > 0 else None


def read_rle(segmentation: Any, height: int, width: int) -> Rle | None:
    """The compressed run lengths of polygons or of either form of run lengths; None if malformed, empty or of another size.

    What does not fill the image exactly is not given to pycocotools, which would write beyond it.
    """
    if not 0 < height * width <= _MOST_PIXELS:
        return None
    try:
        if isinstance(segmentation, Mapping):
            if [int(v) for v in segmentation["size"]] != [height, width]:
                return None
            counts = segmentation["counts"]
            if not isinstance(counts, (list, str)):
                return None
            runs = counts if isinstance(counts, list) else runs_of(counts)
            if sum(runs) != height * width or min(runs) < 0 or not any(runs[1::2]):
                return None
            if isinstance(counts, str):
                return {"size": [height, width], "counts": counts.encode("ascii")}
            rle: Rle = rle_tools.frPyObjects({"size": [height, width], "counts": runs}, height, width)
            return rle
        polygons = [[float(v) for v in p] for p in segmentation if len(p) >= 6 and len(p) % 2 == 0]
        if not polygons or not sum(map(_outline, polygons)) <= _LONGEST_OUTLINE:
            return None
        rle = rle_tools.merge(rle_tools.frPyObjects(polygons, height, width))
        return rle if int(rle_tools.area(rle)) > 0 else None
    except (KeyError, TypeError, ValueError, OverflowError, IndexError):
        return None


def _outline(polygon: Sequence[float]) -> float:
    """Length of a polygon's outline, the longer of across and down for each side; not finite where a coordinate is not."""
    x, y = polygon[::2], polygon[1::2]
    return sum(max(abs(x[i] - x[i - 1]), abs(y[i] - y[i - 1])) for i in range(len(x)))
