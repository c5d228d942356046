"""What may happen to bytes: bits flipped, numbers made extreme, parts cut, moved, repeated or taken from another file."""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Callable, Sequence

__all__ = ["damaged"]

NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF)
"""Where programs that count wrongly fail."""
TAG = re.compile(rb"[a-zA-Z][a-zA-Z0-9 ]{3}")
"""Names of boxes and chunks (mp4, avi, png, gif): what stands near them are sizes, counts and times."""
HEAD = 600


def damaged(data: bytes, rng: random.Random, others: Sequence[bytes] = ()) -> bytes:
    """`data` after one to four accidents. `others`: whole files that parts may be taken from."""
    result = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4))):
        if not result:
            break
        rng.choice(WAYS)(result, rng, others)
    return bytes(result)


def _place(data: bytearray, rng: random.Random) -> int:
    """Headers and trailers more often than what is between."""
    end = len(data)
    return rng.choice((rng.randrange(end), rng.randrange(min(end, HEAD)), max(0, end - 1 - rng.randrange(min(end, HEAD)))))


def _bits(data: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    for _ in range(rng.choice((1, 1, 3, 10, 40))):
        data[_place(data, rng)] ^= 1 << rng.randrange(8)


def _bytes(data: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    for _ in range(rng.choice((1, 2, 8))):
        data[_place(data, rng)] = rng.choice((0, 0xFF, 0x7F, 0x80, rng.randrange(256)))


def _number(data: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    _write_number(data, _place(data, rng), rng)


def _number_at_tag(data: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    places = [match.end() for match in TAG.finditer(data)]
    if places:
        _write_number(data, rng.choice(places) + rng.choice((-8, 0, 4, 8, 12, 16, 20, rng.randrange(32))), rng)


def _write_number(data: bytearray, at: int, rng: random.Random) -> None:
    size, order = rng.choice((1, 2, 4, 4, 8)), rng.choice("<>")
    at = max(0, min(at, len(data) - size))
    if at + size > len(data):
        return
    old = int.from_bytes(data[at : at + size], "little" if order == "<" else "big")
    value = rng.choice((rng.choice(NUMBERS), old + rng.choice((-1, 1, 256, -256)), old * 2, rng.getrandbits(64)))
    data[at : at + size] = struct.pack(order + "Q", value % 2**64)[: size if order == "<" else None][-size:]


def _cut(data: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    del data[_place(data, rng) :]


def _behead(data: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    del data[: rng.randrange(min(len(data), HEAD))]


def _span(data: bytearray, rng: random.Random) -> tuple[int, int]:
    start = _place(data, rng)
    return start, min(len(data), start + rng.choice((1, 4, 16, 188, 512, 4096, rng.randrange(1, len(data) + 1))))


def _drop(data: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    start, stop = _span(data, rng)
    del data[start:stop]


def _repeat(data: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    start, stop = _span(data, rng)
    data[stop:stop] = data[start:stop] * rng.choice((1, 1, 2, 7))


def _move(data: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    start, stop = _span(data, rng)
    part = data[start:stop]
    del data[start:stop]
    at = rng.randrange(len(data) + 1)
    data[at:at] = part


def _fill(data: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    start, stop = _span(data, rng)
    data[start:stop] = bytes([rng.choice((0, 0xFF))]) * (stop - start) if rng.random() < 0.5 else rng.randbytes(stop - start)


def _join(data: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    """Another file behind it, or itself again: what a careless copy or a recorder that starts anew makes."""
    data.extend(rng.choice(others) if others and rng.random() < 0.5 else bytes(data))


def _graft(data: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    if others and (other := rng.choice(others)):
        start = rng.randrange(len(other))
        part = other[start : start + rng.choice((16, 188, 1024))]
        at = _place(data, rng)
        data[at : at + rng.choice((0, len(part)))] = part


WAYS: tuple[Callable[[bytearray, random.Random, Sequence[bytes]], None], ...] = (
    _bits,
    _bits,
    _bytes,
    _number,
    _number,
    _number_at_tag,
    _number_at_tag,
    _number_at_tag,
    _cut,
    _behead,
    _drop,
    _repeat,
    _move,
    _fill,
    _join,
    _graft,
)
