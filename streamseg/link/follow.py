"""Follows one object from a frame to the one beside it, forwards or backwards, as long as the pictures say that it is there.

In the next frame it is a detection of low score that nobody has and that looks like it, or else its mask carried along the
optical flow: if the picture there is alike, its colours are still the object's, and nothing that is known covers it. Objects that
move by more than their own size between frames, where the flow finds nothing, are looked for on their straight way.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from streamseg.core import masks as mask_ops
from streamseg.core.types import Frame
from streamseg.link.life import Life
from streamseg.link.window import Moment, Sighting, stacked
from streamseg.temporal import warp
from streamseg.temporal.flow import FlowCache
from streamseg.temporal.propagate import carry
from streamseg.track.appearance import histograms, similarity
from streamseg.track.overlap import bordered, overlap

__all__ = ["Follower", "can_follow", "pixels"]

SAME_PLACE = 0.35
"""Least mean of box and mask IoU with where it should be, of a detection that carries it on."""
NEAR = 0.2
"""The same for a detection that the tracker itself took to be this object."""
UNLIKE = 0.55
"""Least similarity of a detection's colours."""
ALIKE = 0.8
"""Least similarity of the colours of what is carried, and not detected."""
PART_ALIKE = 0.5
"""The same for what the frame's border cuts off."""
LIKENESS, SURE_LIKENESS = 0.3, 0.5
"""Least mean likeness of the two pictures along the flow, over the mask; and where colours cannot tell."""
SAME = 0.88
"""Least similarity of the colours of what is neither detected nor found along the flow, but where its speed takes it."""
FAST = 0.5
"""Sizes a frame from which that is tried."""
LEAST_VISIBLE = 0.15
"""Share of the mask that must be left when those of others are taken out of it, for it to be shown."""
LEAST_AREA = 0.2
"""Share of its area in the frame it comes from below which it is taken to have gone behind something."""
LEAST_PIXELS = 12
"""Of less than so many frame pixels nothing can be said."""

LEAST_SIDE = 48
"""Pixels: in smaller pictures any two places look alike."""

FloatArray = npt.NDArray[np.float32]


