"""Which detection is which track: the Hungarian method in three rounds, from the surest evidence to the weakest.

1. Overlap: of boxes and masks with the place where each track is expected; class and colours count, too. Detections with a low
score take part, as in ByteTrack (Zhang et al., ECCV 2022), but with a handicap, only for tracks that were just seen, and in this
round rather than after it: where a weak network gives one strong box to two people, each keeps their own weaker one.
2. Nearness (buffered IoU): small, fast objects may not overlap with where they were a frame ago.
3. Recognition: a track that was lost for a while is found again by colours, class and size, near its expected or last place.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from streamseg.track.appearance import similarity
from streamseg.track.motion import to_centres
from streamseg.track.overlap import box_iou, grown, overlap
from streamseg.track.state import Detected, Tracks

__all__ = ["Pairs", "associate"]

MIN_OVERLAP = 0.2
"""Least mean of box and mask IoU of a match."""
OTHER_CLASS_PENALTY = 0.35
"""Taken off the overlap where the class is not one that the track has been seen as: only a near-certain match survives it."""
LOST_PENALTY = 0.35
LOST_TIME = 0.25
"""This share is taken off the overlap of a track that was lost from view LOST_TIME seconds ago or more, and less of one that
was only just lost: of two at one place the one in view wins, unless it fits much worse. Alone, a lost one matches as well as
any."""
FAMILIAR = 0.2
"""Share of a track's votes from which a class counts as one that it has been seen as."""
ALIKE_WEIGHT = 0.4
USUAL = 0.85
"""Similarity of colours that speaks neither for nor against a match; also assumed where colours are not known."""
TWIN = 0.93
"""From this similarity another class is taken to be a slip of the network."""
UNLIKE = 0.55
"""Below this similarity only a good overlap makes a match."""
CERTAIN = 0.6
"""Overlap with a track just seen from which colours do not matter."""
CERTAIN_EMERGING = 0.3
"""The same for a track that something has just hidden: what first comes out from behind it is a strip, with other colours than
the whole."""
LOST_ALIKE = 0.68
"""Least similarity of colours to a track that was not seen for more than LOST_TIME: another object may stand in its place."""
COPY_PENALTY = 0.2
COPY_OVERLAP = 0.4
"""Least overlap with a track at which a copy of a better detection is matched, where nothing better is there."""
LOW_PENALTY = 0.25
LOW_OVERLAP = 0.35
"""Least overlap with a detection of low score."""
BUFFER = 0.5
"""In round 2 boxes grow by this share of their size on every side."""
MIN_BUFFERED = 0.3
MIN_BUFFERED_NEW = 0.1
"""For tracks seen once or twice, whose velocity is not known: up to 1.6 of their size away, otherwise 1.1."""
RECOGNISED = 0.88
"""Least similarity of colours in round 3."""
REACH = 0.8
REACH_SPEED = 0.8
"""Round 3 looks as far as REACH sizes from the place, and by REACH_SPEED sizes farther a second since it was seen."""
SIZE_RATIO = 1.4
"""Round 3: width or height must agree within this factor; the other may be cut by what it comes out from behind."""
CUT_RATIO = 6.0
"""... by as much."""

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]
Pairs = tuple[IntArray, IntArray]
"""Indices (track, detection)."""


