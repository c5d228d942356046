from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs extra `train`")

import copy
from pathlib import Path

import torch
from torch import nn
from torchvision.models import mobilenet_v3_large, resnet50
from torchvision.models.detection import MaskRCNN, maskrcnn_resnet50_fpn, maskrcnn_resnet50_fpn_v2
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import roi_align, roi_pool

from streamseg.errors import ConfigError, ModelError
from streamseg.export.graph import GraphSettings, InferenceGraph
from streamseg.networks.build import NETWORKS, build_network
from streamseg.networks.design import IMAGENET_FILES
from streamseg.networks.heads import MultiScaleRoIPool, pooler

LOSSES = {"loss_objectness", "loss_rpn_box_reg", "loss_classifier", "loss_box_reg", "loss_mask"}


def target(labels: list[int]) -> dict[str, torch.Tensor]:
    """Objects in a row in a picture of 64×96."""
    masks = torch.zeros(len(labels), 64, 96, dtype=torch.uint8)
    for i in range(len(labels)):
        masks[i, 8:50, 4 + 45 * i : 40 + 45 * i] = 1
    boxes = torch.tensor([[4.0 + 45 * i, 8, 40 + 45 * i, 50] for i in range(len(labels))])
    return {"boxes": boxes, "labels": torch.tensor(labels), "masks": masks}


def losses(model: MaskRCNN, labels: list[int]) -> dict[str, torch.Tensor]:
    """The named terms of one picture; few RoIs, for speed."""
    model.train()
    model.rpn._post_nms_top_n = {"training": 20, "testing": 20}
    model.roi_heads.fg_bg_sampler.batch_size_per_image = 8
    x = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    features = model.backbone(x)
    proposals, terms = model.rpn(ImageList(x, [(64, 96)]), features, [target(labels)])
    _, more = model.roi_heads(features, proposals, [(64, 96)], [target(labels)])
    return {**terms, **more}


@pytest.mark.parametrize("name", sorted(NETWORKS))
@pytest.mark.parametrize("options", [{}, {"class_agnostic_masks": True, "roi_pool": "pool"}])
def test_every_network_learns_from_every_term(name: str, options: dict[str, object]) -> None:
    torch.manual_seed(0)
    model = build_network(name, 3, **options)
    terms = losses(model, [1, 3])
    assert set(terms) == LOSSES
    assert all(torch.isfinite(term) and term > 0 for term in terms.values())
    parts = {
        "loss_objectness": [model.rpn.head.cls_logits],
        "loss_rpn_box_reg": [model.rpn.head.bbox_pred],
        "loss_classifier": [model.roi_heads.box_predictor.cls_score, model.roi_heads.box_head],
        "loss_box_reg": [model.roi_heads.box_predictor.bbox_pred, model.roi_heads.box_head],
        "loss_mask": [model.roi_heads.mask_predictor],
    }
    body = [p for p in model.backbone.parameters() if p.requires_grad]
    for term, modules in parts.items():
        weights = [p for module in modules for p in module.parameters() if p.requires_grad and p.dim() > 1]
        gradients = torch.autograd.grad(terms[term], weights + body, retain_graph=True, allow_unused=True)
        reached = [g is not None and bool(g.abs().sum() > 0) for g in gradients]
        assert any(reached[: len(weights)]), term
        assert any(reached[len(weights) :]), f"{term} does not reach the backbone"


def test_one_mask_row_learns_from_objects_of_every_class() -> None:
    torch.manual_seed(0)
    agnostic, each = build_network("lite", 3, class_agnostic_masks=True), build_network("lite", 3)
    for model in (agnostic, each):
        losses(model, [1, 3])["loss_mask"].backward()
    used = {
        name: model.roi_heads.mask_predictor.logits.weight.grad.abs().flatten(1).sum(1) > 0
        for name, model in (("agnostic", agnostic), ("each", each))
    }
    assert used["agnostic"].tolist() == [False, True]
    assert used["each"].tolist() == [False, True, False, True]
    x = torch.randn(2, 128, 14, 14), torch.randn(2, 24, 28, 28)
    rows = agnostic.roi_heads.mask_predictor(x)
    assert rows.shape == (2, 4, 28, 28)
    assert torch.equal(rows[:, 1], rows[:, 3])


