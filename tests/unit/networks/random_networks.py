"""Random networks that see something, and torchvision's answer to compare with.

Weights that were trained cannot be had everywhere. Random ones answer 1 / (C + 1) everywhere and find nothing.
`scale_random_weights` scales them by what they answer to a picture: batch norm gets its statistics, and the last layers get weights
with which objectness, classes, box deltas and masks vary as a trained network's do. Dozens of objects of many classes are found,
with scores from the threshold up, in overlapping heaps that keep both NMS busy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import FrozenBatchNorm2d, box_iou

from streamseg.export.graph import GraphSettings, InferenceGraph


def pictures(batch: int, height: int, width: int, seed: int = 1) -> Tensor:
    """Soft blobs with some sharp rectangles, the same ones at each size: uint8 [B, H, W, 3]."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randint(0, 256, (batch, 3, 12, 20), generator=generator).float()
    result = nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 255)
    for picture in result:
        for x, y, w, h in torch.rand(10, 4, generator=generator).tolist():
            across = slice(int(x * width), int((x + w / 2) * width) + 4)
            down = slice(int(y * height), int((y + h / 2) * height) + 4)
            picture[:, down, across] = torch.randint(0, 256, (3, 1, 1), generator=generator).float()
    return result.to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def normalised(model: MaskRCNN, images: Tensor) -> Tensor:
    """Pictures uint8 [B, H, W, 3] as the backbone takes them: float [B, 3, H, W], not resized."""
    return torch.stack([model.transform.normalize(image.permute(2, 0, 1).float() / 255) for image in images])


@contextmanager
def seeing(modules: list[nn.Module], look: Callable[[nn.Module, Tensor], None]) -> Iterator[None]:
    hooks = [module.register_forward_pre_hook(lambda module, given: look(module, given[0])) for module in modules]
    yield
    for hook in hooks:
        hook.remove()


def set_statistics(norm: nn.Module, x: Tensor) -> None:
    variance = x.var(dim=(0, 2, 3), unbiased=False)
    norm.running_mean.copy_(x.mean(dim=(0, 2, 3)))
    norm.running_var.copy_(variance.clamp(min=float(variance.mean()) / 4))  # no channel of mere noise


def rescale(layer: nn.Module, run: Callable[[], object], std: float, mean: float = 0.0) -> None:
    """Give every channel of a convolution or linear layer this mean and deviation over all that `run` passes through it."""
    seen: list[Tensor] = []
    hook = layer.register_forward_hook(lambda _module, _given, answer: seen.append(answer.transpose(0, 1).flatten(1)))
    run()
    hook.remove()
    values = torch.cat(seen, dim=1)
    ratio = std / values.std(dim=1).clamp(min=1e-6)
    layer.weight.mul_(ratio.view(-1, *[1] * (layer.weight.dim() - 1)))
    layer.bias.copy_(mean + (layer.bias - values.mean(dim=1)) * ratio)


@torch.no_grad()
def scale_random_weights(model: MaskRCNN, images: Tensor, background: float = 4.0, contrast: float = 2.5) -> MaskRCNN:
    """Scale the random weights of `model` by its answers to these pictures; returns it in evaluation mode.

    `contrast`: deviation of the class logits. Random layers amplify rounding a thousandfold, the more the greater it is.
    """
    model.eval()
    x = normalised(model, images)
    sizes = [(x.shape[2], x.shape[3])] * len(x)
    norms = [module for module in model.modules() if isinstance(module, (nn.BatchNorm2d, FrozenBatchNorm2d))]
    with seeing(norms, set_statistics):
        features = model.backbone(x)
        model.rpn.head(list(features.values()))
        rescale(model.rpn.head.cls_logits, lambda: model.rpn.head(list(features.values())), 2.0, -1.0)
        rescale(model.rpn.head.bbox_pred, lambda: model.rpn.head(list(features.values())), 0.2)
        proposals, _ = model.rpn(ImageList(x, sizes), features)
        proposals = [boxes[:60] for boxes in proposals]
        heads = model.roi_heads
        pooled = heads.box_roi_pool(features, proposals, sizes)
        trunk = heads.box_head(pooled)
    rescale(heads.box_predictor.cls_score, lambda: heads.box_predictor(trunk), contrast)
    heads.box_predictor.cls_score.bias[0] += background
    rescale(heads.box_predictor.bbox_pred, lambda: heads.box_predictor(trunk), 0.6)
    some = [boxes[:20] for boxes in proposals]
    with seeing(norms if heads.mask_head is not heads.box_head else [], set_statistics):
        inner = heads.mask_head(heads.mask_roi_pool(features, some, sizes))
    predictor = heads.mask_predictor
    last = predictor.logits if hasattr(predictor, "logits") else predictor.mask_fcn_logits
    rescale(last, lambda: predictor(inner), 0.7)
    return model


