"""Training: a library function and `python -m streamseg.model.train`.

AdamW (Loshchilov & Hutter 2019), cosine schedule after a warm-up, gradient clipping, and an average of the
weights (EMA) that is what gets exported. The schedule follows either a number of steps or the clock; by the
clock a busy machine gives fewer steps, never a half-finished schedule. A checkpoint holds everything a run
needs to go on as if it had not stopped.
"""

from __future__ import annotations

import argparse
import copy
import csv
import math
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.image_list import ImageList

from streamseg.errors import ConfigError, StreamsegError
from streamseg.model.augment import Samples, source_weights
from streamseg.model.coco import Photo, read_coco
from streamseg.model.networks import build
from streamseg.model.weights import ModelInfo, load_weights, save_weights

TERMS = ("loss_objectness", "loss_rpn_box_reg", "loss_classifier", "loss_box_reg", "loss_mask")
CANVASES = ((320, 512), (320, 448), (384, 384), (256, 448), (448, 320))


@dataclass(slots=True)
class Settings:
    """How to train. Give `minutes` or `steps`; sizes in pixels, times in the unit of the name."""

    network: str = "lite"
    minutes: float | None = None
    steps: int | None = None
    batch: int = 4
    canvases: Sequence[tuple[int, int]] = CANVASES
    lr: float = 4e-4
    backbone_lr: float = 0.3
    """Learning rate of the backbone's body, as a multiple of `lr`."""
    weight_decay: float = 0.02
    warmup: int = 200
    clip: float = 5.0
    ema: float = 0.998
    paste: float = 0.6
    seed: int = 0
    save_every: float = 300.0
    """Seconds between checkpoints."""
    workers: int = 1
    """Processes that prepare samples."""
    replicas: int = 1
    """Parts that a batch is split into, each on a thread of its own. On few busy cores two parts with one
    arithmetic thread each do 1.4 times the work of one part with two. Exact resume needs 1: with more, the
    parts draw from one random generator in no fixed order."""
    weights: dict[str, float] = field(default_factory=dict)
    """Weight of each loss term; 1 where not named."""
    pretrained: bool = True
    start: Path | None = None
    """A weights file to fine-tune instead of starting from ImageNet."""


