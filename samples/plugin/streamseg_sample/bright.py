"""An engine that needs no network: it finds what is bright. For trying pipelines, and as a pattern for an engine."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.engine import Candidate, GraphSpec, PooledEngine

_BRIGHT = 200
_SMALLEST = 16  # pixels


def open_bright(
    spec: GraphSpec, *, threads: int, in_flight: int, batch: int, on_message: Callable[[str], None] | None
) -> PooledEngine:
    """Answers in the place of a Mask R-CNN: one instance of the first class for each bright spot, with its mask in its box."""
    rows, side = spec.outputs["masks"].shape[1:3]

    def run(images: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[np.generic]]:
        answer: dict[str, npt.NDArray[np.generic]] = {
            "boxes": np.zeros((len(images), rows, 4), np.float32),
            "scores": np.zeros((len(images), rows), np.float32),
            "labels": np.full((len(images), rows), -1, np.int32),
            "masks": np.zeros((len(images), rows, side, side), np.float32),
        }
        for i, image in enumerate(images):
            count, spots, found, _ = cv2.connectedComponentsWithStats((image.min(axis=2) >= _BRIGHT).astype(np.uint8))
            large = [n for n in range(1, count) if found[n, cv2.CC_STAT_AREA] >= _SMALLEST]
            for row, n in enumerate(large[:rows]):
                x, y, w, h = found[n, :4]
                part = (spots[y : y + h, x : x + w] == n).astype(np.float32)
                answer["boxes"][i, row] = (x, y, x + w, y + h)
                answer["scores"][i, row], answer["labels"][i, row] = 0.9, 0
                answer["masks"][i, row] = cv2.resize(part, (side, side), interpolation=cv2.INTER_LINEAR)
        return answer

    return PooledEngine("bright", "this CPU", spec, [run for _ in range(in_flight)], batch)


ENGINE = Candidate("bright", lambda: None, open_bright)
"""What the entry point names: the first function says why it cannot run here (None: it can), the second one opens it."""
