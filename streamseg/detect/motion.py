"""The motion gate: keeps frames off the network in which nothing has moved since the network last looked.

What the network said of a picture is true as long as the picture stays as it was. So each small picture is compared with the one
from when the network last looked, not with the frame before: a person far away who moves by a hundredth of a pixel a frame has
moved a pixel after a while, and is noticed then. One who stands still leaves the picture as it is, and with it what was found.

What is no motion: a change of exposure, which is a gain and an offset of the whole picture and is taken out; and the noise of each
place (of the sensor, of compression, of its key frames), which is learned there, up to a limit, so that nothing with more contrast
than that is ever taken for noise. A picture that changes as a whole (a light, the switch to infra-red) is looked at until it has
settled, and noise is learned anew.

Where something keeps moving and the network finds nothing (a clock in the picture, a flag, leaves), it is soon *restless*: motion
there alone makes the network look now and then, not at every frame, until it finds something there.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.core.result import Result
from streamseg.detect.preprocess import Prepared
from streamseg.events.places import Point, in_pixels

__all__ = ["Learn", "MotionGate"]

FLOOR = 5.0
"""Codes of 255 by which a place must differ, beyond its noise."""
MOST_NOISE = 10.0
"""Codes up to which noise is learned."""
SHARE = 8
"""Units a code, in which noise is kept as bytes."""
WINDOW, LEAST = 7, 8
"""Of a window of so many pixels a side, so many must differ: what is smaller no network finds."""
CELL = 16
"""Pixels a side of the places that may become restless."""
LEARN_EVERY, FORGET_EVERY = 4, 160
"""Frames: noise rises by one unit at most in so many, and falls by one in so many."""
SETTLE = 2.0
"""Seconds after a start, or after all has changed: all frames are looked at, and noise is learned at once."""
ALL = 0.5
"""Where so much of the picture has changed, it is another one."""
WATCHED = 0.2
"""Seconds: while something moves, the picture is compared so often only."""
VAIN = 15
"""A place is restless once so many looks at it in a row found nothing."""
MOST_WAITING = 64
"""Frames whose answer is waited for."""
PATIENCE = 2.0
"""Seconds between two looks for the sake of restless places alone."""
FIT_STEP = 8
"""Every so many pixels along x and y one is taken to find the exposure."""
SAME_EXPOSURE = 1.0
"""Codes by which half of a picture may differ with the exposure still being the same."""
LEAST_SPREAD = 4.0
"""Variance, codes squared, below which a picture cannot tell a gain from an offset."""
LEAST_GAIN = 0.5
FINE = 16
"""Polygons are drawn to such a part of a pixel."""
MOST_WIDTH = 640
"""Pictures are compared at this width or less."""

ByteArray = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Seen:
    """What moved in a frame that the network looks at."""

    cells: BoolArray
    """[r, c] places in which something moved."""
    scale: tuple[float, float]
    """Cells a frame pixel, along x and y."""


class _Watch:
    """One scene: how it was when it was last looked at, and the noise of its places."""

    def __init__(self, grey: ByteArray, ignored: ByteArray | None) -> None:
        """grey: [h, w] uint8, smoothed. ignored: [h, w], not 0 where nothing counts; None: everything does."""
        self._ignored = ignored
        self._noise = np.zeros_like(grey)
        self._limit = np.full_like(grey, round(FLOOR))
        self._frames = 0
        self.reference = grey

    def changed(self, grey: ByteArray, settling: bool) -> ByteArray | None:
        """[h, w] not 0 for the pixels of what moved, None where nothing did. settling: what differs is noise, and learned."""
        difference = cv2.absdiff(grey, _exposed(self.reference, grey))
        over = cv2.compare(difference, self._limit, cv2.CMP_GT)
        if self._ignored is not None:
            over = cv2.subtract(over, self._ignored)
        self._frames += 1
        if settling or self._frames % LEARN_EVERY == 0:
            self._learn(cv2.convertScaleAbs(difference, alpha=SHARE), settling)
        if cv2.countNonZero(over) < LEAST:
            return None
        near = cv2.boxFilter(over, cv2.CV_16S, (WINDOW, WINDOW), normalize=False, borderType=cv2.BORDER_CONSTANT)
        if near.max() < 255 * LEAST:
            return None
        return np.asarray(np.where(near >= 255 * LEAST, over, 0), np.uint8)

    def _learn(self, units: npt.NDArray[Any], settling: bool) -> None:
        if settling:
            noise = np.maximum(self._noise, units)
        else:
            noise = self._noise + (units > self._noise)
            if self._frames % FORGET_EVERY < LEARN_EVERY:
                noise -= noise > 0
        self._noise = np.minimum(noise, int(MOST_NOISE * SHARE)).astype(np.uint8)
        self._limit = np.asarray(cv2.convertScaleAbs(self._noise, alpha=1 / SHARE, beta=FLOOR), np.uint8)


def _exposed(reference: ByteArray, now: ByteArray) -> ByteArray:
    """`reference` with the gain and the offset that make it most like `now`, where most of the picture agrees on them."""
    x, y = (picture[::FIT_STEP, ::FIT_STEP].ravel().astype(np.float32) for picture in (reference, now))
    if float(np.median(np.abs(y - x))) < SAME_EXPOSURE:
        return reference
    keep, gain, offset = np.ones(len(x), bool), 1.0, 0.0
    for _ in range(3):
        a, b = x[keep], y[keep]
        spread = float(a.var())
        gain = float(((a - a.mean()) * (b - b.mean())).mean()) / spread if spread > LEAST_SPREAD else 1.0
        gain = gain if LEAST_GAIN <= gain <= 1 / LEAST_GAIN else 1.0
        offset = float(np.median(b - gain * a))
        wrong = np.abs(y - gain * x - offset)
        keep = wrong <= max(2.0, 2.0 * float(np.median(wrong)))
    table = np.clip(np.rint(gain * np.arange(256) + offset), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(reference, table), np.uint8)


class MotionGate:
    """The stage in front of the network: marks frames as `still`. Call it with each `Prepared`, in order.

    It lets frames through for `hold` seconds after the last motion, and one at least in every `refresh` seconds.
    """

    def __init__(self, hold: float = 1.0, refresh: float = 10.0, ignored: Sequence[Sequence[Point]] = ()) -> None:
        """ignored: polygons in which motion does not count, their points as those of a `Zone`."""
        self._hold, self._refresh, self._ignored = hold, refresh, ignored
        self._watch: _Watch | None = None
        self._scene: tuple[object, ...] = ()
        self._settled = self._moved = self._looked = self._compared = self._kept = 0.0
        self._lock = threading.Lock()
        self._waiting: OrderedDict[int, _Seen] = OrderedDict()
        self._vain = np.zeros((0, 0), np.int32)
        """[r, c] how many looks in a row found nothing where something moved."""

    def __call__(self, prepared: Prepared) -> Prepared:
        """The same, marked as still where the network need not look at it."""
        if prepared.frame.lost:
            return prepared
        now, scene = prepared.frame.time, (prepared.frame.epoch, prepared.letterbox, prepared.image.shape)
        same, moving = scene == self._scene, self._settled <= now <= self._moved + self._hold - WATCHED
        if same and moving and 0 <= now - self._compared < WATCHED:
            self._looked = now
            return prepared
        grey, self._compared = _grey(prepared), now
        if self._watch is None or not same:
            self._scene = scene
            self._begin(prepared, grey)
            return self._look(prepared, grey, None)
        moved = self._watch.changed(grey, settling=now < self._settled)
        if moved is not None and now >= self._settled and cv2.countNonZero(moved) > ALL * moved.size:
            self._begin(prepared, grey)
        cells = None if moved is None else _cells(moved)
        waited = now - self._looked
        if now < self._settled or (cells is not None and self._is_fresh(cells)):
            self._moved = now
        if now - self._moved <= self._hold or waited >= self._refresh or (cells is not None and waited >= PATIENCE):
            return self._look(prepared, grey, cells)
        return replace(prepared, still=True)

    def answered(self, result: Result) -> None:
        """What the network found in a frame that it looked at; from any thread."""
        with self._lock:
            seen = self._waiting.pop(result.frame.index, None)
            if seen is None or not result.detected or seen.cells.shape != self._vain.shape:
                return
            found = np.zeros(seen.cells.shape, bool)
            boxes = result.boxes * np.tile(np.array(seen.scale, np.float32), 2)
            for left, top, right, bottom in boxes.tolist():
                rows = slice(max(0, math.floor(top) - 1), math.ceil(bottom) + 1)
                found[rows, max(0, math.floor(left) - 1) : math.ceil(right) + 1] = True
            self._vain[seen.cells & ~found] += 1
            self._vain[found] = 0

    def _is_fresh(self, cells: BoolArray) -> bool:
        """Whether something moved in a place that is not restless."""
        with self._lock:
            return bool((self._vain[cells] < VAIN).any())

    def _begin(self, prepared: Prepared, grey: ByteArray) -> None:
        """Another scene: nothing is known of its noise."""
        self._watch = _Watch(grey, self._mask(prepared, grey.shape))
        self._settled = prepared.frame.time + SETTLE
        with self._lock:
            self._vain = np.zeros([-(-side // CELL) for side in grey.shape], np.int32)

    def _mask(self, prepared: Prepared, shape: tuple[int, ...]) -> ByteArray | None:
        if not self._ignored:
            return None
        frame, mask = prepared.frame, np.zeros(shape, np.uint8)
        scale = np.array([shape[1] / frame.width, shape[0] / frame.height], np.float32)
        for points in self._ignored:
            polygon = in_pixels(points, frame.width, frame.height) * scale * FINE
            cv2.fillPoly(mask, [np.rint(polygon).astype(np.int32)], 255, shift=FINE.bit_length() - 1)
        return mask

    def _look(self, prepared: Prepared, grey: ByteArray, cells: BoolArray | None) -> Prepared:
        frame = prepared.frame
        self._looked = frame.time
        if cells is not None:
            seen = _Seen(cells, (cells.shape[1] / frame.width, cells.shape[0] / frame.height))
            with self._lock:
                self._waiting[frame.index] = seen
                while len(self._waiting) > MOST_WAITING:
                    self._waiting.popitem(last=False)
        # Half a hold old, not a frame: what moves slowly is then seen to move while it does.
        if not 0 <= frame.time - self._kept < self._hold / 2:
            assert self._watch is not None
            self._kept, self._watch.reference = frame.time, grey
        return prepared


class Learn:
    """The stage behind the network that tells the gate where it found something; hands every result on as it is."""

    def __init__(self, gate: MotionGate) -> None:
        self._gate = gate

    def __call__(self, result: Result) -> Result:
        """The same."""
        self._gate.answered(result)
        return result


def _grey(prepared: Prepared) -> ByteArray:
    """[h, w] the part of the small picture that the frame covers, smoothed."""
    box, frame = prepared.letterbox, prepared.frame
    step = max(1, prepared.image.shape[1] // MOST_WIDTH)
    x, y = (round(side * scale) for side, scale in ((frame.width, box.scale_x), (frame.height, box.scale_y)))
    inside = prepared.sample(step)[box.top // step : (box.top + y) // step, box.left // step : (box.left + x) // step]
    return np.asarray(cv2.blur(cv2.cvtColor(inside, cv2.COLOR_RGB2GRAY), (3, 3)), np.uint8)


def _cells(moved: ByteArray) -> BoolArray:
    """[r, c] in which cells of CELL x CELL pixels something moved."""
    rows, columns = np.nonzero(moved)
    cells = np.zeros([-(-side // CELL) for side in moved.shape], bool)
    cells[rows // CELL, columns // CELL] = True
    return cells
