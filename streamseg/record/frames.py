"""One frame's record: its bytes, and what they say.

    fixed     index i64, pts i64, duration i64, epoch u32, width u32, height u32, instances u32, side u16, flags u8, filter u8
    columns   boxes 4 x f32, scores f32, track scores f32, areas f32, track ids i64, labels u32, fine sides u16, doubtful u8:
              each of all instances, one column after the other
    grids     a zlib stream: the masks, side x side bytes each, then the fine grids, row by row

`flags` are 1: the network looked at the frame; 2: there are fine grids; 4: they are mattes.

`areas` are frame pixels that the mask covers, for who only counts; all else is what `core.types.Instances` holds, to the bit.
"""

import struct
import zlib
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.core.result import Result
from streamseg.core.types import Frame, Instances
from streamseg.errors import ResultsError
from streamseg.system.unchanging import unchanging

__all__ = ["FIXED", "Columns", "FrameRecord", "pack", "read_columns", "unpack"]

FIXED = struct.Struct("<qqqIIIIHBB")
_DETECTED, _FINE, _MATTES, _NONSENSE = 1, 2, 4, 8
_COLUMNS: tuple[tuple[str, str, int], ...] = (
    ("boxes", "<f4", 4),
    ("scores", "<f4", 1),
    ("track_scores", "<f4", 1),
    ("areas", "<f4", 1),
    ("track_ids", "<i8", 1),
    ("labels", "<u4", 1),
    ("fine_sides", "<u2", 1),
    ("doubtful", "u1", 1),
)
_BYTES = sum(np.dtype(kind).itemsize * count for _, kind, count in _COLUMNS)
"""Of all columns, an instance."""
_FILTERS = 2
"""Ways to write grids, of which each frame takes the one that packs best (`_filtered`)."""
_MOST = 1032
"""Bytes that one byte of a deflate stream can stand for, at most (RFC 1951: 258 of two bits)."""


@unchanging
@dataclass(frozen=True, slots=True, eq=False)
class FrameRecord:
    """What a results file holds of one frame: all of a `Result` but the picture."""

    index: int
    """0-based number in the source."""
    pts: int
    """Presentation time in units of `time_base`."""
    time_base: Fraction
    """Seconds."""
    duration: int
    epoch: int
    width: int
    """Pixels of the upright frame."""
    height: int
    detected: bool
    """The network looked at this frame."""
    instances: Instances
    answered: bool = True
    """What the network said of it could be read."""

    @property
    def time(self) -> float:
        """Presentation time in seconds."""
        return float(self.pts * self.time_base)

    def of(self, frame: Frame) -> Result:
        """The result for the decoded frame that this is the record of."""
        return Result(frame, self.instances, detected=self.detected, answered=self.answered)

    def __len__(self) -> int:
        return len(self.instances)

    def __repr__(self) -> str:
        return f"FrameRecord(frame {self.index} at {self.time:.3f} s: {self.instances.summary()})"


@dataclass(frozen=True, slots=True)
class Columns:
    """What a record says without its masks."""

    index: int
    pts: int
    duration: int
    epoch: int
    width: int
    height: int
    side: int
    detected: bool
    fine: bool
    """There is a tuple of fine grids, though each may be missing."""
    mattes: bool
    """These are mattes."""
    filter: int
    values: dict[str, npt.NDArray[Any]]
    grids: bytes
    """As they stand in the file."""
    answered: bool


def pack(result: Result) -> bytes:
    """The payload of a frame's record."""
    frame, found = result.frame, result.instances
    flags = _DETECTED * result.detected + _FINE * bool(found.fine) + _MATTES * found.mattes + _NONSENSE * (not result.answered)
    sides = [0 if grid is None else len(grid) for grid in found.fine] or [0] * len(found)
    columns: dict[str, npt.NDArray[Any]] = {
        "boxes": found.boxes,
        "scores": found.scores,
        "track_scores": found.track_scores,
        "areas": _areas(found),
        "track_ids": found.track_ids,
        "labels": found.labels,
        "fine_sides": np.array(sides, np.uint16),
        "doubtful": found.doubtful,
    }
    plain = [*found.masks, *(grid for grid in found.fine if grid is not None)]
    which, packed = min(((i, _deflated(_filtered(plain, i))) for i in range(_FILTERS)), key=lambda pair: len(pair[1]))
    fixed = FIXED.pack(
        frame.index, frame.pts, frame.duration, frame.epoch, frame.width, frame.height, len(found), found.side, flags, which
    )
    return b"".join((fixed, *(columns[name].astype(kind).tobytes() for name, kind, _ in _COLUMNS), packed))


