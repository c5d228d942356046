"""Training samples: large-scale jitter, flip, colour, low quality and copy-paste.

Ghiasi et al. 2021, "Simple Copy-Paste is a Strong Data Augmentation Method for Instance Segmentation"
(arXiv 2012.07177). Sample n of a seed is always the same picture, whatever was drawn before it, so a
resumed run goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from streamseg.errors import ConfigError
from streamseg.model.coco import Photo, Thing

Picture = NDArray[np.uint8]
Boxes = NDArray[np.float32]

MIN_SIDE = 4.0
"""Objects with a visible side below this many canvas pixels are ignored, not learnt."""


@dataclass(slots=True)
class Sample:
    """A picture uint8 [H, W, 3] RGB and its objects, all in canvas pixels; masks uint8 [N, H, W]."""

    picture: Picture
    boxes: list[NDArray[np.float32]] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    masks: list[Picture | None] = field(default_factory=list)
    ignore: list[NDArray[np.float32]] = field(default_factory=list)

    def tensors(self, photo: Photo) -> tuple[Tensor, dict[str, Tensor]]:
        """The picture uint8 [3, H, W] and the target that `partial.py` describes."""
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


def mask_box(mask: Picture) -> NDArray[np.float32]:
    """Tight xyxy box of a non-empty mask, right and bottom exclusive."""
    x, y, w, h = cv2.boundingRect(mask)
    return np.array([x, y, x + w, y + h], np.float32)


def source_weights(photos: Sequence[Photo], shares: Mapping[str, float]) -> NDArray[np.float64]:
    """Probability of each photo: `shares` gives a source its part; the rest is spread evenly."""
    sources = [photo.source for photo in photos]
    unknown = set(shares) - set(sources)
    if unknown:
        raise ConfigError(f"no photo has source {sorted(unknown)}; there are: {sorted(set(sources))}")
    rest = 1.0 - sum(shares.values())
    others = sum(s not in shares for s in sources)
    if rest < -1e-9 or (others == 0 and rest > 1e-9) or min(shares.values(), default=0) < 0:
        raise ConfigError(f"shares of the sources must be positive and sum to 1 at most: {dict(shares)}")
    count = {s: sources.count(s) for s in set(sources)}
    return np.array([shares[s] / count[s] if s in shares else rest / others for s in sources])


class Samples(Dataset[tuple[Tensor, dict[str, Tensor]]]):
    """Endless augmented samples of `photos`; item n is a function of (seed, n) alone.

    `canvases`: (H, W) pixels, one drawn for each batch of `batch` samples. `weights`: as source_weights.
    """

    def __init__(
        self,
        photos: Sequence[Photo],
        weights: NDArray[np.float64],
        canvases: Sequence[tuple[int, int]],
        batch: int,
        seed: int,
        paste: float = 0.6,
    ) -> None:
        if not photos:
            raise ConfigError("there is no photo to train on")
        self.photos = photos
        self.bytes = [np.fromfile(photo.path, np.uint8) for photo in photos]
        self.cumulative = np.cumsum(weights) / np.sum(weights)
        self.canvases, self.batch, self.seed, self.paste = list(canvases), batch, seed, paste
        self.pasteable: dict[int, list[tuple[int, Thing]]] = {}
        for i, photo in enumerate(photos):
            for thing in photo.things:
                if thing.rle is not None and thing.box[3] - thing.box[1] >= 32:
                    self.pasteable.setdefault(thing.label, []).append((i, thing))
        self.paste_labels = sorted(self.pasteable)
        sizes = np.sqrt([len(self.pasteable[k]) for k in self.paste_labels])
        self.paste_odds = sizes / sizes.sum() if len(sizes) else sizes

    def __len__(self) -> int:
        return 1 << 40

    def picture(self, index: int) -> Picture:
        """Photo `index`, uint8 RGB; raises ConfigError when it is not a picture of the stated size."""
        photo = self.photos[index]
        decoded = cv2.imdecode(self.bytes[index], cv2.IMREAD_COLOR)
        if decoded is None or decoded.shape[:2] != (photo.height, photo.width):
            raise ConfigError(f"{photo.path.name} is not a picture of {photo.width}×{photo.height}")
        return np.asarray(decoded[..., ::-1], np.uint8)

    def __getitem__(self, n: int) -> tuple[Tensor, dict[str, Tensor]]:
        height, width = self.canvases[np.random.default_rng([self.seed, 1, n // self.batch]).integers(len(self.canvases))]
        rng = np.random.default_rng([self.seed, 2, n])
        index = int(np.searchsorted(self.cumulative, rng.random(), side="right"))
        index = min(index, len(self.photos) - 1)
        sample = self._place(index, height, width, rng)
        if self.paste_labels and rng.random() < self.paste:
            for _ in range(rng.integers(1, 5)):
                self._paste(sample, rng)
        sample.picture = _recolour(sample.picture, rng)
        return sample.tensors(self.photos[index])

    def _place(self, index: int, height: int, width: int, rng: np.random.Generator) -> Sample:
        """The photo scaled 0.7 to 2 times its fitting size, flipped half of the time, on the canvas."""
        photo = self.photos[index]
        scale = min(height / photo.height, width / photo.width) * np.exp(rng.uniform(-0.36, 0.69))
        free_x, free_y = width - photo.width * scale, height - photo.height * scale
        dx, dy = rng.random() * free_x, rng.random() * free_y
        if photo.things and rng.random() < 0.5:  # keep one object near the middle
            box = photo.things[rng.integers(len(photo.things))].box
            dx = width / 2 - (box[0] + box[2]) / 2 * scale + rng.uniform(-0.3, 0.3) * width
            dy = height / 2 - (box[1] + box[3]) / 2 * scale + rng.uniform(-0.3, 0.3) * height
            dx = float(np.clip(dx, min(0, free_x), max(0, free_x)))
            dy = float(np.clip(dy, min(0, free_y), max(0, free_y)))
        move = np.array([[scale, 0, dx], [0, scale, dy]], np.float64)
        if rng.random() < 0.5:
            move[0] = [-scale, 0, width - dx]
        grey = int(rng.choice([114, 114, 0, 128]))
        mode = cv2.INTER_AREA if scale < 0.5 else cv2.INTER_LINEAR
        picture = cv2.warpAffine(self.picture(index), move, (width, height), flags=mode, borderValue=(grey, grey, grey))
        sample = Sample(np.asarray(picture, np.uint8))
        for thing in photo.things:
            self._add(sample, thing, move)
        for region in photo.ignore:
            hidden = _moved(region, move, width, height)
            if (hidden[2:] - hidden[:2]).min() > 1:
                sample.ignore.append(hidden)
        return sample

    def _add(self, sample: Sample, thing: Thing, move: NDArray[np.float64]) -> None:
        height, width = sample.picture.shape[:2]
        box = _moved(thing.box, move, width, height)
        mask: Picture | None = None
        if (box[2:] - box[:2]).min() <= 0:
            return
        if thing.rle is not None:
            warped = cv2.warpAffine(thing.mask() * 255, move, (width, height), flags=cv2.INTER_LINEAR)
            mask = (warped > 127).astype(np.uint8)
            if not mask.any():
                return
            box = mask_box(mask)
        whole = (thing.box[2] - thing.box[0]) * (thing.box[3] - thing.box[1]) * move[1, 1] ** 2
        hidden = mask is None and float(np.prod(box[2:] - box[:2])) < 0.25 * whole
        if hidden or (box[2:] - box[:2]).min() < MIN_SIDE:
            sample.ignore.append(box)
            return
        sample.boxes.append(box)
        sample.labels.append(thing.label)
        sample.masks.append(mask)

    def _paste(self, sample: Sample, rng: np.random.Generator) -> None:
        """Put one object of another photo over the sample; what it covers loses those pixels."""
        label = int(rng.choice(self.paste_labels, p=self.paste_odds))
        index, thing = self.pasteable[label][rng.integers(len(self.pasteable[label]))]
        height, width = sample.picture.shape[:2]
        mask = thing.mask()
        x0, y0, x1, y1 = mask_box(mask).astype(int)
        scale = min(np.exp(rng.uniform(np.log(0.12), np.log(0.8))) * height / (y1 - y0), 2.0)
        scale = min(scale, 0.9 * width / (x1 - x0))
        size = (max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale)))
        crop = cv2.resize(self.picture(index)[y0:y1, x0:x1], size, interpolation=cv2.INTER_AREA)
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
        sample.labels.append(label)
        sample.masks.append(pasted)


def _occlude(sample: Sample, cover: Picture) -> None:
    """Take the pixels of `cover` from the sample's objects; those that nearly vanish are ignored."""
    boxes, labels, masks = [], [], []
    for box, label, mask in zip(sample.boxes, sample.labels, sample.masks, strict=True):
        x0, y0, x1, y1 = box.astype(int)
        rest: Picture | None = None
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


