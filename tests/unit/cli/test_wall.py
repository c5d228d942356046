"""What the terminal says of many cameras."""

from __future__ import annotations

import io

from rich.console import Console

from streamseg.cli.wall import summary, table
from streamseg.live.news import CameraStatus

DOOR = CameraStatus(
    "door",
    "rtsp://10.0.0.7/main",
    "watching",
    since_utc=1000.0,
    width=1280,
    height=720,
    captured=200,
    processed=150,
    skipped={"preprocess: busy": 30, "preprocess: behind": 20},
    rate=9.5,
    latency_ms={"p50": 88.2, "p95": 121.0, "p99": 140.0},
    now={"person": 2, "car": 0},
    total={"person": 7},
)
YARD = CameraStatus("yard", "rtsp://10.0.0.8/main", "lost", since_utc=1000.0, reason="[red]nothing listens there")


def test_the_table_tells_who_is_gone_since_when_and_why():
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(table([DOOR, YARD], now=1130.0))
    lines = console.export_text().splitlines()
    door, yard = (next(line for line in lines if line.startswith(name)) for name in ("door", "yard"))
    assert door.split() == [
        "door",
        "watching",
        "1280x720",
        "9.5",
        "88",
        "/",
        "121",
        "ms",
        "25",
        "%",
        "2",
        "person",
        "7",
        "person",
    ]
    assert "lost for 2 min: [red]nothing listens there" in yard


def test_a_log_gets_a_line():
    assert summary([DOOR, YARD]) == "door 9.5 fps, 88 ms, 50 left out; yard lost"
    assert summary([]) == "no cameras"
