"""What is told of cameras while they run: to the page, MQTT, webhooks, the event store, the terminal. No password is in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from streamseg.core.types import Event

__all__ = ["CameraChanged", "CameraRemoved", "CameraStatus", "Happened", "News", "State", "Warned"]

State = Literal["starting", "watching", "lost", "paused", "failed", "stopped"]
"""`starting`: not yet seen a picture. `watching`: pictures come. `lost`: away, tried again. `paused`: by a person. `failed`: what
waiting cannot mend, as a wrong password; tried again only when asked. `stopped`: removed, or the program ends."""


@dataclass(frozen=True, slots=True)
class CameraStatus:
    """How one camera is. Counts are since it was added; times `*_utc` are seconds since 1970, UTC."""

    name: str
    source: str
    """Its address, without credentials."""
    state: State
    since_utc: float
    """When that state began."""
    reason: str = ""
    """Why it is lost or failed."""
    width: int = 0
    height: int = 0
    captured: int = 0
    """Frames that the camera gave: `processed`, all of `skipped` and `under_way` together, at every moment."""
    processed: int = 0
    """Frames that got a result."""
    detected: int = 0
    """Of these, frames that the network looked at."""
    skipped: Mapping[str, int] = field(default_factory=dict)
    """Frames that got none, by "PLACE: REASON", as "decode: late"."""
    under_way: int = 0
    """Frames that are being worked on."""
    gated: int = 0
    """Processed frames that the motion gate kept off the network."""
    rate: float = 0.0
    """Processed frames a second, over the last two."""
    latency_ms: Mapping[str, float] = field(default_factory=dict)
    """From capture to the composited picture, over the last minute: p50, p95, p99."""
    detect_every: int = 1
    reconnects: int = 0
    epoch: int = 0
    now: Mapping[str, int] = field(default_factory=dict)
    """Objects in the newest frame, by class."""
    total: Mapping[str, int] = field(default_factory=dict)
    """Objects counted so far, by class."""
    queues: Mapping[str, int] = field(default_factory=dict)
    """Frames that wait before each stage."""
    pushes: Mapping[str, str] = field(default_factory=dict)
    """Media server, without credentials → `pushing`, or why not."""
    recording: str = ""
    """The file that is being written; empty: none."""


@dataclass(frozen=True, slots=True)
class CameraChanged:
    """A camera was added, or its state, reason or options changed."""

    status: CameraStatus


@dataclass(frozen=True, slots=True)
class CameraRemoved:
    """A camera is gone."""

    name: str


@dataclass(frozen=True, slots=True)
class Happened:
    """A camera's track did something."""

    id: str
    """The same for nothing else, ever; rises with time within a camera."""
    camera: str
    utc: float
    """When it happened: seconds since 1970, UTC."""
    event: Event
    frame: int
    """Index of the frame with which it became certain."""
    epoch: int
    box: tuple[float, float, float, float] | None = None
    """x0, y0, x1, y1 of the object in that frame, frame pixels; None where it is not seen there."""
    thumbnail: bytes = b""
    """JPEG of the object as it is shown (privacy effects applied); empty: none."""
    at: float = 0.0
    """When what happened came from the camera, monotonic seconds, for clips; 0: as `utc` says."""


@dataclass(frozen=True, slots=True)
class Warned:
    """Something a person should know; `camera` is empty where it concerns all."""

    camera: str
    text: str
    utc: float


News = CameraChanged | CameraRemoved | Happened | Warned
