"""The verbs about models: `streamseg models`, `models pull`, `models import`, `models remove`, and `streamseg export`."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Column, Table

from streamseg.cli.help import Command, Group

if TYPE_CHECKING:
    from streamseg.system import callbacks

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
NetworkOption = Annotated[
    str | None, typer.Option(help="Network of the checkpoint, as resnet50-fpn. Default: found from its tensors.")
]
ClassesOption = Annotated[str | None, typer.Option(help="Names of its classes, as person,car; needed if the file has none.")]
EpsOption = Annotated[
    float | None,
    typer.Option(help="Epsilon of the frozen batch norm in training. Default: 0 for COCO's 91 labels, otherwise 1e-5."),
]

FamilyOption = Annotated[
    str | None, typer.Option(help="What an .onnx file of another program is, as yolo-seg. Default: found from the file.")
]

app = typer.Typer(cls=Group, help="List models, download published ones, import your own.", invoke_without_command=True)


@app.callback()
def list_(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the models that are here, and those that can be downloaded."""
    if context.invoked_subcommand is not None:
        return
    rows = _rows()
    if as_json:
        print(json.dumps(rows, indent=2))
    else:
        _table(rows)


@app.command(cls=Command)
def pull(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="resnet50-fpn, resnet50-fpn-v2, or imagenet-BACKBONE for training.")
    ],
    url: Annotated[str, typer.Option(help="Another address to download from: the .pth file, or a folder that has it.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Download it again, even if it is here.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Print nothing but errors.")] = False,
) -> None:
    """Download a published model. An interrupted download continues."""
    from streamseg.cli.display import Screen
    from streamseg.hub.pretrained import pull as fetch

    screen = Screen(quiet=quiet)
    try:
        with _bytes(quiet, screen.say) as steps:
            path = fetch(name, url=url, force=force, on_progress=steps, on_message=screen.say)
    except KeyboardInterrupt:
        screen.say("interrupted; the same command goes on from here")
        raise typer.Exit(130) from None
    screen.say(f"{name}: {path}" + (f"; run it: streamseg run SOURCE --model {name}" if path.stem == name else ""))


@app.command("import", cls=Command)
def import_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A .pth, .pt or .safetensors checkpoint, or an .onnx file of any program.")
    ],
    name: Annotated[str | None, typer.Option(help="Name of the model. Default: from the file's contents.")] = None,
    network: NetworkOption = None,
    classes: ClassesOption = None,
    half: Annotated[bool, typer.Option("--half", help="Store weights as float16: half the size, rounded to 11 bits.")] = False,
    norm_eps: EpsOption = None,
    family: FamilyOption = None,
    size: Annotated[str | None, typer.Option(help="HEIGHTxWIDTH, for an .onnx file that takes pictures of any size.")] = None,
    classes_file: Annotated[Path | None, typer.Option(help="A text file with the names of its classes, one a line.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a model of that name.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Print nothing but errors.")] = False,
) -> None:
    """Add a model from a file: a checkpoint of torchvision or of `streamseg train`, or an .onnx file."""
    from streamseg.cli.display import Screen
    from streamseg.detect.heads import check_readable
    from streamseg.errors.describe import counted
    from streamseg.hub.importer import import_file, names_in

    screen = Screen(quiet=quiet)
    made = import_file(
        file,
        name=name,
        network=network,
        classes=names_in(classes_file) if classes_file is not None else _names(classes),
        family=family,
        size=None if size is None else _size(size),
        on_message=screen.say,
        half=half,
        norm_eps=norm_eps,
        overwrite=overwrite,
        check=check_readable,
    )
    what = made.network or "graph"
    kind = "float16" if made.half else "float32"
    classes = counted(len(made.classes), "class")
    screen.say(f"{made.name}: {what}, {classes}, {kind}, {made.path}; run it: streamseg run SOURCE --model {made.name}")


@app.command(cls=Command)
def remove(name: Annotated[str, typer.Argument(metavar="NAME", help="A model that was pulled or imported.")]) -> None:
    """Delete a model that was pulled or imported."""
    from streamseg.hub.importer import remove as delete

    print(f"removed {delete(name)}")


