"""Standard input as a source and standard output as an output: a clean stream, or a plain refusal."""

import errno
import io
import json
import os
import subprocess
import sys
import threading

import av
import pytest

from streamseg.decode import Decoder
from streamseg.decode.address import parse_source
from streamseg.errors import ConfigError, OutputError, OutputIsInput, SourceError, SourceNotFound
from streamseg.pipeline.build import build_pipeline
from streamseg.pipeline.outputs import in_format, plan
from tests import clips


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return clips.cfr(tmp_path_factory.mktemp("clip") / "a.mp4", 12, audio=True)


@pytest.fixture
def piped():
    """`piped(call)`: what `call` writes to a standard output that is a pipe, which cannot go back."""

    def run(call):
        reading, writing = os.pipe()
        saved, got = os.dup(1), []
        os.dup2(writing, 1)
        os.close(writing)

        def read():
            with os.fdopen(reading, "rb") as pipe:
                got.append(pipe.read())

        reader = threading.Thread(target=read)
        reader.start()
        try:
            call()
        finally:
            os.dup2(saved, 1)
            os.close(saved)
            reader.join()
        return got[0]

    return run


@pytest.mark.parametrize("suffix", [".mkv", ".ts", ".mp4", ".mov", ".webm"])
def test_a_film_goes_through_a_pipe(piped, clip, make_config, suffix):
    """With its sound, and playable without going back; also what a library prints meanwhile is not in it."""

    def call():
        pipeline = build_pipeline(clip, make_config(), [f"-{suffix}"])
        sink = pipeline.sinks[0][1]
        original = type(sink).__call__

        def noisy(self, rendered):
            original(self, rendered)
            os.write(1, b"a library's line\n")

        type(sink).__call__ = noisy
        try:
            report = pipeline.run()
        finally:
            type(sink).__call__ = original
        assert report.outputs[0].path == "standard output"
        assert report.outputs[0].frames == 12

    data = piped(call)
    assert b"a library's line" not in data
    with av.open(io.BytesIO(data)) as container:
        assert len(container.streams.audio) == 1
        frames = list(container.decode(video=0))
    assert [clips.read_index(clips.plane_array(frame)) for frame in frames] == list(range(12))
    first = frames[0].time
    assert [frame.time - first for frame in frames] == pytest.approx([i / 25 for i in range(12)], abs=0.002)


def test_the_command_line_writes_results_to_a_pipe_and_words_to_the_terminal(streamseg, clip, known):
    done = streamseg("run", clip, "--model", known, "-o", "-", "--format", "jsonl")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["frame"] for line in lines[1:] if "event" not in line] == list(range(12))
    assert "12 frames" in done.stderr


def test_fragments_go_into_a_named_pipe(clip, make_config, tmp_path):
    """It cannot go back either: the index was written behind the film, into nothing."""
    fifo, got = tmp_path / "o.mp4", []
    os.mkfifo(fifo)
    reader = threading.Thread(target=lambda: got.append(fifo.read_bytes()))
    reader.start()
    build_pipeline(clip, make_config(), [str(fifo)], overwrite=True).run()
    reader.join()
    with av.open(io.BytesIO(got[0])) as container:
        assert len(list(container.decode(video=0))) == 12


@pytest.mark.parametrize("form", ["ts", "jsonl"])
def test_a_reader_that_has_had_enough_ends_it_in_silence(form, known, tmp_path):
    """`streamseg run … -o - | head -c 100`."""
    clip = clips.cfr(tmp_path / "long.mp4", 200)
    command = [sys.executable, "-m", "streamseg", "run", clip, "--model", known, "-q", "-o", "-", "--format", form]
    with subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        assert len(run.stdout.read(100)) == 100
        run.stdout.close()
        said = run.stderr.read()
        assert run.wait(20) == 141
    assert said == b""


def test_standard_output_needs_a_format_and_can_be_had_once(clip, make_config):
    outputs = make_config().outputs
    with pytest.raises(ConfigError, match=r"-o - is standard output: say in which format with --format \(one of mkv"):
        plan(outputs, ["-"])
    with pytest.raises(ConfigError, match="both would write"):
        plan(outputs, ["-.mkv", "-.jsonl"])
    assert [t.path for t in plan(outputs, in_format(["-", "a.mp4"], "MKV"))] == ["-.mkv", "a.mp4"]
    assert in_format(["picture=-"], "ts") == ["picture=-.ts"]
    for name in ("/dev/stdout", "/dev/fd/1"):
        assert in_format([name], "ts") == ["-.ts"]
        with pytest.raises(ConfigError, match="-o - is standard output"):
            plan(outputs, [name])
    with pytest.raises(ConfigError, match="--format avi: cannot be written to standard output; allowed: mkv"):
        in_format(["-"], "avi")
    with pytest.raises(ConfigError, match="format of a file is its ending"):
        in_format(["a.mp4"], "mkv")
    with pytest.raises(ConfigError, match="--json prints the report"):
        in_format(["-"], "mkv", report=True)
    with pytest.raises(ConfigError, match="--json prints the report"):
        in_format(["picture=/dev/stdout"], "mkv", report=True)


