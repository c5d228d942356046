"""What a run reached of what its engine could do alone, and what the machine lost meanwhile: only what was measured."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import streamseg
from streamseg.cli.display import _speed_lines
from streamseg.detect.infer import Work
from streamseg.engine import PooledEngine
from streamseg.pipeline import build
from streamseg.pipeline.speed import bare_rate, measure_speed
from streamseg.runtime import Counters
from streamseg.system import throttling
from streamseg.system.throttling import Throttling, lost_since, read_throttling
from tests import clips, graphs

NOTHING = Throttling(None, None, None)


def worked(pictures: int, seconds: float) -> SimpleNamespace:
    work = Work()
    work.add(seconds, pictures)
    return SimpleNamespace(work=work)


def counted(**busy: float) -> dict[str, Counters]:
    found = {}
    for name, seconds in busy.items():
        found[name] = Counters(name)
        found[name].busy = found[name].cpu = seconds
    return found


def test_the_bare_engine_gives_what_its_requests_give_side_by_side(tmp_path: Path) -> None:
    spec = streamseg.engine.read_spec(graphs.constant_model(tmp_path / "m.onnx"))

    def runner(images: np.ndarray) -> dict[str, np.ndarray]:
        time.sleep(0.01)
        return {name: np.zeros((1, *info.shape[1:]), info.dtype) for name, info in spec.outputs.items()}

    with PooledEngine("slow", "a bed", spec, [runner, runner], 1) as engine:
        rate = bare_rate(engine, np.zeros((1, *spec.size, 3), np.uint8), 0.15)
    assert 40 < rate <= 205


def test_the_share_counts_pictures_not_frames() -> None:
    speed = measure_speed(worked(100, 9.0), counted(decode=1.0), 10.0, live=False, dropped=0, before=NOTHING, alone=12.5)
    assert (speed.of_alone, speed.engine_busy, speed.limit) == (0.8, 0.9, "the engine, busy for 90% of the time")


@pytest.mark.parametrize(
    ("engine", "busy", "live", "dropped", "limit"),
    [
        (3.0, {"decode": 9.9, "encode film": 4.0}, False, 0, "decode, busy for 99% of the time"),
        (3.0, {"decode": 2.0, "encode film": 9.0}, False, 0, "encode film, busy for 90% of the time"),
        (3.0, {"decode": 9.9}, True, 0, "the source; the engine was busy for 30% of the time"),
        (9.9, {"decode": 9.8}, True, 7, "the engine, busy for 99% of the time"),
    ],
)
def test_what_is_busiest_is_the_limit_and_a_camera_that_is_kept_up_with_is(
    engine: float, busy: dict[str, float], live: bool, dropped: int, limit: str
) -> None:
    counters = counted(**busy)
    assert (
        measure_speed(worked(9, engine), counters, 10.0, live=live, dropped=dropped, before=NOTHING, alone=None).limit == limit
    )


def test_waiting_for_the_engine_is_not_taken_for_work() -> None:
    counters = counted(decode=2.0, infer=9.9, postprocess=9.9)
    counters["infer"].cpu = counters["postprocess"].cpu = 0.1
    speed = measure_speed(worked(9, 8.0), counters, 10.0, live=False, dropped=0, before=NOTHING, alone=None)
    assert speed.limit == "the engine, busy for 80% of the time"


def test_a_network_that_became_slower_is_told_with_its_times() -> None:
    infer = worked(0, 0.0)
    for milliseconds in (20, 20, 20, 22, 30, 30):
        for _ in range(10):
            infer.work.add(2.0, 2000 // milliseconds)
    (said,) = measure_speed(infer, counted(), 120.0, live=False, dropped=0, before=NOTHING, alone=None).slowed
    assert said == "the network took 30.3 ms a picture at the end, 20.0 ms at the beginning"


def machine(root: Path, heat: int, steal: int, limited: int) -> None:
    for number in (0, 1):
        folder = root / f"sys/devices/system/cpu/cpu{number}/thermal_throttle"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "core_throttle_count").write_text(f"{heat}\n")
    for name, text in (
        ("proc/stat", f"cpu  9 9 9 9 9 9 9 {steal} 0 0\ncpu0 1\n"),
        ("proc/self/cgroup", "0::/job\n"),
        ("sys/fs/cgroup/job/cpu.stat", f"usage_usec 5\nthrottled_usec {limited}\n"),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def test_what_the_system_counts_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttling, "_ROOT", tmp_path)
    machine(tmp_path, 3, 1000, 2_000_000)
    before = read_throttling()
    assert lost_since(before, 10.0, 2) == []
    machine(tmp_path, 5, 1600, 4_000_000)  # 600 ticks of a hundredth of a second, of 20 core seconds
    assert lost_since(before, 10.0, 2) == [
        "the processor was throttled for heat 4 times",
        "the host of this virtual machine took 30% of its cores' time for others",
        "the limit of this container stopped its threads for 10% of the time",
    ]


def test_where_nothing_is_counted_nothing_is_claimed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttling, "_ROOT", tmp_path)
    assert read_throttling() == NOTHING
    assert lost_since(NOTHING, 10.0, 2) == []


def test_a_run_says_it_and_a_moment_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film, model = clips.cfr(tmp_path / "a.mp4", 8), graphs.constant_model(tmp_path / "m.onnx")
    assert streamseg.run(film, tmp_path / "a.jsonl", model=model).speed is None
    monkeypatch.setattr(build, "LEAST_SECONDS", 0.0)
    report = streamseg.run(film, tmp_path / "b.jsonl", model=model)
    assert report.precision == "fp32"
    assert report.speed is not None
    assert report.speed.pictures == 8
    assert report.to_json()["speed"]["of_alone"] == pytest.approx(8 / report.seconds / report.speed.alone, rel=0.02, abs=0.001)
    said = next(_speed_lines(report.speed))
    assert said.startswith(f"of what the engine alone could do: {report.speed.of_alone:.2f} (it alone: ")
