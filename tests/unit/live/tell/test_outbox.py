"""Messages outlive the program, keep their order and their bound, and none is there twice."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from streamseg.errors import OutputError
from streamseg.live.tell.outbox import Outbox


def ids(outbox: Outbox) -> list[str]:
    return [letter.id for letter in outbox.first(100)]


def test_what_waits_is_there_after_a_restart_in_its_order(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "a.sqlite")
    for name in ("one", "two", "three"):
        outbox.put(name, name.encode(), "topic")
    outbox.done(outbox.first()[0])
    outbox.note("retained", "x")
    outbox.close()
    again = Outbox(tmp_path / "a.sqlite")
    assert [(letter.id, letter.body, letter.topic) for letter in again.first(9)] == [
        ("two", b"two", "topic"),
        ("three", b"three", "topic"),
    ]
    assert again.noted("retained") == "x"
    again.put("four", b"4")
    assert ids(again) == ["two", "three", "four"]
    assert [letter.id for letter in again.first(9, after=again.first()[0].number)] == ["three", "four"]
    again.close()


def test_what_was_put_is_there_after_a_kill(tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from streamseg.live.tell.outbox import Outbox\n"
        "box = Outbox(Path(sys.argv[1])); [box.put(str(n), b'x') for n in range(20)]; os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "a.sqlite")], timeout=60, check=False)
    assert done.returncode == -9
    outbox = Outbox(tmp_path / "a.sqlite")
    assert ids(outbox) == [str(n) for n in range(20)]
    outbox.close()


def test_the_oldest_make_room_and_are_counted(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "a.sqlite", max_bytes=100)
    for number in range(8):
        outbox.put(str(number), bytes(30))
    assert ids(outbox) == ["5", "6", "7"]
    assert (outbox.dropped, len(outbox)) == (5, 3)
    outbox.close()


def test_a_message_is_put_once(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "a.sqlite")
    for _ in range(2):
        outbox.put("one", b"1")
    assert ids(outbox) == ["one"]
    outbox.close()


def test_too_old_is_not_delivered(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "a.sqlite", max_age=1e-9)
    outbox.put("one", b"1")
    assert (ids(outbox), outbox.dropped) == ([], 1)
    outbox.close()


def test_two_programs_do_not_share_one(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "a.sqlite")
    with pytest.raises(OutputError, match="another run"):
        Outbox(tmp_path / "a.sqlite")
    outbox.close()
    Outbox(tmp_path / "a.sqlite").close()


def test_a_damaged_file_is_put_aside_and_said(tmp_path: Path) -> None:
    (tmp_path / "a.sqlite").write_bytes(b"no database at all" * 100)
    said: list[str] = []
    outbox = Outbox(tmp_path / "a.sqlite", on_message=said.append)
    outbox.put("one", b"1")
    assert ids(outbox) == ["one"]
    assert "damaged" in said[0]
    assert (tmp_path / "a.sqlite.damaged").exists()
    outbox.close()


def test_while_the_disk_is_full_messages_wait_in_memory(tmp_path: Path) -> None:
    """SQLite's own limit stands for the disk's: the error is the same, `database or disk is full`."""
    said: list[str] = []
    outbox = Outbox(tmp_path / "a.sqlite", on_message=said.append)
    outbox.put("one", b"1")
    pages = outbox._database.execute("PRAGMA page_count").fetchone()[0]
    outbox._database.execute(f"PRAGMA max_page_count = {pages}")
    outbox.put("two", bytes(100_000))
    outbox.put("three", b"3")
    assert ids(outbox) == ["one", "two", "three"]
    assert "full" in said[0]
    for letter in outbox.first(9)[:3]:
        outbox.done(letter)
    outbox._database.execute("PRAGMA max_page_count = 100000")
    outbox.put("four", b"4")
    assert ids(outbox) == ["four"]
    outbox.close()
    with sqlite3.connect(tmp_path / "a.sqlite") as database:
        assert database.execute("SELECT id FROM letters").fetchall() == [("four",)]
    database.close()
