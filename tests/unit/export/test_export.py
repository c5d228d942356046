from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs extra `train`")

import hashlib
import json
from pathlib import Path

import numpy as np
import torch

pytest.importorskip("onnxruntime", reason="needs extra `onnx`")

import onnx
import onnxruntime as ort
import openvino as ov

from streamseg.errors import ModelError
from streamseg.export.export import FORBIDDEN, check_ops, export_model
from streamseg.export.graph import GraphSettings, InferenceGraph
from streamseg.networks.weights import load_weights

SHIPPED = Path(__file__).parents[3] / "engines" / "lite"
SIZE = (64, 96)


@pytest.fixture(scope="module")
def exported(random_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    settings = GraphSettings(proposals=40, detections=10)
    return export_model(random_weights, folder, [SIZE], settings, name="tiny")[0]


def run_openvino(path: Path, images: np.ndarray) -> list[np.ndarray]:
    compiled = ov.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    answer = compiled(images)
    return [np.array(answer[name]) for name in ("boxes", "scores", "labels", "masks")]


def test_runtimes_agree_with_torch_at_any_batch(exported: Path, random_weights: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, *SIZE, 3), dtype=np.uint8)
    model, _ = load_weights(random_weights)
    with torch.no_grad():
        expected = InferenceGraph(model, GraphSettings(*SIZE, proposals=40, detections=10))(torch.from_numpy(images))
    session = ort.InferenceSession(str(exported), providers=["CPUExecutionProvider"])
    for count in (1, 2):
        found = session.run(["boxes", "scores", "labels", "masks"], {"images": images[:count]})
        vino = run_openvino(exported, images[:count])
        for a, b, c, tolerance in zip(found, vino, expected, (0.05, 1e-3, 0, 5e-3), strict=True):
            assert a.dtype == b.dtype == c.numpy().dtype
            assert np.abs(a - c[:count].numpy()).max() <= tolerance
            assert np.abs(b - c[:count].numpy()).max() <= tolerance
        assert (found[2] >= 0).any()


def test_the_graph_has_no_op_that_a_runtime_lacks(exported: Path) -> None:
    proto = onnx.load(str(exported), load_external_data=False)
    assert not {node.op_type for node in proto.graph.node} & FORBIDDEN
    assert not proto.functions
    assert [(o.domain, o.version) for o in proto.opset_import] == [("", 20)]
    proto.graph.node.add(op_type="NonMaxSuppression")
    with pytest.raises(ModelError, match="NonMaxSuppression"):
        check_ops(proto)


def test_weights_lie_once_in_the_shared_file(exported: Path) -> None:
    assert exported.stat().st_size < 700_000
    proto = onnx.load(str(exported), load_external_data=False)
    facts = {item.key: item.value for item in proto.metadata_props}
    shared = exported.parent / "tiny.safetensors"
    assert facts["streamseg.weights_sha256"] == hashlib.sha256(shared.read_bytes()).hexdigest()
    assert json.loads(facts["streamseg.classes"]) == ["person", "car"]
    assert (facts["streamseg.detections"], facts["streamseg.proposals"]) == ("10", "40")
    used = {e.value for t in proto.graph.initializer for e in t.external_data if e.key == "location"}
    assert used == {"tiny.safetensors"}
    assert str(Path.cwd()).encode() not in exported.read_bytes(), "no path of this machine leaves it"


@pytest.mark.skipif(not (SHIPPED / "lite-320x576.onnx").is_file(), reason="the embedded model is not here")
def test_the_embedded_model_keeps_its_contract() -> None:
    assert sum(f.stat().st_size for f in SHIPPED.iterdir() if f.suffix in {".onnx", ".safetensors"}) <= 12_000_000
    digest = hashlib.sha256((SHIPPED / "lite.safetensors").read_bytes()).hexdigest()
    for path in SHIPPED.glob("*.onnx"):
        proto = onnx.load(str(path), load_external_data=False)
        check_ops(proto)
        facts = {item.key.removeprefix("streamseg."): item.value for item in proto.metadata_props}
        assert facts["weights_sha256"] == digest
        assert json.loads(facts["category_ids"]) == [1, 2, 3, 4, 6, 8, 17, 18]
        session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        shape = session.get_inputs()[0].shape
        images = np.full((1, shape[1], shape[2], 3), 90, np.uint8)
        images[:, 50:200, 100:300] = 200
        found = session.run(["boxes", "scores", "labels", "masks"], {"images": images})
        for a, b, tolerance in zip(found, run_openvino(path, images), (0.05, 1e-3, 0, 5e-3), strict=True):
            assert np.abs(a - b).max() <= tolerance
        assert found[3].shape == (1, int(facts["detections"]), 28, 28)


def test_a_foreign_weights_file_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"nonsense" * 9):
        path = tmp_path / "x.safetensors"
        path.write_bytes(content)
        with pytest.raises(ModelError):
            export_model(path, tmp_path / "out", [SIZE])
