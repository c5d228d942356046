"""The wire format of protobuf, read: a message as its fields, each a number and a value.

https://protobuf.dev/programming-guides/encoding. Raises ValueError or IndexError for bytes that are none.
"""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["Value", "fields", "message_of", "numbers_of", "text_of", "texts_of"]

Value = int | memoryview
"""A number; or the bytes of a text, of a message, or of what has a fixed length."""


def fields(message: memoryview) -> Iterator[tuple[int, Value]]:
    """The fields of a message in their order: number and value of each."""
    position, end = 0, len(message)
    while position < end:
        key, position = _varint(message, position)
        wire = key & 7
        if wire == 0:
            value, position = _varint(message, position)
            yield key >> 3, value
            continue
        if wire == 2:
            size, position = _varint(message, position)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire} at byte {position}")
        if position + size > end:
            raise ValueError(f"a field of {size} bytes runs past the end")
        yield key >> 3, message[position : position + size]
        position += size


def message_of(value: Value) -> memoryview:
    """The value of a field that holds a message."""
    if isinstance(value, int):
        raise ValueError("a number where a message should be")  # noqa: TRY004 - the bytes are wrong, not a caller's type
    return value


def text_of(value: Value) -> str:
    """The value of a field that holds a text."""
    return bytes(message_of(value)).decode("utf-8")


def texts_of(message: memoryview, *wanted: int) -> tuple[str, ...]:
    """The texts in the fields of these numbers; "" for one that is missing."""
    found = {number: text_of(value) for number, value in fields(message) if number in wanted}
    return tuple(found.get(number, "") for number in wanted)


def numbers_of(value: Value) -> list[int]:
    """Of a repeated number: all that are packed into one field, or the one of several fields."""
    if isinstance(value, int):
        return [value]
    numbers, position = [], 0
    while position < len(value):
        number, position = _varint(value, position)
        numbers.append(number)
    return numbers


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    result, shift = 0, 0
    while True:
        byte = message[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, position
        shift += 7
        if shift > 63:
            raise ValueError(f"a number longer than 64 bits at byte {position}")
