"""What was found in a range, frame by frame, without pictures: all that an output may want to know of a frame.

    SSRF 1 \n           then for each frame, numbers little-endian:
    index u64 | size u32 | crc u32 | the result, frozen (see `state`)

Read from front to back. It takes its name once all of it is on the disk.
"""

from __future__ import annotations

import hashlib
import os
import struct
import uuid
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from streamseg.core.result import Result
from streamseg.core.types import Frame
from streamseg.errors import ResultsError
from streamseg.ranges.state import freeze, thaw

__all__ = ["FoundWriter", "PlainWriter", "frame_told", "given_up_to", "read_found"]

_SIGNATURE = b"SSRF 1\n"
_FRONT = struct.Struct("<QII")


class PlainWriter:
    """A file that stands as `.part` until it is finished. Raises OSError."""

    def __init__(self, path: Path) -> None:
        # A worker that was given up may still write the same.
        self._path, self._part = path, path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
        self._file = self._part.open("wb", buffering=1 << 20)
        self._digest = hashlib.sha256()

    def put(self, data: bytes) -> None:
        """Append."""
        self._file.write(data)
        self._digest.update(data)

    def finish(self) -> str:
        """All of it is on the disk, under its name; gives its SHA-256."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._part.replace(self._path)
        return self._digest.hexdigest()

    def discard(self) -> None:
        """Remove it."""
        self._file.close()
        self._part.unlink(missing_ok=True)


class FoundWriter(PlainWriter):
    """Writes one. Raises OSError."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.put(_SIGNATURE)

    def add(self, result: Result) -> None:
        """The result of the next frame."""
        data, _ = freeze(result)
        self.put(_FRONT.pack(result.frame.index, len(data), zlib.crc32(data)) + data)


def read_found(
    path: Path, first: int, end: int | None, frame_of: Callable[[tuple[Any, ...]], Frame]
) -> Iterator[tuple[int, Result]]:
    """The results of the frames from `first` up to `end` that a file holds, with their numbers.

    `frame_of`: gives the frame by what `state.told` said of it. Raises ResultsError for what is damaged.
    """
    try:
        with path.open("rb", buffering=1 << 20) as file:
            if file.read(len(_SIGNATURE)) != _SIGNATURE:
                raise ResultsError(f"{path}: holds no results of a range")
            while front := file.read(_FRONT.size):
                if len(front) != _FRONT.size:
                    raise ResultsError(f"{path}: ends amid a frame")
                index, size, crc = _FRONT.unpack(front)
                if end is not None and index >= end:
                    return
                data = file.read(size)
                if index < first:
                    continue
                if len(data) != size or zlib.crc32(data) != crc:
                    raise ResultsError(f"{path}: frame {index} is damaged")
                yield index, thaw(data, frame_of, str(path))
    except OSError as error:
        raise ResultsError(f"{path}: cannot be read: {error.strerror or error}") from error


def given_up_to(path: Path) -> int:
    """The number behind that of the last frame that a file holds; 0: it holds none. Raises ResultsError."""
    last = 0
    try:
        with path.open("rb") as file:
            file.seek(len(_SIGNATURE))
            while len(front := file.read(_FRONT.size)) == _FRONT.size:
                index, size, _ = _FRONT.unpack(front)
                last = index + 1
                file.seek(size, os.SEEK_CUR)
    except OSError as error:
        raise ResultsError(f"{path}: cannot be read: {error.strerror or error}") from error
    return last


def frame_told(told: tuple[Any, ...], picture: Any) -> Frame:
    """A frame as `state.told` said of it, with this picture."""
    index, pts, duration, epoch, _, _, _, order, synthetic, corrupt, base = told
    frame = Frame(picture, index, pts, Fraction(*base), duration, epoch)
    return replace(frame, synthetic_pts=synthetic, corrupt=corrupt, field_order=order)
