"""The parts of an OpenLABEL document, as plain data: what is known of an object in a frame, an event, the camera."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

from streamseg.core.utc import as_iso

if TYPE_CHECKING:
    from streamseg.core.result import Result
    from streamseg.core.scene import CameraModel
    from streamseg.core.types import Event

__all__ = ["camera_stream", "coordinate_systems", "event_element", "object_data"]

_EGO, _CAMERA = "vehicle-iso8855", "camera"
_LENS = 5
"""Coefficients that a distortion has at least."""


def object_data(result: Result, i: int, polygons: list[dict[str, Any]]) -> dict[str, Any]:
    """What is known of instance `i` in this frame: `box`, and `extent`, hidden parts included, its mask and all numbers."""
    found, hidden, scene = result.instances, result.occlusion, result.scene
    data: dict[str, Any] = {"bbox": [_box("box", found.boxes[i].tolist())]}
    if hidden is not None:
        data["bbox"].append(_box("extent", hidden.extents[i].tolist()))
    if polygons:
        data["poly2d"] = polygons
    numbers: dict[str, Any] = {"score": float(found.scores[i]), "track_score": float(found.track_scores[i])}
    flags = {"doubtful": bool(found.doubtful[i])}
    if hidden is not None:
        numbers |= {"visible": float(hidden.visible[i]), "order": int(hidden.order[i])}
        numbers |= {"occluded_by": int(hidden.occluded_by[i])} if hidden.occluded_by[i] else {}
        flags["at_border"] = bool(hidden.at_border[i])
    if scene is not None:
        numbers |= {key: value for key, value in scene.instance_json(i).items() if value is not None}
        if scene.camera is not None and scene.camera.mounted is not None and {"distance", "lateral"} <= numbers.keys():
            foot = [numbers["distance"], -numbers["lateral"], 0.0]
            data["point3d"] = [{"name": "foot", "val": foot, "coordinate_system": _EGO}]
    data["num"] = [{"name": key, "val": round(value, 4)} for key, value in numbers.items()]
    data["boolean"] = [{"name": key, "val": value} for key, value in flags.items()]
    return data


def _box(name: str, box: list[float]) -> dict[str, Any]:
    x0, y0, x1, y1 = box
    middle = ((x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0)
    return {"name": name, "val": [round(value, 3) for value in middle]}


def event_element(event: Event) -> dict[str, Any]:
    """An event without its frame."""
    numbers = {"time": event.time, "seconds": event.seconds, **event.details}
    words = {"class": event.name, "place": event.place, "direction": event.direction}
    words["utc"] = "" if event.utc is None else as_iso(event.utc)
    said = {"num": [{"name": key, "val": round(v, 6)} for key, v in numbers.items() if v is not None and isfinite(v)]}
    said["text"] = [{"name": key, "val": word} for key, word in words.items() if word]
    where = f" {event.place}" if event.place else ""
    return {"name": f"{event.kind}{where} {event.name}", "type": event.kind, "event_data": said}


def camera_stream(name: str, camera: CameraModel | None) -> dict[str, Any]:
    """The film, with what is known of its camera."""
    stream: dict[str, Any] = {"type": "camera", "uri": name}
    if camera is not None:
        pinhole: dict[str, Any] = {"width_px": camera.width, "height_px": camera.height}
        rows = ((camera.fx, 0.0, camera.cx, 0.0), (0.0, camera.fy, camera.cy, 0.0), (0.0, 0.0, 1.0, 0.0))
        pinhole["camera_matrix"] = [value for row in rows for value in row]
        pinhole["distortion_coeffs"] = [*camera.distortion, *(0.0,) * (_LENS - len(camera.distortion))]
        stream["stream_properties"] = {"intrinsics_pinhole": pinhole}
        stream["description"] = f"pinhole, {camera.source or 'given'}"
    return stream


def coordinate_systems(camera: CameraModel | None) -> dict[str, Any]:
    """A vehicle's axes (ISO 8855: x ahead, y left, z up) on the road below the camera; the camera above, where that is known."""
    if camera is None or camera.mounted is None:
        return {_CAMERA: {"type": "sensor_cs", "parent": ""}}
    rows = ((0.0, 0.0, 1.0, 0.0), (-1.0, 0.0, 0.0, 0.0), (0.0, -1.0, 0.0, camera.mounted), (0.0, 0.0, 0.0, 1.0))
    pose = {"matrix4x4": [value for row in rows for value in row]}
    return {
        _EGO: {"type": "local_cs", "parent": "", "children": [_CAMERA]},
        _CAMERA: {"type": "sensor_cs", "parent": _EGO, "children": [], "pose_wrt_parent": pose},
    }
