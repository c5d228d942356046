"""Foxglove's messages (docs.foxglove.dev/docs/sdk/schemas), as protobuf, of a frame's pictures and results.

Image annotations count from the outer corner of the top left pixel, as streamseg does. Things on the road are in the frame `ego`,
see `placing`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from foxglove_schemas_protobuf import (
    CameraCalibration_pb2,
    CompressedVideo_pb2,
    FrameTransform_pb2,
    ImageAnnotations_pb2,
    LocationFix_pb2,
    Log_pb2,
    PointsAnnotation_pb2,
    SceneEntityDeletion_pb2,
    SceneUpdate_pb2,
)
from google.protobuf.timestamp_pb2 import Timestamp

from streamseg.core.palette import BLACK, RGB, WHITE, text_color
from streamseg.encode.logs.marks import marks_in
from streamseg.encode.logs.placing import Placed, camera_axes, quaternion
from streamseg.encode.logs.seen import Seen, corners

if TYPE_CHECKING:
    from streamseg.core.result import Result
    from streamseg.core.scene import CameraModel, Fix, Horizon

__all__ = ["CAMERA", "EGO", "boxes", "calibration", "fix", "log", "outlines", "places", "road", "transform", "video"]

CAMERA, EGO = "camera", "ego"
"""The frames of reference."""
_FILLED = 0.25
"""Opacity of a mask."""
_LETTERS = 1 / 45
"""Height of the letters, as a share of the picture's."""
_FAINT: RGB = (200, 200, 200)
_LOOP, _STRIP = PointsAnnotation_pb2.PointsAnnotation.LINE_LOOP, PointsAnnotation_pb2.PointsAnnotation.LINE_STRIP
_KNOWN_DIAGONAL = LocationFix_pb2.LocationFix.APPROXIMATED


