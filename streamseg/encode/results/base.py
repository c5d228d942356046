"""What the formats share: the life of a sink that writes results, and a file that takes its name when it is whole."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.core.masks import Region
from streamseg.encode.file_sink import FileSink
from streamseg.encode.sink import RenderedPicture
from streamseg.errors import OutputError
from streamseg.system.output_files import open_part, part_of
from streamseg.system.version import installed_version

if TYPE_CHECKING:
    from streamseg.core.result import Result
    from streamseg.decode import SourceInfo

__all__ = ["Draft", "FormatSink", "measure"]

_SEPARATOR = b",\n"
_CHUNK = 1 << 16


class FormatSink(FileSink):
    """Base of the formats' sinks: checks, counters, and errors that say which file.

    A subclass writes in `_begin` (the first result), `_write` (each result) and `_finish` (once, if there was a result; also after
    an error). They may raise OSError.
    """

    results: ClassVar[bool] = True
    _begun = _ended = False
    _untracked = 0

    def __call__(self, rendered: RenderedPicture, /) -> None:
        """Take one result. Raises OutputError."""
        with self._named("writing"):
            if not self._begun:
                self._begin(rendered.result)
                self._begun = True
            self._write(rendered.result)
        self.counters.frames += 1

    def close(self) -> None:
        """Finish the output under its name. Raises OutputError."""
        if not self._begun or self._ended:
            return
        self._ended = True
        with self._named("finishing"):
            self._finish()
        if self._untracked:
            self.warnings.append(f"{self.name}: {self._untracked} masks that belong to no track yet are left out")

    def abort(self) -> None:
        """As `close`, of what could be written; does not raise."""
        with contextlib.suppress(OutputError):
            self.close()

    @contextlib.contextmanager
    def _named(self, doing: str) -> Iterator[None]:
        try:
            yield
        except (OSError, cv2.error) as error:
            reason = getattr(error, "strerror", None) or str(error)
            kept = f"{self.counters.frames} frames before it are kept"
            raise OutputError(f"{self.name}: {doing} it failed: {reason}; {kept}") from error

    def _begin(self, first: Result) -> None:
        raise NotImplementedError

    def _write(self, result: Result) -> None:
        raise NotImplementedError

    def _finish(self) -> None:
        raise NotImplementedError


class Draft:
    """A file under construction, `.NAME.part`, of a head and records that are each written whole or not at all."""

    def __init__(self, path: Path, head: bytes) -> None:
        self._path, self._part = path, part_of(path)
        self._file = os.fdopen(open_part(path), "r+b", buffering=0)
        self.size = 0
        """Bytes."""
        try:
            self.append(head)
        except OSError:
            self.discard()
            raise
        self._head = self.size
        self._records = 0

    def append(self, data: bytes) -> None:
        """Write all of `data`, or raise OSError and leave the file as it was."""
        view = memoryview(data)
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError:
            self._file.truncate(self.size)
            self._file.seek(self.size)
            raise
        self.size += len(data)

    def record(self, *texts: str) -> None:
        """Write elements of a JSON array, all or none. Raises OSError."""
        if texts:
            joined = _SEPARATOR.join(text.encode() for text in texts)
            self.append((_SEPARATOR if self._records else b"\n") + joined)
            self._records += len(texts)

    def finish(self, tail: Iterable[bytes]) -> None:
        """Write the tail and rename. On a full disk the last records make room for it. Raises OSError when even that fails."""
        parts = list(tail)
        try:
            self._try(parts)
        except OSError:
            self._cut(sum(len(part) for part in parts))
            try:
                self._try(parts)
            except OSError:
                self.discard()
                raise
            self._place()
            raise
        self._place()

    def _try(self, parts: list[bytes]) -> None:
        end = self.size
        try:
            for part in parts:
                self.append(part)
        except OSError:
            self._shorten(end)
            raise

    def _place(self) -> None:
        self._file.close()
        self._part.replace(self._path)

    def discard(self) -> None:
        """Remove what was written."""
        self._file.close()
        with contextlib.suppress(OSError):
            self._part.unlink()

    def _cut(self, room: int) -> None:
        """Drop whole records from the end, `room` bytes or a little more."""
        wanted = self.size - room
        low = max(self._head, wanted)
        while low > self._head:
            start = max(self._head, low - _CHUNK)
            self._file.seek(start)
            found = self._file.read(low - start + 1).rfind(_SEPARATOR)
            if found >= 0:
                self._shorten(start + found)
                return
            low = start
        self._shorten(self._head)
        self._records = 0

    def _shorten(self, size: int) -> None:
        self._file.truncate(size)
        self._file.seek(size)
        self.size = size


def measure(region: Region, crop: npt.NDArray[np.bool_]) -> tuple[int, list[int]]:
    """Area in pixels and box [x, y, width, height] in frame pixels of the mask `crop` at `region`; zeros when it is empty."""
    area = int(np.count_nonzero(crop))
    if not area:
        return 0, [0, 0, 0, 0]
    x, y, w, h = cv2.boundingRect(crop.view(np.uint8))
    return area, [region[0] + x, region[1] + y, w, h]


def info_of(info: SourceInfo) -> dict[str, Any]:
    """The `info` object of the JSON formats."""
    return {"description": info.name, "version": "1.0", "contributor": f"streamseg {installed_version()}"}
