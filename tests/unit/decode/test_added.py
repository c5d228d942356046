"""Sources of installed packages, by the scheme of their addresses, and of trusted references."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import pytest

from streamseg.config import parse_pipeline
from streamseg.decode import open_source
from streamseg.decode.address import parse_source
from streamseg.errors import ConfigError, SourceError, SourceNotFound
from streamseg.pipeline.opening import make_decoder
from streamseg.pipeline.probe import probe
from streamseg.system.registry import SOURCES, Reference
from tests.plugins import installed

SOURCE = '''
from fractions import Fraction
import numpy as np
from streamseg.decode import AddedSource

class Steps(AddedSource):
    """Pictures that grow brighter: steps://COUNT."""
    rate = Fraction(10)
    def __init__(self, address):
        self.count = int(address.rpartition("/")[2])
    def __len__(self):
        return self.count
    def __iter__(self):
        for n in range(self.count):
            yield np.full((32, 48), 10 * n, np.uint8)

class Timed(Steps):
    def __iter__(self):
        return ((picture, Fraction(n * n, 100)) for n, picture in enumerate(super().__iter__()))
'''


@pytest.fixture(autouse=True)
def package(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    points = {"source": {"steps": "shiny_source:Steps", "rtsp": "shiny_source:Steps"}}
    installed(tmp_path_factory.mktemp("site"), monkeypatch, points, {"shiny_source": SOURCE})


def test_an_address_of_its_scheme_is_read() -> None:
    with open_source("steps://4") as decoder:
        frames = list(decoder.frames())
        assert (decoder.info.name, decoder.info.rate, decoder.info.frame_count) == ("steps://4", 10, 4)
    assert [frame.pts * frame.time_base for frame in frames] == [Fraction(n, 10) for n in range(4)]
    assert decoder.warnings == []


def test_a_reference_reads_any_source_with_times_of_its_own() -> None:
    with open_source("whatever/3", use=Reference("shiny_source:Timed")) as decoder:
        assert [frame.time for frame in decoder.frames()] == [0.0, 0.01, 0.04]


def test_a_file_may_name_it_where_it_is_trusted() -> None:
    with pytest.raises(ConfigError, match=r"x\.yaml:1: decode\.use: 'shiny_source:Timed' would run code"):
        parse_pipeline("decode: {use: 'shiny_source:Timed'}", "x.yaml")
    config = parse_pipeline("decode: {use: 'shiny_source:Timed'}", "x.yaml", trust=True)
    decoder, _ = make_decoder("anything/2", config, None, None)
    with decoder:
        assert len(list(decoder.frames())) == 2


def test_what_is_not_used_is_not_imported(tmp_path: Path) -> None:
    sys.modules.pop("shiny_source", None)
    with pytest.raises(SourceNotFound):
        open_source(tmp_path / "none.mp4")
    with pytest.raises(SourceError, match=r"srt://, steps://, - for a pipe"):
        parse_source("step://4")
    assert "shiny_source" not in sys.modules


def test_an_address_that_it_cannot_read_is_named() -> None:
    with pytest.raises(SourceError, match=r"steps://many: Steps cannot read it: ValueError: invalid literal"):
        open_source("steps://many")


def test_probe_looks_at_it() -> None:
    told = probe("steps://5")
    assert (told["source"], told["video"]["width"], told["timing"]["frames"]) == ("steps://5", 48, 5)


def test_schemes_of_streamseg_stay_its_own() -> None:
    problems = {found.name: found.problem or "" for found in SOURCES.found()}
    assert problems["rtsp"].startswith("refused: streamseg itself has a source 'rtsp'")
