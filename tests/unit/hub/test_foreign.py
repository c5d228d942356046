"""Somebody else's ONNX file is run: what the network is given, what comes of its answers, what its sidecar changes."""

from __future__ import annotations

import numpy as np
import pytest

from streamseg.engine import open_engine
from streamseg.errors import ConfigError
from streamseg.hub.foreign import adapted, understand
from streamseg.hub.graph_spec import read_spec
from tests.foreign import foreign_model, mask_rcnn_rows

NAMES = {"names": "{0: 'person', 1: 'car'}"}
GREY = np.full((1, 64, 96, 3), 51, np.uint8)  # a fifth


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("STREAMSEG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_a_foreign_file_runs_and_sees_its_own_range(tmp_path, engine):
    path = foreign_model(tmp_path / "theirs.onnx", mask_rcnn_rows(), metadata=NAMES, see="scores")
    with open_engine(path, engine=engine) as opened:
        answer = opened.submit(GREY).result()
        assert opened.spec.classes == ("person", "car")
        assert opened.spec.category_ids == (1, 3)
    np.testing.assert_allclose(answer["scores"][0], np.array([0.9, 0.8, 0]) + 0.2, atol=1e-5)
    assert answer["boxes"][0, 0].tolist() == [8, 8, 40, 40]


def test_it_is_adapted_once_and_again_when_its_sidecar_changes(tmp_path, cache):
    path = foreign_model(tmp_path / "theirs.onnx", mask_rcnn_rows(), metadata=NAMES, see="scores")
    first = adapted(understand(path))
    made = first.stat().st_mtime_ns
    assert adapted(understand(path)) == first
    assert first.stat().st_mtime_ns == made
    path.with_suffix(".yaml").write_text("input: {std: [1, 1, 1]}\nclasses: [walker, 7]\n")
    second = adapted(understand(path))
    assert second != first
    spec = read_spec(second)
    assert (spec.classes, spec.category_ids) == (("walker", "7"), (1, 2))
    with open_engine(path, engine="onnxruntime") as opened:
        assert opened.submit(GREY).result()["scores"][0, 0] == pytest.approx(51.9, abs=1e-4)


def test_a_sidecar_that_is_wrong_is_named_with_its_line(tmp_path):
    path = foreign_model(tmp_path / "theirs.onnx", mask_rcnn_rows(), metadata=NAMES)
    path.with_suffix(".yaml").write_text("family: mask-rcnn\ninput:\n  colour: grey\n")
    with pytest.raises(ConfigError, match=r"theirs\.yaml:3: input\.colour: 'grey' is not allowed; allowed: 'rgb' or 'bgr'"):
        understand(path)
