"""Whether a track that was just begun is an object that was lost a moment before."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from streamseg.link.follow import Follower
from streamseg.link.life import Life, Lives
from streamseg.link.window import Moment, Sighting, Window
from streamseg.track.appearance import similarity

__all__ = ["older_one"]

REACH, REACH_SPEED = 0.8, 0.8
"""It is looked for as far as REACH sizes from where the other was lost, and by REACH_SPEED sizes farther a second since."""
SIZE_RATIO = 1.4
"""Width or height must agree within this factor; the other may be cut by what it comes out from behind."""
CUT_RATIO = 4.0
SAME = 0.88
"""Least similarity of colours."""
MEETS = 0.35
"""Least mean of box and mask IoU of what was followed along the flow, with the new one."""


def older_one(life: Life, lives: Lives, window: Window, follower: Follower, seconds: float) -> Life | None:
    """The older track that `life` goes on: lost for no longer than `seconds`, alike in place, size, colours and motion."""
    first = window.at(life.first)
    if first is None or life.track_id not in first.rows:
        return None
    row = first.rows[life.track_id]
    best: tuple[float, Life] | None = None
    for other in lives.all.values():
        last = window.at(other.last)
        if other is life or other.last >= life.first or last is None or first.time - last.time > seconds:
            continue
        lost = last.rows.get(other.track_id)
        if lost is None or not _near(lost, row, first.time - last.time):
            continue
        alike = _similarity(other, life)
        if alike < SAME or (best is not None and alike < best[0]):
            continue
        if _followed(other, lost, row, window, follower, first.number) >= MEETS:
            best = alike, other
    return None if best is None else best[1]


def _near(lost: Sighting, found: Sighting, gap: float) -> bool:
    """Whether it may have gone from where it was lost to where it is found, and is as large."""
    a, b = _centre(lost), _centre(found)
    size_a, size_b = lost.box[2:] - lost.box[:2], found.box[2:] - found.box[:2]
    ratio = np.abs(np.log(np.maximum(size_a, 1) / np.maximum(size_b, 1)))
    if ratio.min() > np.log(SIZE_RATIO) or ratio.max() > np.log(CUT_RATIO):
        return False
    return bool(np.linalg.norm(a - b) <= (REACH + REACH_SPEED * gap) * np.sqrt(size_a.prod()))


def _centre(sighting: Sighting) -> npt.NDArray[np.float32]:
    return np.asarray((sighting.box[:2] + sighting.box[2:]) / 2)


def _similarity(a: Life, b: Life) -> float:
    one, other = a.look, b.look
    if one is None or other is None:
        return 0.0
    return float(similarity(one[None], other[None])[0, 0])


def _followed(life: Life, lost: Sighting, found: Sighting, window: Window, follower: Follower, end: int) -> float:
    """How well the one that was lost, followed along the flow to the frame `end`, agrees with what is found there."""
    source: Moment | None = window.at(life.last)
    sighting = lost
    for number in range(life.last + 1, end + 1):
        target = window.at(number)
        if source is None or target is None:
            return 0.0
        moved, _ = follower.carried(sighting, source, target)
        if moved is None:
            return 0.0
        sighting, source = moved, target
    return follower.agreement(sighting, found)
