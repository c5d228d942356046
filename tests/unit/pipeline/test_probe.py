"""What a source holds, in plain data and sentences."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest

from streamseg.cli.display import show_probe
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


def test_frames_of_a_variable_rate_are_counted_or_left_unknown(tmp_path: Path) -> None:
    """Seen: 126 frames, 25 a second for as long as the header says, beside six that were looked at."""
    few = clips.write(tmp_path / "few.mkv", (0, 40, 45, 1000, 1033, 5000), Fraction(1, 1000))
    timing = probe(few)["timing"]
    assert (timing["variable"], timing["looked_at"], timing["frames"]) == (True, 6, 6)
    many = clips.write(tmp_path / "many.mkv", [k * k for k in range(210)], Fraction(1, 100))
    timing = probe(many)["timing"]
    assert (timing["variable"], timing["looked_at"], timing["frames"]) == (True, 200, None)
    assert probe(clips.write(tmp_path / "many.mp4", [k * k for k in range(210)], Fraction(1, 100)))["timing"]["frames"] == 210


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_film_that_is_cut_off_is_said_to_be(tmp_path: Path, suffix: str) -> None:
    """Seen: all its frames, and a variable rate where a picture that is shown earlier lay behind the cut."""
    faststart = {"movflags": "faststart"} if suffix == "mp4" else {}
    path = clips.cfr(tmp_path / f"clip.{suffix}", 60, video=Video(b_frames=3), container_options=faststart)
    data = path.read_bytes()
    for share in (0.5, 0.55, 0.6, 0.65, 0.7):
        path.write_bytes(data[: int(len(data) * share)])
        report = probe(path)
        assert (report["timing"]["frames"], report["duration"], report["timing"]["variable"]) == (None, None, False)
        assert any("is cut off" in warning and "2.40 s" in warning for warning in report["warnings"])


def test_a_window_that_ends_amid_reordered_pictures_has_no_gap(tmp_path: Path) -> None:
    """The first 200 packets end with a picture that is shown after some which come later."""
    for frames in range(203, 207):
        timing = probe(clips.cfr(tmp_path / "clip.mp4", frames, video=Video(b_frames=frames % 4 + 1)))["timing"]
        assert timing["variable"] is False


def test_a_source_that_tells_its_frames_but_no_duration_is_told_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Seen: "frames, frames, of unknown length", and below "50 frames"."""
    report = probe(clips.image_folder(tmp_path / "i", 4)) | {"duration": None}
    show_probe(report)
    first = capsys.readouterr().out.splitlines()[0]
    assert first.endswith(": images, 4 frames")
