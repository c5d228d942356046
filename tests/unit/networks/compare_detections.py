"""Compare detections of two precisions: objects of nearly equal score may change places, so each is looked for by class and box."""

from __future__ import annotations

from typing import Any

import numpy as np

from streamseg.engine import Outputs

Answer = Any
"""boxes, scores, labels, masks of a batch: a tuple of arrays or tensors, or an engine's Outputs."""


def arrays(answer: Answer) -> list[np.ndarray]:
    if isinstance(answer, Outputs):
        answer = tuple(answer[name] for name in ("boxes", "scores", "labels", "masks"))
    return [np.asarray(part) for part in answer]


def differences(exact: Answer, found: Answer, least: float, best: int | None = None) -> list[tuple[float, float, float]]:
    """For each detection of `exact` with a score from `least` on, at most the `best` of each picture: (pixels, score, mean of mask)
    by which the nearest detection of its class in `found` differs; pixels are 1e4 and more where there is none of its class."""
    boxes, scores, labels, masks = arrays(exact)
    other_boxes, other_scores, other_labels, other_masks = arrays(found)
    rows = []
    for i in range(len(boxes)):
        for j in np.flatnonzero(scores[i] >= least)[:best]:
            apart = np.abs(other_boxes[i] - boxes[i, j]).max(1) + 1e4 * (other_labels[i] != labels[i, j])
            k = int(apart.argmin())
            mask = float(np.abs(other_masks[i, k] - masks[i, j]).mean())
            rows.append((float(apart[k]), float(abs(other_scores[i, k] - scores[i, j])), mask))
    return rows
