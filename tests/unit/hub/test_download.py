"""A file comes whole and checked, and what is here is not fetched twice."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest

from streamseg.errors import ConfigError, ModelError
from streamseg.hub.download import Patience, download
from tests.http_source import Server
from tests.served_file import ServedFile

DATA = random.Random(1).randbytes(700_000)
SHA = hashlib.sha256(DATA).hexdigest()
QUICK = Patience(timeout=5, attempts=3, pause=0.01)


@pytest.fixture
def served():
    return ServedFile(DATA)


@pytest.fixture
def url(served):
    with Server({"/f.bin": served, "/moved.bin": _moved}) as server:
        yield f"{server.url}/f.bin"


def _moved(handler, _):
    handler.send_response(302)
    handler.send_header("Location", "/f.bin")
    handler.end_headers()


def test_a_file_comes_whole_with_its_progress(url, tmp_path):
    steps: list[tuple[int, int | None]] = []
    target = tmp_path / "deep" / "f.bin"
    assert download(url, target, sha256=SHA, on_progress=lambda *step: steps.append(step), patience=QUICK) == SHA
    assert target.read_bytes() == DATA
    assert steps[0] == (0, len(DATA))
    assert steps[-1] == (len(DATA), len(DATA))
    assert steps == sorted(steps)
    assert [p.name for p in target.parent.iterdir() if not p.name.startswith(".")] == ["f.bin"], "no leftovers"


def test_what_is_here_is_not_fetched_again_unless_forced(url, served, tmp_path):
    target = tmp_path / "f.bin"
    for _ in range(2):
        assert download(url, target, sha256=SHA[:8], patience=QUICK) == SHA
    assert len(served.requests) == 1
    download(url, target, sha256=SHA[:8], force=True, patience=QUICK)
    assert len(served.requests) == 2
    target.write_bytes(b"damaged")
    download(url, target, sha256=SHA[:8], patience=QUICK)
    assert target.read_bytes() == DATA


def test_a_later_call_goes_on_where_an_earlier_one_was_cut(url, served, tmp_path):
    target = tmp_path / "f.bin"
    served.script = ["cut:300000", "503", "503", "503"]
    with pytest.raises(ModelError, match="goes on from there"):
        download(url, target, sha256=SHA, patience=QUICK)
    assert not target.exists()
    said: list[str] = []
    assert download(url, target, sha256=SHA, on_message=said.append, patience=QUICK) == SHA
    assert target.read_bytes() == DATA
    assert served.requests[-1]["range"] == "bytes=300000-"
    assert served.requests[-1]["if-range"] == '"1"'
    assert served.sent == len(DATA), "no byte came twice"
    assert said == []


def test_an_interrupt_leaves_what_came(url, served, tmp_path):
    def interrupt(done, total):
        if done > 100_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(url, tmp_path / "f.bin", sha256=SHA, on_progress=interrupt, patience=QUICK)
    left = (tmp_path / "f.bin.part").stat().st_size
    assert 100_000 < left < len(DATA)
    download(url, tmp_path / "f.bin", sha256=SHA, patience=QUICK)
    assert served.requests[-1]["range"] == f"bytes={left}-"
    assert (tmp_path / "f.bin").read_bytes() == DATA


def test_redirects_are_followed(url, tmp_path):
    assert download(url.replace("/f.bin", "/moved.bin"), tmp_path / "f.bin", patience=QUICK) == SHA


def test_a_proxy_of_the_environment_is_used(served, tmp_path, monkeypatch):
    with Server({"http://models.example/f.bin": served}) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert download("http://models.example/f.bin", tmp_path / "f.bin", patience=QUICK) == SHA


def test_a_password_in_the_address_is_sent_and_not_shown(url, served, tmp_path):
    secret = url.replace("://", "://me:p%40ss@")
    download(secret, tmp_path / "f.bin", patience=QUICK)
    assert served.requests[0]["authorization"] == "Basic bWU6cEBzcw=="
    served.script = ["401"]
    with pytest.raises(ModelError, match="401") as caught:
        download(secret, tmp_path / "g.bin", patience=QUICK)
    assert "p%40ss" not in str(caught.value)
    assert not list(Path(tmp_path).glob("g.bin*"))


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://host/f", "f.bin", "http://host:port/f"])
def test_what_is_not_an_address_is_refused(address, tmp_path):
    with pytest.raises(ConfigError, match="address"):
        download(address, tmp_path / "f.bin", patience=QUICK)
