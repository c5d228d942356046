"""Each kind of address, sent by a real server on loopback: twenty pictures of each."""

from __future__ import annotations

import functools
import itertools
import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from streamseg.core.types import Frame
from streamseg.decode import Decoder, SourceInfo
from streamseg.errors import SourceError
from tests.rtsp.camera import RtspCamera, free_port, needs_rtsp_server

pytestmark = pytest.mark.long
SENDER = Path(__file__).with_name("sender.py")


@contextmanager
def sending(url: str, form: str, codec: str = "libx264", **options: str) -> Iterator[subprocess.Popen[bytes]]:
    """libav's sender at work; with the address `-` its standard output can be read."""
    command = [sys.executable, str(SENDER), url, form, json.dumps(options), codec]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()


def _seen(url: str, **options: object) -> tuple[SourceInfo, list[Frame]]:
    with Decoder(url, timeout=3.0, reconnect=15.0, wait="live", **options) as decoder:  # type: ignore[arg-type]
        frames = list(itertools.islice(decoder.frames(), 20))
    assert len(frames) == 20
    assert all(b.pts > a.pts for a, b in itertools.pairwise(frames))
    assert decoder.info.live
    assert all(abs((frame.utc or 0.0) - time.time()) < 10.0 for frame in frames)
    return decoder.info, frames


@pytest.mark.parametrize(
    ("address", "form", "options"),
    [
        ("udp://127.0.0.1:{port}", "mpegts", {"pkt_size": "1316"}),
        ("rtp://127.0.0.1:{port}", "rtp_mpegts", {}),
        ("tcp://127.0.0.1:{port}", "mpegts", {}),
    ],
)
def test_transport_streams(address: str, form: str, options: dict[str, str]) -> None:
    url = address.format(port=free_port())
    with sending(url + ("?listen=1" if url.startswith("tcp") else ""), form, **options):
        info, _ = _seen(url)
    assert (info.codec, info.width) == ("h264", 320)


def _over_http(form: str, kind: str, codec: str) -> AbstractContextManager[str]:
    """A web server that sends what a sender writes, without a length and without an end."""

    @contextmanager
    def serving() -> Iterator[str]:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.end_headers()
                with sending("-", form, codec) as process:
                    assert process.stdout is not None
                    try:
                        while data := process.stdout.read1(65536):  # type: ignore[attr-defined]
                            self.wfile.write(data)
                    except OSError:
                        return

            def log_message(self, format: str, *args: object) -> None:
                pass

        with _server(Handler) as address:
            yield f"{address}/camera"

    return serving()


@contextmanager
def _server(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@pytest.mark.parametrize(
    ("form", "kind", "codec", "seen"),
    [
        ("mpegts", "video/mp2t", "libx264", "h264"),
        ("mpjpeg", "multipart/x-mixed-replace;boundary=ffmpeg", "mjpeg", "mjpeg"),
        ("flv", "video/x-flv", "libx264", "h264"),
    ],
)
def test_over_http(form: str, kind: str, codec: str, seen: str) -> None:
    with _over_http(form, kind, codec) as url:
        info, _ = _seen(url)
    assert (info.codec, info.width) == (seen, 320)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def test_hls(tmp_path: Path) -> None:
    """Only where playlists, which name other files, are allowed."""
    with (
        _server(functools.partial(_Quiet, directory=str(tmp_path))) as server,
        sending(str(tmp_path / "live.m3u8"), "hls", hls_time="1", hls_list_size="4", hls_flags="delete_segments"),
    ):
        deadline = time.monotonic() + 20
        while not (tmp_path / "live.m3u8").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        with pytest.raises(SourceError, match="playlists"):
            Decoder(f"{server}/live.m3u8").open()
        info, _ = _seen(f"{server}/live.m3u8", playlists=True)
    assert (info.codec, info.width) == ("h264", 320)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs Debian's ffmpeg, as an RTMP server")
def test_rtmp() -> None:
    url = f"rtmp://127.0.0.1:{free_port()}/live/camera"
    source = ["-re", "-f", "lavfi", "-i", "testsrc=size=320x240:rate=25", "-c:v", "libx264", "-tune", "zerolatency"]
    command = ["ffmpeg", "-loglevel", "quiet", *source, "-g", "10", "-pix_fmt", "yuv420p", "-f", "flv", "-listen", "1", url]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        info, _ = _seen(url)
    finally:
        process.kill()
        process.wait(10)
    assert (info.codec, info.width) == ("h264", 320)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("needs Debian's openssl")
    folder = tmp_path_factory.mktemp("tls")
    key, cert, both = folder / "key.pem", folder / "cert.pem", folder / "both.pem"
    made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(cert), "-days", "2"]
    subprocess.run(["openssl", *made, "-subj", "/CN=127.0.0.1"], check=True, capture_output=True, timeout=60)
    both.write_text(cert.read_text() + key.read_text())
    return both


@pytest.mark.parametrize("user", ["", "admin"])
def test_rtsp_over_tls(certificate: Path, user: str) -> None:
    needs_rtsp_server()
    with RtspCamera(certificate=str(certificate), user=user, password="p@ss" if user else "") as camera:
        assert camera.url.startswith("rtsps://")
        info, _ = _seen(camera.url)
    assert (info.codec, info.width) == ("h264", 320)


def test_srt_says_how_it_can_be_read() -> None:
    """PyAV's libav has no SRT."""
    with pytest.raises(SourceError, match="FFmpeg has no SRT") as caught:
        Decoder("srt://127.0.0.1:9000?passphrase=secret", wait="live", reconnect=30).open()
    assert "secret" not in str(caught.value)
