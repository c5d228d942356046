from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs extra `train`")

import math
from pathlib import Path

import torch
from torchvision.models.detection.image_list import ImageList

from streamseg.errors import ConfigError, ModelError
from streamseg.export.graph import GraphSettings, InferenceGraph
from streamseg.networks.weights import load_weights
from tests.unit.networks.random_networks import check_parity, pictures

SIZE = (128, 192)


def test_lite_matches_torchvision_in_a_batch(random_weights: Path) -> None:
    model, _ = load_weights(random_weights)
    check_parity(model, pictures(2, *SIZE), GraphSettings(*SIZE), least=20)


def test_black_picture_of_an_untrained_model_gives_only_padding(random_weights: Path) -> None:
    model, _ = load_weights(random_weights)
    model.roi_heads.score_thresh = 1.0
    graph = InferenceGraph(model, GraphSettings(*SIZE))
    with torch.no_grad():
        boxes, scores, labels, masks = graph(torch.zeros(1, *SIZE, 3, dtype=torch.uint8))
    assert not boxes.any()
    assert not scores.any()
    assert not masks.any()
    assert (labels == -1).all()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    "layer",
    ["rpn.head.cls_logits", "rpn.head.bbox_pred", "roi_heads.box_predictor.cls_score", "roi_heads.box_predictor.bbox_pred"],
)
def test_a_picture_whose_answer_is_not_finite_has_nan_for_scores(random_weights: Path, layer: str, value: float) -> None:
    """Only that picture; and its boxes stay finite, for they say where features are read."""
    model, _ = load_weights(random_weights)
    images = pictures(2, *SIZE)
    graph = InferenceGraph(model, GraphSettings(*SIZE))
    with torch.no_grad():
        healthy = graph(images)
        hook = model.get_submodule(layer).register_forward_hook(lambda _module, _given, answer: spoil(answer, value))
        boxes, scores, _, _ = graph(images)
        hook.remove()
    assert torch.isnan(scores[0]).all()
    assert torch.equal(scores[1], healthy[1][1])
    assert torch.isfinite(boxes).all()


def spoil(answer: torch.Tensor, value: float) -> torch.Tensor:
    """One number of the first picture's answer replaced."""
    answer = answer.clone(memory_format=torch.contiguous_format)
    answer.view(-1)[5] = value
    return answer


def test_weights_that_are_not_finite_are_not_exported(random_weights: Path) -> None:
    model, _ = load_weights(random_weights)
    with torch.no_grad():
        model.backbone.body._conv_stem.weight[0, 0, 0, 0] = math.nan
    with pytest.raises(ModelError, match=r"backbone.body._conv_stem.weight; the training diverged"):
        InferenceGraph(model, GraphSettings(*SIZE))


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"height": 300}, "multiples of 32"),
        ({"width": 32}, "multiples of 32"),
        ({"detections": 0}, "allowed: 1"),
        ({"candidates": 3}, "30 detections of 3 candidates"),
        ({"iterations": 5}, "even numbers"),
        ({"iterations": 0}, "even numbers"),
        ({"proposals": 0}, "1 or more"),
        ({"proposals": 4000}, "allows 3839"),
        ({"candidates": 5000}, "allows 3839"),
        ({"pre_nms": -1}, "0 or more"),
    ],
)
def test_bad_settings_are_refused(bad: dict[str, int], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        GraphSettings(**bad)


def test_fewer_candidates_than_detections_are_padded(random_weights: Path) -> None:
    """Few proposals of few classes: 8 × 2 boxes for 30 rows."""
    model, _ = load_weights(random_weights)
    settings = GraphSettings(*SIZE, proposals=8, detections=30, candidates=30)
    check_parity(model, pictures(1, *SIZE), settings, least=3)


def test_a_level_smaller_than_the_proposals_is_padded(random_weights: Path) -> None:
    """64×64: five levels of 768, 192, 48, 12 and 3 anchors for 200 proposals."""
    model, _ = load_weights(random_weights)
    check_parity(model, pictures(1, 64, 64), GraphSettings(64, 64, proposals=200), least=3)


def test_anchors_of_a_level_that_does_not_divide_the_picture_lie_as_torchvision_has_them(random_weights: Path) -> None:
    """96×160: the coarsest level has 2×3 cells, of 48×53 pixels."""
    model, _ = load_weights(random_weights)
    graph = InferenceGraph(model, GraphSettings(96, 160))
    features = list(model.backbone(torch.zeros(1, 3, 96, 160)).values())
    (expected,) = model.rpn.anchor_generator(ImageList(torch.zeros(1, 3, 96, 160), [(96, 160)]), features)
    mine = [graph.anchors(i, torch.arange(3 * f.shape[2] * f.shape[3])[None], f.shape[3])[0] for i, f in enumerate(features)]
    assert features[-1].shape[2:] == (2, 3)
    assert torch.equal(torch.cat(mine), expected)
