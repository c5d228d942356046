"""How batches flow through the streams. On a GPU that is not there: see fake.py; real ones are for tests/gpu."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from streamseg.device.driver import OutOfMemory
from streamseg.engine import Engine, read_spec
from streamseg.engine.images import DeviceImage
from streamseg.engine.tensorrt.runtime import TensorRTEngine, load_plan
from streamseg.errors import EngineError
from tests import graphs
from tests.unit.engine.tensorrt import fake
from tests.unit.engine.tensorrt.conftest import RTX, TENSORRT


@pytest.fixture
def spec(tmp_path, world):
    masks = np.ones((1, world.side, world.side))
    model = graphs.constant_model(tmp_path / "m.onnx", masks=masks, size=world.size, detections=world.detections, batch=None)
    return read_spec(model)


def opened(spec, world, library=TENSORRT, in_flight=2, batches=None) -> TensorRTEngine:
    loaded = load_plan(library, b"plan", spec, world.batches)
    engine = TensorRTEngine(loaded, fake.FakeDriver(), spec, batches or world.batches, in_flight)
    engine.prepare()
    world.runs.clear()
    world.launched = 0
    return engine


def pictures(*values: int) -> np.ndarray:
    images = np.zeros((len(values), 8, 12, 3), np.uint8)
    images[:, 0, 0, 0] = values
    images[:, 1:] = 200
    return images


@pytest.mark.parametrize("library", [TENSORRT, RTX], ids=lambda lib: lib.name)
@pytest.mark.parametrize("in_flight", [1, 2, 4])
def test_answers_keep_their_picture_whatever_order_the_streams_run_in(spec, world, library, in_flight):
    with opened(spec, world, library, in_flight) as engine:
        assert isinstance(engine, Engine)
        futures = [engine.submit(pictures(*range(i, i + 1 + i % 4))) for i in range(60)]
        for i, future in enumerate(futures):
            answer = future.result(20)
            expected = np.arange(i, i + 1 + i % 4)
            np.testing.assert_array_equal(answer["labels"], np.repeat(expected[:, None], 3, 1))
            np.testing.assert_array_equal(answer["boxes"][:, 2, 3], expected)
            np.testing.assert_array_equal(answer["masks"][:, 1, 27, 27], expected)
            assert answer["scores"].dtype == np.float32


def test_outputs_are_as_large_as_the_graph_declares(world, tmp_path):
    """Masks of 14: with room for 28 a side the next picture's would be read from the wrong place."""
    world.side = 14
    model = graphs.constant_model(tmp_path / "m.onnx", masks=np.ones((1, 14, 14)), size=world.size, detections=3, batch=None)
    with opened(read_spec(model), world) as engine:
        answer = engine.submit(pictures(5, 6, 7)).result(20)
        assert answer["masks"].shape == (3, 3, 14, 14)
        np.testing.assert_array_equal(answer["masks"], np.broadcast_to([[[[5]]], [[[6]]], [[[7]]]], (3, 3, 14, 14)))


def test_a_batch_runs_at_the_smallest_size_that_holds_it_and_a_larger_one_is_cut(spec, world):
    with opened(spec, world, in_flight=1) as engine:
        for count, ran in ((1, [1]), (2, [4]), (4, [4]), (5, [4, 1]), (11, [4, 4, 4])):
            world.runs.clear()
            answer = engine.submit(pictures(*range(count))).result(20)
            np.testing.assert_array_equal(answer["labels"][:, 0], range(count))
            assert world.runs == ran


def test_nothing_is_allocated_once_it_runs(spec, world):
    with opened(spec, world) as engine:
        assert world.driver is not None
        before = world.driver.allocations, len(world.driver.graphs), len(world.driver.happened), len(world.driver.streams)
        for future in [engine.submit(pictures(1, 2, 3)) for _ in range(20)]:
            future.result(20)
        after = world.driver.allocations, len(world.driver.graphs), len(world.driver.happened), len(world.driver.streams)
        assert before == after


def test_tensorrt_replays_a_graph_and_rtx_captures_its_own(spec, world):
    with opened(spec, world, TENSORRT) as engine:
        engine.submit(pictures(1)).result(20)
        assert world.launched == 1
        assert "without CUDA graphs" not in engine.device
    with opened(spec, world, RTX) as engine:
        engine.submit(pictures(1)).result(20)
        assert world.launched == 0
        assert world.graph_strategy.name == "WHOLE_GRAPH_CAPTURE"


def test_what_cannot_be_captured_is_enqueued_every_time_and_said(spec, world):
    world.capturable = False
    with opened(spec, world) as engine:
        assert engine.submit(pictures(9)).result(20)["labels"][0, 0] == 9
        assert world.launched == 0
        assert world.runs == [1]
        assert "without CUDA graphs" in str(engine)


