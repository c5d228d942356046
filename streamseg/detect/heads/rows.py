"""Finished detections in rows, as other people's Mask R-CNNs give them: what the heads that read these share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from streamseg.detect.heads.base import Arrays
from streamseg.errors import BadOutput
from streamseg.hub.graph_spec import GraphSpec

__all__ = ["levels", "ranks", "rows_in", "without_background", "worth_decoding"]

_BACKGROUND = ("background", "__background__", "otx_empty_lbl")


def ranks(spec: GraphSpec, **wanted: tuple[int, int]) -> bool:
    """Whether the graph gives exactly these outputs, of this many axes and this last axis (0: of any length)."""
    given = spec.outputs
    return given.keys() == wanted.keys() and all(
        len(given[name].shape) == rank and (not last or given[name].shape[-1] in (0, last))
        for name, (rank, last) in wanted.items()
    )


def rows_in(arrays: Arrays) -> int:
    """N, which all arrays must agree on. Raises BadOutput: it depends on no picture, so that the next one will be no better."""
    counts = {name: len(array) for name, array in arrays.items()}
    if len(set(counts.values())) != 1:
        stated = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise BadOutput(
            f"the network gave answers for different numbers of detections ({stated}): its file, or what its sidecar says of its "
            "outputs, is wrong"
        )
    return next(iter(counts.values()))


def worth_decoding(scores: npt.NDArray[np.float32], least: float) -> tuple[npt.NDArray[np.intp], int]:
    """Indices of the rows that are not below `least` (NaN is not), and how many are."""
    rows = np.flatnonzero(~(scores < least))
    return rows, len(scores) - len(rows)


def levels(grids: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """255 x probability, rounded."""
    rounded: npt.NDArray[np.uint8] = np.rint(np.clip(grids, 0, 1) * 255).astype(np.uint8)
    return rounded


def without_background(names: Sequence[str]) -> tuple[tuple[str, ...], int]:
    """The names without one of no object at the start, and how many were taken off (0 or 1)."""
    first = int(bool(names) and names[0].strip().lower() in _BACKGROUND)
    return tuple(names[first:]), first
