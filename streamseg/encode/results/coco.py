"""COCO instances: one JSON document with an image for each frame and an annotation for each mask (cocodataset.org/#format-data).

Masks are compressed RLE; of boxes alone there is no `segmentation`. `category_id` is COCO's own where COCO knows the class.
Annotations carry `score` and `track_id` besides, so that `annotations` also serves as a list of results. Written while the video
runs; memory does not grow.
"""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any

from streamseg.core import rle
from streamseg.encode.results.base import Draft, FormatSink, info_of, measure
from streamseg.encode.results.categories import coco_ids

if TYPE_CHECKING:
    from streamseg.core.result import Result

__all__ = ["CocoSink"]

_COPY = 1 << 20


class CocoSink(FormatSink):
    """Writes one COCO document. Image ids are the frames' indexes plus 1; annotation ids count from 1."""

    def _begin(self, first: Result) -> None:
        names = list(first.instances.class_names)
        self._categories = coco_ids(names)
        categories = [{"id": i, "name": name, "supercategory": ""} for i, name in zip(self._categories, names, strict=True)]
        head = {"info": info_of(self._info), "licenses": [], "categories": categories}
        self._draft = Draft(self.path, _dumps(head)[:-1].encode() + b',"annotations":[')
        # The document has two lists that grow: one of them waits in a file without a name.
        self._images: IO[bytes] = tempfile.TemporaryFile(dir=self.path.parent, buffering=0)  # noqa: SIM115
        self._last_id = 0

    def _write(self, result: Result) -> None:
        frame = result.frame
        image = {
            "id": frame.index + 1,
            "file_name": f"{frame.index:06d}.jpg",
            "width": frame.width,
            "height": frame.height,
            "time": round(frame.time, 6),
        }
        at = self._images.tell()
        line = (",\n" if at else "\n") + _dumps(image)
        data = line.encode()
        if self._images.write(data) != len(data):
            self._images.truncate(at)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        texts = [_dumps(annotation) for annotation in self._annotations(result)]
        self._draft.record(*texts)
        self._last_id += len(texts)
        self.counters.bytes = self._draft.size

    def _annotations(self, result: Result) -> Iterator[dict[str, Any]]:
        frame, found = result.frame, result.instances
        made = self._last_id
        for i, (area, box, segmentation) in enumerate(_measured(result)):
            if area:
                made += 1
                yield {
                    "id": made,
                    "image_id": frame.index + 1,
                    "category_id": self._categories[found.labels[i]],
                    **segmentation,
                    "area": area,
                    "bbox": box,
                    "iscrowd": 0,
                    "score": round(float(found.scores[i]), 4),
                    "track_id": int(found.track_ids[i]),
                }

    def _finish(self) -> None:
        try:
            self._draft.finish([b'\n],"images":[', *self._spooled(), b"\n]}\n"])
        finally:
            self._images.close()
        self.counters.bytes = self.path.stat().st_size

    def _spooled(self) -> Iterator[bytes]:
        self._images.seek(0)
        while chunk := self._images.read(_COPY):
            yield chunk


def _measured(result: Result) -> Iterator[tuple[float, Sequence[float], dict[str, Any]]]:
    """Of each instance its area, its box [x, y, width, height], both of the mask if it has one, and its `segmentation`."""
    frame, found = result.frame, result.instances
    if found.has_masks:
        for region, crop in result.segments():
            yield *measure(region, crop), {"segmentation": rle.encode(crop, region[0], region[1], frame.width, frame.height)}
        return
    for x0, y0, x1, y1 in found.boxes.tolist():
        yield round((x1 - x0) * (y1 - y0), 2), [round(value, 2) for value in (x0, y0, x1 - x0, y1 - y0)], {}


def _dumps(value: dict[str, Any]) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":"))
