"""Broken connections, servers and disks: a download goes on, begins again or says why not, and never leaves a wrong file."""

from __future__ import annotations

import hashlib
import os
import random
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from streamseg.errors import ModelError, OutputError
from streamseg.hub import download as module
from streamseg.hub.download import Patience, download
from tests.http_source import Server
from tests.served_file import ServedFile

ROOT = Path(__file__).parents[2]
DATA = random.Random(2).randbytes(700_000)
SHA = hashlib.sha256(DATA).hexdigest()
QUICK = Patience(timeout=0.4, attempts=3, pause=0.01)


@pytest.fixture
def served():
    return ServedFile(DATA)


@pytest.fixture
def url(served):
    with Server({"/f.bin": served}) as server:
        yield f"{server.url}/f.bin"


@pytest.fixture
def target(tmp_path):
    return tmp_path / "f.bin"


@pytest.mark.parametrize(
    "script",
    [["cut:100000", "cut:1", "cut:400000"], ["stall:250000"], ["500", "cut:9"], ["503", "429"], ["cut:0", "408"]],
)
def test_failures_are_tried_again_from_where_they_happened(url, served, target, script):
    served.script = list(script)
    said: list[str] = []
    assert download(url, target, sha256=SHA, on_message=said.append, patience=QUICK) == SHA
    assert target.read_bytes() == DATA
    assert served.sent == len(DATA), "no byte came twice"
    assert len(said) == len(script)
    assert all("trying again in" in line for line in said)


def test_the_server_says_how_long_to_wait(url, served, target):
    served.script, served.extra = ["503"], {"Retry-After": "1"}
    began = time.monotonic()
    download(url, target, sha256=SHA, patience=QUICK)
    assert 1 <= time.monotonic() - began < 3


def test_a_server_that_never_brings_anything_new_is_given_up(url, served, target):
    served.script = ["cut:5000"] + ["stall:0"] * 9
    with pytest.raises(ModelError, match="nothing came in time, 3 times without anything new; what came is kept"):
        download(url, target, sha256=SHA, patience=QUICK)
    assert len(served.requests) == 4
    assert not target.exists()


@pytest.mark.parametrize("ranged", [True, False], ids=["a range beyond it", "no ranges"])
def test_a_server_that_loses_what_it_sent_is_given_up(url, served, target, ranged):
    """It once looked like progress for ever: the same bytes again and again."""
    served.ranges = False
    served.script = ["cut:90000", *(["416"] if ranged else []), "cut:90000"] * 9
    with pytest.raises(ModelError, match="3 times without anything new"):
        download(url, target, sha256=SHA, patience=QUICK)
    assert len(served.requests) == 4


@pytest.mark.parametrize("status", [404, 403, 410])
def test_a_plain_no_is_not_asked_again(url, served, target, status):
    served.script = [str(status)] * 5
    with pytest.raises(ModelError, match=f"cannot fetch .*f.bin: {status}"):
        download(url, target, sha256=SHA, patience=QUICK)
    assert len(served.requests) == 1


def test_a_server_without_ranges_sends_all_again(url, served, target):
    served.ranges, served.script = False, ["cut:300000"]
    assert download(url, target, sha256=SHA, patience=QUICK) == SHA
    assert target.read_bytes() == DATA
    assert served.sent == 300_000 + len(DATA)


@pytest.mark.parametrize("honest", [True, False], ids=["by If-Range", "found by the hash"])
def test_a_file_that_changed_on_the_server_is_fetched_from_its_beginning(url, served, target, honest):
    new = DATA[:1000][::-1] + DATA[1000:]
    served.script = ["cut:300000", "404"]
    with pytest.raises(ModelError, match="404"):
        download(url, target, patience=QUICK)
    served.data = new
    if honest:
        served.etag = '"2"'
    expected = hashlib.sha256(new).hexdigest()
    assert download(url, target, sha256=expected, patience=QUICK) == expected
    assert target.read_bytes() == new


def test_a_file_that_became_shorter_is_fetched_from_its_beginning(url, served, target):
    served.script = ["cut:300000", "404"]
    with pytest.raises(ModelError, match="404"):
        download(url, target, patience=QUICK)
    served.data, served.etag = DATA[:1000], ""
    assert download(url, target, patience=QUICK) == hashlib.sha256(DATA[:1000]).hexdigest()


