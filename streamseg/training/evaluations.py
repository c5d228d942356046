"""Evaluates a run's weights before it begins and as it goes on, keeps the best, and tells at the end whether the run helped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from streamseg.config.training import Settings
from streamseg.networks.weights import WeightsInfo
from streamseg.training.checkpoint import write_weights
from streamseg.training.predictions import choose_photos, write_predictions
from streamseg.training.validate import Measured, Validation

if TYPE_CHECKING:
    from streamseg.training.journal import Journal

__all__ = ["Evaluator", "TrainingRun"]


APART = 20
"""Least number of steps between two evaluations, unless the user gave a number: else a short run would do little else."""


class TrainingRun(Protocol):
    """What an evaluation needs of a training run; `train.Trainer` is one."""

    settings: Settings
    average: Any
    """The network with its averaged weights."""
    step: int
    elapsed: float
    """Seconds."""
    stop: bool
    """True: the run is to end."""

    @property
    def progress(self) -> float:
        """Share of the schedule that is done."""

    def on_message(self, message: str) -> None:
        """Hear a sentence for the user."""


class Evaluator:
    """Writes evaluations.csv, predictions/STEP.png and best.safetensors into the run's folder; without a validation nothing."""

    def __init__(self, validation: Validation | None, info: WeightsInfo, out: Path) -> None:
        self.validation, self.info, self.out = validation, info, out
        self.first: float | None = None
        """Quality of the weights that the run starts from, percent; None: not measured."""
        self.best = -1.0
        self.kind = "mask AP"
        """What quality is, in this data."""
        self.count = 0
        self.last = 0
        """The step of the last evaluation."""
        self.shown = frozenset(choose_photos(validation.photos)) if validation is not None else frozenset[int]()

    def begin(self, trainer: TrainingRun, journal: Journal) -> None:
        """Measure the weights that the run starts from, before its first step. Raises OutputError or BadOutput."""
        if self.validation is not None and trainer.step == 0 and self.first is None:
            self._measure(trainer, journal, self.validation)

    def evaluate(self, trainer: TrainingRun, journal: Journal) -> None:
        """Measure the averaged weights if an evaluation is due or the run is at its end. Raises OutputError or BadOutput."""
        every = trainer.settings.eval_every
        count = every.count(trainer.step, trainer.elapsed, trainer.progress)
        early = every.unit != "steps" and trainer.step - self.last < APART
        if self.validation is None or ((count <= self.count or early) and trainer.progress < 1):
            return
        if self._measure(trainer, journal, self.validation):
            self.count = count

    def _measure(self, trainer: TrainingRun, journal: Journal, validation: Validation) -> bool:
        """Measure, tell the user, write and remember; False if it was interrupted: then a resumed run does it again."""
        measured = validation.measure(trainer.average, trainer.settings.evaluated_size, lambda: trainer.stop)
        if measured is None:
            return False
        self.last, self.kind = trainer.step, measured.kind
        trainer.on_message(f"{_when(trainer.step)}: {_sentence(measured)}{self._place(measured.quality)}")
        if self.first is None and trainer.step == 0:
            self.first = measured.quality
        if measured.quality > self.best:
            write_weights(self.out / "best.safetensors", trainer.average, self.info)
            self.best = measured.quality
        journal.evaluation(trainer.step, trainer.elapsed / 60, measured.row())
        cases = [case for case in measured.cases if case.photo.image_id in self.shown]
        write_predictions(self.out / "predictions" / f"{trainer.step:06d}.png", cases, validation.categories)
        return True

    def _place(self, quality: float) -> str:
        if self.best < 0:
            return ""
        return ", the best so far" if quality > self.best else f", not above the best ({self.best:.1f})"

    def verdict(self) -> str | None:
        """Whether the run has helped; None where that was not measured."""
        if self.first is None:
            return None
        if self.best > self.first:
            gain = self.best - self.first
            return f"it helped: {self.kind} on --val rose by {gain:.1f}, from {self.first:.1f} to {self.best:.1f}"
        return (
            f"it did not help: on --val nothing was above the {self.kind} of {self.first:.1f} that it started from, and "
            "best.safetensors holds the weights it started from; try more steps, a lower --lr, or more pictures"
        )

    def state(self) -> dict[str, Any]:
        """What a checkpoint must hold of this."""
        return {"first": self.first, "best": self.best, "count": self.count, "last": self.last, "kind": self.kind}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave. Checkpoints of earlier versions hold only `best` and `count`."""
        self.best, self.count = state["best"], state["count"]
        self.first, self.last, self.kind = state.get("first"), state.get("last", 0), state.get("kind", self.kind)


def _when(step: int) -> str:
    return f"step {step}" if step else "before the first step"


def _sentence(measured: Measured) -> str:
    parts = []
    for kind, values in (("box", measured.box), ("mask", measured.mask)):
        ap, ap50 = ("–" if values[key] is None else f"{values[key]:.1f}" for key in ("AP", "AP50"))
        parts.append(f"{kind} AP {ap} (AP50 {ap50})")
    return ", ".join(parts)
