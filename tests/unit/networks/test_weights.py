from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs extra `train`")

import re
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torchvision.models.detection import maskrcnn_resnet50_fpn, maskrcnn_resnet50_fpn_v2

from streamseg.errors import ConfigError, ModelError
from streamseg.export.graph import GraphSettings, InferenceGraph
from streamseg.networks.build import build_network
from streamseg.networks.weights import COCO_LABELS, WeightsInfo, adapt, from_torchvision, load_weights, save_weights
from tests.unit.networks.random_networks import partners, pictures, reference, scale_random_weights

SIZE = (64, 96)


def test_options_come_back_from_the_file(tmp_path: Path) -> None:
    info = WeightsInfo("lite", ("cat", "dog"), (17, 18), class_agnostic_masks=True, roi_pool="pool", labels=(2, 5))
    model = build_network("lite", 5, class_agnostic_masks=True, roi_pool="pool")
    save_weights(model, info, tmp_path / "x.safetensors", half=False)
    again, said = load_weights(tmp_path / "x.safetensors")
    assert said == info
    assert again.class_labels == (2, 5)
    assert type(again.roi_heads.box_roi_pool).__name__ == "MultiScaleRoIPool"
    mine, theirs = model.state_dict(), again.state_dict()
    assert all(torch.equal(mine[key], theirs[key]) for key in mine)


def test_a_plain_file_says_no_more_than_it_used_to(tmp_path: Path) -> None:
    """Files of the first release lack options; those of plain models still do."""
    save_weights(build_network("lite", 1), WeightsInfo("lite", ("object",), (1,)), tmp_path / "x.safetensors")
    with safe_open(tmp_path / "x.safetensors", "pt") as file:
        assert set(file.metadata()) == {"streamseg.network", "streamseg.classes", "streamseg.category_ids"}
        kinds = {name.rpartition(".")[2]: file.get_tensor(name).dtype for name in file.keys()}  # noqa: SIM118
    assert (kinds["weight"], kinds["running_var"]) == (torch.float16, torch.float32) or kinds["running_var"] == torch.float32
    _, info = load_weights(tmp_path / "x.safetensors")
    assert (info.class_agnostic_masks, info.roi_pool, info.class_labels) == (False, "align", (1,))


def test_c4_is_stored_once_and_comes_back(tmp_path: Path) -> None:
    model = build_network("resnet50-c4", 1)
    save_weights(model, WeightsInfo("resnet50-c4", ("object",), (1,)), tmp_path / "x.safetensors")
    assert (tmp_path / "x.safetensors").stat().st_size < 2.1 * sum(p.numel() for p in model.parameters())
    again, _ = load_weights(tmp_path / "x.safetensors")
    name = "roi_heads.box_head.layer4.0.conv1.weight"
    assert torch.equal(again.state_dict()[name], model.state_dict()[name].half().float())


def test_values_that_a_file_cannot_hold_are_refused(tmp_path: Path) -> None:
    info = WeightsInfo("lite", ("object",), (1,))
    model = build_network("lite", 1)
    with torch.no_grad():
        model.rpn.head.cls_logits.weight[0, 0] = 1e6
    with pytest.raises(ModelError, match=r"cls_logits.weight.*store it in float32"):
        save_weights(model, info, tmp_path / "x.safetensors")
    save_weights(model, info, tmp_path / "x.safetensors", half=False)
    with torch.no_grad():
        model.rpn.head.cls_logits.bias[0] = float("nan")
    with pytest.raises(ModelError, match=r"cls_logits.bias has values that are not finite$"):
        save_weights(model, info, tmp_path / "y.safetensors", half=False)
    assert not (tmp_path / "y.safetensors").exists()


def test_a_file_of_another_network_is_refused_and_says_where(tmp_path: Path) -> None:
    save_weights(build_network("lite", 2), WeightsInfo("lite", ("a",), (1,)), tmp_path / "x.safetensors")
    with pytest.raises(ModelError, match=r"does not fit lite: of another shape: .*is \[3\], not \[2\]"):
        load_weights(tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    "bad",
    [
        {"classes": ()},
        {"category_ids": (1,)},
        {"labels": (1,)},
        {"labels": (0, 1)},
        {"labels": (2, 2)},
    ],
)
def test_classes_that_do_not_add_up_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        WeightsInfo(**{"network": "lite", "classes": ("a", "b"), "category_ids": (1, 2), **bad})


def test_coco_offers_the_classes_that_have_a_name() -> None:
    """torchvision's label list has ten "N/A": nobody shall be offered these, and no score may change by leaving them out."""
    torch.manual_seed(0)
    theirs = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None).eval()
    size = (128, 192)
    picture = pictures(1, *size)
    scale_random_weights(theirs, picture)
    for module in theirs.backbone.body.modules():
        if hasattr(module, "eps"):
            module.eps = 0.0  # as torchvision sets it for these weights
    model, info = from_torchvision(theirs.state_dict(), "resnet50-fpn")
    assert len(info.classes) == 80
    assert not {"N/A", "__background__"} & set(info.classes)
    assert (info.classes[0], info.category_ids[0], info.classes[-1], info.category_ids[-1]) == ("person", 1, "toothbrush", 90)
    assert [COCO_LABELS[label] for label in model.class_labels] == list(info.classes)
    settings = GraphSettings(*size, proposals=50, detections=400, candidates=1000)
    (expected,) = reference(theirs, picture, settings)
    named = torch.tensor([int(label) in info.class_labels for label in expected.labels])
    assert 20 < named.sum() < len(named) < settings.detections, "labels without a name are found, too, and the list is not full"
    with torch.no_grad():
        boxes, scores, labels, masks = (answer[0] for answer in InferenceGraph(model, settings)(picture))
    count = int((labels >= 0).sum())
    assert count == named.sum()
    ours = type(expected)(boxes[:count], scores[:count], torch.tensor(info.class_labels)[labels[:count].long()], masks[:count])
    match, apart = partners(ours, expected)
    assert apart.max() <= 0.05
    assert named[match].all()
    assert (ours.scores - expected.scores[match]).abs().max() <= 1e-3
    assert (ours.masks - expected.masks[match]).abs().max() <= 5e-3


