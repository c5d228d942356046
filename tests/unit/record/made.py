"""Results to keep: random ones, of every shape that instances can have."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from streamseg.core.result import Result
from streamseg.core.types import Frame, Instances
from streamseg.record import RecordWriter

CLASSES = ("person", "car", "dog")
TIME_BASE = Fraction(1, 12800)
HEAD: dict[str, Any] = {"source": {"kind": "file", "size": 1, "sha256": "00"}, "classes": list(CLASSES), "time_base": "1/12800"}


def instances(rng: np.random.Generator, n: int, side: int = 28, fine: bool = True) -> Instances:
    """`n` of them; with `fine` every second one has a finer grid."""
    corner, size = rng.uniform(0, 60, (n, 2)), rng.uniform(1, 40, (n, 2))
    grids = tuple(rng.integers(0, 256, (40 + i, 40 + i), np.uint8) if i % 2 == 0 else None for i in range(n))
    return Instances(
        np.concatenate([corner, corner + size], 1).astype(np.float32),
        rng.uniform(0, 1, n).astype(np.float32),
        rng.integers(0, len(CLASSES), n),
        rng.integers(0, 256, (n, side, side)).astype(np.uint8),
        CLASSES,
        rng.integers(0, 1 << 40, n),
        rng.uniform(0, 1, n).astype(np.float32),
        rng.integers(0, 2, n).astype(bool),
        grids if fine and n else (),
        mattes=n % 2 == 1,
    )


def result(number: int, found: Instances, detected: bool = True, pts: int | None = None, epoch: int = 0) -> Result:
    """Of frame `number`, at 25 a second."""
    picture = av.VideoFrame(96, 64, "yuv420p")
    frame = Frame(picture, number, 512 * number if pts is None else pts, TIME_BASE, 512, epoch)
    return Result(frame, found, detected=detected)


def kept(path: Path, results: list[Result], complete: bool | None = True, **more: Any) -> Path:
    """A results file of these; `complete` None: as after a crash."""
    writer = RecordWriter(path, HEAD | more)
    for each in results:
        writer.write(each)
    if complete is None:
        writer._file.close()
    else:
        writer.close(complete=complete)
    return path


def several(count: int = 6, seed: int = 1) -> list[Result]:
    """Frames of zero to four instances each."""
    rng = np.random.default_rng(seed)
    return [result(i, instances(rng, int(rng.integers(0, 5))), detected=i % 3 != 2) for i in range(count)]


def same(record: Any, told: Result) -> None:
    """Assert that a record says what the result said, to the bit."""
    frame, found, back = told.frame, told.instances, record.instances
    times = (frame.index, frame.pts, frame.time_base, frame.duration, frame.epoch, frame.width, frame.height)
    assert (record.index, record.pts, record.time_base, record.duration, record.epoch, record.width, record.height) == times
    assert record.detected == told.detected
    assert back.class_names == found.class_names
    for name in ("boxes", "scores", "labels", "masks", "track_ids", "track_scores", "doubtful"):
        one, other = getattr(back, name), getattr(found, name)
        assert (one.dtype, one.shape) == (other.dtype, other.shape), name
        assert np.array_equal(one, other), name
    assert back.mattes == found.mattes
    assert len(back.fine) == len(found.fine)
    for one, other in zip(back.fine, found.fine, strict=True):
        assert (one is None) == (other is None)
        assert one is None or (one.dtype == np.uint8 and np.array_equal(one, other))
