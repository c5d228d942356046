"""What a source holds, in plain data and sentences."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streamseg.errors import SourceNotFound
from streamseg.pipeline.probe import probe
from tests import clips
from tests.clips import Video


def plan(path: Path) -> str:
    return "\n".join(probe(path)["plan"])


def test_it_is_plain_data(tmp_path: Path) -> None:
    report = probe(clips.with_subtitles(tmp_path / "s.mkv"))
    assert json.loads(json.dumps(report)) == report
    assert [s["type"] for s in report["streams"]] == ["video", "audio", "subtitle"]
    assert report["streams"][2]["language"] == "eng"


def test_constant_and_variable_rates_are_told_apart(tmp_path: Path) -> None:
    """Matroska rounds 29.97 to milliseconds: steps of 33 and 34 are still constant."""
    steady = probe(clips.ntsc(tmp_path / "n.mkv"))["timing"]
    assert steady["variable"] is False
    assert steady["longest_step"] > steady["shortest_step"]
    uneven = probe(clips.vfr(tmp_path / "v.mkv"))["timing"]
    assert uneven["variable"] is True
    assert (uneven["shortest_step"], uneven["longest_step"]) == (pytest.approx(0.02), pytest.approx(0.14))
    assert "variable frame rate kept" in plan(tmp_path / "v.mkv")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda p: clips.rotated(p / "r.mp4", 90), "turned upright by 90 degrees"),
        (lambda p: clips.hdr10(p / "h.mkv"), "10 bit planes kept"),
        (lambda p: clips.hdr10(p / "h.mkv"), "HDR (PQ)"),
        (
            lambda p: clips.cfr(p / "a.mp4", audio=True),
            "(aac): converted to opus for .webm; copied into .mp4, .mov, .mkv, .avi and .ts",
        ),
        (
            lambda p: clips.with_subtitles(p / "s.mkv"),
            "(subrip, eng): converted to mov_text for .mp4 and .mov; converted to webvtt for .webm; copied into",
        ),
        (lambda p: clips.raw_h264(p / "r.h264"), "no pts: made from 25 frames a second"),
        (lambda p: clips.duplicate_pts(p / "d.mkv"), "3 of 12 pts repeat"),
        (lambda p: clips.odd(p / "o.mp4"), "odd size 81x59"),
        (lambda p: clips.cfr(p / "u.mp4", video=Video(colour=clips.Colour())), "untagged"),
    ],
)
def test_it_says_what_would_be_done(tmp_path: Path, make: object, sentence: str) -> None:
    assert sentence in plan(make(tmp_path))  # type: ignore[operator]


def test_stills_are_probed_too(tmp_path: Path) -> None:
    report = probe(clips.image_folder(tmp_path / "i", 4, bits=16))
    assert (report["kind"], report["video"]["bit_depth"], report["timing"]["frames"]) == ("images", 16, 4)


def test_a_missing_file_is_the_usual_error() -> None:
    with pytest.raises(SourceNotFound, match="nowhere"):
        probe("nowhere.mp4")
