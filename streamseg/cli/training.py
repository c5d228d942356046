"""What a person sees of a training run in the terminal; all of it on stderr but the last line, the file of the result."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

from streamseg.training.journal import tensorboard_hint

if TYPE_CHECKING:
    from streamseg.datasets.coco import TrainingData
    from streamseg.training.train import Trainer
    from streamseg.training.validate import Validation

__all__ = ["TrainingScreen"]

QUIET_SECONDS = 60.0
"""Between two lines of progress where there is no terminal."""


class TrainingScreen:
    """Progress in the terminal: a bar where somebody watches, else a line now and then."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._bar: Progress | None = None
        self._task: Any = None
        self._spoken = time.monotonic()

    def on_message(self, message: str) -> None:
        """One line."""
        self._console.print(escape(message), soft_wrap=True)

    @contextlib.contextmanager
    def reading(self) -> Iterator[Any]:
        """A bar of pictures looked at; None where nobody watches."""
        if not self._console.is_terminal:
            yield None
            return
        columns = (TextColumn("looking at the photos"), BarColumn(24), MofNCompleteColumn())
        with Progress(*columns, console=self._console, transient=True) as bar:
            task = bar.add_task("", total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)

    def data(self, data: TrainingData) -> None:
        """What there is to learn from, and what was wrong with it."""
        table = Table("class", "objects", "with mask", title=f"{len(data.photos)} photos", title_justify="left")
        for name, (objects, masks) in data.objects().items():
            table.add_row(escape(name), str(objects), str(masks))
        self._console.print(table)
        ignored = data.ignored()
        if ignored:
            self.on_message(f"{ignored} regions are ignored: marked iscrowd, or doubtful")
        if data.faults.kinds:
            table = Table(
                "fault", "count", "for example", title=f"faults in the data: {data.faults.total}", title_justify="left"
            )
            for kind, fault in data.faults.kinds.items():
                table.add_row(escape(kind), str(fault.count), escape("; ".join(fault.examples)))
            self._console.print(table)

    def begin(self, trainer: Trainer, validation: Validation | None) -> None:
        """What will be done."""
        for sentence in (*trainer.origin, *(validation.warnings if validation is not None else ())):
            self.on_message(sentence)
        length = f"{trainer.total} steps" if trainer.total is not None else f"{trainer.settings.minutes:g} minutes"
        types = "" if trainer.precision.amp == "off" else f" in {trainer.precision.amp}"
        self.on_message(
            f"{length} of {trainer.settings.batch} pictures on {trainer.precision.device}{types}; into {trainer.out}"
        )
        if (hint := tensorboard_hint()) is not None:
            self.on_message(hint)

    @contextlib.contextmanager
    def bar(self, trainer: Trainer) -> Iterator[None]:
        """Show how the run goes on."""
        if not self._console.is_terminal:
            yield
            return
        terms = TextColumn("{task.description}", markup=False, table_column=Column(ratio=1, no_wrap=True))
        columns = (TaskProgressColumn(), BarColumn(6), TimeRemainingColumn(elapsed_when_finished=True), terms)
        with Progress(*columns, console=self._console, expand=True) as self._bar:
            self._task = self._bar.add_task("", total=100, completed=int(100 * trainer.progress))
            yield
        self._bar = None

    def on_step(self, trainer: Trainer, values: Mapping[str, float]) -> None:
        """A step is done."""
        text = _terms(trainer.step, values)
        if self._bar is not None:
            self._bar.update(self._task, completed=100 * trainer.progress, description=text)
        elif time.monotonic() - self._spoken > QUIET_SECONDS:
            self._spoken = time.monotonic()
            left = trainer.elapsed / 60 * (1 / max(trainer.progress, 1e-6) - 1)
            self.on_message(f"{100 * trainer.progress:.0f} %, {left:.0f} min left: step {text}")

    def finish(self, trainer: Trainer) -> None:
        """Where the result is, and what to do with it."""
        best = trainer.out / "best.safetensors"
        weights = best if best.exists() else trainer.out / "model.safetensors"
        if (verdict := trainer.evaluator.verdict()) is not None:
            self.on_message(verdict)
        self.on_message(
            f"{trainer.step} steps in {trainer.elapsed / 60:.1f} minutes; to run it: streamseg models import {weights}"
        )
        print(weights)
        sys.stdout.flush()


SHORT = {
    "loss_objectness": "obj",
    "loss_rpn_box_reg": "rpn",
    "loss_classifier": "cls",
    "loss_box_reg": "box",
    "loss_mask": "mask",
}


def _terms(step: int, values: Mapping[str, float]) -> str:
    parts = " ".join(f"{short} {values[name]:.2f}" for name, short in SHORT.items())
    loss = sum(values[name] for name in SHORT)
    return f"{step} loss {loss:.2f}: {parts}" + (", skipped" if values["skipped"] else "")
