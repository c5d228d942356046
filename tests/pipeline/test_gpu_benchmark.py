"""benchmarks/gpu.py is for a machine that CI has not: its dry run on the CPU shows that the script itself works."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu.py"


@pytest.mark.timeout(300)
def test_the_dry_run_measures_every_part_and_says_what_it_is(tmp_path):
    parts = "engine lite torch 2|eager lite 1|stages|end to end lite (tiny 1|encoded)"
    command = [sys.executable, str(SCRIPT), "--device", "cpu", "--quick", "--no-tests", "--json", "gpu.json", "--only", parts]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert found["problems"] == {}
    assert found["smoke"]
    assert "SMOKE" in done.stdout
    assert "bars" in found
    assert found["bars"] == [], "figures of a dry run are held against no bar"
    rows = {what: [row for row in found["rows"] if row["what"] == what] for what in ("floor", "engine", "stage", "end to end")}
    assert [row["batch"] for row in rows["floor"]] == [1, 2]
    assert rows["floor"][1]["gflops"] == pytest.approx(2 * rows["floor"][0]["gflops"], rel=0.01)
    assert rows["engine"][0]["agreement"]["same_row_and_label"] == 1.0
    assert {"preprocess to 64x96", "composite, 1 instances"} <= {row["stage"] for row in rows["stage"]}
    assert [row["encoded"] for row in rows["end to end"]] == ["no", "yes"]
    assert all(row["fps"] > 0 for row in rows["end to end"])


def test_without_a_gpu_it_says_so(tmp_path):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is one")
    done = subprocess.run([sys.executable, str(SCRIPT)], cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 2
    assert "no GPU that torch can use here" in done.stderr
