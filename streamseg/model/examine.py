"""Evaluations within a run: when one is due, what is written of it, and which weights were the best."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamseg.model.checkpoint import write_weights
from streamseg.model.sheet import choose, write_sheet
from streamseg.model.validate import Measured, Validation
from streamseg.model.weights import ModelInfo

if TYPE_CHECKING:
    from streamseg.model.journal import Journal
    from streamseg.model.train import Trainer

__all__ = ["Examiner"]


class Examiner:
    """Writes evaluations.csv, sheets/STEP.png and best.safetensors in the run's folder; without a validation, nothing."""

    def __init__(self, validation: Validation | None, info: ModelInfo, out: Path) -> None:
        self.validation, self.info, self.out = validation, info, out
        self.best = -1.0
        self.count = 0
        self.shown = frozenset(choose(validation.photos)) if validation is not None else frozenset[int]()

    def examine(self, trainer: Trainer, journal: Journal) -> None:
        """Measure the averaged weights if that is due, as it is at the end. Raises OutputError or BadOutput."""
        count = trainer.settings.eval_every.count(trainer.step, trainer.elapsed, trainer.progress)
        if self.validation is None or (count <= self.count and trainer.progress < 1):
            return
        measured = self.validation.measure(trainer.average, trainer.settings.evaluated_size, lambda: trainer.stop)
        if measured is None:  # interrupted: the run that goes on does it again
            return
        self.count = count
        better = measured.quality > self.best
        trainer.say(f"step {trainer.step}: {_sentence(measured)}{', the best so far' if better else ''}")
        if better:
            write_weights(self.out / "best.safetensors", trainer.average, self.info)
            self.best = measured.quality
        journal.evaluation(trainer.step, trainer.elapsed / 60, measured.row())
        cases = [case for case in measured.cases if case.photo.image_id in self.shown]
        write_sheet(self.out / "sheets" / f"{trainer.step:06d}.png", cases, self.validation.categories)

    def state(self) -> dict[str, Any]:
        """What a checkpoint must hold of this."""
        return {"best": self.best, "count": self.count}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what `state` gave."""
        self.best, self.count = state["best"], state["count"]


def _sentence(measured: Measured) -> str:
    parts = []
    for kind, values in (("box", measured.box), ("mask", measured.mask)):
        ap, ap50 = ("–" if values[key] is None else f"{values[key]:.1f}" for key in ("AP", "AP50"))
        parts.append(f"{kind} AP {ap} (AP50 {ap50})")
    return ", ".join(parts)
