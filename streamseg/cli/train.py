"""The verb `streamseg train`."""

from __future__ import annotations

import contextlib
import difflib
import inspect
import os
import signal
from collections.abc import Callable, Iterator
from functools import partial
from inspect import Parameter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from streamseg.config.shell import options_of
from streamseg.config.training import Augmentation, Settings, numbers, read_settings
from streamseg.errors import ConfigError

if TYPE_CHECKING:
    from streamseg.cli.training import TrainingScreen
    from streamseg.datasets.coco import DataFile, TrainingData
    from streamseg.training.train import Trainer
    from streamseg.training.validate import Validation

PANELS = ("Data", "Length and output", "Network", "Learning", "Augmentation", "Machine")
"""Of `--help`, in order. The settings of a run and their help are declared in `config.training`, the command's own options here."""

_data, _length, _network, _, _, _machine = (partial(typer.Option, rich_help_panel=panel) for panel in PANELS)


def _from_file(context: typer.Context, path: Path | None) -> Path | None:
    """Take options that are not given from a YAML file, its keys named as they are. Raises ConfigError with file:line."""
    if path is None:
        return None
    from streamseg.config.load import parse_yaml, read_yaml
    from streamseg.config.section import Section

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


def _with_settings(function: Callable[..., None]) -> Callable[..., None]:
    """Let a command take the settings as options, too. Its own come first in each panel, those behind `*` last."""
    own = inspect.signature(function, eval_str=True).parameters.values()
    options = []
    for shell in (*options_of(Settings), *options_of(Augmentation)):
        declared = typer.Option(*shell.flags, help=shell.help, metavar=shell.metavar, rich_help_panel=shell.panel)
        kind = Annotated[shell.type, declared]  # type: ignore[name-defined]  # known only here
        options.append(Parameter(shell.name, Parameter.KEYWORD_ONLY, default=shell.default, annotation=kind))
    first = [each.replace(kind=Parameter.KEYWORD_ONLY) for each in own if each.kind is Parameter.POSITIONAL_OR_KEYWORD]
    last = [each for each in own if each.kind is Parameter.KEYWORD_ONLY]
    in_order = sorted([*first, *options, *last], key=lambda each: PANELS.index(get_args(each.annotation)[1].rich_help_panel))
    function.__signature__ = inspect.Signature(in_order)  # type: ignore[attr-defined]
    return function


@_with_settings
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
    start: Annotated[
        str | None,
        _network(metavar="MODEL|FILE", help="Weights to fine-tune: a name that `streamseg models` lists, or a file."),
    ] = None,
    *,
    resume: Annotated[bool, _length("--resume", help="Continue from the checkpoint in --out, if there is one.")] = False,
    eval_limit: Annotated[int | None, _length(min=1, help="Use at most so many photos of each --val.")] = None,
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
    **written: Any,
) -> None:
    """Train or fine-tune a model on COCO-format data; then `streamseg export` it.

    An interrupt saves a checkpoint; the same command with --resume continues from there.
    """
    from streamseg.cli.training import TrainingScreen
    from streamseg.training.checkpoint import check_folder
    from streamseg.training.train import Trainer

    settings = read_settings(written, _design(start))
    shares = numbers(share or (), "--share")
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


def _design(start: str | None) -> dict[str, Any]:
    """The network and its options that the weights to start from have; empty without any."""
    from streamseg.training.start import info_of

    if start is None:
        return {}
    info = info_of(start)
    return {"network": info.network, "class_agnostic": info.class_agnostic_masks, "roi_pool": info.roi_pool}


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
