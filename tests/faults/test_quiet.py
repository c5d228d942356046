"""Nothing leaves the machine unasked: no question to a name server, no process, no file in the user's home."""

import fcntl
import importlib.util
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import clips, graphs

WATCHED = """
import json, os, sys, threading
seen = []

def forbid(name, arguments):
    if name.split(".")[0] in ("socket", "subprocess") or name.startswith(("os.fork", "os.exec", "os.posix_spawn", "os.spawn")):
        seen.append(f"{name} in {threading.current_thread().name}")
        raise RuntimeError(f"{name} is forbidden")

sys.addaudithook(forbid)
import streamseg

for engine in sys.argv[3:]:
    assert len(list(streamseg.stream(sys.argv[1], model=sys.argv[2], engine=engine))) == 8, engine
children = [c for t in os.listdir("/proc/self/task") for c in open(f"/proc/self/task/{t}/children").read().split()]
telemetry = sys.modules.get("openvino_telemetry", "not imported, nor hidden")
print(json.dumps({"seen": seen, "children": children, "telemetry": str(telemetry)}))
"""


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """A short film and a model for it."""
    folder = tmp_path_factory.mktemp("quiet")
    return clips.cfr(folder / "a.mp4", 8), graphs.constant_model(folder / "known.onnx")


def bare(home):
    """An environment in which the runtimes' reports are on, with a home that is empty."""
    off = ("CI", "TF_BUILD", "GITHUB_ACTIONS", "JENKINS_URL", "ORT_DISABLE_TELEMETRY")
    return {name: value for name, value in os.environ.items() if name not in off} | {
        "HOME": str(home),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }


def test_no_socket_no_process_no_file_whichever_engine_runs(tmp_path, film):
    engines = ["openvino"] + ["onnxruntime"] * (importlib.util.find_spec("onnxruntime") is not None)
    home = tmp_path / "home"
    home.mkdir()
    command = [sys.executable, "-c", WATCHED, *map(str, film), *engines]
    done = subprocess.run(command, env=bare(home), capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"seen": [], "children": [], "telemetry": "not imported, nor hidden"}
    assert list(home.rglob("*")) == []


NETWORKLESS = [sys.executable, "-m", "tests.faults.test_quiet"]


def test_a_name_server_that_never_answers_is_not_even_asked(tmp_path, film):
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-rnm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system lets no process have a network of its own (unshare -rnm)")
    home, resolver = tmp_path / "home", tmp_path / "resolv.conf"
    home.mkdir()
    resolver.write_text("nameserver 127.0.0.1\n")
    source, model = map(str, film)
    run = [sys.executable, "-m", "streamseg", "run", source, "-o", str(tmp_path / "o.jsonl"), "--model", model, "-q"]
    command = [unshare, "-rnm", *NETWORKLESS, str(resolver), *run, "--engine", "openvino"]
    done = subprocess.run(command, env=bare(home), capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"questions": [], "code": 0, "left": []}
    assert len((tmp_path / "o.jsonl").read_text().splitlines()) > 8


def alone(resolver, command):
    """Run a command where the one name server takes questions and answers none; says what it was asked, and what still runs."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        fcntl.ioctl(server, 0x8914, struct.pack("16sH14x", b"lo", 0x41))  # SIOCSIFFLAGS: IFF_UP, IFF_RUNNING
        subprocess.run(["mount", "--bind", resolver, "/etc/resolv.conf"], check=True)
        server.bind(("127.0.0.1", 53))
        started = subprocess.Popen(command, start_new_session=True)
        code = started.wait()
        time.sleep(0.1)
        members = [stat.parent.name for stat in Path("/proc").glob("[0-9]*/stat") if _session(stat) == started.pid]
        server.setblocking(False)
        questions = []
        while True:
            try:
                questions.append(re.sub(rb"[^a-z]+", b".", server.recv(512)[12:-5]).decode().strip("."))
            except BlockingIOError:
                return {"questions": questions, "code": code, "left": members}


def _session(stat):
    try:
        return int(stat.read_text().rpartition(")")[2].split()[3])
    except OSError:  # it has ended meanwhile
        return None


def test_the_runtimes_are_imported_in_one_place_only():
    package = Path(__file__).parents[2] / "streamseg"
    pattern = re.compile(r"^\s*(import|from) (openvino|onnxruntime)\b", re.MULTILINE)
    assert [str(path.relative_to(package)) for path in package.rglob("*.py") if pattern.search(path.read_text())] == []


def test_openvino_is_whole_and_the_package_can_be_imported_afterwards(monkeypatch):
    from streamseg.system.imports import import_openvino

    assert callable(import_openvino().convert_model)
    mine = object()
    monkeypatch.setitem(sys.modules, "openvino_telemetry", mine)
    import_openvino()
    assert sys.modules["openvino_telemetry"] is mine


@pytest.mark.parametrize(("given", "calls"), [(None, 1), ("1", 1), ("0", 0)])
def test_an_onnxruntime_that_was_imported_before_is_silenced(given, calls, monkeypatch):
    runtime = pytest.importorskip("onnxruntime")
    from streamseg.system.imports import import_onnxruntime

    called = []
    monkeypatch.setattr(runtime, "disable_telemetry_events", lambda: called.append(1))
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    if given is not None:
        monkeypatch.setenv("ORT_DISABLE_TELEMETRY", given)
    assert import_onnxruntime() is runtime
    assert len(called) == calls
    assert os.environ["ORT_DISABLE_TELEMETRY"] == (given or "1")


if __name__ == "__main__":
    print(json.dumps(alone(sys.argv[1], sys.argv[2:])))
