"""The inference graph: one tensor in, padded tensors out, and no op that a runtime lacks.

uint8 picture → normalise → backbone and pyramid → per level the best K anchors → decode → NMS → best K →
RoIAlign on the combined feature map → box head → best candidates over K·C → NMS within a class → best D → RoIAlign → mask
head, with only the predicted class's mask computed. It wraps any torchvision-style MaskRCNN, with a pyramid or
a single level (C4), and answers what torchvision's own inference answers, in arrays of fixed size. `GraphSettings.part` may leave
out what comes after the proposals or after the boxes, or take an object for an object, whatever its class (core.parts).

NaN and infinity do not hide. Every comparison with NaN is false, so that a network which computes nothing but
NaN would find nothing: a black frame's answer. Therefore the means of what the proposal and box heads answer are
looked at, and where one is not finite all scores of that picture are NaN, which no consumer takes for padding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.detection import MaskRCNN
from torchvision.ops import MultiScaleRoIAlign

from streamseg.core.parts import FULL, PARTS, gives_masks, knows_classes, outputs_of
from streamseg.errors import ConfigError, ModelError
from streamseg.export.box_math import decode_boxes, large, only, take
from streamseg.export.mask_features import mask_features
from streamseg.export.nms import ITERATIONS, fixed_point_nms
from streamseg.networks.fine import FINE_SAMPLES, FINE_SIDES, FINE_STRIDES
from streamseg.networks.heads import MultiScaleRoIPool, level_sides
from streamseg.networks.roi_align import SAMPLES, combine_levels, combined_roi_align, layout

OUTPUTS = outputs_of(FULL)
"""Names of what the whole network's graph gives, in the order of what `InferenceGraph` does."""

MASK_SIDE = 28
"""Side of the masks that a graph answers; C4's of 14 are interpolated."""

TOPK_LIMIT = 3839
"""Largest K of TensorRT's TopK."""

FINITE = 1e30
"""A mean beyond this is taken for infinity."""


@dataclass(frozen=True, slots=True)
class GraphSettings:
    """Fixed numbers of a graph: input size in pixels, K proposals, D detections and their limits."""

    height: int = 320
    width: int = 576
    proposals: int = 100
    detections: int = 30
    candidates: int = 200
    """Boxes that enter the last NMS: the best of proposals × classes."""
    iterations: int = ITERATIONS
    """Of either NMS; even, for then a chain of overlaps that is too long gives a box too many, never one too few."""
    pre_nms: int = 0
    """Boxes of each level that enter the first NMS; 0: as many as proposals, on a single level four times as many."""
    part: str = FULL
    """Of `core.parts.PARTS`."""

    def __post_init__(self) -> None:
        if self.part not in PARTS:
            raise ConfigError(f"unknown part {self.part!r} of a network; there are: {', '.join(PARTS)}")
        if self.height % 32 or self.width % 32 or min(self.height, self.width) < 64:
            raise ConfigError(f"input size {self.height}×{self.width}: sides must be multiples of 32 from 64 on")
        if not 0 < self.detections <= self.candidates:
            raise ConfigError(f"{self.detections} detections of {self.candidates} candidates; allowed: 1 to as many")
        if self.iterations < 2 or self.iterations % 2:
            raise ConfigError(f"{self.iterations} iterations of NMS; allowed: even numbers from 2 on")
        if self.proposals < 1 or self.pre_nms < 0:
            raise ConfigError(f"{self.proposals} proposals, pre_nms {self.pre_nms}; allowed: 1 or more, and 0 or more")
        most = max(self.proposals, self.pre_nms, self.candidates)
        if most > TOPK_LIMIT:
            raise ConfigError(f"{most} boxes to choose; TensorRT's TopK allows {TOPK_LIMIT} proposals, pre_nms and candidates")


