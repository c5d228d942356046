"""benchmarks/gpu_run.py: a part that hangs or fails costs the others nothing but its own time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(FOLDER))
from gpu_run import bars  # noqa: E402 - a script's own folder is where it looks

SCRIPT = """
import argparse, sys, time
sys.path.insert(0, {folder!r})
from pathlib import Path
from gpu_run import Bench
parser = argparse.ArgumentParser()
parser.add_argument("--resume", action="store_true")
parser.add_argument("--budget", type=float, default=60)
given = parser.parse_args()
bench = Bench(argparse.Namespace(device="cpu", quick=True, json=Path("out.json"), eval=None, no_tests=True, only="",
                                 budget=given.budget, resume=given.resume))
bench.part("prepare", 0, lambda: bench.row(what="floor", ms=1.5))
bench.part("fails", 0, lambda: 1 / 0)
bench.part("hangs", 0, lambda: time.sleep(100), 0.5)
bench.part("works", 0, lambda: {{"answer": 42}})
bench.part("takes too long", 1000, lambda: 1)
print("done", sorted(bench.resumed))
"""


def test_what_hangs_or_fails_does_not_end_the_run(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(folder=str(FOLDER)))
    done = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "done ['fails', 'hangs', 'prepare']" in done.stdout
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["works"] == {"answer": 42}
    assert found["rows"] == [{"what": "floor", "ms": 1.5}], "what every process has to do again is in the table once"
    problems = found["problems"]
    assert problems["fails"] == "ZeroDivisionError: division by zero"
    assert problems["hangs"] == "did not end within 0.5 s"
    assert problems["takes too long"].startswith("left out: ")
    assert set(problems) == {"fails", "hangs", "takes too long"}


def test_the_bars_compare_what_belongs_together():
    def engine(name: str, batch: int, ms: float) -> dict[str, object]:
        return {"what": "engine", "network": "r", "engine": name, "precision": "fp16", "batch": batch, "ms": ms}

    def whole(of_engine: float, **more: object) -> dict[str, object]:
        row = {"what": "end to end", "network": "r", "engine": "tensorrt", "batch": 8, "picture": "1080p", "streams": 1}
        return row | {"frames": "on the GPU", "encoded": "no", "of_engine": of_engine} | more

    rows = [
        {"what": "floor", "network": "r", "batch": 1, "ms": 1.0},
        {"what": "floor", "network": "r", "batch": 8, "ms": 6.0},
        {"what": "floor", "network": "other", "batch": 8, "ms": 60.0},
        {"what": "torch eager", "network": "r", "batch": 1, "ms": 7.0},
        {"what": "stage", "picture": "720p", "stage": "preprocess", "ms": 0.1},
        engine("tensorrt", 8, 10.0),
        engine("tensorrt", 1, 3.5),
        engine("torch", 1, 7.0),
        whole(0.95),
        whole(0.5, streams=8),
        whole(0.5, frames="in host memory"),
    ]
    found = [(bar["value"], bar["passed"]) for bar in bars(rows)]
    assert found == [(0.6, True), (2.0, False), (0.95, True)], "half the floor; 3 times torch, not against itself; end to end"
