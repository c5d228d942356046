from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs extra `train`")

from pathlib import Path

import torch

from streamseg.errors import ConfigError
from streamseg.hub.exporter import softened
from streamseg.networks.build import build_network
from streamseg.networks.temperature import soften
from streamseg.networks.weights import WeightsInfo, load_weights, save_weights


def test_the_class_logits_are_divided_and_nothing_else_is(tmp_path: Path) -> None:
    model, info = build_network("lite", 2), WeightsInfo("lite", ("cat", "dog"), (17, 18))
    torch.nn.init.normal_(model.roi_heads.box_predictor.cls_score.bias)
    save_weights(model, info, tmp_path / "x.safetensors", half=False)
    before, _ = load_weights(tmp_path / "x.safetensors")
    after, said = load_weights(softened(tmp_path / "x.safetensors", 1.6, tmp_path / "y.safetensors"))
    assert said == info
    features = torch.randn(5, before.roi_heads.box_predictor.cls_score.in_features)
    (sharp, boxes), (soft, same) = before.roi_heads.box_predictor(features), after.roi_heads.box_predictor(features)
    torch.testing.assert_close(soft * 1.6, sharp)
    assert torch.equal(boxes, same)
    mine, theirs = before.state_dict(), after.state_dict()
    assert {key for key in mine if not torch.equal(mine[key], theirs[key])} == {
        "roi_heads.box_predictor.cls_score.weight",
        "roi_heads.box_predictor.cls_score.bias",
    }


@pytest.mark.parametrize("bad", [0.0, -1.0, 11.0, float("nan")])
def test_a_temperature_that_cannot_be(bad: float) -> None:
    with pytest.raises(ConfigError, match=r"allowed: 0\.1 to 10"):
        soften(build_network("lite", 1), bad)
