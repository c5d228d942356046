"""Where each road user touches the road in the picture, how tall it is there, and how sure either is, in pixels.

The foot is the lowest row of its mask, between the cells of its grid where the mask falls through one half. Where it is cut off by
the picture's lower border, or something in front hides it, it is not known, or only as well as its size is remembered. Who rides
touches the road where the bicycle does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamseg.core.masks import AT_BORDER, HALF
from streamseg.core.types import Instances, Occlusion

__all__ = ["Contacts", "find_contacts"]

FloatArray = npt.NDArray[np.float64]
FOOT = 1 / 3
"""Share of a mask's rows, from its lowest, whose centre is the foot's: both legs of who walks (as `events.ground`)."""
LEAST, SHARE = 0.5, 0.012
"""Standard deviation of an outline: pixels, and share of the object's height on top."""
REMEMBERED = 0.06
"""Share of its height by which a hidden foot may be elsewhere than where the remembered size puts it."""
SEEN = 0.97
"""Share from which on it counts as seen whole."""
WHEELS = ("bicycle", "motorcycle", "bike", "motorbike")
RIDERS = ("person", "rider", "cyclist", "pedestrian")


@dataclass(slots=True)
class Contacts:
    """Arrays of length N, pixels."""

    foot: FloatArray
    """[N, 2] x, y."""
    foot_std: FloatArray
    """[N] of its row; inf: it is not seen."""
    across_std: FloatArray
    """[N] of its column."""
    height: FloatArray
    """[N] from the foot to the highest point."""
    height_std: FloatArray
    """[N] inf: it is not seen whole."""
    hidden: npt.NDArray[np.bool_]
    """[N] something hides a part of it, or the picture's border cuts it off."""


def find_contacts(found: Instances, occlusion: Occlusion | None, width: int, height: int) -> Contacts:
    """The contacts of all instances of a frame of `width` x `height` pixels."""
    boxes = found.boxes.astype(np.float64)
    x, bottom, top = _feet(found, boxes)
    tall = np.maximum(bottom - top, 1.0)
    wide = boxes[:, 2] - boxes[:, 0]
    std = LEAST + SHARE * tall
    contacts = Contacts(np.stack([x, bottom], axis=1), std, LEAST + 0.02 * wide, tall, std * 1.4, np.zeros(len(found), bool))
    _ride(found, boxes, contacts)
    if occlusion is not None:
        _behind_others(found, boxes, occlusion, contacts)
    _at_borders(boxes, contacts, width, height)
    return contacts