def test_a_capture_that_fails_halfway_is_not_replayed(spec, world, monkeypatch):
    """The driver may still give a graph: of nothing, whose answer would be the last batch's."""
    original = fake._Context.execute_async_v3

    def fails(context, stream):
        return original(context, stream) if stream not in world.driver.capturing else False

    monkeypatch.setattr(fake._Context, "execute_async_v3", fails)
    with opened(spec, world) as engine:
        for value in (3, 4):
            assert engine.submit(pictures(value)).result(20)["labels"][0, 0] == value
        assert "without CUDA graphs" in engine.device


def test_the_next_batch_is_under_way_before_the_first_is_done(spec, world, monkeypatch):
    released, waiting = threading.Event(), threading.Semaphore(0)
    with opened(spec, world, in_flight=2) as engine:
        original = fake.FakeDriver.synchronize

        def slow(driver, event):
            waiting.release()
            assert released.wait(10)
            original(driver, event)

        monkeypatch.setattr(fake.FakeDriver, "synchronize", slow)
        futures = [engine.submit(pictures(i)) for i in (1, 2)]
        both = waiting.acquire(timeout=10) and waiting.acquire(timeout=10)
        released.set()
        assert both, "the second batch was put into the streams only after the first was done"
        assert [future.result(20)["labels"][0, 0] for future in futures] == [1, 2]


def test_a_plan_of_another_network_is_refused_before_anything_is_allocated(spec, world):
    world.names = ("input", "output")
    with pytest.raises(EngineError, match="has the tensors input, output"):
        load_plan(TENSORRT, b"plan", spec, world.batches)
    world.names, world.size = fake.NAMES, (16, 16)
    with pytest.raises(EngineError, match="takes images of"):
        load_plan(TENSORRT, b"plan", spec, world.batches)


@pytest.mark.parametrize("step", ["deserialize", "context"])
@pytest.mark.parametrize(("error", "kind"), [("bad magic", EngineError), ("CUDA error: out of memory", OutOfMemory)])
def test_what_the_runtime_says_reaches_the_user(spec, world, step, error, kind):
    world.refuse, world.error = step, error
    with pytest.raises(EngineError, match=error) as caught:
        opened(spec, world)
    assert type(caught.value) is kind


def test_a_batch_that_fails_is_an_error_of_its_future(spec, world):
    world.capturable = False
    with opened(spec, world) as engine:
        world.refuse, world.error = "enqueue", "illegal address"
        with pytest.raises(EngineError, match="illegal address"):
            engine.submit(pictures(1)).result(20)


def test_close_frees_the_gpu(spec, world):
    engine = opened(spec, world)
    engine.close()
    engine.close()
    assert world.driver is not None
    assert world.driver.closed
    with pytest.raises(EngineError, match="closed"):
        engine.submit(pictures(1))


class Made:
    """Work that fills pictures on the device, of a stage before the engine: done when its stream is run, not before."""

    def __init__(self, driver: fake.FakeDriver) -> None:
        self.driver = driver
        driver.attach()
        self.stream = driver.stream()

    def picture(self, value: int) -> DeviceImage:
        tensor = torch.full((8, 12, 3), 99, dtype=torch.uint8)
        self.driver.put(self.stream, "work", lambda: tensor.__setitem__((0, 0, 0), value))
        event = self.driver.event()
        self.driver.record(event, self.stream)
        return DeviceImage(tensor, SimpleNamespace(cuda_event=event))


@pytest.mark.parametrize("in_flight", [1, 2])
def test_pictures_that_lie_on_the_gpu_are_taken_there_once_they_are_made(spec, world, in_flight):
    with opened(spec, world, in_flight=in_flight) as engine:
        made = Made(world.driver)
        allocations = world.driver.allocations
        futures = [engine.submit([made.picture(10 * i + k) for k in range(1 + i % 6)]) for i in range(20)]
        for i, future in enumerate(futures):
            np.testing.assert_array_equal(future.result(20)["labels"][:, 0], np.arange(10 * i, 10 * i + 1 + i % 6))
        assert world.driver.allocations == allocations
        # and pictures of the host between them
        np.testing.assert_array_equal(engine.submit(pictures(7, 8)).result(20)["labels"][:, 0], [7, 8])


def test_a_picture_of_another_size_or_type_is_refused(spec, world):
    with opened(spec, world) as engine:
        for tensor in (
            torch.zeros(8, 8, 3, dtype=torch.uint8),
            torch.zeros(8, 12, 3),
            torch.zeros(12, 8, 3, dtype=torch.uint8).transpose(0, 1),
        ):
            with pytest.raises(ValueError, match=r"expected uint8 \[B, 8, 12, 3\]"):
                engine.submit([DeviceImage(tensor)])
        with pytest.raises(ValueError, match="expected uint8"):
            engine.submit([])