@pytest.mark.parametrize(
    ("name", "make"), [("resnet50-fpn", maskrcnn_resnet50_fpn), ("resnet50-fpn-v2", maskrcnn_resnet50_fpn_v2)]
)
def test_torchvisions_states_fit_key_for_key(name: str, make: type) -> None:
    theirs = make(weights=None, weights_backbone=None).state_dict()
    model = build_network(name, 90)
    result = model.load_state_dict(theirs, strict=True)
    assert (result.missing_keys, result.unexpected_keys) == ([], [])
    own = model.state_dict()
    assert all(torch.equal(own[key], theirs[key]) for key in own)
    left_out = {key.rpartition(".")[2] for key in set(theirs) - set(own)}
    assert left_out <= {"num_batches_tracked"}, "frozen batch norm counts no batches; nothing else may differ"


def test_the_branches_of_c4_share_one_trunk() -> None:
    torch.manual_seed(0)
    model = build_network("resnet50-c4", 2)
    names = [name for name in model.state_dict() if "layer4" in name]
    assert names
    assert all(name.startswith("roi_heads.box_head.") for name in names), "stored once"
    assert model.roi_heads.mask_head.trunk is model.roi_heads.box_head
    twin = copy.deepcopy(model)
    assert twin.roi_heads.mask_head.trunk is twin.roi_heads.box_head
    assert twin.roi_heads.box_head is not model.roi_heads.box_head
    stage = model.roi_heads.box_head.layer4[0].conv1.weight
    for term in ("loss_classifier", "loss_mask"):
        gradient = torch.autograd.grad(losses(model, [1])[term], stage)[0]
        assert gradient.abs().sum() > 0, f"{term} trains the trunk"
    with torch.no_grad():
        assert model.backbone(torch.zeros(1, 3, 64, 96))["0"].shape == (1, 1024, 4, 6), "stride 16"
        pooled = torch.zeros(3, 1024, 14, 14)
        assert model.roi_heads.mask_predictor(model.roi_heads.mask_head(pooled)).shape == (3, 3, 14, 14)
    assert model.rpn.anchor_generator.num_anchors_per_location() == [15]


