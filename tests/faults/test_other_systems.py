"""Editors sit at macOS and Windows: nothing on the main path wants what only Linux, or only POSIX, has.

`make lint` asks mypy the same of every line, by what typeshed knows of Windows. Those systems themselves were not to be had.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from streamseg.decode import spool
from streamseg.decode.address import parse_source
from streamseg.errors import SourceNotFound
from tests import clips, graphs
from tests.clips import plane_array, read_index
from tests.pipeline.conftest import BOX

ROOT = Path(__file__).parents[2]


def test_a_run_without_what_only_posix_has(tmp_path):
    film = clips.cfr(tmp_path / "a.mp4", 4)
    model = graphs.constant_model(tmp_path / "known.onnx", boxes=(BOX,), scores=(0.9,), labels=(0,), size=(64, 96))
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.bare", film, model, tmp_path],
        cwd=ROOT,
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[0]) > 150, "the modules were not found"
    assert len(clips.decoded(tmp_path / "seen.mp4")) == 4
    assert len((tmp_path / "seen.jsonl").read_text().splitlines()) == 5
    assert len(list((tmp_path / "stills").glob("*.png"))) == 4


def test_a_film_through_a_pipe_where_nothing_open_has_a_name(tmp_path, monkeypatch):
    """As on Windows: the temporary file has a name, and is gone with the spool; a pipe cannot be asked whether it has something."""
    film = clips.cfr(tmp_path / "a.mp4", 4).read_bytes()
    places = tmp_path / "temporary"
    places.mkdir()
    monkeypatch.setattr(spool.tempfile, "tempdir", str(places))
    monkeypatch.setattr(spool, "_DESCRIPTORS", tmp_path / "none")
    monkeypatch.delattr(select, "poll")
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stdin, os.fdopen(writing, "wb") as pipe:
        pipe.write(film)
        pipe.close()
        monkeypatch.setattr(sys, "stdin", stdin)
        kept = spool.spooled(parse_source("-"), 1 << 20, 5.0, lambda: False)
        assert kept is not None
        (there,) = places.iterdir()
        assert kept.address.url == f"file:{there}"
        pictures = clips.decoded(there)
        kept.close()
    assert [read_index(plane_array(picture)) for picture in pictures] == [0, 1, 2, 3]
    assert list(places.iterdir()) == []


@pytest.mark.parametrize("name", [r"C:\film.mp4", "C:/film.mp4"])
def test_a_drives_letter_is_no_scheme_of_an_address(name):
    """What is not there is a missing file, not an address that may not be opened."""
    with pytest.raises(SourceNotFound, match="no such file"):
        parse_source(name)
