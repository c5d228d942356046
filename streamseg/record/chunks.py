"""The outer form of a results file: a signature, then chunks, each with its length, its kind and a check sum.

    89 53 53 52 0D 0A 1A 0A                       the signature
    length u32 | kind, 4 letters | payload | crc  a chunk; numbers are little-endian, the crc is CRC-32 of kind and payload
    HEAD FRAM FRAM … DONE INDX TAIL               in this order; what was not finished ends after a FRAM

A file is written from front to back and nothing in it is changed later, so that it is sound up to its last whole chunk however the
writing ended. As in PNG, a text mode that changes line ends is noticed by the signature.
"""

from __future__ import annotations

import struct
import threading
import zlib
from pathlib import Path
from typing import BinaryIO

from streamseg.errors import ResultsError
from streamseg.errors.describe import brief

__all__ = ["DONE", "FRAME", "HEAD", "INDEX", "SIGNATURE", "TAIL", "ChunkFile", "ForeignFile", "chunk"]

SIGNATURE = b"\x89SSR\r\n\x1a\n"
HEAD, FRAME, DONE, INDEX, TAIL = b"HEAD", b"FRAM", b"DONE", b"INDX", b"TAIL"
_KINDS = (HEAD, FRAME, DONE, INDEX, TAIL)
_FRONT = struct.Struct("<I4s")
_CRC = struct.Struct("<I")
AROUND = _FRONT.size + _CRC.size
"""Bytes of a chunk beside its payload."""


class ForeignFile(ResultsError):
    """It holds something else than results, and may be somebody's work."""


def chunk(kind: bytes, payload: bytes) -> bytes:
    """A chunk as it stands in the file."""
    return b"".join((_FRONT.pack(len(payload), kind), payload, _CRC.pack(zlib.crc32(payload, zlib.crc32(kind)))))


class ChunkFile:
    """A results file that is open to be read, at any place. May be used from several threads."""

    def __init__(self, path: Path) -> None:
        """Raises ResultsError where there is none, or another kind of file."""
        self.path = path
        try:
            self._file: BinaryIO = path.open("rb", buffering=0)
        except OSError as error:
            raise ResultsError(f"{path}: cannot be read: {error.strerror or error}") from error
        self._lock = threading.Lock()
        try:
            self.size = self._length()
            start = self.read(0, len(SIGNATURE))
        except ResultsError:
            self.close()
            raise
        if start != SIGNATURE:
            self.close()
            what = "this file is empty" if not start else "this is no results file of streamseg"
            kind = ResultsError if start == SIGNATURE[: len(start)] else ForeignFile
            raise kind(f"{path}: {what}; one is kept by `streamseg run FILM -p edit -o OUT`, or with --results PATH")

    def _length(self) -> int:
        try:
            return self._file.seek(0, 2)
        except OSError as error:
            raise ResultsError(f"{self.path}: cannot be read: {error.strerror or error}") from error

    def read(self, at: int, length: int) -> bytes:
        """Bytes from `at` on, fewer where the file ends. Raises ResultsError."""
        parts = []
        if at >= self.size:  # also one that no file is long enough for
            return b""
        try:
            with self._lock:
                self._file.seek(at)
                while length > 0 and (part := self._file.read(length)):
                    parts.append(part)
                    length -= len(part)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ResultsError(f"{self.path}: reading it failed: {reason}") from error
        return b"".join(parts)

    def front(self, at: int, more: int = 0) -> tuple[bytes, int, bytes] | None:
        """Kind, end and the first `more` bytes of the payload of the chunk at `at`; None where no whole chunk lies there."""
        data = self.read(at, _FRONT.size + more)
        if len(data) < _FRONT.size:
            return None
        length, kind = _FRONT.unpack_from(data)
        end = at + AROUND + length
        if kind not in _KINDS or end > self.size:
            return None
        return kind, end, data[_FRONT.size :][:length]

    def payload(self, at: int, kind: bytes, what: str) -> bytes:
        """The payload of the chunk of this kind at `at`. Raises ResultsError, which calls it `what`, where it is damaged.

        A length beyond the file's end is refused before anything is read.
        """
        front = self.front(at)
        if front is None or front[0] != kind:
            raise ResultsError(f"{self.path}: {what}, at byte {at}, is damaged or cut off: {_ANEW}")
        length = front[1] - at - AROUND
        data = self.read(at + _FRONT.size, length + _CRC.size)
        body = data[:length]
        if len(data) != length + _CRC.size or _CRC.unpack_from(data, length)[0] != zlib.crc32(body, zlib.crc32(kind)):
            raise ResultsError(f"{self.path}: {what}, at byte {at}, is damaged (its check sum is wrong): {_ANEW}")
        return body

    def close(self) -> None:
        """Close it. Twice is harmless."""
        self._file.close()

    def __repr__(self) -> str:
        return f"ChunkFile({brief(str(self.path))}, {self.size} bytes)"


_ANEW = "delete the file and look at the film anew"