class Follower:
    """What is needed to follow objects in a window; holds small pictures and flow fields, no frames."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._flows = FlowCache(keep=48)

    # --- one frame on -----------------------------------------------------------------------------------------------------

    def step(
        self, life: Life, sighting: Sighting, source: Moment, target: Moment, area: float, way: FloatArray
    ) -> Sighting | None:
        """Where what was in `source` is in `target`; None: it is not there, or it is hidden.

        `area`: how large it was when it was last detected, frame pixels. `way`: [2] how far it should have moved meanwhile.
        """
        if not (can_follow(source.frame) and can_follow(target.frame)):
            return None
        own = target.rows.get(life.track_id)
        moved, likeness = self.carried(sighting, source, target)
        straight = self._shifted(sighting, way, target.frame)
        for place in (straight, moved):
            if place is not None and (found := self._detected(life, place, target, own)) is not None:
                return found
        share = 0.0 if moved is None else pixels(moved) / max(area, 1.0)
        leaves = _leaves(sighting.box, way, target.frame)
        if moved is not None and self._still(life, moved, target.frame, likeness, share, leaves):
            return self.visible(moved, target, life.track_id)
        # The flow does not find what moves by more than its own size.
        size = sighting.box[2:] - sighting.box[:2]
        fast = (np.abs(way) > FAST * size).any() and pixels(straight) >= LEAST_PIXELS
        if fast and self.alike(life, straight, target.frame) >= SAME:
            return self.visible(straight, target, life.track_id)
        return None

    def _still(self, life: Life, moved: Sighting, frame: Frame, likeness: float, share: float, leaves: bool) -> bool:
        """Whether what was carried into `frame` along the flow is the object.

        `share`: how large it is to what it was; `leaves`: at its speed it is about to leave the frame.
        """
        if pixels(moved) < LEAST_PIXELS or likeness < LIKENESS:
            return False
        if share < LEAST_AREA:
            # The last of it over the frame's border has colours of its own, as a shoe has: here its speed tells.
            return leaves and likeness >= SURE_LIKENESS
        return self.alike(life, moved, frame) >= self._needed(moved, frame, likeness)

    def _needed(self, moved: Sighting, frame: Frame, likeness: float) -> float:
        """How alike its colours must be: what is cut off by the frame's border shows only some of them."""
        return PART_ALIKE if likeness >= SURE_LIKENESS and _at_border(moved.box, frame) else ALIKE

    def _shifted(self, sighting: Sighting, way: FloatArray, frame: Frame) -> Sighting:
        """It moved straight on, what is in the frame of it."""
        box, mask = (sighting.box + np.tile(way, 2))[None], sighting.mask[None]
        inside, cropped = mask_ops.crop_to(box.astype(np.float32), mask, frame.width, frame.height)
        return replace(sighting, box=inside[0], mask=cropped[0], kind="carried", shown=True)

    def carried(self, sighting: Sighting, source: Moment, target: Moment) -> tuple[Sighting | None, float]:
        """It moved along the flow, and how alike the pictures are there, 0..1; None: it has left the frame, or there is no flow."""
        one = stacked([sighting], self._names)
        if not (can_follow(source.frame) and can_follow(target.frame)):
            return None, 0.0
        flow = self._flows.between(source.frame, target.frame, one.boxes)
        if flow is None:
            return None, 0.0
        moved = carry(one, flow, target.frame.width, target.frame.height)
        if not len(moved):
            return None, 0.0
        shape = warp.shapes(moved)
        skip = warp.coarse(shape.shape[-1])
        _, likeness = flow.at(warp.cells(moved.boxes, shape.shape[-1], skip))
        inside = shape[:, ::skip, ::skip] > 127
        mean = float(likeness[inside].mean()) if inside.any() else 0.0
        return replace(sighting, box=moved.boxes[0], mask=moved.masks[0], kind="carried", shown=True), mean

    def _detected(self, life: Life, place: Sighting, target: Moment, own: Sighting | None) -> Sighting | None:
        """The detection in `target` that is at `place` and looks like it, if nobody else has it."""
        candidates: list[Sighting] = [*target.free] if own is None else [own, *target.free]
        candidates = [c for c in candidates if c.detected]
        if not candidates:
            return None
        found = stacked(candidates, self._names)
        there = stacked([place], self._names)
        fit = overlap(there.boxes, bordered(there.mask_or_box), found.boxes, bordered(found.mask_or_box))[0]
        if own is not None:
            fit[0] += SAME_PLACE - NEAR
        for best in (int(each) for each in np.argsort(-fit)):
            if fit[best] < SAME_PLACE:
                return None
            if self.alike(life, candidates[best], target.frame) >= UNLIKE:
                return candidates[best]
        return None

    # --- evidence ---------------------------------------------------------------------------------------------------------

    def learn(self, life: Life, sighting: Sighting, frame: Frame) -> None:
        """Note what the object looks like."""
        if frame.picture is not None:
            life.remember(sighting.score, self._look(sighting, frame))

    def alike(self, life: Life, sighting: Sighting, frame: Frame) -> float:
        """How alike its colours are to those of the track, 0..1; 1 where nothing is known."""
        look = life.look
        if look is None or frame.picture is None:
            return 1.0
        return float(similarity(look[None], self._look(sighting, frame)[None])[0, 0])

    def _look(self, sighting: Sighting, frame: Frame) -> FloatArray:
        return np.asarray(histograms(frame, stacked([sighting], self._names))[0])

    def visible(self, sighting: Sighting, moment: Moment, track: int) -> Sighting | None:
        """It without what the masks of others cover; None: next to nothing is left."""
        others = [row for other, row in moment.rows.items() if other != track and row.shown and row.detected]
        others = [row for row in others if _meet(row.box, sighting.box)]
        if not others:
            return sighting
        width, height = moment.frame.width, moment.frame.height
        side = sighting.mask.shape[-1] if sighting.mask.shape[-1] > 1 else 14
        points = warp.cells(sighting.box[None], side)
        covered = np.zeros((side, side), bool)
        for row in others:
            shape = warp.shapes(stacked([row], self._names))
            covered |= warp.look_up(shape, row.box[None], points, width, height)[0] > 127
        own = warp.shapes(stacked([sighting], self._names))
        inside = mask_ops.resized(own, side)[0] > 127
        left = (inside & ~covered).sum() / max(1, inside.sum())
        if left < LEAST_VISIBLE:
            return None
        if sighting.mask.shape[-1] <= 1 or not (inside & covered).any():
            return sighting
        return replace(sighting, mask=np.where(covered, np.uint8(0), sighting.mask))

    # --- between two sightings ----------------------------------------------------------------------------------------------

    def agreement(self, a: Sighting, b: Sighting) -> float:
        """Mean of box and mask IoU."""
        first, second = stacked([a], self._names), stacked([b], self._names)
        fit = overlap(first.boxes, bordered(first.mask_or_box), second.boxes, bordered(second.mask_or_box))
        return float(fit[0, 0])

    def blended(self, before: Sighting, after: Sighting, share: float, frame: Frame) -> Sighting:
        """Both of one frame as one, `share` of it from `after`."""
        box = ((1 - share) * before.box + share * after.box).astype(np.float32)
        mask = before.mask if share < 0.5 else after.mask
        if mask.shape[-1] > 1:
            points = warp.cells(box[None], mask.shape[-1])
            both = [
                warp.look_up(s.mask[None].astype(np.float32), s.box[None], points, frame.width, frame.height)[0]
                for s in (before, after)
            ]
            mask = np.rint((1 - share) * both[0] + share * both[1]).astype(np.uint8)
        return replace(before, box=box, mask=mask, kind="carried", shown=True)

    def straight(self, life: Life, before: Sighting, after: Sighting, share: float, moment: Moment) -> Sighting | None:
        """It on its straight way from one to the other, `share` of the way on; None: it does not look as if it was there."""
        nearer = before if share < 0.5 else after
        box = ((1 - share) * before.box + share * after.box).astype(np.float32)
        found = replace(nearer, box=box, kind="carried", shown=True)
        if pixels(found) < LEAST_PIXELS or self.alike(life, found, moment.frame) < ALIKE:
            return None
        return self.visible(found, moment, life.track_id)


