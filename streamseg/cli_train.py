"""The verb `streamseg train`."""

from __future__ import annotations

import contextlib
import difflib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streamseg.errors import ConfigError

if TYPE_CHECKING:
    from streamseg.model.augment import Augmentation
    from streamseg.model.coco import DataFile, TrainingData
    from streamseg.model.screen import TrainingScreen
    from streamseg.model.settings import Settings
    from streamseg.model.train import Trainer
    from streamseg.model.validate import Validation

DATA, LENGTH, NETWORK, LEARNING = "Data", "Length and output", "Network", "Learning"
PICTURES, MACHINE = "Augmentation", "Machine"


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
        list[str],
        typer.Option(metavar="JSON[@IMAGES]", help="COCO-format annotations, and their pictures.", rich_help_panel=DATA),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the run.", rich_help_panel=LENGTH)],
    val: Annotated[
        list[str] | None,
        typer.Option(metavar="JSON[@IMAGES]", help="Data to evaluate on, never learnt from.", rich_help_panel=DATA),
    ] = None,
    classes: Annotated[
        str | None, typer.Option(help="Classes to learn, as person,car; all of the data.", rich_help_panel=DATA)
    ] = None,
    one_class: Annotated[
        str | None, typer.Option(metavar="NAME", help="Take all these objects as one class of this name.", rich_help_panel=DATA)
    ] = None,
    crowds: Annotated[
        str, typer.Option(metavar="ignore|objects", help="What `iscrowd` means; CVAT's brush: objects.", rich_help_panel=DATA)
    ] = "ignore",
    bad_data: Annotated[
        str, typer.Option(metavar="skip|refuse", help="What to do about faults in the data.", rich_help_panel=DATA)
    ] = "skip",
    share: Annotated[
        list[str] | None,
        typer.Option(metavar="SOURCE=PART", help="Part of the samples from photos of that `source`.", rich_help_panel=DATA),
    ] = None,
    repeat: Annotated[
        float, typer.Option(metavar="PART", help="Draw rare classes' photos more often, towards it.", rich_help_panel=DATA)
    ] = 0.0,
    epochs: Annotated[float | None, typer.Option(help="Passes over the data.", rich_help_panel=LENGTH)] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of the optimiser.", rich_help_panel=LENGTH)] = None,
    minutes: Annotated[float | None, typer.Option(help="By the clock.", rich_help_panel=LENGTH)] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint in --out, if there is one.", rich_help_panel=LENGTH)
    ] = False,
    save_every: Annotated[float, typer.Option(metavar="SECONDS", help="Between checkpoints.", rich_help_panel=LENGTH)] = 300.0,
    eval_every: Annotated[
        str, typer.Option(metavar="N|Nm|N%", help="Evaluate each N steps, minutes, or percent.", rich_help_panel=LENGTH)
    ] = "10%",
    eval_size: Annotated[str | None, typer.Option(metavar="HxW", help="Picture size of it.", rich_help_panel=LENGTH)] = None,
    eval_limit: Annotated[int | None, typer.Option(min=1, help="Photos of each --val at most.", rich_help_panel=LENGTH)] = None,
    network: Annotated[
        str | None,
        typer.Option(
            help="lite, mobilenetv3-fpn, resnet50-fpn, resnet50-fpn-v2, resnet50-c4; default: that of --start, or lite.",
            rich_help_panel=NETWORK,
        ),
    ] = None,
    start: Annotated[
        str | None, typer.Option(metavar="MODEL|FILE", help="Weights to fine-tune: lite, or a file.", rich_help_panel=NETWORK)
    ] = None,
    pretrained: Annotated[
        bool,
        typer.Option("--pretrained/--random", help="Without --start: ImageNet weights of the body.", rich_help_panel=NETWORK),
    ] = True,
    freeze: Annotated[
        int | None, typer.Option(metavar="STAGES", help="Stages of the body that stay as they are.", rich_help_panel=NETWORK)
    ] = None,
    class_agnostic: Annotated[
        bool | None,
        typer.Option("--class-agnostic/--class-specific", help="One mask for objects of any class.", rich_help_panel=NETWORK),
    ] = None,
    roi_pool: Annotated[
        str | None, typer.Option(metavar="align|pool", help="RoIAlign or RoIPool.", rich_help_panel=NETWORK)
    ] = None,
    batch: Annotated[int, typer.Option(help="Pictures in a step.", rich_help_panel=LEARNING)] = 4,
    size: Annotated[
        list[str] | None,
        typer.Option(metavar="HxW", help="Picture size; of several, one is drawn each step.", rich_help_panel=LEARNING),
    ] = None,
    lr: Annotated[float, typer.Option(help="Highest learning rate.", rich_help_panel=LEARNING)] = 4e-4,
    backbone_lr: Annotated[float, typer.Option(help="That of the body, as a part of --lr.", rich_help_panel=LEARNING)] = 0.3,
    warmup: Annotated[int, typer.Option(help="Steps of rising rate.", rich_help_panel=LEARNING)] = 200,
    weight_decay: Annotated[float, typer.Option(rich_help_panel=LEARNING)] = 0.02,
    ema: Annotated[float, typer.Option(help="Decay of the weights' average; 0: none.", rich_help_panel=LEARNING)] = 0.998,
    weight: Annotated[
        list[str] | None,
        typer.Option(metavar="TERM=W", help="Weight of a loss term, as loss_mask=2.", rich_help_panel=LEARNING),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of weights and samples.", rich_help_panel=LEARNING)] = 0,
    scale: Annotated[str, typer.Option(metavar="LOW:HIGH", help="Large-scale jitter.", rich_help_panel=PICTURES)] = "0.7:2",
    flip: Annotated[float, typer.Option(help="Probability of mirroring.", rich_help_panel=PICTURES)] = 0.5,
    paste: Annotated[float, typer.Option(help="Probability of copy-paste.", rich_help_panel=PICTURES)] = 0.6,
    paste_most: Annotated[int, typer.Option(help="Objects pasted at most.", rich_help_panel=PICTURES)] = 4,
    paste_power: Annotated[
        float, typer.Option(help="Pasted classes: 1 as they come, 0 all alike.", rich_help_panel=PICTURES)
    ] = 0.5,
    colour: Annotated[float, typer.Option(help="Strength of colour changes.", rich_help_panel=PICTURES)] = 1.0,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda", rich_help_panel=MACHINE)] = "auto",
    amp: Annotated[
        str, typer.Option(metavar="auto|off|bf16|fp16", help="Mixed precision; auto: on a GPU.", rich_help_panel=MACHINE)
    ] = "auto",
    workers: Annotated[int, typer.Option(help="Processes that make samples; 0: none.", rich_help_panel=MACHINE)] = 1,
    replicas: Annotated[int, typer.Option(help="Parts of a batch computed in parallel.", rich_help_panel=MACHINE)] = 1,
    threads: Annotated[int, typer.Option(help="CPU threads of torch; 0: its choice.", rich_help_panel=MACHINE)] = 0,
    _settings: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE.yaml",
            is_eager=True,
            callback=_from_file,
            help="Options from a file, as `epochs: 30`; those given here go before.",
            rich_help_panel=LENGTH,
        ),
    ] = None,
) -> None:
    """Train or fine-tune a model on COCO-format data; then `streamseg export` it.

    An interrupt saves a checkpoint; the same command with --resume goes on from there.
    """
    from streamseg.model.checkpoint import check_folder
    from streamseg.model.screen import TrainingScreen
    from streamseg.model.settings import CANVASES, Every, Settings
    from streamseg.model.train import Trainer

    given = _design(network, class_agnostic, roi_pool, start)
    given |= {"epochs": epochs, "steps": steps, "minutes": minutes, "batch": batch}
    given |= {"canvases": tuple(map(_size, size)) if size else CANVASES, "lr": lr, "backbone_lr": backbone_lr, "warmup": warmup}
    given |= {"weight_decay": weight_decay, "ema": ema, "weights": _numbers(weight, "--weight"), "seed": seed, "repeat": repeat}
    given |= {"augmentation": _augmentation(scale, flip, paste, paste_most, paste_power, colour), "save_every": save_every}
    given |= {"workers": workers, "replicas": replicas, "pretrained": pretrained, "freeze": freeze}
    given |= {"device": device, "amp": amp, "eval_every": Every.parse(eval_every)}
    settings = Settings(**given, eval_size=_size(eval_size) if eval_size else None)
    shares = _numbers(share, "--share")
    screen = TrainingScreen()
    with _removed_if_refused(out):
        check_folder(out, resume)  # before the data, which may take minutes to read
        _threads(threads)
        loaded = _read(screen, data, classes, {"one_class": one_class, "crowds": crowds, "bad_data": bad_data})
        validation = _validation(val, loaded, settings, {"one_class": one_class, "crowds": crowds, "limit": eval_limit})
        trainer = Trainer(loaded, settings, out, start=start, shares=shares, validation=validation, watch=screen)
    screen.begin(trainer, validation)
    with _stopped_by_signals(trainer) as signals, screen.bar(trainer):
        trainer.run(resume)
    if signals and trainer.progress < 1:
        screen.say(f"stopped at step {trainer.step}; go on with the same command and --resume")
        raise typer.Exit(128 + signals[0])
    screen.finish(trainer)


