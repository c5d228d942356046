"""Events for the tests of what others are told."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from streamseg.core.types import Event
from streamseg.live.news import Happened


def happened(number: int = 1, camera: str = "door", **fields: Any) -> Happened:
    """A person who crosses the line `step` inwards."""
    event = Event("cross", 12.5, fields.pop("track", 7), fields.pop("name", "person"), place="step", direction="in")
    thumbnail = fields.pop("thumbnail", b"")
    return Happened(f"{camera}-{number:06d}", camera, 1796058300.25, event, 300, 2, (1.0, 2.0, 30.0, 60.5), thumbnail)


def until(true: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait for it, at most so long."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.005)
