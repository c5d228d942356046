"""fp16: which types stand in the graph, and what they cost in accuracy."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs extra `train`")

from pathlib import Path

import cv2
import onnx
import torch
from onnx import TensorProto, helper, shape_inference
from torch import nn
from torchvision.ops import FrozenBatchNorm2d

from streamseg.engine import open_engine
from streamseg.export.export import export_model
from streamseg.export.graph import GraphSettings, InferenceGraph
from streamseg.export.half import Affine, halve, without_batch_norm
from streamseg.export.onnx_file import drop_cast_pairs
from streamseg.networks.build import build_network
from streamseg.networks.weights import load_weights, save_weights
from tests.unit.networks.compare_detections import differences
from tests.unit.networks.random_networks import pictures

ROOT = Path(__file__).parents[3]
PICTURE, WEIGHTS = ROOT / "docs" / "pedestrians.jpg", ROOT / "engines" / "lite" / "lite.safetensors"
SIZE = (64, 96)
SETTINGS = GraphSettings(*SIZE, proposals=40, detections=10)


def types_of(path: Path) -> tuple[onnx.ModelProto, dict[str, int]]:
    """A graph, and the element type of each of its tensors as ONNX's own inference finds it."""
    model = shape_inference.infer_shapes(onnx.load(str(path)), strict_mode=True)
    types = {t.name: t.data_type for t in model.graph.initializer}
    for value in (*model.graph.input, *model.graph.value_info, *model.graph.output):
        types[value.name] = value.type.tensor_type.elem_type
    return model, types


def test_the_heavy_layers_are_float16_and_the_decisions_float32(tiny_graphs: dict[str, Path]) -> None:
    model, types = types_of(tiny_graphs["fp16"])
    seen: dict[str, set[int]] = {}
    for node in model.graph.node:
        seen.setdefault(node.op_type, set()).add(types[node.input[0]] if node.input else 0)
    assert seen["Conv"] == seen["Gemm"] == {TensorProto.FLOAT16}
    for kind in ("TopK", "Softmax", "Exp", "GridSample", "Sigmoid"):
        assert seen[kind] == {TensorProto.FLOAT}, kind
    assert [types[o.name] for o in model.graph.output] == [TensorProto.FLOAT] * 2 + [TensorProto.INT32, TensorProto.FLOAT]
    halves = {n.output[0] for n in model.graph.node if n.op_type == "Cast" and types[n.output[0]] == TensorProto.FLOAT16}
    origins = {n.output[0]: n.input[0] for n in model.graph.node if n.op_type == "Cast"}
    assert not [name for name in halves if types.get(origins.get(origins[name], "")) == TensorProto.FLOAT16], "there and back"


def test_weights_are_read_from_the_shared_file_as_they_are(tiny_graphs: dict[str, Path]) -> None:
    path = tiny_graphs["fp16"]
    assert path.name == "tiny-64x96-fp16.onnx"
    model = onnx.load(str(path), load_external_data=False)
    outside = [t for t in model.graph.initializer if t.external_data]
    kernels = {n.input[1] for n in model.graph.node if n.op_type == "Conv"}
    assert {t.name for t in outside} >= kernels, "no Cast stands between a kernel and its convolution"
    assert {t.data_type for t in outside} == {TensorProto.FLOAT16}
    assert {e.value for t in outside for e in t.external_data if e.key == "location"} == {"tiny.safetensors"}
    assert path.stat().st_size < 700_000


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_answers_are_near_those_of_float32(tiny_graphs: dict[str, Path], random_weights: Path, engine: str) -> None:
    images = pictures(2, *SIZE, seed=3)
    model, _ = load_weights(random_weights)
    with torch.no_grad():
        exact = InferenceGraph(model, SETTINGS)(images)
    with open_engine(tiny_graphs["fp16"], engine=engine, precision="fp16") as opened:
        found = opened.submit(images.numpy()).result()
    rows = differences(exact, found, 0.05, best=5)
    assert len(rows) == 10
    assert all(pixels < 0.5 and score < 0.01 and mask < 0.01 for pixels, score, mask in rows), rows


def test_float16_arithmetic_finds_the_same_objects() -> None:
    """In torch, whose float16 is float16: CPU runtimes compute it in float32."""
    model, _ = load_weights(WEIGHTS)
    settings = GraphSettings(256, 448)
    picture = cv2.resize(cv2.imread(str(PICTURE)), (448, 256), interpolation=cv2.INTER_AREA)[None, ..., ::-1].copy()
    with torch.no_grad():
        exact, found = (InferenceGraph(m, settings)(torch.from_numpy(picture)) for m in (model, halve(model)))
    assert {p.dtype for p in model.parameters()} == {torch.float32}, "the given model is left as it is"
    rows = differences(exact, found, 0.5)
    assert len(rows) >= 3
    assert all(pixels < 0.5 and score < 0.02 and mask < 0.01 for pixels, score, mask in rows), rows