class Trainer:
    """One run: `run()` trains to the end of the schedule, from the checkpoint in `out` if there is one."""

    def __init__(
        self, photos: Sequence[Photo], shares: dict[str, float], info: ModelInfo, settings: Settings, out: Path
    ) -> None:
        if (settings.minutes is None) == (settings.steps is None):
            raise ConfigError("give either minutes or steps of training")
        self.settings, self.info, self.out = settings, info, out
        out.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(settings.seed)
        self.model = self._model().to(memory_format=torch.channels_last).train()
        self.average = copy.deepcopy(self.model).eval()
        self.optimizer = torch.optim.AdamW(self._groups(), lr=settings.lr)
        self.step, self.elapsed = 0, 0.0
        self.threads = ThreadPoolExecutor(settings.replicas)
        weights = source_weights(photos, shares)
        self.samples = Samples(photos, weights, settings.canvases, settings.batch, settings.seed, settings.paste)

    def _model(self) -> MaskRCNN:
        if self.settings.start is not None:
            model, info = load_weights(self.settings.start)
            if (info.network, info.classes) != (self.info.network, self.info.classes):
                raise ConfigError(f"{self.settings.start} holds {info}, not {self.info}")
            return model
        return build(self.settings.network, len(self.info.classes), self.settings.pretrained)

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
        if self.settings.steps is not None:
            return min(1.0, self.step / self.settings.steps)
        return min(1.0, self.elapsed / (60 * float(self.settings.minutes or 0)))

    def learning_rate(self) -> float:
        """Warm-up, then half a cosine from `lr` to 1 % of it."""
        warm = min(1.0, (self.step + 1) / max(1, self.settings.warmup))
        return self.settings.lr * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * self.progress)))

    def losses(self, images: Tensor, targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """Each weighted term of the loss for uint8 [B, 3, H, W] images."""
        mean = torch.tensor(self.model.transform.image_mean).view(1, 3, 1, 1)
        std = torch.tensor(self.model.transform.image_std).view(1, 3, 1, 1)
        x = ((images.float() / 255 - mean) / std).contiguous(memory_format=torch.channels_last)
        listed = ImageList(x, [(x.shape[2], x.shape[3])] * len(x))
        features = self.model.backbone(x)
        proposals, terms = self.model.rpn(listed, features, targets)
        _, more = self.model.roi_heads(features, proposals, listed.image_sizes, targets)
        both = {**terms, **more}
        return {name: both[name] * self.settings.weights.get(name, 1.0) for name in TERMS}

    def update(self, images: Tensor, targets: list[dict[str, Tensor]]) -> dict[str, float]:
        """One step of the optimiser; returns the loss terms and `skipped`, 1 when they were not finite."""
        rate = self.learning_rate()
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["scale"]
        self.optimizer.zero_grad(set_to_none=True)
        parts = self.settings.replicas
        jobs = [(images[i::parts], targets[i::parts]) for i in range(parts)]
        answers = list(self.threads.map(self._gradients, jobs)) if parts > 1 else [self._gradients(jobs[0])]
        values = {name: sum(answer[name] for answer in answers) for name in TERMS}
        finite = all(math.isfinite(value) for value in values.values())
        if finite:
            norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip)
            finite = bool(torch.isfinite(norm))
        if finite:
            self.optimizer.step()
            self._average()
        self.step += 1
        return {**values, "skipped": float(not finite)}

    def _gradients(self, job: tuple[Tensor, list[dict[str, Tensor]]]) -> dict[str, float]:
        """Add one part's gradients; returns its share of each loss term."""
        parts = self.settings.replicas
        if parts > 1:
            torch.set_num_threads(1)  # of this thread only
        terms = {name: term / parts for name, term in self.losses(*job).items()}
        total = torch.stack(list(terms.values())).sum()
        if torch.isfinite(total):
            total.backward()  # type: ignore[no-untyped-call]
        return {name: float(term.detach()) for name, term in terms.items()}

    @torch.no_grad()
    def _average(self) -> None:
        decay = min(self.settings.ema, (1 + self.step) / (10 + self.step))
        for mine, live in zip(self.average.state_dict().values(), self.model.state_dict().values(), strict=True):
            if mine.is_floating_point():
                mine.lerp_(live, 1 - decay)
            else:
                mine.copy_(live)

    def batches(self) -> Iterator[tuple[Tensor, list[dict[str, Tensor]]]]:
        """Batches from the run's current position on, without end."""
        size, first = self.settings.batch, self.step * self.settings.batch
        order = range(first, first + (1 << 31))
        loader: DataLoader[Any] = DataLoader(
            self.samples,
            batch_size=size,
            sampler=order,
            collate_fn=collate,
            num_workers=self.settings.workers,
            prefetch_factor=6 if self.settings.workers else None,
            worker_init_fn=_one_thread,
            generator=torch.Generator(),  # or making the loader would draw from the run's own generator
            # A fork would copy locks that arithmetic threads hold.
            multiprocessing_context="spawn" if self.settings.workers else None,
        )
        yield from loader

    def run(self) -> None:
        """Train to the end of the schedule, saving as it goes; `out/model.safetensors` is the average."""
        if (self.out / "checkpoint.pt").is_file():
            self.load()
        log_file = self.out / "losses.csv"
        header = not log_file.exists()
        saved = last = time.monotonic()
        with log_file.open("a", newline="") as file:
            log = csv.writer(file)
            if header:
                log.writerow(["step", "minutes", "lr", *TERMS, "skipped"])
            sums: dict[str, float] = {}
            summed = 0
            for images, targets in self.batches():
                if self.progress >= 1:
                    break
                for name, value in self.update(images, targets).items():
                    sums[name] = sums.get(name, 0.0) + value
                summed += 1
                now = time.monotonic()
                self.elapsed, last = self.elapsed + now - last, now
                if self.step % 20 == 0:
                    row = [f"{v / summed:.4f}" for v in sums.values()]
                    log.writerow([self.step, f"{self.elapsed / 60:.2f}", f"{self.learning_rate():.2e}", *row])
                    file.flush()
                    sums, summed = {}, 0
                if now - saved > self.settings.save_every:
                    self.save()
                    saved = now
        self.save()

    def save(self) -> None:
        """Write the checkpoint and the averaged weights, each whole or not at all."""
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "random": torch.get_rng_state(),
            "step": self.step,
            "elapsed": self.elapsed,
        }
        partial = self.out / "checkpoint.partial"
        torch.save(state, partial)
        partial.replace(self.out / "checkpoint.pt")
        save_weights(self.average, self.info, self.out / "model.safetensors")

    def load(self) -> None:
        """Go on from the checkpoint in `out`."""
        state = torch.load(self.out / "checkpoint.pt", map_location="cpu", weights_only=True)
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["random"])
        self.step, self.elapsed = state["step"], state["elapsed"]


def collate(rows: list[tuple[Tensor, dict[str, Tensor]]]) -> tuple[Tensor, list[dict[str, Tensor]]]:
    """Samples of one size as uint8 [B, 3, H, W] and their targets."""
    return torch.stack([image for image, _ in rows]), [target for _, target in rows]


def _one_thread(_: int) -> None:
    import cv2

    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def main(argv: Sequence[str] | None = None) -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description="Train a Mask R-CNN on COCO-format data.")
    parser.add_argument("--data", action="append", required=True, metavar="JSON[@IMAGES]")
    parser.add_argument("--share", action="append", default=[], metavar="SOURCE=PART")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=Path)
    parser.add_argument("--replicas", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--lr", type=float, default=4e-4)
    options = parser.parse_args(argv)
    photos: list[Photo] = []
    ids: list[int] | None = None
    names: list[str] = []
    for item in options.data:
        file, _, folder = item.partition("@")
        more, ids, names, bad = read_coco(Path(file), Path(folder) if folder else None, ids)
        print(f"{file}: {len(more)} photos; {bad}", flush=True)
        photos += more
    shares = {s.rpartition("=")[0]: float(s.rpartition("=")[2]) for s in options.share}
    info = ModelInfo("lite", tuple(names), tuple(ids or ()))
    settings = Settings(
        minutes=options.minutes,
        steps=options.steps,
        batch=options.batch,
        seed=options.seed,
        lr=options.lr,
        replicas=options.replicas,
        workers=options.workers,
        start=options.start,
    )
    Trainer(photos, shares, info, settings, options.out).run()


if __name__ == "__main__":
    try:
        main()
    except StreamsegError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
