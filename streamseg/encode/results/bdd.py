"""BDD100K: a list of frames with labels, as its box and mask tracks have it, in Scalabel's format (Yu et al., CVPR 2020).

Boxes are of what is seen; as Scalabel counts, their right and lower edges lie within the last pixel: `x2 = x1 + width - 1`. Masks
are COCO's run lengths (`rle`). A frame stands in the list with no label, too. Keys that have no value are null, for readers that
want to see them all. Written while the video runs; memory does not grow.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from streamseg.core import rle
from streamseg.encode.results.base import Draft, FormatSink
from streamseg.encode.results.categories import bdd_names
from streamseg.encode.results.whole import Whole, wholes
from streamseg.system.file_names import file_name

if TYPE_CHECKING:
    from streamseg.core.result import Result
    from streamseg.core.scene import CameraModel

__all__ = ["BddSink"]

_SEEN = 0.95
"""Visible share below which an object is marked as occluded."""
_MEASURED = ("ttc", "ttc_std", "distance", "distance_std", "lateral", "lateral_std", "speed", "speed_std", "in_path")


class BddSink(FormatSink):
    """Writes one document, a list of frames; `id` of a label is the track id."""

    def _begin(self, first: Result) -> None:
        self._names = bdd_names(first.instances.class_names)
        self._film = file_name(Path(self._info.name).stem or "video")
        self._lost: dict[str, int] = {}
        self._draft = Draft(self.path, b"[")

    def _write(self, result: Result) -> None:
        self._untracked += int(np.count_nonzero(result.instances.track_ids == 0))
        self._draft.record(json.dumps(self._frame(result), allow_nan=False, separators=(",", ":")))
        self.counters.bytes = self._draft.size

    def _frame(self, result: Result) -> dict[str, Any]:
        frame, scene = result.frame, result.scene
        return {
            "name": f"{self._film}-{frame.index + 1:07d}.jpg",
            "url": None,
            "videoName": self._film,
            "timestamp": round(1000 * (frame.time if frame.utc is None else frame.utc)),
            "frameIndex": frame.index,
            "index": frame.index,
            "size": {"width": frame.width, "height": frame.height},
            "intrinsics": None
            if scene is None or scene.camera is None
            else _intrinsics(scene.camera, frame.width, frame.height),
            "labels": self._labels(result),
        }

    def _labels(self, result: Result) -> list[dict[str, Any]]:
        found, told = result.instances, wholes(result)
        masks = self._masks(result)
        labels = []
        for i, box in enumerate(found.boxes.tolist()):
            category = self._names[found.labels[i]]
            if category is None:
                name = found.class_names[found.labels[i]]
                self._lost[name] = self._lost.get(name, 0) + 1
            elif found.track_ids[i]:
                x0, y0, x1, y1 = (round(value, 2) for value in box)
                label: dict[str, Any] = {"id": str(found.track_ids[i]), "category": category}
                label |= {"score": round(float(found.scores[i]), 4), "attributes": _attributes(told[i]) | _measured(result, i)}
                label |= {"box2d": {"x1": x0, "y1": y0, "x2": round(x1 - 1, 2), "y2": round(y1 - 1, 2)}, "box3d": None}
                labels.append(label | {"poly2d": None, "rle": masks[i], "graph": None})
        return labels

    def _masks(self, result: Result) -> list[dict[str, Any] | None]:
        frame = result.frame
        if not result.has_masks:
            return [None] * len(result)
        return [rle.encode(crop, x0, y0, frame.width, frame.height) for (x0, y0, _, _), crop in result.segments(disjoint=True)]

    def _finish(self) -> None:
        self.warnings += [
            f"{self.name}: {count} of class {name!r} are left out: BDD100K has no such category"
            for name, count in self._lost.items()
        ]
        self._draft.finish([b"\n]\n"])
        self.counters.bytes = self._draft.size


def _attributes(whole: Whole) -> dict[str, Any]:
    if whole.visible is None:
        return {}
    return {"occluded": whole.visible < _SEEN, "truncated": whole.at_border, "visible": round(whole.visible, 3)}


def _measured(result: Result, i: int) -> dict[str, Any]:
    if result.scene is None:
        return {}
    return {key: value for key, value in result.scene.instance_json(i).items() if key in _MEASURED and value is not None}


def _intrinsics(camera: CameraModel, width: int, height: int) -> dict[str, Any]:
    fit = camera.resized(width, height)
    k1, k2, p1, p2, k3 = (*fit.distortion, *(0.0,) * 5)[:5]
    lens = {"radial": [k1, k2, k3], "tangential": [p1, p2]} if fit.distortion else {"radial": None, "tangential": None}
    return {"focal": [fit.fx, fit.fy], "center": [fit.cx, fit.cy], "skew": 0.0, **lens}
