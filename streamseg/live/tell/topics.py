"""Where things stand at a broker, and what is told of a camera there. docs/telling.md has the list for people.

BASE/status                     online or offline; the broker itself says offline when the connection is gone
BASE/CAMERA/available           online while pictures come
BASE/CAMERA/state               watching, lost, ...
BASE/CAMERA/status              all of it, as JSON
BASE/CAMERA/count/CLASS         objects in the newest frame        BASE/CAMERA/total/CLASS    objects counted so far
BASE/CAMERA/zone/ZONE           objects in it                      BASE/CAMERA/line/LINE/DIRECTION    crossings so far
BASE/CAMERA/events              each event, as JSON; the only one that is not retained, and the only one that must arrive
BASE/CAMERA/thumbnail           JPEG of the newest event's object
BASE/CAMERA/SETTING/state       what is so                         BASE/CAMERA/SETTING/set    what is asked for
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from streamseg.core.types import Activity
from streamseg.live.news import CameraStatus
from streamseg.live.tell.event_json import as_json, utc_text

__all__ = ["level", "of_camera", "status_json"]

_PLAIN = re.compile(r"[A-Za-z0-9_-]+")


def level(name: str) -> str:
    """A name as one level of a topic and as a part of Home Assistant's ids, which take letters, digits, _ and - alone.

    A name that had to be changed gets a few characters of its hash, so that `a.b` and `a_b` stay two.
    """
    if _PLAIN.fullmatch(name):
        return name
    ascii_only = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9_-]+", "_", ascii_only).strip("_")
    return f"{plain}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:6]}".lstrip("-")


def of_camera(status: CameraStatus, activity: Activity | None, known: Mapping[str, bytes]) -> dict[str, bytes]:
    """What is retained below BASE/CAMERA/: topic → payload. `known` is what was told before: a class that is gone counts 0."""
    told = {"available": "online" if status.state == "watching" else "offline", "state": status.state}
    counts = {topic: "0" for topic in known if topic.startswith("count/")}
    counts |= {f"count/{level(name)}": "0" for name in status.total}
    if status.state == "watching":
        counts |= {f"count/{level(name)}": str(number) for name, number in status.now.items()}
    told |= counts
    told |= {f"total/{level(name)}": str(number) for name, number in status.total.items()}
    if activity is not None:
        seen = status.state == "watching"
        told |= {
            f"zone/{level(zone)}": str(numbers.get("inside", 0) if seen else 0) for zone, numbers in activity.zones.items()
        }
        for line, directions in activity.lines.items():
            told |= {f"line/{level(line)}/{level(way)}": str(number) for way, number in directions.items()}
    return {topic: text.encode() for topic, text in told.items()}


def status_json(status: CameraStatus, activity: Activity | None) -> bytes:
    """All that is known of a camera, for who reads JSON."""
    data: dict[str, Any] = {
        "camera": status.name,
        "state": status.state,
        "since": utc_text(status.since_utc),
        "reason": status.reason,
        "width": status.width,
        "height": status.height,
        "rate": round(status.rate, 2),
        "latency_ms": {name: round(value, 1) for name, value in status.latency_ms.items()},
        "captured": status.captured,
        "processed": status.processed,
        "detected": status.detected,
        "gated": status.gated,
        "skipped": dict(status.skipped),
        "detect_every": status.detect_every,
        "reconnects": status.reconnects,
        "now": dict(status.now),
        "total": dict(status.total),
        "lines": {} if activity is None else activity.lines,
        "zones": {} if activity is None else activity.zones,
        "recording": status.recording,
    }
    return as_json(data)
