"""A file of lines that does not grow for ever: when it is full, it becomes NAME.1, what was that NAME.2, and so on."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

__all__ = ["LogFile"]


class LogFile:
    """For one thread at a time."""

    def __init__(self, path: Path, size: int, keep: int) -> None:
        """size: bytes of one file, 0 for any; keep: older ones that are kept. Raises OSError."""
        self._path, self._size, self._keep = path, size, keep
        self._fd = self._open()

    def write(self, line: str) -> None:
        """Add a line, whole or not at all. Raises OSError."""
        data = f"{line}\n".encode("utf-8", "backslashreplace")
        if self._moved():
            self._begin_anew()
        written = os.fstat(self._fd).st_size
        if self._size and written and written + len(data) > self._size:
            self._shift()
            self._begin_anew()
            written = 0
        try:
            if os.write(self._fd, data) != len(data):
                raise OSError(f"{self._path}: only a part was written")
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, written)
            raise

    def close(self) -> None:
        """Twice is harmless."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0), 0o640)

    def _moved(self) -> bool:
        """Whether another program, as logrotate, has taken the file away."""
        try:
            return self._fd < 0 or not os.path.samestat(os.stat(self._path), os.fstat(self._fd))
        except OSError:
            return True

    def _begin_anew(self) -> None:
        self.close()
        self._fd = self._open()

    def _shift(self) -> None:
        self.close()
        names = [self._path, *(self._path.with_name(f"{self._path.name}.{number}") for number in range(1, self._keep + 1))]
        with contextlib.suppress(OSError):
            names[-1].unlink()
        for older, newer in zip(reversed(names), [*reversed(names)][1:], strict=False):
            with contextlib.suppress(OSError):
                newer.replace(older)
