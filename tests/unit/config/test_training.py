"""The settings of training: what the shell's defaults say is what a Settings has, and what is written is read."""

from __future__ import annotations

from dataclasses import fields

import pytest

from streamseg.config.shell import options_of
from streamseg.config.training import Augmentation, Settings, read_settings
from streamseg.errors import ConfigError

pytest.importorskip("torch", reason="needs extra `train`")


def test_the_defaults_in_the_shell_are_those_in_python():
    shown = {option.name: option.default for kind in (Settings, Augmentation) for option in options_of(kind)}
    assert read_settings(shown | {"steps": 1}, {}) == Settings(steps=1)


def test_every_setting_reaches_the_run():
    written = {
        "network": "resnet50-fpn", "pretrained": False, "freeze": 1, "learn": "masks", "class_agnostic": True,
        "roi_pool": "pool", "repeat": 0.1, "epochs": 3.0, "save_every": 60.0, "eval_every": "10m", "eval_size": "96x64",
        "batch": 2, "size": ["64x96", "96X64"], "lr": 1e-3, "backbone_lr": 0.1, "warmup": 10, "weight_decay": 0.1,
        "ema": 0.9, "weight": ["loss_mask=2"], "seed": 5, "scale": "0.5:1.5", "flip": 0.1, "paste": 0.2, "paste_most": 2,
        "paste_power": 0.25, "colour": 0.5, "device": "cpu", "amp": "off", "workers": 0, "replicas": 2,
    }  # fmt: skip
    made, usual = read_settings(written, {}), Settings(steps=1)
    same = {each.name for each in fields(Settings) if getattr(made, each.name) == getattr(usual, each.name)}
    assert same == {"minutes", "clip", "channels_last", "nan_limit"}, "minutes is none beside epochs, the others are no options"
    assert (made.canvases, made.eval_size, made.weights) == (((64, 96), (96, 64)), (96, 64), {"loss_mask": 2.0})
    same = {f.name for f in fields(Augmentation) if getattr(made.augmentation, f.name) == getattr(usual.augmentation, f.name)}
    assert same == {"centre", "low_resolution", "jpeg"}, "no options"


def test_what_the_weights_to_start_from_have_is_taken_unless_another_is_given():
    usual = {"network": "resnet50-fpn", "class_agnostic": True, "roi_pool": "pool"}
    made = read_settings({"steps": 1, "network": None, "class_agnostic": False, "roi_pool": None}, usual)
    assert (made.network, made.class_agnostic, made.roi_pool) == ("resnet50-fpn", False, "pool")


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"size": ["large"]}, "write HEIGHTxWIDTH"),
        ({"scale": "huge"}, "write LOW:HIGH"),
        ({"weight": ["x"]}, "--weight 'x': write"),
    ],
)
def test_what_cannot_be_read_says_how_to_write_it(written, said):
    with pytest.raises(ConfigError, match=said):
        read_settings({"steps": 1, **written}, {})
