"""What is told of cameras as plain data, as the page and other programs get it in JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import cv2
import numpy as np

from streamseg.core.palette import color_of
from streamseg.core.result import Result
from streamseg.live.news import CameraChanged, CameraRemoved, CameraStatus, Happened, News, Warned

__all__ = ["happened", "instances", "news", "status"]

_OUTLINE_SIDE = 64
_TOLERANCE = 0.012
"""Of the grid's side: how far an outline may be from the mask's edge."""


def status(camera: CameraStatus) -> dict[str, Any]:
    """One camera's status."""
    plain = {each.name: getattr(camera, each.name) for each in fields(camera)}
    plain = {name: dict(value) if isinstance(value, Mapping) else value for name, value in plain.items()}
    return plain | {"rate": round(camera.rate, 2), "latency_ms": {k: round(v, 1) for k, v in camera.latency_ms.items()}}


def happened(event: Happened, name: str | None = None) -> dict[str, Any]:
    """One event, of the object of that name; whether there is a thumbnail, in place of its bytes."""
    what = event.event
    return {
        "id": event.id,
        "camera": event.camera,
        "utc": event.utc,
        "kind": what.kind,
        "track": what.track_id,
        "class": what.name,
        "name": name,
        "place": what.place,
        "direction": what.direction,
        "seconds": None if what.seconds is None else round(what.seconds, 2),
        "frame": event.frame,
        "epoch": event.epoch,
        "box": event.box,
        "thumbnail": bool(event.thumbnail),
    }


def news(item: News, name: str | None = None) -> dict[str, Any]:
    """What a WebSocket of `/api/news` says: `kind` tells which. `name`: of an event's object, where a person gave it one."""
    match item:
        case CameraChanged():
            return {"kind": "camera", "camera": status(item.status)}
        case CameraRemoved():
            return {"kind": "removed", "camera": item.name}
        case Happened():
            return {"kind": "event", "event": happened(item, name)}
        case Warned():
            return {"kind": "warning", "camera": item.camera, "text": item.text, "utc": item.utc}


def instances(result: Result) -> dict[str, Any]:
    """What is seen in a frame: boxes and coarse outlines in fractions of the frame, for a page that draws on the picture."""
    found, frame = result.instances, result.frame
    size = np.array([frame.width, frame.height, frame.width, frame.height], np.float64)
    rows = []
    for i, name in enumerate(found.names):
        track, label = int(found.track_ids[i]), int(found.labels[i])
        rows.append(
            {
                "track": track or None,
                "class": name,
                "name": found.track_names.get(track),
                "score": round(float(found.scores[i]), 3),
                "box": [round(float(v), 4) for v in found.boxes[i] / size],
                "outline": _outline(found.grids[i], found.boxes[i], size[:2]) if found.has_shapes else None,
                "colour": "#{:02x}{:02x}{:02x}".format(*color_of(track, label)),
            }
        )
    return {"frame": frame.index, "epoch": frame.epoch, "width": frame.width, "height": frame.height, "instances": rows}


def _outline(grid: np.ndarray, box: np.ndarray, size: np.ndarray) -> list[list[float]] | None:
    """The mask's longest outline [[x, y], ...] in fractions of the frame; None where there is none."""
    small = grid if grid.shape[0] <= _OUTLINE_SIDE else cv2.resize(grid, (_OUTLINE_SIDE, _OUTLINE_SIDE))
    side = small.shape[0]
    lines, _ = cv2.findContours((small > 127).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not lines:
        return None
    line = cv2.approxPolyDP(max(lines, key=cv2.contourArea), _TOLERANCE * side, True)[:, 0].astype(np.float64)
    points = box[:2] + (line + 0.5) / side * (box[2:] - box[:2])
    return [[round(float(x), 4), round(float(y), 4)] for x, y in points / size]