@pytest.mark.parametrize(
    ("network", "make"), [("resnet50-fpn", maskrcnn_resnet50_fpn), ("resnet50-fpn-v2", maskrcnn_resnet50_fpn_v2)]
)
def test_ones_own_torchvision_checkpoint_answers_as_it_did(network: str, make: type) -> None:
    """Its batch norm has the usual epsilon, which only torchvision's COCO weights lack."""
    torch.manual_seed(0)
    theirs = make(weights=None, weights_backbone=None, num_classes=3).eval()
    torch.nn.init.uniform_(theirs.backbone.body.bn1.running_var, 1e-5, 1e-3)
    model, info = from_torchvision(theirs.state_dict(), network, ("cup", "pen"))
    assert (info.classes, info.category_ids, info.labels) == (("cup", "pen"), (1, 2), ())
    x = torch.randn(1, 3, *SIZE)
    with torch.no_grad():
        for mine, other in zip(model.backbone(x).values(), theirs.backbone(x).values(), strict=True):
            assert (mine - other).abs().max() <= 1e-4 * other.abs().max()


def test_the_names_of_2019_are_known() -> None:
    """torchvision's COCO_V1 file of the first network has them; torchvision's own modules translate them."""
    state = build_network("resnet50-fpn", 2).state_dict()
    rules = {
        r"(fpn\.(?:inner|layer)_blocks\.\d)\.0\.": r"\1.",
        r"(rpn\.head\.conv)\.0\.0\.": r"\1.",
        r"mask_head\.(\d)\.0\.": lambda match: f"mask_head.mask_fcn{int(match[1]) + 1}.",
    }
    old = dict(state)
    for pattern, name in rules.items():
        old = {re.sub(pattern, name, key): value for key, value in old.items()}
    assert len(old.keys() - state.keys()) == 26
    model, _ = from_torchvision(old, "resnet50-fpn", ("a", "b"), norm_eps=0.0)
    mine = model.state_dict()
    assert all(torch.equal(mine[key], state[key]) for key in state)


def test_foreign_checkpoints_are_refused() -> None:
    with pytest.raises(ModelError, match="it has no roi_heads"):
        from_torchvision({"model": {}}, "resnet50-fpn")
    state = build_network("resnet50-fpn", 2).state_dict()
    with pytest.raises(ModelError, match="does not fit resnet50-fpn-v2: missing: "):
        from_torchvision(state, "resnet50-fpn-v2", ("a", "b"))
    with pytest.raises(ConfigError, match="2 classes besides background, but 1 names"):
        from_torchvision(state, "resnet50-fpn", ("a",))


@pytest.mark.parametrize("network", ["lite", "mobilenetv3-fpn"])
def test_fine_tuning_takes_over_what_has_the_same_name(network: str) -> None:
    torch.manual_seed(0)
    info = WeightsInfo(network, ("cat", "dog", "cow"), (17, 18, 21), labels=(1, 4, 5))
    model = build_network(network, 5)
    wanted = WeightsInfo(network, ("bird", "cow", "cat"), (16, 21, 17))
    new = adapt(model, info, wanted)
    assert new.training
    mine, theirs = new.state_dict(), model.state_dict()
    score = "roi_heads.box_predictor.cls_score.weight"
    assert torch.equal(mine[score][[0, 2, 3]], theirs[score][[0, 5, 1]])
    assert not (mine[score][1] == theirs[score]).all(1).any(), "a class it does not know starts anew"
    box = "roi_heads.box_predictor.bbox_pred.bias"
    assert torch.equal(mine[box].view(4, 4)[[0, 2, 3]], theirs[box].view(6, 4)[[0, 5, 1]])
    last = "logits" if network == "lite" else "mask_fcn_logits"
    mask = f"roi_heads.mask_predictor.{last}.weight"
    assert torch.equal(mine[mask][[2, 3]], theirs[mask][[5, 1]])
    changed = [key for key in mine if mine[key].shape != theirs[key].shape]
    assert len(changed) == 6, "weight and bias of three layers"
    assert all(torch.equal(mine[key], theirs[key]) for key in mine if key not in changed)


def test_fine_tuning_may_turn_to_class_agnostic_masks_and_stay_there() -> None:
    info = WeightsInfo("lite", ("cat", "dog"), (17, 18))
    one = WeightsInfo("lite", ("object",), (1,), class_agnostic_masks=True)
    agnostic = adapt(build_network("lite", 2), info, one)
    rows = agnostic.roi_heads.mask_predictor.logits.weight
    assert len(rows) == 2
    other = WeightsInfo("lite", ("a", "b", "c"), (1, 2, 3), class_agnostic_masks=True)
    assert torch.equal(adapt(agnostic, one, other).roi_heads.mask_predictor.logits.weight, rows)
    with pytest.raises(ConfigError, match="weights of lite cannot start resnet50-c4"):
        adapt(agnostic, one, WeightsInfo("resnet50-c4", ("a",), (1,)))
