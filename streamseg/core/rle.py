"""COCO's run-length encoding of a mask, straight from the crop inside its box, so that no full-frame array is made.

Format: cocoapi, `common/maskApi.c` (Lin et al. 2014, arXiv 1405.0312). A mask is read column by column; runs of zeros and
ones alternate, zeros first; from the fourth run on each length is stored as the difference to the one two before; each number is
written in groups of five bits, low bits first, plus a continuation bit, offset by 48 into printable ASCII.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["encode", "runs_of"]


def encode(crop: npt.NDArray[np.bool_], x0: int, y0: int, width: int, height: int) -> dict[str, object]:
    """The COCO RLE object `{"size": [height, width], "counts": str}` of a mask.

    `crop` is bool [h, w], the part of the mask that may be set; its top left pixel stands at column `x0`, row `y0` of a frame of
    `width` x `height` pixels, in which it must lie entirely (ValueError otherwise).
    """
    h, w = crop.shape
    if x0 < 0 or y0 < 0 or x0 + w > width or y0 + h > height:
        raise ValueError(f"a crop of {w}x{h} at ({x0}, {y0}) does not lie inside a frame of {width}x{height}")
    columns = np.zeros((w, h + 2), np.int8)
    columns[:, 1:-1] = crop.T
    steps = np.diff(columns, axis=1)
    start_col, start_row = np.nonzero(steps == 1)
    end_col, end_row = np.nonzero(steps == -1)
    starts = (start_col + x0) * height + start_row + y0
    ends = (end_col + x0) * height + end_row + y0
    # A run that reaches the foot of one column and goes on at the head of the next is one run.
    joined = starts[1:] == ends[:-1]
    starts = starts[np.concatenate(([True], ~joined))] if len(starts) else starts
    ends = ends[np.concatenate((~joined, [True]))] if len(ends) else ends
    edges = np.empty(2 * len(starts) + 2, np.int64)
    edges[0], edges[-1] = 0, width * height
    edges[1:-1:2], edges[2:-1:2] = starts, ends
    runs = np.diff(edges)
    if len(runs) > 1 and runs[-1] == 0:
        runs = runs[:-1]
    return {"size": [height, width], "counts": _compress(runs)}


def _compress(runs: npt.NDArray[np.int64]) -> str:
    deltas = runs.copy()
    deltas[3:] -= runs[1:-2]
    text = bytearray()
    for number in deltas.tolist():
        value = number
        while True:
            bits = value & 0x1F
            value >>= 5
            more = value != (-1 if bits & 0x10 else 0)
            text.append((bits | 0x20 if more else bits) + 48)
            if not more:
                break
    return text.decode("ascii")


def runs_of(counts: str) -> list[int]:
    """The lengths of the runs that `counts` of a COCO RLE object spells, zeros first: the uncompressed form.

    Raises ValueError for characters that spell none, or where the last number breaks off.
    """
    runs: list[int] = []
    value = shift = 0
    for character in counts.encode("ascii"):
        group = character - 48
        if not 0 <= group < 64:
            raise ValueError(f"{chr(character)!r} is not allowed in run lengths")
        value |= (group & 0x1F) << shift
        shift += 5
        if not group & 0x20:
            if group & 0x10:
                value -= 1 << shift
            runs.append(value + runs[-2] if len(runs) > 2 else value)
            value = shift = 0
    if shift:
        raise ValueError("the run lengths break off within a number")
    return runs
