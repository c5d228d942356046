"""benchmarks/gpu_run.py: a part that hangs or fails costs the others nothing but its own time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
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
