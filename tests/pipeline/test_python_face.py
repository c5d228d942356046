"""What a Python user meets beside results: coroutines, wrong arguments, help."""

import asyncio
import contextlib
import inspect
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import streamseg
from streamseg.errors import ConfigError, SourceNotFound, StreamsegError, Unreadable
from tests import clips


def ours():
    """The threads there are beside this one."""
    return set(threading.enumerate()) - {threading.main_thread()}


@pytest.fixture
def film(tmp_path):
    return clips.cfr(tmp_path / "a.mp4", 60)


async def all_gone(before, seconds=5.0):
    until = time.monotonic() + seconds
    while ours() - before and time.monotonic() < until:
        await asyncio.sleep(0.01)
    return not ours() - before


def test_a_coroutine_gets_the_same_results(film, known):
    async def collect():
        return [(r.frame.index, r.names) async for r in streamseg.astream(film, model=known, classes="person")]

    before = ours()
    assert asyncio.run(collect()) == [(r.frame.index, r.names) for r in streamseg.stream(film, model=known, classes="person")]
    assert ours() <= before


def test_the_event_loop_goes_on_while_a_result_is_waited_for(film, known, monkeypatch):
    from streamseg.detect.preprocess import Preprocess

    original, may_go, answers = Preprocess.__call__, threading.Event(), []

    def held(self, frame):
        answers.append(may_go.wait(10.0))
        return original(self, frame)

    monkeypatch.setattr(Preprocess, "__call__", held)

    async def let_go():
        """Only a loop that goes on comes to it."""
        for _ in range(10):
            await asyncio.sleep(0.01)
        may_go.set()

    async def watch():
        results = streamseg.astream(film, model=known)
        going = asyncio.create_task(let_go())
        first = await anext(results)
        await going
        await results.aclose()
        return first

    assert asyncio.run(watch()).frame.index == 0
    assert answers[0], "the loop stood still until the picture was let go without it"


def test_leaving_a_coroutines_loop_ends_the_threads(film, known):
    async def leave():
        before = ours()
        async for result in streamseg.astream(film, model=known):
            if result.frame.index == 3:
                break
        assert await all_gone(before)
        async with contextlib.aclosing(streamseg.astream(film, model=known)) as results:
            await anext(results)
        assert not ours() - before

    asyncio.run(leave())


def test_a_task_that_is_cancelled_ends_with_its_threads(film, known, monkeypatch):
    from streamseg.detect.preprocess import Preprocess

    reached = threading.Event()

    def stuck(self, frame):
        reached.set()
        time.sleep(0.5)

    monkeypatch.setattr(Preprocess, "__call__", stuck)

    async def take():
        async for _ in streamseg.astream(film, model=known):
            pass

    async def cancel():
        before = ours()
        task = asyncio.create_task(take())
        while not reached.is_set():
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not ours() - before

    asyncio.run(cancel())


def test_waiting_for_a_camera_that_is_off_can_be_cancelled(known):
    with socket.socket() as nobody:  # bound, but it does not listen: refused at once, and waited for
        nobody.bind(("127.0.0.1", 0))
        address = f"rtsp://127.0.0.1:{nobody.getsockname()[1]}/main"

        async def wait():
            async for _ in streamseg.astream(address, model=known):
                pass

        async def cancel():
            before = ours()
            task = asyncio.create_task(wait())
            await asyncio.sleep(0.3)
            began = time.monotonic()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not ours() - before
            return time.monotonic() - began

        assert asyncio.run(cancel()) < 5, "it would wait for half a minute"


def test_errors_reach_a_coroutine(tmp_path, known):
    async def first(source, **options):
        return await anext(streamseg.astream(source, **options))

    with pytest.raises(SourceNotFound, match="none"):
        asyncio.run(first(tmp_path / "none.mp4", model=known))
    with pytest.raises(ConfigError, match="conf: 2 is not allowed"):
        streamseg.astream("a.mp4", conf=2)
    with pytest.raises(TypeError, match="unexpected keyword argument 'confidence'"):
        streamseg.astream("a.mp4", confidence=2)
    damaged = clips.cfr(tmp_path / "a.mp4", 20)
    damaged.write_bytes(damaged.read_bytes()[:900])
    with pytest.raises(Unreadable):
        asyncio.run(first(damaged, model=known))


