"""ASAM OpenLABEL 1.0: one JSON document with objects, frames and events (asam.net/standards/detail/openlabel).

A box is `[x, y, w, h]` with x, y its middle, as the standard has it. Masks are polygons through the middles of the pixels at their
edge, with OpenCV's hierarchy of holes, so that a reader who fills them gets the mask itself. Numbers stand with their deviations as
`num`. Frames are written while the video runs; what is known of each track and event, some hundred bytes, is kept to the end.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from streamseg.core.utc import as_iso
from streamseg.encode.results.base import Draft, FormatSink
from streamseg.encode.results.openlabel_parts import camera_stream, coordinate_systems, event_element, object_data
from streamseg.system.version import installed_version

if TYPE_CHECKING:
    from streamseg.core.result import Result
    from streamseg.core.scene import CameraModel

__all__ = ["OpenLabelSink"]

_REMEMBERED = 4096
"""Frames that an event may be told after it happened, to be placed in its own."""


@dataclass(slots=True)
class _Object:
    name: str
    intervals: list[list[int]]
    """First and last frame of each stretch in which it is there."""
    votes: dict[str, float] = field(default_factory=dict)
    """Class → sum of scores."""

    @property
    def kind(self) -> str:
        """Its class."""
        return max(self.votes, key=lambda name: self.votes[name])


class OpenLabelSink(FormatSink):
    """Writes one document. UIDs of objects are the track ids, those of events count from 0."""

    def _begin(self, first: Result) -> None:
        about = {
            "schema_version": "1.0.0",
            "name": self._info.name,
            "annotator": f"streamseg {installed_version()}",
            "tagged_file": self._info.name,
        }
        self._draft = Draft(self.path, b'{"openlabel":{"metadata":' + _dumps(about).encode() + b',"frames":{')
        self._objects: dict[int, _Object] = {}
        self._events: list[tuple[int, int, dict[str, Any]]] = []
        """(uid of its object, frame, element) of each."""
        self._recent: deque[tuple[float, int]] = deque(maxlen=_REMEMBERED)
        self._first = self._last = first.frame.index
        self._camera: CameraModel | None = None

    def _write(self, result: Result) -> None:
        frame, found = result.frame, result.instances
        self._untracked += int(np.count_nonzero(found.track_ids == 0))
        if result.scene is not None and result.scene.camera is not None:
            self._camera = result.scene.camera.resized(frame.width, frame.height)
        objects = {str(found.track_ids[i]): {"object_data": data} for i, data in self._seen(result)}
        timestamp = f"{frame.time:.6f}" if frame.utc is None else as_iso(frame.utc, 6)
        sync = {"frame_stream": frame.index, "timestamp": timestamp}
        properties: dict[str, Any] = {"timestamp": timestamp, "streams": {"camera": {"stream_properties": {"sync": sync}}}}
        properties |= {"epoch": frame.epoch, "detected": result.detected}
        if result.scene is not None:
            properties["scene"] = result.scene.to_json()
        self._draft.record(f'"{frame.index}":{_dumps({"frame_properties": properties, "objects": objects})}')
        for i, track in enumerate(found.track_ids.tolist()):
            if track:
                self._note(track, found.names[i], float(found.scores[i]), frame.index, found.track_names.get(track))
        self._last = frame.index
        self._recent.append((frame.time, frame.index))
        for event in result.activity.events if result.activity else ():
            self._events.append((event.track_id, self._frame_of(event.time), event_element(event)))
        self.counters.bytes = self._draft.size

    def _seen(self, result: Result) -> Iterator[tuple[int, dict[str, Any]]]:
        segments = result.segments() if result.has_masks else iter([None] * len(result))
        for i, segment in enumerate(segments):
            if result.track_ids[i]:
                polygons = [] if segment is None else _polygons(segment[1], segment[0][0], segment[0][1])
                yield i, object_data(result, i, polygons)

    def _note(self, track: int, name: str, score: float, frame: int, given: str | None) -> None:
        known = self._objects.setdefault(track, _Object("", [[frame, frame]]))
        if known.intervals[-1][1] in (self._last, frame):
            known.intervals[-1][1] = frame
        else:
            known.intervals.append([frame, frame])
        known.name = given or known.name
        known.votes[name] = known.votes.get(name, 0.0) + score

    def _frame_of(self, time: float) -> int:
        """The frame that was shown at a time."""
        return next((index for at, index in reversed(self._recent) if at <= time + 1e-6), self._recent[0][1])

    def _finish(self) -> None:
        tail: dict[str, Any] = {
            "objects": {str(track): _element(known, track) for track, known in sorted(self._objects.items())},
            "events": {
                str(uid): element | {"frame_intervals": [_interval(frame, frame)]}
                for uid, (_, frame, element) in enumerate(self._events)
            },
            "relations": {
                str(uid): {
                    "name": "",
                    "type": "involves",
                    "rdf_subjects": [{"type": "event", "uid": str(uid)}],
                    "rdf_objects": [{"type": "object", "uid": str(track)}],
                    "frame_intervals": [_interval(frame, frame)],
                }
                for uid, (track, frame, _) in enumerate(self._events)
                if track in self._objects
            },
            "streams": {"camera": camera_stream(self._info.name, self._camera)},
            "coordinate_systems": coordinate_systems(self._camera),
            "frame_intervals": [_interval(self._first, self._last)],
        }
        self._draft.finish([b"\n},", _dumps(tail)[1:].encode(), b"}\n"])
        self.counters.bytes = self._draft.size


def _element(known: _Object, track: int) -> dict[str, Any]:
    return {
        "name": known.name or f"{known.kind}#{track}",
        "type": known.kind,
        "frame_intervals": [_interval(*each) for each in known.intervals],
    }


def _interval(start: int, end: int) -> dict[str, int]:
    return {"frame_start": start, "frame_end": end}


def _polygons(crop: np.ndarray[Any, np.dtype[np.bool_]], x0: int, y0: int) -> list[dict[str, Any]]:
    """The outlines of a mask whose top left pixel is at (x0, y0), those of its holes too."""
    middle = np.array((x0 + 0.5, y0 + 0.5))
    lines, tree = cv2.findContours(crop.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    return [
        {
            "name": f"mask{number}",
            "closed": True,
            "mode": "MODE_POLY2D_ABSOLUTE",
            "val": (line.reshape(-1, 2) + middle).ravel().tolist(),
            "hierarchy": tree[0][number].tolist(),
        }
        for number, line in enumerate(lines)
    ]


def _dumps(value: Any) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":"))
