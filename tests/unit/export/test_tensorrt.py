"""Our graphs, compiled by TensorRT-RTX without a GPU: each network, precision and size, with batch sizes chosen at run time."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs extra `train`")
pytest.importorskip("onnxruntime", reason="needs extra `onnx`")
pytest.importorskip("tensorrt_rtx", reason="needs extra `rtx`")

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from streamseg.engine import read_spec
from streamseg.engine.tensorrt import TENSORRT_RTX, compile_plan
from streamseg.engine.tensorrt.builder import Built
from streamseg.engine.tensorrt.precision import summary
from streamseg.hub import catalog

ROOT = Path(__file__).parents[3]
PRECISIONS = ("fp32", "fp16", "int8")
TINY = ("fp16", "int8")
LARGE = "256x448"  # for one batch size only: each takes as long as the first
MADE = (("resnet50-fpn-v2", "128x192"), ("resnet50-fpn-v2", LARGE), ("lite", "128x192"))
CASES = [(network, size, precision) for network, size in MADE for precision in PRECISIONS]
Case = tuple[str, str, str]


def compiled(graph: Path, batches: tuple[int, ...] = (1, 4)) -> Built:
    return compile_plan(TENSORRT_RTX, read_spec(graph), batches=batches, capabilities=["sm_89"])


@pytest.fixture(scope="session")
def plans(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Case, Future[Built]]]:
    """Made in processes of their own, two at a time: tracing and compiling use one core each."""
    root = tmp_path_factory.mktemp("graphs")

    def make(network: str, size: str) -> Path:
        folder = root / f"{network}-{size}"
        command = [sys.executable, "-m", "tests.unit.export.make_graphs", network, size, str(folder)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        return folder

    pool = ThreadPoolExecutor(2)
    made = dict(zip(MADE, pool.map(make, *zip(*MADE, strict=True)), strict=True))
    built = {(n, s, p): pool.submit(compiled, made[n, s] / f"{p}.onnx", (2,) if s == LARGE else (1, 4)) for n, s, p in CASES}
    yield built  # each test waits for its own plan
    pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("precision", TINY)
def test_the_compiler_takes_the_types_of_a_tiny_graph(tiny_graphs: dict[str, Path], precision: str) -> None:
    check_types(compiled(tiny_graphs[precision]), precision)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("case", CASES, ids=" ".join)
def test_the_compiler_takes_the_types_of_the_graph(plans: dict[Case, Future[Built]], case: Case) -> None:
    check_types(plans[case].result(), case[2])


def check_types(built: Built, precision: str) -> None:
    """The plan computes the heavy layers in `precision`, and what decides in float32."""
    counts = summary(built.layers)
    convolutions = counts["CONVOLUTION"]
    assert sum(convolutions.values()) > 70
    assert convolutions[precision] > 0.9 * sum(convolutions.values())
    assert precision == "int8" or set(convolutions) == {precision}
    assert ("QUANTIZE" in counts) == (precision == "int8")
    linear = counts["MATRIX_MULTIPLY"]
    assert precision == "fp32" or linear[precision] >= 3, "the box head's linear layers"
    for kind in ("TOPK", "SOFTMAX", "GRID_SAMPLE"):
        assert set(counts[kind]) == {"fp32"}, f"{kind} decides, or places, and stays float32"
    assert not {"NMS", "PLUGIN_V2", "PLUGIN_V3"} & set(counts)
    assert built.plan


@pytest.mark.long
def test_an_fp16_plan_is_smaller(plans: dict[Case, Future[Built]]) -> None:
    full, half = (len(plans["resnet50-fpn-v2", "128x192", p].result().plan) for p in ("fp32", "fp16"))
    assert half < 0.7 * full


@pytest.mark.long
def test_the_shipped_graphs_of_other_types_compile() -> None:
    for plain in catalog.shipped():
        for precision in ("fp16", "int8"):
            beside = plain.with_name(f"{plain.stem}-{precision}.onnx")
            if beside.is_file():
                assert summary(compiled(beside).layers)["CONVOLUTION"][precision] > 80
