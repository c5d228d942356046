"""The verbs about compiled engines: `streamseg build` and `streamseg engines`."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from streamseg.cli.flags import flag
from streamseg.cli.help import Command, Group

if TYPE_CHECKING:
    from streamseg.engine.store import Entry, Store
    from streamseg.engine.tensorrt.builder import BuildProgress

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
NameArg = Annotated[str, typer.Argument(metavar="ENGINE", help="A name that `streamseg engines list` shows, or its beginning.")]

app = typer.Typer(cls=Group, help="List, show, check and remove the compiled engines of this machine.", no_args_is_help=True)


def build(
    what: Annotated[
        str, typer.Argument(metavar="RECIPE|MODEL", help="A recipe (lite, mine.yaml), a model's name or an .onnx file.")
    ],
    engine: Annotated[str | None, typer.Option(help="tensorrt, or tensorrt-rtx, which can build without a GPU.")] = None,
    precision: Annotated[str | None, typer.Option(help="fp32, fp16 or int8: which graph of the model to compile.")] = None,
    size: Annotated[str | None, typer.Option(help="Size of the network's input, HEIGHTxWIDTH.")] = None,
    head: Annotated[str | None, flag("head")] = None,
    masks: Annotated[str | None, typer.Option(help="auto; none: for runs with --masks none, which cost less.")] = None,
    batch: Annotated[str | None, typer.Option(help="Batch sizes to compile for, as 1,4,8.")] = None,
    targets: Annotated[
        str | None, typer.Option("--for", help="GPUs to compile for, as sm_86,sm_89 (tensorrt-rtx only).")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compile a model with TensorRT, for this machine's GPU or for others, and store the engine."""
    from streamseg.cli.display import Screen
    from streamseg.engine.prebuild import build_engines
    from streamseg.engine.recipe import load_recipe

    changes = {
        "engine": engine,
        "precisions": precision,
        "sizes": size,
        "head": head,
        "masks": masks,
        "batches": batch,
        "for": targets,
    }
    recipe = load_recipe(what, changes)
    with _steps() as (bar, steps):
        say = Screen(quiet=as_json).say if bar is None else partial(bar.console.print, markup=False)
        entries = build_engines(recipe, on_message=say, on_progress=steps)
    if as_json:
        print(json.dumps([_facts(entry) for entry in entries], indent=2))
    else:
        _table(entries)


@app.command("list", cls=Command)
def list_(as_json: JsonOption = False) -> None:
    """List the compiled engines."""
    store = _store()
    entries = store.entries()
    if as_json:
        print(json.dumps([_facts(entry) for entry in entries], indent=2))
    elif entries:
        _table(entries)
    else:
        print(f"no engines in {store.root}; build one: streamseg build lite")


@app.command(cls=Command)
def show(name: NameArg, log: Annotated[bool, typer.Option("--log", help="Show the compiler's messages.")] = False) -> None:
    """Show what an engine was compiled from, and the types of its layers."""
    store = _store()
    entry = _find(store, name)
    if log:
        print(store.build_log(entry), end="")
    else:
        print(json.dumps(_facts(entry) | {"layers": entry.manifest.layers if entry.manifest else {}}, indent=2))


@app.command(cls=Command)
def verify(name: Annotated[str | None, typer.Argument(metavar="[ENGINE]", help="One engine. Default: all.")] = None) -> None:
    """Check that the engines are complete and unchanged."""
    store = _store()
    bad = 0
    for entry in [_find(store, name)] if name else store.entries():
        problem = store.problem(entry)
        bad += problem is not None
        print(f"{entry.path.name}: {problem or 'sound'}")
    if bad:
        raise typer.Exit(13)


@app.command(cls=Command)
def prune(
    everything: Annotated[bool, typer.Option("--all", help="Remove usable engines, too.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
) -> None:
    """Remove engines that are damaged or were compiled by a library version that is not installed."""
    store = _store()
    found = 0
    for entry in store.entries():
        reason = "all" if everything else _useless(store, entry)
        if reason is None:
            continue
        if not dry_run:
            store.remove(entry)
        found += 1
        print(f"{'would remove' if dry_run else 'removed'} {entry.path.name}: {reason}")
    if not found:
        print(f"nothing to remove in {store.root}")


def _store() -> Store:
    from streamseg.engine.store import Store

    return Store()


def _find(store: Store, name: str) -> Entry:
    from streamseg.errors import ConfigError

    found = [entry for entry in store.entries() if entry.path.name.startswith(name)]
    exact = [entry for entry in found if entry.path.name == name] or found
    if len(exact) != 1:
        known = ", ".join(entry.path.name for entry in (found or store.entries())) or "none"
        raise ConfigError(f"{'several engines begin' if found else 'no engine begins'} with {name!r}; there are: {known}")
    return exact[0]


def _useless(store: Store, entry: Entry) -> str | None:
    from streamseg.engine.tensorrt.library import LIBRARIES
    from streamseg.errors import EngineError, MissingExtra

    problem = store.problem(entry)
    if problem is not None or entry.manifest is None:
        return problem
    key = entry.manifest.key
    try:
        installed = LIBRARIES[key.library].version() if key.library in LIBRARIES else ""
    except (MissingExtra, EngineError):
        return None  # it may come back
    return None if installed == key.version else f"built by {key.library} {key.version}, installed is {installed or 'none'}"


def _facts(entry: Entry) -> dict[str, Any]:
    known = entry.manifest.model_dump(exclude={"layers"}) if entry.manifest else {}
    return {"name": entry.path.name, "path": str(entry.path), "problem": entry.problem, **known}


def _table(entries: list[Entry]) -> None:
    # The name says model, size, precision and library, and is what other verbs take: it alone is never cut.
    table = Table(Column("engine", no_wrap=True), "for", "batches", "MB", "built by")
    for entry in entries:
        name = escape(entry.path.name)
        if entry.manifest is None:
            table.add_row(name, "", "", "", f"[red]{escape(entry.problem or '')}[/red]")
            continue
        key = entry.manifest.key
        target = key.gpu or ", ".join(key.capabilities) or "sm_80 and later"
        built = f"{key.library} {key.version}, {entry.manifest.built[:10]}, {entry.manifest.seconds:.0f} s"
        megabytes = f"{entry.manifest.plan_bytes / 1e6:.1f}"
        table.add_row(name, escape(target), ", ".join(map(str, key.batches)), megabytes, escape(built))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 220
    console.print(table)


@contextlib.contextmanager
def _steps() -> Iterator[tuple[Progress | None, BuildProgress | None]]:
    """A bar of the compiler's current phase, and what moves it; None where nobody watches."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None, None
        return
    with Progress(BarColumn(24), TextColumn("{task.description}"), TimeElapsedColumn(), console=console, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield bar, lambda phase, done, total: bar.update(task, description=phase, completed=done, total=total or None)
