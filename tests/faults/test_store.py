"""FAILURES.md, "tampered engine, foreign engine": refused before a runtime sees them; and a store that is full, shared or cut off.

With real plans of TensorRT-RTX, which compiles with no GPU.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from streamseg.engine import read_spec
from streamseg.engine.store import Entry, Store
from streamseg.engine.tensorrt import TENSORRT_RTX
from streamseg.engine.tensorrt.builder import Built
from streamseg.engine.tensorrt.opener import build_entry
from streamseg.errors import EngineError, ModelError, OutputError
from streamseg.system import folders
from tests import graphs

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Entry:
    folder = tmp_path_factory.mktemp("made")
    spec = read_spec(graphs.rectangle_model(folder / "m.onnx", batch=None))
    return build_entry(TENSORRT_RTX, spec, Store(folder / "engines"), batches=(1, 4), capabilities=["sm_86"])


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "engines")


@pytest.fixture
def entry(made, store) -> Entry:
    """A sound engine in a store of this test's own."""
    shutil.copytree(made.path, store.root / made.path.name)
    store.root.chmod(0o700)
    (found,) = store.entries()
    assert store.problem(found) is None
    return found


def again(store: Store) -> Entry:
    (found,) = store.entries()
    return found


def key_of(entry: Entry):
    assert entry.manifest is not None
    return entry.manifest.key


def test_any_change_of_a_plan_is_found(store, entry):
    sound, chance = entry.plan.read_bytes(), random.Random(3)
    for step in range(60):
        changed = bytearray(sound)
        if step < 40:
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
        elif step < 50:
            del changed[chance.randrange(len(changed)) :]
        else:
            changed += bytes(chance.randrange(1, 100))
        entry.plan.write_bytes(changed)
        with pytest.raises(ModelError, match="is refused"):
            store.read_plan(again(store))
    entry.plan.write_bytes(sound)
    assert store.read_plan(again(store)) == sound


@pytest.mark.parametrize(
    ("field", "value"),
    [("onnx_sha256", "0" * 64), ("version", "99"), ("gpu", "another"), ("capabilities", ["sm_89"]), ("precision", "fp16")],
)
def test_a_manifest_that_tells_of_another_engine_is_refused(store, entry, field, value):
    path = entry.path / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["key"][field] = value
    path.write_text(json.dumps(manifest))
    with pytest.raises(ModelError, match="its manifest is that of another engine"):
        store.read_plan(again(store))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": 2}', "\x00", '{"format": 1, "key": {}}', "9" * 5000])
def test_a_manifest_that_is_none(store, entry, text):
    (entry.path / "manifest.json").write_text(text)
    with pytest.raises(ModelError, match="refused: its manifest is not one"):
        store.read_plan(again(store))


@pytest.mark.parametrize("file", ["plan", "manifest.json"])
def test_a_file_that_is_gone_or_a_link_or_anybodys(store, entry, file, monkeypatch):
    path = entry.path / file
    path.chmod(0o662)
    assert "other users may write" in (store.problem(again(store)) or "")
    path.chmod(0o600)
    moved = path.rename(entry.path / "moved")
    assert "not whole" in (store.problem(again(store)) or "")
    path.symlink_to(moved)
    assert "is a link" in (store.problem(again(store)) or "")
    path.unlink()
    moved.rename(path)
    assert store.problem(again(store)) is None
    if os.geteuid() == 0:
        os.chown(path, 12345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert "belongs to another user" in (store.problem(again(store)) or "")


def test_a_store_that_others_may_write_is_not_believed(store, entry):
    store.root.chmod(0o777)
    assert "other users may write engines (chmod go-w)" in (store.problem(again(store)) or "")


def test_two_builders_at_once_build_once(store, made):
    building, said, makes = threading.Event(), list[str](), list[float]()

    def make() -> Built:
        makes.append(time.monotonic())
        building.set()
        time.sleep(0.3)
        return Built(made.plan.read_bytes(), (), "log\n", 0.3)

    first = threading.Thread(target=lambda: store.add(key_of(made), make))
    first.start()
    assert building.wait(10)
    entry = store.add(key_of(made), make, said.append)
    first.join(10)
    assert len(makes) == 1
    assert said == [f"another process is building {entry.path.name}; waiting for it"]
    assert store.problem(entry) is None


def test_a_builder_that_fails_leaves_nothing_and_lets_the_next_one_in(store, made):
    def fail() -> Built:
        raise EngineError("the compiler gave up")

    with pytest.raises(EngineError, match="gave up"):
        store.add(key_of(made), fail)
    assert store.entries() == []
    assert store.problem(store.add(key_of(made), lambda: Built(b"plan", (), "", 0))) is None


KILLED = """
import os, signal, sys
from pathlib import Path
from streamseg.engine import store as module, read_spec
from streamseg.engine.tensorrt import TENSORRT_RTX
from streamseg.engine.tensorrt.opener import build_entry
def half(path, data):
    path.write_bytes(data[: len(data) // 2])
    if path.name == "plan":
        os.kill(os.getpid(), signal.SIGKILL)
module._write_file = half
build_entry(TENSORRT_RTX, read_spec(Path(sys.argv[1])), module.Store(Path(sys.argv[2])), capabilities=["sm_86"])
"""


def test_a_builder_that_is_killed_leaves_no_half_engine_and_no_lock(store, tmp_path):
    model = graphs.rectangle_model(tmp_path / "m.onnx")
    child = subprocess.run([sys.executable, "-c", KILLED, model, store.root], cwd=ROOT, timeout=60, check=False)
    assert child.returncode == -signal.SIGKILL
    assert store.entries() == []
    assert list(store.root.glob(".building-*")), "the test did not kill it in the middle"
    entry = build_entry(TENSORRT_RTX, read_spec(model), store, capabilities=["sm_86"])
    assert store.problem(entry) is None
    assert not list(store.root.glob(".building-*")), "what the killed one left was not cleared away"


def test_a_full_disk_is_an_output_error_and_leaves_nothing(tmp_path):
    model = graphs.rectangle_model(tmp_path / "m.onnx")
    command = f"ulimit -f 200; exec {sys.executable} -m streamseg build {model} --for sm_86"
    environment = {**os.environ, "STREAMSEG_ENGINES": str(tmp_path / "engines")}
    done = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == OutputError.exit_code, done.stderr
    assert "cannot write the engine" in done.stderr
    assert "make room, or name another folder in STREAMSEG_ENGINES" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path for path in (tmp_path / "engines").iterdir() if path.name != ".locks"] == []


