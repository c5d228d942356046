"""One film on many workers, on Ray for real: the same bytes as on one machine, whatever dies on the way."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import clips, graphs

pytest.importorskip("ray", reason="needs the extra 'cluster'")
pytestmark = [pytest.mark.long, pytest.mark.timeout(900), pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")]


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of 72 seconds with sound, and a model that finds what is bright."""
    folder = tmp_path_factory.mktemp("films")
    clips.cfr(folder / "film.mp4", 1800, 25, clips.Video(gop=50), audio=True)
    graphs.rectangle_model(folder / "bright.onnx", size=(64, 96))
    return folder


@pytest.fixture(scope="module")
def expected(there: Path) -> dict[str, bytes]:
    """What one machine makes of it."""
    run(there, "alone", "--resume", "--threads", "1")
    found = made(there / "alone")
    assert {"a.mp4", "a.jsonl", "film.streamseg"} == found.keys()
    return found


def begin(there: Path, out: str, *how: str) -> subprocess.Popen[str]:
    """`streamseg run` of the film."""
    command = [
        sys.executable,
        "-m",
        "streamseg",
        "run",
        "film.mp4",
        "-p",
        "drive",
        "--classes",
        "all",
        "--model",
        "bright.onnx",
    ]
    command += ["-o", f"{out}/a.mp4", "-o", f"{out}/a.jsonl", "--results", "auto", *how]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "RAY_raylet_start_wait_time_s": "120"}
    return subprocess.Popen(command, cwd=there, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)


def run(there: Path, out: str, *how: str) -> str:
    """What it told."""
    process = begin(there, out, *how)
    try:
        _, told = process.communicate(timeout=600)
    finally:
        process.kill()
    assert process.returncode == 0, told
    return told


def made(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != "streamseg-job.json"}


def workers() -> list[int]:
    """Processes that do a task."""

    def found() -> Iterator[int]:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if path.read_bytes().startswith(b"ray::Worker.do"):
                    yield int(path.parent.name)
            except OSError:
                continue

    return list(found())


def finished(book: Path) -> str:
    return book.read_text() if book.exists() else ""


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_files_do_not_depend_on_how_many_work(count: int, there: Path, expected: dict[str, bytes]) -> None:
    told = run(there, f"out{count}", "--on", "ray", "--workers", str(count))
    assert "in 6 ranges" in told or count == 1
    got = made(there / f"out{count}")
    assert {name: data == expected[name] for name, data in got.items()} == dict.fromkeys(expected, True)


def test_workers_that_are_killed_cost_their_tasks(there: Path, expected: dict[str, bytes]) -> None:
    """Ten times, each time after something was done: what kills its worker thrice is set aside."""
    process, rng, killed, before = begin(there, "killed", "--on", "ray", "--workers", "2"), random.Random(2), 0, 0
    book = there / "killed" / ".a.mp4.job" / "done.jsonl"
    try:
        while process.poll() is None:
            time.sleep(rng.uniform(0.1, 0.8))
            now = finished(book).count("found-") + finished(book).count("answers-")
            if killed < 10 and now > before and (there_are := workers()):
                os.kill(rng.choice(there_are), signal.SIGKILL)
                killed, before = killed + 1, now
        _, told = process.communicate()
    finally:
        process.kill()
    assert process.returncode == 0, told
    assert killed >= 5
    assert made(there / "killed") == expected


def test_a_driver_that_is_killed_goes_on(there: Path, expected: dict[str, bytes]) -> None:
    process = begin(there, "driver", "--on", "ray", "--workers", "2")
    deadline = time.monotonic() + 200
    book = there / "driver" / ".a.mp4.job" / "done.jsonl"
    while finished(book).count("found-") < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.communicate()
    time.sleep(5)  # its workers end with it
    kept = finished(book).count("\n")
    assert kept
    (book.parent / "answers-000005.streamseg").write_bytes(b"spoiled")
    assert "in 6 ranges" in run(there, "driver", "--on", "ray", "--workers", "2")
    assert made(there / "driver") == expected
    assert json.loads((there / "driver" / "streamseg-job.json").read_text())["films"]
