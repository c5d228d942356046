"""The book of a job: what is noted is there however the job ends, also of many films."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streamseg.errors import OutputError
from streamseg.jobs.manifest import LOG, NAME, Book, Entry, Manifest


def entries(count: int, status: str = "done") -> dict[str, Entry]:
    return {f"/films/ä {k}.mp4": Entry(f"{k}", status, "s", outputs=((f"/out/{k}.mp4", k),)) for k in range(count)}  # type: ignore[arg-type]


def test_what_was_put_is_read_while_it_is_held_and_after(tmp_path: Path) -> None:
    held = Manifest.hold(tmp_path, 300, ["run", "films", "-o", "out/"])
    for source, entry in entries(300).items():
        held.put(source, entry)
    while_held = Book.read(tmp_path)
    assert (tmp_path / LOG).stat().st_size > 0
    assert (tmp_path / LOG).read_bytes().count(b"\n") < 300 / 40
    held.close()
    assert Book.read(tmp_path) == while_held
    assert while_held.films == entries(300)
    assert (while_held.of, while_held.command, while_held.folder) == (300, ("run", "films", "-o", "out/"), str(Path.cwd()))
    assert not (tmp_path / LOG).exists()
    assert json.loads((tmp_path / NAME).read_text())["films"].keys() == entries(300).keys()


def test_a_log_that_is_cut_off_or_spoiled_costs_its_line(tmp_path: Path) -> None:
    held = Manifest.hold(tmp_path, 300)
    for put, (source, entry) in enumerate(entries(300).items(), 1):
        held.put(source, entry)
        lines = (tmp_path / LOG).read_bytes().splitlines(keepends=True)
        if put > 200 and len(lines) >= 2:
            break
    (tmp_path / LOG).write_bytes(b"".join(lines[:-1]) + b"no line\n" + lines[-1][: len(lines[-1]) // 2])
    assert len(Book.read(tmp_path).films) == put - 1
    held.close()


def test_another_job_waits_and_goes_on(tmp_path: Path) -> None:
    held = Manifest.hold(tmp_path, 2)
    held.put("/a", Entry("a", "running", "s"))
    with pytest.raises(OutputError):
        Manifest.hold(tmp_path, 2)
    held.close()
    again = Manifest.hold(tmp_path, 5)
    assert again.films == {"/a": Entry("a", "running", "s")}
    again.put("/b", Entry("b", "done", "s"))
    again.close()
    assert Book.read(tmp_path).of == 5


def test_a_command_with_a_password_is_not_kept(tmp_path: Path) -> None:
    held = Manifest.hold(tmp_path, 1, ["run", "films", "-o", "rtsp://me:secret@host/x"])
    held.put("/a", Entry("a", "done", "s"))
    held.close()
    assert "secret" not in (tmp_path / NAME).read_text()
    assert Book.read(tmp_path).command == ()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": "streamseg.job/9", "films": {}}', '{"schema": "streamseg.job/1"}'])
def test_a_damaged_book_says_so_and_is_begun_anew(text: str, tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(text)
    assert Book.read(tmp_path).damaged
    held = Manifest.hold(tmp_path, 1)
    assert held.damaged
    held.put("/a", Entry("a", "done", "s"))
    held.close()
    assert Book.read(tmp_path).films.keys() == {"/a"}
