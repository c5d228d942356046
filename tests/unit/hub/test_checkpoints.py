"""Checkpoints of others are recognised, named and checked, and no code of theirs is run."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs extra `train`")

import argparse
import os
import re
from collections import OrderedDict
from pathlib import Path

import torch
from safetensors.torch import save_file
from torchvision.models import detection

from streamseg.errors import ConfigError, ModelError
from streamseg.hub.checkpoints import modern_names, network_of, read_checkpoint
from streamseg.networks.build import NETWORKS, build_network
from streamseg.networks.weights import load_weights

PATH = Path("f.pth")


def torchvision_v1(labels: int = 91) -> torch.nn.Module:
    with torch.device("meta"):
        return detection.maskrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=labels)


def old_names(state) -> OrderedDict[str, torch.Tensor]:
    """As torchvision before 0.13 named them, and its COCO_V1 file still does."""
    result = OrderedDict()
    for name, tensor in state.items():
        new = re.sub(r"(_blocks\.\d+)\.0\.", r"\1.", name)
        new = new.replace("rpn.head.conv.0.0.", "rpn.head.conv.")
        new = re.sub(r"mask_head\.(\d)\.0\.", lambda m: f"mask_head.mask_fcn{int(m[1]) + 1}.", new)
        result[new] = tensor
    return result


@pytest.fixture
def lite(random_weights) -> tuple[Path, dict[str, torch.Tensor]]:
    model, _ = load_weights(random_weights)
    return random_weights, model.state_dict()


@pytest.mark.parametrize(
    ("name", "agnostic"), [*((name, False) for name in sorted(NETWORKS)), ("lite", True), ("resnet50-fpn", True)]
)
def test_every_network_is_told_from_its_tensors(name, agnostic):
    with torch.device("meta"):
        state = build_network(name, 3, class_agnostic_masks=agnostic).state_dict()
    assert network_of(state, PATH) == name


@pytest.mark.parametrize(("make", "name"), [("", "resnet50-fpn"), ("_v2", "resnet50-fpn-v2")])
def test_torchvision_s_networks_are_recognised(make, name):
    with torch.device("meta"):
        model = getattr(detection, f"maskrcnn_resnet50_fpn{make}")(weights=None, weights_backbone=None)
    assert network_of(modern_names(model.state_dict()), PATH) == name


def test_names_of_old_checkpoints_are_those_that_torchvision_still_takes():
    model = torchvision_v1()
    old = old_names(model.state_dict())
    assert "roi_heads.mask_head.mask_fcn4.bias" in old
    assert "backbone.fpn.inner_blocks.3.weight" in old
    model.load_state_dict(OrderedDict(old), strict=True, assign=True)  # torchvision's own reading of them
    assert list(modern_names(old)) == list(model.state_dict())
    assert network_of(modern_names(old), PATH) == "resnet50-fpn"


def test_names_of_wrapped_models():
    state = {f"module.{name}": tensor for name, tensor in torchvision_v1().state_dict().items()} | {
        "n_averaged": torch.tensor(3)
    }
    assert network_of(modern_names(state), PATH) == "resnet50-fpn"


def test_what_differs_from_the_nearest_network_is_named():
    state = torchvision_v1().state_dict()
    del state["rpn.head.cls_logits.bias"]
    state["extra.weight"] = torch.zeros(1)
    state["roi_heads.box_head.fc7.bias"] = torch.zeros(7)
    with pytest.raises(ModelError) as caught:
        network_of(state, PATH)
    message = str(caught.value)
    assert "the nearest is resnet50-fpn: " in message
    assert "1 missing: rpn.head.cls_logits.bias" in message
    assert "1 unexpected: extra.weight" in message
    assert "roi_heads.box_head.fc7.bias is [7], not [1024]" in message
    with pytest.raises(ModelError, match=r"does not fit lite: \d+ missing: .*, …; \d+ unexpected: .*, …"):
        network_of(torchvision_v1().state_dict(), PATH, "lite")


def test_another_network_is_no_mask_rcnn():
    with torch.device("meta"):
        faster = detection.fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None)
    with pytest.raises(ModelError, match=r"no Mask R-CNN: it has no roi_heads\.mask_predictor"):
        network_of(modern_names(faster.state_dict()), PATH)
    with pytest.raises(ModelError, match=r"no Mask R-CNN: it has no roi_heads\.box_predictor"):
        network_of({"fc.weight": torch.zeros(2)}, PATH)


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"model": s, "epoch": 3, "args": argparse.Namespace(lr=0.1)}])
def test_a_state_dict_alone_or_within_a_training_s_checkpoint(lite, tmp_path, wrap):
    _, state = lite
    torch.save(wrap(state), tmp_path / "a.pth")
    model, info = read_checkpoint(tmp_path / "a.pth", classes=("dog", "cat"))
    assert (info.network, info.classes, info.category_ids) == ("lite", ("dog", "cat"), (1, 2))
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    with pytest.raises(ConfigError, match="does not say the names of its 2 classes"):
        read_checkpoint(tmp_path / "a.pth")
    with pytest.raises(ConfigError, match="2 classes"):
        read_checkpoint(tmp_path / "a.pth", classes=("dog",))


def test_a_trainer_s_checkpoint_is_its_average_under_the_names_beside_it(lite, tmp_path):
    path, state = lite
    other = {name: torch.zeros_like(tensor) for name, tensor in state.items()}
    torch.save({"format": 1, "model": other, "average": state, "optimizer": {}}, tmp_path / "checkpoint.pt")
    (tmp_path / "model.safetensors").write_bytes(path.read_bytes())
    model, info = read_checkpoint(tmp_path / "checkpoint.pt")
    assert (info.classes, info.category_ids) == (("person", "car"), (1, 3))
    assert torch.equal(model.state_dict()["rpn.head.cls_logits.weight"], state["rpn.head.cls_logits.weight"])


def test_our_weights_say_what_they_are(lite):
    path, _ = lite
    assert read_checkpoint(path)[1].classes == ("person", "car")
    assert read_checkpoint(path, classes=("a", "b"))[1].classes == ("a", "b")
    with pytest.raises(ConfigError, match="is of lite, not resnet50-c4"):
        read_checkpoint(path, "resnet50-c4")


def test_safetensors_of_others_are_state_dicts(lite, tmp_path):
    _, state = lite
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, tmp_path / "a.safetensors")
    assert read_checkpoint(tmp_path / "a.safetensors", classes=("a", "b"))[1].network == "lite"


class Canary:
    """What an attacker pickles: its loading runs a command."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch '{self.path}'",)


