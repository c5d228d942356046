"""A file of cameras that is emptied, moved away, put back, or edited where it counts later."""

from __future__ import annotations

import pytest

from streamseg.errors import ConfigError
from streamseg.live.config import load_live
from streamseg.live.reload import Edit, Edited, sections
from tests.unit.live.fakes import FakeControl

CAMERAS = "cameras: {door: 0}\n"


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "cameras.yaml"
    path.write_text(CAMERAS)
    return path


@pytest.mark.parametrize("text", ["", "\n# nothing\n", "cameras:\n", "cameras: {}\n", "defaults: {conf: 0.4}\n"])
def test_a_file_without_cameras_is_an_error_that_says_what_to_do(path, text):
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"cameras\.yaml: there are no cameras in it; name one or more .*cameras: \{door: "):
        load_live(path)


def test_a_file_that_is_moved_away_is_missed_once_and_taken_up_when_it_is_back(path):
    edited = Edited(path)
    elsewhere = path.with_suffix(".bak")
    assert edited.look() == "as it was"
    path.rename(elsewhere)
    assert edited.look() == "as it was", "as an editor does for a moment"
    assert [edited.look() for _ in range(3)] == ["gone", "as it was", "as it was"]
    elsewhere.rename(path)
    assert [edited.look() for _ in range(3)] == ["as it was", "edited", "as it was"]
    path.rename(elsewhere)
    path.write_text("cameras: {yard: 0, door: 1}\n")
    assert [edited.look() for _ in range(3)] == ["as it was", "edited", "as it was"]


def test_a_file_that_may_not_be_read_is_gone(path, monkeypatch):
    edited = Edited(path)
    monkeypatch.setattr("os.access", lambda *_: False)
    assert [edited.look() for _ in range(3)] == ["as it was", "gone", "as it was"]
    monkeypatch.undo()
    assert [edited.look() for _ in range(3)] == ["as it was", "edited", "as it was"]


def others(path, first, *texts):
    """What the last edit says of the sections, of those that were there one after the other."""
    path.write_text(CAMERAS + first)
    running = sections(before := load_live(path))
    for text in texts:
        path.write_text(CAMERAS + text)
        edit = Edit.of(FakeControl(), before, before := load_live(path), running)
    return edit.apply(FakeControl())


def test_what_is_put_back_differs_from_nothing_that_runs(path):
    first = "log: {file: a.jsonl}\nmetrics: {port: 9}\npage: 8081\n"
    assert others(path, first, "", first) == "nothing has changed"
    assert others(path, first, "", first.replace("8081", "8082")) == "page counts from the next start on"
    assert others(path, first, "") == "log, metrics and page count from the next start on"
    assert others(path, first, "page: {port: 8081}\nmetrics: {port: 9}\nlog: {file: a.jsonl}\n") == "nothing has changed"
    assert others(path, "", "page: off\n") == "page counts from the next start on"