@dataclass(frozen=True, slots=True)
class Found:
    """One picture's detections."""

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    masks: Tensor

    def __len__(self) -> int:
        return len(self.scores)


@torch.no_grad()
def reference(model: MaskRCNN, images: Tensor, settings: GraphSettings) -> list[Found]:
    """torchvision's own inference, with the graph's numbers: its proposal network, heads, batched NMS, RoIAlign over levels.

    Only its resizing is left out (the pictures have their size already), and its pasting of masks.
    """
    x = normalised(model, images)
    sizes = [(x.shape[2], x.shape[3])] * len(x)
    pre = settings.pre_nms or settings.proposals * (1 if len(model.rpn.anchor_generator.sizes) > 1 else 4)
    model.rpn._pre_nms_top_n = {"training": pre, "testing": pre}
    model.rpn._post_nms_top_n = {"training": settings.proposals, "testing": settings.proposals}
    model.roi_heads.detections_per_img = settings.detections
    features = model.backbone(x)
    proposals, _ = model.rpn(ImageList(x, sizes), features)
    answers, _ = model.roi_heads(features, proposals, sizes)
    return [Found(a["boxes"], a["scores"], a["labels"], enlarged(a["masks"])) for a in answers]


def enlarged(masks: Tensor) -> Tensor:
    """Masks float [N, 1, S, S] as the graph gives them: [N, 28, 28]."""
    return nn.functional.interpolate(masks, (28, 28), mode="bilinear")[:, 0] if masks.shape[-1] != 28 else masks[:, 0]


def partners(mine: Found, other: Found) -> tuple[Tensor, Tensor]:
    """Of each detection: which one of the other list has its label and the nearest box, and how far apart the boxes are."""
    foreign = (mine.labels[:, None] != other.labels).float() * 1e4
    return (torch.cdist(mine.boxes, other.boxes, p=torch.inf) + foreign).min(1)[::-1]


def undecided(mine: Found, other: Found, full: bool) -> Tensor:
    """Which detections may lack a partner, for rounding decides about them: bool [N].

    Those at the end of a full list, and those that overlap one of the other list with the same label and score: the two
    suppress each other, and which one comes first is not defined.
    """
    last = mine.scores < float(other.scores.min()) + 1e-3 if full else torch.zeros(len(mine), dtype=torch.bool)
    rival = (mine.labels[:, None] == other.labels) & ((mine.scores[:, None] - other.scores).abs() < 1e-3)
    return last | (rival & (box_iou(mine.boxes, other.boxes) > 0.5)).any(1)


def assert_same(expected: Found, boxes: Tensor, scores: Tensor, labels: Tensor, masks: Tensor, least: int) -> None:
    """Every detection has its partner: the same label, box within 0.05 px, score 1e-3, mask 5e-3; scores fall; padding is empty.

    Two detections at most may lack one, and only where rounding decides.
    """
    n = int((labels >= 0).sum())
    assert n >= least, f"only {n} detections: this says little"
    assert (scores[:n].diff() <= 0).all()
    assert not boxes[n:].any()
    assert not scores[n:].any()
    assert not masks[n:].any()
    assert (labels[n:] == -1).all()
    ours = Found(boxes[:n], scores[:n], labels[:n].long() + 1, masks[:n])
    for mine, other in ((ours, expected), (expected, ours)):
        match, apart = partners(mine, other)
        alone = apart > 0.05
        assert alone.sum() <= 2, f"{int(alone.sum())} of {len(mine)} have no partner"
        assert undecided(mine, other, n == len(labels))[alone].all()
        match = match[~alone]
        assert len(set(match.tolist())) == len(match), "two detections have the same partner"
        assert (mine.scores[~alone] - other.scores[match]).abs().max() <= 1e-3
        assert (mine.masks[~alone] - other.masks[match]).abs().max() <= 5e-3


def check_parity(model: MaskRCNN, images: Tensor, settings: GraphSettings, least: int = 30) -> list[Found]:
    """The graph's answer to these pictures, in torch, is torchvision's; returns torchvision's."""
    expected = reference(model, images, settings)
    with torch.no_grad():
        answers = InferenceGraph(model, settings)(images)
    for found, *mine in zip(expected, *answers, strict=True):
        assert_same(found, *mine, least)
    return expected