def associate(tracks: Tracks, found: Detected, time: float, *, max_age: float, confirm: float) -> Pairs:
    """Match tracks, predicted to `time`, and detections.

    `max_age`: seconds after which motion alone does not make a match; `confirm`: seconds from which a track is sure enough to
    be carried on by low scores and to be recognised.
    """
    rows, columns = np.zeros(0, np.int64), np.zeros(0, np.int64)
    if not len(tracks) or not len(found):
        return rows, columns
    stranger = ~tracks.familiar(found.instances.labels, FAMILIAR)
    alike, known = _alike(tracks, found)
    stranger &= ~known | (alike < TWIN)
    fit = overlap(tracks.boxes, tracks.masks, found.instances.boxes, found.masks) - OTHER_CLASS_PENALTY * stranger
    age = time - tracks.last
    lost = np.minimum((age - age.min()) / LOST_TIME, 1.0)
    weight = (1 - LOST_PENALTY * lost)[:, None]
    handicap = np.where(found.high, COPY_PENALTY * found.copy, LOW_PENALTY)
    score = (fit + ALIKE_WEIGHT * (alike - USUAL) - handicap) * weight
    recent = np.asarray(tracks.unseen <= max_age)[:, None]
    sure = tracks.confirmed(confirm)[:, None]
    just = np.asarray(age <= max(LOST_TIME, age.min()))[:, None]

    least = np.where(found.copy, COPY_OVERLAP, np.where(found.high, MIN_OVERLAP, LOW_OVERLAP))
    certain = np.where(tracks.hidden, CERTAIN_EMERGING, CERTAIN)[:, None]
    plausible = ~known | (alike >= np.where(just, UNLIKE, LOST_ALIKE)) | (just & (fit >= certain))
    first = recent & plausible & (fit >= least) & (found.high | (sure & just & (alike >= UNLIKE)))
    rows, columns = _assign(score, first)

    # The other rounds are for what is left, which is most often nothing.
    left = found.high & ~found.copy
    left[columns] = False
    if left.any() and len(rows) < len(tracks):
        near, enough = _nearness(tracks, found)
        closeness = _closeness(tracks, found, age)
        second = recent & plausible & left & ~stranger & enough & (alike >= UNLIKE)
        third = sure & known & left & ~stranger & (closeness > 0) & (alike >= RECOGNISED)
        for value, allowed in ((near * weight, second), (alike + 0.2 * closeness, third)):
            allowed[rows], allowed[:, columns] = False, False
            more = _assign(value, allowed)
            rows, columns = np.concatenate([rows, more[0]]), np.concatenate([columns, more[1]])
    return _prefer_whole(rows, columns, found)


def _alike(tracks: Tracks, found: Detected) -> tuple[FloatArray, BoolArray]:
    """[T, N] similarity of colours, USUAL where not known; and where it is known."""
    known = np.any(tracks.looks > 0, axis=1)[:, None] & np.any(found.looks > 0, axis=1)
    if not known.any():
        return np.full(known.shape, USUAL, np.float32), known
    return np.where(known, similarity(tracks.looks, found.looks), USUAL).astype(np.float32), known


def _nearness(tracks: Tracks, found: Detected) -> tuple[FloatArray, BoolArray]:
    """[T, N] IoU of the grown boxes, and whether it is enough."""
    near = box_iou(grown(tracks.boxes, BUFFER), grown(found.instances.boxes, BUFFER))
    return near, near >= np.where(tracks.hits < 3, MIN_BUFFERED_NEW, MIN_BUFFERED)[:, None]


def _closeness(tracks: Tracks, found: Detected, age: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """[T, N] 1 at the place where the track should be or was last seen, 0 out of reach or of another size."""
    seen, should = to_centres(tracks.seen), tracks.motion.place
    now = to_centres(found.instances.boxes)
    size = np.sqrt(should[:, 2] * should[:, 3])
    distance = np.minimum(
        np.linalg.norm(seen[:, None, :2] - now[None, :, :2], axis=2),
        np.linalg.norm(should[:, None, :2] - now[None, :, :2], axis=2),
    )
    reach = (REACH + REACH_SPEED * age) * size
    ratio = np.abs(np.log(now[None, :, 2:] / should[:, None, 2:]))
    fits = (ratio.min(2) <= np.log(SIZE_RATIO)) & (ratio.max(2) <= np.log(CUT_RATIO))
    return np.where(fits, np.maximum(0.0, 1 - distance / reach[:, None]), 0.0)


def _assign(value: npt.NDArray[np.floating], allowed: BoolArray) -> Pairs:
    """Those pairs (row, column) among the allowed that maximise the sum of `value`."""
    rows, columns = linear_sum_assignment(np.where(allowed, np.maximum(value, 1e-3), 0.0), maximize=True)
    keep = allowed[rows, columns]
    return rows[keep].astype(np.int64), columns[keep].astype(np.int64)


def _prefer_whole(rows: IntArray, columns: IntArray, found: Detected) -> Pairs:
    """Give a track that was matched to a part the larger and better detection of the same thing, if nobody else has it."""
    if not found.copy[columns].any():
        return rows, columns
    columns = columns.copy()
    size = np.prod(found.instances.boxes[:, 2:] - found.instances.boxes[:, :2], axis=1)
    for k in np.flatnonzero(found.copy[columns]):
        mine = columns[k]
        for whole in np.flatnonzero(found.same[mine] & ~found.copy & found.high & (size > size[mine])):
            if whole not in columns and (found.same[whole][columns]).sum() == 1:
                columns[k] = whole
                break
    return rows, columns
