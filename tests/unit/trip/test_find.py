"""Folders as recorders leave them: which files belong together, and in which order."""

import struct
from datetime import UTC, datetime
from pathlib import Path

import pytest

from streamseg.errors import ConfigError, SourceNotFound, Unreadable
from streamseg.trip import find_trip
from streamseg.trip.find import gap_between
from streamseg.trip.parts import read_name

START = datetime(2024, 5, 17, 14, 30, 0, tzinfo=UTC)


def film(path: Path, lasts: float = 60.0, created: datetime | None = None) -> Path:
    """The header of an MP4 with nothing in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    since = 0 if created is None else int(created.timestamp()) + 2_082_844_800
    mvhd = struct.pack(">I4sIIIII", 108, b"mvhd", 0, since, since, 1000, round(1000 * lasts)) + bytes(80)
    path.write_bytes(struct.pack(">I4s4sI", 16, b"ftyp", b"isom", 0) + struct.pack(">I4s", 8 + len(mvhd), b"moov") + mvhd)
    return path


@pytest.mark.parametrize(
    ("name", "recorder", "view", "time", "number"),
    [
        ("2024_0517_143000_F.MP4", "Viofo", "front", True, None),
        ("20240517143000_000123PR.MP4", "Viofo", "rear", True, 123),
        ("20240517_143000_NF.mp4", "BlackVue", "front", True, None),
        ("20240517_143000_PI.mp4", "BlackVue", "interior", True, None),
        ("240517_143000_012_FH.MP4", "Nextbase", "front", True, 12),
        ("NO20240517-143000-000123B.MP4", "70mai", "rear", True, 123),
        ("REC_2024_05_17_14_30_00_F.MP4", "Thinkware", "front", True, None),
        ("2024-05-17_14-30-00-left_repeater.mp4", "Tesla", "left", True, None),
        ("20240517143000_0060.mp4", "DDPai", None, True, None),
        ("GX010042.MP4", "GoPro", None, False, 42),
        ("GOPR0042.MP4", "GoPro", None, False, 42),
        ("GRMN0007.MP4", "Garmin", None, False, 7),
        ("dash 2024-05-17 14.30.00 rear.ts", "", "rear", True, None),
        ("FILE0012.mov", "", None, False, 12),
        ("holiday.mp4", "", None, False, None),
    ],
)
def test_names(name: str, recorder: str, view: str | None, time: bool, number: int | None) -> None:
    found = read_name(Path("card") / name)
    assert (found.recorder, found.view, found.number) == (recorder, view, number)
    assert found.time == (START.timestamp() if time else None)


def test_the_front_camera_in_the_order_of_time(tmp_path: Path) -> None:
    for minute in (2, 0, 1):
        for letter in "FR":
            film(tmp_path / "Movie" / f"20240517143{minute}00_00000{minute}{letter}.MP4")
    film(tmp_path / "RO" / "20240517143100_000001F.MP4")  # a copy of what was locked
    film(tmp_path / "Parking" / "20240517180000_000009PF.MP4")
    (tmp_path / "._20240517143000_000000F.MP4").write_bytes(b"\0")
    (tmp_path / "Movie" / "seen.mp4").write_bytes(film(tmp_path / "x" / "seen.mp4").read_bytes())  # an output of an earlier run
    trip = find_trip(tmp_path)
    assert [part.path.name[8:14] for part in trip.parts] == ["143000", "143100", "143200", "180000"]
    assert trip.others == {"rear": 3}
    assert any("seen.mp4: is not named as the others" in said for said in trip.said)
    assert any("1 file that repeat" in said for said in trip.said)
    assert len(find_trip(tmp_path, "rear").parts) == 3
    with pytest.raises(ConfigError, match=r"no camera 'interior'; there are: front \(5 files\), rear \(3 files\)"):
        find_trip(tmp_path, "interior")
    assert [gap_between(a, b) for a, b in zip(trip.parts, trip.parts[1:], strict=False)] == [0, 0, 12420]
    assert trip.lasts == 12420 + 4 * 60


def test_cameras_that_only_their_folders_tell(tmp_path: Path) -> None:
    for folder in ("Front", "Rear"):
        film(tmp_path / folder / "20240517_143000.mp4")
    assert find_trip(tmp_path).parts[0].path.parent.name == "Front"
    assert find_trip(tmp_path, "rear").parts[0].path.parent.name == "Rear"


def test_chapters_of_a_gopro(tmp_path: Path) -> None:
    """All chapters say the time at which the recording began; the numbers of recordings wrap."""
    later = datetime(2024, 5, 17, 16, 0, 0, tzinfo=UTC)
    for name, created in (
        ("GX010001", later),
        ("GX020001", later),
        ("GX029999", START),
        ("GX019999", START),
        ("GX039999", START),
    ):
        film(tmp_path / f"{name}.MP4", 600, created)
    trip = find_trip(tmp_path)
    assert [part.path.stem for part in trip.parts] == ["GX019999", "GX029999", "GX039999", "GX010001", "GX020001"]
    assert [part.follows for part in trip.parts] == [False, True, True, False, True]


def test_a_clock_that_was_set_on_the_way(tmp_path: Path) -> None:
    """A recorder with an empty battery begins in its year of birth, until its receiver tells the time."""
    for number, stamp in enumerate(("20240517143000", "20150101000010", "20150101000110", "20240517150200")):
        film(tmp_path / f"{stamp}_00010{number}F.MP4")
    trip = find_trip(tmp_path)
    assert [part.path.name[15:21] for part in trip.parts] == ["000100", "000101", "000102", "000103"]
    assert [part.clock_set for part in trip.parts] == [False, True, False, False]
    assert "the recorder's clock was set before 20150101000010_000101F.MP4" in trip.said[0]


def test_files_that_are_no_films_yet_or_no_more(tmp_path: Path) -> None:
    whole = film(tmp_path / "20240517143000_000001F.MP4")
    (tmp_path / "20240517143100_000002F.MP4").touch()
    (tmp_path / "20240517143200_000003F.MP4").write_bytes(
        whole.read_bytes()[:16] + struct.pack(">I4s", 10**6, b"mdat") + bytes(900)
    )
    trip = find_trip(tmp_path)
    assert len(trip.parts) == 1
    assert "000002F.MP4 is empty (0 bytes): left out" in trip.said[0]
    assert "its index is missing" in trip.said[1]
    whole.unlink()
    with pytest.raises(Unreadable, match="none of 2 films can be read"):
        find_trip(tmp_path)


def test_what_is_no_trip(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound, match="no such folder"):
        find_trip(tmp_path / "none")
    with pytest.raises(SourceNotFound, match="no films are there"):
        find_trip(tmp_path)
    one = film(tmp_path / "20240517143000_000001F.MP4")
    with pytest.raises(ConfigError, match="is one film"):
        find_trip(one)
    film(tmp_path / "GX010001.MP4")
    with pytest.raises(ConfigError, match=r"several recorders: Viofo \(1 file\), GoPro \(1 file\)"):
        find_trip(tmp_path)
    assert len(find_trip(tmp_path / "*F.MP4").parts) == 1
    (tmp_path / "list.txt").write_text("# my drive\nGX010001.MP4\n")
    assert find_trip(f"@{tmp_path / 'list.txt'}").parts[0].path.name == "GX010001.MP4"
