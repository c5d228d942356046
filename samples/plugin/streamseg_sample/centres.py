"""A head: reads models that answer boxes by their centres, and no masks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from streamseg.detect.heads import Arrays, Candidates
from streamseg.engine import GraphSpec
from streamseg.pixels.letterbox import Letterbox

_SIDE = 28


class Centres:
    """`detections` float32 [B, N, 6]: x and y of the centre, width, height, score, label; the masks fill their boxes."""

    name = "centres"
    layout = "detections: float32 [B, N, 6]"

    def __init__(self, spec: GraphSpec) -> None:
        """Nothing of the graph is needed but what stands in the arrays."""

    @staticmethod
    def fits(spec: GraphSpec) -> bool:
        """Whether the graph answers so: judged by names, types and shapes, nothing is run."""
        (info,) = spec.outputs.values() if len(spec.outputs) == 1 else (None,)
        return info is not None and "detections" in spec.outputs and len(info.shape) == 3 and info.shape[2] == 6

    def __call__(self, arrays: Arrays, letterbox: Letterbox, least: float) -> Candidates:
        """Read one picture."""
        rows = arrays["detections"]
        rows = rows[~(rows[:, 4] < least)]  # those whose score is NaN come out, to be told
        centre, size = rows[:, :2], rows[:, 2:4]

        def masks(kept: npt.NDArray[np.intp]) -> npt.NDArray[np.uint8]:
            return np.full((len(kept), _SIDE, _SIDE), 255, np.uint8)

        boxes = np.concatenate([centre - size / 2, centre + size / 2], axis=1)
        labels = np.nan_to_num(rows[:, 5], nan=-1).astype(np.int64)
        return Candidates(boxes, rows[:, 4], labels, np.ones(len(rows), bool), masks)
