"""Reads a film's results (`.jsonl`), line by line, into a summary: memory grows with its tracks, not with its length."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from streamseg.errors import SourceError
from streamseg.report.summary import Approach, Box, FilmSummary, Happening, Place

__all__ = ["is_results", "read_film"]

_SCHEMA = "streamseg.results/1"
_CALM = 5
"""Values of which the median counts as one: the least of many noisy values would be an outlier."""
_KEPT = 50
"""Frames for which boxes are remembered: an event is told a moment after it happened."""


def is_results(path: Path) -> bool:
    """Whether a file's first line says that it holds a film's results. False also where it cannot be read."""
    try:
        with path.open("rb") as file:
            head = json.loads(file.readline(1 << 20))
    except (OSError, ValueError):
        return False
    return isinstance(head, dict) and head.get("schema") == _SCHEMA


def read_film(path: Path) -> FilmSummary:
    """The summary of one file of results. Raises SourceError where it cannot be read or is none."""
    if not is_results(path):
        raise SourceError(f"{path}: these are no results of a film; they begin with a line that says {_SCHEMA}")
    reader = _Reader(path)
    try:
        with path.open("rb") as file:
            reader.head(json.loads(file.readline()))
            for line in file:
                reader.line(line)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from error
    return reader.film


class _Reader:
    def __init__(self, path: Path) -> None:
        self.film = FilmSummary(path, path.stem)
        self._boxes: deque[tuple[float, dict[int, Box]]] = deque(maxlen=_KEPT)
        self._lately: dict[int, tuple[deque[_Value], deque[_Value]]] = {}
        """Of each track: its last distances, and times to collision."""
        self._epoch: int | None = None

    def head(self, data: Mapping[str, Any]) -> None:
        film = self.film
        film.name = str(data.get("source") or film.name)
        film.width, film.height, film.utc = int(data.get("width") or 0), int(data.get("height") or 0), data.get("utc")

    def line(self, text: bytes) -> None:
        try:
            data = json.loads(text)
            if "event" in data:
                self._event(data)
            else:
                self._frame(data)
        except (ValueError, KeyError, TypeError, AttributeError):
            if text.endswith(b"\n"):
                self.film.nonsense += 1
            else:
                self.film.cut = True

    def _frame(self, data: Mapping[str, Any]) -> None:
        film, time = self.film, float(data["time"])
        instances = data["instances"]
        boxes = {int(each["track_id"]): _box(each["box"]) for each in instances if each["track_id"]}
        if not film.frames:
            film.began, film.from_start = time, not data.get("frame")
        elif data.get("epoch", 0) != self._epoch:
            film.breaks.append((film.ended, time))
            self._lately.clear()
        self._epoch = data.get("epoch", 0)
        film.frames, film.ended = film.frames + 1, time
        film.carried += not data.get("detected", True)
        film.counts = data.get("total", film.counts)
        self._boxes.append((time, boxes))
        scene = data.get("scene")
        film.watched |= scene is not None
        if scene is not None:
            self._place(time, scene.get("fix"))
        for each in instances:
            if each["track_id"]:
                self._instance(time, each)
        if len(self._lately) > 4 * len(boxes) + 100:
            self._lately = {track: values for track, values in self._lately.items() if track in boxes}

    def _place(self, time: float, fix: Mapping[str, Any] | None) -> None:
        way = self.film.way
        if fix is not None and (not way or time - way[-1].time >= 1):
            way.append(Place(time, float(fix["latitude"]), float(fix["longitude"]), fix.get("speed")))

    def _instance(self, time: float, data: Mapping[str, Any]) -> None:
        film, track = self.film, int(data["track_id"])
        known = film.approaches.get(track)
        if known is None:
            known = film.approaches[track] = Approach(track, str(data["class"]), time, time)
        known.name, known.last, known.frames = str(data["class"]), time, known.frames + 1
        if data.get("growth") is not None:
            known.judged += 1
        distances, times = self._lately.setdefault(track, (deque(maxlen=_CALM), deque(maxlen=_CALM)))
        in_path = (data.get("in_path") or 0.0) > 0.5
        if data.get("distance") is not None:
            film.metres = True
            distances.append((float(data["distance"]), float(data.get("distance_std") or 0.0)))
            value, std = _calm(distances)
            if len(distances) == _CALM and (known.distance is None or value < known.distance):
                known.distance, known.distance_std, known.distance_at = value, std, time
                known.in_path = known.in_path if known.ttc is not None else in_path
        if data.get("ttc") is None:
            times.clear()
            return
        times.append((float(data["ttc"]), float(data.get("ttc_std") or 0.0)))
        value, std = _calm(times)
        if len(times) == _CALM and (known.ttc is None or value < known.ttc):
            known.ttc, known.ttc_std, known.ttc_at, known.in_path = value, std, time, in_path

    def _event(self, data: Mapping[str, Any]) -> None:
        kind, time, track = str(data["event"]), float(data["time"]), int(data["track_id"])
        if kind == "count":
            return  # the sums say it
        near = [(abs(at - time), boxes[track]) for at, boxes in self._boxes if track in boxes]
        known = self.film.approaches.get(track)
        details = {str(name): float(value) for name, value in (data.get("details") or {}).items()}
        box = min(near)[1] if near else None
        soonest = details.get("ttc")
        if known is not None and soonest is not None and known.ttc is None:
            known.ttc, known.ttc_std, known.ttc_at, known.in_path = soonest, details.get("ttc_std", 0.0), time, True
        self.film.happenings.append(
            Happening(kind, time, track, str(data["class"]), details, str(data.get("place") or ""), box)
        )


_Value = tuple[float, float]
"""And its standard deviation."""


def _calm(values: deque[_Value]) -> _Value:
    """The median, and that of the deviations: errors of neighbouring frames are much the same, so that it is no smaller."""
    return median(value for value, _ in values), median(std for _, std in values)


def _box(values: Any) -> Box:
    x0, y0, x1, y1 = map(float, values)
    return x0, y0, x1, y1
