"""The service as a whole: events make clips and are found; a kill or a full disk costs a second, or nothing."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamseg.config.live_record import CameraRecord, RecordConfig
from streamseg.core.types import Event
from streamseg.errors import OutputError
from streamseg.live.bus import Bus
from streamseg.live.keep.keeper import Keeper
from streamseg.live.news import Happened, Warned
from tests.unit.live.keep.cameras import film, now, numbers, play

ROOT = Path(__file__).parents[4]


@pytest.fixture
def bus() -> Iterator[Bus]:
    made = Bus()
    yield made
    made.close()


def wait_for(condition: object, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_an_event_gets_a_clip_and_is_found_with_it(tmp_path: Path, bus: Bus) -> None:
    keeper = Keeper(RecordConfig(folder=str(tmp_path / "r")), bus)
    keeper.start()
    options = CameraRecord(segment=1e9, clips={"before": 1, "after": 1, "classes": "person"})  # type: ignore[arg-type]
    recorder = keeper.recorder("door", options)
    source = film(tmp_path / "a.mp4", 5)
    begin = now() - 5
    play(recorder, source, begin, ends=None)
    wait_for(lambda: recorder.idle)
    assert keeper.path("door").endswith(".part.mp4")
    for id, name in (("e1", "person"), ("e2", "cat")):
        event = Event("enter", 2.5, 1, name, "yard")
        bus.publish(Happened(id, "door", begin + 2.5 + time.time() - now(), event, 60, 0, (1, 2, 3, 4), b"jpeg"))
    bus.publish(Warned("door", "no data", time.time()))
    wait_for(lambda: len(keeper.store.search()) == 3)
    keeper.stop()
    found = {each.id: each for each in keeper.store.search(camera="door") if each.kind != "warning"}
    assert found["e2"].clip == ""
    clip = tmp_path / "r" / found["e1"].clip
    assert numbers(clip)[0] == 25
    assert abs(numbers(clip)[-1] - 3.5 * 25) <= 2
    (whole,) = [file for file in keeper.store.files("door") if not file.clip]
    assert numbers(tmp_path / "r" / whole.path) == list(range(125))
    assert whole.end_utc - whole.begin_utc == pytest.approx(5, abs=0.1)
    assert whole.size == (tmp_path / "r" / whole.path).stat().st_size
    lines = [json.loads(line) for path in (tmp_path / "r").rglob("events.jsonl") for line in path.read_text().splitlines()]
    assert [(line["id"], line["kind"], line["name"], line["place"]) for line in lines] == [
        ("e1", "enter", "person", "yard"),
        ("e2", "enter", "cat", "yard"),
    ]


def test_a_protected_recording_stays_protected_without_the_data_base(tmp_path: Path, bus: Bus) -> None:
    keeper = Keeper(RecordConfig(folder=str(tmp_path / "r"), bytes=1), bus)  # type: ignore[call-arg]
    recorder = keeper.recorder("door", CameraRecord(clips="off"))  # type: ignore[arg-type]
    play(recorder, film(tmp_path / "a.mp4", 1), now())
    keeper.release("door")
    (file,) = keeper.store.files()
    keeper.protect(file.path)
    assert keeper.store.files()[0].protected
    keeper.stop()
    (tmp_path / "r" / "events.db").unlink()
    again = Keeper(RecordConfig(folder=str(tmp_path / "r"), bytes=1), bus)  # type: ignore[call-arg]
    again._retention.sweep()
    assert (tmp_path / "r" / file.path).exists()
    again.protect(file.path, False)
    again._retention.sweep()
    assert not (tmp_path / "r" / file.path).exists()
    again.stop()


def test_a_disk_that_is_full_at_the_start_keeps_nobody_from_watching(
    tmp_path: Path, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The data base cannot be opened; what is old is found all the same, and makes room."""
    source, full, real = film(tmp_path / "a.mp4", 1), [True], sqlite3.connect
    before = Keeper(RecordConfig(folder=str(tmp_path / "r")), bus)
    play(before.recorder("door", CameraRecord(clips="off")), source, now())  # type: ignore[arg-type]
    before.stop()
    (old,) = (tmp_path / "r").rglob("*.mp4")

    def connect(*arguments: object, **options: object) -> sqlite3.Connection:
        if full[0]:
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error
        return real(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(sqlite3, "connect", connect)
    keeper = Keeper(RecordConfig(folder=str(tmp_path / "r")), bus)
    keeper.start()
    play(keeper.recorder("door", CameraRecord(clips="off")), source, now())  # type: ignore[arg-type]
    keeper.release("door")
    assert keeper.make_room(tmp_path)
    assert not old.exists()
    full[0] = False
    event = Event("count", 0.0, 1, "person")
    bus.publish(Happened("e1", "door", time.time(), event, 1, 0))
    wait_for(lambda: keeper.store.event("e1"))
    keeper.stop()
    assert len(keeper.store.files("door")) <= 1
    assert keeper.store.search("disk is full")


def start(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.unit.live.keep.camera_process", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})


@pytest.mark.long
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_kill_costs_at_most_a_second_and_the_same_command_goes_on(tmp_path: Path, name: str) -> None:
    """Three times in a row, each amid a segment."""
    source, folder = film(tmp_path / name, 5), tmp_path / "r"
    for turn in range(3):
        former = set(folder.rglob("*.part.mp4"))
        process = start(folder, source, 60)
        try:
            wait_for(lambda former=former: set(folder.rglob("*.part.mp4")) - former, 60)
            time.sleep(3.3)
        finally:
            process.kill()
            process.communicate(timeout=10)
        (part,) = folder.rglob("*.part.mp4")
        seen = numbers(part)
        assert seen == list(range(len(seen)))
        assert len(seen) >= 25 * 2.3, f"{len(seen) / 25} s of 3.3 s are there"
        assert len(list(folder.rglob("*.mp4"))) == turn + 1, "nothing is overwritten"
    process = start(folder, source, 0.1)
    process.communicate(timeout=60)
    assert process.returncode == 0
    paths = sorted(folder.rglob("*.mp4"))
    assert len(paths) == 4
    assert not any(".part" in path.name for path in paths)
    bus = Bus()
    keeper = Keeper(RecordConfig(folder=str(folder)), bus)
    assert len(keeper.store.files("door")) == 4
    assert [reason for *_, reason in keeper.store.gaps("door")] == 3 * ["streamseg did not run"]
    keeper.stop()


@pytest.mark.long
def test_a_disk_without_room_changes_nothing_for_the_camera_and_recording_goes_on(tmp_path: Path) -> None:
    """A small file system, by mount; only for root."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], check=False, capture_output=True).returncode:
        pytest.skip("a small file system can be mounted by root only")
    process = start(disk / "r", film(tmp_path / "a.mp4", 2), 15)
    try:
        wait_for(lambda: list(disk.rglob("*.part.mp4")), 60)
        time.sleep(1)
        with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
            while filler.write(bytes(4096)):
                pass
        time.sleep(3)
        (disk / "filler").unlink()
        said = process.communicate(timeout=60)[0]
        assert process.returncode == 0
        assert said.index("recording stands still") < said.index("No space left on device") < said.index("recording goes on")
        assert float(said.rsplit("longest ")[1]) < 0.1
        first, last = [numbers(path, damaged=True) for path in sorted(disk.rglob("*.mp4"))]
        assert len(first) >= 20, "what was written before is kept"
        assert len(last) >= 25
        assert last[0] in (0, 25)
    finally:
        process.kill()
        process.communicate(timeout=10)
        subprocess.run(["umount", disk], check=False)


def test_a_folder_is_kept_by_one_run_at_a_time(tmp_path: Path, bus: Bus) -> None:
    """A second one would rename files that the first is writing, as cut off, and delete what it has finished."""
    first = Keeper(RecordConfig(folder=str(tmp_path / "r")), bus)
    with pytest.raises(OutputError, match="another run is writing it"):
        Keeper(RecordConfig(folder=str(tmp_path / "r")), bus)
    first.stop()
    Keeper(RecordConfig(folder=str(tmp_path / "r")), bus).stop()
