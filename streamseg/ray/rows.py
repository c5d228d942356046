"""Results as rows of an Arrow table: the columns, which are always the same, and tables of a bounded size.

The types are those of Arrow itself, so that Parquet, Lance and other engines read them; each column has its type where nothing is
known, too: a block without a mask fits one with.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from streamseg.encode.results.event_cells import event_row
from streamseg.errors import ConfigError, MissingExtra
from streamseg.errors.describe import brief

if TYPE_CHECKING:
    from streamseg.core.result import Result

__all__ = ["BYTES", "FOUND", "Pictures", "check_pictures", "failed_row", "found_row", "frame_row", "row_schema", "tables"]

Pictures = bool | Literal["jpg", "png"]
"""True: uint8 [height, width, 3], RGB; `jpg`, `png`: encoded, for storing."""
BYTES = 16 * 10**6
"""Of a table, about: it ends early where its rows are large."""
FOUND = ("boxes", "scores", "labels", "classes", "track_ids", "masks")
"""Columns of what was found: lists of one length, a value an instance, by falling score."""
_EVENT = ("kind", "time", "track", "name", "class", "place", "direction", "seconds")


def row_schema(pictures: Pictures = False) -> Any:
    """The `pyarrow.Schema` of `read`'s rows, with `image` where pictures are encoded; arrays have a type of Ray's.

    Raises MissingExtra without pyarrow.
    """
    pa = _pyarrow()
    text, real = pa.string(), pa.float64()
    event = pa.struct(
        [(name, real if name in ("time", "seconds") else pa.int64() if name == "track" else text) for name in _EVENT]
        + [("details", text)]
    )
    columns = [
        ("film", text),
        ("frame", pa.int64()),
        ("pts", pa.int64()),
        ("time", real),
        ("epoch", pa.int32()),
        ("utc", pa.timestamp("us", tz="UTC")),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("detected", pa.bool_()),
        *_found_types(pa),
        ("events", pa.list_(event)),
        ("error", text),
    ]
    return pa.schema([*columns, ("image", pa.large_binary())] if isinstance(pictures, str) else columns)


def found_types() -> list[tuple[str, Any]]:
    """Name and type of `FOUND`. Raises MissingExtra without pyarrow."""
    return _found_types(_pyarrow())


def frame_row(film: str, result: Result) -> dict[str, Any]:
    """One frame, without its picture."""
    frame, activity = result.frame, result.activity
    fix = None if result.scene is None else result.scene.fix
    utc = frame.utc if frame.utc is not None or fix is None else fix.utc
    row = {
        "film": film,
        "frame": frame.index,
        "pts": frame.pts,
        "time": frame.time,
        "epoch": frame.epoch,
        "utc": None if utc is None else round(1e6 * utc),
        "width": frame.width,
        "height": frame.height,
        "detected": result.detected,
    }
    return row | found_row(result) | {"events": _events(result) if activity is not None else []}


def failed_row(film: str, error: BaseException) -> dict[str, Any]:
    """A film that cannot be read, or no further: all but its name and the reason is null."""
    return {"film": film, "error": str(error)}


def found_row(result: Result) -> dict[str, Any]:
    """`FOUND` of one frame. `masks` are the counts of COCO's run lengths of size [height, width]; None: there are none."""
    found = result.instances
    told = result.rows(masks=True) if found.has_masks else None
    return {
        "boxes": found.boxes.tolist(),
        "scores": found.scores.tolist(),
        "labels": found.labels.tolist(),
        "classes": found.names,
        "track_ids": found.track_ids.tolist(),
        "masks": None if told is None else [row["mask"]["counts"] for row in told],
    }


def check_pictures(pictures: object) -> None:
    """Raise ConfigError for what `pictures` cannot be."""
    if not isinstance(pictures, bool) and pictures not in ("jpg", "png"):
        raise ConfigError(f"pictures is {brief(pictures)}; allowed: False, True, 'jpg', 'png'")


def tables(rows: Iterable[tuple[dict[str, Any], Any]], count: int, pictures: Pictures = False) -> Iterator[Any]:
    """Rows, each with its picture (None: it has none), as tables of at most `count` rows and about `BYTES`; each a `pyarrow.Table`.

    A table ends where the size of pictures changes: one column of tensors has one shape.
    """
    waiting: list[dict[str, Any]] = []
    images: list[Any] = []
    size = 0
    for row, image in rows:
        another = (
            bool(images) and not isinstance(image, bytes) and getattr(image, "shape", None) != getattr(images[0], "shape", None)
        )
        if waiting and (len(waiting) >= count or size >= BYTES or another):
            yield _table(waiting, images, pictures)
            waiting, images, size = [], [], 0
        waiting.append(row)
        images.append(image)
        size += (0 if image is None else len(image) if isinstance(image, bytes) else image.nbytes) + _bytes(row)
    if waiting:
        yield _table(waiting, images, pictures)


def _table(rows: Sequence[dict[str, Any]], images: Sequence[Any], pictures: Pictures) -> Any:
    pa = _pyarrow()
    if isinstance(pictures, str):
        rows = [row | {"image": image} for row, image in zip(rows, images, strict=True)]
    table = pa.Table.from_pylist(list(rows), schema=row_schema(pictures))
    if pictures is not True:
        return table
    import numpy as np
    from ray.data.extensions import ArrowTensorArray

    # The row of a film that failed has no picture; a tensor cannot be null, and one without pixels stands for it.
    shown = [np.zeros((0, 0, 3), np.uint8) if image is None else image for image in images]
    return table.append_column("image", ArrowTensorArray.from_numpy(np.stack(shown)))


def _shape(image: Any) -> tuple[int, ...]:
    return () if image is None else image.shape


def _events(result: Result) -> list[dict[str, Any]]:
    named, told = result.instances.track_names, []
    for event in result.activity.events if result.activity else ():
        row = event_row(event, result.frame.index, named.get(event.track_id))
        details = {key: row[key] for key in row if key not in (*_EVENT, "utc", "frame", "details") and row[key] is not None}
        details |= row["details"]
        told.append({key: row[key] for key in _EVENT} | {"details": json.dumps(details) if details else None})
    return told


def _bytes(row: dict[str, Any]) -> int:
    """About: run lengths are most of it."""
    return 200 + 60 * len(row.get("scores") or ()) + sum(len(mask) for mask in row.get("masks") or ())


def _found_types(pa: Any) -> list[tuple[str, Any]]:
    return [
        ("boxes", pa.list_(pa.list_(pa.float32(), 4))),
        ("scores", pa.list_(pa.float32())),
        ("labels", pa.list_(pa.int32())),
        ("classes", pa.list_(pa.string())),
        ("track_ids", pa.list_(pa.int64())),
        ("masks", pa.list_(pa.string())),
    ]


def _pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError as error:
        raise MissingExtra("pyarrow", "cluster") from error
    return pyarrow