def test_an_engine_that_was_there_survives_a_failed_replacement(store, entry, monkeypatch):
    """A damaged one is replaced by its successor only once that is whole on the disk."""
    entry.plan.write_bytes(b"damaged")
    monkeypatch.setattr("streamseg.engine.store._write_file", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(OutputError, match="No space left"):
        store.add(key_of(entry), lambda: Built(b"plan", (), "", 0))
    assert entry.plan.read_bytes() == b"damaged"
    monkeypatch.undo()
    assert store.read_plan(store.add(key_of(entry), lambda: Built(b"plan", (), "", 0))) == b"plan"


def test_a_place_where_nothing_can_be_kept(tmp_path, made):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"cannot keep engines in .*STREAMSEG_ENGINES"):
        Store(tmp_path / "file" / "engines").add(key_of(made), lambda: Built(b"plan", (), "", 0))
    assert Store(tmp_path / "none").entries() == []


def test_a_model_that_is_named_like_a_path_stays_in_the_store(store, tmp_path):
    path = graphs.rectangle_model(tmp_path / "m.onnx", metadata={"streamseg.name": "../../../evil"})
    entry = build_entry(TENSORRT_RTX, read_spec(path), store, capabilities=["sm_86"])
    assert entry.path.parent == store.root
    assert store.problem(entry) is None


def test_a_cache_that_was_changed_is_not_used(store):
    store.keep_cache("timing-x/../y", b"kernels")
    assert store.cache("timing-x/../y") == b"kernels"
    (path,) = (store.root / ".caches").iterdir()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert store.cache("timing-x/../y") == b""
    path.unlink()
    assert store.cache("timing-x/../y") == b""


def test_where_engines_are_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("STREAMSEG_ENGINES", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert folders.engines_root() == tmp_path / ".cache/streamseg/engines"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # the XDG specification: to be ignored
    assert folders.engines_root() == tmp_path / ".cache/streamseg/engines"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert folders.engines_root() == tmp_path / "cache/streamseg/engines"
    monkeypatch.setenv("STREAMSEG_ENGINES", "~/mine")
    assert folders.engines_root() == tmp_path / "mine"


def test_a_store_that_is_a_link_to_a_larger_disk(store, entry, tmp_path):
    link = tmp_path / "cache"
    link.symlink_to(store.root)
    through = Store(link)
    (found,) = through.entries()
    assert through.problem(found) is None


def test_nothing_is_compiled_for_a_store_that_others_may_write(store, entry):
    store.root.chmod(0o777)
    with pytest.raises(OutputError, match=r"cannot keep engines in .*other users may write engines \(chmod go-w\)"):
        store.add(key_of(entry), lambda: pytest.fail("minutes of compiling for nothing"))


@pytest.mark.timeout(10)
def test_a_log_is_read_only_if_it_is_one_and_shows_no_control_characters(store, entry):
    log = entry.path / "build.log"
    log.write_text("warning: \x1b[2Jgone\n")
    assert store.build_log(entry) == "warning: \\x1b[2Jgone\n"
    log.unlink()
    for make in (lambda: log.symlink_to("/etc/hostname"), lambda: os.mkfifo(log), lambda: None):
        make()
        with pytest.raises(ModelError, match="has no log to show: "):
            store.build_log(entry)
        log.unlink(missing_ok=True)


@pytest.mark.timeout(10)
def test_a_pipe_in_the_manifests_place_is_no_file(store, entry):
    (entry.path / "manifest.json").unlink()
    os.mkfifo(entry.path / "manifest.json")
    assert "manifest.json is no file" in (store.problem(again(store)) or "")
