"""Results of made-up drives, as `streamseg run -o NAME.jsonl` writes them, with known numbers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

NUMBERS = ("growth", "ttc", "distance", "lateral", "speed")


def head(source: str, **more: Any) -> dict[str, Any]:
    """The first line."""
    size = {"width": 96, "height": 64}
    return {"schema": "streamseg.results/1", "source": source, **size, "time_base": "1/25", "rate": "25", "classes": []} | more


def user(track: int, name: str = "car", **known: float) -> dict[str, Any]:
    """A road user of which some numbers are known."""
    numbers = {f"{n}{end}": known.get(f"{n}{end}") for n in NUMBERS for end in ("", "_std")}
    box = {"box": [10.0, 10.0, 30.0, 30.0], "in_path": known.get("in_path"), "alert": 0}
    return {"track_id": track, "class": name, "label": 0, "score": 0.9} | box | numbers


def frame(
    number: int, users: Iterable[Mapping[str, Any]] = (), fix: tuple[float, float] | None = None, **more: Any
) -> dict[str, Any]:
    """A frame, 25 a second."""
    scene: dict[str, Any] = {"lead": None, "own_speed": None, "hidden": []}
    if fix is not None:
        scene["fix"] = {"latitude": fix[0], "longitude": fix[1], "speed": 10.0}
    time = {"frame": number, "pts": number, "time": number / 25, "epoch": 0, "detected": True, "instances": list(users)}
    return time | {"width": 96, "height": 64, "scene": scene, "total": {}} | more


def event(kind: str, time: float, track: int = 1, **details: float) -> dict[str, Any]:
    """Something that happened."""
    return {"event": kind, "time": time, "frame": int(time * 25), "track_id": track, "class": "car", "details": details}


def write(path: Path, lines: Iterable[Mapping[str, Any]], tail: str = "") -> Path:
    """All as a file; `tail` is what comes after the last line."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + tail)
    return path
