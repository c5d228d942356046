"""Several clients of one engine: batches filled across them, in turn, in order; who fails or goes harms no other."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from streamseg.engine import Outputs
from streamseg.engine.images import DeviceImage
from streamseg.engine.shared import WANTS, EngineClient, SharedEngine
from streamseg.errors import EngineError

SIZE = (4, 6)
LONG = 30.0
"""Seconds; a test that waits for this has failed."""


class ManualEngine:
    """Answers when told to, each picture with a box that holds the number painted into it."""

    name, device, precision = "manual", "none", "fp32"
    spec = SimpleNamespace(size=SIZE)

    def __init__(self, in_flight: int = 1) -> None:
        self.in_flight = in_flight
        self.batches: list[list[int]] = []
        self.given: list[object] = []
        self.closed = False
        self.poison: int | None = None
        self._futures: list[Future[Outputs]] = []

    def submit(self, images: object) -> Future[Outputs]:
        if self.closed:
            raise EngineError("manual: the engine is closed")
        self.given.append(images)
        host = images if isinstance(images, np.ndarray) else np.stack([image.host() for image in images])  # type: ignore[attr-defined]
        self.batches.append(host[:, 0, 0, 0].tolist())
        self._futures.append(Future())
        return self._futures[-1]

    def answer(self, i: int) -> None:
        numbers = np.array(self.batches[i], np.float32)
        if self.poison in numbers:
            self._futures[i].set_exception(EngineError("a picture that cannot be computed"))
            return
        self._futures[i].set_result(Outputs({"numbers": numbers}))

    def answer_all(self) -> None:
        """Everything, also what is submitted meanwhile."""
        done = 0
        while done < len(self.batches):
            if not self._futures[done].done():
                self.answer(done)
            done += 1

    def close(self) -> None:
        self.closed = True
        for future in self._futures:
            future.cancel()


def picture(number: int, count: int = 1) -> np.ndarray:
    """A batch of the pictures `number`, `number` + 1, ..."""
    return np.stack([np.full((*SIZE, 3), number + i, np.uint8) for i in range(count)])


def numbers(future: Future[Outputs]) -> list[int]:
    return [int(n) for n in future.result(LONG)["numbers"]]


@contextlib.contextmanager
def shared(engine: ManualEngine, batch: int = 1, max_wait: float | None = 0.0) -> Iterator[SharedEngine]:
    """A shared engine that leaves no thread behind."""
    before = set(threading.enumerate())
    made = SharedEngine(engine, batch, max_wait)
    try:
        yield made
    finally:
        made.close()
        assert set(threading.enumerate()) <= before


def in_thread(work: Callable[[], object]) -> Future[object]:
    """Its result, or what it raised."""
    future: Future[object] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.002)


def test_one_client_alone_is_served_at_once_whatever_the_wait():
    engine = ManualEngine()
    with shared(engine, batch=4, max_wait=LONG) as one:
        client = one.client()
        assert client.together == 4, "it fills its batches itself"
        future = client.submit(picture(7))
        assert engine.batches == [[7]]
        engine.answer(0)
        assert numbers(future) == [7]
        whole = client.submit(picture(1, 4))
        assert engine.given[1].shape == (4, *SIZE, 3)
        engine.answer(1)
        assert numbers(whole) == [1, 2, 3, 4]


def test_batches_are_filled_across_clients_and_each_gets_its_own_answers():
    engine = ManualEngine(in_flight=1)
    with shared(engine, batch=4) as one:
        a, b = one.client(), one.client()
        first = [a.submit(picture(0)), b.submit(picture(100))]  # the engine takes two
        assert engine.batches == [[0], [100]]
        assert a.together == b.together == 1, "others fill the batches too"
        waiting = [
            a.submit(picture(1)),
            b.submit(picture(101)),
            a.submit(picture(2)),
            b.submit(picture(102)),
            a.submit(picture(3)),
        ]
        engine.answer(1)
        assert engine.batches[2] == [1, 101, 2, 102]
        engine.answer_all()
        assert [numbers(f) for f in first + waiting] == [[0], [100], [1], [101], [2], [102], [3]]


def test_what_was_submitted_together_is_answered_together():
    engine = ManualEngine()
    with shared(engine, batch=4) as one:
        a, b = one.client(), one.client()
        held = [a.submit(picture(0)), b.submit(picture(100))]
        pair, triple, single = a.submit(picture(1, 2)), b.submit(picture(101, 3)), a.submit(picture(3))
        engine.answer_all()
        assert engine.batches[2:] == [[1, 2, 3], [101, 102, 103]]
        assert (numbers(pair), numbers(triple), numbers(single)) == ([1, 2], [101, 102, 103], [3])
        assert [numbers(f) for f in held] == [[0], [100]]


def test_one_that_submits_much_leaves_every_other_turn_to_the_others():
    engine = ManualEngine(in_flight=5)
    with shared(engine) as one:
        greedy, modest = one.client(), one.client()
        for i in range(6):
            greedy.submit(picture(i))
        more = in_thread(lambda: [greedy.submit(picture(10 + i)) for i in range(6)])
        until(lambda: greedy.blocked)
        for i in range(3):
            modest.submit(picture(100 + i))
        until(lambda: len(engine.batches) == 6)
        engine.answer_all()
        more.result(LONG)
        engine.answer_all()
        later = [batch[0] for batch in engine.batches[6:]]
        assert [n for n in later if n >= 100] == [100, 101, 102]
        assert later.index(102) <= 5, "no more than one of the greedy one's between two of the other's"


def test_shares_are_halved_when_a_second_client_comes():
    engine = ManualEngine(in_flight=3)
    with shared(engine) as one:
        a, b = one.client(), one.client()
        for i in range(4):
            a.submit(picture(i))
        b.submit(picture(100))
        fifth = in_thread(lambda: a.submit(picture(4)))
        until(lambda: a.blocked)
        engine.answer(0)
        engine.answer(1)
        time.sleep(0.02)
        assert not fifth.done(), "two of four places are its share"
        engine.answer_all()
        fifth.result(LONG)
        engine.answer_all()


def test_a_batch_that_others_may_fill_waits_a_moment_and_no_longer():
    engine = ManualEngine(in_flight=2)
    with shared(engine, batch=2, max_wait=0.05) as one:
        a, b = one.client(), one.client()
        began = time.monotonic()
        b.submit(picture(100))  # alone so far: at once
        assert engine.batches == [[100]]
        future = a.submit(picture(1))
        assert engine.batches == [[100]], "the other one may have a picture for this batch"
        until(lambda: len(engine.batches) == 2)
        assert time.monotonic() - began >= 0.05
        a.submit(picture(2))
        b.submit(picture(101))
        assert engine.batches == [[100], [1], [101, 2]], "a full one goes at once"
        engine.answer_all()
        assert numbers(future) == [1]


def test_a_busy_engine_is_waited_for_longer(monkeypatch):
    monkeypatch.setattr("streamseg.engine.shared.MAX_WAIT_BUSY", LONG)
    engine = ManualEngine(in_flight=1)
    with shared(engine, batch=2, max_wait=None) as one:
        a, b = one.client(), one.client()
        a.submit(picture(0))
        b.submit(picture(100))
        time.sleep(0.03)
        assert engine.batches == [[0]], "while the engine computes, a batch can be filled at no cost"
        engine.answer(0)
        until(lambda: engine.batches == [[0], [100]])


def test_nobody_waits_for_one_that_has_gone_or_that_submits_no_more(monkeypatch):
    engine = ManualEngine(in_flight=4)
    with shared(engine, batch=2, max_wait=LONG) as one:
        a, b, c = one.client(), one.client(), one.client()
        b.submit(picture(100))
        engine.answer(0)
        future = a.submit(picture(1))
        assert engine.batches == [[100]]
        b.close()
        assert engine.batches == [[100], [1]]
        engine.answer(1)
        assert numbers(future) == [1]
        c.submit(picture(200))
        a.submit(picture(2))
        assert engine.batches[2:] == [[200, 2]]
        engine.answer_all()
        monkeypatch.setattr("streamseg.engine.shared.RECENT", 0.0)
        a.submit(picture(3))
        assert engine.batches[3:] == [[3]]
        engine.answer_all()


def test_one_that_does_not_take_its_answers_stops_no_other():
    engine = ManualEngine(in_flight=1)
    with shared(engine) as one:
        stalled, other = one.client(), one.client()
        left = [stalled.submit(picture(i)) for i in range(2)]
        for i in range(20):
            future = other.submit(picture(100 + i))
            engine.answer_all()
            assert numbers(future) == [100 + i]
        assert [numbers(f) for f in left] == [[0], [1]]


def test_a_picture_that_cannot_be_computed_fails_for_its_owner_only():
    engine = ManualEngine()
    engine.poison = 13
    with shared(engine, batch=4) as one:
        a, b = one.client(), one.client()
        held = [a.submit(picture(0)), b.submit(picture(100))]
        good, bad, also = a.submit(picture(1)), b.submit(picture(13)), a.submit(picture(2))
        engine.answer_all()
        assert engine.batches[2] == [1, 13, 2]
        assert (numbers(good), numbers(also)) == ([1], [2])
        with pytest.raises(EngineError, match="cannot be computed"):
            bad.result(LONG)
        assert [numbers(f) for f in held] == [[0], [100]]
        after = b.submit(picture(5))
        engine.answer_all()
        assert numbers(after) == [5]


def test_pictures_of_a_wrong_size_are_refused_before_they_meet_others():
    engine = ManualEngine()
    with shared(engine) as one, pytest.raises(ValueError, match=r"manual: images are uint8 \[1, 2, 2, 3\], expected"):
        one.client().submit(np.zeros((1, 2, 2, 3), np.uint8))


def test_who_is_closed_gives_up_what_waits_and_its_blocked_submit_ends():
    engine = ManualEngine(in_flight=2)
    with shared(engine) as one:
        a, b = one.client(), one.client()
        running = [a.submit(picture(0)), b.submit(picture(100)), b.submit(picture(101))]
        waiting = a.submit(picture(1))
        blocked = in_thread(lambda: a.submit(picture(2)))
        until(lambda: a.blocked)
        a.close()
        a.close()
        with pytest.raises(EngineError, match="ended before the engine ran its pictures"):
            waiting.result(LONG)
        with pytest.raises(EngineError, match="this pipeline has ended"):
            blocked.result(LONG)
        last = b.submit(picture(102))
        engine.answer_all()
        assert [numbers(f) for f in (*running, last)] == [[0], [100], [101], [102]]
        assert not engine.closed


def test_an_answer_that_nobody_wants_is_not_computed():
    engine = ManualEngine(in_flight=2)
    with shared(engine) as one:
        client, other = one.client(), one.client()
        held = [client.submit(picture(0)), other.submit(picture(100)), other.submit(picture(101))]
        unwanted = client.submit(picture(1))
        assert unwanted.cancel()
        engine.answer(1)
        after = other.submit(picture(102))
        engine.answer_all()
        assert engine.batches == [[0], [100], [101], [102]]
        assert [numbers(f) for f in (*held, after)] == [[0], [100], [101], [102]]
        assert client.under_way == other.under_way == 0


def test_closing_while_clients_are_at_work_tells_each_of_them():
    engine = ManualEngine(in_flight=2)
    with shared(engine) as one:
        a, b = one.client(), one.client()
        under_way = [a.submit(picture(0)), b.submit(picture(100)), b.submit(picture(101)), a.submit(picture(1))]
        blocked = in_thread(lambda: a.submit(picture(2)))
        until(lambda: a.blocked)
        one.close()
        for future in (*under_way, blocked):
            with pytest.raises(EngineError, match="the session was closed"):
                future.result(LONG)
        with pytest.raises(EngineError, match="the session was closed"):
            b.submit(picture(102))
        with pytest.raises(EngineError, match="this session is closed"):
            one.client()
        assert engine.closed


def test_pictures_on_a_device_stay_there_unless_others_of_the_batch_are_not():
    torch = pytest.importorskip("torch")

    def there(number: int) -> list[DeviceImage]:
        return [DeviceImage(torch.from_numpy(picture(number)[0]))]

    engine = ManualEngine()
    with shared(engine, batch=3) as one:
        a, b = one.client(), one.client()
        futures = [a.submit(there(0)), b.submit(there(100))]
        futures += [a.submit(there(1)), b.submit(there(101))]
        engine.answer(0)
        assert [type(image) for image in engine.given[2]] == [DeviceImage, DeviceImage]
        futures += [a.submit(there(2)), b.submit(picture(102))]
        engine.answer_all()
        assert isinstance(engine.given[3], np.ndarray)
        assert [numbers(f) for f in futures] == [[0], [100], [1], [101], [2], [102]]


def test_real_engine_many_threads_get_what_is_theirs(tmp_path: Path):
    from streamseg.engine import open_engine
    from tests import graphs

    path = graphs.rectangle_model(tmp_path / "m.onnx", batch=None, size=(32, 48), colours=("red", "green"))
    colours = {0: (255, 0, 0), 1: (0, 255, 0)}
    with shared(open_engine(path, engine="openvino", threads=1, batch=3), batch=3, max_wait=None) as one:  # type: ignore[arg-type]

        def work(label: int) -> int:
            client = one.client()
            for i in range(40):
                image = np.zeros((1, 32, 48, 3), np.uint8)
                image[0, :, : i + 1] = colours[label]
                answer = client.submit(image).result(LONG)
                found = answer["labels"][0] >= 0
                assert answer["labels"][0][found].tolist() == [label]
                assert answer["boxes"][0][found].tolist() == [[0, 0, i + 1, 32]]
            client.close()
            return label

        assert {future.result(LONG) for future in [in_thread(lambda n=n: work(n % 2)) for n in range(4)]} == {0, 1}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_says_at_once_why_it_cannot_use_the_engine():
    engine = ManualEngine()
    with shared(engine) as one:
        client: EngineClient = one.client()
        with one._lock:  # as another thread may hold it in the moment of the fork
            pid = os.fork()
            if pid == 0:
                signal.alarm(10)  # a hang is a failure
                said = []
                for use in (lambda: client.submit(picture(0)), one.client):
                    try:
                        use()
                    except EngineError as error:
                        said.append("which had opened this session" in str(error))
                client.close()
                one.close()
                os._exit(0 if said == [True, True] and not engine.closed else 1)
        assert os.waitpid(pid, 0)[1] == 0


def test_who_can_do_without_gets_the_engine_in_turn_and_never_waits_behind_others():
    engine = ManualEngine(in_flight=1)
    shared = SharedEngine(engine)
    a, b, c = (shared.client() for _ in range(3))
    assert a.turn(), "alone"
    first = a.submit(picture(1))
    assert not b.turn(), "no room"
    assert not c.turn()
    engine.answer(0)
    assert numbers(first) == [1]
    assert not a.turn(), "b and c want it, and had nothing yet"
    assert b.turn()
    b.submit(picture(2))
    engine.answer(1)
    assert c.turn()
    assert not b.turn()
    time.sleep(1.2 * WANTS)  # c and a have gone
    assert b.turn(), "who stalls delays nobody"
    shared.close()


def test_an_engine_that_is_given_up_frees_all_who_wait_and_all_whose_pictures_run():
    engine = ManualEngine(in_flight=1)
    shared = SharedEngine(engine)
    client = shared.client()
    assert shared.silent() == 0
    futures = [client.submit(picture(1)), client.submit(picture(2))]
    time.sleep(0.02)
    assert shared.silent() >= 0.02
    shared.give_up(EngineError("it hangs"))
    for future in futures:
        with pytest.raises(EngineError, match="it hangs"):
            future.result(LONG)
    with pytest.raises(EngineError, match="it hangs"):
        client.submit(picture(4))
    engine.answer(0)  # after all
