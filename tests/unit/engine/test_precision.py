"""`precision`: which graph is taken, and in what OpenVINO computes it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from streamseg.engine import open_engine, openvino
from streamseg.engine.openvino import why_not_bf16
from streamseg.errors import ConfigError, EngineUnavailable, ModelError
from streamseg.hub import catalog
from tests import graphs
from tests.unit.engine.tensorrt.convolution import convolution_model

PICTURE = Path(__file__).parents[3] / "docs" / "pedestrians.jpg"
IMAGE = np.zeros((1, 64, 96, 3), np.uint8)


@pytest.mark.parametrize("types", ["fp32", "fp16", "int8"])
@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_a_graph_of_any_types_runs_on_a_cpu_and_says_in_what(tmp_path: Path, types: str, name: str) -> None:
    model = convolution_model(tmp_path / "m.onnx", types=types)
    with open_engine(model, engine=name, precision=types) as engine:
        assert engine.submit(IMAGE).result()["labels"][0, 0] == 0
        assert ("int8 and float32" if types == "int8" else "(float32") in engine.device


def test_a_file_of_another_precision_than_asked_for_is_refused(tmp_path: Path) -> None:
    model = convolution_model(tmp_path / "m.onnx", types="int8")
    with pytest.raises(ModelError, match=r"m\.onnx is int8, not fp32: leave the precision out, or give a fp32 graph"):
        open_engine(model, precision="fp32")
    with pytest.raises(ModelError, match="is int8, not fp32"):
        open_engine(model, precision="bf16")
    with open_engine(model) as engine:  # auto: as it is
        assert engine.spec.precision == "int8"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"precision": "fp8"}, "unknown precision 'fp8'; known: auto, fp32, bf16, fp16, int8"),
        (
            {"precision": "bf16", "engine": "onnxruntime"},
            "bf16 is a precision of openvino on a CPU, not of the engine onnxruntime",
        ),
        ({"precision": "bf16", "require_gpu": True}, "not of a GPU; use fp16"),
    ],
)
def test_what_cannot_be_is_said(tmp_path: Path, options: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        open_engine(graphs.constant_model(tmp_path / "m.onnx"), **options)  # type: ignore[arg-type]


def test_bf16_on_a_cpu_without_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino, "why_not_bf16", lambda: "this CPU (old) has no bfloat16 arithmetic (AVX512_BF16 or AMX)")
    with pytest.raises(EngineUnavailable, match=r"this CPU \(old\) has no bfloat16 .*: leave the precision bf16 out"):
        open_engine(graphs.constant_model(tmp_path / "m.onnx"), precision="bf16", engine="openvino")


@pytest.mark.skipif(why_not_bf16() is not None, reason="this CPU has no bfloat16 arithmetic")
def test_bf16_is_near_the_exact_answer_and_is_not_it() -> None:
    model = catalog.resolve("lite", (256, 448))
    images = cv2.resize(cv2.imread(str(PICTURE)), (448, 256), interpolation=cv2.INTER_AREA)[None, ..., ::-1].copy()
    answers = []
    for precision in ("fp32", "bf16"):
        with open_engine(model, precision=precision) as engine:
            answers.append(engine.submit(images).result())
            assert ("bfloat16" in engine.device) == (precision == "bf16")
    exact, rough = answers
    assert not np.array_equal(exact["scores"], rough["scores"])
    assert exact["scores"][0, 0] > 0.5
    np.testing.assert_allclose(rough["scores"][0, 0], exact["scores"][0, 0], atol=0.1)