def _moved(box: tuple[float, float, float, float], move: NDArray[np.float64], width: int, height: int) -> NDArray[np.float32]:
    """The xyxy box under an axis-aligned affine map, clipped to the canvas."""
    xs = sorted((box[0] * move[0, 0] + move[0, 2], box[2] * move[0, 0] + move[0, 2]))
    ys = (box[1] * move[1, 1] + move[1, 2], box[3] * move[1, 1] + move[1, 2])
    corners = np.array([xs[0], ys[0], xs[1], ys[1]], np.float32)
    return np.clip(corners, 0, np.array([width, height, width, height], np.float32)).astype(np.float32)


def _recolour(picture: Picture, rng: np.random.Generator) -> Picture:
    """Brightness, contrast, colour balance, saturation; now and then low resolution, blur or grey."""
    gain = (rng.uniform(0.7, 1.3, 1) * rng.uniform(0.92, 1.08, 3)).astype(np.float32)
    x = picture * gain + np.float32(rng.uniform(-20, 20))
    grey = x.mean(axis=2, keepdims=True)
    saturation = np.float32(0.0 if rng.random() < 0.03 else rng.uniform(0.6, 1.4))
    x = grey + (x - grey) * saturation
    result: Picture = np.clip(x, 0, 255).astype(np.uint8)
    height, width = result.shape[:2]
    if rng.random() < 0.15:
        factor = rng.uniform(0.35, 0.8)
        small = (max(8, int(width * factor)), max(8, int(height * factor)))
        result = np.asarray(cv2.resize(result, small, interpolation=cv2.INTER_AREA), np.uint8)
        result = np.asarray(cv2.resize(result, (width, height)), np.uint8)
    if rng.random() < 0.1:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 70))]
        decoded = cv2.imdecode(cv2.imencode(".jpg", result, quality)[1], cv2.IMREAD_COLOR)
        result = np.asarray(decoded, np.uint8)
    return result
