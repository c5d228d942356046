"""What a run writes down: loss terms and evaluations as CSV, and for TensorBoard where that is installed."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from streamseg.errors import OutputError
from streamseg.errors.extras import how_to_install
from streamseg.system.output_files import replace_atomically

__all__ = ["Journal", "tensorboard_hint", "write_settings"]


def tensorboard_hint() -> str | None:
    """What to install for curves in a browser; None where it is installed."""
    if importlib.util.find_spec("tensorboard") is not None:
        return None
    return f"curves go to CSV files alone; for TensorBoard too: {how_to_install('tensorboard')}"


def write_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Note in settings.json what the run was made with, as plain data. Raises OutputError."""
    path = folder / "settings.json"
    try:
        replace_atomically(path, (json.dumps(settings, indent=2) + "\n").encode())
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error


class Journal:
    """The tables of a run's folder. A run that goes on from `step` forgets the rows that came after it."""

    def __init__(self, folder: Path, step: int) -> None:
        self._folder = folder
        self._board: Any = None
        for path in (folder / "losses.csv", folder / "evaluations.csv"):
            if path.exists():
                _cut(path, step)
        if tensorboard_hint() is None:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step or None)

    def losses(self, step: int, minutes: float, rate: float, values: Mapping[str, float]) -> None:
        """A row of losses.csv: the terms, averaged since the last row. Raises OutputError."""
        row = {"step": step, "minutes": f"{minutes:.2f}", "lr": f"{rate:.2e}"}
        self._append("losses.csv", row | {name: f"{value:.4f}" for name, value in values.items()})
        self._chart(step, {"lr": rate, **values}, "train")

    def evaluation(self, step: int, minutes: float, values: Mapping[str, float | None]) -> None:
        """A row of evaluations.csv, in percent. Raises OutputError."""
        row = {"step": step, "minutes": f"{minutes:.2f}"}
        self._append("evaluations.csv", row | {k: "" if v is None else f"{v:.3f}" for k, v in values.items()})
        self._chart(step, {name: value for name, value in values.items() if value is not None}, "eval")

    def close(self) -> None:
        """Write what TensorBoard still holds."""
        if self._board is not None:
            self._board.close()

    def _append(self, name: str, row: Mapping[str, Any]) -> None:
        path = self._folder / name
        try:
            with path.open("a", newline="") as file:
                writer = csv.writer(file)
                if file.tell() == 0:
                    writer.writerow(row.keys())
                writer.writerow(row.values())
        except OSError as error:
            raise OutputError(f"{path}: cannot write the log: {error.strerror or error}") from error

    def _chart(self, step: int, values: Mapping[str, float], group: str) -> None:
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(f"{group}/{name}", value, step)


def _cut(path: Path, step: int) -> None:
    """Drop the rows of later steps, and one that was half written."""
    with path.open(newline="") as file:
        head, *rows = list(csv.reader(file)) or [[]]
    kept = [row for row in rows if len(row) == len(head) and row[0].isdigit() and int(row[0]) <= step]
    text = io.StringIO()
    csv.writer(text).writerows(_nonempty([head, *kept]))
    replace_atomically(path, text.getvalue().encode())


def _nonempty(rows: Sequence[Sequence[str]]) -> list[Sequence[str]]:
    return [row for row in rows if row]
