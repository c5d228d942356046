"""Events and warnings are found again by words, time, camera and kind, after a kill too, and whoever else reads the data base."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from streamseg.core.types import Event
from streamseg.errors import OutputError
from streamseg.live.keep import store as store_module
from streamseg.live.keep.rows import KeptFile
from streamseg.live.keep.store import EventStore
from streamseg.live.news import Happened, Warned


def happened(
    id: str, utc: float = 100.0, camera: str = "door", kind: str = "count", name: str = "person", **more: object
) -> Happened:
    event = Event(kind, 0.0, 3, name, **more)  # type: ignore[arg-type]
    return Happened(id, camera, utc, event, 7, 1, (1.0, 2.0, 30.5, 40.0), b"\xff\xd8jpeg")


@pytest.fixture
def store(tmp_path: Path) -> EventStore:
    made = EventStore(tmp_path)
    made.add(happened("a", 100))
    made.add(happened("b", 200, kind="enter", place="front_yard"))
    made.add(happened("c", 300, camera="street", kind="cross", name="car", place="gate", direction="left_to_right"))
    made.add(happened("d", 400, camera="street", kind="leave", name="bicycle", place="Überweg", seconds=12.5))
    made.add(Warned("door", "no data for 5.0 s; reconnecting", 500.0))
    return made


def ids(found: list) -> list[str]:
    return [each.id for each in found]


SEARCHES = [
    ("", "dcba"),
    ("person", "ba"),
    ("pers", "ba"),
    ("PERSON entered yard", "b"),
    ("car left_to_right", "c"),
    ("gate", "c"),
    ("street", "dc"),
    ("uberweg", "d"),
    ("person 3", "ba"),
    ("person#3", "ba"),
    ("dog", ""),
    ('person OR "car', ""),
    ("NOT person) *", ""),
    ("*", "dcba"),
]


def test_words_are_found(store: EventStore) -> None:
    for text, expected in SEARCHES:
        found = [id for id in ids(store.search(text)) if len(id) == 1]
        assert "".join(found) == expected, text


def test_time_camera_kind_and_number_limit_what_is_found(store: EventStore) -> None:
    assert ids(store.search(since=150, until=300)) == ["c", "b"]
    assert ids(store.search(camera="street")) == ["d", "c"]
    assert ids(store.search(kind="enter")) == ["b"]
    assert ids(store.search("person", since=150)) == ["b"]
    assert ids(store.search(kind="warning", limit=1)) == ["warning-door-500.000000"]
    assert len(store.search(limit=2)) == 2


def test_an_event_comes_back_as_it_was(store: EventStore) -> None:
    (found,) = store.search("bicycle")
    assert (found.camera, found.utc, found.kind, found.name, found.track_id) == ("street", 400.0, "leave", "bicycle", 3)
    assert (found.place, found.seconds, found.frame, found.epoch) == ("Überweg", 12.5, 7, 1)
    assert found.box == (1.0, 2.0, 30.5, 40.0)
    assert found.has_thumbnail
    assert store.thumbnail("d") == b"\xff\xd8jpeg"
    assert store.thumbnail("nobody") == b""
    (warned,) = store.search("reconnecting")
    assert (warned.kind, warned.text) == ("warning", "no data for 5.0 s; reconnecting")


def test_nothing_is_kept_twice(store: EventStore) -> None:
    store.add(happened("a", 999))
    assert ids(store.search("person count")) == ["a"]
    assert store.search("person count")[0].utc == 100


def test_a_clip_is_told_with_its_events(store: EventStore) -> None:
    store.add_file(KeptFile("door/clips/x.mp4", "door", True, 95, 105, 10), ["a"])
    assert store.search("count")[0].clip == "door/clips/x.mp4"
    store.link(KeptFile("door/clips/y.mp4", "door", True, 50, 250, 10))
    assert [(each.id, each.clip) for each in store.search(camera="door")][1:] == [
        ("b", "door/clips/y.mp4"),
        ("a", "door/clips/x.mp4"),
    ]
    store.forget_file("door/clips/x.mp4")
    assert store.search("count")[0].clip == ""


def test_old_events_go_and_their_words_too(store: EventStore) -> None:
    store.forget_events(250)
    assert ids(store.search()) == ["warning-door-500.000000", "d", "c"]
    assert store.search("person") == []


def test_another_program_that_locks_it_delays_and_loses_nothing(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(store_module, "_PATIENCE", 0.05)
    mine = EventStore(store.folder, said.append)
    other = sqlite3.connect(store.path)
    other.execute("BEGIN IMMEDIATE")
    mine.add(happened("e", 600))
    mine.add(happened("f", 700))
    assert ids(mine.search(since=600)) == []
    other.rollback()
    assert mine.flush()
    assert ids(mine.search(since=600)) == ["f", "e"]
    assert len(said) == 2
    assert "database is locked" in said[0]
    assert said[1] == "the data base of events is written again"


def test_a_damaged_data_base_is_set_aside_and_a_new_one_begun(store: EventStore) -> None:
    store.close()
    store.path.write_bytes(b"not a data base" * 1000)
    said: list[str] = []
    again = EventStore(store.folder, said.append)
    again.add(happened("e", 600))
    assert ids(again.search()) == ["e"]
    assert "was damaged" in said[0]
    assert len(list(store.folder.glob("events.db.damaged-*"))) == 1


def test_one_of_a_newer_version_is_refused(store: EventStore) -> None:
    store.close()
    with sqlite3.connect(store.path) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(OutputError, match="newer streamseg"):
        EventStore(store.folder)


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot make this folder"):
        EventStore(tmp_path / "file")


def test_what_was_added_is_there_after_a_kill(tmp_path: Path) -> None:
    script = f"""
import os, signal
from streamseg.live.keep.store import EventStore
from tests.unit.live.keep.test_store import happened
from pathlib import Path
store = EventStore(Path({str(tmp_path)!r}))
for number in range(20):
    store.add(happened(f"e{{number}}", 100.0 + number))
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[4], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(EventStore(tmp_path).search("person")) == 20
