"""How a job stands, told from its book."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from streamseg.errors import SourceNotFound
from streamseg.jobs.manifest import NAME, Entry, Manifest
from streamseg.jobs.standing import standing


def test_counts_speed_and_what_is_left(tmp_path: Path) -> None:
    """Of ten films four ended within the hour since it was begun (one failed), one runs, one ended in an earlier run."""
    manifest = Manifest.hold(tmp_path, 10)
    now = datetime.now(UTC)
    manifest.book.began = (now - timedelta(hours=1)).isoformat(timespec="seconds")
    ended = (now - timedelta(minutes=5)).isoformat(timespec="seconds")
    for k in range(3):
        manifest.put(f"/{k}", Entry(str(k), "done", "", ended=ended))
    manifest.put("/broken", Entry("broken", "failed", "", ended=ended, error="no film"))
    manifest.put("/before", Entry("before", "done", "", ended=(now - timedelta(hours=2)).isoformat(timespec="seconds")))
    manifest.put("/now", Entry("now", "running", ""))
    manifest.close()
    found = standing(tmp_path)
    assert (found.of, found.left, len(found.having("done")), len(found.having("failed"))) == (10, 5, 4, 1)
    assert found.rate == pytest.approx(4, rel=0.01)
    assert found.seconds_left == pytest.approx(5 / 4 * 3600, rel=0.01)
    assert json.loads(json.dumps(found.to_json()))["films"]["/broken"]["error"] == "no film"
    assert replace(found, of=0).left is None


def test_a_book_of_an_older_version_is_read(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text('{"schema": "streamseg.job/1", "films": {}}')
    found = standing(tmp_path)
    assert (found.of, found.left, found.rate, found.seconds_left) == (0, None, None, None)


@pytest.mark.parametrize("text", [None, "{", '{"schema": "x", "films": {}}'])
def test_no_book_is_told(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / NAME).write_text(text)
    with pytest.raises(SourceNotFound, match=NAME if text else "there is no job"):
        standing(tmp_path)
