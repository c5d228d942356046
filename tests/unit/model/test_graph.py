from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs extra `train`")

from pathlib import Path

import torch
from torchvision.models.detection import MaskRCNN, maskrcnn_resnet50_fpn, maskrcnn_resnet50_fpn_v2

from streamseg.errors import ConfigError
from streamseg.model.graph import GraphSettings, InferenceGraph
from streamseg.model.weights import load_weights

SIZE = (128, 192)


def compare(model: MaskRCNN, images: torch.Tensor, settings: GraphSettings, box: float, score: float, mask: float) -> int:
    """Number of detections, after checking each against torchvision's own inference."""
    model.transform.min_size, model.transform.max_size = (settings.height,), settings.width
    with torch.no_grad():
        boxes, scores, labels, masks = InferenceGraph(model, settings)(images)
        expected = model([image.permute(2, 0, 1).float() / 255 for image in images])
        features = model.backbone(torch.stack([model.transform.normalize(i.permute(2, 0, 1).float() / 255) for i in images]))
        found = [e["boxes"] for e in expected]
        pooled = model.roi_heads.mask_roi_pool(features, found, [(settings.height, settings.width)] * len(images))
        logits = model.roi_heads.mask_predictor(model.roi_heads.mask_head(pooled))
    own = logits[torch.arange(len(logits)), torch.cat([e["labels"] for e in expected])].sigmoid()
    for i, (answer, small) in enumerate(zip(expected, own.split([len(f) for f in found]), strict=True)):
        n = len(answer["scores"])
        assert int((labels[i] >= 0).sum()) == n
        assert (scores[i, :n] - answer["scores"]).abs().max() <= score
        other = (labels[i, :n, None] + 1 != answer["labels"]).float() * 1e4
        match = (torch.cdist(boxes[i, :n], answer["boxes"], p=torch.inf) + other).argmin(1)  # equal scores have no order
        assert match.sort().values.tolist() == list(range(n)), "every detection has its own partner"
        assert torch.equal(labels[i, :n] + 1, answer["labels"][match].to(torch.int32))
        assert (boxes[i, :n] - answer["boxes"][match]).abs().max() <= box
        assert (masks[i, :n] - small[match]).abs().max() <= mask
        assert not boxes[i, n:].any()
        assert not scores[i, n:].any()
        assert not masks[i, n:].any()
        assert (labels[i, n:] == -1).all()
    return sum(len(f) for f in found)


def pictures(batch: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    coarse = torch.randint(0, 256, (batch, 3, 8, 12), generator=generator).float()
    smooth = torch.nn.functional.interpolate(coarse, SIZE, mode="bilinear")
    return smooth.to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def test_lite_matches_torchvision(lively_weights: Path) -> None:
    model, _ = load_weights(lively_weights)
    settings = GraphSettings(*SIZE)
    assert compare(model, pictures(2), settings, 0.05, 1e-3, 5e-3) > 20


@pytest.mark.parametrize("make", [maskrcnn_resnet50_fpn, maskrcnn_resnet50_fpn_v2])
def test_resnet_matches_torchvision(make: type) -> None:
    """The graph wraps any torchvision Mask R-CNN, its transposed convolution included."""
    torch.manual_seed(3)
    model = make(
        weights=None,
        weights_backbone=None,
        num_classes=4,
        rpn_pre_nms_top_n_test=100,
        rpn_post_nms_top_n_test=100,
        box_detections_per_img=20,
    ).eval()
    torch.nn.init.normal_(model.roi_heads.box_predictor.cls_score.weight, std=0.1)
    settings = GraphSettings(*SIZE, proposals=100, detections=20, candidates=300)
    assert compare(model, pictures(1), settings, 0.05, 1e-3, 5e-3) > 0


def test_black_picture_of_an_untrained_model_gives_only_padding(lively_weights: Path) -> None:
    model, _ = load_weights(lively_weights)
    graph = InferenceGraph(model, GraphSettings(*SIZE, score_threshold=1.0))
    with torch.no_grad():
        boxes, scores, labels, masks = graph(torch.zeros(1, *SIZE, 3, dtype=torch.uint8))
    assert not boxes.any()
    assert not scores.any()
    assert not masks.any()
    assert (labels == -1).all()


@pytest.mark.parametrize("bad", [{"height": 300}, {"width": 32}, {"detections": 0}, {"candidates": 3}])
def test_bad_settings_are_refused(bad: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        GraphSettings(**bad)
