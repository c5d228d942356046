"""The sections `record:` of cameras.yaml and of each camera in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, TypeAdapter

from streamseg.config.section import Section
from streamseg.config.values import Names, Positive, Seconds, parse_bytes
from streamseg.core.types import EVENT_KINDS, EventKind
from streamseg.errors import ConfigError

__all__ = ["CameraRecord", "ClipOptions", "Record", "RecordConfig", "is_private", "record_of"]

Bytes = Annotated[int, BeforeValidator(parse_bytes), Field(ge=0)]


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
    events: tuple[EventKind, ...] = tuple(kind for kind in EVENT_KINDS if kind not in ("hidden", "reappear"))
    """Kinds of events that make a clip."""
    classes: Names = None
    """Of these objects only; `all`."""
    longest: Positive = 300.0
    """Seconds after which a clip goes on in another file."""


class CameraRecord(Section):
    """What is recorded of one camera."""

    what: Literal["auto", "camera", "shown"] = "auto"
    """`camera`: its own packets; `shown`: the picture with its effects, encoded once for viewers and this; `auto`: `shown` where
    `privacy` covers something, else `camera`."""
    continuous: bool = True
    """Record all the time."""
    clips: Annotated[ClipOptions | None, BeforeValidator(_switch)] = ClipOptions()
    """Record clips of events, too; `off`."""
    sound: bool = True
    segment: Positive = 300.0
    """Seconds of each file."""
    container: Literal["auto", "mp4", "mkv"] = "auto"
    """`auto`: mp4, or mkv where an mp4 cannot hold what the camera sends."""


Record = Annotated[CameraRecord | None, BeforeValidator(_switch)]
"""`record: on`, `record: off`, or what to record."""


def is_private(privacy: Any) -> bool:
    """Whether an option `privacy` covers something."""
    if isinstance(privacy, Mapping):
        return bool(privacy) and is_private(privacy.get("classes", True))
    return privacy not in (None, False, "off", "", (), [])


def record_of(camera: str, options: Mapping[str, Any], *, private: bool = False) -> CameraRecord | None:
    """What is recorded of a camera with these options, its `what` decided; None: nothing. `private`: its pipeline covers something.

    Raises ConfigError where its own packets would show what `privacy` covers.
    """
    record = TypeAdapter(Record).validate_python(options.get("record"))
    if record is None:
        return None
    private = private or is_private(options.get("privacy"))
    if private and record.what == "camera":
        raise ConfigError(
            f"camera {camera}: record.what is camera, which keeps all that the camera sees, and privacy covers some of it; "
            "write record: {what: shown}, or leave one of the two out"
        )
    what = "camera" if record.what == "auto" and not private else "shown" if record.what == "auto" else record.what
    return record.model_copy(update={"what": what})


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
