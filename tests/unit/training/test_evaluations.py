"""When a run measures, what it says of it, and which weights it keeps."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs extra `train`")

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from streamseg.config.training import EvaluationInterval
from streamseg.networks.weights import WeightsInfo
from streamseg.training import evaluations
from streamseg.training.evaluations import Evaluator
from streamseg.training.validate import Measured

INFO = WeightsInfo("lite", ("car",), (3,))


class Run:
    """A trainer whose weights are as good as it is told, and the evaluator of its evaluations."""

    def __init__(
        self, out: Path, monkeypatch: pytest.MonkeyPatch, qualities: list[float], every: str, masks: bool = True
    ) -> None:
        self.said: list[str] = []
        self.kept: list[int] = []
        self.measured: list[int] = []
        qualities = list(qualities)

        def measure(*_: Any) -> Measured:
            self.measured.append(self.trainer.step)
            value = qualities.pop(0)
            values = {"AP": value, "AP50": value, "per_class": {}}
            return Measured(values, values if masks else {"AP": None, "AP50": None, "per_class": {}}, ())

        monkeypatch.setattr(evaluations, "write_weights", lambda *_: self.kept.append(self.trainer.step))
        monkeypatch.setattr(evaluations, "write_predictions", lambda *_: None)
        validation: Any = SimpleNamespace(measure=measure, photos=[], categories={1: "car"})
        self.evaluator = Evaluator(validation, INFO, out)
        settings = SimpleNamespace(eval_every=EvaluationInterval.parse(every), evaluated_size=(64, 96))
        self.trainer: Any = SimpleNamespace(
            step=0, elapsed=0.0, progress=0.0, settings=settings, average=None, on_message=self.said.append, stop=False
        )
        self.journal: Any = SimpleNamespace(evaluation=lambda *_: None)

    def go(self, steps: int) -> Run:
        self.evaluator.begin(self.trainer, self.journal)
        for step in range(1, steps + 1):
            self.trainer.step, self.trainer.progress = step, step / steps
            self.evaluator.evaluate(self.trainer, self.journal)
        return self


@pytest.mark.parametrize(
    ("steps", "every", "expected"),
    [
        (3, "10%", [0, 3]),
        (50, "10%", [0, 20, 40, 50]),
        (400, "10%", list(range(0, 401, 40))),
        (6, "2", [0, 2, 4, 6]),
    ],
)
def test_a_run_measures_first_then_now_and_then_and_last(
    steps: int, every: str, expected: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Run(tmp_path, monkeypatch, [1.0] * 99, every).go(steps).measured == expected


def test_it_says_by_how_much_it_helped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(tmp_path, monkeypatch, [16.04, 15.0, 21.5], "2").go(4)
    assert run.said == [
        "before the first step: box AP 16.0 (AP50 16.0), mask AP 16.0 (AP50 16.0)",
        "step 2: box AP 15.0 (AP50 15.0), mask AP 15.0 (AP50 15.0), not above the best (16.0)",
        "step 4: box AP 21.5 (AP50 21.5), mask AP 21.5 (AP50 21.5), the best so far",
    ]
    assert run.kept == [0, 4]
    assert run.evaluator.verdict() == "it helped: mask AP on --val rose by 5.5, from 16.0 to 21.5"


def test_what_nothing_beat_is_kept_and_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(tmp_path, monkeypatch, [16.0, 15.0, 16.0], "2", masks=False).go(4)
    assert run.kept == [0], "the weights it started from"
    assert "it did not help: on --val nothing was above the box AP of 16.0 that it started from" in str(run.evaluator.verdict())
    assert "holds the weights it started from" in str(run.evaluator.verdict())


def test_a_run_that_goes_on_knows_where_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Run(tmp_path, monkeypatch, [10.0, 12.0], "2").go(2)
    second = Run(tmp_path, monkeypatch, [11.0], "2")
    second.evaluator.restore(first.evaluator.state())
    second.trainer.step = 2
    second.evaluator.begin(second.trainer, second.journal)
    assert second.measured == []
    assert second.evaluator.verdict() == "it helped: mask AP on --val rose by 2.0, from 10.0 to 12.0"
    second.evaluator.restore({"best": 9.0, "count": 1})
    assert second.evaluator.verdict() is None, "a checkpoint of an earlier version"


LEAVING = """
import sys, threading, time, torch
from multiprocessing.reduction import ForkingPickler
import torch.multiprocessing
from streamseg.training.dataset import _begin_worker

def hand_over():
    while True:
        ForkingPickler.dumps(torch.zeros(1, 3, 320, 448))

_begin_worker(0)
threading.Thread(target=hand_over, daemon=True).start()
time.sleep(0.2)
print("left", end="")
"""


def test_a_sampling_process_ends_well_while_it_hands_samples_over() -> None:
    """Without `_begin_worker`'s care it ends by SIGABRT, "terminate called without an active exception"."""
    done = subprocess.run([sys.executable, "-c", LEAVING], capture_output=True, text=True, check=False, timeout=110)
    assert (done.returncode, done.stdout, done.stderr) == (0, "left", "")