def can_follow(frame: Frame) -> bool:
    """Whether its picture, if it has one, is large enough to say where something went."""
    return frame.picture is not None and min(frame.width, frame.height) >= LEAST_SIDE


def pixels(sighting: Sighting) -> float:
    """Area of the mask, frame pixels."""
    size = sighting.box[2:] - sighting.box[:2]
    share = float((sighting.mask > 127).mean()) if sighting.mask.shape[-1] > 1 else 1.0
    return float(size[0] * size[1]) * share


def _at_border(box: FloatArray, frame: Frame) -> bool:
    return bool((box[:2] < 1).any() or box[2] > frame.width - 1 or box[3] > frame.height - 1)


def _leaves(box: FloatArray, way: FloatArray, frame: Frame) -> bool:
    """Whether a box that goes straight on is about to leave the frame, and has not left it yet."""
    size = np.array([frame.width, frame.height], np.float32)
    inside = np.minimum(box[2:] + way, size) - np.maximum(box[:2] + way, 0)
    out = (box[:2] < 1) & (way < 0) | (box[2:] > size - 1) & (way > 0)
    return bool(out.any() and (inside >= 1).all())


def _meet(a: FloatArray, b: FloatArray) -> bool:
    return bool((np.minimum(a[2:], b[2:]) > np.maximum(a[:2], b[:2])).all())
