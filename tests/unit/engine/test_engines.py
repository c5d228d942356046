"""Every engine gives the same answers, in order, and none of them is overwritten by the next."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import CancelledError
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from streamseg.engine import open_engine, read_spec
from streamseg.engine.base import PooledEngine
from streamseg.errors import EngineError, EngineUnavailable
from streamseg.system.cores import allowed_cores
from tests import graphs

ENGINES = ["openvino", "onnxruntime"]


def pictures(count: int, size=(64, 96)) -> tuple[np.ndarray, np.ndarray]:
    """`count` pictures with one red rectangle each, all different, and its box."""
    chance = np.random.default_rng(count)
    images = np.zeros((count, *size, 3), np.uint8)
    boxes = np.zeros((count, 4), np.float32)
    for i in range(count):
        x0, y0 = chance.integers(0, size[1] - 20), chance.integers(0, size[0] - 20)
        x1, y1 = x0 + chance.integers(1, 20), y0 + chance.integers(1, 20)
        images[i, y0:y1, x0:x1, 0] = 255
        boxes[i] = x0, y0, x1, y1
    return images, boxes


@pytest.mark.parametrize("side", [28, 14])
@pytest.mark.parametrize("name", ENGINES)
def test_the_answer_is_exactly_the_graphs(tmp_path, name, side):
    mask = np.random.default_rng(1).random((2, side, side), np.float32)
    model = graphs.constant_model(
        tmp_path / "m.onnx",
        boxes=[(1.25, 2.5, 30, 40), (5, 6, 7, 8)],
        scores=[0.75, 0.5],
        labels=[3, 7],
        masks=mask,
        detections=4,
    )
    with open_engine(model, engine=name) as engine:
        answer = engine.submit(np.zeros((1, 64, 96, 3), np.uint8)).result()
    np.testing.assert_array_equal(answer["boxes"][0], [(1.25, 2.5, 30, 40), (5, 6, 7, 8), (0, 0, 0, 0), (0, 0, 0, 0)])
    np.testing.assert_array_equal(answer["scores"][0], [0.75, 0.5, 0, 0])
    np.testing.assert_array_equal(answer["labels"][0], [3, 7, -1, -1])
    np.testing.assert_array_equal(answer["masks"][0, :2], mask)


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("compiled", [1, 4, None])
@pytest.mark.parametrize("batch", [1, 3])
def test_any_number_of_pictures_on_any_kind_of_graph(tmp_path, name, compiled, batch):
    """Graphs of one picture, of four and of any number: batches are cut and padded as needed."""
    model = graphs.rectangle_model(tmp_path / "m.onnx", colours=["red"], batch=compiled)
    with open_engine(model, engine=name, batch=batch) as engine:
        for count in (1, 2, 3, 7):
            images, boxes = pictures(count)
            answer = engine.submit(images).result()
            np.testing.assert_array_equal(answer["boxes"][:, 0], boxes)
            assert answer["labels"].shape == (count, 1)


@pytest.mark.parametrize("name", ENGINES)
def test_answers_keep_their_picture_and_are_not_overwritten(tmp_path, name):
    model = graphs.rectangle_model(tmp_path / "m.onnx", colours=["red"])
    images, boxes = pictures(60)
    with open_engine(model, engine=name, in_flight=2) as engine:
        futures = [engine.submit(images[i : i + 1]) for i in range(60)]
        answers = [future.result() for future in futures]
    np.testing.assert_array_equal(np.concatenate([a["boxes"][:, 0] for a in answers]), boxes)
    answers[0]["boxes"][:] = -1  # they belong to the caller
    assert answers[1]["boxes"][0, 0].tolist() == boxes[1].tolist()


@pytest.mark.parametrize("name", ENGINES)
def test_a_graph_the_runtime_cannot_run(tmp_path, name):
    model = graphs.constant_model(tmp_path / "m.onnx")
    proto = onnx.load(model)
    proto.graph.node[-1].op_type = "NoSuchOperator"
    model.write_bytes(proto.SerializeToString())
    with pytest.raises(EngineError, match=r"cannot (compile|load) .*m\.onnx") as caught:
        open_engine(model, engine=name)
    assert not isinstance(caught.value, EngineUnavailable)


@pytest.mark.parametrize("name", ENGINES)
def test_after_close(tmp_path, name):
    engine = open_engine(graphs.constant_model(tmp_path / "m.onnx"), engine=name)
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.submit(np.zeros((1, 64, 96, 3), np.uint8))


def test_pictures_of_another_shape_are_refused(tmp_path):
    with open_engine(graphs.constant_model(tmp_path / "m.onnx")) as engine:
        for shape in [(64, 96, 3), (1, 96, 64, 3), (0, 64, 96, 3), (1, 64, 96, 1)]:
            with pytest.raises(ValueError, match=r"expected uint8 \[B, 64, 96, 3\]"):
                engine.submit(np.zeros(shape, np.uint8))
        with pytest.raises(ValueError, match="float32"):
            engine.submit(np.zeros((1, 64, 96, 3), np.float32))


@pytest.mark.parametrize("name", ENGINES)
def test_float32_is_not_quietly_bfloat16(tmp_path, name):
    """Where the CPU has bfloat16, OpenVINO by default multiplies float32 matrices in it, which keeps 8 bits of a coordinate."""
    model = graphs.constant_model(tmp_path / "m.onnx", detections=8)
    chance = np.random.default_rng(0)
    left, right = chance.random((1, 8, 256), np.float32), chance.random((256, 4), np.float32)
    proto = onnx.load(model)
    for label, value in (("left", left), ("right", right), ("all_axes", np.array([0, 1, 2, 3]))):
        proto.graph.initializer.append(numpy_helper.from_array(value, label))
    (boxes,) = [node for node in proto.graph.node if node.output[0] == "boxes"]
    proto.graph.node.remove(boxes)
    proto.graph.node.extend(
        [
            helper.make_node("Cast", ["images"], ["float"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMax", ["float", "all_axes"], ["brightest"], keepdims=0),
            helper.make_node("Add", ["left", "brightest"], ["sum"]),  # so that it cannot be computed beforehand
            helper.make_node("MatMul", ["sum", "right"], ["boxes"]),
        ]
    )
    model.write_bytes(proto.SerializeToString())
    with open_engine(model, engine=name) as engine:
        answer = engine.submit(np.ones((1, 64, 96, 3), np.uint8)).result()["boxes"]
    np.testing.assert_allclose(answer, (left + 1) @ right, rtol=1e-5)


class Slow:
    """A runner that waits to be let go, and counts how many run at once."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.lock = threading.Lock()
        self.running = self.most = self.runs = 0

    def __call__(self, images):
        with self.lock:
            self.running += 1
            self.runs += 1
            self.most = max(self.most, self.running)
        self.go.wait(10)
        with self.lock:
            self.running -= 1
        n = len(images)
        kinds = {"boxes": ((1, 4), "f4"), "scores": ((1,), "f4"), "labels": ((1,), "i4"), "masks": ((1, 28, 28), "f4")}
        return {name: np.zeros((n, *shape), kind) for name, (shape, kind) in kinds.items()}


