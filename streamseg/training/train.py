"""Training: `streamseg train` as a library.

AdamW (Loshchilov & Hutter 2019), a cosine schedule after a warm-up, gradient clipping, and an average of the
weights (EMA), which is what gets evaluated and exported. The schedule follows a number of steps or the clock. By
the clock, a busy machine does fewer steps, but always the whole schedule. A checkpoint holds everything a run
needs to go on as if it had not stopped.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torchvision.models.detection.image_list import ImageList

from streamseg.config.training import TERMS, Settings
from streamseg.datasets.coco import TrainingData
from streamseg.errors import BadOutput, ConfigError, EngineError, OutputError
from streamseg.networks.weights import WeightsInfo
from streamseg.training import checkpoint
from streamseg.training.dataset import Batch, Samples, Target, batches, repeat_rare, source_weights
from streamseg.training.evaluations import Evaluator
from streamseg.training.freeze import freeze, freeze_but_masks
from streamseg.training.journal import Journal, write_settings
from streamseg.training.precision import Precision
from streamseg.training.start import begin
from streamseg.training.validate import Validation, normalise

__all__ = ["TERMS", "Settings", "Trainer", "TrainingObserver"]

ROW_STEPS = 20  # that one row of losses.csv averages


class TrainingObserver(Protocol):
    """Hears how a training run goes on; `cli.training.TrainingScreen` is one."""

    def on_message(self, message: str) -> None:
        """A sentence for the user."""

    def on_step(self, trainer: Trainer, values: Mapping[str, float]) -> None:
        """A step is done. `values`: its loss terms by name."""


class Trainer:
    """One run in the folder `out`: `run()` trains to the end of the schedule, or until `stop` is set.

    Writes checkpoint.pt, model.safetensors (the averaged weights), losses.csv and, with a `validation`,
    evaluations.csv, best.safetensors and predictions/*.png. Raises ConfigError or ModelError for what does not fit.
    """

    def __init__(
        self,
        data: TrainingData,
        settings: Settings,
        out: Path,
        *,
        start: str | None = None,
        shares: Mapping[str, float] | None = None,
        validation: Validation | None = None,
        observer: TrainingObserver | None = None,
    ) -> None:
        if not any(photo.objects for photo in data.photos):
            raise ConfigError(
                "the data have no object to learn; if iscrowd is set on all of them, as CVAT does with brush masks, give "
                "--crowds objects"
            )
        self.settings, self.out, self.observer = settings, out, observer
        names = data.classes, data.category_ids
        self.info = WeightsInfo(settings.network, *names, settings.class_agnostic, settings.roi_pool)
        self.precision = Precision(settings.device, settings.amp)
        torch.manual_seed(settings.seed)
        model, self.origin = begin(self.info, start, settings.pretrained)
        self.info = replace(self.info, score_threshold=float(model.roi_heads.score_thresh))  # where scores were calibrated
        self.origin += _shared(data, validation)
        freeze(model, settings.freeze)
        self.layout = torch.channels_last if settings.channels_last else torch.contiguous_format
        self.model = model.to(self.precision.device, memory_format=self.layout).train()
        if settings.learn == "masks":
            freeze_but_masks(self.model)
        self.precision.prepare(self.model)
        self.average = copy.deepcopy(self.model).eval()
        self.optimizer = torch.optim.AdamW(self._groups(), lr=settings.lr)
        self.total = settings.total_steps(len(data.photos))
        self.evaluator = Evaluator(validation, self.info, out)
        self.step, self.elapsed, self.saved_step = 0, 0.0, 0
        self.stop = False
        self._bad_steps = 0
        self._lost: OutputError | None = None
        self.threads = ThreadPoolExecutor(settings.replicas)
        weights = source_weights(data.photos, shares or {})
        if settings.repeat:
            weights = repeat_rare(data.photos, weights, settings.repeat)
        self.samples = Samples(data.photos, weights, settings.canvases, settings.batch, settings.seed, settings.augmentation)

    def _groups(self) -> list[dict[str, Any]]:
        """Parameter groups: the body learns slower; norms and biases do not decay."""
        groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
        for name, parameter in self.model.named_parameters():
            if parameter.requires_grad:
                key = (".body." in name, parameter.dim() > 1)
                groups.setdefault(key, []).append(parameter)
        return [
            {
                "params": parameters,
                "scale": self.settings.backbone_lr if body else 1.0,
                "weight_decay": self.settings.weight_decay if decays else 0.0,
            }
            for (body, decays), parameters in groups.items()
        ]

    @property
    def progress(self) -> float:
        """Part of the schedule that is done, 0 to 1."""
        if self.total is not None:
            return min(1.0, self.step / self.total)
        return min(1.0, self.elapsed / (60 * float(self.settings.minutes or 0)))

    def learning_rate(self) -> float:
        """Warm-up, then half a cosine from `lr` to 1 % of it."""
        warm = min(1.0, max((self.step + 1) / max(1, self.settings.warmup), 10 * self.progress))
        return self.settings.lr * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * self.progress)))

    def losses(self, images: Tensor, targets: list[Target]) -> dict[str, Tensor]:
        """Each weighted term of the loss for uint8 [B, 3, H, W] images."""
        x = normalise(self.model, images).contiguous(memory_format=self.layout)
        listed = ImageList(x, [(x.shape[2], x.shape[3])] * len(x))
        with self.precision.autocast():
            features = self.model.backbone(x)
            if self.settings.learn == "masks":
                terms = dict.fromkeys(TERMS, x.new_zeros(()))
                more = {"loss_mask": self.model.roi_heads.mask_loss_alone(features, listed.image_sizes, targets)}
            else:
                proposals, terms = self.model.rpn(listed, features, targets)
                _, more = self.model.roi_heads(features, proposals, listed.image_sizes, targets)
        both = {**terms, **more}
        return {name: both[name].float() * self.settings.weights.get(name, 1.0) for name in TERMS}

    def update(self, images: Tensor, targets: list[Target]) -> dict[str, float]:
        """One step of the optimiser; returns the loss terms and `skipped`, 1 when they were not finite."""
        rate = self.learning_rate()
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["scale"]
        self.optimizer.zero_grad(set_to_none=True)
        parts = self.settings.replicas
        images, targets = self.precision.moved(images, targets)
        jobs = [(images[i::parts], targets[i::parts]) for i in range(parts)]
        answers = list(self.threads.map(self._gradients, jobs)) if parts > 1 else [self._gradients(jobs[0])]
        values = {name: sum(answer[name] for answer in answers) for name in TERMS}
        done = all(map(math.isfinite, values.values())) and self.precision.step(
            self.optimizer, self.model.parameters(), self.settings.clip
        )
        self.step += 1
        if done:
            self._average()
        else:
            self._restore_statistics()
        return {**values, "skipped": float(not done)}

    def _gradients(self, job: Batch) -> dict[str, float]:
        """Add one part's gradients; returns its share of each loss term."""
        parts = self.settings.replicas
        if parts > 1:
            torch.set_num_threads(1)  # of this thread only
        terms = {name: term / parts for name, term in self.losses(*job).items()}
        total = torch.stack(list(terms.values())).sum()
        if torch.isfinite(total):
            self.precision.backward(total)
        return {name: float(term.detach()) for name, term in terms.items()}

    @torch.no_grad()
    def _average(self) -> None:
        decay = min(self.settings.ema, self.step / (9 + self.step))
        for mine, live in zip(self.average.state_dict().values(), self.model.state_dict().values(), strict=True):
            if mine.is_floating_point():
                mine.lerp_(live, 1 - decay)
            else:
                mine.copy_(live)

    @torch.no_grad()
    def _restore_statistics(self) -> None:
        """Replace batch norm's running statistics, which a forward pass that is not finite spoils, by those of the average."""
        for mine, live in zip(self.average.buffers(), self.model.buffers(), strict=True):
            if live.is_floating_point() and not bool(torch.isfinite(live).all()):
                live.copy_(mine)

    def run(self, resume: bool = False) -> None:
        """Train to the end of the schedule or until `stop`, saving, logging and evaluating as it goes.

        `resume`: go on from the checkpoint in `out`, if there is one. Raises OutputExists where there is one and it was not
        asked for, OutputError when the last checkpoint could not be written, BadOutput when the loss stays not finite, EngineError
        when a GPU's memory is full, StageError when a sampling process was killed.
        """
        if checkpoint.check_folder(self.out, resume):
            self.load()
        journal = Journal(self.out, self.step)
        write_settings(self.out, self.settings.plain() | {"classes": self.info.classes, "start": self.origin})
        try:
            self._train(journal)
            self.save()
        finally:
            journal.close()
        if self._lost is not None:
            raise self._lost

    def _train(self, journal: Journal) -> None:
        self._or_said(lambda: self.evaluator.begin(self, journal))  # before the clock that a run by minutes goes by
        saved = last = time.monotonic()
        sums: dict[str, float] = {}
        count = 0
        first, pin = self.step * self.settings.batch, self.precision.device.type == "cuda"
        for images, targets in batches(self.samples, first, self.settings.workers, pin):
            if self.stop or self.progress >= 1:
                break
            values = self._update_or_say_why(images, targets)
            self._refuse_nonsense(values)
            sums, count = {name: sums.get(name, 0.0) + value for name, value in values.items()}, count + 1
            now = time.monotonic()
            self.elapsed, last = self.elapsed + now - last, now
            if self.observer is not None:
                self.observer.on_step(self, values)
            if self.step % ROW_STEPS == 0:
                self._log(journal, sums, count)
                sums, count = {}, 0
            if now - saved > self.settings.save_every:
                self.save()
                saved = now
            self._or_said(lambda: self.evaluator.evaluate(self, journal))
        if sums:
            self._log(journal, sums, count)

    def _log(self, journal: Journal, sums: Mapping[str, float], count: int) -> None:
        means = {name: value / count for name, value in sums.items()}
        self._or_said(lambda: journal.losses(self.step, self.elapsed / 60, self.learning_rate(), means))

    def _or_said(self, write: Callable[[], None]) -> None:
        """Do `write`; if the disk is full for a while, tell the user and let the run go on."""
        try:
            write()
        except OutputError as error:
            self.on_message(f"{error}; the run goes on")

    def _update_or_say_why(self, images: Tensor, targets: list[Target]) -> dict[str, float]:
        try:
            return self.update(images, targets)
        except torch.OutOfMemoryError as error:
            raise EngineError("the GPU's memory is full: give a smaller --batch or --size, or --amp bf16") from error

    def _refuse_nonsense(self, values: Mapping[str, float]) -> None:
        self._bad_steps = self._bad_steps + 1 if values["skipped"] else 0
        if self._bad_steps >= self.settings.nan_limit:
            where = f"the checkpoint of step {self.saved_step} is kept" if self.saved_step else "no checkpoint was written yet"
            raise BadOutput(
                f"the loss was not finite in {self._bad_steps} steps in a row, up to step {self.step}: try a lower --lr; {where}"
            )

    def on_message(self, message: str) -> None:
        """Hand a message to the observer, if there is one."""
        if self.observer is not None:
            self.observer.on_message(message)

    def save(self) -> None:
        """Write the checkpoint and the averaged weights, each whole or not at all; a failure is said and remembered."""
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "precision": self.precision.state(),
            "step": self.step,
            "elapsed": self.elapsed,
            "bad_steps": self._bad_steps,
            "examiner": self.evaluator.state(),  # the key that checkpoints on disk have
            "settings": self._identity(),
        }
        try:
            checkpoint.write_checkpoint(self.out / checkpoint.FILE, state)
            checkpoint.write_weights(self.out / "model.safetensors", self.average, self.info)
        except OutputError as lost:
            kept = f"that of step {self.saved_step} is kept" if self.saved_step else "there is none yet"
            self.on_message(f"{lost}; {kept}")
            self._lost = lost
            return
        self._lost, self.saved_step = None, self.step

    def load(self) -> None:
        """Go on from the checkpoint in `out`. Raises ModelError if it is damaged, ConfigError if it is of another run."""
        state = checkpoint.read_checkpoint(self.out / checkpoint.FILE)
        must = ("network", "classes", "class_agnostic", "roi_pool", "freeze", "learn")
        for sentence in checkpoint.check_same(state["settings"], self._identity(), must):
            self.on_message(f"{sentence}: the run goes on, but not as it would have")
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.precision.restore(state["precision"])
        self.step = self.saved_step = state["step"]
        self.elapsed, self._bad_steps = state["elapsed"], state["bad_steps"]
        self.evaluator.restore(state["examiner"])

    def _identity(self) -> dict[str, Any]:
        """What a run must keep to go on as it would have."""
        passing = ("workers", "save_every", "eval_every", "eval_size", "nan_limit", "pretrained")
        kept = {name: value for name, value in self.settings.plain().items() if name not in passing}
        return kept | {"classes": list(self.info.classes), "photos": len(self.samples.photos)}


def _shared(data: TrainingData, validation: Validation | None) -> list[str]:
    """A warning where photos are both learnt from and evaluated on."""
    learnt = {photo.path.resolve() for photo in data.photos}
    both = sum(photo.path.resolve() in learnt for photo in validation.photos) if validation is not None else 0
    return [f"{both} photos to evaluate on are also learnt from: the figures will flatter"] if both else []
