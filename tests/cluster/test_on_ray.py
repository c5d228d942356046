"""A job on Ray, for real: the same files as without, whatever dies on the way.

Long: Ray takes ten seconds to start. Each test has a cluster of its own, of two workers on this machine.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import clips, graphs

pytest.importorskip("ray", reason="needs the extra 'cluster'")
pytestmark = [pytest.mark.long, pytest.mark.timeout(600), pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")]

POISON = (64, 48)
STAGE = """
import os, signal, time
from dataclasses import dataclass
from streamseg.pipeline.extra import ExtraStage

@dataclass
class Poison(ExtraStage):
    def __call__(self, result):
        time.sleep(0.02)
        if result.frame.width == 64:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
"""
PIPELINE = """
stages:
  - {use: "poison_stage:Poison", after: track}
outputs:
  lines: {}
"""


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """Eight films of two seconds, one of them broken, and a model with a known answer."""
    (tmp_path / "films").mkdir()
    for number in range(7):
        clips.cfr(tmp_path / "films" / f"f{number}.mp4", 50)
    (tmp_path / "films" / "broken.mp4").write_bytes(b"no film")
    graphs.constant_model(tmp_path / "known.onnx", boxes=((20.0, 28.0, 60.0, 58.0),), scores=(0.9,), labels=(0,), size=(64, 96))
    (tmp_path / "poison_stage.py").write_text(STAGE)
    (tmp_path / "slow.yaml").write_text(PIPELINE)
    return tmp_path


def begin(there: Path, out: str, *more: str, on: str | None = "ray") -> subprocess.Popen[str]:
    """`streamseg run` of the films."""
    command = [sys.executable, "-m", "streamseg", "run", "films", "-p", "slow.yaml", "--trust", "-o", f"{out}/{{name}}.jsonl"]
    command += ["--model", "known.onnx", *(["--on", on, "--workers", "2"] if on else ["--threads", "1"]), *more]
    root = str(Path(__file__).parents[2])
    environment = os.environ | {"PYTHONPATH": f"{there}{os.pathsep}{root}", "RAY_raylet_start_wait_time_s": "120"}
    return subprocess.Popen(command, cwd=there, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)


def run(there: Path, out: str, *more: str, on: str | None = "ray") -> tuple[int, str]:
    """Its exit status, and what it told."""
    process = begin(there, out, *more, on=on)
    try:
        _, told = process.communicate(timeout=400)
    finally:
        process.kill()
    return process.returncode, told


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.jsonl"))}


def workers() -> Iterator[int]:
    """Processes that run a film."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().startswith(b"ray::Worker.run"):
                yield int(path.parent.name)
        except OSError:
            continue


def wait_for_a_film(out: Path, process: subprocess.Popen[str]) -> None:
    """Until one is done, and others run."""
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and process.poll() is None:
        book = out / "streamseg-job.json"
        if book.exists() and '"status": "done"' in book.read_text() and next(workers(), None) is not None:
            return
        time.sleep(0.05)
    raise AssertionError("no film was done")


def test_the_files_are_those_of_one_machine_and_the_book_is_the_same(there: Path) -> None:
    assert run(there, "alone", on=None)[0] == 1
    status, told = run(there, "together")
    assert status == 1, told
    assert "8 films" in told
    assert "7 rendered, 1 failed" in told
    assert bytes_of(there / "together") == bytes_of(there / "alone")
    assert len(bytes_of(there / "alone")) == 7
    before = {path: path.stat().st_mtime_ns for path in (there / "together").glob("*.jsonl")}
    assert "7 done before, 1 failed" in run(there, "together")[1]
    assert before == {path: path.stat().st_mtime_ns for path in (there / "together").glob("*.jsonl")}


def test_a_worker_that_is_killed_costs_nothing(there: Path) -> None:
    process = begin(there, "out")
    try:
        wait_for_a_film(there / "out", process)
        os.kill(next(workers()), signal.SIGKILL)
        _, told = process.communicate(timeout=400)
    finally:
        process.kill()
    assert "7 rendered, 1 failed" in told
    run(there, "alone", on=None)
    assert bytes_of(there / "out") == bytes_of(there / "alone")


def test_a_film_that_kills_its_workers_is_set_aside(there: Path) -> None:
    clips.cfr(there / "films" / "f3.mp4", 50, 25, clips.Video(POISON))
    status, told = run(there, "out")
    assert status == 1
    assert "6 rendered, 2 failed" in told
    assert "f3.mp4: its worker died 3 times" in " ".join(told.split())
    book = json.loads((there / "out" / "streamseg-job.json").read_text())["films"]
    [entry] = [entry for path, entry in book.items() if path.endswith("f3.mp4")]
    assert (entry["status"], "3 times" in entry["error"]) == ("failed", True)


def test_the_driver_killed_or_interrupted_goes_on_with_the_same_command(there: Path) -> None:
    process = begin(there, "out")
    try:
        wait_for_a_film(there / "out", process)
        process.kill()
        process.communicate(timeout=30)
    finally:
        process.kill()
    time.sleep(5)  # its workers end with it
    process = begin(there, "out")
    try:
        wait_for_a_film(there / "out", process)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=200)
    finally:
        process.kill()
    assert process.returncode == 130, told
    assert "the same command goes on from here" in told
    _, told = run(there, "out")
    assert "1 failed" in told
    run(there, "alone", on=None)
    assert bytes_of(there / "out") == bytes_of(there / "alone")


def test_wrong_places_explain_themselves(there: Path) -> None:
    assert "allowed: ray, the cores of this machine" in " ".join(run(there, "out", on="slurm://x")[1].split())