@pytest.fixture
def spec(tmp_path: Path):
    return read_spec(graphs.constant_model(tmp_path / "m.onnx", detections=1))


IMAGE = np.zeros((1, 64, 96, 3), np.uint8)


def test_submit_blocks_when_enough_is_under_way(spec):
    slow = Slow()
    engine = PooledEngine("slow", "test", spec, [slow, slow], 1)
    futures = []

    def feed():
        futures.extend(engine.submit(IMAGE) for _ in range(8))

    feeder = threading.Thread(target=feed)
    feeder.start()
    time.sleep(0.1)
    assert slow.running == 2
    assert feeder.is_alive(), "submit took more than it may hold"
    slow.go.set()
    feeder.join(5)
    assert [len(f.result(5)["boxes"]) for f in futures] == [1] * 8
    assert slow.most == 2
    engine.close()


def test_close_cancels_what_has_not_begun_and_wakes_who_waits_to_submit(spec):
    slow = Slow()
    engine = PooledEngine("slow", "test", spec, [slow], 1)
    first, second = engine.submit(IMAGE), engine.submit(IMAGE)
    refused: list[BaseException] = []

    def wait_for_room():
        try:
            engine.submit(IMAGE)
        except EngineError as error:
            refused.append(error)

    waiter = threading.Thread(target=wait_for_room)
    waiter.start()
    closer = threading.Thread(target=engine.close)
    closer.start()
    with pytest.raises(CancelledError):
        second.result(5)
    waiter.join(5)
    assert not waiter.is_alive()
    assert "closed" in str(refused[0])
    slow.go.set()
    closer.join(5)
    assert not closer.is_alive()
    assert len(first.result(0)["boxes"]) == 1
    assert slow.runs == 1


def test_a_failing_run_reaches_the_future_and_the_engine_goes_on(spec):
    answers = iter([RuntimeError("out of memory"), None])
    slow = Slow()
    slow.go.set()

    def runner(images):
        if (error := next(answers)) is not None:
            raise error
        return slow(images)

    with PooledEngine("flaky", "test", spec, [runner], 1) as engine:
        with pytest.raises(EngineError, match=r"flaky failed to run m\.onnx: out of memory"):
            engine.submit(IMAGE).result(5)
        assert len(engine.submit(IMAGE).result(5)["boxes"]) == 1


@pytest.mark.skipif(not Path("/proc/self/task").is_dir() or allowed_cores() < 2, reason="needs Linux and two cores")
def test_an_engine_on_some_of_the_cores_is_not_tied_to_the_first_of_them():
    """Ten processes with one thread each shared one core (openvinotoolkit/openvino#32444)."""
    program = """
import os, sys, numpy as np
from streamseg.engine import open_engine
with open_engine("lite", engine="openvino", size=(256, 448), threads=1, in_flight=1, precision="fp32") as engine:
    seen = set()
    for _ in range(3):
        future = engine.submit(np.zeros((1, 256, 448, 3), np.uint8))
        while not future.done():
            for task in os.listdir("/proc/self/task"):
                try:
                    seen.add(frozenset(os.sched_getaffinity(int(task))))
                except OSError:
                    pass
print(sorted(map(len, seen)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == f"[{allowed_cores()}]"


FIRST_ANSWERS = """
import faulthandler, sys, threading
faulthandler.dump_traceback_later(30, exit=True)
from pathlib import Path
import numpy as np
from streamseg.engine.openvino import open_openvino
from streamseg.hub.graph_spec import read_spec

spec = read_spec(Path(sys.argv[1]))
engine, both, answers = open_openvino(spec), threading.Barrier(2), []
image = np.zeros((1, *spec.size, 3), np.uint8)
runners = [engine._runners.get() for _ in range(2)]  # without the engine's pool, whose threads begin one after the other

def first(run):
    both.wait()
    answers.append(run(image)["boxes"].shape)

threads = [threading.Thread(target=first, args=(run,)) for run in runners]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(answers)
"""


@pytest.mark.long
def test_two_first_answers_at_once(tmp_path):
    """OpenVINO's binding stood still there for ever, in one process of four."""
    command = [sys.executable, "-c", FIRST_ANSWERS, str(graphs.constant_model(tmp_path / "known.onnx"))]
    for _ in range(12):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "[(1, 8, 4), (1, 8, 4)]\n", "")
