"""`streamseg serve` from the command line: it answers until it is told to end, and wrong arguments explain themselves."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason="needs the extra 'live'")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("--max-upload", "much"), "--max-upload: 'much' is not a size"),
        (("--max-duration", "0"), "--max-duration 0: nothing would be taken"),
        (("--model", "nobody"), "nobody"),
        (("--port", "70000"), "--port"),
    ],
)
def test_wrong_arguments_explain_themselves(streamseg, given: tuple[str, ...], told: str) -> None:
    done = streamseg("serve", *given)
    assert done.returncode != 0
    assert told in " ".join(done.stderr.replace("│", " ").split())


def test_a_port_that_is_taken_is_told_before_the_engine_is_loaded(streamseg) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = streamseg("serve", "--port", taken.getsockname()[1])
    assert done.returncode != 0
    assert "cannot listen at 127.0.0.1" in done.stderr
    assert "engine:" not in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_it_answers_and_ends_when_told(known: Path) -> None:
    command = [sys.executable, "-m", "streamseg", "serve", "--port", "0", "--model", str(known), "--threads", "1"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        address = next(found[0] for line in process.stderr if (found := re.search(r"http://\S+", line)))
        with urllib.request.urlopen(f"{address}readyz", timeout=20) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGTERM)
        process.wait(20)
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
    assert process.returncode in (0, -signal.SIGTERM, 128 + signal.SIGTERM)
