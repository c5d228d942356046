from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs extra `train`")

import csv
import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

from streamseg.config.training import EvaluationInterval
from streamseg.errors import OutputError
from streamseg.errors.extras import how_to_install
from streamseg.training import journal
from streamseg.training.journal import Journal, tensorboard_hint


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


@pytest.fixture
def no_tensorboard(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "tensorboard" else find(name))


@pytest.mark.usefixtures("no_tensorboard")
def test_without_tensorboard_tables_are_written_and_what_to_install_is_said(tmp_path: Path) -> None:
    assert how_to_install("tensorboard") in str(tensorboard_hint())
    log = Journal(tmp_path, 0)
    log.losses(20, 1.5, 1e-4, {"loss_mask": 0.25, "skipped": 0.0})
    log.evaluation(20, 1.5, {"mask AP": 12.3456, "mask AP dog": None})
    log.close()
    assert rows(tmp_path / "losses.csv") == [
        {"step": "20", "minutes": "1.50", "lr": "1.00e-04", "loss_mask": "0.2500", "skipped": "0.0000"}
    ]
    assert rows(tmp_path / "evaluations.csv") == [{"step": "20", "minutes": "1.50", "mask AP": "12.346", "mask AP dog": ""}]
    assert not (tmp_path / "tensorboard").exists()


@pytest.mark.usefixtures("no_tensorboard")
def test_a_run_that_goes_on_forgets_what_came_after_its_checkpoint(tmp_path: Path) -> None:
    for name in ("losses.csv", "evaluations.csv"):
        (tmp_path / name).write_text("step,x\r\n20,1\r\n40,2\r\n60,3\r\n80")
    log = Journal(tmp_path, 40)
    assert [row["step"] for row in rows(tmp_path / "losses.csv")] == ["20", "40"]
    assert [row["step"] for row in rows(tmp_path / "evaluations.csv")] == ["20", "40"]
    (tmp_path / "losses.csv").unlink()
    (tmp_path / "losses.csv").mkdir()
    with pytest.raises(OutputError, match=r"losses\.csv: cannot write the log"):
        log.losses(60, 2.0, 1e-4, {"x": 1.0})


def test_tensorboard_gets_the_same_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Writer:
        def __init__(self, folder: str, purge_step: int | None) -> None:
            self.scalars: list[tuple[str, float, int]] = []
            self.made, self.closed = (folder, purge_step), False
            writers.append(self)

        def add_scalar(self, name: str, value: float, step: int) -> None:
            self.scalars.append((name, value, step))

        def close(self) -> None:
            self.closed = True

    writers: list[Writer] = []
    stand_in: Any = types.ModuleType("torch.utils.tensorboard")
    stand_in.SummaryWriter = Writer
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", stand_in)
    monkeypatch.setattr(journal, "tensorboard_hint", lambda: None)
    log = Journal(tmp_path, 40)
    log.losses(60, 1.0, 1e-4, {"loss_mask": 0.5})
    log.evaluation(60, 1.0, {"mask AP": 3.0, "mask AP dog": None})
    log.close()
    assert writers[0].made == (str(tmp_path / "tensorboard"), 40), "curves beyond the checkpoint are dropped, too"
    assert writers[0].scalars == [("train/lr", 1e-4, 60), ("train/loss_mask", 0.5, 60), ("eval/mask AP", 3.0, 60)]
    assert writers[0].closed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("500", [0, 0, 1, 2]),
        ("500steps", [0, 0, 1, 2]),
        ("10m", [0, 1, 2, 3]),
        ("10%", [0, 2, 5, 10]),
        ("2.5 min", [0, 6, 8, 12]),
    ],
)
def test_what_is_repeated_comes_by_steps_minutes_or_part_of_the_run(text: str, expected: list[int]) -> None:
    points = [(0, 0.0, 0.0), (499, 15 * 60.0, 0.2), (500, 20 * 60.0, 0.5), (1000, 30 * 60.0, 1.0)]
    assert [EvaluationInterval.parse(text).count(*point) for point in points] == expected
