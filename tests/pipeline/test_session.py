"""Pipelines on one session: each as if it were alone, whatever the others do, and the engine is opened once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest

import streamseg
from streamseg.errors import ConfigError, EngineError, StreamsegError
from tests import clips, graphs

FRAMES = 12
OVERLAY = {"outputs": {"picture": {"composite": [{"overlay": {"fill": 0.5, "contour": 2}}]}}}
LONG = 60.0


@pytest.fixture(scope="module")
def finder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that finds a red and a green rectangle; any batch."""
    return graphs.rectangle_model(tmp_path_factory.mktemp("model") / "finder.onnx", colours=("red", "green"), batch=None)


def film(path: Path, colour: tuple[int, int, int], step: int, frames: int = FRAMES) -> Path:
    """A rectangle of that colour, `step` pixels further in each picture, without loss."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv444p"
        for index in range(frames):
            picture = np.zeros((64, 96, 3), np.uint8)
            picture[8:40, index * step % 60 : index * step % 60 + 30] = colour
            frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format="yuv444p", threads=1)
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two that a mix-up of answers would confuse."""
    folder = tmp_path_factory.mktemp("films")
    return film(folder / "red.mkv", (255, 0, 0), 3), film(folder / "green.mkv", (0, 255, 0), 5)


@pytest.fixture(autouse=True)
def no_thread_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    lasting = "session" in request.fixturenames  # whose engine may start its threads in any of these tests
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + 5
    while (left := set(threading.enumerate()) - before) and time.monotonic() < deadline and not lasting:
        time.sleep(0.01)
    assert [thread for thread in left if not (lasting and thread.name.startswith("engine-openvino"))] == []


def write(session: streamseg.Session, source: Path, folder: Path) -> tuple[bytes, list[bytes]]:
    """What a run wrote: the lines, and the planes of the picture."""
    folder.mkdir()
    outputs = [folder / "o.jsonl", folder / "o.mkv"]
    report = session.run(source, outputs, pipeline=OVERLAY, codec="ffv1", classes="person,bicycle")
    assert report.frames_done == FRAMES
    planes = [clips.plane_array(frame, i).tobytes() for frame in clips.decoded(outputs[1]) for i in range(3)]
    return outputs[0].read_bytes(), planes


def summary(results: list[streamseg.Result]) -> list[tuple[object, ...]]:
    return [(r.frame.index, r.names, r.boxes.tolist(), r.track_ids.tolist(), [m.sum() for m in r.masks]) for r in results]


def test_masks_said_to_a_session_hold_for_its_films(films, finder):
    """`Session(masks=...)` was a TypeError, so that a session could not leave the mask branch out."""
    sides = {}
    for asked, of_a_film in ((None, None), ("none", None), ("box", None), ("box", "auto"), ("none", "box")):
        with streamseg.Session(model=finder, engine="openvino", threads=1, masks=asked) as session:
            outputs = session._shared.engine.spec.outputs
            [first] = islice(session.stream(films[0], masks=of_a_film), 1)
            sides[asked, of_a_film] = (first.instances.side, "masks" in outputs)
    assert sides == {
        (None, None): (28, True),
        ("none", None): (0, False),
        ("box", None): (1, False),
        ("box", "auto"): (1, False),
        ("none", "box"): (1, False),
    }
    with pytest.raises(ConfigError, match=r"masks: 'off' is not allowed; allowed: 'auto', 'box' or 'none'"):
        streamseg.Session(model=finder, masks="off")


@pytest.mark.parametrize("batch", [1, 3])
def test_two_at_once_write_what_they_write_one_after_the_other(batch, films, finder, tmp_path):
    with streamseg.Session(model=finder, engine="openvino", threads=1, batch=batch) as session:
        alone = [write(session, source, tmp_path / f"alone{i}") for i, source in enumerate(films)]
        with ThreadPoolExecutor(4) as threads:
            again = list(threads.map(lambda i: write(session, films[i % 2], tmp_path / f"at-once{i}"), range(4)))
    for i in range(4):
        assert again[i][0] == alone[i % 2][0]
        assert again[i][1] == alone[i % 2][1]
    assert b"person" in alone[0][0].splitlines()[-2]
    assert b"bicycle" in alone[1][0].splitlines()[-2]
    assert alone[0][1] != alone[1][1]


