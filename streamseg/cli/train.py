"""The verb `streamseg train`."""

from __future__ import annotations

import contextlib
import difflib
import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streamseg.errors import ConfigError

if TYPE_CHECKING:
    from streamseg.cli.training import TrainingScreen
    from streamseg.datasets.coco import DataFile, TrainingData
    from streamseg.training.augment import Augmentation
    from streamseg.training.settings import Settings
    from streamseg.training.train import Trainer
    from streamseg.training.validate import Validation

# Options, by the panel of `--help` that shows them.
_data = partial(typer.Option, rich_help_panel="Data")
_length = partial(typer.Option, rich_help_panel="Length and output")
_network = partial(typer.Option, rich_help_panel="Network")
_learning = partial(typer.Option, rich_help_panel="Learning")
_pictures = partial(typer.Option, rich_help_panel="Augmentation")
_machine = partial(typer.Option, rich_help_panel="Machine")


def _from_file(context: typer.Context, path: Path | None) -> Path | None:
    """Take options that are not given from a YAML file, its keys named as they are. Raises ConfigError with file:line."""
    if path is None:
        return None
    from streamseg.config.load import parse_yaml, read_yaml
    from streamseg.config.schema import Section

    data, tree = parse_yaml(read_yaml(path, "settings file"), str(path), Section)
    lines = {key.value: key.start_mark.line + 1 for key, _ in tree.value} if tree is not None else {}
    options = {option.name: option for option in context.command.params if option.name not in ("_settings", "help", None)}
    context.default_map = {}
    for key, value in data.items():
        name = str(key).replace("-", "_")
        if name not in options:
            close = difflib.get_close_matches(name, map(str, options), n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise ConfigError(f"{path}:{lines.get(key, 1)}: unknown option {key!r}{hint} (see streamseg train --help)")
        repeatable = getattr(options[name], "multiple", False)
        values = value if isinstance(value, list) else [value]
        context.default_map[name] = values if repeatable else ",".join(map(str, values)) if isinstance(value, list) else value
    return path


def train(
    data: Annotated[
        list[str], _data(metavar="JSON[@IMAGES]", help="Annotations in COCO's format, and the folder of their pictures.")
    ],
    out: Annotated[Path, _length(help="Folder to write the run to.")],
    val: Annotated[list[str] | None, _data(metavar="JSON[@IMAGES]", help="Data to evaluate on; not used for training.")] = None,
    classes: Annotated[str | None, _data(help="Classes to learn, as person,car. Default: all in the data.")] = None,
    one_class: Annotated[str | None, _data(metavar="NAME", help="Treat all objects as one class with this name.")] = None,
    crowds: Annotated[
        str, _data(metavar="ignore|objects", help="How to treat `iscrowd`; CVAT's brush needs objects.")
    ] = "ignore",
    bad_data: Annotated[str, _data(metavar="skip|refuse", help="Leave faulty data out, or stop.")] = "skip",
    share: Annotated[
        list[str] | None,
        _data(metavar="SOURCE=PART", help="Part of the samples (0 to 1) to take from photos with this `source`."),
    ] = None,
    repeat: Annotated[
        float, _data(metavar="PART", help="Draw photos of classes rarer than this part (0 to 1) more often.")
    ] = 0.0,
    epochs: Annotated[float | None, _length(help="Length of the run, in passes over the data.")] = None,
    steps: Annotated[int | None, _length(help="Length of the run, in steps of the optimiser.")] = None,
    minutes: Annotated[float | None, _length(help="Length of the run, in minutes.")] = None,
    resume: Annotated[bool, _length("--resume", help="Continue from the checkpoint in --out, if there is one.")] = False,
    save_every: Annotated[float, _length(metavar="SECONDS", help="Seconds between checkpoints.")] = 300.0,
    eval_every: Annotated[
        str, _length(metavar="N|Nm|N%", help="Evaluate every N steps, N minutes, or N percent of the run.")
    ] = "10%",
    eval_size: Annotated[str | None, _length(metavar="HxW", help="Picture size in evaluations.")] = None,
    eval_limit: Annotated[int | None, _length(min=1, help="Use at most so many photos of each --val.")] = None,
    network: Annotated[
        str | None,
        _network(help="lite, mobilenetv3-fpn, resnet50-fpn, resnet50-fpn-v2, resnet50-c4 (default: that of --start, or lite)."),
    ] = None,
    start: Annotated[
        str | None,
        _network(metavar="MODEL|FILE", help="Weights to fine-tune: a name that `streamseg models` lists, or a file."),
    ] = None,
    pretrained: Annotated[
        bool, _network("--pretrained/--random", help="Without --start: begin with ImageNet or random weights.")
    ] = True,
    freeze: Annotated[
        int | None, _network(metavar="STAGES", help="Stages of the backbone to freeze; 0: train its stem, too.")
    ] = None,
    class_agnostic: Annotated[
        bool | None, _network("--class-agnostic/--class-specific", help="One mask per object, or one for each class.")
    ] = None,
    roi_pool: Annotated[str | None, _network(metavar="align|pool", help="RoIAlign, or RoIPool (cannot be exported).")] = None,
    batch: Annotated[int, _learning(help="Pictures per step.")] = 4,
    size: Annotated[
        list[str] | None, _learning(metavar="HxW", help="Picture size. If you give several, each step draws one.")
    ] = None,
    lr: Annotated[float, _learning(help="Highest learning rate.")] = 4e-4,
    backbone_lr: Annotated[float, _learning(help="Learning rate of the backbone, as a multiple of --lr.")] = 0.3,
    warmup: Annotated[int, _learning(help="Steps in which the learning rate rises from 0.")] = 200,
    weight_decay: Annotated[float, _learning(help="Weight decay of AdamW.")] = 0.02,
    ema: Annotated[float, _learning(help="Decay of the moving average of the weights; 0: no average.")] = 0.998,
    weight: Annotated[list[str] | None, _learning(metavar="TERM=W", help="Weight of a loss term, as loss_mask=2.")] = None,
    seed: Annotated[int, _learning(help="Seed of random weights and samples.")] = 0,
    scale: Annotated[str, _pictures(metavar="LOW:HIGH", help="Range of random scaling.")] = "0.7:2",
    flip: Annotated[float, _pictures(help="Probability of mirroring a picture.")] = 0.5,
    paste: Annotated[float, _pictures(help="Probability of copy-paste.")] = 0.6,
    paste_most: Annotated[int, _pictures(help="Most objects to paste into a picture.")] = 4,
    paste_power: Annotated[
        float, _pictures(help="Classes to paste: 1: as frequent as in the data; 0: all equally often.")
    ] = 0.5,
    colour: Annotated[float, _pictures(help="Strength of random colour changes, 0 to 2.")] = 1.0,
    device: Annotated[str, _machine(metavar="auto|cpu|cuda", help="Where to train.")] = "auto",
    amp: Annotated[str, _machine(metavar="auto|off|bf16|fp16", help="Mixed precision; auto: only on a GPU.")] = "auto",
    workers: Annotated[int, _machine(help="Processes that prepare samples; 0: none.")] = 1,
    replicas: Annotated[int, _machine(help="Split each batch into so many parts, computed in parallel.")] = 1,
    threads: Annotated[int, _machine(help="CPU threads of torch; 0: torch chooses.")] = 0,
    _settings: Annotated[
        Path | None,
        _length(
            "--config",
            metavar="FILE.yaml",
            is_eager=True,
            callback=_from_file,
            help="File with options, as `epochs: 30`. The command line overrides it.",
        ),
    ] = None,
) -> None:
    """Train or fine-tune a model on COCO-format data; then `streamseg export` it.

    An interrupt saves a checkpoint; the same command with --resume continues from there.
    """
    from streamseg.cli.training import TrainingScreen
    from streamseg.training.checkpoint import check_folder
    from streamseg.training.settings import CANVASES, EvaluationInterval, Settings
    from streamseg.training.train import Trainer

    given = _design(network, class_agnostic, roi_pool, start)
    given |= {"epochs": epochs, "steps": steps, "minutes": minutes, "batch": batch}
    given |= {"canvases": tuple(map(_size, size)) if size else CANVASES, "lr": lr, "backbone_lr": backbone_lr, "warmup": warmup}
    given |= {"weight_decay": weight_decay, "ema": ema, "weights": _numbers(weight, "--weight"), "seed": seed, "repeat": repeat}
    given |= {"augmentation": _augmentation(scale, flip, paste, paste_most, paste_power, colour), "save_every": save_every}
    given |= {"workers": workers, "replicas": replicas, "pretrained": pretrained, "freeze": freeze}
    given |= {"device": device, "amp": amp, "eval_every": EvaluationInterval.parse(eval_every)}
    settings = Settings(**given, eval_size=_size(eval_size) if eval_size else None)
    shares = _numbers(share, "--share")
    screen = TrainingScreen()
    with _removed_if_refused(out):
        check_folder(out, resume)  # before the data, which may take minutes to read
        _threads(threads)
        loaded = _read(screen, data, classes, {"one_class": one_class, "crowds": crowds, "bad_data": bad_data})
        validation = _validation(val, loaded, settings, {"one_class": one_class, "crowds": crowds, "limit": eval_limit})
        trainer = Trainer(loaded, settings, out, start=start, shares=shares, validation=validation, observer=screen)
    screen.begin(trainer, validation)
    with _stopped_by_signals(trainer) as signals, screen.bar(trainer):
        trainer.run(resume)
    if signals and trainer.progress < 1:
        screen.on_message(f"stopped at step {trainer.step}; go on with the same command and --resume")
        raise typer.Exit(128 + signals[0])
    screen.finish(trainer)


def _design(network: str | None, class_agnostic: bool | None, roi_pool: str | None, start: str | None) -> dict[str, Any]:
    """The network and its options: as given, else those of the weights to start from."""
    from streamseg.training.start import info_of

    given = {"network": network, "class_agnostic": class_agnostic, "roi_pool": roi_pool}
    usual: dict[str, Any] = {"network": "lite", "class_agnostic": False, "roi_pool": "align"}
    if start is not None:
        info = info_of(start)
        usual = {"network": info.network, "class_agnostic": info.class_agnostic_masks, "roi_pool": info.roi_pool}
    return {name: usual[name] if value is None else value for name, value in given.items()}


def _size(text: str) -> tuple[int, int]:
    from streamseg.core.sizes import read_size

    try:
        return read_size(text)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _numbers(texts: list[str] | None, option: str) -> dict[str, float]:
    """NAME=NUMBER options."""
    answer: dict[str, float] = {}
    for text in texts or []:
        name, equals, value = text.rpartition("=")
        try:
            answer[name] = float(value)
        except ValueError:
            equals = ""
        if not equals:
            raise ConfigError(f"{option} {text!r}: write NAME=NUMBER")
    return answer


def _augmentation(scale: str, flip: float, paste: float, paste_most: int, paste_power: float, colour: float) -> Augmentation:
    from streamseg.training.augment import Augmentation

    low, _, high = scale.partition(":")
    try:
        ends = float(low), float(high or low)
    except ValueError as error:
        raise ConfigError(f"--scale {scale!r}: write LOW:HIGH, as 0.7:2") from error
    return Augmentation(scale=ends, flip=flip, paste=paste, paste_most=paste_most, paste_power=paste_power, colour=colour)


def _threads(count: int) -> None:
    import torch

    if count > 0:
        torch.set_num_threads(count)


def _files(texts: list[str]) -> list[DataFile]:
    from streamseg.datasets.coco import DataFile

    return [DataFile.parse(text) for text in texts]


def _read(screen: TrainingScreen, data: list[str], classes: str | None, options: dict[str, Any]) -> TrainingData:
    """The training data, shown as a table of what there is and what is wrong with it."""
    from streamseg.datasets.coco import read_data

    names = [name.strip() for name in classes.split(",") if name.strip()] if classes is not None else None
    with screen.reading() as on_progress:
        loaded = read_data(_files(data), names, **options, on_progress=on_progress)
    screen.data(loaded)
    return loaded


def _validation(val: list[str] | None, data: TrainingData, settings: Settings, options: dict[str, Any]) -> Validation | None:
    from streamseg.networks.weights import WeightsInfo
    from streamseg.training.validate import Validation

    if not val:
        return None
    info = WeightsInfo(settings.network, data.classes, data.category_ids)
    return Validation(_files(val), info, **options)


@contextlib.contextmanager
def _removed_if_refused(folder: Path) -> Iterator[None]:
    """Leave no empty folder of a run that did not begin."""
    there = folder.exists()
    try:
        yield
    except BaseException:
        if not there:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


@contextlib.contextmanager
def _stopped_by_signals(trainer: Trainer) -> Iterator[list[int]]:
    """The first SIGINT, SIGTERM or SIGHUP ends the run after the step under way; a second one at once."""
    from streamseg.runtime.process import ending_signals

    received: list[int] = []
    before = {number: signal.getsignal(number) for number in ending_signals()}

    def handle(number: int, _frame: Any) -> None:
        received.append(number)
        trainer.stop = True
        for each in before:
            signal.signal(each, signal.SIG_DFL)
        with contextlib.suppress(OSError):  # the terminal may be gone
            os.write(2, b"\nending after this step, with a checkpoint; again to give up at once\n")

    for number in before:
        signal.signal(number, handle)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
