"""Kinds of output: what an installed package writes is chosen by name, like what streamseg writes itself."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from streamseg.config import parse_pipeline
from streamseg.encode import check_output, copies_tracks, is_results, open_sink
from streamseg.encode.kinds import ending_of, endings, kind_of
from streamseg.encode.video.containers import CONTAINERS
from streamseg.errors import ConfigError, OutputError, OutputExists
from streamseg.pipeline.outputs import plan
from streamseg.system.registry import SINKS
from tests.plugins import installed
from tests.unit.encode.helpers import INFO

SINK = '''
from streamseg.encode import FileSink, FormatSink, OutputKind

class Tally(FormatSink):
    """One line a frame: how many."""
    def _begin(self, first):
        self._file = open(self.path, "w")
    def _write(self, result):
        self._file.write(f"{len(result.instances)}\\n")
    def _finish(self):
        self._file.close()

class Radio(OutputKind):
    """Sends nothing anywhere."""
    newest = True
    def __init__(self, address):
        self.name, self.warnings = address, []
    @classmethod
    def make(cls, request):
        return cls(str(request.path))
    def open(self): ...
    def __call__(self, rendered): ...
    def close(self): ...
    def abort(self): ...
'''
POINTS = {"sink": {".tally.jsonl": "dull_a:Tally", "radio": "dull_a:Radio"}}


@pytest.fixture(autouse=True)
def dull(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path_factory.mktemp("site"), monkeypatch, POINTS, {"dull_a": SINK}, package="dull")


def test_the_longest_ending_counts(tmp_path: Path) -> None:
    assert ending_of("a.TALLY.jsonl") == ".tally.jsonl"
    assert type(open_sink(tmp_path / "a.tally.jsonl", INFO)).__name__ == "Tally"
    assert type(open_sink(tmp_path / "a.jsonl", INFO)).__name__ == "JsonlSink"
    assert is_results("a.tally.jsonl")
    assert [kind_of(f"a{suffix}").__name__ for suffix in CONTAINERS] == ["VideoSink"] * len(CONTAINERS)


def test_a_run_that_uses_no_plug_in_imports_none(tmp_path: Path) -> None:
    sys.modules.pop("dull_a", None)
    open_sink(tmp_path / "a.jsonl", INFO)
    assert copies_tracks("a.mp4")
    assert "dull_a" not in sys.modules


def test_an_address_of_a_plug_in_is_an_output() -> None:
    check_output("radio://tower/5", overwrite=False, source="in.mp4")
    assert open_sink("radio://tower/5", INFO).name == "radio://tower/5"
    (target,) = plan({}, ["radio://tower/5"])
    assert target.newest
    with pytest.raises(OutputError, match="cannot write to telegraph://"):
        check_output("telegraph://x", overwrite=False, source=None)


def test_results_of_a_plug_in_get_no_picture_and_are_not_overwritten(tmp_path: Path) -> None:
    first, second = plan({}, ["a.mp4", "b.tally.jsonl"])
    assert (bool(first.composite), second.name, second.composite) == (True, "results2", ())
    (tmp_path / "b.tally.jsonl").touch()
    with pytest.raises(OutputExists):
        check_output(tmp_path / "b.tally.jsonl", overwrite=False, source=None)


def test_an_unknown_ending_is_told_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"results \.jsonl .*, of plug-ins \.tally\.jsonl, .*or a live view"):
        open_sink(tmp_path / "a.json", INFO)


def test_a_file_may_name_the_class_where_it_is_trusted(tmp_path: Path) -> None:
    text = "outputs:\n  a:\n    path: '{out}'\n    use: dull_a:Tally\n"
    with pytest.raises(ConfigError, match=r"x\.yaml:4: outputs\.a\.use: 'dull_a:Tally' would run code"):
        parse_pipeline(text, "x.yaml")
    config = parse_pipeline(text, "x.yaml", trust=True)
    (target,) = plan(config.outputs, [str(tmp_path / "a.txt")])
    assert target.path == str(tmp_path / "a.txt")  # not a film in a folder
    sink = open_sink(target.path, INFO, use=target.use)
    assert type(sink).__name__ == "Tally"
    with pytest.raises(ConfigError, match="dull_a:SINK cannot be imported"):
        open_sink("a.txt", INFO, use="dull_a:SINK")
    with pytest.raises(
        ConfigError, match=r"os:getcwd is not a sink: it is not a class derived from streamseg\.encode\.OutputKind"
    ):
        open_sink("a.txt", INFO, use="os:getcwd")


def test_every_built_in_kind_can_be_imported() -> None:
    assert all(issubclass(SINKS.get(name), object) for name in SINKS.names())
    assert {".mp4", ".png", ".jsonl", ".coco.json"} <= set(endings())
