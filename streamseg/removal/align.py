"""Where the pixels of one frame are in another of the same scene: the camera's motion between them, however far they are apart.

Sparse optical flow (Lucas-Kanade on a pyramid, Bouguet 2001) of corners around what is asked about, there and back, on luma at up
to 960 pixels across; then the simplest motion that explains it: none, a similarity, or a homography (RANSAC).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.core.masks import Region
from streamseg.core.types import Frame
from streamseg.pixels import fields

__all__ = ["Grey", "Motion", "Points", "corners", "motion", "small_grey"]

Doubles = npt.NDArray[np.float64]
Points = npt.NDArray[np.float32]
ByteArray = npt.NDArray[np.uint8]

_WIDTH = 960
_CORNERS = 160
_LEAST = 12
"""Corners that must agree."""
_STILL = 0.06
"""Pixels of the small picture: what moves by less, stands still; so nothing is interpolated that a tripod shows."""
_AGREE = 0.7
"""Pixels of the small picture by which a corner may be off the camera's motion."""
_ALIKE = 6.0
"""Codes of 255 by which pictures without corners may differ, on the mean, to be taken for one still scene."""

Motion = Doubles | None
"""[3, 3] that makes places (pixels, from the centre of the first one) in the other frame of those here; None: it stands still."""


@dataclass(frozen=True, slots=True)
class Grey:
    """A frame's luma, 8 bits, small, and where in it nothing is to be followed."""

    picture: ByteArray
    scale: tuple[float, float]
    """Frame pixels to one of its own, across and down."""
    covered: ByteArray
    """255 where an object is, which goes its own way."""


def small_grey(frame: Frame, covered: ByteArray) -> Grey:
    """Of a frame (of an interlaced one the first field), with objects where `covered` [height, width] is not 0."""
    picture = fields.one_moment(frame.picture, frame.field_order)
    wanted = 1 if picture.layout.family == "rgb" else 0
    plane = next(p for p in picture.planes if wanted in p.spec.components)
    luma: npt.NDArray[Any] = plane.array
    if luma.ndim == 3:
        luma = np.ascontiguousarray(luma[:, :, plane.spec.components.index(wanted)])
    if luma.dtype != np.uint8:
        luma = (luma >> (picture.layout.depth + picture.layout.lsb - 8)).astype(np.uint8)
    height, width = luma.shape
    size = (width, height)
    if width > _WIDTH:
        size = _WIDTH, max(1, round(height * _WIDTH / width))
        luma = cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
    small = cv2.resize(covered, size, interpolation=cv2.INTER_AREA) if size != (width, height) else covered
    hidden = cv2.dilate((np.asarray(small) > 0).astype(np.uint8) * 255, np.ones((5, 5), np.uint8))
    scale = width / size[0], height / size[1]
    return Grey(np.ascontiguousarray(luma), scale, hidden)  # type: ignore[arg-type]


def corners(grey: Grey, around: Region) -> Points:
    """[P, 2] places in the small picture that can be followed: near a region (frame pixels) if there are enough, else anywhere."""
    (x0, y0, x1, y1), (across, down) = around, grey.scale
    width = grey.picture.shape[1]
    near = np.zeros_like(grey.picture)
    more_x, more_y = (x1 - x0) * 0.75 + 48, (y1 - y0) * 0.75 + 48
    left, top = max(0, int((x0 - more_x) / across)), max(0, int((y0 - more_y) / down))
    near[top : int((y1 + more_y) / down) + 1, left : int((x1 + more_x) / across) + 1] = 255
    free = cv2.bitwise_not(grey.covered)
    for where in (cv2.bitwise_and(near, free), free):
        found = cv2.goodFeaturesToTrack(grey.picture, _CORNERS, 0.005, max(4, width // 160), mask=where)
        if found is not None and len(found) >= 4 * _LEAST:
            break
    return np.zeros((0, 2), np.float32) if found is None else found.reshape(-1, 2).astype(np.float32)


def motion(of: Grey, places: Points, other: Grey, guess: Motion) -> tuple[bool, Motion]:
    """How the camera moved from `of`, whose `corners` are given, to `other`; False: nobody can tell.

    `guess`: what is known of it already.
    """
    start = places if guess is None else _moved(places, _small(guess, of.scale))
    if len(places) < _LEAST:
        return _is_still(of, other), None
    there, good = _follow(of.picture, other.picture, places, start)
    back, also = _follow(other.picture, of.picture, there, places)
    height, width = other.picture.shape
    good &= also & (np.abs(back - places).max(1) < 0.5) & ((there >= 0) & (there < (width, height))).all(1)
    cells = np.clip(there[good], 0, (width - 1, height - 1)).astype(np.int64)
    free = other.covered[cells[:, 1], cells[:, 0]] == 0
    begin, end = places[good][free], there[good][free]
    if len(begin) < _LEAST:
        return _is_still(of, other), None
    steps = np.abs(end - begin).max(1)
    if np.median(steps) < _STILL and np.mean(steps < 4 * _STILL) > 0.7:
        return True, None
    found = _fitted(begin, end)
    return (False, None) if found is None else (True, _large(found, of.scale))


def _fitted(begin: Points, end: Points) -> Doubles | None:
    """[3, 3] the motion on which most corners agree; None: there is none."""
    similar, inliers = cv2.estimateAffinePartial2D(begin, end, method=cv2.RANSAC, ransacReprojThreshold=_AGREE, refineIters=10)
    agree = 0 if similar is None else int(inliers.sum())
    best = None if similar is None else np.vstack([similar, (0, 0, 1)])
    if len(begin) >= 3 * _LEAST:
        whole, inliers = cv2.findHomography(begin, end, cv2.RANSAC, _AGREE, maxIters=500)
        if whole is not None and int(inliers.sum()) > 1.1 * agree:
            best, agree = whole, int(inliers.sum())
    return best if agree >= max(_LEAST, 0.4 * len(begin)) else None


def _follow(a: ByteArray, b: ByteArray, places: Points, guess: Points) -> tuple[Points, npt.NDArray[np.bool_]]:
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 0.005)
    moved, status, _ = cv2.calcOpticalFlowPyrLK(
        a, b, places, guess.copy(), winSize=(17, 17), maxLevel=3, criteria=criteria, flags=cv2.OPTFLOW_USE_INITIAL_FLOW
    )
    return moved.astype(np.float32), status.ravel() > 0


def _is_still(of: Grey, other: Grey) -> bool:
    """Of pictures in which nothing can be followed: whether they are alike."""
    free = (of.covered == 0) & (other.covered == 0)
    return bool(free.any()) and float(cv2.absdiff(of.picture, other.picture)[free].mean()) < _ALIKE


def _moved(places: Points, by: Doubles) -> Points:
    moved: Points = cv2.perspectiveTransform(places[None].astype(np.float64), by)[0].astype(np.float32)
    return moved


def _scaling(scale: tuple[float, float]) -> Doubles:
    """Small pixels to the frame's, both counted from the centre of the first one."""
    (x, y) = scale
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])


def _large(small: Doubles, scale: tuple[float, float]) -> Doubles:
    up = _scaling(scale)
    return np.asarray(up @ small @ np.linalg.inv(up))


def _small(large: Doubles, scale: tuple[float, float]) -> Doubles:
    up = _scaling(scale)
    return np.asarray(np.linalg.inv(up) @ large @ up)
