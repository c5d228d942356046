"""Mask R-CNN's losses for images that are labelled only in part.

An image's target may say, beside boxes, labels and masks:

- `ignore` float [M, 4], xyxy in input pixels: crowds and uncertain boxes. An anchor or RoI of which more
  than half lies in one of them is never a negative.
- `labelled` bool [C + 1]: the labels annotated in this image (entry 0, background, is always true). An RoI
  taken as background may in truth be any label that was not annotated, so its loss is the marginal
  -log(p_background + sum of p over labels not annotated), after Cour et al. 2011, "Learning from
  partial labels".
- `exhaustive` bool: whether every object of the annotated labels is annotated. Where not, only negatives
  beside an annotated object (0 < IoU) are trusted; the far background is left out.
- `has_mask` bool [N]: box-only objects train the boxes, not the masks (Hu et al. 2018, arXiv 1711.10370).

Each defaults to the fully annotated case. L = L_objectness + L_rpn_box + L_class + L_box + L_mask.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.detection.roi_heads import RoIHeads, project_masks_on_boxes
from torchvision.models.detection.rpn import RegionProposalNetwork
from torchvision.ops import box_area, box_iou

from streamseg.networks.heads import SharedTrunk

Target = dict[str, Tensor]

NEAR_IOU = 0.05
"""Least overlap with an annotated object for a negative of a non-exhaustive image."""


def inside_fraction(boxes: Tensor, regions: Tensor) -> Tensor:
    """Largest fraction of each box's area that one region covers: xyxy [N, 4], [M, 4] → [N]."""
    if regions.numel() == 0:
        return boxes.new_zeros(len(boxes))
    low = torch.maximum(boxes[:, None, :2], regions[None, :, :2])
    high = torch.minimum(boxes[:, None, 2:], regions[None, :, 2:])
    overlap = (high - low).clamp(min=0).prod(dim=2)
    fraction: Tensor = overlap / box_area(boxes).clamp(min=1e-6)[:, None]
    return fraction.amax(dim=1)


def doubtful(boxes: Tensor, target: Target) -> Tensor:
    """Which boxes must not serve as negatives in this image: xyxy [N, 4] → bool [N]."""
    result = torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    if "ignore" in target:
        result |= inside_fraction(boxes, target["ignore"]) > 0.5
    if "exhaustive" in target and not bool(target["exhaustive"]):
        if len(target["boxes"]) == 0:
            return torch.ones_like(result)
        result |= box_iou(boxes, target["boxes"]).amax(dim=1) < NEAR_IOU
    return result


