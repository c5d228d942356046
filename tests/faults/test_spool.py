"""Films that cannot be read as they come: their index stands at the end, and there is no way back in a pipe."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from streamseg.config import parse_pipeline
from streamseg.decode import Decoder
from streamseg.decode.spool import spooled
from streamseg.errors import ConfigError, NoVideo, SourceError, SourceLost, SourceNotFound, Unreadable
from tests import clips, http_source
from tests.clips import Video, plane_array, read_index
from tests.http_source import BaseHTTPRequestHandler, Server

BIG = Video(size=(480, 320), options={"crf": "0", "preset": "ultrafast"})
"""Larger than what libav reads ahead."""


@pytest.fixture(scope="module", params=[".mp4", ".mov"])
def film(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    data = clips.cfr(tmp_path_factory.mktemp("film") / f"a{request.param}", 30, video=BIG).read_bytes()
    assert data.index(b"moov") > 400_000
    return data


@pytest.fixture
def through_stdin(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes, Callable[[], object]], object]:
    """`through_stdin(data, call)`: what `call` returns while standard input is a pipe with that data."""

    def run(data: bytes, call: Callable[[], object]) -> object:
        reading, writing = os.pipe()

        def write() -> None:
            try:
                with os.fdopen(writing, "wb") as pipe:
                    pipe.write(data)
            except BrokenPipeError:
                pass

        writer = threading.Thread(target=write)
        writer.start()
        with os.fdopen(reading, "rb") as stdin:
            monkeypatch.setattr(sys, "stdin", stdin)
            try:
                return call()
            finally:
                monkeypatch.undo()
                stdin.close()
                writer.join()

    return run


def read(source: object, **options: object) -> list[int]:
    with Decoder(source, **options) as decoder:  # type: ignore[arg-type]
        return [read_index(plane_array(frame.picture)) for frame in decoder.frames()]


def test_an_index_at_the_end_of_a_pipe_is_told_from_damage(film: bytes, through_stdin) -> None:  # type: ignore[no-untyped-def]
    """Seen: 'not a video, or damaged beyond reading at 0.00 s; … what came before is good'."""
    with pytest.raises(Unreadable, match=r"index of this MP4 or MOV stands at its end.*--spool 2GB.*faststart") as caught:
        through_stdin(film, lambda: read("-"))
    assert "damaged" not in str(caught.value)
    assert "is good" not in str(caught.value)


def test_the_same_of_a_web_server_without_ranges(film: bytes) -> None:
    with (
        Server({"/a.mp4": http_source.file(film)}) as server,
        pytest.raises(Unreadable, match=r"127\.0\.0\.1.*index of this MP4 or MOV stands at its end"),
    ):
        read(f"{server.url}/a.mp4", timeout=2.0)


def test_what_is_cut_off_is_still_cut_off(tmp_path: Path, through_stdin) -> None:  # type: ignore[no-untyped-def]
    data = clips.cfr(tmp_path / "a.mp4", 30, video=BIG, container_options={"movflags": "faststart"}).read_bytes()
    with pytest.raises(Unreadable, match=r"breaks off at 0\.\d\d s.*is good"):
        through_stdin(data[: len(data) // 2], lambda: read("-"))
    with pytest.raises(Unreadable, match="breaks off before its first picture"):
        through_stdin(data[: data.index(b"mdat") - 100], lambda: read("-"))


def test_a_spooled_pipe_is_read_as_a_file(film: bytes, through_stdin) -> None:  # type: ignore[no-untyped-def]
    said: list[str] = []
    assert through_stdin(film, lambda: read("-", spool=10**7, on_message=said.append)) == list(range(30))
    assert through_stdin(film, lambda: read("-", spool=10**7, start=0.4, duration=0.4)) == list(range(10, 20))
    assert len(said) == 1
    assert said[0].startswith("standard input: kept in a temporary file, ")


def test_a_spooled_named_pipe(film: bytes, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_bytes(film))
    writer.start()
    assert read(fifo, spool=10**7) == list(range(30))
    writer.join()


def test_a_spooled_download_with_a_password(film: bytes) -> None:
    said: list[str] = []
    with Server({"/a.mp4": http_source.locked("cam", "hunter2", http_source.file(film))}) as server:
        address = f"http://cam:hunter2@127.0.0.1:{server.port}/a.mp4"
        assert read(address, timeout=2.0, spool=10**7, on_message=said.append) == list(range(30))
        assert server.hits == ["/a.mp4"]
    assert "hunter2" not in said[0]


def test_more_than_the_limit_is_refused_and_leaves_nothing(film: bytes, through_stdin, tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    open_files = len(os.listdir("/proc/self/fd"))
    with pytest.raises(SourceError, match=r"standard input: more than --spool 100 kB allows has come"):
        through_stdin(film, lambda: read("-", spool=100_000))
    with (
        Server({"/a.mp4": http_source.file(film)}) as server,
        pytest.raises(SourceError, match=r"are more than --spool 100 kB"),
    ):
        read(f"{server.url}/a.mp4", timeout=2.0, spool=100_000)
    time.sleep(0.1)
    assert len(os.listdir("/proc/self/fd")) <= open_files


def test_no_room_is_said(film: bytes, through_stdin, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("tempfile.TemporaryFile", lambda: open("/dev/full", "w+b", buffering=0))  # noqa: SIM115
    with pytest.raises(SourceError, match=r"cannot be kept in .*: No space left on device; TMPDIR names another folder"):
        through_stdin(film, lambda: read("-", spool=10**7))


def test_a_download_that_breaks_off_is_lost(film: bytes) -> None:
    def answer(handler: BaseHTTPRequestHandler, _: threading.Event) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(film)))
        handler.end_headers()
        handler.wfile.write(film[:200_000])

    with Server({"/a.mp4": answer}) as server, pytest.raises(SourceLost, match=r"200 kB"):
        read(f"{server.url}/a.mp4", timeout=2.0, spool=10**7)


def test_a_server_with_ranges_and_a_live_stream_are_read_as_they_come(tmp_path: Path) -> None:
    def parts(handler: BaseHTTPRequestHandler, _: threading.Event) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "multipart/x-mixed-replace; boundary=x")
        handler.end_headers()

    from streamseg.decode.address import parse_source

    with Server({"/a": http_source.parts(b"film"), "/b": parts}) as server:
        for source in (f"{server.url}/a", f"{server.url}/b", f"{server.url}/none", "rtsp://127.0.0.1:1/x"):
            assert spooled(parse_source(source), 10**7, 2.0, lambda: False) is None
        with pytest.raises(SourceNotFound, match="404"):
            read(f"{server.url}/none", timeout=2.0, spool=10**7)


def test_stop_ends_the_wait_for_a_silent_pipe() -> None:
    reading, writing = os.pipe()
    decoder = Decoder("-", spool=10**7)
    saved, sys.stdin = sys.stdin, os.fdopen(reading, "rb")
    threading.Timer(0.3, decoder.stop).start()
    begin = time.monotonic()
    try:
        with pytest.raises(SourceError, match="stopped"):
            decoder.open()
    finally:
        sys.stdin.close()
        sys.stdin = saved
        os.close(writing)
    assert time.monotonic() - begin < 1.3


@pytest.mark.parametrize(
    ("text", "size"),
    [("2GB", 2 * 10**9), ("500 MB", 5 * 10**8), ("1.5GiB", 3 * 2**29), ("1000", 1000), ("off", 0), ("4k", 4000)],
)
def test_sizes_of_the_spool(text: str, size: int) -> None:
    assert parse_pipeline(f"decode: {{spool: {text}}}", "t").decode.spool == size


def test_a_wrong_size_is_said() -> None:
    with pytest.raises(ConfigError, match=r"'2 films' is not a size; write 2GB"):
        parse_pipeline("decode: {spool: 2 films}", "t")


def test_what_holds_no_video_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(NoVideo, match=r"song\.m4a: there is no video in it, only audio$"):
        read(clips.audio_only(tmp_path / "song.m4a"))
    with pytest.raises(NoVideo, match=r"a\.mp4: there is nothing from 5 s on: it lasts 0\.48 s$"):
        read(clips.cfr(tmp_path / "a.mp4", 12), start=5.0)
