"""What may be changed of a camera from outside, by a text: the one table for the broker's `set` topics and Home Assistant."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from streamseg.errors import ConfigError
from streamseg.errors.describe import brief
from streamseg.live.control import Control
from streamseg.live.news import CameraStatus

__all__ = ["SETTINGS", "Setting"]

_TRUTHS = {"on": True, "true": True, "1": True, "yes": True, "off": False, "false": False, "0": False, "no": False}
UNKNOWN = "None"
"""What stands for the default, which only the model knows; Home Assistant takes it for unknown."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing that can be set."""

    name: str
    title: str
    platform: str
    """Of Home Assistant: switch, number or text."""
    read: Callable[[CameraStatus, Mapping[str, Any]], str]
    """What is so, as text."""
    write: Callable[[Control, str, str], None]
    """Makes it so for a camera. Raises ConfigError."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """More that Home Assistant is told of it."""


def _truth(text: str, name: str) -> bool:
    if (found := _TRUTHS.get(text.strip().lower())) is None:
        raise ConfigError(f"{name}: {brief(text)} is not allowed; write ON or OFF")
    return found


def _pause(control: Control, camera: str, text: str) -> None:
    (control.pause if _truth(text, "pause") else control.resume)(camera)


def _number(control: Control, camera: str, text: str) -> None:
    if text.strip().lower() in ("", "none", "default"):
        control.change(camera, {"conf": None})
        return
    if not re.fullmatch(r"\s*(\d+(\.\d*)?|\.\d+)\s*", text):
        raise ConfigError(f"conf: {brief(text)} is not a number from 0 to 1")
    control.change(camera, {"conf": float(text)})


def _classes(control: Control, camera: str, text: str) -> None:
    names = [name.strip() for name in text.split(",") if name.strip()]
    control.change(camera, {"classes": None if names in ([], ["all"]) else names})


def _every(control: Control, camera: str, text: str) -> None:
    plain = text.strip().lower()
    if plain != "auto" and not re.fullmatch(r"[1-9]\d?|100", plain):
        raise ConfigError(f"detect_every: {brief(text)} is not a number of frames from 1 to 100, nor auto")
    control.change(camera, {"detect_every": "auto" if plain == "auto" else int(plain)})


def _switch(option: str) -> Callable[[Control, str, str], None]:
    return lambda control, camera, text: control.change(camera, {option: _truth(text, option)})


def _record(control: Control, camera: str, text: str) -> None:
    before = control.options(camera).get("record")
    if _truth(text, "record"):
        if _on(before) == "OFF":
            control.change(camera, {"record": _RECORDS.get(control, {}).get(camera, True)})
        return
    if _on(before) == "ON":
        # What was recorded, and how, is what ON brings back.
        _RECORDS.setdefault(control, {})[camera] = before
        control.change(camera, {"record": False})


_RECORDS: WeakKeyDictionary[Control, dict[str, Any]] = WeakKeyDictionary()


def _classes_text(value: Any) -> str:
    return "all" if not value or value == "all" else value if isinstance(value, str) else ",".join(value)


def _on(value: Any) -> str:
    return "OFF" if value in (None, False, "off", "") else "ON"


SETTINGS: tuple[Setting, ...] = (
    Setting("pause", "Pause", "switch", lambda status, _: "ON" if status.state == "paused" else "OFF", _pause),
    Setting(
        "conf",
        "Confidence",
        "number",
        lambda _, options: UNKNOWN if options.get("conf") is None else f"{float(options['conf']):g}",
        _number,
        {"min": 0, "max": 1, "step": 0.01, "mode": "slider"},
    ),
    Setting("classes", "Classes", "text", lambda _, options: _classes_text(options.get("classes")), _classes, {"max": 255}),
    Setting(
        "detect_every",
        "Detect every",
        "text",
        lambda _, options: str(options.get("detect_every") or 1),
        _every,
        {"max": 4, "pattern": "auto|[1-9][0-9]?|100"},
    ),
    Setting("record", "Recording", "switch", lambda _, options: _on(options.get("record")), _record),
    Setting("motion", "Motion gate", "switch", lambda _, options: _on(options.get("motion")), _switch("motion")),
)
