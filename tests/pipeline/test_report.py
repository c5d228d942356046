"""`streamseg report`: films without results are looked at once, what fails is on the page, wrong arguments explain themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import clips
from tests.unit.report import drives


def test_a_folder_of_films_becomes_a_page(streamseg, known, tmp_path: Path) -> None:
    """Films without results are looked at, one that has results is not; a broken one is said; again, nothing is looked at twice."""
    folder = tmp_path / "drives"
    folder.mkdir()
    clips.cfr(folder / "a.mp4", 4)
    clips.cfr(folder / "b.mp4", 4)
    (folder / "broken.mp4").write_bytes(b"")
    drives.write(folder / "b.jsonl", [drives.head("b.mp4"), drives.frame(0), drives.event("near_miss", 0.0)])
    page = tmp_path / "page.html"
    command = ("report", folder, "-o", page, "--model", known)
    done = streamseg(*command)
    assert done.returncode == 0, done.stderr
    assert "2 films are looked at first" in done.stderr
    assert [path.name for path in sorted((tmp_path / "page.results").glob("*.jsonl"))] == ["a.jsonl"]
    text = page.read_text()
    assert "<h1>drives</h1>" in text
    assert "2 films" in text
    assert "broken.mp4: could not be looked at" in text
    assert text.count("data:video/mp4") == 1
    refused = streamseg(*command)
    assert refused.returncode != 0
    assert "already exists" in refused.stderr
    before = (tmp_path / "page.results" / "a.jsonl").stat().st_mtime_ns
    again = streamseg(*command, "--overwrite")
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "page.results" / "a.jsonl").stat().st_mtime_ns == before
    assert page.read_text() == text


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("nowhere",), "nowhere: is not there"),
        (("empty",), "empty: neither films nor results (.jsonl) are there"),
        (("empty", "-o", "x.pdf"), "a report is a page; let its name end in .html"),
        (("empty", "-o", "no/such/x.html", "--clips", "-1"), "--clips"),
    ],
)
def test_wrong_arguments_explain_themselves(streamseg, monkeypatch, tmp_path: Path, given: tuple[str, ...], told: str) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    done = streamseg("report", *given)
    assert done.returncode != 0
    assert told in " ".join(done.stderr.replace("│", " ").split())
