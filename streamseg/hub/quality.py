"""How good each graph of a model was measured to be: what `precision: auto` goes by, and `streamseg tune` shows.

The figures stand in NAME.quality.json beside the model's graphs (`make lite-graphs` writes them), each with the sha256 of the graph
and the weights that it was measured with. Those of other weights count for nothing: a model that was trained anew is a model that
was not measured.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from streamseg.errors import OutputError
from streamseg.hub.graph_spec import GraphSpec
from streamseg.system.output_files import replace_atomically

__all__ = ["MOST_LOST", "Quality", "keep", "loss", "measured", "read"]

MOST_LOST = 0.5
"""Points of AP, in percent: what a faster precision may lose and still be taken where nobody said which."""


@dataclass(frozen=True, slots=True)
class Quality:
    """COCO AP of one graph in one precision, in percent."""

    size: tuple[int, int]
    """(H, W) of the input."""
    precision: str
    """What was computed: fp32, fp16, int8, or bf16, which runs the fp32 graph."""
    sha256: str
    """`GraphSpec.sha256` of the graph."""
    data: str
    """What it was measured on, for people."""
    box: float
    """Mean of the classes."""
    mask: float
    """Mean of the classes."""
    common: str = ""
    """The class with the most objects in the data: its AP moves least by chance."""
    common_box: float = 0.0
    common_mask: float = 0.0


def file_of(folder: Path) -> Path:
    """Where the figures of the model in `folder` stand."""
    return folder / f"{folder.name}.quality.json"


def read(folder: Path) -> list[Quality]:
    """The figures of the model in `folder`, which may be of other weights by now; none where there are none that can be read."""
    try:
        found = json.loads(file_of(folder).read_text("utf-8"))
        return [Quality(**{**entry, "size": tuple(entry["size"])}) for entry in found["graphs"]]
    except (OSError, ValueError, TypeError, KeyError):
        return []


def keep(folder: Path, figures: Sequence[Quality]) -> Path:
    """Write the figures of the model in `folder` in place of all that were there. Raises OutputError."""
    entries = [{**asdict(figure), "size": list(figure.size)} for figure in figures]
    path = file_of(folder)
    try:
        replace_atomically(path, (json.dumps({"graphs": entries}, indent=1) + "\n").encode())
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    return path


def measured(spec: GraphSpec, precision: str) -> Quality | None:
    """What was measured of this very graph, computed in `precision`; None: nothing was."""
    return next(
        (q for q in read(spec.path.parent) if q.sha256 == spec.sha256 and (q.size, q.precision) == (spec.size, precision)), None
    )


def loss(fast: Quality | None, exact: Quality | None) -> float | None:
    """Points of mask AP that `fast` loses against `exact`: of all classes, or of the commonest, whichever loses more.

    None where one of the two was not measured, or on other data.
    """
    if fast is None or exact is None or (fast.data, fast.common) != (exact.data, exact.common):
        return None
    return max(exact.mask - fast.mask, exact.common_mask - fast.common_mask)
