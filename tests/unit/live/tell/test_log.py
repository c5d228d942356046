"""The log: JSON a line, of bounded size, without passwords, and never in anybody's way."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from streamseg.config.live_log import LogConfig
from streamseg.errors import ConfigError, OutputError
from streamseg.live.bus import Bus
from streamseg.live.news import CameraChanged, CameraRemoved, CameraStatus, Warned
from streamseg.live.tell.log import Log
from streamseg.live.tell.log_file import LogFile
from tests.unit.live.tell.news import happened, until


def written(folder: Path, tell: Any = None, **options: Any) -> list[str]:
    """The lines of a log of what a few cameras do."""
    bus = Bus()
    log = Log(LogConfig(file=str(folder / "logs" / "live.log"), **options), bus)
    log.start()
    try:
        status = CameraStatus("door", "rtsp://h/1", "watching", 1.0)
        bus.publish(CameraChanged(status))
        bus.publish(CameraChanged(status))
        bus.publish(happened())
        bus.publish(CameraChanged(CameraStatus("door", "rtsp://h/1", "lost", 2.0, reason="nothing came in time")))
        bus.publish(Warned("door", "cannot reach rtsp://user:secret@h/1\nwith a second line", 1796058300.0))
        bus.publish(CameraRemoved("door"))
        logging.getLogger("uvicorn.error").warning("a library says http://me:secret@h")
        if tell is not None:
            tell(bus)
    finally:
        log.stop(2.0)
    return (folder / "logs" / "live.log").read_text().splitlines()


def test_each_event_change_and_warning_is_an_object_of_its_own(tmp_path: Path) -> None:
    lines = sorted((json.loads(line) for line in written(tmp_path)), key=lambda line: line["what"] == "library")
    assert [(line["what"], line["level"]) for line in lines] == [
        ("camera", "info"),
        ("event", "info"),
        ("camera", "warning"),
        ("warning", "warning"),
        ("camera", "info"),
        ("library", "warning"),
    ]
    assert lines[1] == lines[1] | {"id": "door-000001", "camera": "door", "event": "cross", "class": "person", "place": "step"}
    assert lines[2]["reason"] == "nothing came in time"
    assert lines[3]["text"] == "cannot reach rtsp://***@h/1\nwith a second line"
    assert lines[3]["utc"] == "2026-11-30T17:05:00.000Z"
    assert lines[5]["library"] == "uvicorn.error"
    assert "secret" not in str(lines)


def test_for_people_a_record_is_one_line_too(tmp_path: Path) -> None:
    lines = written(tmp_path, format="text", level="warning")
    assert len(lines) == 3
    assert any("warning door: cannot reach rtsp://***@h/1\\nwith a second line" in line for line in lines)


def test_a_full_file_gives_way_and_only_so_many_are_kept(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "a.log", 100, 2)
    for number in range(40):
        file.write(f"{number:02d} {'x' * 21}")
    file.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.log", "a.log.1", "a.log.2"]
    text = "".join((tmp_path / name).read_text() for name in ("a.log.2", "a.log.1", "a.log"))
    assert [line[:2] for line in text.splitlines()] == [f"{number:02d}" for number in range(28, 40)]
    assert all((tmp_path / name).stat().st_size <= 100 for name in ("a.log.2", "a.log.1", "a.log"))


def test_no_older_file_is_kept_where_none_is_wanted(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "a.log", 50, 0)
    for number in range(10):
        file.write(f"{number} {'x' * 20}")
    file.close()
    assert [path.name for path in tmp_path.iterdir()] == ["a.log"]
    assert (tmp_path / "a.log").read_text().splitlines()[-1].startswith("9 ")


def test_a_file_that_logrotate_took_is_begun_anew(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "a.log", 0, 0)
    file.write("one")
    os.rename(tmp_path / "a.log", tmp_path / "old")
    file.write("two")
    file.close()
    assert ((tmp_path / "old").read_text(), (tmp_path / "a.log").read_text()) == ("one\n", "two\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_counted_and_stops_nothing(tmp_path: Path) -> None:
    bus = Bus()
    log = Log(LogConfig(file="/dev/full"), bus)
    log.start()
    try:
        for number in range(3):
            bus.publish(happened(number))
        until(lambda: log.lost == 3)
    finally:
        log.stop(2.0)


def test_what_cannot_be_written_is_said_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot make this folder"):
        Log(LogConfig(file=str(tmp_path / "file" / "live.log")), Bus()).start()
    with pytest.raises(ConfigError, match="no name of a file"):
        LogConfig(file="logs/")
