from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs extra `train`")

from dataclasses import replace
from pathlib import Path

import torch

from streamseg.errors import ConfigError
from streamseg.hub.exporter import calibrated
from streamseg.networks.build import build_network
from streamseg.networks.calibrate import calibrate
from streamseg.networks.weights import WeightsInfo, load_weights, save_weights


def test_the_log_odds_are_divided_and_lowered_and_nothing_else_is(tmp_path: Path) -> None:
    model, info = build_network("lite", 2), WeightsInfo("lite", ("cat", "dog"), (17, 18))
    torch.nn.init.normal_(model.roi_heads.box_predictor.cls_score.bias)
    save_weights(model, info, tmp_path / "x.safetensors", half=False)
    before, _ = load_weights(tmp_path / "x.safetensors")
    after, said = load_weights(calibrated(tmp_path / "x.safetensors", tmp_path / "y.safetensors", 1.6, 0.7, 0.25))
    assert said == replace(info, conf=0.25, score_threshold=said.score_threshold)
    # 0.05 is log odds of -2.944, and -2.944 / 1.6 - 0.7 is -2.540: what came out before still does, no more and no less.
    assert said.score_threshold == pytest.approx(0.0731, abs=1e-4)
    assert after.roi_heads.score_thresh == said.score_threshold
    features = torch.randn(5, before.roi_heads.box_predictor.cls_score.in_features)
    (sure, boxes), (honest, same) = before.roi_heads.box_predictor(features), after.roi_heads.box_predictor(features)
    torch.testing.assert_close(honest[:, 1:] - honest[:, :1], (sure[:, 1:] - sure[:, :1]) / 1.6 - 0.7)
    assert torch.equal(boxes, same)
    mine, theirs = before.state_dict(), after.state_dict()
    last = {f"roi_heads.box_predictor.cls_score.{kind}" for kind in ("weight", "bias")}
    assert {key for key in mine if not torch.equal(mine[key], theirs[key])} == last


@pytest.mark.parametrize("bad", [{"temperature": 0.0}, {"temperature": float("nan")}, {"shift": 11.0}, {"shift": float("nan")}])
def test_what_cannot_be(bad: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"(temperature|score-shift) is .*; allowed: -?\d"):
        calibrate(build_network("lite", 1), **bad)
