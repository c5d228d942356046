"""Writes a results file, a frame at a time, each whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import struct
import zlib
from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from streamseg.core.result import Result
from streamseg.errors import OutputError
from streamseg.record.chunks import DONE, FRAME, HEAD, INDEX, SIGNATURE, TAIL, chunk
from streamseg.record.frames import pack
from streamseg.system.output_files import OutputFile, make_folder, open_locked, part_of

__all__ = ["SCHEMA", "RecordWriter"]

SCHEMA = "streamseg.record/1"


class RecordWriter:
    """A results file that is being written.

    It stands under its own name from its first byte on, so that it is there after a crash, up to its last whole frame. Where it is
    to replace another one, that one stays until `close(complete=True)`: it is written as `.NAME.part` meanwhile.
    """

    def __init__(self, path: Path, head: Mapping[str, Any], *, replace: bool = False) -> None:
        """`head`: what HEAD holds besides the schema. `replace`: a file that is there may be replaced.

        Raises OutputError where it cannot be written, and where another run writes it; OutputExists.
        """
        make_folder(path.parent)
        self.path = path
        self._replaces = replace and path.exists()
        self._old = _held(path) if self._replaces else None
        try:
            self._file = OutputFile(part_of(path) if self._replaces else path, overwrite=self._replaces)
        except OutputError:
            self._let_go()
            raise
        self._at, self._index, self._pts = array("q"), array("q"), array("q")
        self._closed = False
        try:
            self._append(SIGNATURE + chunk(HEAD, json.dumps({"schema": SCHEMA, **head}, ensure_ascii=False).encode()))
        except OutputError:
            self.discard()
            raise

    def __len__(self) -> int:
        return len(self._at)

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._file.size

    def write(self, result: Result) -> None:
        """Append a frame. Raises OutputError; what was written before it is kept."""
        self.put(result.frame.index, result.frame.pts, chunk(FRAME, pack(result)))

    def put(self, index: int, pts: int, made: bytes) -> None:
        """Append a frame whose chunk was made elsewhere. Raises OutputError; what was written before it is kept."""
        at = self._file.size
        self._append(made)
        self._at.append(at)
        self._index.append(index)
        self._pts.append(pts)

    def close(self, *, complete: bool = True) -> None:
        """Write the summary and the index, and give the file its name. Twice is harmless.

        `complete`: all that was asked for is in it. What is not complete replaces nothing: it is discarded where another file
        stands. Raises OutputError; the frames are kept.
        """
        if self._closed:
            return
        if self._replaces and not complete:
            self.discard()
            return
        try:
            self._finish(complete)
        finally:
            self._closed = True
            self._end()

    def _finish(self, complete: bool) -> None:
        at = self._file.size
        columns = np.stack([np.frombuffer(column, np.int64) for column in (self._at, self._index, self._pts)])
        steps = np.diff(columns, axis=1, prepend=0).astype("<i8")
        self._append(
            chunk(DONE, json.dumps({"frames": len(self), "complete": complete}).encode())
            + chunk(INDEX, zlib.compress(steps.tobytes()))
            + chunk(TAIL, struct.pack("<Q", at))
        )

    def _let_go(self) -> None:
        old, self._old = self._old, None
        if old is not None:
            os.close(old)

    def discard(self) -> None:
        """Remove what was written; does not raise."""
        if not self._closed:
            self._closed = True
            self._let_go()
            with contextlib.suppress(OSError):
                self._file.close()
            with contextlib.suppress(OSError):
                self._file.path.unlink()

    def _append(self, data: bytes) -> None:
        try:
            self._file.append(data)
        except OSError as error:
            raise OutputError(self._failed("writing", error)) from error

    def _end(self) -> None:
        try:
            self._file.close()
            self._let_go()
            if self._replaces:
                os.replace(self._file.path, self.path)
        except OSError as error:
            raise OutputError(self._failed("finishing", error)) from error

    def _failed(self, doing: str, error: OSError) -> str:
        return f"{self.path}: {doing} the results file failed: {error.strerror or error}; {len(self)} frames before it are kept"


def _held(path: Path) -> int:
    """A file that is to be replaced, taken for this run: another one may be writing it still. Raises OutputError."""
    try:
        return open_locked(path, path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be replaced: {error.strerror or error}") from error
