"""The sections `record:` of cameras.yaml and of each camera in it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from streamseg.config.section import Section
from streamseg.config.values import Names, Positive, Seconds, parse_bytes

__all__ = ["CameraRecord", "ClipOptions", "RecordConfig"]

Bytes = Annotated[int, BeforeValidator(parse_bytes), Field(ge=0)]
EventKind = Literal["count", "cross", "enter", "leave", "dwell"]


def _switch(value: Any) -> Any:
    """`on` is all defaults, `off` is none."""
    if value is True or value == "on":
        return {}
    return None if value is False or value == "off" else value


class ClipOptions(Section):
    """Clips of events."""

    before: Seconds = 5.0
    """Seconds that are to be seen before an event; a clip begins with the key frame before that."""
    after: Seconds = 5.0
    """Seconds after it."""
    events: tuple[EventKind, ...] = ("count", "cross", "enter", "leave", "dwell")
    """Kinds of events that make a clip."""
    classes: Names = None
    """Of these objects only; `all`."""
    longest: Positive = 300.0
    """Seconds after which a clip goes on in another file."""


class CameraRecord(Section):
    """What is recorded of one camera: its own packets, not encoded again."""

    continuous: bool = True
    """Record all the time."""
    clips: Annotated[ClipOptions | None, BeforeValidator(_switch)] = ClipOptions()
    """Record clips of events, too; `off`."""
    sound: bool = True
    segment: Positive = 300.0
    """Seconds of each file."""
    container: Literal["auto", "mp4", "mkv"] = "auto"
    """`auto`: mp4, or mkv where an mp4 cannot hold what the camera sends."""

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return _switch(value)


class RecordConfig(Section):
    """Where recordings go, and how long they stay."""

    folder: str = "recordings"
    days: Annotated[float, Field(gt=0)] | None = 7.0
    """Days that continuous recordings stay; none: no limit."""
    clip_days: Annotated[float, Field(gt=0)] | None = 30.0
    """Days that clips stay."""
    event_days: Annotated[float, Field(gt=0)] | None = 365.0
    """Days that events stay in the data base."""
    bytes: Bytes = 0
    """Bytes that all recordings may take; 0: no limit."""
    free: Bytes = 10**9
    """Bytes that stay free on the disk: before that the oldest recordings are deleted; 0: recording stands still on a full disk."""