def export(
    model: Annotated[
        str, typer.Argument(metavar="MODEL|FILE", help="A name that `streamseg models` lists, or a checkpoint file.")
    ],
    out: Annotated[Path, typer.Option("-o", "--output", metavar="FOLDER", help="Folder to write to.")] = Path(),
    size: Annotated[
        list[str] | None, typer.Option(help="Input size, HEIGHTxWIDTH in multiples of 32. Can be given several times.")
    ] = None,
    proposals: Annotated[
        int | None, typer.Option(help="Boxes that the second stage classifies. Default: 100 or 300, depending on the network.")
    ] = None,
    detections: Annotated[
        int | None, typer.Option(help="Most objects per picture. Default: 30 or 100, depending on the network.")
    ] = None,
    head: Annotated[
        str, typer.Option(help="How much of a Mask R-CNN: full, class-agnostic or proposals; see `streamseg run --head`.")
    ] = "full",
    masks: Annotated[str, typer.Option(metavar="auto|none", help="none: leave the mask branch out: Faster R-CNN.")] = "auto",
    batch: Annotated[
        str, typer.Option(metavar="1|dynamic", help="Pictures in one call: always 1, or any number up to 64.")
    ] = "dynamic",
    precision: Annotated[str, typer.Option(help="Number format of the graph: fp32, fp16 or int8.")] = "fp32",
    calibrate: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SOURCE", help="For int8: a video or folder like what the network will see. Can be given several times."
        ),
    ] = None,
    network: NetworkOption = None,
    classes: ClassesOption = None,
    temperature: Annotated[
        float, typer.Option(help="Calibrate scores: divide the class logits by this. `streamseg eval` tells the value.")
    ] = 1.0,
    score_shift: Annotated[
        float, typer.Option(help="Calibrate scores: lower their log odds by this. `streamseg eval` tells the value.")
    ] = 0.0,
    conf: Annotated[float | None, typer.Option(help="Score from which a run shows detections, unless told otherwise.")] = None,
    triton: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Add the graph to a model repository of NVIDIA's Triton Inference Server, too."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Print only errors and the names of the files.")] = False,
) -> None:
    """Write a model's ONNX graphs, for other machines, sizes or precisions, and print their paths."""
    from streamseg.cli.display import Screen
    from streamseg.core.parts import HEADS, part_of
    from streamseg.errors import ConfigError
    from streamseg.hub.exporter import export as write

    if batch not in ("1", "dynamic"):
        raise ConfigError(f"--batch is {batch!r}; allowed: 1 or dynamic")
    if head not in HEADS:
        raise ConfigError(f"--head is {head!r}; allowed: {', '.join(HEADS)}")
    if masks not in ("auto", "none"):
        raise ConfigError(f"--masks is {masks!r}; allowed: auto or none")
    if triton is not None:
        changed: dict[str, object] = {"--proposals": proposals, "--detections": detections, "--calibrate": calibrate}
        changed |= {"--network": network, "--classes": classes, "--conf": conf}
        changed |= {"--temperature": None if temperature == 1 else temperature, "--score-shift": score_shift or None}
        if others := [flag for flag, value in changed.items() if value is not None]:
            raise ConfigError(
                f"--triton adds a graph as it is, and {', '.join(others)} makes another: export that without --triton first, "
                "and then its .onnx file with it"
            )
        for folder in _for_triton(
            model, triton, [_size(text) for text in size or []], precision, part_of(head, masks == "auto"), overwrite
        ):
            print(folder)
        return
    graphs = write(
        model,
        out,
        [_size(text) for text in size or []],
        proposals=proposals,
        detections=detections,
        part=part_of(head, masks == "auto"),
        dynamic_batch=batch == "dynamic",
        precision=precision,
        calibrate=calibrate or (),
        network=network,
        classes=_names(classes),
        temperature=temperature,
        score_shift=score_shift,
        conf=conf,
        overwrite=overwrite,
        on_message=Screen(quiet=quiet).say,
    )
    for graph in graphs:
        print(graph)


def _for_triton(
    model: str, repository: Path, sizes: list[tuple[int, int]], precision: str, part: str, overwrite: bool
) -> list[Path]:
    """Add a model's graphs to a repository: with several sizes, each under a name of its own."""
    from streamseg.hub.catalog import resolve
    from streamseg.hub.graph_spec import read_spec
    from streamseg.hub.triton import write_repository

    folders = []
    for size in sizes or (None,):
        spec = read_spec(resolve(model, size, precision=precision, part=part))
        name = f"{spec.name}-{spec.height}x{spec.width}" if len(sizes) > 1 else spec.name
        folders.append(write_repository(spec, repository, name=name, overwrite=overwrite))
    return folders


def _size(text: str) -> tuple[int, int]:
    from streamseg.core.sizes import read_size
    from streamseg.errors import ConfigError

    try:
        return read_size(text)
    except ValueError as error:
        raise ConfigError(f"--size: {error}") from None


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