def test_what_stands_beside_an_output_needs_a_name(make_config):
    config = make_config("outputs: {picture: {composite: [overlay]}, alpha: {path: '{stem}.alpha.mov', composite: [alpha]}}")
    with pytest.raises(ConfigError, match=r"no name to put NAME\.alpha\.mov beside; say where with -o alpha=PATH"):
        plan(config.outputs, ["-.mkv"])
    assert [t.path for t in plan(config.outputs, ["-.mkv", "alpha=a.mov"])] == ["-.mkv", "a.mov"]


def test_a_terminal_gets_no_film(clip, make_config, monkeypatch):
    monkeypatch.setattr(os, "isatty", lambda fd: fd == 1)
    with pytest.raises(OutputError, match=r"standard output is a terminal, which cannot show \.mkv; pipe it"):
        build_pipeline(clip, make_config(), ["-.mkv"])


def test_closed_standard_streams_are_said(clip, known, tmp_path, monkeypatch, make_config):
    monkeypatch.setattr(sys, "__stdout__", None)
    with pytest.raises(OutputError, match="standard output is closed"):
        build_pipeline(clip, make_config(), ["-.mkv"])
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(SourceNotFound, match="standard input is closed"):
        build_pipeline("-", make_config(), [str(tmp_path / "o.mkv")])


def test_a_terminal_is_no_source(make_config, monkeypatch, tmp_path):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stdin", terminal)
    with pytest.raises(SourceError, match="standard input is a terminal: pipe a video into it"):
        build_pipeline("-", make_config(), [str(tmp_path / "o.mkv")])


def test_no_file_takes_the_place_of_a_closed_stream(clip, known, tmp_path):
    """Seen: with standard output closed the film was opened as descriptor 1, where libraries print."""
    code = (
        "import os, sys; from streamseg.cli import errors; errors.fill_closed();"
        "print(min(os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT), 3), file=sys.stderr if len(sys.argv) > 2 else sys.stdout)"
    )
    run = [sys.executable, "-c", code, str(tmp_path / "x")]
    shell = '"$0" "$@" {}'
    for closed in ("0<&-", "0<&- 2>&-"):
        done = subprocess.run(["sh", "-c", shell.format(closed), *run], capture_output=True, text=True, timeout=30, check=False)
        assert done.stdout == "3\n", done.stderr
    done = subprocess.run(
        ["sh", "-c", shell.format("1>&-"), *run, "err"], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stderr == "3\n"


def test_a_file_on_standard_input_is_read_as_one_and_not_written_onto(clip, make_config, monkeypatch, tmp_path):
    """`streamseg run - < film.mp4`, whose index stands at its end; the shell's file is the source all the same."""
    film = clips.cfr(tmp_path / "film.mp4", 30, video=clips.Video(size=(480, 320), options={"crf": "0", "preset": "ultrafast"}))
    before = film.read_bytes()
    assert before.index(b"moov") > 300_000
    saved = os.dup(0)
    with film.open() as stdin:
        os.dup2(stdin.fileno(), 0)
        try:
            monkeypatch.setattr(sys, "stdin", os.fdopen(0, closefd=False))
            with pytest.raises(OutputIsInput):
                build_pipeline("-", make_config(), [str(film)], overwrite=True)
            report = build_pipeline("-", make_config(), [str(tmp_path / "o.mkv")]).run()
        finally:
            os.dup2(saved, 0)
            os.close(saved)
    assert report.frames_done == 30
    assert film.read_bytes() == before


@pytest.mark.parametrize("name", ["/dev/stdin", "/dev/fd/0"])
def test_standard_input_has_other_names(name, monkeypatch):
    """Seen: /dev/stdin of a pipe: 'no such file'."""
    reading, writing = os.pipe()
    os.close(writing)
    with os.fdopen(reading) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert (parse_source(name).kind, parse_source(name).url) == ("pipe", "-")


def test_what_the_shell_substitutes_is_read(tmp_path):
    """`streamseg run <(command)`: /dev/fd/63, which leads to a pipe that has no path."""
    data = clips.ts(tmp_path / "a.ts", 20).read_bytes()
    reading, writing = os.pipe()

    def write():
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(data)

    writer = threading.Thread(target=write)
    writer.start()
    with Decoder(f"/dev/fd/{reading}") as decoder:
        assert len(list(decoder.frames())) == 20
    writer.join()
    os.close(reading)


def test_errors_that_are_no_closed_pipe_are_still_said(clip, make_config):
    full = os.open("/dev/full", os.O_WRONLY)
    saved = os.dup(1)
    os.dup2(full, 1)
    try:
        with pytest.raises(OutputError, match=r"-\.jsonl: writing it failed: No space left") as caught:
            build_pipeline(clip, make_config(), ["-.jsonl"]).run()
    finally:
        os.dup2(saved, 1)
        os.close(saved)
        os.close(full)
    assert caught.value.__cause__.errno == errno.ENOSPC
