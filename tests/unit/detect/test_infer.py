"""Batches are filled in order, flushed at the end, and nobody waits for one that never comes."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np
import pytest

from streamseg.core.types import Frame
from streamseg.detect.infer import Infer
from streamseg.detect.preprocess import Prepared
from streamseg.engine.images import DeviceImage
from streamseg.engine.outputs import Outputs
from streamseg.errors import EngineError
from streamseg.pixels.letterbox import Letterbox


class FakeEngine:
    """Answers, when told to, with a box that holds the number painted into the picture."""

    name, device, spec = "fake", "none", None
    together = 64

    def __init__(self) -> None:
        self.submitted: list[tuple[np.ndarray, Future[Outputs]]] = []
        self.broken: Exception | None = None

    def submit(self, images: np.ndarray) -> Future[Outputs]:
        if self.broken:
            raise self.broken
        self.submitted.append((images, Future()))
        return self.submitted[-1][1]

    def answer(self, i: int) -> None:
        images, future = self.submitted[i]
        n = len(images)
        boxes = np.broadcast_to(images[:, 0, 0, :1, None].astype(np.float32), (n, 1, 4))
        future.set_result(Outputs({"number": boxes}))

    def close(self) -> None:
        raise AssertionError("the engine is not the stage's to close")


def prepared(index: int) -> Prepared:
    frame = Frame(av.VideoFrame(8, 6, "gray"), index, index, Fraction(1, 25))
    return Prepared(frame, np.full((6, 8, 3), index, np.uint8), Letterbox(1, 1, 0, 0, 8, 6))


def number(pending) -> float:
    return pending.future.result(1)["number"][pending.slot, 0, 0]


def test_one_by_one_each_frame_is_submitted_at_once():
    engine = FakeEngine()
    infer = Infer(engine)
    pending = [infer(prepared(i)) for i in range(3)]
    assert [len(images) for images, _ in engine.submitted] == [1, 1, 1]
    for i in (2, 0, 1):  # answers may come in any order
        engine.answer(i)
    assert [number(p) for p in pending] == [0, 1, 2]
    assert [p.frame.index for p in pending] == [0, 1, 2]


def test_batches_are_filled_and_the_rest_is_flushed():
    engine = FakeEngine()
    infer = Infer(engine, batch=3)
    pending = [infer(prepared(i)) for i in range(7)]
    assert [len(images) for images, _ in engine.submitted] == [3, 3]
    assert not pending[6].future.done()
    infer.flush()
    infer.flush()
    assert [len(images) for images, _ in engine.submitted] == [3, 3, 1]
    for i in range(3):
        engine.answer(i)
    assert [number(p) for p in pending] == list(range(7))


def test_a_placeholder_is_not_looked_at_and_nothing_waits_for_the_camera():
    engine = FakeEngine()
    infer = Infer(engine, batch=3)
    waiting = infer(prepared(0))
    away = replace(prepared(1), frame=replace(prepared(1).frame, lost="it is away"))
    assert infer(away).future is None
    engine.answer(0)
    assert number(waiting) == 0
    assert [len(images) for images, _ in engine.submitted] == [1]


def test_a_failed_batch_fails_for_each_of_its_frames():
    engine = FakeEngine()
    infer = Infer(engine, batch=2)
    pending = [infer(prepared(i)) for i in range(2)]
    engine.submitted[0][1].set_exception(EngineError("out of memory"))
    for p in pending:
        with pytest.raises(EngineError, match="out of memory"):
            p.future.result(1)


def test_an_engine_that_refuses_fails_also_the_frames_that_wait():
    engine = FakeEngine()
    infer = Infer(engine, batch=2)
    first = infer(prepared(0))
    engine.broken = EngineError("closed")
    with pytest.raises(EngineError, match="closed"):
        infer(prepared(1))
    with pytest.raises(EngineError, match="closed"):
        first.future.result(1)


def test_closing_gives_up_on_a_batch_that_was_not_full():
    engine = FakeEngine()
    infer = Infer(engine, batch=2)
    pending = infer(prepared(0))
    infer.close()
    with pytest.raises(EngineError, match="before the batch was full"):
        pending.future.result(1)
    assert engine.submitted == []


def test_an_engine_closed_meanwhile_is_an_error_not_a_wait():
    engine = FakeEngine()
    pending = Infer(engine)(prepared(0))
    engine.submitted[0][1].cancel()
    with pytest.raises(EngineError, match="closed before it ran"):
        pending.future.result(1)


def test_a_batch_below_one_is_refused():
    with pytest.raises(ValueError, match="batch is 0"):
        Infer(FakeEngine(), batch=0)


def there(index: int) -> Prepared:
    """As `prepared`, on a device; torch's CPU stands in for it."""
    import torch

    here = prepared(index)
    assert isinstance(here.image, np.ndarray)
    return replace(here, image=DeviceImage(torch.from_numpy(here.image)))


def test_pictures_on_a_device_are_handed_over_where_they_are():
    engine = FakeEngine()
    infer = Infer(engine, batch=2)
    given = [there(0), there(1)]
    for item in given:
        infer(item)
    assert engine.submitted[0][0] == [item.image for item in given]


def test_a_batch_of_both_kinds_goes_by_way_of_the_host():
    engine = FakeEngine()
    infer = Infer(engine, batch=3)
    pending = [infer(make(i)) for i, make in enumerate((there, prepared, there))]
    engine.answer(0)
    assert [number(p) for p in pending] == [0, 1, 2]


def test_a_sample_of_a_picture_is_the_same_on_either_side():
    here = replace(prepared(0), image=np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8))
    import torch

    np.testing.assert_array_equal(replace(here, image=DeviceImage(torch.from_numpy(here.image))).sample(2), here.sample(2))


def test_where_others_fill_the_batches_too_each_picture_goes_at_once():
    from streamseg.engine.shared import SharedEngine

    engine = FakeEngine()
    engine.in_flight, engine.spec = 2, SimpleNamespace(size=(6, 8))
    one = SharedEngine(engine, batch=2, max_wait=0.0)
    mine, other = one.client(), one.client()
    infer = Infer(mine, batch=2)
    first = infer(prepared(0))
    assert engine.submitted == [], "alone it gathers a batch, as it does with an engine of its own"
    other.submit(prepared(9).image[None])
    pending = [first, infer(prepared(1)), infer(prepared(2))]
    assert [len(images) for images, _ in engine.submitted] == [1, 2, 1]
    engine.answer(1)
    engine.answer(2)
    assert [number(p) for p in pending] == [0, 1, 2]
