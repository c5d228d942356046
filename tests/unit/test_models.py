"""Model names and sizes lead to files; what there is not is answered with what there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamseg import models, resources
from streamseg.errors import ModelError
from tests import graphs


@pytest.fixture
def shop(tmp_path, monkeypatch) -> Path:
    """An installation that brings `lite` at two sizes, `big` at one, and files that are not models."""
    monkeypatch.setenv("STREAMSEG_MODELS", str(tmp_path / "mine"))
    monkeypatch.setenv("STREAMSEG_CACHE", str(tmp_path / "cache"))
    engines = tmp_path / "shipped" / "engines"
    for name, size in (("lite", (320, 576)), ("lite", (64, 96)), ("big", (64, 128))):
        graphs.constant_model(engines / name / f"{name}-{size[0]}x{size[1]}.onnx", size=size)
    (engines / "lite" / "lite.yaml").write_text("recipe")
    (engines / "lite" / "notes.onnx").write_text("not named like a model")
    monkeypatch.setattr(resources, "shipped", lambda folder: tmp_path / "shipped" / folder)
    return engines


def test_a_name_alone_takes_the_default_size(shop):
    assert models.resolve("lite") == shop / "lite" / "lite-320x576.onnx"
    assert models.resolve("big") == shop / "big" / "big-64x128.onnx"


def test_a_size_picks_its_file(shop):
    assert models.resolve("lite", (64, 96)) == shop / "lite" / "lite-64x96.onnx"


def test_an_unknown_size_is_answered_with_those_there_are(shop):
    with pytest.raises(ModelError, match="'lite' is not shipped at 100x100; there are: 64x96, 320x576"):
        models.resolve("lite", (100, 100))


def test_an_unknown_name_is_answered_with_those_there_are(shop):
    with pytest.raises(ModelError, match="'huge'; here: big, lite; to be fetched: resnet50-fpn, resnet50-fpn-v2"):
        models.resolve("huge")


def test_an_installation_without_models_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("STREAMSEG_MODELS", str(tmp_path / "mine"))
    monkeypatch.setattr(resources, "shipped", lambda folder: tmp_path / folder)
    with pytest.raises(ModelError, match="brings no model files"):
        models.resolve("lite")
    assert models.available() == []


def test_a_path_is_taken_as_it_is(shop, tmp_path, monkeypatch):
    own = graphs.constant_model(tmp_path / "own.onnx", size=(32, 64))
    assert models.resolve(own) == own
    assert models.resolve(str(own), (32, 64)) == own
    monkeypatch.chdir(tmp_path)
    assert models.resolve("own.onnx") == Path("own.onnx")
    with pytest.raises(ModelError, match="takes 32x64, not 64x96"):
        models.resolve(own, (64, 96))
    with pytest.raises(ModelError, match=r"no model file .*gone\.onnx"):
        models.resolve(tmp_path / "gone.onnx")


def test_available_lists_every_file(shop):
    found = {(m.name, m.size): m for m in models.available()}
    assert list(found) == [("big", (64, 128)), ("lite", (64, 96)), ("lite", (320, 576))]
    assert [m.default for m in found.values()] == [False, False, True]
    lite = found["lite", (64, 96)]
    assert lite.classes == graphs.CLASSES
    assert lite.bytes == lite.path.stat().st_size
    assert lite.origin == "wheel"


def test_weights_shared_by_sizes_count_for_each(shop):
    path = shop / "lite" / "lite-64x96.onnx"
    weights = graphs.move_weights(path, "lite.bin")
    assert models.describe(path).bytes == path.stat().st_size + weights.stat().st_size


def test_a_damaged_file_is_named(shop):
    (shop / "big" / "big-64x128.onnx").write_bytes(b"damaged")
    with pytest.raises(ModelError, match=r"big-64x128\.onnx"):
        models.available()
