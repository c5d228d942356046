"""Whether a file holds all the bytes that its own structure tells: a file that was cut off does not, wherever it was cut.

Read by the sizes of Matroska's elements (RFC 8794 and 9559), of ISO's boxes (ISO/IEC 14496-12) and of RIFF's chunks. libav ends
a Matroska that is cut within an element as it ends a whole one.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import BinaryIO

from streamseg.decode.address import Address

__all__ = ["CutOff", "cut_off", "cut_off_source"]

_EBML, _SEGMENT, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675
_BLOCKS = (0xA3, 0xA0)
"""SimpleBlock, BlockGroup."""
_NO_LENGTH = 2**32 - 2
"""Recorders that never came to its end leave such a length in a RIFF."""


@dataclass(frozen=True, slots=True)
class CutOff:
    """What is missing at the end of a file."""

    missing: int
    """Bytes, at least."""
    in_pictures: bool
    """It ends amid pictures or sound, not in an index or a tag that follows them, as far as that can be told."""


def cut_off(path: str | os.PathLike[str]) -> CutOff | None:
    """What is missing at the end of a file; None if nothing is, or if its structure does not tell.

    An OSError passes through.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(8)
        if head[:4] == _EBML.to_bytes(4, "big"):
            return _matroska(file, size)
        if head[4:8] in (b"ftyp", b"moov", b"wide", b"styp"):
            return _boxes(file, size)
        if head[:4] == b"RIFF":
            return _chunks(file, size)
    return None


def cut_off_source(address: Address) -> CutOff | None:
    """What a file lacks at its end; None for other sources, and if that cannot be told."""
    with contextlib.suppress(OSError):  # it may have been deleted while it was read
        return cut_off(address.url.removeprefix("file:")) if address.kind == "file" else None
    return None


def _boxes(file: BinaryIO, size: int) -> CutOff | None:
    at = 0
    while at + 8 <= size:
        file.seek(at)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8:  # 0: it reaches to the end, whatever that is
            return None
        at += length
        if at > size:
            return CutOff(at - size, head[4:8] == b"mdat")
    return None


def _chunks(file: BinaryIO, size: int) -> CutOff | None:
    file.seek(4)
    length = int.from_bytes(file.read(4), "little")
    beyond = 8 + length - size
    if beyond <= 0 or length >= _NO_LENGTH:
        return None
    at = 12
    while at + 12 <= size:
        file.seek(at)
        head = file.read(12)
        end = at + 8 + int.from_bytes(head[4:8], "little")
        if end > size:
            return CutOff(beyond, head[8:] == b"movi")
        at = end + end % 2
    return CutOff(beyond, False)


def _matroska(file: BinaryIO, size: int) -> CutOff | None:
    """Walks over elements, into those of unknown size and those that reach beyond the end."""
    at, beyond, in_pictures = 0, 0, False
    while at < size:
        file.seek(at)
        found = _element(file.read(12))
        if found is None:  # zeros, a damaged element, or one that is cut within its first bytes
            break
        ident, head, length = found
        end = None if length is None else at + head + length
        if end is not None and end <= size:
            at = end
            continue
        beyond = max(beyond, (end or size) - size)
        in_pictures = in_pictures or ident in _BLOCKS or (ident == _CLUSTER and end is not None)
        if ident not in (_SEGMENT, _CLUSTER):
            break
        at += head
    return CutOff(beyond, in_pictures) if beyond else None


def _element(head: bytes) -> tuple[int, int, int | None] | None:
    """(id, bytes of the head, bytes of the content or None if unknown) of an element; None if these are no head of one."""
    if not head or not head[0] & 0xF0:
        return None
    ident = 9 - head[0].bit_length()
    rest = head[ident:]
    if not rest or not rest[0]:
        return None
    width = 9 - rest[0].bit_length()
    if len(rest) < width:
        return None
    length = int.from_bytes(rest[:width], "big") & ((1 << 7 * width) - 1)
    unknown = length == (1 << 7 * width) - 1
    return int.from_bytes(head[:ident], "big"), ident + width, None if unknown else length
