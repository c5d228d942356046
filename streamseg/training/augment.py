"""Training samples: large-scale jitter, flip, colour, low quality and copy-paste.

Ghiasi et al. 2021, "Simple Copy-Paste is a Strong Data Augmentation Method for Instance Segmentation"
(arXiv 2012.07177). As there, photos are scaled over a wide range and cut or padded to the canvas, and objects of
other photos are pasted over, hiding what lies below. Unlike there, the least scale is 0.7, not 0.1, since our
canvases have a tenth of their area; scales are drawn evenly in logarithm; a pasted object is drawn by the square
root of its class's frequency and has a scale of its own; and an object of which less than a quarter stays
visible is ignored rather than learnt. `Augmentation` sets the ranges and probabilities.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streamseg.config.training import Augmentation
from streamseg.datasets.photos import TrainingObject, TrainingPhoto

UInt8Array = NDArray[np.uint8]
Affine = NDArray[np.float64]

MIN_SIDE = 4.0
"""Objects with a visible side below this many canvas pixels are ignored, not learnt."""


@dataclass(slots=True)
class Sample:
    """A picture uint8 [H, W, 3] RGB and its objects, all in canvas pixels; masks uint8 [N, H, W]."""

    picture: UInt8Array
    boxes: list[NDArray[np.float32]] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    masks: list[UInt8Array | None] = field(default_factory=list)
    ignore: list[NDArray[np.float32]] = field(default_factory=list)

    def tensors(self, photo: TrainingPhoto) -> tuple[Tensor, dict[str, Tensor]]:
        """The picture uint8 [3, H, W], and its target as `networks.losses` describes it."""
        height, width = self.picture.shape[:2]
        empty = np.zeros((height, width), np.uint8)
        masks = [empty if m is None else m for m in self.masks]
        stack = np.stack(masks) if masks else np.zeros((0, height, width), np.uint8)
        return torch.from_numpy(self.picture).permute(2, 0, 1), {
            "boxes": torch.tensor(np.array(self.boxes, np.float32).reshape(-1, 4)),
            "labels": torch.tensor(self.labels, dtype=torch.int64),
            "masks": torch.from_numpy(stack),
            "has_mask": torch.tensor([m is not None for m in self.masks], dtype=torch.bool),
            "ignore": torch.tensor(np.array(self.ignore, np.float32).reshape(-1, 4)),
            "labelled": torch.tensor(photo.labelled),
            "exhaustive": torch.tensor(photo.exhaustive),
        }


def mask_box(mask: UInt8Array) -> NDArray[np.float32]:
    """Tight xyxy box of a non-empty mask, right and bottom exclusive."""
    x, y, w, h = cv2.boundingRect(mask)
    return np.array([x, y, x + w, y + h], np.float32)


def place(
    photo: TrainingPhoto, picture: UInt8Array, canvas: tuple[int, int], how: Augmentation, rng: np.random.Generator
) -> Sample:
    """The photo scaled, moved and perhaps mirrored onto a canvas of (H, W) pixels."""
    height, width = canvas
    scale = min(height / photo.height, width / photo.width) * float(np.exp(rng.uniform(*np.log(how.scale))))
    free_x, free_y = width - photo.width * scale, height - photo.height * scale
    dx, dy = rng.random() * free_x, rng.random() * free_y
    if photo.objects and rng.random() < how.centre:
        box = photo.objects[rng.integers(len(photo.objects))].box
        dx = width / 2 - (box[0] + box[2]) / 2 * scale + rng.uniform(-0.3, 0.3) * width
        dy = height / 2 - (box[1] + box[3]) / 2 * scale + rng.uniform(-0.3, 0.3) * height
        dx = float(np.clip(dx, min(0, free_x), max(0, free_x)))
        dy = float(np.clip(dy, min(0, free_y), max(0, free_y)))
    move = np.array([[scale, 0, dx], [0, scale, dy]], np.float64)
    if rng.random() < how.flip:
        move[0] = [-scale, 0, width - dx]
    sample = Sample(_warp(picture, move, canvas, int(rng.choice([114, 114, 0, 128]))))
    for item in photo.objects:
        _add(sample, item, move)
    for region in photo.ignore:
        hidden = _moved(region, move, width, height)
        if (hidden[2:] - hidden[:2]).min() > 1:
            sample.ignore.append(hidden)
    return sample


def _warp(picture: UInt8Array, move: Affine, canvas: tuple[int, int], border: int = 0) -> UInt8Array:
    """`picture` under a map of coordinates, in which pixel i spans i to i + 1, cut or padded to the canvas."""
    height, width = picture.shape[:2]
    scale = float(move[1, 1])
    if scale < 0.5:  # warpAffine would skip pixels
        small = max(1, round(width * scale)), max(1, round(height * scale))
        picture = np.asarray(cv2.resize(picture, small, interpolation=cv2.INTER_AREA), np.uint8)
        move = move * np.array([[width / small[0], height / small[1], 1.0]])
    centred = move.copy()  # OpenCV's coordinates are 0 at the middle of the first pixel
    centred[:, 2] += 0.5 * (move[:, 0] + move[:, 1]) - 0.5
    size = canvas[1], canvas[0]
    warped = cv2.warpAffine(picture, centred, size, flags=cv2.INTER_LINEAR, borderValue=(border, border, border))
    return np.asarray(warped, np.uint8)


def _add(sample: Sample, item: TrainingObject, move: Affine) -> None:
    height, width = sample.picture.shape[:2]
    box = _moved(item.box, move, width, height)
    mask: UInt8Array | None = None
    if (box[2:] - box[:2]).min() <= 0:
        return
    if item.rle is not None:
        mask = (_warp(item.mask() * np.uint8(255), move, (height, width)) > 127).astype(np.uint8)
        if not mask.any():
            return
        box = mask_box(mask)
    whole = (item.box[2] - item.box[0]) * (item.box[3] - item.box[1]) * move[1, 1] ** 2
    hidden = mask is None and float(np.prod(box[2:] - box[:2])) < 0.25 * whole
    if hidden or (box[2:] - box[:2]).min() < MIN_SIDE:
        sample.ignore.append(box)
        return
    sample.boxes.append(box)
    sample.labels.append(item.label)
    sample.masks.append(mask)


def paste(sample: Sample, item: TrainingObject, photo: UInt8Array, rng: np.random.Generator) -> None:
    """Put one object of another photo over the sample; what it covers loses those pixels."""
    height, width = sample.picture.shape[:2]
    mask = item.mask()
    x0, y0, x1, y1 = mask_box(mask).astype(int)
    scale = min(np.exp(rng.uniform(np.log(0.12), np.log(0.8))) * height / (y1 - y0), 2.0)
    scale = min(scale, 0.9 * width / (x1 - x0))
    size = (max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale)))
    crop = cv2.resize(photo[y0:y1, x0:x1], size, interpolation=cv2.INTER_AREA)
    shape = cv2.resize(mask[y0:y1, x0:x1] * 255, size, interpolation=cv2.INTER_AREA)
    if rng.random() < 0.5:
        crop, shape = crop[:, ::-1], shape[:, ::-1]
    left = int(rng.integers(-size[0] // 4, max(width - size[0] * 3 // 4, 1 - size[0] // 4)))
    top = int(rng.integers(-size[1] // 8, max(height - size[1] * 3 // 4, 1 - size[1] // 8)))
    ys, xs = slice(max(0, top), min(height, top + size[1])), slice(max(0, left), min(width, left + size[0]))
    cut = (slice(ys.start - top, ys.stop - top), slice(xs.start - left, xs.stop - left))
    crop, shape = crop[cut], shape[cut]
    if min(shape.shape[:2]) < MIN_SIDE or (shape > 127).sum() < 40:
        return
    alpha = cv2.GaussianBlur(np.ascontiguousarray(shape), (3, 3), 0).astype(np.float32)[..., None] / 255
    below = sample.picture[ys, xs]
    sample.picture[ys, xs] = (alpha * crop + (1 - alpha) * below + 0.5).astype(np.uint8)
    pasted = np.zeros((height, width), np.uint8)
    pasted[ys, xs] = shape > 127
    _occlude(sample, pasted)
    sample.boxes.append(mask_box(pasted))
    sample.labels.append(item.label)
    sample.masks.append(pasted)


def _occlude(sample: Sample, cover: UInt8Array) -> None:
    """Take the pixels of `cover` from the sample's objects; those that nearly vanish are ignored."""
    boxes, labels, masks = [], [], []
    for box, label, mask in zip(sample.boxes, sample.labels, sample.masks, strict=True):
        x0, y0, x1, y1 = box.astype(int)
        rest: UInt8Array | None = None
        if mask is None:
            visible = 1.0 - float(cover[y0:y1, x0:x1].mean()) if x1 > x0 and y1 > y0 else 0.0
        else:
            rest = mask & (1 - cover)
            visible = int(rest.sum()) / max(1, int(mask.sum()))
        if visible < 0.25 or (rest is not None and rest.sum() < 20):
            sample.ignore.append(box)
            continue
        boxes.append(box if rest is None else mask_box(rest))
        labels.append(label)
        masks.append(rest)
    sample.boxes, sample.labels, sample.masks = boxes, labels, masks


