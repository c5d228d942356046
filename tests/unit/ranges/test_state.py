"""Frozen stages are thawed as they were; a file that was not frozen here runs nothing."""

from __future__ import annotations

import contextlib
import pickle
import zlib
from collections import deque
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from streamseg.core.types import Frame
from streamseg.errors import ResultsError
from streamseg.ranges.state import freeze, thaw
from streamseg.temporal.flow import FlowCache
from streamseg.track import Tracker
from tests import clips


def nobody(told: object) -> Frame:
    raise AssertionError(told)


class Call:
    """A pickle that calls something."""

    def __init__(self, what: object, *given: object) -> None:
        self._what, self._given = what, given

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self._what, self._given


def dotted(module: str, name: str, given: str) -> bytes:
    """A pickle that calls `name` of `module`, by protocol 4, which lets names have dots."""
    words = [b"\x80\x04", *(b"\x8c" + bytes([len(each)]) + each.encode() for each in (module, name))]
    return zlib.compress(b"".join(words) + b"\x93\x8c" + bytes([len(given)]) + given.encode() + b"\x85R.")


def test_what_is_shared_stays_shared_and_frames_are_references() -> None:
    frame, flows = Frame(clips.picture(7), 7, 7, Fraction(1, 25)), FlowCache()
    frozen, frames = freeze([flows, flows, {"frame": frame, "again": deque([frame])}, np.arange(5, dtype=np.float32)])
    assert frames == [7]
    assert len(frozen) < 2000
    one, other, held, numbers = thaw(frozen, lambda told: frame if told[0] == 7 else nobody(told), "here")
    assert one is other
    assert held["frame"] is held["again"][0] is frame
    assert numbers.dtype == np.float32
    assert isinstance(thaw(freeze(Tracker())[0], nobody, "here"), Tracker)


@pytest.mark.parametrize(
    "data",
    [
        zlib.compress(pickle.dumps(Call(print, "run"))),
        zlib.compress(pickle.dumps(Call(eval, "1"))),
        dotted("streamseg.pixels.sidedata", "ctypes.CDLL", "libm.so.6"),
        dotted("streamseg.runtime.process", "threading.Thread", "x"),
        dotted("streamseg.core.rle", "np.load", "x"),
        dotted("streamseg.core.rle", "np", "x"),
        dotted("streamseg.system.output_files", "OutputFile", "x"),
        dotted("builtins", "exec", "x"),
        dotted("os", "system", "x"),
    ],
    ids=lambda data: str(len(data)),
)
def test_a_pickle_of_something_else_runs_nothing(data: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ResultsError, match="here: it"):
        thaw(data, nobody, "here")
    assert "run" not in capfd.readouterr().out


@pytest.mark.parametrize("seed", range(30))
def test_damage_is_told(seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = bytearray(zlib.decompress(freeze([Tracker(), {"a": [1.5, "text", Path("x").name]}])[0]))
    for at in rng.integers(0, len(data), 3):
        data[at] = rng.integers(256)
    with contextlib.suppress(ResultsError):  # it may have hit a number; any other error is a bug
        thaw(zlib.compress(bytes(data[: rng.integers(2, len(data))])), nobody, "here")
