"""Hostile addresses and playlists (FAILURES.md, "Hostile addresses and files"): nothing is read that the user did not name."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import traceback
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from streamseg.decode import Decoder
from streamseg.decode.address import parse_source
from streamseg.errors import SourceError, SourceLost, SourceNotFound, StreamsegError
from tests import clips, http_source
from tests.http_source import Server

PASSWORD = "s3cr3t-hunter2"


def count(source: object, **options: object) -> int:
    with Decoder(source, **options) as decoder:  # type: ignore[arg-type]
        return len(list(decoder.frames()))


@pytest.mark.parametrize(
    "form", ["concat:{a}|{a}", "subfile,,start,0,end,0,,:{a}", "crypto:{a}", "data:video/mp4;base64,AAAA", "pipe:0"]
)
def test_a_protocol_is_not_a_path(tmp_path: Path, form: str) -> None:
    """libav opens every one of these when it is given as a file name."""
    clip = clips.ts(tmp_path / "a.ts")
    with pytest.raises(SourceError, match="neither a file nor an address"):
        Decoder(form.format(a=clip)).open()


@pytest.mark.parametrize(
    "address", ["ftp://127.0.0.1/x", "gopher://127.0.0.1/x", "smb://x/y", "unix:///tmp/x", "http:/x", "tls://x:1"]
)
def test_other_schemes_are_refused(address: str) -> None:
    with pytest.raises(SourceError, match=r"allowed: a path.*rtsp://"):
        Decoder(address).open()


@pytest.mark.parametrize("name", ["a:b.ts", "concat:x.ts", "rtsp:cam.ts", "what?.ts", "100%.ts", "-x.ts", "[1].ts"])
def test_a_real_file_is_a_file_whatever_its_name(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clips.ts(tmp_path / "plain.ts").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert count(name) == 12


def test_file_urls_name_files(tmp_path: Path) -> None:
    clip = clips.ts(tmp_path / "a b.ts")
    assert count(clip.as_uri()) == 12
    with pytest.raises(SourceNotFound):
        Decoder(f"file://{tmp_path}/nowhere.ts").open()


def playlist(segment: str) -> str:
    return f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXTINF:0.48,\n{segment}\n#EXT-X-ENDLIST\n"


@pytest.mark.parametrize("name", ["list.m3u8", "list.mp4", "list"])
def test_a_local_playlist_opens_neither_files_nor_hosts(tmp_path: Path, name: str) -> None:
    clip = clips.ts(tmp_path / "seg.ts")
    with Server({"/seg.ts": http_source.file(clip.read_bytes())}) as server:
        for segment in ("seg.ts", f"{server.url}/seg.ts"):
            path = tmp_path / name
            path.write_text(playlist(segment))
            with pytest.raises(StreamsegError, match=name):
                Decoder(path).open()
        assert server.hits == []


@pytest.mark.parametrize("kind", ["application/vnd.apple.mpegurl", "video/mp4", "text/plain"])
def test_a_remote_playlist_is_fetched_but_not_followed(tmp_path: Path, kind: str) -> None:
    clip = clips.ts(tmp_path / "seg.ts").read_bytes()
    answers: dict[str, http_source.Answer] = {"/seg.ts": http_source.file(clip)}
    with Server(answers) as server:
        for name, segment in (
            ("/a.m3u8", f"{server.url}/seg.ts"),
            ("/b.m3u8", f"file://{tmp_path}/seg.ts"),
            ("/c.mp4", "seg.ts"),
        ):
            answers[name] = http_source.file(playlist(segment).encode(), kind)
            with pytest.raises(StreamsegError):
                Decoder(f"{server.url}{name}", timeout=2.0).open()
        assert "/seg.ts" not in server.hits


@pytest.mark.parametrize("script", ["ffconcat version 1.0\nfile {a}\n", "file '{a}'\n"])
def test_concat_scripts_are_refused(tmp_path: Path, script: str) -> None:
    clip = clips.ts(tmp_path / "a.ts")
    path = tmp_path / "list.ffconcat"
    path.write_text(script.format(a=clip.name))
    with pytest.raises(StreamsegError, match=r"list\.ffconcat"):
        Decoder(path).open()


def test_playlists_open_when_they_are_asked_for(tmp_path: Path) -> None:
    clip = clips.ts(tmp_path / "seg.ts")
    path = tmp_path / "list.m3u8"
    path.write_text(playlist("seg.ts"))
    assert count(path, playlists=True) == 12
    with Server(
        {"/seg.ts": http_source.file(clip.read_bytes()), "/l.m3u8": http_source.file(playlist("seg.ts").encode())}
    ) as server:
        assert count(f"{server.url}/l.m3u8", playlists=True, timeout=2.0) == 12


def test_a_remote_playlist_never_reads_local_files(tmp_path: Path) -> None:
    """Even when playlists are allowed: it would send what it finds to whoever watches the output."""
    secret = clips.ts(tmp_path / "secret.ts")
    with Server({"/l.m3u8": http_source.file(playlist(secret.as_uri()).encode())}) as server, pytest.raises(StreamsegError):
        Decoder(f"{server.url}/l.m3u8", playlists=True, timeout=2.0).open()


def everything_said(error: BaseException) -> str:
    """Message, repr, arguments, notes and traceback of an error and of all errors behind it, local variables left out."""
    text, seen = "".join(traceback.format_exception(error)), error
    while seen is not None:
        text += f"{seen}{seen!r}{seen.args}{getattr(seen, '__notes__', '')}"
        seen = seen.__cause__ or seen.__context__  # type: ignore[assignment]
    return text


def test_a_wrong_password_is_never_shown(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    caplog.set_level(logging.DEBUG)
    with Server({"/cam": http_source.locked("cam", "right", http_source.file(b""))}) as server:
        address = f"http://cam:{PASSWORD}@127.0.0.1:{server.port}/cam"
        with pytest.raises(SourceError, match="user name or password") as caught:
            Decoder(address, timeout=2.0).open()
        assert server.hits, "the server was never asked"
    said = everything_said(caught.value) + caplog.text + "".join(capfd.readouterr())
    assert PASSWORD not in said
    assert "127.0.0.1" in said, "which camera it was must still be told"


@pytest.mark.parametrize("scheme", ["rtsp", "rtsps", "rtmp", "http", "https", "tcp", "ftp", "srt"])
def test_no_scheme_s_error_shows_a_password(scheme: str) -> None:
    with pytest.raises(StreamsegError) as caught:
        Decoder(f"{scheme}://cam:{PASSWORD}@127.0.0.1:1/x", timeout=1.0).open()
    assert PASSWORD not in everything_said(caught.value)


def test_a_right_password_opens_and_is_not_in_the_info(tmp_path: Path) -> None:
    clip = clips.ts(tmp_path / "a.ts").read_bytes()
    with Server({"/cam.ts": http_source.locked("cam", PASSWORD, http_source.file(clip))}) as server:
        with Decoder(f"http://cam:{PASSWORD}@127.0.0.1:{server.port}/cam.ts", timeout=2.0) as decoder:
            assert len(list(decoder.frames())) == 12
        assert PASSWORD not in repr(decoder.info)
        assert PASSWORD not in repr(decoder.warnings)


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [(403, SourceError, "forbids"), (404, SourceNotFound, "404"), (410, SourceError, "refuses"), (500, SourceLost, "5xx")],
)
def test_what_a_server_answers_is_told(status: int, error: type[Exception], words: str) -> None:
    def answer(handler: BaseHTTPRequestHandler, _: threading.Event) -> None:
        handler.send_error(status)

    with Server({"/cam": answer}) as server, pytest.raises(error, match=words) as caught:
        Decoder(f"{server.url}/cam", timeout=2.0).open()
    assert type(caught.value) is error


def test_a_process_leaks_no_password_either() -> None:
    code = "import sys; from streamseg.decode import Decoder; Decoder(sys.stdin.readline().strip(), timeout=1.0).open()"
    address = f"rtsp://cam:{PASSWORD}@127.0.0.1:1/x\n"
    child = subprocess.run([sys.executable, "-c", code], input=address, capture_output=True, text=True, timeout=60, check=False)
    assert child.returncode == 1
    assert "SourceNotFound" in child.stderr
    assert PASSWORD not in child.stdout + child.stderr


@pytest.mark.parametrize("source", [97, "97", "/dev/video97"])
def test_a_missing_camera_is_said_clearly(source: int | str) -> None:
    with pytest.raises(SourceNotFound, match="video97") as caught:
        Decoder(source).open()
    assert caught.value.exit_code == 5


def test_a_device_that_is_no_camera_is_refused() -> None:
    with pytest.raises(SourceError, match="not a camera"):
        Decoder("/dev/zero").open()


@pytest.mark.parametrize(
    "source",
    [
        "a\0b.mp4",
        "\0",
        "x\ud800.mp4",
        "~nobody-of-that-name/x.mp4",
        "9" * 5000,
        "a" * 5000,
        "frame%99999999999d.png",
        "file://[x/y",
    ],
)
def test_what_no_file_can_be_named_is_not_there(source: str) -> None:
    """ValueError, UnicodeEncodeError, RuntimeError, OSError or OverflowError before."""
    with pytest.raises((SourceNotFound, SourceError)) as caught:
        Decoder(source).open()
    str(caught.value).encode()  # can be printed


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_said(tmp_path: Path) -> None:
    clip = clips.ts(tmp_path / "a.ts")
    clip.chmod(0)
    with pytest.raises(SourceError, match="permission"):
        Decoder(clip).open()


@pytest.mark.parametrize("source", ["rtsp://h/x", "http://h/x", "https://h/x", "udp://h:1", "tcp://h:1", "rtmp://h/x"])
def test_every_network_address_has_a_timeout_and_a_whitelist(source: str) -> None:
    options = parse_source(source, timeout=3.0).options
    assert "3000000" in {options.get("timeout"), options.get("rw_timeout")}
    assert "file" not in options["protocol_whitelist"].split(",")
    assert not {"hls", "concat", "dash", "lavfi", "image2"} & set(options["format_whitelist"].split(","))


def test_a_file_may_use_no_other_protocol(tmp_path: Path) -> None:
    assert parse_source(clips.ts(tmp_path / "a.ts")).options["protocol_whitelist"] == "file"


def test_an_address_of_a_file_that_is_none_shows_no_password() -> None:
    with pytest.raises(SourceError, match="no address of a file") as caught:
        Decoder("file://:[hunter2@[::1]:1/").open()
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
