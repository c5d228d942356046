"""What to install for what is missing: a command that works for the installation at hand."""

import json
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from streamseg.errors import MissingExtra, extras
from streamseg.errors.extras import how_to_install

ROOT = Path(__file__).parents[3]


class Installed:
    """A distribution whose direct_url.json (PEP 610) says that."""

    requires = ("numpy>=2", "onnxruntime>=1.18; extra == 'onnx'", 'torch>=2.4 ; extra == "train"', "onnx>=1; extra == 'train'")

    def __init__(self, url):
        self._url = url

    def read_text(self, name):
        assert name == "direct_url.json"
        return None if self._url is None else json.dumps({"url": self._url, "dir_info": {"editable": True}})


@pytest.fixture
def installed(monkeypatch):
    def as_if(url):
        monkeypatch.setattr(extras, "distribution", lambda _: Installed(url))

    return as_if


def test_of_a_checkout(installed, tmp_path, monkeypatch):
    place = tmp_path / "a folder"
    place.mkdir()
    installed(place.as_uri())
    assert how_to_install("onnx") == f"pip install '{place}[onnx]'"
    monkeypatch.chdir(place)
    assert how_to_install("onnx") == "pip install '.[onnx]'"


def test_of_a_checkout_that_is_gone_what_the_extra_asks_for(installed, tmp_path):
    installed((tmp_path / "gone").as_uri())
    assert how_to_install("onnx") == "pip install 'onnxruntime>=1.18'"
    assert how_to_install("train").startswith("pip install 'torch>=2.4' 'onnx>=1' (")


def test_of_an_index(installed):
    installed(None)
    assert how_to_install("onnx") == "pip install 'streamseg[onnx]'"


def test_of_a_checkout_that_is_only_on_the_path(monkeypatch):
    def none(_):
        raise PackageNotFoundError

    monkeypatch.setattr(extras, "distribution", none)
    monkeypatch.chdir("/")
    assert how_to_install("eval") == f"pip install '{ROOT}[eval]'"


def test_how_large_torch_is_is_said(installed):
    installed(None)
    assert "5 GB" in how_to_install("train")
    assert "CPU build" in str(MissingExtra("torch", "train"))


def test_no_page_and_no_message_names_an_index_that_has_no_streamseg():
    for path in [*(ROOT / "streamseg").rglob("*.py"), *(ROOT / "docs").glob("*.md"), ROOT / "README.md"]:
        assert path.name == "extras.py" or "'streamseg[" not in path.read_text(), path
