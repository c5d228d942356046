"""How to train: the settings of a run, checked where they are made, and when in a run something is due."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from streamseg.errors import ConfigError
from streamseg.networks.build import NETWORKS
from streamseg.training.augment import Augmentation

__all__ = ["CANVASES", "TERMS", "Amp", "Device", "EvaluationInterval", "Settings"]

TERMS = ("loss_objectness", "loss_rpn_box_reg", "loss_classifier", "loss_box_reg", "loss_mask")
CANVASES = ((320, 512), (320, 448), (384, 384), (256, 448), (448, 320))

Amp = Literal["auto", "off", "bf16", "fp16"]
Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True, slots=True)
class EvaluationInterval:
    """A repeated point of a run: each `value` steps, minutes, or percent of the schedule."""

    value: float
    unit: Literal["steps", "minutes", "percent"]

    @classmethod
    def parse(cls, text: str) -> EvaluationInterval:
        """From "500" (steps), "10m" (minutes) or "10%" (of the schedule). Raises ConfigError."""
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(m|min|minutes|%|steps)?\s*", text)
        value = float(match[1]) if match else 0.0
        if match is None or value <= 0 or (match[2] in (None, "steps") and value % 1):
            raise ConfigError(f"{text!r} is no interval; write steps as 500, minutes as 10m, or a part of the run as 10%")
        units: dict[str, Literal["steps", "minutes", "percent"]] = {"m": "minutes", "%": "percent", "s": "steps"}
        return cls(value, units[(match[2] or "s")[0]])

    def count(self, step: int, elapsed: float, progress: float) -> int:
        """How many times it has come by this step, after so many seconds, at this part of the schedule (0 to 1)."""
        done = {"steps": step, "minutes": elapsed / 60, "percent": 100 * progress}[self.unit]
        return int(done / self.value + 1e-9)


@dataclass(slots=True)
class Settings:
    """How to train. Give one of `minutes`, `steps` and `epochs`; sizes in pixels, times in the unit of the name."""

    network: str = "lite"
    minutes: float | None = None
    steps: int | None = None
    epochs: float | None = None
    """Passes over the data: as many samples as there are photos, each."""
    batch: int = 4
    canvases: Sequence[tuple[int, int]] = CANVASES
    """(H, W) of the pictures to train on, one drawn for each batch."""
    lr: float = 4e-4
    backbone_lr: float = 0.3
    """Learning rate of the backbone's body, as a multiple of `lr`."""
    weight_decay: float = 0.02
    warmup: int = 200
    """Steps in which the rate rises from 0; at most a tenth of the run."""
    clip: float = 5.0
    ema: float = 0.998
    augmentation: Augmentation = field(default_factory=Augmentation)
    seed: int = 0
    save_every: float = 300.0
    """Seconds between checkpoints."""
    workers: int = 1
    """Processes that prepare samples; 0: none."""
    replicas: int = 1
    """Parts that a batch is split into, each on a thread of its own. On few busy cores two parts with one
    arithmetic thread each did 1.1 to 1.4 times the work of one part with two. Exact resume needs 1: with more, the
    parts draw from one random generator in no fixed order."""
    repeat: float = 0.0
    """Part of the draws towards which photos of each rarer class are raised, 0: none (`dataset.repeat_rare`)."""
    weights: dict[str, float] = field(default_factory=dict)
    """Weight of each loss term; 1 where not named."""
    pretrained: bool = True
    """Start from ImageNet weights of the body, where `start` is not given."""
    freeze: int | None = None
    """Stages of the body, after its stem, that do not learn; None: the network's usual number, 0: stem too learns."""
    class_agnostic: bool = False
    """One mask for objects of any class."""
    roi_pool: Literal["align", "pool"] = "align"
    device: Device = "auto"
    amp: Amp = "auto"
    """Types of the forward pass; auto: bf16 on a GPU that has it, fp16 on another, off on a CPU."""
    channels_last: bool = True
    nan_limit: int = 20
    """Steps in a row without a finite loss after which the run is given up."""
    eval_every: EvaluationInterval = EvaluationInterval(10, "percent")
    eval_size: tuple[int, int] | None = None
    """(H, W) of the pictures to evaluate on; None: 320x576 for the usual canvases, else the first canvas."""

    def __post_init__(self) -> None:
        lengths = {"steps": self.steps, "minutes": self.minutes, "epochs": self.epochs}
        given = {name: value for name, value in lengths.items() if value is not None}
        if len(given) != 1:
            raise ConfigError("give one of steps, minutes and epochs of training")
        _check("one of", {"network": (self.network, sorted(NETWORKS)), "roi_pool": (self.roi_pool, ["align", "pool"])})
        _check("one of", {"device": (self.device, Device), "amp": (self.amp, Amp), "loss term": (list(self.weights), TERMS)})
        above = {**given, "batch": self.batch, "lr": self.lr, "clip": self.clip, "nan_limit": self.nan_limit}
        above |= {"replicas": self.replicas, "save_every": self.save_every}
        for name, value in above.items():
            if not (math.isfinite(value) and value > 0):
                raise ConfigError(f"{name} is {value}; it must be above 0")
        for name in ("backbone_lr", "weight_decay", "warmup", "workers", "seed", "freeze"):
            if (getattr(self, name) or 0) < 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must not be negative")
        if not 0 <= self.repeat <= 1:
            raise ConfigError(f"repeat is {self.repeat}; allowed: 0 (photos as they come) to 1")
        if not 0 <= self.ema < 1:
            raise ConfigError(f"ema is {self.ema}; allowed: 0 (no average) to below 1")
        if self.replicas > self.batch:
            raise ConfigError(f"{self.replicas} replicas cannot share a batch of {self.batch}")
        sizes = [*self.canvases, *([self.eval_size] if self.eval_size else [])]
        for height, width in sizes:
            if height % 32 or width % 32 or min(height, width) < 64:
                raise ConfigError(f"size {height}x{width}: sides must be multiples of 32 from 64 on")
        if not self.canvases:
            raise ConfigError("give at least one size to train on")

    @property
    def evaluated_size(self) -> tuple[int, int]:
        """(H, W) that evaluations run at."""
        usual = tuple(self.canvases) == CANVASES
        return self.eval_size or ((320, 576) if usual else next(iter(self.canvases)))

    def total_steps(self, photos: int) -> int | None:
        """Steps of the run on so many photos; None for one that goes by the clock."""
        return math.ceil(self.epochs * photos / self.batch) if self.epochs is not None else self.steps

    def plain(self) -> dict[str, Any]:
        """All settings as plain data."""
        return asdict(self) | {"canvases": [list(size) for size in self.canvases]}


def _check(rule: str, values: dict[str, tuple[Any, Any]]) -> None:
    for name, (given, allowed) in values.items():
        choices = list(getattr(allowed, "__args__", allowed))
        for value in given if isinstance(given, list) else [given]:
            if value not in choices:
                raise ConfigError(f"{name} is {value!r}; allowed: {rule} {', '.join(choices)}")