class Nothing:
    """Of no use to anybody."""


class Broken:
    def __repr__(self):
        raise RuntimeError("no")


WRONG = [
    True,
    -1,
    float("nan"),
    10**30,
    "x" * 5000,
    "a\0b",
    b"abc" * 999,
    np.zeros((480, 640, 3), np.uint8),
    [],
    ["a", 1],
    {"a": 1},
    Nothing,
    Nothing(),
    Broken(),
    lambda: 0,
    iter([]),
    1j,
]
OPTIONS = [name for name in inspect.signature(streamseg.stream).parameters if name not in ("source", "model")]


def said(call):
    """What a call with a wrong value says; it may be right."""
    try:
        call()
    except StreamsegError as error:
        text = str(error)
        assert " at 0x" not in text
        assert len(text) < 500
        assert "array(" not in text
        return text
    return ""


@pytest.mark.parametrize("value", WRONG, ids=lambda v: type(v).__name__)
def test_a_wrong_value_is_answered_by_a_sentence(value, tmp_path, known, make_config, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = clips.cfr(tmp_path / "a.mp4", 1)
    for option in OPTIONS:
        text = said(lambda option=option: list(streamseg.stream(source, **({"model": known} | {option: value}))))
        assert not text or option in text or (option == "end" and "duration" in text)
    for call in (
        lambda: list(streamseg.stream(value, model=known)),
        lambda: list(streamseg.stream(source, model=value)),
        lambda: streamseg.probe(value),
        lambda: streamseg.load_pipeline(value),
        lambda: streamseg.run(value, tmp_path / "o.mp4", pipeline=make_config()),
        lambda: streamseg.run(source, tmp_path / "o.mp4", pipeline=value),
    ):
        assert said(call)
    said(lambda: streamseg.run(source, value, pipeline=make_config()))


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (
            np.zeros((480, 640, 3), np.uint8),
            "a source is a path, an address, a camera's number or an iterable of pictures, not an array (ndarray of uint8, "
            "[480, 640, 3]); it is one picture: give a list of pictures",
        ),
        (
            b"\0\0\0 ftyp" * 9,
            "a source is a path, an address, a camera's number or an iterable of pictures, not 72 bytes (bytes)",
        ),
        (None, "a source is a path, an address, a camera's number or an iterable of pictures, not None"),
        (0.5, "a source is a path, an address, a camera's number or an iterable of pictures, not 0.5"),
    ],
)
def test_what_is_no_source_is_named_not_printed(source, sentence):
    with pytest.raises(SourceNotFound) as raised:
        next(streamseg.stream(source))
    assert str(raised.value) == sentence


def test_other_kinds_of_path_and_number_are_taken(tmp_path, known):
    class Named:
        def __fspath__(self):
            return bytes(clips.cfr(tmp_path / "a.mp4", 2))

    assert len(list(streamseg.stream(Named(), model=known, classes=np.array(["person"]), threads=np.int64(1)))) == 2
    with pytest.raises(SourceNotFound, match="/dev/video98"):
        next(streamseg.stream(np.int64(98), model=known))


def test_a_wrong_output_is_refused_before_the_source_is_opened(tmp_path, make_config):
    source = clips.cfr(tmp_path / "a.mp4", 1)
    with pytest.raises(StreamsegError, match="no output can have this name"):
        streamseg.run(source, tmp_path / ("x" * 300 + ".mp4"), pipeline=make_config())
    with pytest.raises(ConfigError, match="overwrite: True or False is needed, not 'yes'"):
        streamseg.run(source, Path("o.mp4"), pipeline=make_config(), overwrite="yes")


def test_an_output_that_is_none_is_asked_for_as_an_argument(film, known):
    with pytest.raises(ConfigError, match=r"^nothing to write: say where with output \("):
        streamseg.run(film, None, model=known)
    with pytest.raises(ConfigError, match=r"^conf: True is not allowed; a number is needed$"):
        next(iter(streamseg.stream(film, model=known, conf=True)))