def _stamp(time: int) -> Timestamp:
    return Timestamp(seconds=time // 1_000_000_000, nanos=time % 1_000_000_000)


def _colour(of: RGB, alpha: float = 1.0) -> dict[str, float]:
    return {"r": of[0] / 255, "g": of[1] / 255, "b": of[2] / 255, "a": alpha}


def _pairs(facts: Mapping[str, str]) -> Any:
    return [{"key": key, "value": value} for key, value in facts.items()]


def video(data: bytes, time: int) -> Any:
    """One encoded picture."""
    return CompressedVideo_pb2.CompressedVideo(timestamp=_stamp(time), frame_id=CAMERA, data=data, format="h264")


def _line(
    stamp: Timestamp,
    points: Iterable[Sequence[float]],
    color: RGB,
    width: float,
    *,
    filled: float = 0.0,
    closed: bool = True,
    facts: Mapping[str, str] | None = None,
) -> Any:
    return {
        "timestamp": stamp,
        "type": _LOOP if closed else _STRIP,
        "points": [{"x": x, "y": y} for x, y in points],
        "outline_color": _colour(color),
        "fill_color": _colour(color, filled),
        "thickness": width,
        "metadata": _pairs(facts or {}),
    }


def _text(stamp: Timestamp, at: Sequence[float], text: str, color: RGB, size: float) -> Any:
    return {
        "timestamp": stamp,
        "position": {"x": at[0], "y": max(at[1], size)},
        "text": text,
        "font_size": size,
        "text_color": _colour(text_color(color)),
        "background_color": _colour(color, 0.8),
    }


def outlines(result: Result, seen: Sequence[Seen], time: int) -> Any:
    """Each instance's outline and label; the n-th line and text belong to the n-th instance, further parts of masks come after."""
    stamp, width, size = _stamp(time), _thickness(result), _letters(result)
    lines = [_line(stamp, s.outlines[0].tolist(), s.color, width, filled=_FILLED, facts=s.facts) for s in seen]
    lines += [
        _line(stamp, part.tolist(), s.color, width, filled=_FILLED, facts=s.facts) for s in seen for part in s.outlines[1:]
    ]
    texts = [_text(stamp, s.box[:2], s.text, s.color, size) for s in seen]
    return ImageAnnotations_pb2.ImageAnnotations(
        timestamp=stamp, points=lines, texts=texts, metadata=_pairs(_frame_facts(result))
    )


def boxes(result: Result, seen: Sequence[Seen], time: int) -> Any:
    """Each instance's box."""
    stamp, width = _stamp(time), _thickness(result)
    lines = [_line(stamp, corners(s.box).tolist(), s.color, width, facts=s.facts) for s in seen]
    return ImageAnnotations_pb2.ImageAnnotations(timestamp=stamp, points=lines)


def places(result: Result, time: int) -> Any:
    """What is marked in the picture beside the instances."""
    stamp, width, size = _stamp(time), _thickness(result), _letters(result)
    lines, texts = [], []
    for mark in marks_in(result):
        color, facts = _FAINT if mark.faint else WHITE, {"name": mark.name, **mark.facts}
        lines.append(_line(stamp, mark.points, color, width / (1 + mark.faint), closed=mark.closed, facts=facts))
        texts.append(_text(stamp, mark.points[0], mark.name, color, size))
    return ImageAnnotations_pb2.ImageAnnotations(timestamp=stamp, points=lines, texts=texts)


def _frame_facts(result: Result) -> dict[str, str]:
    frame = result.frame
    return {"frame": str(frame.index), "pts": str(frame.pts), "time_base": str(frame.time_base), "epoch": str(frame.epoch)}


def _thickness(result: Result) -> float:
    return max(1.0, result.frame.height / 360)


def _letters(result: Result) -> float:
    return max(10.0, result.frame.height * _LETTERS)


def calibration(camera: CameraModel, time: int) -> Any:
    """The camera, a pinhole; its distortion is OpenCV's, which others call plumb_bob."""
    k = [camera.fx, 0, camera.cx, 0, camera.fy, camera.cy, 0, 0, 1]
    p = [camera.fx, 0, camera.cx, 0, 0, camera.fy, camera.cy, 0, 0, 0, 1, 0]
    bent = [*camera.distortion, 0.0][:5] if camera.distortion else []
    return CameraCalibration_pb2.CameraCalibration(
        timestamp=_stamp(time),
        frame_id=CAMERA,
        width=camera.width,
        height=camera.height,
        distortion_model="plumb_bob" if bent else "",
        D=bent,
        K=k,
        R=np.eye(3).ravel().tolist(),
        P=p,
    )


def transform(camera: CameraModel, horizon: Horizon | None, time: int) -> Any:
    """Where the camera is on the vehicle, and how it looks."""
    x, y, z, w = quaternion(camera_axes(camera, horizon))
    return FrameTransform_pb2.FrameTransform(
        timestamp=_stamp(time),
        parent_frame_id=EGO,
        child_frame_id=CAMERA,
        translation={"x": 0, "y": 0, "z": camera.mounted or 0.0},  # type: ignore[arg-type]
        rotation={"x": x, "y": y, "z": z, "w": w},  # type: ignore[arg-type]
    )


def road(placed: Sequence[Placed], time: int) -> Any:
    """Everything of which it is known where it is, in place of what was before: a box, a label, and a bar of one deviation."""
    stamp, deletion = _stamp(time), SceneEntityDeletion_pb2.SceneEntityDeletion
    return SceneUpdate_pb2.SceneUpdate(
        deletions=[deletion(timestamp=stamp, type=deletion.ALL)],
        entities=[_entity(each, n, stamp) for n, each in enumerate(placed)],
    )


def _entity(placed: Placed, n: int, stamp: Timestamp) -> Any:
    seen, (x, y, z), (length, width, height) = placed.seen, placed.center, placed.size
    return {
        "timestamp": stamp,
        "frame_id": EGO,
        "id": str(seen.track) if seen.track else f"untracked {n}",
        "frame_locked": True,
        "metadata": _pairs(seen.facts | {"length": f"{length:.2f}", "width": f"{width:.2f}", "height": f"{height:.2f}"}),
        "cubes": [
            {
                "pose": _pose(x, y, z),
                "size": {"x": length, "y": width, "z": height},
                "color": _colour(seen.color, 0.6),
            }
        ],
        "lines": [
            {
                "type": 0,
                "pose": _pose(0, 0, 0),
                "thickness": 3.0,
                "scale_invariant": True,
                "points": [{"x": at, "y": y, "z": 0.05} for at in placed.near],
                "color": _colour(seen.color),
            }
        ],
        "texts": [
            {
                "pose": _pose(x, y, height + 0.4),
                "billboard": True,
                "font_size": 14.0,
                "scale_invariant": True,
                "color": _colour(BLACK),
                "text": seen.text,
            }
        ],
    }


def _pose(x: float, y: float, z: float) -> dict[str, Any]:
    return {"position": {"x": x, "y": y, "z": z}, "orientation": {"x": 0, "y": 0, "z": 0, "w": 1}}


def fix(of: Fix, time: int) -> Any:
    """The receiver's fix. Velocity is east, north and up."""
    told: dict[str, Any] = {}
    if of.accuracy is not None:
        variance = of.accuracy**2
        told = {"position_covariance": [variance, 0, 0, 0, variance, 0, 0, 0, 0], "position_covariance_type": _KNOWN_DIAGONAL}
    if of.heading is not None:
        told["heading"] = math.radians(of.heading)
        if of.speed is not None:
            turned = told["heading"]
            told["velocity"] = {"x": of.speed * math.sin(turned), "y": of.speed * math.cos(turned), "z": 0}
    return LocationFix_pb2.LocationFix(
        timestamp=_stamp(time), frame_id=EGO, latitude=of.latitude, longitude=of.longitude, altitude=of.altitude or 0.0, **told
    )


def log(message: str, time: int, source: str, *, warning: bool) -> Any:
    """A line of the log."""
    kind = Log_pb2.Log
    level = kind.WARNING if warning else kind.INFO
    return kind(timestamp=_stamp(time), level=level, message=message, name="streamseg", file=source)
