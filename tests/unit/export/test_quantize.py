"""int8: what is quantised, by which ranges, what is left out, and what that costs."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("torch", reason="needs extra `train`")
pytest.importorskip("onnxruntime", reason="needs extra `onnx`")

import statistics
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnx import TensorProto, helper, numpy_helper

from streamseg.engine import open_engine
from streamseg.errors import ConfigError, MissingExtra, SourceNotFound
from streamseg.errors.extras import how_to_install
from streamseg.export import calibration
from streamseg.export.calibration import calibration_pictures
from streamseg.export.export import export_model
from streamseg.export.graph import GraphSettings, InferenceGraph
from streamseg.export.quantize import fold_affine, quantize
from streamseg.export.quantizer import insert, layers, ranges, session
from streamseg.export.sensitivity import noise_of, outliers
from streamseg.hub import catalog
from streamseg.networks.weights import load_weights
from tests.unit.networks.compare_detections import differences
from tests.unit.networks.random_networks import pictures

PICTURE = Path(__file__).parents[3] / "docs" / "pedestrians.jpg"


def chain(channels: int = 4, gain: float = 1.0, shared: bool = False) -> onnx.ModelProto:
    """images → Conv a → Mul, Add → Relu → Conv b (→ the same Conv b again) → features; the second scale is `gain` in channel 0."""
    chance = np.random.default_rng(0)
    node = helper.make_node
    scale = np.linspace(0.5, 1.5, channels, dtype=np.float32)
    scale[0] *= gain
    constants = {
        "a": chance.normal(0, 0.2, (channels, 3, 3, 3)).astype(np.float32),
        "b": chance.normal(0, 0.2, (channels, channels, 1, 1)).astype(np.float32),
        "b.bias": chance.normal(0, 1, channels).astype(np.float32),
        "scale": scale.reshape(1, -1, 1, 1),
        "shift": chance.normal(0, 1, (1, channels, 1, 1)).astype(np.float32),
    }
    nodes = [
        node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
        node("Transpose", ["pixels"], ["planar"], perm=[0, 3, 1, 2]),
        node("Conv", ["planar", "a"], ["a_out"], "conv_a", pads=[1, 1, 1, 1]),
        node("Mul", ["a_out", "scale"], ["scaled"], "mul"),
        node("Add", ["scaled", "shift"], ["shifted"], "add"),
        node("Relu", ["shifted"], ["inner"], "relu"),
        node("Conv", ["inner", "b", "b.bias"], ["mid" if shared else "features"], "conv_b"),
    ]
    if shared:
        nodes += [node("Relu", ["mid"], ["again"], "relu2"), node("Conv", ["again", "b", "b.bias"], ["features"], "conv_b2")]
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", 16, 16, 3])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", channels, 16, 16])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def noise_pictures(count: int, size: int = 16) -> list[np.ndarray]:
    return list(np.random.default_rng(1).integers(0, 256, (count, size, size, 3), dtype=np.uint8))


def run(model: onnx.ModelProto, picture: np.ndarray, name: str = "features") -> np.ndarray:
    return session(model, [name]).run([name], {"images": picture[None]})[0]


@pytest.mark.parametrize("shared", [False, True])
def test_scale_and_shift_are_folded_without_changing_the_answer(shared: bool) -> None:
    model, (picture,) = chain(shared=shared), noise_pictures(1)
    before = run(model, picture)
    assert list(fold_affine(model)) == ["a"]
    assert [n.op_type for n in model.graph.node if n.op_type in ("Mul", "Add")] == []
    np.testing.assert_allclose(run(model, picture), before, rtol=1e-4, atol=1e-2)


def test_a_scale_is_not_folded_into_weights_that_others_use_too() -> None:
    model, (picture,) = chain(), noise_pictures(1)
    model.graph.node.append(helper.make_node("Conv", ["planar", "a"], ["other"], "conv_other", pads=[1, 1, 1, 1]))
    before = run(model, picture, "other")
    assert fold_affine(model) == {}
    np.testing.assert_array_equal(run(model, picture, "other"), before)


def test_a_range_holds_all_but_the_given_share_of_the_values_of_all_pictures() -> None:
    images = noise_pictures(5)
    images[3][:2] = 255  # some of one picture's values are the largest of all
    known = ranges(chain(), images, kept=0.99)
    values = np.stack(images).astype(np.float32).ravel()
    assert known["planar"] == pytest.approx(np.quantile(values, 0.99), abs=1)
    assert ranges(chain(), images, kept=1.0)["planar"] == 255


def test_a_quantised_graph_computes_nearly_the_same_from_the_original_weights() -> None:
    model, images = chain(), noise_pictures(4)
    kernel = next(numpy_helper.to_array(t) for t in model.graph.initializer if t.name == "a")
    before = run(model, images[0])
    assert quantize(model, images, excluded=["b"]) == ["b"]
    after = run(model, images[0])
    noise = float(((after - before) ** 2).sum() / (before**2).sum())
    assert 1e-6 < noise < 1e-3, "30 to 60 dB: quantised, and well"
    stored = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    np.testing.assert_array_equal(stored["a"], kernel)
    assert {v.dtype for k, v in stored.items() if "quantized" in k} == set(), "no second copy of the weights"
    (conv_b,) = layers(model)["b"]
    assert conv_b.name == "conv_b"
    quantised = [n for n in model.graph.node if n.op_type == "QuantizeLinear"]
    zeros = [stored[n.input[2]] for n in quantised]
    assert len(quantised) == 2
    assert all(z.dtype == np.int8 and not z.any() for z in zeros), "symmetric: TensorRT takes no other"
    assert sorted(stored[n.input[1]].size for n in quantised) == [1, 4], "one scale for the tensor, one for each output channel"


def test_the_layer_that_adds_most_noise_is_found() -> None:
    """Before a scale of 200 in one channel, the rounding of the input becomes 200 times as large."""
    model, images = chain(gain=200.0), noise_pictures(3)
    fold_affine(model)
    noise = noise_of(model, ranges(model, images), images, list(layers(model)), ["features"])
    assert set(noise) == {"a", "b"}
    alone = onnx.ModelProto()
    alone.CopyFrom(model)
    insert(alone, ranges(model, images), ["b"])
    exact = np.stack([run(model, p) for p in images])
    rough = np.stack([run(alone, p) for p in images])
    assert noise["b"] == pytest.approx(float(((exact - rough) ** 2).sum() / (exact**2).sum()), rel=1e-6)


def test_outliers_are_those_that_make_a_large_share_of_what_is_left() -> None:
    common = {f"layer{i}": 1.0 for i in range(20)}
    assert outliers(common) == []
    assert outliers(common | {"bad": 100.0}) == ["bad"]
    assert outliers(common | {"worse": 100.0, "bad": 20.0}) == ["worse", "bad"]
    assert outliers({f"x{i}": 10.0**i for i in range(20)}) == ["x19", "x18"], "a tenth of all at most"
    assert outliers({}) == []


def test_the_exported_graph_is_quantised_throughout_and_shares_its_weights(tiny_graphs: dict[str, Path]) -> None:
    path = tiny_graphs["int8"]
    assert path.name == "tiny-64x96-int8.onnx"
    assert path.stat().st_size < 1_000_000
    model = onnx.load(str(path), load_external_data=False)
    onnx.checker.check_model(str(path))
    facts = {p.key: p.value for p in model.metadata_props}
    assert facts["streamseg.precision"] == "int8"
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 20)]
    made = {name: node for node in model.graph.node for name in node.output}
    convolutions = [n for n in model.graph.node if n.op_type in ("Conv", "Gemm")]
    eight_bit = [n for n in convolutions if all(made[i].op_type == "DequantizeLinear" for i in n.input[:2])]
    assert len(eight_bit) >= 0.9 * len(convolutions)
    float_inputs = [n for n in model.graph.node if n.op_type in ("TopK", "Softmax", "MatMul", "Exp")]
    assert not [n for n in float_inputs if made[n.input[0]].op_type == "DequantizeLinear"], "decisions stay float32"
    outside = sum(int(e.value) for t in model.graph.initializer for e in t.external_data if e.key == "length")
    assert outside > 8_000_000


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_the_int8_network_finds_what_the_float_one_finds(
    tiny_graphs: dict[str, Path], random_weights: Path, engine: str
) -> None:
    images = pictures(2, 64, 96, seed=7)
    model, _ = load_weights(random_weights)
    with torch.no_grad():
        exact = InferenceGraph(model, GraphSettings(64, 96, 40, 10))(images)
    with open_engine(tiny_graphs["int8"], engine=engine, precision="int8") as opened:
        found = opened.submit(images.numpy()).result()
    rows = differences(exact, found, 0.3, best=3)
    assert len(rows) >= 2
    # In many random networks one detection in six jumps by 20 pixels: the usual ones tell what rounding does.
    pixels, score, mask = (statistics.median(column) for column in zip(*rows, strict=True))
    assert pixels < 6, rows
    assert score < 0.1, rows
    assert mask < 0.12, rows


def test_runtimes_agree_on_the_shipped_graphs_of_other_types() -> None:
    """Matched detections of a real picture: same class, boxes within a few pixels, scores near."""
    plain = catalog.resolve("lite")
    beside = [path for types in ("fp16", "int8") if (path := plain.with_name(f"{plain.stem}-{types}.onnx")).is_file()]
    image = cv2.resize(cv2.imread(str(PICTURE)), (576, 320), interpolation=cv2.INTER_AREA)[None, ..., ::-1].copy()
    with open_engine(plain, engine="openvino") as opened:
        exact = opened.submit(image).result()
    for path in beside:
        for engine in ("openvino", "onnxruntime"):
            with open_engine(path, engine=engine) as opened:
                found = opened.submit(image).result()
            rows, (most, apart) = differences(exact, found, 0.6), (16, 0.25) if "int8" in path.stem else (0.5, 0.01)
            assert len(rows) >= 3
            assert all(pixels < most and score < apart for pixels, score, _ in rows), (path.name, engine, rows)


def test_calibration_frames_are_spread_over_all_sources_alike(tmp_path: Path) -> None:
    for name, count, level in (("a", 40, 50), ("b", 3, 200)):
        (tmp_path / name).mkdir()
        for i in range(count):
            cv2.imwrite(str(tmp_path / name / f"{i:03}.png"), np.full((32, 48, 3), level + i, np.uint8))
    images = calibration_pictures([tmp_path / "a", tmp_path / "b"], (64, 96), frames=16)
    levels = [int(image[32, 48, 0]) for image in images]
    first = [level for level in levels if level < 150]
    assert len(first) == 8
    assert min(first) < 56
    assert max(first) > 80
    assert len(levels) - len(first) == 3, "all that there are of a short one"
    assert all(image.shape == (64, 96, 3) and image.dtype == np.uint8 for image in images)


def test_what_is_missing_is_said(
    tmp_path: Path, random_weights: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(calibration, "sample_clips", list)
    with pytest.raises(ConfigError, match=r"int8 needs pictures .*: streamseg export MODEL --precision int8 --calibrate"):
        export_model(random_weights, tmp_path, [(64, 96)], precision="int8")
    with pytest.raises(SourceNotFound):
        export_model(random_weights, tmp_path, [(64, 96)], precision="int8", calibration=[tmp_path / "none.mp4"])
    with pytest.raises(ConfigError, match="precision is 'fp8'; allowed: fp32, fp16, int8"):
        export_model(random_weights, tmp_path, [(64, 96)], precision="fp8")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtra, match=re.escape(f"onnxruntime is not installed; run: {how_to_install('onnx')}")):
        quantize(chain(), noise_pictures(1))
    assert ort.get_available_providers()
