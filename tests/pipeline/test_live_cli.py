"""`streamseg live` as a person types it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest

from tests import clips


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return clips.cfr(tmp_path_factory.mktemp("film") / "film.mp4", 20, 25)


def test_a_file_is_checked_without_watching(streamseg, known, film, tmp_path):
    path = tmp_path / "cameras.yaml"
    path.write_text(
        f"engine: {{model: {known}}}\ncameras:\n  door: {film}\n  yard: {{source: rtsp://10.0.0.7/x, classes: [person]}}\n"
    )
    done = streamseg("live", path, "--check")
    assert (done.returncode, done.stderr) == (0, f"{path}: 2 cameras, nothing wrong\n")


def test_all_that_is_wrong_is_told_with_its_line(streamseg, known, film, tmp_path):
    path = tmp_path / "cameras.yaml"
    path.write_text(
        f"engine: {{model: {known}, batsh: 2}}\n"
        "defaults: {conf: 7}\n"
        "cameras:\n"
        f"  door: {{source: {film}, effects: [blurr]}}\n"
        "  1: 0\n"
        "  yard: {classes: [person]}\n"
    )
    done = streamseg("live", path, "--check")
    assert done.returncode == 3
    for line, said in (
        (1, "engine.batsh: unknown key; did you mean 'batch'?"),
        (2, "defaults.conf: 7 is not allowed"),
        (4, "there is no such effect; did you mean 'blur'?"),
        (6, "cameras.yard.source: a value is needed"),
    ):
        assert any(f"{path}:{line}: " in told and said in told for told in done.stderr.splitlines()), (line, done.stderr)
    assert '1 is no name; YAML reads some words as values: write it in quotes, as "1"' in done.stderr


def test_classes_that_the_model_lacks_are_told_for_all_cameras_at_once(streamseg, known, film, tmp_path):
    path = tmp_path / "cameras.yaml"
    path.write_text(
        f"engine: {{model: {known}}}\ncameras:\n  a: {{source: {film}, classes: [unicorn]}}\n"
        f"  b: {{source: {film}, lines: {{door: {{points: [[0, 0], [1, 1]], classes: [dragon]}}}}}}\n"
    )
    done = streamseg("live", path, "--check")
    assert done.returncode == 3
    assert f"{path}:3: camera a: classes: there is no 'unicorn'" in done.stderr
    assert f"{path}:4: camera b: events: door: unknown class 'dragon'" in done.stderr


def test_what_belongs_into_the_file_is_no_flag_beside_it(streamseg, tmp_path):
    path = tmp_path / "cameras.yaml"
    path.write_text("cameras: {a: 0}\n")
    done = streamseg("live", path, "--classes", "person")
    assert done.returncode == 3
    assert "--classes: " in done.stderr
    assert "defaults" in done.stderr
    assert "leave out 1, or name it there" in streamseg("live", path, "1").stderr


@pytest.mark.parametrize("check", [(), ("--check",)])
def test_a_file_without_cameras_is_told_at_once(streamseg, tmp_path, check):
    path = tmp_path / "cameras.yaml"
    path.write_text("cameras:\n")
    done = streamseg("live", path, "--page", "off", *check)
    assert done.returncode == 3
    assert f"{path}: there are no cameras in it; name one or more" in done.stderr


@pytest.mark.parametrize(
    ("typo", "code", "said"),
    [(False, 0, "all films have ended"), (True, 5, "all films have ended, and all other cameras failed")],
)
def test_it_ends_where_nothing_is_left_and_nobody_can_ask_for_it_again(streamseg, known, film, tmp_path, typo, code, said):
    sources = [film, *([tmp_path / "no-such.mp4"] if typo else [])]
    done = streamseg("live", *sources, "--page", "off", "--model", known, "--threads", "1")
    assert (done.returncode, done.stderr.count("nothing is watched any more")) == (code, 1), done.stderr
    assert f"nothing is watched any more: {said}\n" in done.stderr


@pytest.mark.long
@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="a signal that Windows lacks")
def test_hangup_reads_the_file_again_and_termination_ends_it(known, film, tmp_path):
    path = tmp_path / "cameras.yaml"
    path.write_text(f"engine: {{model: {known}, threads: 1}}\ncameras:\n  a: {{source: {film}, loop: true}}\n")
    command = [sys.executable, "-m", "streamseg", "live", str(path), "--page", "off"]
    with open(tmp_path / "said.txt", "w+") as said:
        running = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=dict(os.environ))
        try:
            until(lambda: "a: watching" in (tmp_path / "said.txt").read_text(), running)
            running.send_signal(signal.SIGHUP)
            until(lambda: "was read again: nothing has changed" in (tmp_path / "said.txt").read_text(), running)
            began = time.monotonic()
            running.terminate()
            assert running.wait(20) == 143
            assert time.monotonic() - began < 6
        finally:
            with contextlib.suppress(ProcessLookupError):
                running.kill()
            running.wait(20)


def until(true, running):
    deadline = time.monotonic() + 60
    while not true():
        assert running.poll() is None, "it ended"
        assert time.monotonic() < deadline
        time.sleep(0.05)