def _feet(found: Instances, boxes: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """[N] the foot's column, its row, and the highest row, of each."""
    if not found.has_shapes or not len(found):
        return (boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3], boxes[:, 1]
    masks, side = found.masks, found.side
    inside = masks > HALF
    profile = masks.max(axis=2).astype(np.float64)
    is_in = profile > HALF
    some = is_in.any(axis=1)
    last = side - 1 - is_in[:, ::-1].argmax(axis=1)
    first = is_in.argmax(axis=1)
    cell = (boxes[:, 3] - boxes[:, 1]) / side
    # the last cells inside: their centres, and how far beyond these the profile falls through one half
    low, high = (last + 0.5 + _beyond(profile, last, 1)), (first + 0.5 - _beyond(profile, first, -1))
    rows = np.arange(side)
    band = (rows > (last - max(1, int(FOOT * side)))[:, None]) & (rows <= last[:, None])
    columns = np.einsum("nr,nrc->nc", band.astype(np.float32), inside.astype(np.float32))
    total = np.maximum(columns.sum(axis=1), 1)
    middle = columns @ (np.arange(side) + 0.5) / total / side
    x = np.where(some, boxes[:, 0] + (boxes[:, 2] - boxes[:, 0]) * middle, (boxes[:, 0] + boxes[:, 2]) / 2)
    bottom = np.where(some, boxes[:, 1] + cell * np.minimum(low, side), boxes[:, 3])
    return x, bottom, np.where(some, boxes[:, 1] + cell * np.maximum(high, 0), boxes[:, 1])


def _beyond(profile: FloatArray, at: npt.NDArray[np.intp], step: int) -> FloatArray:
    """[N] cells from the centre of row `at`, which is inside, in the direction `step`, to where `profile` falls to one half."""
    n = np.arange(len(at))
    value, beyond = profile[n, at], at + step
    outside = np.where((beyond >= 0) & (beyond < profile.shape[1]), profile[n, beyond % profile.shape[1]], 0.0)
    return np.asarray((value - HALF) / np.maximum(value - outside, 1e-6))


def _ride(found: Instances, boxes: FloatArray, contacts: Contacts) -> None:
    """Let who sits on a bicycle stand where it does."""
    kinds = [name.lower() for name in found.class_names]
    labels = found.labels.tolist()
    wheels = [i for i, label in enumerate(labels) if kinds[label] in WHEELS]
    if not wheels:
        return
    for i, label in enumerate(labels):
        if kinds[label] not in RIDERS:
            continue
        x0, y0, _, y1 = boxes[i]
        middle = (x0 + boxes[i, 2]) / 2
        for j in wheels:
            bx0, by0, bx1, by1 = boxes[j]
            if bx0 <= middle <= bx1 and y0 < by0 < y1 <= by1 + 0.1 * (by1 - by0):
                contacts.foot[i] = middle, contacts.foot[j, 1]
                contacts.foot_std[i] = contacts.foot_std[j] + 0.03 * (y1 - y0)
                contacts.height_std[i] = np.inf  # from the saddle up


def _behind_others(found: Instances, boxes: FloatArray, occlusion: Occlusion, contacts: Contacts) -> None:
    """What hides a foot makes it doubtful; where it was seen before, its remembered size tells where it is."""
    row_of = {int(track): row for row, track in enumerate(found.track_ids.tolist()) if track}
    for i in np.flatnonzero((occlusion.occluded_by > 0) & (occlusion.visible < SEEN)):
        contacts.hidden[i] = True
        by = row_of.get(int(occlusion.occluded_by[i]))
        tall = occlusion.extents[i, 3] - occlusion.extents[i, 1]
        deeper = occlusion.extents[i, 3] > boxes[i, 3] + 0.02 * tall
        contacts.height_std[i] += 0.08 * tall
        if deeper:
            contacts.foot[i] = (occlusion.extents[i, 0] + occlusion.extents[i, 2]) / 2, occlusion.extents[i, 3]
            contacts.foot_std[i] += REMEMBERED * tall
            contacts.across_std[i] += REMEMBERED * (occlusion.extents[i, 2] - occlusion.extents[i, 0])
            contacts.height[i] = tall
        elif by is None or (boxes[by, 1] < boxes[i, 3] <= boxes[by, 3] and _share(boxes[i], boxes[by]) > 0.2):
            contacts.foot_std[i] = contacts.height_std[i] = np.inf
        else:
            contacts.across_std[i] += 0.1 * (boxes[i, 2] - boxes[i, 0])


def _share(box: FloatArray, other: FloatArray) -> float:
    """Of the width of `box` that `other` takes."""
    return float((min(box[2], other[2]) - max(box[0], other[0])) / max(box[2] - box[0], 1.0))


def _at_borders(boxes: FloatArray, contacts: Contacts, width: int, height: int) -> None:
    """What the picture's border cuts off."""
    below, above = boxes[:, 3] >= height - 1 - AT_BORDER, boxes[:, 1] <= 1 + AT_BORDER
    aside = (boxes[:, 0] <= 1 + AT_BORDER) | (boxes[:, 2] >= width - 1 - AT_BORDER)
    contacts.foot_std[below] = np.inf
    contacts.height_std[below | above] = np.inf
    # its nearest part may be outside
    contacts.foot_std[aside] += 0.03 * contacts.height[aside]
    contacts.across_std[aside] += 0.25 * (boxes[aside, 2] - boxes[aside, 0])
    contacts.hidden |= below | above | aside
