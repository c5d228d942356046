"""Stands in for `Live` where its cameras do not matter: what it shows and tells is what a test says."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import av
import cv2
import numpy as np

from streamseg.composite import Rendered
from streamseg.core.result import Result
from streamseg.encode.stream import SharedStream
from streamseg.errors import ConfigError, scrub
from streamseg.errors.describe import did_you_mean
from streamseg.events import Line, Zone
from streamseg.live.bus import Bus
from streamseg.live.news import CameraChanged, CameraRemoved, CameraStatus

OPTIONS = (
    *(
        "source",
        "classes",
        "conf",
        "effects",
        "lines",
        "zones",
        "ignore",
        "privacy",
        "max_rate",
        "detect_every",
        "motion",
        "names",
    ),
    *("hide", "record"),
)


class FakeFeed:
    """Shows what `show` is given."""

    def __init__(self) -> None:
        self._result: Result | None = None
        self._picture: np.ndarray | None = None
        self._watchers: dict[object, Callable[[], None]] = {}
        self._lock = threading.Lock()
        self.encoded = 0
        """JPEGs made."""
        self.stream = SharedStream("fake")

    def show(self, picture: np.ndarray, result: Result | None = None) -> None:
        """A new picture, BGR uint8; streamed, too, where its result is given."""
        self._picture, self._result = picture, result
        if result is not None:
            self.stream.put(Rendered(result, av.VideoFrame.from_ndarray(picture, format="bgr24")))
        with self._lock:
            watchers = list(self._watchers.values())
        for told in watchers:
            told()

    @property
    def watchers(self) -> int:
        return len(self._watchers)

    def latest(self) -> Result | None:
        return self._result

    def snapshot(self, max_width: int = 1280) -> bytes:
        picture = self._picture
        if picture is None:
            return b""
        height, width = picture.shape[:2]
        if width > max_width:
            picture = cv2.resize(picture, (max_width, round(height * max_width / width)), interpolation=cv2.INTER_AREA)
        self.encoded += 1
        return bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 85])[1])

    def watch(self, told: Callable[[], None]) -> Callable[[], None]:
        key = object()
        with self._lock:
            self._watchers[key] = told

        def end() -> None:
            with self._lock:
                self._watchers.pop(key, None)

        return end


class FakeControl:
    """Keeps cameras' states and options, and tells what changes; refuses what `Live` would refuse in the same kind of words."""

    def __init__(self, cameras: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self.bus = Bus()
        self._states: dict[str, CameraStatus] = {}
        self._options: dict[str, dict[str, Any]] = {}
        self.feeds: dict[str, FakeFeed] = {}
        for name, options in (cameras or {}).items():
            self.add(name, options)

    def cameras(self) -> tuple[CameraStatus, ...]:
        return tuple(self._states.values())

    def feed(self, name: str) -> FakeFeed:
        self._known(name)
        return self.feeds[name]

    def add(self, name: str, options: Mapping[str, Any]) -> None:
        if name in self._states:
            raise ConfigError(f"there is a camera {name!r} already; give this one another name")
        self._checked(options)
        if not options.get("source"):
            raise ConfigError(f"{name}: a camera needs a source, as rtsp://10.0.0.7/main")
        self._options[name], self.feeds[name] = dict(options), FakeFeed()
        self._set(name, CameraStatus(name, scrub(str(options["source"])), "starting", time.time()))

    def remove(self, name: str) -> None:
        self._known(name)
        self.feeds[name].stream.close("the camera was removed")
        del self._states[name], self._options[name], self.feeds[name]
        self.bus.publish(CameraRemoved(name))

    def pause(self, name: str) -> None:
        self.say(name, state="paused", since_utc=time.time())

    def resume(self, name: str) -> None:
        self.say(name, state="starting", since_utc=time.time(), reason="")

    def options(self, name: str) -> dict[str, Any]:
        self._known(name)
        return dict(self._options[name]) | {"source": scrub(str(self._options[name]["source"]))}

    def change(self, name: str, options: Mapping[str, Any]) -> None:
        self._known(name)
        self._checked(options)
        both = self._options[name] | dict(options)
        self._options[name] = {key: value for key, value in both.items() if value is not None}
        self.bus.publish(CameraChanged(self._states[name]))

    def engine(self) -> dict[str, str]:
        return {"engine": "none", "device": "paper", "model": "made-up", "precision": "fp32", "size": "320x576"}

    def health(self) -> dict[str, Any]:
        away = {each.name: each.state for each in self._states.values() if each.state in ("lost", "failed")}
        cameras = {c.name: {"state": c.state, "since_utc": c.since_utc, "reason": c.reason} for c in self._states.values()}
        return {"ok": not away, "cameras": cameras}

    def say(self, name: str, **fields: Any) -> None:
        """The camera's status has other fields from now on."""
        self._known(name)
        self._set(name, replace(self._states[name], **fields))

    def _set(self, name: str, status: CameraStatus) -> None:
        self._states[name] = status
        self.bus.publish(CameraChanged(status))

    def _known(self, name: str) -> None:
        if name not in self._states:
            raise ConfigError(f"there is no camera {name!r}{did_you_mean(name, self._states)}")

    def _checked(self, options: Mapping[str, Any]) -> None:
        for key in options:
            if key not in OPTIONS:
                raise ConfigError(f"{key!r} is no option of a camera{did_you_mean(key, OPTIONS)}")
        if (conf := options.get("conf")) is not None and not (isinstance(conf, int | float) and 0 <= conf <= 1):
            raise ConfigError(f"conf: {conf!r} is not a number from 0 to 1")
        for kind, places in ((Line, options.get("lines") or {}), (Zone, options.get("zones") or {})):
            for place in places.values():
                points = place["points"] if isinstance(place, Mapping) else place
                kind(tuple((float(x), float(y)) for x, y in points))
