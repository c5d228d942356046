"""How to train: the settings of a run, checked where they are made, and how each is given to `streamseg train`.

A setting's help, its flag and how a person writes it stand with the setting (`config.shell`): the command line is made of this. It
is light, so that `--help` need not wait for torch.
"""

# ruff: noqa: RUF009 - the calls in defaults make fields
from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, Literal

from streamseg.config.shell import option, read_fields
from streamseg.core.sizes import read_size
from streamseg.errors import ConfigError

__all__ = [
    "CANVASES",
    "TERMS",
    "Amp",
    "Augmentation",
    "Device",
    "EvaluationInterval",
    "Settings",
    "numbers",
    "read_settings",
]

TERMS = ("loss_objectness", "loss_rpn_box_reg", "loss_classifier", "loss_box_reg", "loss_mask")
CANVASES = ((320, 512), (320, 448), (384, 384), (256, 448), (448, 320))

Amp = Literal["auto", "off", "bf16", "fp16"]
Device = Literal["auto", "cpu", "cuda"]


_data = partial(option, "Data")
_length = partial(option, "Length and output")
_network = partial(option, "Network")
_learning = partial(option, "Learning")
_pictures = partial(option, "Augmentation")
_machine = partial(option, "Machine")


def _size(text: str) -> tuple[int, int]:
    try:
        return read_size(text)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def numbers(texts: Sequence[str], option: str) -> dict[str, float]:
    """Of NAME=NUMBER texts. Raises ConfigError, which names the option."""
    answer: dict[str, float] = {}
    for text in texts:
        name, equals, value = text.rpartition("=")
        try:
            answer[name] = float(value)
        except ValueError:
            equals = ""
        if not equals:
            raise ConfigError(f"{option} {text!r}: write NAME=NUMBER")
    return answer


