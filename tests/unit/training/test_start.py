from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs extra `train`")

from pathlib import Path

import torch

from streamseg.errors import ConfigError, ModelError
from streamseg.networks.weights import WeightsInfo, load_weights
from streamseg.training.start import begin, find_weights, info_of

CLASS = "roi_heads.box_predictor.cls_score.weight"
BOX = "roi_heads.box_predictor.bbox_pred.weight"
MASK = "roi_heads.mask_predictor.logits.weight"


def test_the_same_classes_take_over_everything(random_weights: Path) -> None:
    model, said = begin(WeightsInfo("lite", ("person", "car"), (1, 3)), str(random_weights), True)
    assert model.training
    assert said == [f"lite: fine-tunes {random_weights}"]
    for name, value in load_weights(random_weights)[0].state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name


def test_other_classes_keep_the_rows_of_those_with_the_same_name(random_weights: Path) -> None:
    model, said = begin(WeightsInfo("lite", ("car", "disc", "box"), (1, 2, 3)), str(random_weights), True)
    assert said[1] == "the last layers are made for the data's classes (taken over: car; new: disc, box; dropped: person)"
    old, new = load_weights(random_weights)[0].state_dict(), model.state_dict()
    assert new[CLASS].shape[0] == 4
    for name, rows in ((CLASS, 1), (BOX, 4), (MASK, 1)):
        for background_or_car, before in ((0, 0), (1, 2)):
            assert torch.equal(
                new[name][background_or_car * rows : (background_or_car + 1) * rows],
                old[name][before * rows : (before + 1) * rows],
            )
    kept = [name for name in old if name not in (CLASS, BOX, MASK) and not name.endswith("bias")]
    assert all(torch.equal(old[name], new[name]) for name in kept)


def test_weights_of_another_network_are_refused(random_weights: Path) -> None:
    with pytest.raises(ConfigError, match="holds a lite, not a mobilenetv3-fpn: give --network lite"):
        begin(WeightsInfo("mobilenetv3-fpn", ("person", "car"), (1, 3)), str(random_weights), True)
    with pytest.raises(ConfigError, match="--roi-pool align"):
        begin(WeightsInfo("lite", ("person", "car"), (1, 3), roi_pool="pool"), str(random_weights), True)


def test_masks_for_any_class_start_anew(random_weights: Path) -> None:
    model, said = begin(WeightsInfo("lite", ("person", "car"), (1, 3), class_agnostic_masks=True), str(random_weights), True)
    assert "the mask branch starts anew" in said[1]
    assert model.state_dict()[MASK].shape[0] == 2
    assert torch.equal(model.state_dict()[CLASS], load_weights(random_weights)[0].state_dict()[CLASS])


def test_where_weights_are_looked_for(tmp_path: Path, random_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMSEG_MODELS", str(tmp_path))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "mine.safetensors").write_bytes(random_weights.read_bytes())
    assert find_weights("mine") == tmp_path / "mine" / "mine.safetensors"
    assert find_weights("lite").name == "lite.safetensors"
    assert find_weights(str(random_weights)) == random_weights
    assert info_of("mine").classes == ("person", "car")
    with pytest.raises(ModelError, match=r"unknown model 'yours'; weights are here of: lite, mine"):
        find_weights("yours")
    with pytest.raises(ModelError, match="there is no weights file"):
        find_weights("yours.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"no weights")
    with pytest.raises(ModelError, match="not a weights file"):
        info_of(str(tmp_path / "broken.safetensors"))
