"""Cover: which part of a frame must not be seen. It goes with the frame's result from where it is known to where it is painted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.system.unchanging import unchanging

__all__ = ["Cover", "Unanswered"]

ByteArray = npt.NDArray[np.uint8]
Unanswered = Literal["", "hold", "cover", "carry"]


@unchanging
@dataclass(frozen=True, slots=True, eq=False)
class Cover:
    """What of one frame is hidden."""

    step: int
    """Frame pixels to a cell, across and down."""
    cells: ByteArray
    """[ceil(height / step), ceil(width / step)] uint8: 255 hidden, 0 shown. A cell is hidden whole."""
    largest: float = 0.0
    """Longer side of the largest hidden object, frame pixels: what decides how coarse the blocks of a blur are."""
    unanswered: Unanswered = ""
    """What is done since the network did not look at this frame, or what it said could not be read: `hold` the picture before,
    `cover` the whole, `carry` what was known; empty: it was answered."""
    needed: Mapping[str, int] = field(default_factory=dict)
    """Pixels that are hidden for one safety alone: `margin` of what is sure, `low`, `before`, `later`, `lost`."""

    @property
    def whole(self) -> bool:
        """Whether nothing of the frame may be seen."""
        return self.unanswered in ("cover", "hold")

    def joined(self, cells: ByteArray, largest: float) -> Cover:
        """This, with more cells hidden."""
        return Cover(self.step, np.maximum(self.cells, cells), max(self.largest, largest), self.unanswered, self.needed)

    def to_json(self) -> dict[str, Any]:
        """Plain data: pixels hidden, and for which safety."""
        told: dict[str, Any] = {"hidden": int(np.count_nonzero(self.cells)) * self.step**2, **self.needed}
        return told | ({"unanswered": self.unanswered} if self.unanswered else {})

    def alpha(self, width: int, height: int, align: tuple[int, int]) -> ByteArray:
        """uint8 [height, width] of the frame: 255 hidden, 0 shown, in blocks of `align` pixels across and down.

        So that samples of chroma, which several pixels share, are hidden or shown as a whole.
        """
        cells = self.cells
        across, down = (self.step if self.step % side == 0 else side for side in align)
        if (across, down) != (self.step, self.step):
            fine = cells.repeat(self.step, 0)[:height].repeat(self.step, 1)[:, :width]
            fine = np.pad(fine, ((0, -height % down), (0, -width % across)))
            rows, columns = fine.shape[0] // down, fine.shape[1] // across
            cells = fine.reshape(rows, down, columns, across).max((1, 3))
        size = (cells.shape[1] * across, cells.shape[0] * down)
        large = cv2.resize(cells, size, interpolation=cv2.INTER_NEAREST)
        return np.ascontiguousarray(large[:height, :width])
