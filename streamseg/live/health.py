"""Whether all is well with the cameras: the one rule that `/health`, MQTT, systemd's watchdog and the terminal go by."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from streamseg.live.news import CameraStatus

__all__ = ["Health", "Progress", "health"]

_FAULTS = ("lost", "failed", "starting")
"""States in which somebody should look. A camera that a person paused, or that was removed, is no fault."""


@dataclass(frozen=True, slots=True)
class Health:
    """How all cameras are at one moment."""

    ok: bool
    """All that should be watched is watched."""
    cameras: dict[str, dict[str, Any]]
    """Of each its `state`, `since_utc` (seconds since 1970), `for_seconds` and, where there is one, its `reason`."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"ok": self.ok, "cameras": self.cameras}

    @property
    def summary(self) -> str:
        """In a line: "3 of 4 cameras watched; door is lost since 2026-11-30 17:05:00 UTC: nothing came in time"."""
        watched = sum(camera["state"] == "watching" for camera in self.cameras.values())
        total = len(self.cameras)
        parts = [f"{watched} of {total} camera{'s' if total != 1 else ''} watched"]
        for name, camera in self.cameras.items():
            if camera["state"] != "watching":
                reason = f": {camera['reason']}" if camera.get("reason") else ""
                since = datetime.fromtimestamp(camera["since_utc"], UTC)
                parts.append(f"{name} is {camera['state']} since {since:%Y-%m-%d %H:%M:%S} UTC{reason}")
        return "; ".join(parts)


def health(cameras: Sequence[CameraStatus], now: float) -> Health:
    """How these are; `now` in seconds since 1970."""
    return Health(not any(each.state in _FAULTS for each in cameras), {each.name: _told(each, now) for each in cameras})


def _told(camera: CameraStatus, now: float) -> dict[str, Any]:
    seconds = round(max(0.0, now - camera.since_utc), 1)
    told = {"state": camera.state, "since_utc": round(camera.since_utc, 3), "for_seconds": seconds}
    return told | ({"reason": camera.reason} if camera.reason else {})


class Progress:
    """Looks again and again, and tells which cameras say that they watch but stand still: a thread or an engine that hangs.

    Thread-safe.
    """

    def __init__(self, patience: float = 60.0) -> None:
        """patience: seconds without a frame captured or a frame processed."""
        self._patience = patience
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[tuple[float, int, int], float, float]] = {}

    def stuck(self, cameras: Sequence[CameraStatus], now: float) -> dict[str, float]:
        """Camera → seconds for which it stood still, of those beyond the patience; `now` of a clock that only goes forward."""
        with self._lock:
            self._seen = {each.name: self._look(each, now) for each in cameras if each.state == "watching"}
            # Frames that come and are all dropped before they are processed are no progress, either.
            still = {name: now - min(captured, processed) for name, (_, captured, processed) in self._seen.items()}
        return {name: seconds for name, seconds in still.items() if seconds > self._patience}

    def _look(self, camera: CameraStatus, now: float) -> tuple[tuple[float, int, int], float, float]:
        (since, captured, processed), captured_at, processed_at = self._seen.get(camera.name, ((-1.0, -1, -1), now, now))
        if camera.since_utc != since:
            captured_at = processed_at = now
        if camera.captured != captured:
            captured_at = now
        if camera.processed != processed:
            processed_at = now
        return (camera.since_utc, camera.captured, camera.processed), captured_at, processed_at