class PartialRPN(RegionProposalNetwork):  # type: ignore[misc]  # torchvision is untyped
    """torchvision's region proposal network, with doubtful negatives left out."""

    @classmethod
    def like(cls, rpn: RegionProposalNetwork) -> PartialRPN:
        """The same network with the same modules, as this class."""
        rpn.__class__ = cls
        return cast(PartialRPN, rpn)

    def assign_targets_to_anchors(self, anchors: list[Tensor], targets: list[Target]) -> tuple[list[Tensor], list[Tensor]]:
        """Labels 1, 0, -1 (left out) of each image's anchors and the object each one matches, [A] and [A, 4]."""
        labels, matched = super().assign_targets_to_anchors(anchors, targets)
        for label, anchor, target in zip(labels, anchors, targets, strict=True):
            negative = torch.where(label == 0)[0]
            label[negative[doubtful(anchor[negative], target)]] = -1.0
        return labels, matched

    def compute_loss(
        self, objectness: Tensor, pred_bbox_deltas: Tensor, labels: list[Tensor], regression_targets: list[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Objectness and box loss; zero, not 0/0, when no anchor of the batch is trusted."""
        if not any(bool((label >= 0).any()) for label in labels):
            return objectness.sum() * 0.0, pred_bbox_deltas.sum() * 0.0
        answer: Any = super().compute_loss(objectness, pred_bbox_deltas, labels, regression_targets)
        return cast(tuple[Tensor, Tensor], answer)


def marginal_cross_entropy(logits: Tensor, labels: Tensor, unlabelled: Tensor) -> Tensor:
    """Mean cross entropy; for label 0, of the union of label 0 and the labels not annotated.

    logits [R, C+1], labels int64 [R], unlabelled bool [R, C+1] (entry 0 false).
    """
    log_p = F.log_softmax(logits.float(), dim=1)
    own = log_p.gather(1, labels[:, None])[:, 0]
    allowed = unlabelled.clone()
    allowed[:, 0] = True
    union = torch.logsumexp(log_p.masked_fill(~allowed, float("-inf")), dim=1)
    picked = torch.where(labels == 0, union, own)
    return -picked.sum() / max(1, len(labels))


def dice_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """1 - Dice of each mask, averaged (Milletari et al. 2016): logits and targets [R, S, S]."""
    p = logits.sigmoid().flatten(1)
    t = targets.flatten(1)
    return (1 - (2 * (p * t).sum(1) + 1) / (p.square().sum(1) + t.square().sum(1) + 1)).mean()


JITTER = 0.08
"""Standard deviation of how far each edge of a moved box is off, as part of the box's side."""


class PartialRoIHeads(RoIHeads):  # type: ignore[misc]  # torchvision is untyped
    """torchvision's RoI heads; training knows partial labels, inference is torchvision's own."""

    dice_weight = 0.5
    """Weight of the Dice term beside the mask's cross entropy."""

    @classmethod
    def like(cls, heads: RoIHeads) -> PartialRoIHeads:
        """The same heads with the same modules, as this class."""
        heads.__class__ = cls
        return cast(PartialRoIHeads, heads)

    def forward(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        image_shapes: list[tuple[int, int]],
        targets: list[Target] | None = None,
    ) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
        """Detections when evaluating; when training, the named terms of the loss."""
        if not self.training:
            answer: Any = super().forward(features, proposals, image_shapes, targets)
            return cast(tuple[list[dict[str, Tensor]], dict[str, Tensor]], answer)
        if targets is None:
            raise ValueError("training needs targets")
        rois, matched, labels, deltas = self._sample(proposals, targets)
        pooled = self.box_head(self.box_roi_pool(features, rois, image_shapes))
        logits, regression = self.box_predictor(pooled)
        losses = self._box_losses(logits, regression, labels, deltas, targets)
        trunk = pooled if isinstance(self.mask_head, SharedTrunk) else None
        losses["loss_mask"] = self._mask_loss(features, rois, matched, labels, image_shapes, targets, trunk)
        return [], losses

    def _sample(
        self, proposals: list[Tensor], targets: list[Target]
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor], Tensor]:
        """RoIs to train on, the object each one matches, its label, and its box deltas [R, 4]."""
        rois, matched, labels, objects = [], [], [], []
        for proposal, target in zip(proposals, targets, strict=True):
            boxes = target["boxes"]
            candidates = torch.cat((proposal, boxes))
            index, label = self.assign_targets_to_proposals([candidates], [boxes], [target["labels"]])
            negative = torch.where(label[0] == 0)[0]
            label[0][negative[doubtful(candidates[negative], target)]] = -1
            chosen = self.subsample(label)[0]
            rois.append(candidates[chosen])
            matched.append(index[0][chosen])
            labels.append(label[0][chosen])
            known = boxes if len(boxes) else boxes.new_zeros((1, 4))
            objects.append(known[matched[-1]])
        return rois, matched, labels, torch.cat(self.box_coder.encode(objects, rois))

    def _box_losses(
        self,
        logits: Tensor,
        regression: Tensor,
        labels: list[Tensor],
        deltas: Tensor,
        targets: list[Target],
    ) -> dict[str, Tensor]:
        """Classification and box regression: logits [R, C+1], regression [R, 4(C+1)], deltas [R, 4]."""
        rows = []
        for label, target in zip(labels, targets, strict=True):
            known = target.get("labelled", logits.new_ones(logits.shape[1], dtype=torch.bool))
            rows.append((~known)[None].expand(len(label), -1))
        flat = torch.cat(labels)
        loss_class = marginal_cross_entropy(logits, flat, torch.cat(rows))
        positive = torch.where(flat > 0)[0]
        own = regression.reshape(len(flat), logits.shape[1], 4)[positive, flat[positive]].float()
        loss_box = F.smooth_l1_loss(own, deltas[positive], beta=1 / 9, reduction="sum")
        return {"loss_classifier": loss_class, "loss_box_reg": loss_box / max(1, len(flat))}

    def _mask_loss(
        self,
        features: dict[str, Tensor],
        rois: list[Tensor],
        matched: list[Tensor],
        labels: list[Tensor],
        image_shapes: list[tuple[int, int]],
        targets: list[Target],
        trunk: Tensor | None = None,
    ) -> Tensor:
        """Cross entropy plus Dice of the true class's mask, over positive RoIs that have a mask.

        `trunk`: features of all RoIs, where the box branch's are also the mask branch's (C4).
        """
        boxes, truths, classes, used = [], [], [], []
        for roi, index, label, target in zip(rois, matched, labels, targets, strict=True):
            use = label > 0
            if "has_mask" in target and len(target["has_mask"]):
                use = use & target["has_mask"][index]
            used.append(use)
            boxes.append(roi[use])
            classes.append(label[use])
            truths.append(project_masks_on_boxes(target["masks"], roi[use], index[use], self.mask_side))
        if not sum(len(b) for b in boxes):
            nothing = next(iter(features.values())).sum() * 0.0
            return nothing + sum(p.sum() for p in cast(nn.Module, self.mask_predictor).parameters()) * 0.0
        if trunk is None:
            pooled = cast(nn.Module, self.mask_roi_pool)(features, boxes, image_shapes)
            shared = cast(nn.Module, self.mask_head)(pooled)
        else:
            shared = trunk[torch.cat(used)]
        logits = cast(nn.Module, self.mask_predictor)(shared)
        own = logits[torch.arange(len(logits), device=logits.device), torch.cat(classes)].float()
        truth = torch.cat(truths)
        cross_entropy = F.binary_cross_entropy_with_logits(own, truth)
        return cross_entropy + self.dice_weight * dice_loss(own, truth)

    def mask_loss_alone(
        self, features: dict[str, Tensor], image_shapes: list[tuple[int, int]], targets: list[Target]
    ) -> Tensor:
        """The mask loss of the objects' own boxes and of two more that are moved a little, as detections are.

        For networks whose mask branch has features of its own; no proposal is needed.
        """
        rois, matched, labels = [], [], []
        for target, (height, width) in zip(targets, image_shapes, strict=True):
            own = target["boxes"].reshape(-1, 4)
            index = torch.arange(len(own), device=own.device).repeat(3)
            twice = own.repeat(2, 1)
            sides = (twice[:, 2:] - twice[:, :2]).repeat(1, 2)
            boxes = torch.cat((own, twice + JITTER * sides * torch.randn_like(twice)))
            boxes = boxes.clamp(min=0).minimum(boxes.new_tensor([width, height, width, height]))
            kept = ((boxes[:, 2:] - boxes[:, :2]) > 2).all(dim=1)
            rois.append(boxes[kept])
            matched.append(index[kept])
            labels.append(target["labels"][index[kept]])
        return self._mask_loss(features, rois, matched, labels, image_shapes, targets)

    mask_side = 28
    """Side of the mask target; that of the mask predictor's answer."""