@pytest.mark.parametrize("network", ["mobilenetv3-fpn", pytest.param("resnet50-c4", marks=pytest.mark.long)])
def test_every_network_can_be_halved(network: str) -> None:
    torch.manual_seed(0)
    halved = halve(build_network(network, 3))
    settings = GraphSettings(*SIZE, proposals=4, detections=2, candidates=8)
    with torch.no_grad():
        found = InferenceGraph(halved, settings)(pictures(1, *SIZE))
    assert {p.dtype for p in halved.parameters()} == {torch.float16}
    assert [part.dtype for part in found] == [torch.float32, torch.float32, torch.int32, torch.float32]
    assert torch.isfinite(found[1]).all()


@pytest.mark.parametrize("kind", [nn.BatchNorm2d, FrozenBatchNorm2d])
def test_batch_norm_becomes_two_factors_also_where_its_variance_is_no_float16(kind: type[nn.Module]) -> None:
    norm = kind(3).eval()
    values = {"weight": [1.0, -2.0, 0.5], "bias": [0.1, 0.0, 4.0], "running_mean": [0.0, 300.0, -1.0]}
    norm.load_state_dict(
        {k: torch.tensor(v) for k, v in values.items()} | {"running_var": torch.tensor([1e-9, 2e5, 1.0])}, False
    )
    x = torch.randn(2, 3, 4, 5) * torch.tensor([1e-3, 500.0, 1.0]).view(1, 3, 1, 1)
    with torch.no_grad():
        torch.testing.assert_close(Affine(norm)(x), norm(x), rtol=1e-5, atol=1e-5)
        half = Affine(norm).half()(x.half())
    assert torch.isfinite(half).all()
    torch.testing.assert_close(half.float(), norm(x).detach(), rtol=2e-2, atol=2e-2)


def test_an_overflow_is_no_empty_frame(random_weights: Path) -> None:
    """Features beyond 65504 are infinite in float16: the answer must not look like one that found nothing."""
    images = pictures(1, *SIZE)
    model, _ = load_weights(random_weights)
    with torch.no_grad():
        for separable in model.backbone.output:
            separable[1].weight.mul_(300)
            separable[2].weight.mul_(3000)
        found = InferenceGraph(halve(model), SETTINGS)(images)
    assert not torch.isfinite(found[1]).any()


@pytest.mark.long
def test_weights_kept_in_float32_get_a_half_file(random_weights: Path, tmp_path: Path) -> None:
    model, info = load_weights(random_weights)
    save_weights(model, info, tmp_path / "full.safetensors", half=False)
    (path,) = export_model(tmp_path / "full.safetensors", tmp_path, [SIZE], SETTINGS, "full", False, "fp16")
    graph = onnx.load(str(path), load_external_data=False)
    assert {e.value for t in graph.graph.initializer for e in t.external_data if e.key == "location"} == {
        "full-fp16.safetensors"
    }
    with open_engine(path) as opened:
        assert opened.submit(pictures(1, *SIZE).numpy()).result()["labels"].shape == (1, 10)


def test_batch_norms_are_all_replaced_and_names_kept() -> None:
    model = build_network("resnet50-fpn-v2", 2).eval()
    plain = without_batch_norm(model)
    assert not [m for m in plain.modules() if isinstance(m, (nn.BatchNorm2d, FrozenBatchNorm2d))]
    kept = {name for name, _ in plain.named_parameters()}
    assert kept <= {name for name, _ in model.named_parameters()}
    assert "backbone.body.layer1.0.conv1.weight" in kept


def test_only_exact_cast_pairs_are_dropped() -> None:
    """float16 → float32 → float16 changes nothing; float32 → float16 → float32 rounds, and stays."""
    node, half, full = helper.make_node, TensorProto.FLOAT16, TensorProto.FLOAT
    nodes = [
        node("Cast", ["x"], ["x16"], to=half),
        node("Cast", ["x16"], ["x32"], to=full),
        node("Cast", ["x32"], ["again"], to=half),
        node("Relu", ["again"], ["y16"]),
        node("Cast", ["y16"], ["y"], to=full),
    ]
    ends = [helper.make_tensor_value_info(name, full, [2]) for name in ("x", "y")]
    model = helper.make_model(helper.make_graph(nodes, "casts", ends[:1], ends[1:]))
    drop_cast_pairs(model)
    assert [(n.op_type, *n.input) for n in model.graph.node] == [("Cast", "x"), ("Relu", "x16"), ("Cast", "y16")]