def test_the_engine_is_opened_once_and_stays_open_until_the_session_ends(films, finder, tmp_path, monkeypatch):
    from streamseg.engine import choose

    opened = []

    def counting(candidate):
        def open(spec, **options):
            opened.append(candidate.open(spec, **options))
            return opened[-1]

        return replace(candidate, open=open)

    monkeypatch.setattr(choose, "CANDIDATES", [counting(c) for c in choose.CANDIDATES])
    with streamseg.Session(model=finder, engine="openvino", threads=1) as session:
        assert "openvino" in repr(session)
        write(session, films[0], tmp_path / "a")
        assert len(list(session.stream(films[1]))) == FRAMES
        for _ in islice(session.stream(films[0]), 2):
            pass
        engine = opened[0]
        assert engine.submit(np.zeros((1, 64, 96, 3), np.uint8)).result(LONG) is not None, "it is open yet"
    assert len(opened) == 1
    with pytest.raises(EngineError, match="closed"):
        engine.submit(np.zeros((1, 64, 96, 3), np.uint8))
    assert repr(session).endswith(", closed)")
    with pytest.raises(EngineError, match=r"^this session is closed, and its engine with it; open another$"):
        next(session.stream(films[0]))
    with pytest.raises(EngineError, match=r"^this session is closed"):
        session.run(films[0], tmp_path / "b.jsonl")


def test_streams_interleave_in_one_thread_with_settings_of_their_own(films, finder):
    with streamseg.Session(model=finder, engine="openvino", threads=1, batch=2) as session:
        expected = [summary(list(session.stream(source))) for source in films]
        pairs = list(zip(session.stream(films[0]), session.stream(films[1]), strict=True))
        assert [summary([pair[i] for pair in pairs]) for i in range(2)] == expected
        assert all(not r.names for r in session.stream(films[0], classes=["bicycle"]))
        assert [r.detected for r in session.stream(films[0], detect_every=3)] == [i % 3 == 0 for i in range(FRAMES)]


def test_coroutines_share_a_session(films, finder):
    async def collect(session, source):
        return summary([result async for result in session.astream(source)])

    async def both(session):
        return await asyncio.gather(*(collect(session, source) for source in films))

    with streamseg.Session(model=finder, engine="openvino", threads=1) as session:
        expected = [summary(list(session.stream(source))) for source in films]
        assert asyncio.run(both(session)) == expected


def test_one_that_is_left_stalls_or_fails_disturbs_no_other(films, finder, tmp_path):
    endless = film(tmp_path / "long.mkv", (255, 0, 0), 1, 300)
    damaged = tmp_path / "damaged.mkv"
    damaged.write_bytes(b"\x1a\x45\xdf\xa3" + bytes(500))
    with streamseg.Session(model=finder, engine="openvino", threads=1, batch=2) as session, ThreadPoolExecutor(2) as threads:
        expected = write(session, films[1], tmp_path / "alone")
        stalled = session.stream(endless)
        next(stalled)
        left = session.stream(endless)
        next(left)
        running = threads.submit(write, session, films[1], tmp_path / "beside")
        left.close()
        with pytest.raises(StreamsegError):
            list(session.stream(damaged))
        with pytest.raises(ConfigError, match="this model knows"):
            session.run(films[0], tmp_path / "no.mkv", classes="unicorn")
        assert running.result(LONG) == expected
        assert next(stalled).frame.index == 1, "and who stalled goes on where he was"
        stalled.close()


def test_a_stage_that_fails_ends_its_own_pipeline_only(films, finder, tmp_path, monkeypatch):
    from streamseg.detect.postprocess import Postprocess

    call = Postprocess.__call__

    def failing(self, pending):
        red = clips.plane_array(pending.frame.picture).max() < 110
        if red and pending.frame.index == 5:
            raise RuntimeError("boom")
        return call(self, pending)

    with streamseg.Session(model=finder, engine="openvino", threads=1, batch=2) as session, ThreadPoolExecutor(1) as threads:
        expected = write(session, films[1], tmp_path / "alone")
        monkeypatch.setattr(Postprocess, "__call__", failing)
        beside = threads.submit(write, session, films[1], tmp_path / "beside")
        with pytest.raises(StreamsegError, match="boom"):
            session.run(films[0], tmp_path / "o.mkv", pipeline=OVERLAY)
        assert beside.result(LONG) == expected
        assert write(session, films[1], tmp_path / "afterwards") == expected


def test_closing_while_pipelines_run_ends_them_with_a_plain_message(finder, tmp_path):
    source = film(tmp_path / "long.mkv", (255, 0, 0), 1, 300)
    session = streamseg.Session(model=finder, engine="openvino", threads=1)
    results = session.stream(source)
    next(results)
    with ThreadPoolExecutor(1) as threads:
        out = tmp_path / "o.mkv"
        running = threads.submit(session.run, source, out, pipeline=OVERLAY, realtime=True, codec="ffv1")
        deadline = time.monotonic() + LONG
        while not out.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        session.close()
        session.close()
        with pytest.raises(EngineError, match="the session was closed, and its engine with it, while this pipeline used it"):
            running.result(LONG)
    with pytest.raises(EngineError, match="the session was closed"):
        list(results)