def read_columns(payload: bytes, classes: int, where: str) -> Columns:
    """All but the masks. `classes`: how many there are. Raises ResultsError, which begins with `where`, for what cannot be."""
    if len(payload) < FIXED.size:
        raise ResultsError(f"{where} is too short")
    index, pts, duration, epoch, width, height, count, side, flags, which = FIXED.unpack_from(payload)
    begin = FIXED.size + count * _BYTES
    if begin > len(payload) or which >= _FILTERS:
        raise ResultsError(f"{where} says that it holds {count} instances, in {len(payload)} bytes")
    values, at = {}, FIXED.size
    for name, kind, width_of in _COLUMNS:
        column = np.frombuffer(payload, kind, count * width_of, at)
        at += column.nbytes
        values[name] = column.reshape(count, 4) if width_of == 4 else column
    _check(values, classes, where)
    return Columns(
        index,
        pts,
        duration,
        epoch,
        width,
        height,
        side,
        bool(flags & _DETECTED),
        bool(flags & _FINE),
        bool(flags & _MATTES),
        which,
        values,
        payload[begin:],
        not flags & _NONSENSE,
    )


def unpack(columns: Columns, class_names: tuple[str, ...], time_base: Fraction, where: str) -> FrameRecord:
    """The record. Raises ResultsError, which begins with `where`, for masks that cannot be."""
    v, side = columns.values, columns.side
    count, sides = len(v["scores"]), v["fine_sides"].tolist()
    grids = _inflated(columns.grids, [(side, side)] * count + [(n, n) for n in sides if n], where)
    if columns.filter:
        grids = [_summed(grid) for grid in grids]
    fine = iter(grids[count:])
    instances = Instances(
        v["boxes"].astype(np.float32),
        v["scores"].astype(np.float32),
        v["labels"].astype(np.int64),
        np.stack(grids[:count]) if count else np.zeros((0, side, side), np.uint8),
        class_names,
        v["track_ids"].astype(np.int64),
        v["track_scores"].astype(np.float32),
        v["doubtful"].astype(np.bool_),
        tuple(next(fine) if n else None for n in sides) if columns.fine else (),
        columns.mattes,
    )
    c = columns
    return FrameRecord(c.index, c.pts, time_base, c.duration, c.epoch, c.width, c.height, c.detected, instances, c.answered)


def _areas(found: Instances) -> npt.NDArray[np.float32]:
    """Frame pixels that each covers: its box, by the share of its mask's cells above one half."""
    if not len(found):
        return np.zeros(0, np.float32)
    sizes = np.clip(found.boxes[:, 2:] - found.boxes[:, :2], 0, None).prod(1)
    return np.asarray(sizes * (found.mask_or_box >= 128).mean((1, 2)), np.float32)


def _filtered(grids: list[npt.NDArray[np.uint8]], which: int) -> bytes:
    """1: each cell less the one above it, less the one on its left, plus the one above that; modulo 256, outside lie zeros."""
    if which:
        grids = [np.diff(np.diff(grid, axis=0, prepend=np.uint8(0)), axis=1, prepend=np.uint8(0)) for grid in grids]
    return b"".join(grid.tobytes() for grid in grids)


def _summed(grid: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """What `_filtered` made the differences of: the sum of all cells above and to the left, modulo 256."""
    return cv2.integral(grid)[1:, 1:].astype(np.uint8) if grid.size else grid


def _deflated(data: bytes) -> bytes:
    """Runs are what there is to find: within a mask, and outside of it. Measured: a tenth larger than LZMA, in a twentieth of its
    time."""
    packer = zlib.compressobj(6, zlib.DEFLATED, 15, 9, zlib.Z_RLE)
    return packer.compress(data) + packer.flush()


def _inflated(packed: bytes, shapes: list[tuple[int, int]], where: str) -> list[npt.NDArray[np.uint8]]:
    total = sum(height * width for height, width in shapes)
    if total > _MOST * len(packed):
        raise ResultsError(f"{where} claims {total} bytes of masks in a stream of {len(packed)}")
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(packed, total + 1)
    except zlib.error as error:
        raise ResultsError(f"{where} holds masks that cannot be unpacked: {error}") from error
    if len(data) != total:
        raise ResultsError(f"{where} holds {'more' if len(data) > total else 'fewer'} bytes of masks than the {total} it says")
    grids, at = [], 0
    for shape in shapes:
        size = shape[0] * shape[1]
        grids.append(np.frombuffer(data, np.uint8, size, at).reshape(shape).copy())  # its own: the whole is not kept for one
        at += size
    return grids


def _check(values: dict[str, npt.NDArray[Any]], classes: int, where: str) -> None:
    """Raise ResultsError for numbers that no detection has."""
    boxes, scores, track_scores = values["boxes"], values["scores"], values["track_scores"]
    if not (np.isfinite(boxes).all() and (boxes[:, 2:] >= boxes[:, :2]).all() and (np.abs(boxes) < 1e7).all()):
        raise ResultsError(f"{where} holds a box that cannot be")
    if not all(((column >= 0) & (column <= 1)).all() for column in (scores, track_scores)):
        raise ResultsError(f"{where} holds a score outside of 0 to 1")
    if (values["labels"] >= classes).any() or (values["track_ids"] < 0).any():
        raise ResultsError(f"{where} names a class or a track that there is not")
