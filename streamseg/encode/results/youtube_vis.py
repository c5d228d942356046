"""YouTube-VIS: one JSON document with one annotation for each track (Yang et al., "Video Instance Segmentation", ICCV 2019).

`segmentations`, `bboxes` and `areas` have one entry a frame, null where the track is absent; masks are uncompressed RLE, as in the
data set's own annotations. The format orders masks by track, so they are kept, compressed, until the end: about 100 bytes each.
"""

from __future__ import annotations

import array
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from streamseg.core import rle
from streamseg.core.masks import paste
from streamseg.encode.results.base import Draft, FormatSink, info_of, measure
from streamseg.encode.results.categories import coco_ids

if TYPE_CHECKING:
    from streamseg.core.result import Result

__all__ = ["YoutubeVisSink"]


@dataclass(slots=True)
class _Track:
    first: int
    counts: list[str | None] = field(default_factory=list)
    """Compressed RLE of each frame from `first` on."""
    numbers: array.array[int] = field(default_factory=lambda: array.array("i"))
    """x, y, width, height, area of each frame."""
    votes: dict[int, float] = field(default_factory=dict)
    """Label → sum of scores."""
    seen: int = 0


class YoutubeVisSink(FormatSink):
    """Writes one YouTube-VIS document of one video. Annotation ids are the track ids.

    All masks have the size of the first frame: where the source changes its size, they are scaled.
    """

    needs_masks: ClassVar[bool] = True

    def _begin(self, first: Result) -> None:
        self._size = (first.frame.width, first.frame.height)
        self._names = list(first.instances.class_names)
        self._indexes = array.array("q")
        self._tracks: dict[int, _Track] = {}

    def _write(self, result: Result) -> None:
        found, position = result.instances, len(self._indexes)
        self._indexes.append(result.frame.index)
        width, height = self._size
        scale = np.array([width / result.frame.width, height / result.frame.height] * 2, np.float32)
        boxes, grids = (found.boxes * scale).astype(np.float32), found.grids
        for i, track_id in enumerate(found.track_ids.tolist()):
            if not track_id:
                self._untracked += 1
                continue
            region, soft = paste(grids[i], boxes[i], width, height)
            crop = soft >= 128
            area, box = measure(region, crop)
            if area:
                track = self._tracks.setdefault(track_id, _Track(position))
                self._append(track, position, str(rle.encode(crop, *region[:2], width, height)["counts"]), [*box, area])
                label, score = int(found.labels[i]), float(found.scores[i])
                track.votes[label] = track.votes.get(label, 0.0) + score

    def _append(self, track: _Track, position: int, counts: str, numbers: list[int]) -> None:
        missing = position - track.first - len(track.counts)
        track.counts += [None] * missing
        track.numbers.extend([0] * (5 * missing))
        track.counts.append(counts)
        track.numbers.extend(numbers)
        track.seen += 1

    def _finish(self) -> None:
        categories = coco_ids(self._names)
        listed = [{"id": i, "name": name, "supercategory": ""} for i, name in zip(categories, self._names, strict=True)]
        head = {"info": info_of(self._info), "licenses": [], "videos": [self._video()], "categories": listed}
        draft = Draft(self.path, _dumps(head)[:-1].encode() + b',"annotations":[')
        try:
            for track_id, track in sorted(self._tracks.items()):
                draft.record(self._annotation(track_id, track, categories))
        finally:
            # Also when the disk is full: a document of the first tracks is better than none.
            draft.finish([b"\n]}\n"])
        self.counters.bytes = draft.size

    def _video(self) -> dict[str, Any]:
        # Tools find the video's name in the folder of its first file.
        name = Path(self._info.name).stem or "video"
        return {
            "id": 1,
            "width": self._size[0],
            "height": self._size[1],
            "length": len(self._indexes),
            "file_names": [f"{name}/{index:05d}.jpg" for index in self._indexes],
        }

    def _annotation(self, track_id: int, track: _Track, categories: list[int]) -> str:
        before, after = ["null"] * track.first, ["null"] * (len(self._indexes) - track.first - len(track.counts))
        size = [self._size[1], self._size[0]]
        masks, boxes, areas = [], [], []
        for i, counts in enumerate(track.counts):
            x, y, w, h, area = track.numbers[5 * i : 5 * i + 5]
            masks.append("null" if counts is None else _dumps({"size": size, "counts": rle.runs_of(counts)}))
            boxes.append("null" if counts is None else f"[{x},{y},{w},{h}]")
            areas.append("null" if counts is None else str(area))
        head = {
            "id": track_id,
            "video_id": 1,
            "category_id": categories[max(track.votes, key=lambda label: track.votes[label])],
            "iscrowd": 0,
            "score": round(sum(track.votes.values()) / track.seen, 4),
            "width": self._size[0],
            "height": self._size[1],
            "length": len(self._indexes),
        }
        lists = {"segmentations": masks, "bboxes": boxes, "areas": areas}
        texts = [f'"{name}":[{",".join([*before, *entries, *after])}]' for name, entries in lists.items()]
        return f"{_dumps(head)[:-1]},{','.join(texts)}}}"


def _dumps(value: dict[str, Any]) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":"))