def _range(text: str) -> tuple[float, float]:
    low, _, high = text.partition(":")
    try:
        return float(low), float(high or low)
    except ValueError as error:
        raise ConfigError(f"--scale {text!r}: write LOW:HIGH, as 0.7:2") from error


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


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How samples differ from their photos. Probabilities from 0 to 1."""

    scale: tuple[float, float] = _pictures(
        (0.7, 2.0), "Range of random scaling.", metavar="LOW:HIGH", typed="0.7:2", read=_range
    )
    """Range of the size, as a multiple of that which fits the canvas."""
    flip: float = _pictures(0.5, "Probability of mirroring a picture.")
    centre: float = 0.5
    """Probability that an object of the photo is near the middle of the canvas."""
    paste: float = _pictures(0.6, "Probability of copy-paste.")
    """Of objects of other photos."""
    paste_most: int = _pictures(4, "Most objects to paste into a picture.")
    paste_power: float = _pictures(0.5, "Classes to paste: 1: as frequent as in the data; 0: all equally often.")
    """They are drawn by their number of objects to this power."""
    colour: float = _pictures(1.0, "Strength of random colour changes, 0 to 2.")
    """Of brightness, balance and saturation."""
    low_resolution: float = 0.15
    """Probability of a loss of detail by shrinking."""
    jpeg: float = 0.1
    """Probability of strong JPEG compression."""

    def __post_init__(self) -> None:
        low, high = self.scale
        if not 0.01 <= low <= high <= 20:
            raise ConfigError(f"scale {low:g}-{high:g}: the range must lie within 0.01 and 20, the smaller end first")
        for name in ("flip", "centre", "paste", "low_resolution", "jpeg"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is {getattr(self, name):g}; a probability lies between 0 and 1")
        if not 0 <= self.paste_power <= 1:
            raise ConfigError(f"paste_power is {self.paste_power:g}; allowed: 0 (classes all alike) to 1 (as they come)")
        if not 0 <= self.colour <= 2 or self.paste_most < 1:
            raise ConfigError(f"colour is {self.colour:g} (allowed: 0 to 2), paste_most {self.paste_most} (allowed: 1 or more)")

    @classmethod
    def none(cls) -> Augmentation:
        """The photos as they are, fitted to the canvas."""
        return cls((1.0, 1.0), flip=0, centre=0, paste=0, colour=0, low_resolution=0, jpeg=0)


@dataclass(slots=True)
class Settings:
    """How to train. Give one of `epochs`, `steps` and `minutes`; sizes in pixels, times in the unit of the name."""

    network: str = _network(
        "lite",
        "lite, mobilenetv3-fpn, resnet50-fpn, resnet50-fpn-v2, resnet50-c4 (default: that of --start, or lite).",
        typed=None,
    )
    pretrained: bool = _network(
        True, "Without --start: begin with ImageNet or random weights.", flags=("--pretrained/--random",)
    )
    freeze: int | None = _network(None, "Stages of the backbone to freeze; 0: train its stem, too.", metavar="STAGES")
    """After its stem; None: the network's usual number."""
    learn: Literal["all", "masks"] = _network(
        "all", "masks: only the mask branch learns, in half of the time; boxes and classes stay.", metavar="all|masks", type=str
    )
    class_agnostic: bool = _network(
        False,
        "One mask per object, or one for each class.",
        flags=("--class-agnostic/--class-specific",),
        typed=None,
    )
    roi_pool: Literal["align", "pool"] = _network(
        "align", "RoIAlign, or RoIPool (cannot be exported).", metavar="align|pool", typed=None, type=str
    )
    repeat: float = _data(0.0, "Draw photos of classes rarer than this part (0 to 1) more often.", metavar="PART")
    """As `dataset.repeat_rare` does; 0: photos as they come."""
    epochs: float | None = _length(None, "Length of the run, in passes over the data.")
    """As many samples as there are photos, each."""
    steps: int | None = _length(None, "Length of the run, in steps of the optimiser.")
    minutes: float | None = _length(None, "Length of the run, in minutes.")
    save_every: float = _length(300.0, "Seconds between checkpoints.", metavar="SECONDS")
    eval_every: EvaluationInterval = _length(
        EvaluationInterval(10, "percent"),
        "Evaluate every N steps, N minutes, or N percent of the run.",
        metavar="N|Nm|N%",
        typed="10%",
        read=EvaluationInterval.parse,
    )
    eval_size: tuple[int, int] | None = _length(None, "Picture size in evaluations.", metavar="HxW", type=str, read=_size)
    """(H, W); None: 320x576 for the usual canvases, else the first canvas."""
    batch: int = _learning(4, "Pictures per step.")
    canvases: Sequence[tuple[int, int]] = _learning(
        CANVASES,
        "Picture size. If you give several, each step draws one.",
        name="size",
        metavar="HxW",
        typed=None,
        type=list[str],
        read=lambda texts: tuple(map(_size, texts)),
    )
    """(H, W) of the pictures to train on, one drawn for each batch."""
    lr: float = _learning(4e-4, "Highest learning rate.")
    backbone_lr: float = _learning(0.3, "Learning rate of the backbone, as a multiple of --lr.")
    warmup: int = _learning(200, "Steps in which the learning rate rises from 0.")
    """At most a tenth of the run."""
    weight_decay: float = _learning(0.02, "Weight decay of AdamW.")
    ema: float = _learning(0.998, "Decay of the moving average of the weights; 0: no average.")
    weights: dict[str, float] = _learning(
        dict,
        "Weight of a loss term, as loss_mask=2.",
        name="weight",
        metavar="TERM=W",
        typed=None,
        type=list[str],
        read=lambda texts: numbers(texts, "--weight"),
    )
    """1 where not named."""
    seed: int = _learning(0, "Seed of random weights and samples.")
    augmentation: Augmentation = field(default_factory=Augmentation)
    device: Device = _machine("auto", "Where to train.", metavar="auto|cpu|cuda", type=str)
    amp: Amp = _machine("auto", "Mixed precision; auto: only on a GPU.", metavar="auto|off|bf16|fp16", type=str)
    """Types of the forward pass; auto: bf16 on a GPU that has it, fp16 on another, off on a CPU."""
    workers: int = _machine(1, "Processes that prepare samples; 0: none.")
    replicas: int = _machine(1, "Split each batch into so many parts, computed in parallel.")
    """On a thread each. On few busy cores two parts with one arithmetic thread each did 1.1 to 1.4 times the work of one part with
    two. Exact resume needs 1: with more, the parts draw from one random generator in no fixed order."""
    clip: float = 5.0
    """The longest gradient; a longer one is shortened."""
    channels_last: bool = True
    nan_limit: int = 20
    """Steps in a row without a finite loss after which the run is given up."""

    def __post_init__(self) -> None:
        lengths = {"steps": self.steps, "minutes": self.minutes, "epochs": self.epochs}
        given = {name: value for name, value in lengths.items() if value is not None}
        if len(given) != 1:
            raise ConfigError("give one of steps, minutes and epochs of training")
        from streamseg.networks.build import NETWORKS  # takes seconds: not for --help

        _check("one of", {"network": (self.network, sorted(NETWORKS)), "roi_pool": (self.roi_pool, ["align", "pool"])})
        _check("one of", {"learn": (self.learn, ["all", "masks"])})
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


def read_settings(written: Mapping[str, Any], usual: Mapping[str, Any]) -> Settings:
    """The settings that options of `streamseg train` mean; None: not given. `usual` gives others than the defaults.

    Raises ConfigError.
    """
    values = dict(usual) | read_fields(Settings, written)
    return Settings(**values, augmentation=Augmentation(**read_fields(Augmentation, written)))
