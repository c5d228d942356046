"""The torch reference, here on the CPU: only the device differs on a GPU."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from streamseg.engine import open_engine, read_spec
from streamseg.engine import torchcuda as module
from streamseg.engine.images import DeviceImage
from streamseg.engine.torchcuda import open_torch, why_not_torch
from streamseg.errors import EngineUnavailable, ModelError
from streamseg.hub import catalog
from tests import graphs


def test_it_answers_what_the_exported_graph_answers():
    spec = read_spec(catalog.resolve("lite", (256, 448)))
    noise = np.random.default_rng(0).integers(0, 256, (*spec.size, 3), np.uint8)
    images = np.stack([cv2.GaussianBlur(noise, (0, 0), sigma) for sigma in (2, 9, 4)])
    with open_torch(spec, batch=2, device="cpu") as engine, open_engine(spec.path, batch=2) as other:
        ours, theirs = engine.submit(images).result(60), other.submit(images).result(60)
    assert other.name == "openvino"
    np.testing.assert_array_equal(ours["labels"], theirs["labels"])
    np.testing.assert_allclose(ours["scores"], theirs["scores"], atol=1e-3)
    np.testing.assert_allclose(ours["boxes"], theirs["boxes"], atol=0.1)
    np.testing.assert_allclose(ours["masks"], theirs["masks"], atol=1e-2)


def test_nothing_of_the_network_stays_behind_on_the_cpu():
    """torch's meta device refuses to mix with the CPU as a GPU does, and computes nothing."""
    import torch

    from streamseg.export.graph import GraphSettings, InferenceGraph
    from streamseg.networks.weights import load_weights

    model, _ = load_weights(read_spec(catalog.resolve("lite")).weights[0])
    graph = InferenceGraph(model, GraphSettings(256, 448)).to("meta")
    with torch.inference_mode():
        answers = graph(torch.zeros(2, 256, 448, 3, dtype=torch.uint8, device="meta"))
    assert {answer.device.type for answer in answers} == {"meta"}


def test_a_model_without_a_weights_file(tmp_path):
    with pytest.raises(ModelError, match="refers to no weights file"):
        open_torch(read_spec(graphs.constant_model(tmp_path / "m.onnx")))


def test_auto_never_takes_it_and_by_name_it_says_why_not(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "no_driver", lambda: "no NVIDIA driver")
    assert why_not_torch() == "no NVIDIA driver"
    model = graphs.constant_model(tmp_path / "m.onnx")
    said: list[str] = []
    open_engine(model, on_message=said.append).close()
    assert "torch" not in said[0]
    with pytest.raises(EngineUnavailable, match="the engine torch: no NVIDIA driver"):
        open_engine(model, engine="torch")


def test_it_takes_pictures_that_lie_on_its_device():
    import torch

    spec = read_spec(catalog.resolve("lite", (256, 448)))
    images = np.random.default_rng(0).integers(0, 256, (2, *spec.size, 3), np.uint8)
    with open_torch(spec, batch=2, device="cpu") as engine:
        there = engine.submit([DeviceImage(torch.from_numpy(image)) for image in images]).result(60)
        here = engine.submit(images).result(60)
    np.testing.assert_array_equal(there["scores"], here["scores"])
    np.testing.assert_array_equal(there["masks"], here["masks"])


def test_cudnn_stays_on_and_keeps_float32_while_it_computes(monkeypatch):
    """`torch.backends.cudnn.flags` turns cuDNN off by default: the reference, and all of torch after it, would have been slow."""
    import torch

    seen, place = list[tuple[bool, bool]](), module._Runner._on_device

    def look(runner, images):
        seen.append((torch.backends.cudnn.enabled, torch.backends.cudnn.allow_tf32))
        return place(runner, images)

    monkeypatch.setattr(module._Runner, "_on_device", look)
    before = torch.backends.cudnn.allow_tf32
    with open_torch(read_spec(catalog.resolve("lite", (256, 448))), device="cpu") as engine:
        engine.submit(np.zeros((1, 256, 448, 3), np.uint8)).result(60)
        assert seen == [(True, False)]
        assert torch.backends.cudnn.allow_tf32 == before, "the rest of the program computes as it did"