def test_without_version_and_hash_nothing_is_pieced_together(url, served, target):
    served.etag, served.script = "", ["cut:300000"]
    download(url, target, patience=QUICK)
    assert target.read_bytes() == DATA
    assert all("range" not in asked for asked in served.requests)


def test_another_hash_is_named_and_nothing_is_kept(url, target, tmp_path):
    with pytest.raises(ModelError) as caught:
        download(url, target, sha256="0123abcd", patience=QUICK)
    assert SHA in str(caught.value)
    assert "expected was 0123abcd…" in str(caught.value)
    assert not list(tmp_path.glob("f.bin*"))


def test_a_length_that_is_not_kept_is_noticed(url, served, target):
    served.announce, served.ranges = len(DATA) + 5, False
    with pytest.raises(ModelError, match=f"the connection ended after {len(DATA)} of {len(DATA) + 5} bytes"):
        download(url, target, patience=QUICK)
    assert not target.exists()


def test_an_unasked_encoding_is_not_kept_as_the_file(url, served, target):
    served.extra = {"Content-Encoding": "gzip"}
    with pytest.raises(ModelError, match="encoding gzip"):
        download(url, target, patience=QUICK)


def test_without_a_connection_it_says_what_to_do(target):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    url = f"http://127.0.0.1:{port}/f.bin"
    said: list[str] = []
    with pytest.raises(ModelError) as caught:
        download(url, target, on_message=said.append, patience=QUICK)
    message = str(caught.value)
    assert f"fetch {url} on another machine" in message
    assert "streamseg models import FILE" in message
    assert len(said) == 1, "one more try, no more"


def test_two_at_once_fetch_once(url, served, target):
    said: list[str] = []
    held = threading.Event()

    def slowly(done, total):
        held.wait(0.5)

    threads = [
        threading.Thread(
            target=download,
            args=(url, target),
            kwargs={"sha256": SHA, "on_message": said.append, "on_progress": slowly, "patience": QUICK},
        )
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    while not said and any(thread.is_alive() for thread in threads):
        time.sleep(0.01)
    held.set()
    for thread in threads:
        thread.join(10)
    assert said == ["another process is fetching f.bin; waiting for it"]
    assert served.sent == len(DATA)
    assert target.read_bytes() == DATA


def test_too_little_room_is_said_before_anything_is_fetched(url, served, target, monkeypatch):
    usage = type("Usage", (), {"free": 600_000})
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(OutputError, match=r"needs 1 MB more, but .* has room for 1 MB; make room"):
        download(url, target, sha256=SHA, patience=QUICK)
    assert not target.exists()
    assert not (target.parent / "f.bin.part").exists()


LIMITED = """
import resource, sys
from pathlib import Path
from streamseg.hub.download import download
from streamseg.errors import StreamsegError
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
try:
    download(sys.argv[1], Path(sys.argv[2]))
except StreamsegError as error:
    print(error)
    sys.exit(error.exit_code)
"""


def test_a_disk_that_fills_up_is_said_and_what_came_is_kept(url, served, target):
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, url, target], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False
    )
    assert done.returncode == OutputError.exit_code, done.stderr
    assert "f.bin.part: File too large; 400000 bytes are kept" in done.stdout
    assert download(url, target, sha256=SHA, patience=QUICK) == SHA
    assert served.requests[-1]["range"] == "bytes=400000-"


def test_a_folder_that_may_not_be_written_names_the_variable(url, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("STREAMSEG_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(OutputError, match=r"cannot make the folder .*; .* STREAMSEG_CACHE"):
        download(url, tmp_path / "file" / "cache" / "f.bin", patience=QUICK)
    if os.geteuid() != 0:
        sealed = tmp_path / "sealed"
        sealed.mkdir(mode=0o500)
        with pytest.raises(OutputError, match="STREAMSEG_CACHE"):
            download(url, sealed / "f.bin", patience=QUICK)


def test_https_is_not_left_for_http():
    from urllib.request import Request

    from streamseg.system.http import _Redirects

    with pytest.raises(ModelError, match="from https to http is not followed"):
        _Redirects().redirect_request(Request("https://a.example/f"), None, 302, "", None, "http://a.example/f")
