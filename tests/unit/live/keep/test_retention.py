"""What is too old or too much goes, oldest first: nothing protected, and nothing that streamseg did not write."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from streamseg.config.live_record import CameraRecord, RecordConfig
from streamseg.live.keep.names import named, part_name, recording_path
from streamseg.live.keep.recorder import CameraRecorder
from streamseg.live.keep.retention import Retention
from streamseg.live.keep.rows import KeptFile
from streamseg.live.keep.store import EventStore
from tests.unit.live.keep.cameras import Notes, film, now, numbers, play

DAY = 86400.0
NOW = 1_800_000_000.0


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One second of a camera, as it is recorded."""
    folder, notes = tmp_path_factory.mktemp("recording"), Notes()
    made = CameraRecorder("door", folder, CameraRecord(clips="off"), notes)  # type: ignore[arg-type]
    made.start()
    play(made, film(folder / "a.mp4", 1), now())
    assert made.stop()
    return notes.paths[0]


class Folder:
    """A folder of recordings."""

    def __init__(self, folder: Path, recording: Path) -> None:
        self.store = EventStore(folder)
        self.folder, self.recording = folder, recording
        self.said: list[str] = []

    def put(self, days: float, *, clip: bool = False, camera: str = "door", known: bool = True) -> Path:
        """A recording that is so many days old."""
        begin = NOW - days * DAY
        path = recording_path(self.folder, camera, begin, ".mp4", clip=clip)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.recording, path)
        if known:
            size = path.stat().st_size
            self.store.add_file(KeptFile(path.relative_to(self.folder).as_posix(), camera, clip, begin, begin + 1, size))
        return path

    def sweep(self, **config: object) -> list[str]:
        chosen = RecordConfig(**{"free": 0} | config)  # type: ignore[arg-type]
        return Retention(self.store, chosen, self.said.append).sweep(NOW)


@pytest.fixture
def folder(tmp_path: Path, recording: Path) -> Folder:
    return Folder(tmp_path, recording)


def test_names_tell_when_and_no_hour_comes_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    __import__("time").tzset()
    try:
        # 2026-10-25: the hour from 2 to 3 comes twice.
        paths = [recording_path(tmp_path, "door", 1792886400.0 + 1800 + hour * 3600, ".mp4", clip=False) for hour in range(2)]
        assert [path.name for path in paths] == ["2026-10-25_02-30-00+0200.mp4", "2026-10-25_02-30-00+0100.mp4"]
        told = [named(path) for path in paths]
        assert [each and each.begin_utc for each in told] == [1792888200.0, 1792891800.0]
    finally:
        monkeypatch.undo()
        __import__("time").tzset()


def test_days_of_recordings_and_of_clips_are_kept(folder: Folder) -> None:
    old, young = folder.put(8), folder.put(6)
    old_clip, young_clip = folder.put(31, clip=True), folder.put(8, clip=True)
    folder.sweep()
    assert [path.exists() for path in (old, young, old_clip, young_clip)] == [False, True, False, True]
    assert not old.parent.exists(), "an empty day"
    assert len(folder.store.files()) == 2


def test_bytes_are_kept_to_by_deleting_the_oldest(folder: Folder) -> None:
    paths = [folder.put(days) for days in (5, 4, 3, 2, 1)]
    size = paths[0].stat().st_size
    folder.sweep(bytes=3 * size)
    assert [path.exists() for path in paths] == [False, False, True, True, True]


def test_a_disk_that_is_nearly_full_loses_the_oldest_and_says_so(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [folder.put(days) for days in (3, 2, 1)]
    size = paths[0].stat().st_size
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**12, 10**12, 10**6))  # type: ignore[attr-defined]
    folder.sweep(free=10**6 + size)
    assert [path.exists() for path in paths] == [False, True, True]
    assert folder.said == ["the disk is nearly full: 1 of the oldest recordings were deleted"]


def test_protected_recordings_stay(folder: Folder) -> None:
    noted, read_only, other = folder.put(50), folder.put(49), folder.put(48)
    folder.store.protect(noted.relative_to(folder.folder).as_posix())
    read_only.chmod(0o444)
    folder.sweep(bytes=1)
    assert [path.exists() for path in (noted, read_only, other)] == [True, True, False]


def test_files_of_others_stay(folder: Folder) -> None:
    mine = folder.put(50)
    beside = mine.with_name("holiday.mp4")
    shutil.copyfile(folder.recording, beside)
    in_its_place = folder.put(49)
    in_its_place.write_bytes(b"cut by hand")
    link = folder.put(48)
    link.unlink()
    link.symlink_to(beside)
    stray = folder.put(47, known=False)
    stray.write_bytes(b"somebody's, of a name like ours")
    Retention(folder.store, RecordConfig(), folder.said.append).adopt()
    folder.sweep(bytes=1)
    assert not mine.exists()
    assert beside.exists()
    assert in_its_place.read_bytes() == b"cut by hand"
    assert link.is_symlink()
    assert stray.exists()


def test_recordings_that_the_data_base_does_not_know_are_found(folder: Folder) -> None:
    """It was lost, or the camera is no longer watched: they would fill the disk for ever."""
    stray = folder.put(50, known=False)
    Retention(folder.store, RecordConfig(), folder.said.append).adopt()
    (found,) = folder.store.files()
    assert (found.camera, found.end_utc - found.begin_utc) == ("door", pytest.approx(1, abs=0.1))
    folder.sweep()
    assert not stray.exists()


def test_what_was_cut_off_gets_its_name_and_what_is_being_written_does_not(folder: Folder) -> None:
    whole = folder.put(1, known=False)
    cut = part_name(whole)
    whole.rename(cut)
    empty = part_name(folder.put(2, known=False))
    empty.touch()
    writing = folder.put(3, known=False)
    writing.rename(part_name(writing))
    from streamseg.system.output_files import open_locked

    held = open_locked(part_name(writing), writing)
    retention = Retention(folder.store, RecordConfig(), folder.said.append)
    try:
        retention.adopt()
    finally:
        __import__("os").close(held)
    assert whole.exists()
    assert not cut.exists()
    assert numbers(whole) == list(range(25))
    assert not empty.exists()
    assert part_name(writing).exists()
    assert not writing.exists()


def test_a_recording_that_somebody_moved_away_is_forgotten(folder: Folder) -> None:
    folder.put(50).unlink()
    folder.sweep()
    assert folder.store.files() == []
