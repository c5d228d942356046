"""A stretch of a film has the frames of reading it from its beginning, to the bit, whatever the container and codec."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from streamseg.core.types import Frame
from streamseg.decode import Decoder
from streamseg.decode.stretch import Stretch
from streamseg.errors import StreamsegError
from tests.unit.decode.test_access import KINDS, told

FROM_BEGINNING = ("b3.avi", "mpeg4.avi", "raw.h264", "size.ts", "joined.ts", "stills", "amid-a-group.ts")
IN_PART = ("mpeg2.mpg", "fields.ts")
"""Those of which a stretch has to be decoded from the film's beginning; or one that does not begin there."""

Told = tuple[object, ...]


def all_of(source: Any) -> tuple[list[Told], str]:
    """What all frames tell, and the error behind them."""
    frames: list[Told] = []
    try:
        source.open()
        frames.extend(tell(frame) for frame in source.frames())
    except StreamsegError as error:
        return frames, str(error)
    finally:
        source.close()
    return frames, ""


def tell(frame: Frame) -> Told:
    return (*told(frame), frame.time_base, frame.corrupt)


@pytest.mark.parametrize("kind", KINDS)
def test_a_stretch_is_that_of_the_film(tmp_path: Path, kind: str) -> None:
    path = KINDS[kind](tmp_path / kind)
    frames, error = all_of(Decoder(path))
    length = max(1, len(frames) // 7)
    fell = []
    for first in range(0, len(frames) + length, length):
        stretch = Stretch(path, None, first, first + length, {}, falls_back=True)
        part, why = all_of(stretch)
        assert part == frames[first : first + length], first
        assert why == (error if first + length > len(frames) else "")
        fell.append(stretch.fell_back)
    assert all(fell) or kind not in FROM_BEGINNING, fell
    assert not any(fell) or kind in (*FROM_BEGINNING, *IN_PART), fell
    assert all_of(Stretch(path, None, len(frames) - 1, None, {}, falls_back=True)) == (frames[-1:], error)
    assert all_of(Stretch(path, None, 0, None, {})) == (frames, error)
