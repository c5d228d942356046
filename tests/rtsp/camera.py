"""One RTSP camera of GStreamer's server, run as a process of its own, so that it can be stopped, killed and started again.

    with RtspCamera(codec="h265", size="640x360", user="admin", password="p@ss:w/rd") as camera:
        Decoder(camera.url)
        camera.stall(); camera.resume(); camera.kill(); camera.start(size="320x240", codec="mjpeg")

Needs Debian's gir1.2-gst-rtsp-server-1.0, gstreamer1.0-plugins-good, -bad and -ugly, and python3-gi: `why_not` names what is
missing, `needs_rtsp_server` skips a test there.
"""

from __future__ import annotations

import functools
import os
import queue
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

import pytest

__all__ = ["RtspCamera", "free_port", "needs_rtsp_server", "why_not"]

PYTHON = "/usr/bin/python3"
SERVER = Path(__file__).with_name("server.py")
_PACKAGES = {
    "GstRtspServer": "gir1.2-gst-rtsp-server-1.0",
    "rtph264pay": "gstreamer1.0-plugins-good",
    "x265enc": "gstreamer1.0-plugins-bad",
    "x264enc": "gstreamer1.0-plugins-ugly",
}
_LOOK = """
import gi
gi.require_version("Gst", "1.0")
from gi.repository import Gst
Gst.init(None)
missing = [name for name in ("rtph264pay", "x265enc", "x264enc") if Gst.ElementFactory.find(name) is None]
try:
    gi.require_version("GstRtspServer", "1.0")
except ValueError:
    missing.append("GstRtspServer")
print(*missing)
"""


@functools.cache
def why_not() -> str | None:
    """What is missing here for `RtspCamera`; None: nothing."""
    if not os.access(PYTHON, os.X_OK):
        return "needs Debian's python3-gi"
    try:
        found = subprocess.run([PYTHON, "-c", _LOOK], check=False, capture_output=True, text=True, timeout=60)
    except subprocess.TimeoutExpired:
        return "GStreamer did not answer within 60 s"
    if found.returncode:
        return "needs Debian's python3-gi and gir1.2-gstreamer-1.0"
    missing = [_PACKAGES[name] for name in found.stdout.split()]
    return f"needs Debian's {', '.join(missing)}" if missing else None


def needs_rtsp_server() -> None:
    """Skip the test where GStreamer's RTSP server is not here; call it in a fixture or first in a test marked `long`."""
    if (reason := why_not()) is not None:
        pytest.skip(reason)


class RtspCamera:
    """Use as a context manager; whatever happens, the process is killed at its end. Options: those of `server.py`, `_` for `-`."""

    def __init__(self, *, port: int = 0, user: str = "", password: str = "", path: str = "/main", **options: object) -> None:
        self.port = port or free_port()
        self.user, self.password, self.path = user, password, path
        self._options = options
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """Its address, the password percent-encoded."""
        who = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}@" if self.user else ""
        return f"{'rtsps' if self._options.get('certificate') else 'rtsp'}://{who}127.0.0.1:{self.port}{self.path}"

    def __enter__(self) -> RtspCamera:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()

    def start(self, **changed: object) -> None:
        """Switch it on, at the same port, with some options changed; returns when it listens."""
        self.kill()
        self._options |= changed
        given = {"port": self.port, "user": self.user, "password": self.password, "path": self.path} | self._options
        command = [PYTHON, str(SERVER)]
        for name, value in given.items():
            if value is True:
                command.append(f"--{name.replace('_', '-')}")
            elif value not in (False, "", None):
                command += [f"--{name.replace('_', '-')}", str(value)]
        deadline = time.monotonic() + 20
        while not self._listens(command):
            if time.monotonic() > deadline:  # what a killed one left in its port
                raise RuntimeError("the RTSP server does not start")
            time.sleep(0.1)

    def _listens(self, command: list[str]) -> bool:
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self._process.stdout is not None
        said: queue.Queue[str] = queue.Queue()
        threading.Thread(target=lambda out: said.put(out.readline()), args=(self._process.stdout,), daemon=True).start()
        try:
            if said.get(timeout=20).startswith("PORT"):
                return True
        except queue.Empty:
            pass
        self.kill()
        return False

    def stall(self) -> None:
        """It neither sends nor hangs up (SIGSTOP)."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """It goes on after `stall`; if it is gone meanwhile, nothing."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """It is gone at once (SIGKILL). Twice is harmless."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(10)
            if process.stdout is not None:
                process.stdout.close()


def free_port() -> int:
    """A port of loopback that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
