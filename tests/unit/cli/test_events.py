"""`streamseg events` finds what happened by words and times as people write them."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streamseg.cli.events import read_when
from streamseg.cli.main import app
from streamseg.errors import ConfigError
from streamseg.live.keep.rows import KeptFile
from streamseg.live.keep.store import EventStore
from streamseg.live.news import Warned
from tests.unit.live.keep.test_store import happened

NOW = datetime(2026, 11, 30, 17, 5, 30)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-29", datetime(2026, 11, 29)),
        ("2026-11-29 08:15", datetime(2026, 11, 29, 8, 15)),
        ("2026-11-29T08:15:20", datetime(2026, 11, 29, 8, 15, 20)),
        ("8:15", datetime(2026, 11, 30, 8, 15)),
        ("today", datetime(2026, 11, 30)),
        ("Yesterday", datetime(2026, 11, 29)),
        ("2h", datetime(2026, 11, 30, 15, 5, 30)),
        ("1.5 h ago", datetime(2026, 11, 30, 15, 35, 30)),
        ("1d", datetime(2026, 11, 29, 17, 5, 30)),
    ],
)
def test_times_are_read(text: str, expected: datetime) -> None:
    assert read_when(text, NOW) == expected.timestamp()


@pytest.mark.parametrize("text", ["", "soon", "25:99", "2026-13-01", "-2h"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is no time; write 2026-11-30"):
        read_when(text, NOW)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    store = EventStore(tmp_path)
    store.add(happened("a", datetime(2026, 11, 30, 8).timestamp()))
    store.add(happened("b", datetime(2026, 11, 30, 9).timestamp(), kind="enter", place="yard"))
    store.add(Warned("door", "no data for 5.0 s", datetime(2026, 11, 30, 10).timestamp()))
    clip = tmp_path / "door" / "clips" / "2026-11-30_08-59-55+0000.mp4"
    clip.parent.mkdir(parents=True)
    clip.write_bytes(b"film")
    store.add_file(KeptFile(clip.relative_to(tmp_path).as_posix(), "door", True, 1, 2, 4), ["b"])
    store.add_gap("door", 1000.0, 1012.5, "no data for 5.0 s")
    store.close()
    return tmp_path


def run(folder: Path, *words: str) -> str:
    done = CliRunner().invoke(app, ["events", "--folder", str(folder), *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_events_are_shown_as_people_say_them_newest_last(folder: Path) -> None:
    lines = run(folder).splitlines()
    assert lines[0] == "2026-11-30 08:00:00  door          person#3 came"
    assert lines[1].startswith("2026-11-30 09:00:00  door          person#3 entered yard  ")
    assert lines[1].endswith("door/clips/2026-11-30_08-59-55+0000.mp4")
    assert lines[2] == "2026-11-30 10:00:00  door          no data for 5.0 s"
    assert run(folder, "person", "--since", "2026-11-30 08:30").count("\n") == 1
    assert run(folder, "elephant") == "nothing was found\n"
    assert [each["id"] for each in json.loads(run(folder, "yard", "--json"))] == ["b"]
    assert run(folder, "--gaps").endswith("door          nothing for 12.5 s: no data for 5.0 s\n")


def test_a_clip_is_protected_by_its_event(folder: Path) -> None:
    run(folder, "--protect", "b")
    assert EventStore(folder, there=True).files()[0].protected
    run(folder, "--unprotect", "b")
    assert not EventStore(folder, there=True).files()[0].protected


def test_a_folder_without_recordings_is_an_error_and_stays_as_it_is(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["events", "--folder", str(tmp_path)])
    assert "no recordings of streamseg are here" in str(done.exception)
    assert list(tmp_path.iterdir()) == []