def _design(network: str | None, class_agnostic: bool | None, roi_pool: str | None, start: str | None) -> dict[str, Any]:
    """The network and its options: as given, else those of the weights to start from."""
    from streamseg.model.start import info_of

    given = {"network": network, "class_agnostic": class_agnostic, "roi_pool": roi_pool}
    usual: dict[str, Any] = {"network": "lite", "class_agnostic": False, "roi_pool": "align"}
    if start is not None:
        info = info_of(start)
        usual = {"network": info.network, "class_agnostic": info.class_agnostic_masks, "roi_pool": info.roi_pool}
    return {name: usual[name] if value is None else value for name, value in given.items()}


def _size(text: str) -> tuple[int, int]:
    height, x, width = text.lower().partition("x")
    if not (x and height.isdigit() and width.isdigit()):
        raise ConfigError(f"size {text!r}: write HEIGHTxWIDTH, as 320x512")
    return int(height), int(width)


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
    from streamseg.model.augment import Augmentation

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
    from streamseg.model.coco import DataFile

    return [DataFile.parse(text) for text in texts]


def _read(screen: TrainingScreen, data: list[str], classes: str | None, options: dict[str, Any]) -> TrainingData:
    """The training data, shown as a table of what there is and what is wrong with it."""
    from streamseg.model.coco import read_data

    names = [name.strip() for name in classes.split(",") if name.strip()] if classes is not None else None
    with screen.reading() as tick:
        loaded = read_data(_files(data), names, **options, tick=tick)
    screen.data(loaded)
    return loaded


def _validation(val: list[str] | None, data: TrainingData, settings: Settings, options: dict[str, Any]) -> Validation | None:
    from streamseg.model.validate import Validation
    from streamseg.model.weights import ModelInfo

    if not val:
        return None
    info = ModelInfo(settings.network, data.classes, data.category_ids)
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
    received: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    if before[signal.SIGHUP] == signal.SIG_IGN:  # nohup's wish
        del before[signal.SIGHUP]

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
