"""All is well or it is not, the same for everybody who asks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streamseg.live.health import Progress, health
from streamseg.live.news import CameraStatus, State

DOOR = CameraStatus("door", "rtsp://h", "watching", 100.0)


@pytest.mark.parametrize(
    ("state", "ok"),
    [("watching", True), ("paused", True), ("stopped", True), ("lost", False), ("failed", False), ("starting", False)],
)
def test_a_camera_that_should_be_seen_and_is_not_is_a_fault(state: State, ok: bool) -> None:
    found = health([DOOR, replace(DOOR, name="yard", state=state, reason="gone")], 107.25)
    assert found.ok is ok
    assert found.as_dict()["cameras"]["yard"] == {"state": state, "since_utc": 100.0, "for_seconds": 7.2, "reason": "gone"}


def test_the_summary_names_who_is_away_and_why() -> None:
    lost = replace(DOOR, name="yard", state="lost", reason="nothing came in time")
    expected = "1 of 2 cameras watched; yard is lost since 1970-01-01 00:01:40 UTC: nothing came in time"
    assert health([DOOR, lost], 112.0).summary == expected


def test_who_says_that_it_watches_but_stands_still_is_stuck() -> None:
    progress = Progress(patience=60)
    assert progress.stuck([DOOR], 0.0) == {}
    assert progress.stuck([DOOR], 59.0) == {}
    assert progress.stuck([DOOR], 61.0) == {"door": 61.0}
    # Frames that come but get no answer are no progress: the engine hangs.
    assert progress.stuck([replace(DOOR, captured=500)], 62.0) == {"door": 62.0}
    assert progress.stuck([replace(DOOR, captured=501, processed=1)], 63.0) == {}
    # A camera that is lost is tried again by a thread that lives.
    assert progress.stuck([replace(DOOR, state="lost")], 200.0) == {}
    # Back again: its patience begins anew.
    assert progress.stuck([replace(DOOR, since_utc=300.0)], 201.0) == {}
