"""What is found in frames as Rerun's columns: rows are gathered, and sent together, which takes a tenth of the time and place."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import rerun

from streamseg.core.palette import WHITE, color_of
from streamseg.encode.logs.marks import Mark
from streamseg.encode.logs.pictures import Coded
from streamseg.encode.logs.placing import Placed, camera_axes, quaternion
from streamseg.encode.logs.seen import Seen, shown
from streamseg.encode.logs.words import Happening

if TYPE_CHECKING:
    from streamseg.core.scene import CameraModel, Horizon, Scene

__all__ = ["CAMERA", "Columns"]

CAMERA = "world/camera"
_NUMBERS = ("ttc", "distance", "speed")
"""Of each track, as curves."""
_CURVE_SECONDS = 10
"""For which curves are gathered: there are many, and each piece of one has a head of two kilobytes."""
_FAINT = (200, 200, 200)
_PLANE = 3.0
"""Metres before the camera at which its picture is shown on the road."""


class Columns:
    """Rows of all entities, by entity."""

    def __init__(self, recording: Any, class_names: Sequence[str], *, absolute: bool, road: bool) -> None:
        """`absolute`: times are since 1970. `road`: there is a scene."""
        self._recording = recording
        self._kind = "timestamp" if absolute else "duration"
        self._unit = "datetime64[ns]" if absolute else "timedelta64[ns]"
        self._rows: dict[str, list[tuple[int, int, Any]]] = defaultdict(list)
        self._made: dict[str, Callable[[list[Any]], Any]] = {}
        self._curves: dict[str, list[tuple[int, int, Any]]] = defaultdict(list)
        self._curves_since: int | None = None
        self._classes: dict[str, None] = {}
        self._outlined = False
        self._known = set[str]()
        self._pinhole: CameraModel | None = None
        classes = [(i, name, color_of(0, i)) for i, name in enumerate(class_names)]
        recording.log("world", rerun.AnnotationContext(classes), static=True)
        if road:
            recording.log("world", rerun.ViewCoordinates.FLU, static=True)
        recording.log(f"{CAMERA}/video", rerun.VideoStream(codec=rerun.VideoCodec.H264), static=True)

    def _add(self, entity: str, time: int, number: int, row: Any, made: Callable[[list[Any]], Any]) -> None:
        self._rows[entity].append((time, number, row))
        self._made[entity] = made

    def picture(self, time: int, number: int, coded: Coded) -> None:
        """One encoded picture."""
        self._add(f"{CAMERA}/video", time, number, coded, _video)

    def seen(self, time: int, number: int, seen: Sequence[Seen], *, outlined: bool) -> None:
        """The instances of a frame."""
        self._add(f"{CAMERA}/boxes", time, number, seen, _boxes)
        if outlined:
            if not self._outlined:  # the boxes have labels; those of the classes would stand beside them
                self._outlined = True
                self._recording.log(f"{CAMERA}/outlines", rerun.LineStrips2D.from_fields(show_labels=False), static=True)
            self._add(f"{CAMERA}/outlines", time, number, seen, _outlines)

    def marks(self, time: int, number: int, marks: Sequence[Mark]) -> None:
        """What else is marked in the picture."""
        self._add(f"{CAMERA}/places", time, number, marks, _marks)

    def camera(self, time: int, number: int, camera: CameraModel, horizon: Horizon | None) -> None:
        """What camera it is, where, and how it looks."""
        if camera != self._pinhole:
            self._pinhole = camera
            self._recording.log(CAMERA, _pinhole(camera), static=True)
        place = ([0.0, 0.0, camera.mounted or 0.0], quaternion(camera_axes(camera, horizon)))
        self._add(CAMERA, time, number, place, _transforms)

    def road(self, time: int, number: int, placed: Sequence[Placed], scene: Scene) -> None:
        """Those of which it is known where they are, and where the vehicle is."""
        self._add("world/users", time, number, placed, _users)
        if scene.fix is not None:
            self._add("fix", time, number, (scene.fix.latitude, scene.fix.longitude), _fixes)
        if shown(scene.own_speed):
            self._curve("own/speed", time, number, scene.own_speed)

    def numbers(self, time: int, number: int, seen: Sequence[Seen], scene: Scene) -> None:
        """The numbers of each track that are known; one that is known no longer leaves a gap in its curve."""
        known = {}
        for i, each in enumerate(seen):
            for name in _NUMBERS if each.track else ():
                value = float(getattr(scene, name)[i])
                if shown(value):
                    known[f"{name}/{rerun.escape_entity_path_part(f'{each.name} {each.track}')}"] = value
        for entity in self._known - known.keys():
            self._curve(entity, time, number, math.nan)
        for entity, value in known.items():
            self._curve(entity, time, number, value)
        self._known = set(known)

    def counted(self, time: int, number: int, now: Mapping[str, int]) -> None:
        """How many are there of each class; none of one that was there before."""
        self._classes |= dict.fromkeys(now)
        for name in self._classes:
            self._curve(f"counts/{rerun.escape_entity_path_part(name)}", time, number, float(now.get(name, 0)))

    def _curve(self, entity: str, time: int, number: int, value: Any) -> None:
        self._curves[entity].append((time, number, value))
        self._curves_since = time if self._curves_since is None else self._curves_since

    def happened(self, time: int, number: int, event: Happening) -> None:
        """A line of the log."""
        self._add("events", time, number, event, _texts)

    def send(self, *, last: bool = False) -> None:
        """Give all rows to the recording; `last`: curves, too, which wait for more otherwise. Raises RuntimeError."""
        rows, self._rows = self._rows, defaultdict(list)
        for entity, of in rows.items():
            self._send(entity, of, self._made[entity])
        pictures = rows.get(f"{CAMERA}/video")
        waited = pictures[-1][0] - self._curves_since if pictures and self._curves_since is not None else 0
        if last or waited >= _CURVE_SECONDS * 1_000_000_000:
            curves, self._curves, self._curves_since = self._curves, defaultdict(list), None
            for entity, of in curves.items():
                self._send(entity, of, _scalars)

    def _send(self, entity: str, rows: list[tuple[int, int, Any]], made: Callable[[list[Any]], Any]) -> None:
        times = np.array([time for time, _, _ in rows], np.int64).astype(self._unit)
        index = [
            rerun.TimeColumn("time", **{self._kind: times}),
            rerun.TimeColumn("frame", sequence=np.array([number for _, number, _ in rows], np.int64)),
        ]
        self._recording.send_columns(entity, index, made([row for _, _, row in rows]), strict=True)


def _pinhole(camera: CameraModel) -> Any:
    """The camera. Rerun has no distortion."""
    return rerun.Pinhole(
        resolution=[camera.width, camera.height],
        focal_length=[camera.fx, camera.fy],
        principal_point=[camera.cx, camera.cy],
        camera_xyz=rerun.ViewCoordinates.RDF,
        image_plane_distance=_PLANE,
    )


def _video(rows: list[Coded]) -> Any:
    return rerun.VideoStream.columns(sample=[row.data for row in rows], is_keyframe=[row.key for row in rows])


def _boxes(rows: list[Sequence[Seen]]) -> Any:
    every = [seen for row in rows for seen in row]
    xyxy = np.array([seen.box for seen in every], np.float32).reshape(-1, 4)
    return rerun.Boxes2D.columns(
        centers=(xyxy[:, :2] + xyxy[:, 2:]) / 2,
        half_sizes=(xyxy[:, 2:] - xyxy[:, :2]) / 2,
        labels=[seen.text for seen in every],
        class_ids=np.array([seen.label for seen in every], np.uint16),
    ).partition([len(row) for row in rows])


def _outlines(rows: list[Sequence[Seen]]) -> Any:
    every = [(seen, line) for row in rows for seen in row for line in seen.outlines]
    return rerun.LineStrips2D.columns(
        strips=[np.concatenate([line, line[:1]]) for _, line in every],
        class_ids=np.array([seen.label for seen, _ in every], np.uint16),
    ).partition([sum(len(seen.outlines) for seen in row) for row in rows])


def _marks(rows: list[Sequence[Mark]]) -> Any:
    every = [mark for row in rows for mark in row]
    return rerun.LineStrips2D.columns(
        strips=[np.array([*mark.points, *(mark.points[:1] if mark.closed else ())], np.float32) for mark in every],
        colors=np.array([_FAINT if mark.faint else WHITE for mark in every], np.uint8).reshape(-1, 3),
        labels=[mark.name for mark in every],
    ).partition([len(row) for row in rows])


def _transforms(rows: list[Any]) -> Any:
    return rerun.Transform3D.columns(
        translation=np.array([place for place, _ in rows], np.float32),
        quaternion=np.array([turn for _, turn in rows], np.float32),
    )


def _users(rows: list[Sequence[Placed]]) -> Any:
    every = [placed for row in rows for placed in row]
    return rerun.Boxes3D.columns(
        centers=np.array([placed.center for placed in every], np.float32).reshape(-1, 3),
        half_sizes=np.array([placed.size for placed in every], np.float32).reshape(-1, 3) / 2,
        labels=[placed.seen.text for placed in every],
        class_ids=np.array([placed.seen.label for placed in every], np.uint16),
    ).partition([len(row) for row in rows])


def _fixes(rows: list[tuple[float, float]]) -> Any:
    return rerun.GeoPoints.columns(positions=np.array(rows, np.float64))


def _texts(rows: list[Happening]) -> Any:
    return rerun.TextLog.columns(text=[row.text for row in rows], level=["WARN" if row.warning else "INFO" for row in rows])


def _scalars(rows: list[float]) -> Any:
    return rerun.Scalars.columns(scalars=np.array(rows, np.float64))
