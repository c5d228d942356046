"""A film of known tracks, as a results file: who is where in which frame.

25 frames a second, 200x100 pixels, masks that fill their boxes:
  #1 person: frames 0 to 9, 20x40 at the left       #2 car: frames 5 to 24, 40x40 in the middle
  #3 person: frames 12 to 24, 20x40 at the left     #4 dog: frames 20 to 24, 10x10 upon the car, surer than it
"""

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
SEEN = {
    1: (0, range(10), (10, 30, 30, 70), 0.8),
    2: (1, range(5, 25), (80, 30, 120, 70), 0.7),
    3: (0, range(12, 25), (10, 30, 30, 70), 0.8),
    4: (2, range(20, 25), (95, 45, 105, 55), 0.9),
}
FRAMES = 25
SOURCE = {"kind": "file", "name": "film.mov", "size": 5, "sha256": "ab"}


def instances(number: int) -> Instances:
    """Of one frame, the surest first."""
    rows = sorted((row for row in SEEN.items() if number in row[1][1]), key=lambda row: -row[1][3])
    n = len(rows)
    return Instances(
        np.array([row[1][2] for row in rows], np.float32).reshape(n, 4),
        np.array([row[1][3] for row in rows], np.float32),
        np.array([row[1][0] for row in rows], np.int64),
        np.full((n, 28, 28), 255, np.uint8),
        CLASSES,
        np.array([row[0] for row in rows], np.int64),
    )


def result(number: int) -> Result:
    frame = Frame(av.VideoFrame(200, 100, "yuv420p"), number, 512 * number, Fraction(1, 12800), 512)
    return Result(frame, instances(number))


def results_file(path: Path, **more: Any) -> Path:
    head = {"source": SOURCE, "classes": list(CLASSES), "time_base": "1/12800", **more}
    writer = RecordWriter(path, head)
    for number in range(FRAMES):
        writer.write(result(number))
    writer.close()
    return path
