"""How well identities hold, by the field's own program: HOTA, IDF1 and sMOTSA from TrackEval, on masks.

HOTA: Luiten et al., IJCV 2020; IDF1: Ristani et al., ECCV 2016 workshops; MOTA: Bernardin and Stiefelhagen 2008; sMOTSA:
Voigtlaender et al., CVPR 2019 (TrackEval's sMOTA with mask IoU as similarity). Classes are left out of account: what is measured is
who is who.
"""

from __future__ import annotations

import contextlib
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import trackeval

from streamseg.core import masks as mask_ops
from streamseg.core.types import Instances
from tests.scenes import Truth

LEAST_VISIBLE = 0.1
LEAST_PIXELS = 12
"""What shows less of itself is not asked for in a frame, nor counted as wrong when found."""
FIGURES = ("HOTA", "IDF1", "sMOTSA", "MOTA", "AssA")
STEP = 2
"""Masks are compared at every second pixel."""


@dataclass(frozen=True)
class Scores:
    """All but `switches` and `ids` are shares in [0, 1]; the more, the better."""

    hota: float
    idf1: float
    smotsa: float
    assa: float
    """HOTA's part that tells about identities alone."""
    mota: float
    switches: int
    """Times an object got another id than it had before."""
    ids: int
    """Ids given out."""
    objects: int

    def __str__(self) -> str:
        shares = "  ".join(f"{name} {100 * getattr(self, name.lower()):5.1f}" for name in FIGURES)
        return f"{shares}  switches {self.switches:3d}  ids {self.ids:3d} of {self.objects}"


class Scorer:
    """Takes frame by frame what is true and what a tracker said, and keeps only what TrackEval needs of it."""

    def __init__(self) -> None:
        self.true: list[np.ndarray] = []
        self.told: list[np.ndarray] = []
        self.similar: list[np.ndarray] = []

    def add(self, truth: Truth, told: Instances) -> None:
        visible = truth.visible[:, ::STEP, ::STEP]
        asked = (truth.visible_fraction >= LEAST_VISIBLE) & (truth.visible.sum((1, 2)) >= LEAST_PIXELS)
        iou = mask_ious(visible, told)
        # What is found of an object that is not asked for is neither right nor wrong.
        best = iou.argmax(0) if len(visible) else np.zeros(len(told), np.int64)
        ignored = np.array([bool(iou[b, j] > 0.3 and not asked[b]) for j, b in enumerate(best)], bool) if len(visible) else None
        keep = told.track_ids > 0 if ignored is None else (told.track_ids > 0) & ~ignored
        self.true.append(truth.ids[asked])
        self.told.append(told.track_ids[keep])
        self.similar.append(iou[asked][:, keep].astype(float))

    def scores(self) -> Scores:
        true, told = _dense(self.true), _dense(self.told)
        data = {
            "num_timesteps": len(true[1]),
            "num_gt_ids": len(true[0]),
            "num_tracker_ids": len(told[0]),
            "num_gt_dets": sum(map(len, true[1])),
            "num_tracker_dets": sum(map(len, told[1])),
            "gt_ids": true[1],
            "tracker_ids": told[1],
            "similarity_scores": self.similar,
        }
        quiet = {"PRINT_CONFIG": False}
        with contextlib.redirect_stdout(io.StringIO()):
            hota = trackeval.metrics.HOTA().eval_sequence(data)
            clear = trackeval.metrics.CLEAR(quiet).eval_sequence(data)
            identity = trackeval.metrics.Identity(quiet).eval_sequence(data)
        return Scores(
            hota=float(np.mean(hota["HOTA"])),
            idf1=float(identity["IDF1"]),
            smotsa=float(clear["sMOTA"]),
            assa=float(np.mean(hota["AssA"])),
            mota=float(clear["MOTA"]),
            switches=int(clear["IDSW"]),
            ids=len(told[0]),
            objects=len(true[0]),
        )


def mask_ious(visible: np.ndarray, told: Instances) -> np.ndarray:
    """[N, M] IoU of the true masks [N, h, w], already at every STEP-th pixel, and those of M instances."""
    height, width = (visible.shape[1] * STEP, visible.shape[2] * STEP)
    result = np.zeros((len(visible), len(told)))
    area = visible.sum((1, 2))
    for j in range(len(told)):
        (x0, y0, _, _), crop = mask_ops.paste(told.masks[j], told.boxes[j], width, height)
        top, left = -(-y0 // STEP), -(-x0 // STEP)
        crop = crop[top * STEP - y0 :: STEP, left * STEP - x0 :: STEP] >= 128
        both = (visible[:, top : top + crop.shape[0], left : left + crop.shape[1]] & crop).sum((1, 2))
        result[:, j] = both / np.maximum(area + crop.sum() - both, 1)
    return result


def _dense(ids: Sequence[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
    """The different ids, and all of them as indices into these."""
    every = np.unique(np.concatenate(ids)) if len(ids) else np.zeros(0, np.int64)
    return every, [np.searchsorted(every, own) for own in ids]


def lateness(pairs: Iterable[tuple[Truth, Instances]]) -> dict[int, int | None]:
    """For each object how many frames after it came into view the first of its ids is told; None: it never had one.

    It has come into view once LEAST_PIXELS of it show, and not more than half of it is hidden. Its ids are those whose masks agree
    best with it (IoU above 0.3) in three frames or more.
    """
    entry: dict[int, int] = {}
    first: dict[int, int] = {}
    agreed: dict[int, Counter[int]] = defaultdict(Counter)
    for number, (truth, told) in enumerate(pairs):
        asked = (truth.visible_fraction >= 0.5) & (truth.visible.sum((1, 2)) >= LEAST_PIXELS)
        for owner in truth.ids[asked].tolist():
            entry.setdefault(owner, number)
        iou = mask_ious(truth.visible[:, ::STEP, ::STEP], told)
        for j, track in enumerate(told.track_ids.tolist()):
            first.setdefault(track, number)
            if len(iou) and iou[:, j].max() > 0.3:
                agreed[int(truth.ids[iou[:, j].argmax()])][track] += 1
    late: dict[int, int | None] = {}
    for owner, number in entry.items():
        own = [first[track] for track, times in agreed[owner].items() if times >= 3]
        late[owner] = min(own) - number if own else None
    return late


def score(pairs: Iterable[tuple[Truth, Instances]]) -> Scores:
    """The scores of a whole run."""
    scorer = Scorer()
    for truth, told in pairs:
        scorer.add(truth, told)
    return scorer.scores()
