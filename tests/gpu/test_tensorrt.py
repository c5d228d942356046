"""TensorRT engines on a real GPU: never run yet, for want of one. `STREAMSEG_REQUIRE_GPU=1 pytest tests/gpu` runs them all.

Each test runs with every one of the two libraries that can run here; at least one must, on a machine where a GPU is required.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import wait
from dataclasses import replace

import numpy as np
import pytest

from streamseg.device.driver import Driver
from streamseg.engine import open_engine, read_spec
from streamseg.engine.store import Store
from streamseg.engine.tensorrt import LIBRARIES
from streamseg.engine.tensorrt.opener import build_entry, why_not
from streamseg.errors import EngineError
from streamseg.hub import catalog
from tests import graphs
from tests.unit.engine.tensorrt.convolution import convolution_model
from tests.unit.engine.test_engines import pictures

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(900)]


@pytest.fixture(scope="session")
def engines_folder(tmp_path_factory):
    """One store for all tests, so that each engine is built once."""
    folder = tmp_path_factory.mktemp("engines")
    folder.chmod(0o700)
    return folder


@pytest.fixture(autouse=True)
def _store(gpu, engines_folder, monkeypatch):
    monkeypatch.setenv("STREAMSEG_ENGINES", str(engines_folder))


@pytest.fixture(params=sorted(LIBRARIES))
def library(request, gpu):
    found = LIBRARIES[request.param]
    if (reason := why_not(found)) is None:
        return found
    if os.environ.get("STREAMSEG_REQUIRE_GPU") == "1" and all(why_not(other) for other in LIBRARIES.values()):
        pytest.fail(f"no library can use the GPU: {reason}")
    return pytest.skip(f"{request.param}: {reason}")


def test_a_gpu_is_chosen_where_there_is_one(library, tmp_path):
    with open_engine(graphs.constant_model(tmp_path / "m.onnx"), require_gpu=True) as engine:
        assert engine.name in LIBRARIES


@pytest.mark.parametrize("compiled", [1, 4, None])
def test_any_number_of_pictures_on_any_kind_of_graph(library, tmp_path, compiled):
    model = graphs.rectangle_model(tmp_path / "m.onnx", colours=["red"], batch=compiled)
    with open_engine(model, engine=library.name, batch=3) as engine:
        for count in (1, 2, 3, 7):
            images, boxes = pictures(count)
            answer = engine.submit(images).result(60)
            np.testing.assert_array_equal(answer["boxes"][:, 0], boxes)


@pytest.mark.parametrize("in_flight", [1, 2, 4])
def test_answers_keep_their_picture(library, tmp_path, in_flight):
    model = graphs.rectangle_model(tmp_path / "m.onnx", colours=["red"], batch=None)
    images, boxes = pictures(200)
    with open_engine(model, engine=library.name, in_flight=in_flight, batch=2) as engine:
        futures = [engine.submit(images[i : i + 1 + i % 2]) for i in range(0, 199)]
        answers = [future.result(60) for future in futures]
    np.testing.assert_array_equal([answer["boxes"][0, 0] for answer in answers], boxes[:199])


def test_many_threads_share_an_engine(library, tmp_path):
    model = graphs.rectangle_model(tmp_path / "m.onnx", colours=["red"])
    images, boxes = pictures(40)
    answers: dict[int, np.ndarray] = {}
    with open_engine(model, engine=library.name, in_flight=2) as engine:

        def work(first: int) -> None:
            for i in range(first, 40, 4):
                answers[i] = engine.submit(images[i : i + 1]).result(60)["boxes"][0, 0]

        threads = [threading.Thread(target=work, args=(first,)) for first in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
    np.testing.assert_array_equal([answers[i] for i in range(40)], boxes)


@pytest.mark.parametrize("path", catalog.shipped(), ids=lambda p: p.stem)
def test_the_shipped_model_sees_what_the_cpu_sees(library, path):
    """The bounds are wider than between two CPU engines: a GPU sums in another order, and a tie in NMS may fall otherwise."""
    import cv2

    height, width = read_spec(path).size
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    images = np.stack([cv2.GaussianBlur(noise, (0, 0), sigma) for sigma in (2, 9)])
    answers = []
    for name in ("openvino", library.name):
        with open_engine(path, engine=name, batch=2) as engine:
            answers.append(engine.submit(images).result(600))
    cpu, gpu = answers
    sure = cpu["scores"] > 0.3
    np.testing.assert_array_equal(cpu["labels"][sure], gpu["labels"][sure])
    np.testing.assert_allclose(cpu["scores"], gpu["scores"], atol=0.01)
    np.testing.assert_allclose(cpu["boxes"][sure], gpu["boxes"][sure], atol=0.5)
    np.testing.assert_allclose(cpu["masks"][sure], gpu["masks"][sure], atol=0.05)


def test_the_shipped_model_sees_what_torch_sees_on_the_same_gpu(library):
    from streamseg.engine.torchcuda import why_not_torch

    if (reason := why_not_torch()) is not None:
        pytest.skip(reason)
    images = np.random.default_rng(0).integers(0, 256, (2, 320, 576, 3), np.uint8)
    answers = []
    for name in ("torch", library.name):
        with open_engine("lite", engine=name, batch=2) as engine:
            answers.append(engine.submit(images).result(600))
    np.testing.assert_allclose(answers[0]["scores"], answers[1]["scores"], atol=0.01)


@pytest.mark.parametrize("types", ["fp32", "fp16", "int8"])
def test_every_precision_loads_and_the_plan_says_so(library, tmp_path, types):
    with open_engine(convolution_model(tmp_path / "m.onnx", types=types), engine=library.name) as engine:
        assert engine.spec.precision == types
        assert engine.submit(np.zeros((1, 64, 96, 3), np.uint8)).result(60)["boxes"][0, 0].tolist() == [8, 8, 40, 40]


def test_a_graph_is_captured_and_memory_does_not_grow(library, gpu, tmp_path):
    from cuda.bindings import driver as cuda

    model = graphs.rectangle_model(tmp_path / "m.onnx", colours=["red"], batch=None)
    images, _ = pictures(3)
    with open_engine(model, engine=library.name, in_flight=2, batch=4) as engine, Driver():
        assert "without CUDA graphs" not in engine.device
        free = []
        for _ in range(3):
            wait([engine.submit(images) for _ in range(200)])
            free.append(cuda.cuMemGetInfo()[1])
        assert free[1] - free[2] < 1 << 20


def test_an_engine_of_another_library_version_or_gpu_is_not_loaded(library, tmp_path, monkeypatch):
    spec = read_spec(graphs.rectangle_model(tmp_path / "m.onnx"))
    said: list[str] = []
    build_entry(library, replace(spec, sha256="0" * 64), Store())
    with open_engine(spec.path, engine=library.name, on_message=said.append):
        pass
    assert any("stale" in line for line in said)


def test_a_plan_of_garbage_with_a_matching_hash_is_an_engine_error(library, tmp_path, monkeypatch):
    """What the hash cannot catch, the runtime must: an error, not a crash."""
    from streamseg.engine.tensorrt.runtime import load_plan

    spec = read_spec(graphs.rectangle_model(tmp_path / "m.onnx"))
    with Driver(), pytest.raises(EngineError, match="cannot load the engine"):
        load_plan(library, bytes(1000), spec, (1,))
