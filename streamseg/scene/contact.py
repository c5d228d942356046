"""Where each road user touches the road in the picture, how tall it is there, and how sure either is, in pixels.

The foot is the lowest row of its mask, between the cells of its grid where the mask falls through one half. Where it is cut off by
the picture's border, or something in front hides it, it is not known, or only as well as its size is remembered. Who rides touches
the road where the bicycle does, and both are as tall as the two together.
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
BELOW = 0.04
"""Share of its height below its foot at which there is road, or what hides the foot."""
ASIDE = (-0.25, 0.0, 0.25)
"""Shares of its width beside its foot at which that is looked for."""
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
    like: npt.NDArray[np.intp]
    """[N] the row of the instance whose class says how tall it is: its own, or that of who rides on it."""


def find_contacts(found: Instances, occlusion: Occlusion | None, width: int, height: int) -> Contacts:
    """The contacts of all instances of a frame of `width` x `height` pixels."""
    boxes = found.boxes.astype(np.float64)
    x, bottom, top = _feet(found, boxes)
    tall = np.maximum(bottom - top, 1.0)
    std = LEAST + SHARE * tall
    foot, across = np.stack([x, bottom], axis=1), LEAST + 0.02 * (boxes[:, 2] - boxes[:, 0])
    contacts = Contacts(foot, std, across, tall, std * 1.4, np.zeros(len(found), bool), np.arange(len(found)))
    _behind_others(found, boxes, occlusion, contacts)
    _ride(found, boxes, contacts)
    _at_borders(boxes, contacts, width, height)
    return contacts


def _feet(found: Instances, boxes: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """[N] the foot's column, its row, and the highest row, of each."""
    if not found.has_shapes or not len(found):
        return (boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3], boxes[:, 1]
    masks, side, n = found.masks, found.side, np.arange(len(found))
    inside = masks > HALF
    profile = masks.max(axis=2).astype(np.float64)
    is_in = profile > HALF
    last, first = side - 1 - is_in[:, ::-1].argmax(axis=1), is_in.argmax(axis=1)
    # the last cells inside: their centres, and how far beyond these the profile falls through one half
    framed = np.zeros((len(found), side + 2))
    framed[:, 1:-1] = profile
    value, below, above = framed[n, last + 1], framed[n, last + 2], framed[n, first]
    low = last + 0.5 + (value - HALF) / np.maximum(value - below, 1e-6)
    value = framed[n, first + 1]
    high = first + 0.5 - (value - HALF) / np.maximum(value - above, 1e-6)
    rows = np.arange(side)
    band = (rows > (last - max(1, int(FOOT * side)))[:, None]) & (rows <= last[:, None])
    columns = (inside & band[:, :, None]).sum(axis=1)
    middle = columns @ (rows + 0.5) / np.maximum(columns.sum(axis=1), 1) / side
    left, top, right, bottom = boxes.T
    cell = (bottom - top) / side
    x, foot, head = left + (right - left) * middle, top + cell * np.minimum(low, side), top + cell * np.maximum(high, 0)
    some = is_in.any(axis=1)
    if not some.all():  # a mask that is nowhere sure says nothing
        x, foot, head = (np.where(some, a, b) for a, b in ((x, (left + right) / 2), (foot, bottom), (head, top)))
    return x, foot, head


def _behind_others(found: Instances, boxes: FloatArray, occlusion: Occlusion | None, contacts: Contacts) -> None:
    """What hides a foot makes it doubtful; where it was seen before, its remembered size tells where it is."""
    covered = _covered(found, boxes, contacts)
    if occlusion is None:
        contacts.foot_std[covered] = contacts.height_std[covered] = np.inf
        contacts.hidden |= covered
        return
    extents = occlusion.extents
    tall = extents[:, 3] - extents[:, 1]
    hidden = covered | ((occlusion.occluded_by > 0) & (occlusion.visible < SEEN))
    if not hidden.any():
        return
    deeper = extents[:, 3] > boxes[:, 3] + 0.02 * tall
    contacts.hidden |= hidden
    contacts.height_std[hidden] += 0.03 * tall[hidden]
    contacts.across_std[hidden] += 0.1 * (boxes[hidden, 2] - boxes[hidden, 0])
    for i in np.flatnonzero(hidden & deeper):
        contacts.foot[i] = (extents[i, 0] + extents[i, 2]) / 2, extents[i, 3]
        contacts.foot_std[i] += REMEMBERED * tall[i]
        contacts.height[i] = tall[i]
        contacts.height_std[i] += REMEMBERED * tall[i]
    lost = covered & ~deeper
    contacts.foot_std[lost] = contacts.height_std[lost] = np.inf


def _covered(found: Instances, boxes: FloatArray, contacts: Contacts) -> npt.NDArray[np.bool_]:
    """[N] whether below its foot is the mask of another that stands nearer, in place of the road."""
    n = len(found)
    covered = np.zeros(n, bool)
    if n < 2:
        return covered
    y = contacts.foot[:, 1] + BELOW * contacts.height + 1
    # pairs of one and another who might hide its foot
    left, right, bottom = boxes[:, 0], boxes[:, 2], boxes[:, 3]
    near = (
        (boxes[None, :, 1] < y[:, None])
        & (bottom[None] > y[:, None])
        & (left[None] < right[:, None])
        & (right[None] > left[:, None])
    )
    near[np.arange(n), np.arange(n)] = False
    one, other = np.nonzero(near)
    if not len(one):
        return covered
    side, masks = max(found.side, 1), found.mask_or_box
    x = contacts.foot[one, 0, None] + np.array(ASIDE) * (right - left)[one, None]
    box = boxes[other]
    column = (x - box[:, :1]) / np.maximum(box[:, 2:3] - box[:, :1], 1e-6) * side
    row = ((y[one] - box[:, 1]) / np.maximum(box[:, 3] - box[:, 1], 1e-6) * side).astype(np.intp)
    within = (column >= 0) & (column < side)
    at = np.clip(column.astype(np.intp), 0, side - 1)
    hit = within & (masks[other[:, None], np.clip(row, 0, side - 1)[:, None], at] > HALF)
    points = np.zeros((n, len(ASIDE)), bool)
    np.logical_or.at(points, one, hit)
    return np.asarray(points.sum(axis=1) >= 2)


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
        x0, y0, x1, y1 = boxes[i]
        middle = (x0 + x1) / 2
        for j in wheels:
            bx0, by0, bx1, by1 = boxes[j]
            if bx0 <= middle <= bx1 and y0 < by0 < y1 <= by1 + 0.1 * (by1 - by0):
                tall = contacts.foot[j, 1] - y0
                std = LEAST + SHARE * tall
                contacts.foot[i], contacts.foot_std[i] = contacts.foot[j], std * 1.5
                contacts.height[[i, j]], contacts.height_std[[i, j]], contacts.like[j] = tall, std * 2, i
                contacts.foot_std[j] = std


def _at_borders(boxes: FloatArray, contacts: Contacts, width: int, height: int) -> None:
    """What the picture's border cuts off: at the side, the nearest part may be outside."""
    edge = 1 + AT_BORDER
    below, above = boxes[:, 3] >= height - edge, boxes[:, 1] <= edge
    aside = (boxes[:, 0] <= edge) | (boxes[:, 2] >= width - edge)
    cut = below | aside
    contacts.foot_std[cut] = contacts.height_std[cut] = np.inf
    contacts.height_std[above] = np.inf
    contacts.across_std[aside] += 0.25 * (boxes[aside, 2] - boxes[aside, 0])
    contacts.hidden |= cut | above
