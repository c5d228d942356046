"""scene: what a camera that looks ahead from a vehicle tells of the road. The section of a pipeline file."""

from __future__ import annotations

import os
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from streamseg.config.alerts import parse_alerts
from streamseg.config.camera import CameraConfig, Metres, parse_camera
from streamseg.config.section import Section
from streamseg.config.values import Seconds, parse_off
from streamseg.core.seconds import parse_seconds
from streamseg.errors.describe import brief
from streamseg.scene.thresholds import Thresholds

__all__ = ["SceneConfig"]


def _telemetry(value: Any) -> str:
    """`auto`, `off`, or a path. ValueError for anything else."""
    if value is None or isinstance(value, bool):  # YAML's own off and on
        return "auto" if value else "off"
    text = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if isinstance(text, str) and text.strip():
        return text
    raise ValueError(f"{brief(value)} is not allowed; write auto, off, or the name of a log, as drive.gpx")


def _offset(value: Any) -> Any:
    """Seconds, as elsewhere, but also less than 0."""
    if isinstance(value, str) and value.strip().startswith("-"):
        return -parse_seconds(value.strip()[1:])
    return parse_seconds(value) if isinstance(value, str) else value


_AHEAD = ("width", "margin", "alerts", "near_miss", "hidden")
"""The settings of the way ahead."""


class SceneConfig(Section):
    """scene: time to collision, distances, the way ahead, and events (docs/drive.md); `scene: on` alone means `watch`."""

    watch: bool = False
    """Look at the scene: the source is a camera that looks ahead from a vehicle."""
    telemetry: Annotated[str, BeforeValidator(_telemetry)] = "auto"
    """Where the vehicle was: `auto`, what the film itself holds, else a log beside it under its name (docs/dashcam.md); the path of
    a log (GPX, NMEA, SRT); `off`. A path also means `watch`."""
    telemetry_offset: Annotated[float, Field(allow_inf_nan=False), BeforeValidator(_offset)] | None = None
    """Seconds by which the log begins after the film; below 0: before it. None: found from the times of both."""
    camera: Annotated[CameraConfig | None, BeforeValidator(parse_camera)] = None
    """What is known of the camera: a calibration file, or its fields, as `{fov: 78, height: 1.3}`. It also means `watch`."""
    camera_height: Metres | None = None
    """Metres of the camera above the road, in place of the camera's own `height`. It also means `watch`."""
    width: Annotated[float, Field(ge=0.5, le=5)] = 1.8
    """Metres: of the own vehicle. This field and those below also mean `watch`."""
    margin: Annotated[float, Field(ge=0, le=2)] = 0.25
    """Metres on each side of it that belong to the way ahead, too."""
    alerts: Annotated[Thresholds | None, BeforeValidator(parse_alerts)] = Thresholds()
    """A preset: `nhtsa`, `euro-ncap`, `early` or `late`; or seconds to collision by class, as {car: 2.4, person: 2}; `off`."""
    near_miss: Annotated[Seconds, BeforeValidator(parse_off), Field(le=10)] = 1.0
    """Seconds to collision: a closest approach below is told of as a near miss; `off`."""
    hidden: Annotated[Seconds, BeforeValidator(parse_off), Field(le=60)] = 4.0
    """Seconds for which a road user behind another is expected to come out again; `off`."""

    @model_validator(mode="before")
    @classmethod
    def _switch(cls, value: Any) -> Any:
        if isinstance(value, bool):
            return {"watch": value}
        if isinstance(value, dict) and (
            value.get("telemetry") not in (None, False, True, "auto", "off")
            or any(value.get(name) is not None for name in ("camera", "camera_height", *_AHEAD))
        ):
            return {"watch": True} | value
        return value
