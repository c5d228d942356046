"""`precision`: which graph is taken, and in what OpenVINO computes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest

from streamseg.engine import open_engine, openvino
from streamseg.engine.openvino import why_not_bf16
from streamseg.errors import ConfigError, EngineUnavailable, ModelError
from streamseg.hub import catalog, quality
from streamseg.hub.graph_spec import read_spec
from streamseg.hub.quality import Quality
from streamseg.system import cpu, resources
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
    with pytest.raises(ModelError, match=r"m\.onnx is int8, not fp32: leave the precision out, or give a graph that is fp32"):
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


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model `tiny` with a graph of each precision at 64x96, on a CPU that computes int8 and bfloat16 faster."""
    folder = tmp_path / "engines" / "tiny"
    for types in ("fp32", "int8"):
        convolution_model(folder / f"tiny-64x96{'' if types == 'fp32' else '-int8'}.onnx", types=types)
    monkeypatch.setattr(resources, "shipped_folder", lambda name: tmp_path / name)
    monkeypatch.setattr(openvino, "int8_is_faster", lambda: True)
    monkeypatch.setattr(openvino, "bf16_is_faster", lambda: True)
    monkeypatch.setattr(openvino, "why_not_bf16", lambda: None)
    return folder


def figures(folder: Path, **masks: tuple[float, float]) -> None:
    """Note mask AP (of all, of the commonest class) by precision, of the graphs that are there."""
    found = []
    for precision, (mask, common) in masks.items():
        suffix = "-int8" if precision == "int8" else ""
        sha256 = read_spec(folder / f"tiny-64x96{suffix}.onnx").sha256
        found.append(Quality((64, 96), precision, sha256, "9 photos", 30.0, mask, "person", 20.0, common))
    quality.keep(folder, found)


def taken(engine: str = "openvino", **options: Any) -> tuple[str, list[str]]:
    """The precision that runs, and what was said of it."""
    said: list[str] = []
    with open_engine("tiny", engine=engine, on_message=said.append, **options) as opened:
        return opened.precision, [line for line in said if line.startswith("precision: ")]


@pytest.mark.parametrize(
    ("int8", "precision"),
    [((24.0, 14.0), "int8"), ((23.51, 13.51), "int8"), ((23.5, 14.0), "fp32"), ((25.0, 13.5), "fp32")],
)
def test_auto_takes_int8_where_neither_the_mean_nor_the_commonest_class_loses_half_a_point(
    shop: Path, int8: tuple[float, float], precision: str
) -> None:
    figures(shop, fp32=(24.0, 14.0), int8=int8)
    found, said = taken()
    assert found == precision
    assert len(said) == 1
    assert f"{int8[0]:.1f}" in said[0]


def test_auto_takes_bf16_where_int8_costs_too_much(shop: Path) -> None:
    figures(shop, fp32=(24.0, 14.0), int8=(20.0, 14.0), bf16=(24.2, 13.9))
    if why_not_bf16() is None:
        assert taken()[0] == "bf16"


def test_auto_is_fp32_where_nothing_was_measured_or_other_weights_were(shop: Path) -> None:
    assert taken() == ("fp32", [])
    figures(shop, fp32=(24.0, 14.0), int8=(24.0, 14.0))
    assert taken()[0] == "int8"
    convolution_model(shop / "tiny-64x96.onnx", types="fp32")
    with (shop / "tiny-64x96-int8.onnx").open("r+b") as file:  # trained anew: another graph, and nothing known of it
        model = onnx.load_from_string(file.read())
        model.doc_string = "another"
        file.seek(0)
        file.write(model.SerializeToString())
    assert taken() == ("fp32", [])


def test_auto_is_fp32_on_other_cpus_in_other_engines_and_as_it_is_for_a_file(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures(shop, fp32=(24.0, 14.0), int8=(24.0, 14.0))
    assert taken("onnxruntime") == ("fp32", [])
    assert taken(precision="fp32") == ("fp32", [])
    with open_engine(shop / "tiny-64x96.onnx", engine="openvino") as opened:
        assert opened.precision == "fp32"
    monkeypatch.setattr(openvino, "int8_is_faster", lambda: False)
    monkeypatch.setattr(openvino, "bf16_is_faster", lambda: False)
    assert taken() == ("fp32", [])


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"graphs": [{}]}', '{"graphs": [{"size": 3}]}', '{"graphs": 5}'])
def test_figures_that_cannot_be_read_are_none(shop: Path, content: str) -> None:
    (shop / "tiny.quality.json").write_text(content)
    assert taken() == ("fp32", [])


FLAGS = "processor\t: 0\nvendor_id\t: {}\nmodel name\t: A CPU: fast\nflags\t\t: fpu {}\n\nprocessor\t: 1\nflags\t: amx_bf16\n"


@pytest.mark.parametrize(
    ("vendor", "flags", "int8", "bf16"),
    [
        ("GenuineIntel", "avx2", False, False),
        ("GenuineIntel", "avx512_vnni", True, False),
        ("GenuineIntel", "avx512_vnni avx512_bf16", True, False),  # measured there: 1.3 times the time of float32
        ("GenuineIntel", "avx_vnni", True, False),
        ("GenuineIntel", "amx_int8 amx_bf16 avx512_bf16", True, True),
        ("AuthenticAMD", "avx512_vnni avx512_bf16", True, True),
    ],
)
def test_what_is_faster_is_told_from_the_cpus_flags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vendor: str, flags: str, int8: bool, bf16: bool
) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text(FLAGS.format(vendor, flags))
    monkeypatch.setattr(cpu, "_INFO", info)
    assert (cpu.int8_is_faster(), cpu.bf16_is_faster()) == (int8, bf16)
    assert cpu.cpu_name() == "A CPU: fast"


def test_a_system_that_does_not_tell_has_nothing_faster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "_INFO", tmp_path / "none")
    assert (cpu.int8_is_faster(), cpu.bf16_is_faster()) == (False, False)