def test_ctrl_c_finishes_the_file_and_leaves_the_session_usable(films, finder, tmp_path, interrupts):
    source, out = film(tmp_path / "long.mkv", (255, 0, 0), 1, 300), tmp_path / "o.mkv"

    def ctrl_c():
        deadline = time.monotonic() + LONG
        while not (out.exists() and out.stat().st_size > 2000) and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    with streamseg.Session(model=finder, engine="openvino", threads=1) as session:
        thread = threading.Thread(target=ctrl_c)
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            session.run(source, out, pipeline=OVERLAY, realtime=True, codec="ffv1")
        thread.join()
        assert 0 < len(clips.decoded(out)) < 300
        assert len(list(session.stream(films[0]))) == FRAMES


@pytest.mark.parametrize(
    ("infer", "message"),
    [
        ({"model": "other.onnx"}, r"asks for model 'other.onnx', but the engine of this session has model '.*finder.onnx'"),
        ({"batch": 4}, "asks for batch 4, but the engine of this session has batch 2; leave it out of the pipeline, or open a"),
        ({"threads": 3}, "asks for threads 3, but the engine of this session has threads 1"),
        ({"precision": "fp16"}, "asks for precision 'fp16', but the engine of this session has precision 'fp32'"),
        ({"engine": "onnxruntime"}, "asks for engine 'onnxruntime', but the engine of this session has engine 'openvino'"),
        ({"in_flight": 5}, "asks for in_flight 5, but the engine of this session has in_flight 2"),
        ({"require_gpu": True}, "asks for require_gpu True, but the engine of this session has require_gpu False"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_pipeline_that_asks_for_another_engine_is_refused(infer, message, films, session):
    with pytest.raises(ConfigError, match=message):
        session.stream(films[0], pipeline={"infer": infer})
    with pytest.raises(ConfigError, match=message):
        session.run(films[0], "never.mp4", pipeline={"infer": infer})


@pytest.fixture(scope="module")
def session(finder: Path) -> Iterator[streamseg.Session]:
    with streamseg.Session(model=finder, engine="openvino", threads=1, batch=2) as session:
        yield session


def test_a_pipeline_that_asks_for_the_same_engine_or_says_nothing_is_not(films, finder, session):
    same = {"model": str(finder), "batch": 2, "threads": 1, "precision": "fp32", "engine": "openvino", "in_flight": 2}
    for infer in (same, {"model": os.path.relpath(finder)}, {"engine": "auto", "precision": "auto"}, {}):
        assert len(list(session.stream(films[0], pipeline={"infer": infer}))) == FRAMES
    assert len(list(session.stream(films[0], pipeline="drive"))) == FRAMES, "the usual model's name stands for any"


def test_sizes_are_compared_where_the_model_is_the_same(films, finder, session):
    for size in ("64x96", "auto", "largest"):
        pipeline = {"preprocess": {"size": size}, "infer": {"model": str(finder)}}
        assert len(list(session.stream(films[0], pipeline=pipeline))) == FRAMES
    with pytest.raises(ConfigError, match="asks for size '128x192', but the engine of this session has size '64x96'"):
        session.stream(films[0], pipeline={"preprocess": {"size": "128x192"}, "infer": {"model": str(finder)}})


def test_shipped_pipelines_run_at_any_size_of_their_model():
    sizes = {name: streamseg.load_pipeline(name).preprocess.size for name in ("drive", "edit", "live")}
    assert sizes == {"drive": None, "edit": "largest", "live": None}


@pytest.mark.parametrize(
    "wrong", [{"max_wait": -1}, {"max_wait": "soon"}, {"max_wait": float("nan")}, {"batch": 0}, {"in_flight": 0}]
)
def test_options_of_a_session_are_checked(wrong, finder):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        streamseg.Session(model=finder, **wrong)


def test_a_wait_may_be_written_as_times_are(films, finder):
    for wait in (0, "5ms", 0.001):
        with streamseg.Session(model=finder, engine="openvino", threads=1, batch=2, max_wait=wait) as session:
            assert len(list(zip(session.stream(films[0]), session.stream(films[1]), strict=True))) == FRAMES


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_says_at_once_why_it_cannot_use_the_session(films, session, tmp_path):
    uses = (
        lambda: next(session.stream(films[0])),
        lambda: session.run(films[0], tmp_path / "o.mkv"),
        lambda: streamseg.Session(model="lite", engine="openvino"),
    )
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)  # a hang is a failure
        failed = 0
        for use in uses:
            with contextlib.suppress(StreamsegError):
                use()
                failed = 1
        session.close()
        os._exit(failed)
    assert os.waitpid(pid, 0)[1] == 0
    assert len(list(session.stream(films[0]))) == FRAMES, "here it goes on"
