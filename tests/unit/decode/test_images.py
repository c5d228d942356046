"""Stills as a source: folders, globs, patterns."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from streamseg.core.types import Frame
from streamseg.decode import Decoder
from streamseg.decode.images import natural_key
from streamseg.errors import NoVideo, SourceNotFound, TooLarge, Unreadable
from tests import clips
from tests.clips import plane_array, read_index


def indices(source: object, **options: object) -> list[int]:
    with Decoder(source, **options) as decoder:  # type: ignore[arg-type]
        return [read_index(plane_array(f.picture)[..., 0]) for f in decoder.frames()]


def test_a_folder_a_glob_and_a_pattern_mean_the_same(tmp_path: Path) -> None:
    folder = clips.image_folder(tmp_path / "shot", 12)
    (folder / "notes.txt").write_text("not a picture")
    assert indices(folder) == indices(f"{folder}/frame*.png") == indices(f"{folder}/frame%d.png") == list(range(12))


def test_numbers_sort_by_value_not_by_letter() -> None:
    names = [Path(n) for n in ("a10.png", "a9.png", "B1.png", "a2b10.png", "a2b9.png")]
    assert [p.name for p in sorted(names, key=natural_key)] == ["a2b9.png", "a2b10.png", "a9.png", "a10.png", "B1.png"]


def test_a_padded_pattern_matches_only_as_many_digits(tmp_path: Path) -> None:
    for number in (1, 2, 10):
        clips.save_image(tmp_path / f"f{number:04d}.png", number)
    clips.save_image(tmp_path / "f7.png", 7)
    assert indices(tmp_path / "f%04d.png") == [1, 2, 10]


def test_the_rate_sets_the_times(tmp_path: Path) -> None:
    folder = clips.image_folder(tmp_path / "shot", 5)
    with Decoder(folder, rate=Fraction(30000, 1001)) as decoder:
        frames = list(decoder.frames())
    assert [f.pts * f.time_base for f in frames] == [Fraction(i * 1001, 30000) for i in range(5)]
    assert (decoder.info.kind, decoder.info.rate, decoder.info.frame_count) == ("images", Fraction(30000, 1001), 5)
    with Decoder(folder) as decoder:
        assert decoder.info.rate == 25


def test_start_and_duration_choose_stills(tmp_path: Path) -> None:
    folder = clips.image_folder(tmp_path / "shot", 12)
    assert indices(folder, rate=10, start=0.3, duration=0.4) == [3, 4, 5, 6]


def test_sixteen_bits_stay_sixteen(tmp_path: Path) -> None:
    path = clips.save_image(tmp_path / "deep.png", 5, bits=16)
    with Decoder(path) as decoder:
        frame = next(decoder.frames())
    truth = clips.gray(5, peak=65535)
    assert decoder.info.bit_depth == 16
    assert frame.picture.format.name == "rgb48le"  # the file holds rgb48be
    assert np.array_equal(plane_array(frame.picture)[..., 0], truth)


def test_jpeg_stays_in_its_planes(tmp_path: Path) -> None:
    with Decoder(clips.image_folder(tmp_path / "j", 3, "jpg")) as decoder:
        frames = list(decoder.frames())
    assert {f.picture.format.name for f in frames} == {"yuvj420p"}
    assert [read_index(plane_array(f.picture)) for f in frames] == [0, 1, 2]
    assert {int(f.picture.color_range) for f in frames} == {2}


def test_another_size_begins_a_new_epoch(tmp_path: Path) -> None:
    for number, size in enumerate([(96, 64), (96, 64), (64, 48), (64, 48)]):
        clips.save_image(tmp_path / f"f{number}.png", number, size=size)
    with Decoder(tmp_path) as decoder:
        frames = list(decoder.frames())
    assert [f.epoch for f in frames] == [0, 0, 1, 1]
    assert [f.width for f in frames] == [96, 96, 64, 64]
    assert decoder.counters.format_changes == 1


def test_a_percent_in_a_real_name_is_a_name(tmp_path: Path) -> None:
    clips.save_image(tmp_path / "100%d.png", 9)
    clips.save_image(tmp_path / "1007.png", 7)
    assert indices(tmp_path / "100%d.png") == [9]


def test_a_glob_that_means_one_video_is_that_video(tmp_path: Path) -> None:
    clips.cfr(tmp_path / "clip-1.mp4", 4)
    with Decoder(f"{tmp_path}/clip*.mp4") as decoder:
        assert len(list(decoder.frames())) == 4
        assert decoder.info.kind == "file"


@pytest.mark.parametrize(
    ("source", "error"),
    [("empty", NoVideo), ("empty/*.png", SourceNotFound), ("empty/%d.png", SourceNotFound), ("*.mp4", SourceNotFound)],
)
def test_what_matches_nothing_or_too_much_is_said(tmp_path: Path, source: str, error: type[Exception]) -> None:
    (tmp_path / "empty").mkdir()
    for name in "ab":
        (tmp_path / f"{name}.mp4").touch()
    with pytest.raises(error, match=str(tmp_path)):
        Decoder(f"{tmp_path}/{source}").open()


@pytest.mark.parametrize("damage", ["cut", "text", "empty"])
def test_a_damaged_still_is_named_after_the_good_ones(tmp_path: Path, damage: str) -> None:
    folder = clips.image_folder(tmp_path / "shot", 4)
    victim = folder / "frame3.png"
    victim.write_bytes({"cut": victim.read_bytes()[:60], "text": b"hello", "empty": b""}[damage])
    seen: list[Frame] = []
    with Decoder(folder) as decoder, pytest.raises(Unreadable, match=r"frame3\.png"):
        seen.extend(decoder.frames())
    assert len(seen) == 2


def test_an_enormous_still_is_refused_by_its_header(tmp_path: Path) -> None:
    for name in ("big.png", "big.jpg"):
        path = clips.save_image(tmp_path / name, 1, size=(640, 480))
        with pytest.raises(TooLarge, match=r"max_pixels"):
            Decoder(path, max_pixels=100_000).open()


def test_missing_numbers_are_said(tmp_path: Path) -> None:
    for number in (1, 2, 5, 6, 8):
        clips.save_image(tmp_path / f"r{number:03d}.png", number)
    with Decoder(tmp_path) as decoder:
        assert len(list(decoder.frames())) == 5
    assert [w for w in decoder.warnings if "3 numbers are missing (first: 3 to 4)" in w]


def test_globs_may_cross_folders_and_brackets(tmp_path: Path) -> None:
    for number in range(2):
        clips.image_folder(tmp_path / f"[shot]{number}", 2)
    assert indices(f"{tmp_path}/[[]shot]*/frame1.png") == [0, 0]
    assert indices(f"{tmp_path}/[shot]1/frame*.png") == [0, 1]


@pytest.mark.parametrize(("tag", "turns"), [(1, 0), (6, -1), (3, 2), (8, 1)])
def test_a_photo_s_exif_orientation_is_heeded(tmp_path: Path, tag: int, turns: int) -> None:
    """EXIF orientation, CIPA DC-008. PyAV 18 raises where it lists the side data of such a picture."""
    path = clips.save_image(tmp_path / "a.jpg", 5)
    plain = path.read_bytes()
    with Decoder(path) as decoder:
        upright = plane_array(next(decoder.frames()).picture)
    exif = b"Exif\0\0II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, tag, 0, 0)
    path.write_bytes(plain[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + plain[2:])
    with Decoder(path) as decoder:
        turned = plane_array(next(decoder.frames()).picture)
    assert np.array_equal(turned, np.rot90(upright, turns))