def _moved(box: Sequence[float], move: Affine, width: int, height: int) -> NDArray[np.float32]:
    """The xyxy box under an axis-aligned affine map, clipped to the canvas."""
    xs = sorted((box[0] * move[0, 0] + move[0, 2], box[2] * move[0, 0] + move[0, 2]))
    ys = (box[1] * move[1, 1] + move[1, 2], box[3] * move[1, 1] + move[1, 2])
    corners = np.array([xs[0], ys[0], xs[1], ys[1]], np.float32)
    return np.clip(corners, 0, np.array([width, height, width, height], np.float32)).astype(np.float32)


def recolour(picture: UInt8Array, how: Augmentation, rng: np.random.Generator) -> UInt8Array:
    """Brightness, contrast, colour balance, saturation; now and then low resolution, JPEG or grey."""
    result = picture
    if how.colour:
        s = how.colour
        gain = (rng.uniform(1 - 0.3 * s, 1 + 0.3 * s, 1) * rng.uniform(1 - 0.08 * s, 1 + 0.08 * s, 3)).astype(np.float32)
        x = picture * gain + np.float32(rng.uniform(-20, 20) * s)
        grey = x.mean(axis=2, keepdims=True)
        saturation = np.float32(0.0 if rng.random() < 0.03 * s else rng.uniform(1 - 0.4 * s, 1 + 0.4 * s))
        result = np.clip(grey + (x - grey) * saturation, 0, 255).astype(np.uint8)
    height, width = result.shape[:2]
    if rng.random() < how.low_resolution:
        factor = rng.uniform(0.35, 0.8)
        small = (max(8, int(width * factor)), max(8, int(height * factor)))
        result = np.asarray(cv2.resize(result, small, interpolation=cv2.INTER_AREA), np.uint8)
        result = np.asarray(cv2.resize(result, (width, height)), np.uint8)
    if rng.random() < how.jpeg:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 70))]
        decoded = cv2.imdecode(cv2.imencode(".jpg", result, quality)[1], cv2.IMREAD_COLOR)
        result = np.asarray(decoded, np.uint8)
    return result
