"""`streamseg models show`: what a model takes and gives, and, of somebody else's file, what was assumed of it and why."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from streamseg.cli.help import Command
from streamseg.cli.models import FamilyOption, JsonOption, app

__all__ = ["show"]


@app.command(cls=Command)
def show(
    model: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A name that `streamseg models` lists, or an .onnx file.")],
    family: FamilyOption = None,
    size: Annotated[str | None, typer.Option(help="HEIGHTxWIDTH of its input, where it has several or takes any.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a model takes, what it gives, its family and classes; what was assumed, and why."""
    facts = _facts(model, family, size)
    if as_json:
        print(json.dumps(facts, indent=2))
        return
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 160
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for key, value in facts.items():
        if key == "masks":
            table.add_row(key, "yes" if value else "none: boxes alone (run --masks box takes each box for its mask)")
        elif key not in ("values", "classes"):
            table.add_row(key, escape(_text(value)))
    table.add_row("classes", escape(f"{len(facts['classes'])}: {', '.join(facts['classes'])}"))
    console.print(table)
    if facts["values"]:
        console.print()
        settings = Table("value", "is", "since", box=None, padding=(0, 2, 0, 0))
        for place, (value, reason) in facts["values"].items():
            if place != "classes":
                settings.add_row(place, escape(_text(value)), escape(reason))
            else:
                settings.add_row(place, str(len(value)), escape(reason))
        console.print(settings)


def _facts(model: str, family: str | None, size: str | None) -> dict[str, Any]:
    from streamseg.detect.postprocess import gives_masks
    from streamseg.hub.catalog import resolve_foreign
    from streamseg.hub.graph_spec import read_spec

    path, known = resolve_foreign(model, _size(size), family=family)
    spec = read_spec(path)
    facts: dict[str, Any] = {
        "model": spec.name,
        "family": spec.family,
        "input": f"{spec.height}x{spec.width}, {spec.fit}" + ("" if spec.fit == "stretch" else f", padded with {spec.padding}"),
        "batch": spec.batch or "any",
        "precision": spec.precision,
        "outputs": {name: str(info) for name, info in spec.outputs.items()},
        "masks": gives_masks(spec),
        "engines": "CPU only: the number of rows is not fixed" if spec.free_rows else "all",
        "file": str(spec.path),
        "classes": list(spec.classes),
        "values": {},
    }
    if known is not None:
        facts["model"] = model
        if plugins := sorted(operator for operator in known.graph.operators if operator.endswith("_TRT")):
            facts["engines"] = f"tensorrt only: it needs {', '.join(plugins)}"
        facts["takes"] = {name: str(info) for name, info in known.graph.inputs.items()}
        facts["sidecar"] = str(known.sidecar or f"none; {known.path.with_suffix('.yaml').name} would be read")
        facts["values"] = {place: (value, known.reasons.get(place, "")) for place, value in known.values().items()}
    return facts


def _size(text: str | None) -> tuple[int, int] | None:
    from streamseg.core.sizes import read_size
    from streamseg.errors import ConfigError

    try:
        return None if text is None else read_size(text)
    except ValueError as error:
        raise ConfigError(f"--size: {error}") from None


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key}: {each}" for key, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(f"{each:g}" if isinstance(each, float) else str(each) for each in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