@pytest.mark.parametrize("new", [True, False], ids=["zip", "before 1.6"])
def test_code_in_a_checkpoint_is_refused_and_not_run(tmp_path, new):
    canary = tmp_path / "canary"
    torch.save({"model": Canary(canary)}, tmp_path / "a.pth", _use_new_zipfile_serialization=new)
    with pytest.raises(ModelError, match=r"asks to run code \((posix|os)\.system\), which is never done"):
        read_checkpoint(tmp_path / "a.pth")
    assert not canary.exists()


def test_damaged_files_are_named(lite, tmp_path):
    path, state = lite
    torch.save({"model": state}, tmp_path / "whole.pth")
    for source, target in ((tmp_path / "whole.pth", "a.pth"), (path, "a.safetensors")):
        whole = source.read_bytes()
        for cut in (0, 1, 100, 5000, len(whole) - 1):
            (tmp_path / target).write_bytes(whole[:cut])
            with pytest.raises(ModelError, match=f"{target} (is not a|holds no)"):
                read_checkpoint(tmp_path / target)


@pytest.mark.parametrize("content", [[1, 2], torch.zeros(3), {"a": 1}, {}], ids=["list", "tensor", "numbers", "empty"])
def test_what_is_no_state_dict(tmp_path, content):
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(ModelError, match=r"not a state dict|holds no tensors"):
        read_checkpoint(tmp_path / "a.pth")


def test_an_unknown_network_is_answered_with_those_there_are():
    with pytest.raises(ConfigError, match="unknown network 'resnet'; there are: lite"):
        read_checkpoint(PATH, "resnet")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ModelError, match="cannot read"):
        read_checkpoint(tmp_path / "gone.pth")
