"""The measures as a table, for the terminal and for the page."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

__all__ = ["progress", "show", "summary_rows"]

Data = Mapping[str, Any]

HEAD = (
    "class",
    "box AP",
    "AP50",
    "mask AP",
    "AP50",
    "AP^r 50",
    "AP^r 70",
    "IoU",
    "Dice",
    "PQ",
    "SQ",
    "RQ",
    "boundary F",
    "matched",
)


def summary_rows(report: Data) -> list[tuple[str, ...]]:
    """The head, a row for each class and pool, and the mean, as text; – where there is nothing to measure.

    `report` is what `Evaluation.to_json` gives.
    """
    rows: list[tuple[str, ...]] = [HEAD]
    for name in report["classes"]:
        values = (_of(report[measure]["per_class"], name) for measure in ("box", "mask", "apr", "semantic", "pq", "boundary"))
        rows.append((name, *_cells(*values)))
    box, mask = report["box"], report["mask"]
    pools = box.get("pools", {})
    rows += [(f"{name} (pooled)", *_cells(box["pools"][name], mask["pools"][name], {}, {}, {}, {})) for name in pools]
    semantic = {"iou": report["semantic"]["mean_iou"], "dice": report["semantic"]["mean_dice"]}
    rows.append(("mean", *_cells(box, mask, report["apr"], semantic, report["pq"], report["boundary"])))
    return rows


def _of(per_class: Data, name: str) -> Data:
    found: Data = per_class.get(name, {})
    return found


def _cells(box: Data, mask: Data, apr: Data, semantic: Data, pq: Data, boundary: Data) -> list[str]:
    values = [box.get("AP"), box.get("AP50"), mask.get("AP"), mask.get("AP50"), apr.get("50"), apr.get("70")]
    values += [semantic.get("iou"), semantic.get("dice"), pq.get("PQ"), pq.get("SQ"), pq.get("RQ"), boundary.get("f")]
    return [*(_number(value) for value in values), str(boundary.get("matched", "–"))]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


@contextlib.contextmanager
def progress() -> Iterator[Callable[[int, int], None] | None]:
    """A bar on stderr to be told how many photos of how many are done; None where nobody watches."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield None
        return
    columns = (TextColumn("photos"), BarColumn(24), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def show(report: Data) -> None:
    """The answer of `streamseg eval`, on stdout."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 160
    head, *rows = summary_rows(report)
    table = Table(*head)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows[:-1]:
        table.add_row(*map(escape, row))
    table.add_section()
    table.add_row(*map(escape, rows[-1]))
    how = f"{report['model']} {report['size']} {report['precision']} in {report['engine']}: " if report["engine"] else ""
    counts = (
        f"{report['images']} photos, {report['objects']} objects, {report['detections']} detections, {report['seconds']:.0f} s"
    )
    console.print(escape(how + counts), soft_wrap=True)
    console.print(table)
    box, mask, semantic = report["box"], report["mask"], report["semantic"]
    for name, measure in (("box", box), ("mask", mask)):
        parts = [f"{key} {_number(measure[key])}" for key in ("AP", "AP50", "AP75", "APs", "APm", "APl")]
        console.print(escape(f"{name:5s}{', '.join(parts)}"))
    console.print(
        f"pixels: accuracy {_number(semantic['pixel_accuracy'])}, mean IoU with background "
        f"{_number(semantic['mean_iou_with_background'])}"
    )
    console.print(f"All in percent. IoU, Dice, PQ and boundary F: detections with a score of at least {report['conf']:g}.")
    for sentence in report["warnings"]:
        console.print(f"[yellow]{escape(sentence)}[/yellow]", soft_wrap=True)
