"""The clean plate of one frame: for each pixel of a hole what is seen there in other frames, and where none of them shows it."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.composite.canvas import crop
from streamseg.core.masks import Region
from streamseg.pixels.layouts import PlaneSpec
from streamseg.removal.align import Motion, Points, corners, motion
from streamseg.removal.window import Held

__all__ = ["Plate"]

Array = npt.NDArray[Any]
ByteArray = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]

_SPREAD = 12
"""Frames that are looked at in any case, spread over the window: what a mask missed is in those near in time, and the median of so
many is free of it. The others are looked at for what these do not show."""
_OTHERWISE = 14.0
"""Codes of 255 by which a pixel must be off the plate to be taken for a part of the object."""
_RING = 24
"""Pixels around a hole in which another frame's brightness is compared."""


class Plate:
    """Fills one hole of one frame; `region` is around it, its corners at whole chroma samples."""

    def __init__(self, now: Held, region: Region, interlaced: bool, around: int = 0) -> None:
        """`around`: so many pixels around the hole are looked for, too."""
        self._now, self._region, self._interlaced = now, region, interlaced
        x0, y0, x1, y1 = region
        self._hole: Bools = now.hole[y0:y1, x0:x1] > 0
        others = now.others[y0:y1, x0:x1] > 0
        self._wanted: Bools = self._hole | (_wider(self._hole, around) & ~others)
        self._seen: Bools = ~self._wanted
        layout = now.views.layout
        self._top = (1 << layout.depth) - 1 << layout.lsb
        self._places: Points | None = None
        self._ring: Bools = _wider(self._wanted, _RING) & ~self._wanted & ~others
        self._sights: list[tuple[Bools, list[Array]]] = []
        self._motions: dict[int, tuple[float, bool, Motion]] = {}

    @property
    def missing(self) -> Bools:
        """The pixels of the hole, within the region, that no frame shows."""
        return self._hole & ~self._seen

    def look(self, frames: list[Held]) -> None:
        """Look at other frames, given the nearest first: at some in any case, and at the others for what these do not show."""
        first = frames if len(frames) <= _SPREAD else [frames[i * len(frames) // _SPREAD] for i in range(_SPREAD)]
        chosen = {id(held) for held in first}
        rest = [held for held in frames if id(held) not in chosen]
        for apart in (True, False):  # what other objects cover is no background, but better than nothing
            for held in first if apart else ():
                self._take(held, apart)
            for held in (*rest, *(() if apart else first)):
                if self.missing.any():
                    self._take(held, apart, only_new=True)
            if not self.missing.any():
                return

    def planes(self) -> list[Array]:
        """For each plane of the frame the median of what was seen, over the region; elsewhere anything."""
        made = []
        for place, (array, spec) in enumerate(self._now.views.planes):
            part = crop(array, self._region, spec.shift_x, spec.shift_y)
            if not self._sights:
                made.append(part.copy())
                continue
            seen = [_of_plane(visible, spec) for visible, _ in self._sights]
            made.append(_median([planes[place] for _, planes in self._sights], seen, part))
        return made

    def left_over(self, plate: list[Array]) -> ByteArray:
        """Where the frame shows something else than the plate around the hole, joined to it: hair, a shadow, what a mask missed.

        Returns: uint8 [region height, region width], 255 there, with a soft edge.
        """
        off = np.zeros(self._hole.shape, np.float32)
        for (array, spec), made in zip(self._now.views.planes, plate, strict=True):
            part = crop(array, self._region, spec.shift_x, spec.shift_y)
            apart: Any = cv2.blur(cv2.absdiff(part, made).astype(np.float32), (3, 3)) * np.float32(255 / self._top)
            apart = apart.max(axis=2) if apart.ndim == 3 else apart
            wide: Array = np.repeat(np.repeat(apart, 1 << spec.shift_y, 0), 1 << spec.shift_x, 1)
            cv2.max(off, np.ascontiguousarray(wide[: len(off), : len(off[0])]), off)
        found = (off > _OTHERWISE) & self._wanted & self._seen
        _, labels = cv2.connectedComponents((found | self._hole).astype(np.uint8))
        joined = np.isin(labels, np.unique(labels[self._hole])) & found
        soft = cv2.blur(_wider(joined, 3).astype(np.uint8) * np.uint8(255), (3, 3))
        return np.where(self._wanted & self._seen, soft, 0).astype(np.uint8)

    def _take(self, held: Held, apart: bool, only_new: bool = False) -> None:
        """Take what a frame shows; `only_new`: if it shows something that none has shown."""
        known, matrix = self._motion(held)
        if not known:
            return
        hidden = np.maximum(held.hole, held.others) if apart else held.hole
        visible = self._wanted & (self._warped(hidden, matrix, PlaneSpec((0,), 0, 0), 255) == 0)
        if not (visible & self.missing if only_new else visible).any():
            return
        planes = [self._warped(array, matrix, spec) for array, spec in held.views.planes]
        self._sights.append((visible, self._as_bright(planes, hidden, matrix)))
        self._seen |= visible

    def _motion(self, held: Held) -> tuple[bool, Motion]:
        """See `align.motion`; begun with what the frame nearest in time, of those looked at before, says."""
        index, now = held.result.frame.index, self._now
        if max(now.stands_since, held.stands_since) <= min(now.result.frame.index, index):
            return True, None
        if index not in self._motions:
            known = [(abs(time - held.time), matrix) for time, good, matrix in self._motions.values() if good]
            guess = min(known, key=lambda each: each[0])[1] if known else None
            self._motions[index] = (held.time, *motion(now.grey, self._corners(), held.grey, guess))
        _, good, matrix = self._motions[index]
        return good, matrix

    def _corners(self) -> Points:
        """What can be followed around the hole."""
        if self._places is None:
            self._places = corners(self._now.grey, self._region)
        return self._places

    def _warped(self, array: Array, matrix: Motion, spec: PlaneSpec, border: int | None = None) -> Array:
        """The part of another frame's plane that lies where the region is; beyond its edges `border`, or what the edge is."""
        region, (sx, sy) = self._region, (spec.shift_x, spec.shift_y)
        if matrix is None:
            return np.ascontiguousarray(crop(array, region, sx, sy))
        x0, y0 = region[0] >> sx, region[1] >> sy
        width, height = -(-region[2] >> sx) - x0, -(-region[3] >> sy) - y0
        made = np.empty((height, width, *array.shape[2:]), array.dtype)
        step = 2 if self._interlaced else 1
        for parity in range(step):
            # Places of this plane's field, and of the frame's luma: both counted from the centre of the first sample.
            up = np.array([[1 << sx, 0, ((1 << sx) - 1) / 2], [0, 1 << sy, ((1 << sy) - 1) / 2], [0, 0, 1.0]])
            lines = np.array([[1, 0, 0], [0, step, parity], [0, 0, 1.0]])
            whole = up @ lines
            moved = np.linalg.inv(whole) @ matrix @ whole @ np.array([[1, 0, x0], [0, 1, y0 / step], [0, 0, 1.0]])
            into, of = made[parity::step], np.ascontiguousarray(array[parity::step])
            into[...] = _warp(of, moved, (width, len(into)), border)
        if border is None and array.dtype != np.uint8:  # a cubic curve goes beyond what it lies between
            np.minimum(made, self._top, out=made)
        return made

    def _as_bright(self, planes: list[Array], hidden: ByteArray, matrix: Motion) -> list[Array]:
        """The planes as bright as the frame is around the hole: exposure changes, clouds pass."""
        ring = self._ring & (self._warped(hidden, matrix, PlaneSpec((0,), 0, 0), 255) == 0)
        made = []
        for plane, (array, spec) in zip(planes, self._now.views.planes, strict=True):
            here, own = _of_plane(ring, spec), crop(array, self._region, spec.shift_x, spec.shift_y)
            if here.sum() < 64:
                made.append(plane)
                continue
            off = np.median(own[here].astype(np.int64) - plane[here].astype(np.int64), axis=0)
            brighter = np.clip(plane.astype(np.int64) + np.rint(off).astype(np.int64), 0, self._top)
            made.append(brighter.astype(plane.dtype) if np.any(off) else plane)
        return made


def _wider(pixels: Bools, by: int) -> Bools:
    """These, and those at most so many pixels away, along both axes."""
    return cv2.dilate(pixels.astype(np.uint8), np.ones((2 * by + 1, 2 * by + 1), np.uint8)) > 0 if by else pixels


def _warp(array: Array, matrix: Array, size: tuple[int, int], border: int | None) -> Array:
    """`array` looked up at the places that `matrix` makes of those of a picture of `size`."""
    if border is not None:
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        # A pixel that is covered at all is not seen.
        _, covered = cv2.threshold(array, 0, 255, cv2.THRESH_BINARY)
        return cv2.warpPerspective(covered, matrix, size, flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=(border,))
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    warped = cv2.warpPerspective(array, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return warped


def _of_plane(pixels: Bools, spec: PlaneSpec) -> Bools:
    """The samples all of whose pixels are among `pixels`."""
    if not (spec.shift_x or spec.shift_y):
        return pixels
    more = np.pad(pixels, ((0, -len(pixels) % (1 << spec.shift_y)), (0, -pixels.shape[1] % (1 << spec.shift_x))), mode="edge")
    rows, columns = more.shape
    blocks = more.reshape(rows >> spec.shift_y, 1 << spec.shift_y, columns >> spec.shift_x, 1 << spec.shift_x)
    return np.asarray(blocks.all((1, 3)))


def _median(sights: list[Array], seen: list[Bools], otherwise: Array) -> Array:
    """The median of what was seen of each sample; `otherwise` where nothing was."""
    stack, counts = np.stack(sights), np.sum(seen, axis=0)
    hidden = ~np.stack(seen)
    if stack.ndim == 4:
        counts, hidden = counts[..., None], np.broadcast_to(hidden[..., None], stack.shape)
    stack[hidden] = np.iinfo(stack.dtype).max
    stack.sort(axis=0)
    low = np.take_along_axis(stack, np.broadcast_to(np.maximum(counts - 1, 0) // 2, stack.shape[1:])[None], 0)[0]
    high = np.take_along_axis(stack, np.broadcast_to(np.minimum(counts // 2, len(stack) - 1), stack.shape[1:])[None], 0)[0]
    middle = ((low.astype(np.int64) + high + 1) // 2).astype(otherwise.dtype)
    return np.where(counts > 0, middle, otherwise)