def test_pyramids_have_the_strides_of_the_paper() -> None:
    for name in ("lite", "mobilenetv3-fpn", "resnet50-fpn", "resnet50-fpn-v2"):
        with torch.no_grad():
            levels = build_network(name, 2).eval().backbone(torch.zeros(1, 3, 64, 128))
        assert [(64 // f.shape[2], 128 // f.shape[3]) for f in levels.values()] == [(s, s) for s in (4, 8, 16, 32, 64)]


def test_the_bodys_batch_norm_keeps_its_statistics_in_training() -> None:
    for name in ("mobilenetv3-fpn", "resnet50-fpn-v2"):
        model = build_network(name, 2).train()
        norms = [m for m in model.backbone.body.modules() if isinstance(m, nn.BatchNorm2d)]
        assert norms
        assert not any(m.training for m in norms)
        assert model.roi_heads.mask_head.training


def test_roi_pool_is_quantised_and_roi_align_is_not() -> None:
    """The point of RoIAlign (He et al. 2017, section 3): it moves when the RoI does."""
    features = {"0": torch.randn(1, 3, 20, 30, generator=torch.Generator().manual_seed(0))}
    box, near = torch.tensor([[16.0, 24, 200, 120]]), torch.tensor([[17.0, 26, 201, 121]])
    answers = {}
    for kind in ("align", "pool"):
        pool = pooler(kind, ["0"], 7)
        answers[kind] = [pool(features, [b], [(160, 240)]) for b in (box, near)]
    roi = torch.cat((torch.zeros(1, 1), box), 1)
    assert torch.equal(answers["pool"][0], roi_pool(features["0"], roi, 7, 1 / 8))
    assert torch.equal(answers["align"][0], roi_align(features["0"], roi, 7, 1 / 8, 2))
    assert torch.equal(*answers["pool"])
    assert not torch.equal(*answers["align"])


def test_roi_pool_takes_each_roi_from_the_level_that_roi_align_takes_it_from() -> None:
    levels = {str(i): torch.full((2, 1, 64 >> i, 64 >> i), float(i)) for i in range(4)}
    low = torch.rand(200, 2, generator=torch.Generator().manual_seed(0)) * 20
    side = torch.rand(200, 1, generator=torch.Generator().manual_seed(1)) ** 2 * 230 + 2
    boxes = torch.cat((low, low + side), 1)
    align, pool = pooler("align", list(levels), 2, 64), pooler("pool", list(levels), 2, 64)
    assert isinstance(pool, MultiScaleRoIPool)
    given = (levels, [boxes[:90], boxes[90:]], [(256, 256)] * 2)
    expected = align(*given)
    assert set(expected.unique().round().tolist()) == {0, 1, 2, 3}
    assert torch.equal(pool(*given), expected.round())


def test_roi_pool_is_not_exported() -> None:
    with pytest.raises(ConfigError, match=r"RoIPool cannot be exported.*roi_pool 'align'"):
        InferenceGraph(build_network("lite", 2, roi_pool="pool"), GraphSettings(64, 96))


def test_bad_choices_are_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="'nosuch'; there are: lite, mobilenetv3-fpn, resnet50-c4"):
        build_network("nosuch", 8)
    with pytest.raises(ConfigError, match="0 classes; allowed: 1 or more"):
        build_network("lite", 0)
    with pytest.raises(ConfigError, match="'max'; allowed: align, pool"):
        build_network("lite", 2, roi_pool="max")  # type: ignore[arg-type]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty torch cache; returns its folder of checkpoints."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("STREAMSEG_MODELS", str(tmp_path / "models"))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize(
    ("name", "file"),
    [("resnet50-fpn", "resnet50"), ("resnet50-c4", "resnet50"), ("mobilenetv3-fpn", "mobilenet_v3_large")],
)
def test_missing_imagenet_weights_are_asked_for(name: str, file: str, cache: Path) -> None:
    with pytest.raises(ModelError, match=IMAGENET_FILES[file]) as caught:
        build_network(name, 2, pretrained=True)
    assert str(cache) in str(caught.value)
    assert "pretrained=False" in str(caught.value)
    (cache / IMAGENET_FILES[file]).write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(ModelError, match="delete it"):
        build_network(name, 2, pretrained=True)


def test_imagenet_weights_start_the_body(cache: Path) -> None:
    torch.manual_seed(0)
    plain = resnet50(weights=None)
    for norm in (m for m in plain.modules() if isinstance(m, nn.BatchNorm2d)):
        nn.init.uniform_(norm.running_var, 1e-6, 2)
    torch.save(plain.state_dict(), cache / IMAGENET_FILES["resnet50"])
    x = torch.randn(1, 3, 64, 64)
    plain.eval()
    with torch.no_grad():
        stem = plain.maxpool(plain.relu(plain.bn1(plain.conv1(x))))
        deep = plain.layer3(plain.layer2(plain.layer1(stem)))
        for name in ("resnet50-fpn", "resnet50-fpn-v2", "resnet50-c4"):
            model = build_network(name, 2, pretrained=True).eval()
            level = model.backbone.body(x)["0" if name == "resnet50-c4" else "2"]
            assert (level - deep).abs().max() <= 1e-4 * deep.abs().max(), f"{name}: batch norm's epsilon included"
        assert torch.equal(model.roi_heads.box_head.layer4[0].conv1.weight, plain.layer4[0].conv1.weight)
    small = mobilenet_v3_large(weights=None)
    torch.save(small.state_dict(), cache / IMAGENET_FILES["mobilenet_v3_large"])
    body = build_network("mobilenetv3-fpn", 2, pretrained=True).backbone.body
    assert torch.equal(body["16"][0].weight, small.features[16][0].weight)