class InferenceGraph(nn.Module):
    """Inference of `model` for pictures of one size.

    Input `images` uint8 [B, H, W, 3] RGB. Output `boxes` float32 [B, D, 4] xyxy in input pixels by falling
    score, `scores` float32 [B, D], `labels` int32 [B, D] from 0, `masks` float32 [B, D, 28, 28] of the
    predicted class, spanning the box. Rows without a detection: 0, 0, -1, 0. All scores of a picture are NaN when
    the network's answer to it is not finite. A part may have no masks; or no classes, so that every label is 0; the rows of
    proposals are K, not D.

    Raises ConfigError for a network that cannot be exported (RoIPool, unknown parts), ModelError for weights that are not finite.
    """

    def __init__(self, model: MaskRCNN, settings: GraphSettings) -> None:
        super().__init__()
        self.check(model)
        self.model = model.eval()
        self.settings = settings
        std = torch.tensor(model.transform.image_std).view(1, 3, 1, 1)
        mean = torch.tensor(model.transform.image_mean).view(1, 3, 1, 1)
        self.scale: Tensor
        self.shift: Tensor
        self.register_buffer("scale", 1 / (255 * std), persistent=False)
        self.register_buffer("shift", -mean / std, persistent=False)
        with torch.no_grad():
            features = model.backbone(torch.zeros(1, 3, settings.height, settings.width))
        sizes = {name: (int(f.shape[2]), int(f.shape[3])) for name, f in features.items()}
        # As torchvision does: whole pixels, which at odd sizes differ in height and width (800: 13 rows of 61).
        self.strides = [(settings.width // w, settings.height // h) for h, w in sizes.values()]
        self.cells = [cell.detach().clone() for cell in model.rpn.anchor_generator.cell_anchors]
        for i, cell in enumerate(self.cells):
            self.register_buffer(f"cell{i}", cell, persistent=False)
        pool = model.roi_heads.box_roi_pool
        self.pooled = list(pool.featmap_names)
        strides = [settings.height // sizes[name][0] for name in self.pooled]
        self.places, _, _ = layout([sizes[name] for name in self.pooled], strides)
        self.thresholds = level_sides(pool, strides)
        self.mask_thresholds = level_sides(model.roi_heads.mask_roi_pool, strides)
        fine = [(f.shape[2], f.shape[3]) for f in getattr(features, "fine", ())]
        self.fine_places = layout(fine, FINE_STRIDES)[0] if fine else []
        pyramid = 1 if len(sizes) > 1 else 4
        self.pre_nms = settings.pre_nms or min(TOPK_LIMIT, pyramid * settings.proposals)
        labels = model.roi_heads.box_predictor.cls_score.out_features
        self.class_labels = tuple(getattr(model, "class_labels", range(1, labels)))
        self.renumbered = self.class_labels != tuple(range(1, labels))

    @staticmethod
    def check(model: MaskRCNN) -> None:
        """Raise ConfigError or ModelError when no graph of `model` could be right."""
        for pool in (model.roi_heads.box_roi_pool, model.roi_heads.mask_roi_pool):
            if isinstance(pool, MultiScaleRoIPool) or not isinstance(pool, MultiScaleRoIAlign):
                raise ConfigError(
                    f"a network with {type(pool).__name__} cannot be exported: only RoIAlign can. Train it with roi_pool 'align'; "
                    "networks with RoIPool are for comparison in torch"
                )
            if pool.sampling_ratio != SAMPLES:
                raise ConfigError(f"RoIAlign with sampling_ratio {pool.sampling_ratio} cannot be exported, only {SAMPLES}")
        bad = [name for name, tensor in model.state_dict().items() if not bool(torch.isfinite(tensor).all())]
        if bad:
            raise ModelError(f"weights that are not finite cannot be exported: {', '.join(bad[:3])}; the training diverged")

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what is answered."""
        return outputs_of(self.settings.part)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Pictures to boxes, scores, labels and, where the part has them, masks."""
        x = images.to(torch.float32).permute(0, 3, 1, 2)
        features = self.model.backbone(x * self.scale + self.shift)
        proposals, objectness, seen = self.propose(list(features.values()))
        if self.settings.part == "proposals":
            labels = torch.where(objectness >= 0, 0, -1)
            return proposals, finite(objectness.clamp(min=0), seen), labels.to(torch.int32)
        combined = combine_levels([features[name] for name in self.pooled])
        boxes, scores, classes, heard = self.detect(combined, proposals, objectness)
        scores = finite(scores, seen + heard)
        labels = classes if knows_classes(self.settings.part) else classes.clamp(max=0)
        found = boxes, scores, labels.to(torch.int32)
        if not gives_masks(self.settings.part):
            return found
        fine = combine_levels(features.fine) if self.fine_places else None
        return (*found, self.paint(combined, fine, boxes, classes))

    def propose(self, features: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """The K best proposals: xyxy [B, K, 4], their objectness, falling, [B, K], -1 for none; and a mean of all answers [B]."""
        count, rpn = self.settings.proposals, self.model.rpn
        logits, deltas = rpn.head(features)
        boxes, scores = [], []
        for i, (logit, delta) in enumerate(zip(logits, deltas, strict=True)):
            flat = logit.permute(0, 2, 3, 1).flatten(1)
            best, index = flat.topk(min(self.pre_nms, flat.shape[1]), dim=1)
            moves = delta.reshape(delta.shape[0], -1, 4, *delta.shape[2:]).permute(0, 3, 4, 1, 2)
            chosen = take(moves.flatten(1, 3), index)
            box = self.clip(decode_boxes(chosen, self.anchors(i, index, logit.shape[3]), (1, 1, 1, 1)))
            missing = max(self.pre_nms, count) - best.shape[1]
            boxes.append(F.pad(box, (0, 0, 0, missing)))
            scores.append(F.pad(torch.sigmoid(best), (0, missing), value=-1.0))
        box, score = torch.stack(boxes, 1), torch.stack(scores, 1)
        valid = large(box, 1e-3) * (score >= rpn.score_thresh).to(score.dtype)
        keep = fixed_point_nms(box, valid, rpn.nms_thresh, iterations=self.settings.iterations)
        score = torch.where(keep > 0.5, score, torch.full_like(score, -1.0))
        best, index = score.flatten(1).topk(count, dim=1)
        present = (best >= 0).to(score.dtype)
        means = [answer.mean(dim=(1, 2, 3)) for answer in (*logits, *deltas)]
        return only(present, take(box.flatten(1, 2), index)), best, torch.stack(means).sum(0)

    def anchors(self, level: int, index: Tensor, width: int) -> Tensor:
        """Anchors by place: index int64 [B, K] into (h, w, A) of a level `width` wide → xyxy [B, K, 4]."""
        cell: Tensor = getattr(self, f"cell{level}")
        kinds = cell.shape[0]
        place = torch.div(index, kinds, rounding_mode="floor")
        y = torch.div(place, width, rounding_mode="floor")
        x = place - y * width
        stride = cell.new_tensor(self.strides[level] * 2)
        corner = torch.stack((x, y, x, y), dim=-1).to(cell.dtype) * stride
        return corner + cell[index - place * kinds]

    def detect(self, combined: Tensor, proposals: Tensor, objectness: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The D best detections: boxes [B, D, 4], scores [B, D], classes int64 [B, D] (from 0, -1 for none); a mean [B].

        Where no classes are told apart, a proposal is one object at most, with the box (and then the mask) of its likeliest class
        and its objectness as score.
        """
        heads, settings = self.model.roi_heads, self.settings
        batch, count = proposals.shape[0], settings.proposals
        size = int(heads.box_roi_pool.output_size[0])
        pooled = combined_roi_align(combined, proposals, self.places, self.thresholds, size)
        logits, deltas = heads.box_predictor(heads.box_head(pooled))
        mean = logits.reshape(batch, -1).mean(1) + deltas.reshape(batch, -1).mean(1)
        score = self.named(F.softmax(logits, dim=-1)).reshape(batch, count, -1)
        classes = score.shape[2]
        if knows_classes(settings.part):
            present = (objectness >= 0).to(score.dtype)
            best, index = (score * present.unsqueeze(-1)).flatten(1).topk(min(settings.candidates, count * classes), dim=1)
            row = torch.div(index, classes, rounding_mode="floor")
            label = group = index - row * classes
        else:
            best, row = objectness.topk(min(settings.candidates, count), dim=1)
            label = score.argmax(2).gather(1, row)
            index, group = row * classes + label, None
        moves = self.named(deltas.reshape(batch * count, -1, 4)).reshape(batch, -1, 4)
        box = self.clip(decode_boxes(take(moves, index), take(proposals, row), heads.box_coder.weights))
        valid = large(box, 1e-2) * (best > heads.score_thresh).to(best.dtype)
        keep = fixed_point_nms(box, valid, heads.nms_thresh, group, settings.iterations)
        best = torch.where(keep > 0.5, best, torch.full_like(best, -1.0))
        return *self.rows(box, best, label), mean

    def rows(self, box: Tensor, best: Tensor, label: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The D best of boxes [B, N, 4] with scores [B, N], -1 for none, and their labels [B, N]."""
        wanted = self.settings.detections
        score, index = best.topk(min(wanted, best.shape[1]), dim=1)
        missing = wanted - score.shape[1]
        if missing:
            score, index = F.pad(score, (0, missing), value=-1.0), F.pad(index, (0, missing))
        real = (score > 0).to(score.dtype)
        label = torch.where(score > 0, label.gather(1, index), torch.full_like(index, -1))
        return only(real, take(box, index)), score * real, label

    def named(self, rows: Tensor) -> Tensor:
        """The entries of our classes: float [R, labels, ...] → [R, classes, ...]."""
        if not self.renumbered:
            return rows[:, 1:]
        return rows.index_select(1, torch.tensor(self.class_labels, device=rows.device))

    def paint(self, combined: Tensor, fine: Tensor | None, boxes: Tensor, labels: Tensor) -> Tensor:
        """Masks of the predicted classes: [B, D, 4], [B, D] → float [B, D, 28, 28] in 0..1; `fine`: fine maps, combined."""
        heads = self.model.roi_heads
        size = int(heads.mask_roi_pool.output_size[0])
        pooled: Any = combined_roi_align(combined, boxes, self.places, self.mask_thresholds, size)
        if fine is not None:
            pooled = pooled, combined_roi_align(fine, boxes, self.fine_places, FINE_SIDES, 2 * size, FINE_SAMPLES)
        features, table, bias = mask_features(heads.mask_predictor, heads.mask_head(pooled))
        row = (labels + 1).flatten()
        if len(table) <= max(self.class_labels):  # class-agnostic: background's row and one for every class
            row = row.clamp(max=1)
        elif self.renumbered:
            row = torch.tensor((0, *self.class_labels), device=row.device)[row]
        weight = table.index_select(0, row).unsqueeze(1)
        logits = torch.matmul(weight, features.flatten(2)) + bias.index_select(0, row).view(-1, 1, 1)
        masks = torch.sigmoid(logits.to(torch.float32)).reshape(*labels.shape, features.shape[2], features.shape[3])
        if masks.shape[-1] != MASK_SIDE:
            masks = F.interpolate(masks, (MASK_SIDE, MASK_SIDE), mode="bilinear")
        return masks * (labels >= 0).to(masks.dtype).unsqueeze(-1).unsqueeze(-1)

    def clip(self, boxes: Tensor) -> Tensor:
        """Boxes xyxy [..., 4] cut to the picture."""
        x = boxes[..., 0::2].clamp(0, self.settings.width)
        y = boxes[..., 1::2].clamp(0, self.settings.height)
        return torch.stack((x[..., 0], y[..., 0], x[..., 1], y[..., 1]), dim=-1)


def finite(scores: Tensor, means: Tensor) -> Tensor:
    """Scores [B, D], all NaN where the mean [B] of a picture's answers is not finite."""
    # Not a product with zero, which a compiler may fold.
    return torch.where((means.abs() <= FINITE).unsqueeze(1), scores, torch.full_like(scores, math.nan))
