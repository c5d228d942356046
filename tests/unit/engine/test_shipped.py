"""The models in the repository are sound, and every engine reads them alike."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from streamseg.engine import open_engine, read_spec
from streamseg.hub import catalog, quality


def test_the_default_model_is_there_and_small():
    (default,) = [m for m in map(catalog.describe, catalog.shipped()) if m.default]
    assert (default.name, default.size) == (catalog.DEFAULT_MODEL, catalog.DEFAULT_SIZE)
    assert catalog.resolve(catalog.DEFAULT_MODEL) == default.path
    files = {file for path in catalog.shipped() for file in (path, *read_spec(path).weights)}
    assert sum(file.stat().st_size for file in files) <= 12_000_000


def test_every_graph_is_of_the_weights_beside_it():
    """Also those of other precisions and parts, which are not exported again by themselves where the weights are new."""
    found = [path for each in {path.parent for path in catalog.shipped()} for path in each.glob("*.onnx")]
    assert len(found) > len(catalog.shipped())
    assert all(read_spec(path).weights for path in found)


@pytest.mark.parametrize("path", catalog.shipped(), ids=lambda p: p.stem)
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_each_size_has_a_graph_of_both_precisions_that_was_measured(path, precision):
    graph = catalog.in_precision(path, precision)
    assert graph is not None
    assert quality.measured(read_spec(graph), precision) is not None, "of other weights or graphs: make lite-graphs DATA=PHOTOS"


@pytest.mark.parametrize("path", catalog.shipped(), ids=lambda p: p.stem)
def test_both_engines_see_the_same(path):
    height, width = read_spec(path).size
    chance = np.random.default_rng(0)
    images = np.stack([cv2.GaussianBlur(chance.integers(0, 256, (height, width, 3), np.uint8), (0, 0), s) for s in (2, 9)])
    answers = []
    for name in ("openvino", "onnxruntime"):
        with open_engine(path, engine=name, batch=2) as engine:
            answers.append(engine.submit(images).result())
    ours, theirs = answers
    np.testing.assert_array_equal(ours["labels"], theirs["labels"])
    np.testing.assert_allclose(ours["scores"], theirs["scores"], atol=1e-3)
    np.testing.assert_allclose(ours["boxes"], theirs["boxes"], atol=0.1)
    np.testing.assert_allclose(ours["masks"], theirs["masks"], atol=1e-2)
    assert (np.diff(ours["scores"], axis=1) <= 0).all(), "not ordered by score"
    assert ((ours["labels"] >= 0) == (ours["scores"] > 0)).all()
