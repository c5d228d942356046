"""Processes forked, spawned and ended around a stream: each works or says at once why not, and none hangs."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from streamseg.pixels.filters import Filter
from streamseg.runtime.process import handle_signals
from tests import clips, graphs

PRELUDE = """
import faulthandler, multiprocessing, os, sys, threading, time
import streamseg

FILM, MODEL, ENGINE = sys.argv[1:4]

def use(_=None):
    return len(list(streamseg.stream(FILM, model=MODEL, engine=ENGINE)))

def outcome(job):
    try:
        return job()
    except streamseg.StreamsegError as error:
        return f"{type(error).__name__}: {error}"

def child(job, leave=os._exit):
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        faulthandler.dump_traceback_later(20, exit=True)  # a hang is a failure that says where
        print(outcome(job), flush=True)
        leave(0)
    assert os.waitpid(pid, 0)[1] == 0
"""

BEFORE = """
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(pool.map(use, range(2)))
print(use())
"""

AFTER = """
print(use())
child(use)
child(lambda: "no use", sys.exit)
with multiprocessing.get_context("fork").Pool(1) as pool:
    print(outcome(lambda: pool.map(use, range(1))))

results = streamseg.stream(FILM, model=MODEL, engine=ENGINE)
next(results)
child(lambda: next(results))
child(results.close)
child(lambda: "no use", sys.exit)
child(use)
print(len(list(results)))

started = threading.Event()
def loop():
    while not started.is_set():
        for result in streamseg.stream(FILM, model=MODEL, engine=ENGINE):
            if result.frame.index == 2:
                started.set()
                go_on.wait()
go_on = threading.Event()
thread = threading.Thread(target=loop)
thread.start()
started.wait()
child(use)
child(lambda: "no use", sys.exit)
go_on.set()
thread.join()
print(use())
"""


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """A short film and a model for it."""
    folder = tmp_path_factory.mktemp("forks")
    return clips.cfr(folder / "a.mp4", 8), graphs.constant_model(folder / "known.onnx")


def run(code, film, engine):
    """The lines that a script writes; it must end well."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", PRELUDE + code, *map(str, film), engine]
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_a_fork_before_any_use_works_in_both_processes(film):
    assert run(BEFORE, film, "openvino") == ["[8, 8]", "8"]


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_a_fork_afterwards_works_or_says_why_not(engine, film):
    if engine == "onnxruntime":
        pytest.importorskip("onnxruntime")
    lines = run(AFTER, film, engine)
    advice = "threads do not live on in a fork: start processes by multiprocessing's 'spawn' or 'forkserver', or fork before"
    for i in range(len(lines)):
        if advice in lines[i]:
            lines[i] = lines[i].partition(", and ")[0]
    loaded = "EngineUnavailable: the engine openvino: this process is a fork of one which had loaded OpenVINO"
    working = "StreamsegError: this process is a fork of one in which streamseg was at work"
    assert lines == [
        "8",
        "8" if engine == "onnxruntime" else loaded,
        "no use",
        "[8]" if engine == "onnxruntime" else loaded,
        "StreamsegError: this process is a fork of one in which these results are computed",
        "None",
        "no use",
        working,
        "7",
        working,
        "no use",
        "8",
    ]


def frames(arguments):
    """For a process of its own."""
    import streamseg

    return [result.frame.index for result in streamseg.stream(arguments[0], model=arguments[1], engine="openvino")]


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_processes_that_start_afresh_work_after_a_stream(method, film):
    assert frames(film) == list(range(8))
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.map(frames, [film]) == [list(range(8))]


ENDS = """
results = streamseg.stream(FILM, model=MODEL, engine=ENGINE)
print(next(results).frame.index)
while LINGERS and any(thread.name in ("infer", "track", "link", "smooth", "refine") for thread in threading.enumerate()):
    time.sleep(0.01)
print(time.monotonic())
"""


@pytest.mark.parametrize("lingers", [False, True], ids=["at once", "when all the rest is computed"])
def test_a_program_that_ends_amid_a_stream_ends_at_once(lingers, film):
    """Seen: 20 s where the last stage had a result to give when the program ended: it waited for the program to take it."""
    first, ending = run(f"LINGERS = {lingers}\n{ENDS}", film, "openvino")
    assert first == "0"
    assert time.monotonic() - float(ending) < 9, "it waited for threads that wait for it, or that the interpreter had stopped"


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_signal_that_a_run_handles_still_ends_its_forks():
    handled, pids = [], []
    reading, writing = os.pipe()

    def fork():
        pid = os.fork()
        if pid == 0:
            os.write(writing, b"!")  # until Python has seen to its fork it forgets signals
            time.sleep(20)
            os._exit(3)
        pids.append(pid)

    with handle_signals(handled.append):
        forking = threading.Thread(target=fork)
        forking.start()
        forking.join()
        os.read(reading, 1)
        os.kill(pids[0], signal.SIGTERM)
        assert os.waitstatus_to_exitcode(os.waitpid(pids[0], 0)[1]) == -signal.SIGTERM
        os.kill(os.getpid(), signal.SIGTERM)
    assert handled == [signal.SIGTERM]


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_fork_from_another_thread_survives_this_ones_filters():
    """What a thread keeps for itself is freed in forks of others: libavfilter's slice threads were waited for there for ever."""
    kept = threading.local()
    kept.filter = Filter(("copy", ""))
    assert kept.filter(clips.picture(0)) is not None
    pids = []

    def fork():
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        pids.append(pid)

    forking = threading.Thread(target=fork)
    forking.start()
    forking.join()
    patience = threading.Timer(10, os.kill, (pids[0], signal.SIGKILL))
    patience.start()
    assert os.waitstatus_to_exitcode(os.waitpid(pids[0], 0)[1]) == 0
    patience.cancel()
