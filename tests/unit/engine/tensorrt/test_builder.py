"""Compiling, with the real TensorRT-RTX compiler, which needs no GPU."""

from __future__ import annotations

import re
import sys
import time

import onnx
import pytest

from streamseg.engine import read_spec
from streamseg.engine.tensorrt import TENSORRT, TENSORRT_RTX, compile_plan, compiler
from streamseg.engine.tensorrt.precision import summary
from streamseg.errors import ConfigError, EngineError, MissingExtra
from streamseg.errors.extras import how_to_install
from streamseg.hub import catalog
from tests import graphs
from tests.unit.engine.tensorrt.convolution import convolution_model


@pytest.mark.parametrize(("size", "batches"), [((256, 448), (1, 4)), pytest.param((320, 576), (1, 4), marks=pytest.mark.long)])
def test_the_shipped_model_compiles(size, batches):
    spec = read_spec(catalog.resolve("lite", size))
    told: list[tuple[str, int, int]] = []
    built = compile_plan(
        TENSORRT_RTX, spec, batches=batches, capabilities=["sm_86", "sm_89"], on_progress=lambda *step: told.append(step)
    )
    assert len(built.plan) > 5_000_000, "smaller than its weights"
    counts = summary(built.layers)
    assert set(counts["CONVOLUTION"]) == {"fp32"}
    assert counts["CONVOLUTION"]["fp32"] > 50
    assert not {"NMS", "PLUGIN_V2", "PLUGIN_V3"} & set(counts), "a layer that not every runtime has"
    assert {phase for phase, _, _ in told} >= {"Building engine"}
    assert all(0 <= done <= total for _, done, total in told)
    assert "Detected 1 inputs and 4 output network tensors" in built.log


@pytest.mark.parametrize("types", ["fp32", "fp16", "int8"])
def test_the_types_of_the_graph_are_those_of_the_engine(tmp_path, types):
    spec = read_spec(convolution_model(tmp_path / "m.onnx", types=types))
    built = compile_plan(TENSORRT_RTX, spec, batches=(1, 3), capabilities=["sm_89"])
    counts = summary(built.layers)
    assert counts["CONVOLUTION"] == {types: 1}
    assert ("QUANTIZE" in counts) == (types == "int8")


@pytest.mark.parametrize(
    ("types", "states", "said"),
    [
        ("fp32", "fp16", r"asked for in fp16, but 1 of 1 convolutions are not \(the first: .*the_convolution, fp32\)"),
        ("fp16", "fp32", "asked for in fp32, but 1 of 1 convolutions"),
        ("int8", "fp32", "asked for in fp32, but 1 layers quantise to int8"),
        ("fp32", "int8", "its graph quantises nothing"),
    ],
)
def test_a_graph_of_other_types_than_it_states_is_refused(tmp_path, types, states, said):
    spec = read_spec(convolution_model(tmp_path / "m.onnx", types=types, states=states))
    with pytest.raises(EngineError, match=said):
        compile_plan(TENSORRT_RTX, spec)


def test_external_weights_are_compiled_in(tmp_path):
    path = graphs.constant_model(tmp_path / "m.onnx")
    inside = compile_plan(TENSORRT_RTX, read_spec(path))
    graphs.move_weights(path)
    outside = compile_plan(TENSORRT_RTX, read_spec(path))
    assert abs(len(outside.plan) - len(inside.plan)) < 10_000


def test_a_graph_that_the_compiler_cannot_read(tmp_path):
    path = graphs.constant_model(tmp_path / "m.onnx")
    model = onnx.load(path)
    model.graph.node[-1].op_type = "NoSuchOperator"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(EngineError, match=r"cannot read .*m\.onnx: .*NoSuchOperator"):
        compile_plan(TENSORRT_RTX, read_spec(path))


def test_batches_and_capabilities_that_cannot_be(tmp_path):
    fixed = read_spec(graphs.constant_model(tmp_path / "f.onnx", batch=2))
    with pytest.raises(ConfigError, match="exported for batches of 2 only, not 1, 4"):
        compile_plan(TENSORRT_RTX, fixed, batches=(1, 4))
    assert compile_plan(TENSORRT_RTX, fixed).plan
    with pytest.raises(ConfigError, match="allowed: 1 to 64"):
        compile_plan(TENSORRT_RTX, fixed, batches=(0,))
    with pytest.raises(ConfigError, match="does not compile for 'sm_61'; allowed: sm_75, sm_80, sm_86"):
        compile_plan(TENSORRT_RTX, fixed, capabilities=["sm_61"])
    with pytest.raises(ConfigError, match="for the GPU that it runs on, not for sm_86; use --engine tensorrt-rtx"):
        compile_plan(TENSORRT, fixed, capabilities=["sm_86"])


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("the bar broke")])
def test_what_is_raised_while_compiling_stops_it_at_once(error):
    """Ctrl-C within the compiler's calls back to Python would be swallowed, and the build would go on for minutes."""
    calls = []

    def progress(phase: str, done: int, total: int) -> None:
        calls.append(time.monotonic())
        raise error

    with pytest.raises(type(error)):
        compile_plan(TENSORRT_RTX, read_spec(catalog.resolve("lite")), on_progress=progress)
    assert len(calls) == 1
    assert time.monotonic() - calls[0] < 1


def test_a_compiler_that_crashes_is_an_error_and_does_not_take_us_with_it(tmp_path, monkeypatch):
    crash = "import os, signal; os.write(2, b'last words'); os.kill(os.getpid(), signal.SIGSEGV)"
    monkeypatch.setattr(compiler, "_CHILD", crash)
    with pytest.raises(EngineError, match=r"ended by SIGSEGV while it compiled .*m\.onnx; try again. last words"):
        compile_plan(TENSORRT_RTX, read_spec(graphs.rectangle_model(tmp_path / "m.onnx")))


def test_what_the_compiler_prints_does_not_get_between_its_answers(tmp_path, monkeypatch):
    noise = "import os; os.write(2, b'x' * 100000); " + compiler._CHILD
    monkeypatch.setattr(compiler, "_CHILD", noise)
    assert compile_plan(TENSORRT_RTX, read_spec(graphs.rectangle_model(tmp_path / "m.onnx"))).plan


def test_a_library_that_is_not_there_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(MissingExtra, match=re.escape(f"tensorrt is not installed; run: {how_to_install('gpu')}")):
        TENSORRT.load()
