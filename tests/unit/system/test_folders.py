"""Locks in the user's folders: one at a time, also beside a streamseg of another version, and never through a link."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from streamseg.errors import OutputError
from streamseg.system import folders
from streamseg.system.folders import locked

fcntl = pytest.importorskip("fcntl")


def test_a_lock_that_flock_holds_is_waited_for_and_said(tmp_path):
    """Versions before locked by flock itself: both may run at once."""
    (tmp_path / ".locks").mkdir()
    held = os.open(tmp_path / ".locks" / "a", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(held, fcntl.LOCK_EX)
    said, asked, inside = list[str](), threading.Event(), threading.Event()

    def report(text: str) -> None:
        said.append(text)
        asked.set()

    def enter() -> None:
        with locked(tmp_path, "a", "somebody else is at it", report):
            inside.set()

    other = threading.Thread(target=enter)
    other.start()
    assert asked.wait(10)
    assert not inside.is_set(), "two had the lock"
    os.close(held)
    assert inside.wait(10)
    other.join(10)
    assert said == ["somebody else is at it"]


def test_two_threads_take_turns(tmp_path):
    log = list[str]()

    def enter() -> None:
        with locked(tmp_path, "a", "busy"):
            log.append("in")
            threading.Event().wait(0.02)
            log.append("out")

    threads = [threading.Thread(target=enter) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert log == ["in", "out"] * 3


def test_a_link_in_the_place_of_a_lock_is_not_followed(tmp_path, monkeypatch):
    monkeypatch.setenv("STREAMSEG_CACHE", str(tmp_path))
    victim = tmp_path / "victim"
    victim.write_text("kept")
    (tmp_path / ".locks").mkdir()
    (tmp_path / ".locks" / "a").symlink_to(victim)
    with pytest.raises(OutputError, match="STREAMSEG_CACHE"), locked(tmp_path, "a", "busy"):
        pass
    assert victim.read_text() == "kept"


def test_each_variable_moves_its_own_folder_only(tmp_path, monkeypatch):
    """As ever: engines do not follow STREAMSEG_CACHE."""
    monkeypatch.setenv("HOME", str(tmp_path))
    names = ("STREAMSEG_MODELS", "STREAMSEG_CACHE", "STREAMSEG_ENGINES", "XDG_DATA_HOME", "XDG_CACHE_HOME")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    usual = [tmp_path / ".local/share/streamseg/models", tmp_path / ".cache/streamseg", tmp_path / ".cache/streamseg/engines"]
    assert [folders.models_root(), folders.cache_root(), folders.engines_root()] == usual
    for i, name in enumerate(names[:3]):
        with monkeypatch.context() as patch:
            patch.setenv(name, "~/mine")
            wanted: list[Path] = [*usual]
            wanted[i] = tmp_path / "mine"
            assert [folders.models_root(), folders.cache_root(), folders.engines_root()] == wanted
