"""The measures as a table, for the terminal and for the page."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from streamseg.system import callbacks

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
MEASURES = ("box", "mask", "apr", "semantic", "pq", "boundary")
RANKED = 7
"""So many of them, the class included, stand with measures that look at every detection."""


def summary_rows(report: Data) -> list[tuple[str, ...]]:
    """The head, a row for each class and pool, and the mean, as text; – where there is nothing to measure.

    `report` is what `Evaluation.to_json` gives.
    """
    rows: list[tuple[str, ...]] = [HEAD]
    rows += [(name, *_cells(*(_of(report, measure, "per_class", name) for measure in MEASURES))) for name in report["classes"]]
    pools = report["box"].get("pools", {})
    rows += [(f"{name} (pooled)", *_cells(*(_of(report, measure, "pools", name) for measure in MEASURES))) for name in pools]
    measures = {measure: report[measure] or {} for measure in MEASURES}
    semantic = measures["semantic"]
    measures["semantic"] = {"iou": semantic.get("mean_iou"), "dice": semantic.get("mean_dice")}
    rows.append(("mean", *_cells(*measures.values())))
    return rows


def _of(report: Data, measure: str, part: str, name: str) -> Data:
    """What a measure says of a class or pool; {}: it does not, or was not taken."""
    found: Data = (report[measure] or {}).get(part, {}).get(name, {})
    return found


def _cells(box: Data, mask: Data, apr: Data, semantic: Data, pq: Data, boundary: Data) -> list[str]:
    values = [box.get("AP"), box.get("AP50"), mask.get("AP"), mask.get("AP50"), apr.get("50"), apr.get("70")]
    values += [semantic.get("iou"), semantic.get("dice"), pq.get("PQ"), pq.get("SQ"), pq.get("RQ"), boundary.get("f")]
    return [*(_number(value) for value in values), str(boundary.get("matched", "–"))]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


@contextlib.contextmanager
def progress() -> Iterator[callbacks.Progress | None]:
    """A bar on stderr that shows how many photos are done; None where stderr is no terminal."""
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
    how = f"{report['model']} {report['size']} {report['precision']} in {report['engine']}: " if report["engine"] else ""
    counts = (
        f"{report['images']} photos, {report['objects']} objects, {report['detections']} detections, {report['seconds']:.0f} s"
    )
    console.print(escape(f"{how}{counts}. All in percent."), soft_wrap=True)
    rows = summary_rows(report)
    console.print(_table([row[:RANKED] for row in rows]))
    for name in ("box", "mask") if report["mask"] else ("box",):
        parts = [f"{key} {_number(report[name][key])}" for key in ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR10", "AR100")]
        console.print(escape(f"{name:5s}{', '.join(parts)}"), soft_wrap=True)
    if report["mask"]:
        _show_sure(report, rows, console)
    for sentence in report["warnings"]:
        console.print(f"[yellow]{escape(sentence)}[/yellow]", soft_wrap=True)


def _show_sure(report: Data, rows: Sequence[Sequence[str]], console: Console) -> None:
    """The measures of detections that are sure enough to be shown."""
    pools = len(report["box"].get("pools", {}))
    console.print(f"\nOf detections with a score of at least {report['conf']:g}:")
    console.print(_table([(row[0], *row[RANKED:]) for row in (*rows[: -1 - pools], rows[-1])]))
    semantic = report["semantic"]
    accuracy, iou = _number(semantic["pixel_accuracy"]), _number(semantic["mean_iou_with_background"])
    console.print(f"pixels: accuracy {accuracy}, mean IoU with background {iou}", soft_wrap=True)
    if report["calibration"]["error"] is not None:
        console.print(calibration(report["calibration"]), soft_wrap=True)


def calibration(found: Data) -> str:
    """What the scores are worth, in a sentence; `found` as `calibration.Calibration` gives it, not without detections."""
    shares = ", ".join(f"{low:.1f}: {share:.0f} %" for low, _, _, _, share in found["bins"] if low >= 0.3)
    parts = [f"scores: expected calibration error {_number(found['error'])}"]
    parts += [f"right ones by score from {shares}"] if shares else []
    if found["temperature"] is not None:
        parts.append(f"calibrated by a temperature of {found['temperature']:.2f} and a shift of {found['shift']:.2f}")
    if found["conf"] is not None:
        parts.append(f"best shown from {found['conf']:.2f} on (F1 {_number(found['f1'])})")
    return "; ".join(parts)


def _table(rows: Sequence[Sequence[str]]) -> Table:
    """The first row is the head, the last the mean."""
    table = Table(rows[0][0], box=SIMPLE_HEAD, pad_edge=False)
    for head in rows[0][1:]:
        table.add_column(head, justify="right", no_wrap=True)
    for row in rows[1:-1]:
        table.add_row(*map(escape, row))
    table.add_section()
    table.add_row(*map(escape, rows[-1]), style="bold")
    return table