def _rows() -> list[dict[str, Any]]:
    """One for each graph that is not made on demand, one for weights without such, one for each model that can be fetched."""
    from streamseg.hub.catalog import describe, installed, ready_sizes
    from streamseg.hub.pretrained import PRETRAINED

    rows: list[dict[str, Any]] = []
    models = installed()
    for model in models.values():
        about = model.about()
        licence = "Apache-2.0" if model.shipped else about.get("licence", "not stated")
        state = "shipped" if model.shipped else "pulled" if "source_sha256" in about else "imported"
        for _, path in sorted(model.graphs.items()):
            info = describe(path)
            row = _row(model.name, f"{info.size[0]}x{info.size[1]}", info.classes, info.bytes, licence, state)
            rows.append(row | {"default": info.default, "path": str(path), "sha256": info.sha256})
        if model.foreign is not None:
            rows.append(_foreign_row(model.name, model.foreign, licence, state))
        elif not model.graphs and model.weights is not None:
            rows.append(_weights_row(model.name, model.weights, ready_sizes(model), licence, state))
    for name, published in PRETRAINED.items():
        if name not in models:
            row = _row(name, "any", (), published.megabytes * 1_000_000, published.licence, "not fetched")
            rows.append(row | {"class_count": published.classes})
    return rows


def _row(name: str, size: str, classes: tuple[str, ...], size_bytes: int, licence: str, state: str) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": name,
        "size": size,
        "classes": list(classes),
        "class_count": len(classes),
        "bytes": size_bytes,
    }
    return row | {"default": False, "path": "", "sha256": "", "licence": licence, "state": state, "exported": []}


def _weights_row(name: str, weights: Path, ready: list[tuple[int, int]], licence: str, state: str) -> dict[str, Any]:
    from streamseg.hub.download import sha256_of
    from streamseg.hub.weights_file import read_header

    header = read_header(weights)
    row = _row(name, "any", header.classes, weights.stat().st_size, licence, f"{state}, {header.network}")
    return row | {"path": str(weights), "sha256": sha256_of(weights), "exported": [f"{h}x{w}" for h, w in ready]}


def _foreign_row(name: str, path: Path, licence: str, state: str) -> dict[str, Any]:
    """Of somebody else's file; what is wrong with its description is told in its row, and hides no other."""
    from streamseg.errors import StreamsegError
    from streamseg.hub.adaptable import input_size
    from streamseg.hub.foreign import understand

    total = path.stat().st_size
    try:
        known = understand(path)
        height, width = input_size(known.graph, known.description, path)
    except StreamsegError as error:
        return _row(name, "?", (), total, licence, f"cannot be used: {error}") | {"path": str(path)}
    total += sum(weights.stat().st_size for weights in known.weights)
    row = _row(name, f"{height}x{width}", known.description.classes, total, licence, f"{state}, {known.description.family}")
    return row | {"path": str(path), "sha256": known.sha256}


def _table(rows: list[dict[str, Any]]) -> None:
    table = Table(Column("model", no_wrap=True), Column("size (HxW)"), "MB", "classes", "licence", "state")
    for row in rows:
        name = row["name"] + (" (default)" if row["default"] else "")
        size = row["size"] + (f" (exported: {', '.join(row['exported'])})" if row["exported"] else "")
        table.add_row(name, size, f"{row['bytes'] / 1e6:.1f}", escape(_few(row)), escape(row["licence"]), escape(row["state"]))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 220
    console.print(table)
    if any(row["state"] == "not fetched" for row in rows):
        console.print("fetch one: streamseg models pull NAME")


def _few(row: dict[str, Any]) -> str:
    names, count = row["classes"], row["class_count"]
    if 0 < count == len(names) <= 10:
        return ", ".join(names)
    return f"{count}" + (f": {', '.join(names[:4])}, …" if names else "")


@contextlib.contextmanager
def _bytes(quiet: bool, say: Any) -> Iterator[callbacks.Progress | None]:
    """What moves a bar of a download; where nobody watches, a line for each quarter."""
    console = Console(stderr=True)
    if quiet:
        yield None
        return
    if not console.is_terminal:
        told = 0

        def line(done: int, total: int | None) -> None:
            nonlocal told
            quarter = 4 * done // total if total else done // 50_000_000
            if quarter > told:
                say(f"{done / 1e6:.0f} MB" + (f" of {total / 1e6:.0f} MB" if total else ""))
            told = quarter

        yield line
        return
    columns = (BarColumn(24), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
