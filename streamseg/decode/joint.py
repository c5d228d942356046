"""Where two files of one drive meet: whether the second repeats the last pictures of the first, found by comparing them.

Recorders let files overlap by up to some seconds, or repeat the last picture, and their clocks count whole seconds. So the first
pictures of the second file are compared with the last ones of the first, on a coarse grid. Where nothing moves all pictures are
alike, and nothing can be told; then nothing needs to be, either.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice, pairwise

import av
import cv2
import numpy as np
import numpy.typing as npt

from streamseg.decode.address import Address
from streamseg.decode.container import open_container
from streamseg.decode.faults import AV_ERRORS, fault, no_video
from streamseg.decode.streams import find_video
from streamseg.errors import StreamsegError, Unreadable
from streamseg.pixels.planes import supported, views

__all__ = ["Beginning", "Peek", "repeated", "sketch"]

Sketch = npt.NDArray[np.float32]
"""[36, 64] mean brightness of a picture's parts, 0 to 255."""

HEAD = 8
"""So many pictures of the second file are looked at."""
_ROWS, _COLUMNS = 36, 64
_SURE, _SEVERAL, _SURE_OF_FEW = 0.75, 3, 0.35
"""Pictures are the same if they differ by less than this share of what neighbours do: coding anew costs some. One or two that are
alike may be so by chance."""
_CLEAR = 0.6
"""... and by less than this share of what they would if one more, or one less, were repeated."""
_STILL = 0.12
"""Neighbours that differ by less, of 255, show nothing that moves."""


def sketch(picture: av.VideoFrame) -> Sketch | None:
    """The brightness of a picture on a coarse grid; None of one that lies on a GPU."""
    try:
        plane = views(supported(picture)).planes[0].array
    except (*AV_ERRORS, ValueError, KeyError, StreamsegError):
        return None
    small = cv2.resize(plane, (_COLUMNS, _ROWS), interpolation=cv2.INTER_AREA)
    small = small[..., small.shape[2] // 2] if small.ndim == 3 else small
    return small.astype(np.float32) / (1 if plane.dtype == np.uint8 else np.float32(256 if int(small.max()) > 1023 else 4))


def repeated(tail: Sequence[Sketch], head: Sequence[Sketch]) -> int:
    """How many pictures at the beginning of a file are those at the end of the one before; `tail` and `head` in order."""
    if len(tail) < 2 or not head:
        return 0
    steps = [[_differ(a, b) for a, b in pairwise(row)] for row in (tail[-HEAD:], head)]
    moves = [float(np.median(row)) for row in steps if row]
    if min(moves) <= _STILL:
        return 0
    errors = [math.inf]
    for count in range(1, len(tail) + 1):
        pairs = zip(tail[len(tail) - count :], head[:count], strict=False)
        errors.append(float(np.mean([_differ(a, b) for a, b in pairs])))
    best = int(np.argmin(errors))
    beside = min(errors[best - 1], errors[best + 1] if best + 1 < len(errors) else math.inf)
    sure = _SURE if best >= _SEVERAL else _SURE_OF_FEW
    return best if errors[best] < min(sure * float(np.mean(moves)), _CLEAR * beside) else 0


def _differ(a: Sketch, b: Sketch) -> float:
    return float(np.abs(a - b).mean())


@dataclass(slots=True)
class Beginning:
    """The first pictures of a file."""

    first: Fraction = Fraction(0)
    """When the first is shown, seconds on the file's clock."""
    size: tuple[int, int] = (0, 0)
    """Width and height as stored, pixels."""
    head: list[Sketch] = field(default_factory=list)
    problem: StreamsegError | None = None
    """Why it cannot be read."""


class Peek:
    """Looks at the beginning of a file in a thread of its own, while the one before is read: then it is in memory, too."""

    def __init__(self, address: Address, timeout: float) -> None:
        self._address, self._timeout = address, timeout
        self._found = Beginning()
        self._thread = threading.Thread(target=self._look, name="streamseg-next-file", daemon=True)
        self._thread.start()

    def result(self) -> Beginning:
        """What was found; waits for it."""
        self._thread.join()
        return self._found

    def close(self) -> None:
        """Wait a moment for the thread to end."""
        self._thread.join(1.0)

    def _look(self) -> None:
        name = self._address.name
        try:
            with open_container(self._address, self._timeout) as container:
                stream = find_video(container)
                if stream is None:
                    raise no_video(name, (s.type for s in container.streams))
                stream.codec_context.thread_count = 1
                for number, picture in enumerate(islice(container.decode(stream), HEAD)):
                    if number == 0 and picture.pts is not None:
                        self._found.first = picture.pts * (picture.time_base or stream.time_base or Fraction(1, 90000))
                    self._found.size = picture.width, picture.height
                    if (seen := sketch(picture)) is not None:
                        self._found.head.append(seen)
                    if number == 0 and seen is None:
                        break
                else:
                    if not self._found.head:
                        raise Unreadable(f"{name}: holds no picture that can be decoded")
        except StreamsegError as error:
            self._found.problem = error
        except AV_ERRORS as error:
            if not self._found.head:
                self._found.problem = fault(error, name)
