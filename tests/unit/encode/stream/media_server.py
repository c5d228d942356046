"""A media server for one push: libav, listening on this machine in a process of its own (it holds Python's lock while it waits).

    python tests/unit/encode/stream/media_server.py rtmp://127.0.0.1:PORT/live/door

It prints the number in each picture that it gets (see tests/clips.py), and its time.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[4]


def free_port() -> int:
    """One that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def _listens(port: int) -> bool:
    """Whether somebody does, found out without a connection: libav takes one alone."""
    table = Path("/proc/net/tcp")
    if not table.exists():
        time.sleep(2)
        return True
    return any(
        line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A" for line in table.read_text().splitlines()[1:]
    )


class MediaServer:
    """What one push brought."""

    def __init__(self, url: str) -> None:
        self._process = subprocess.Popen([sys.executable, __file__, url], stdout=subprocess.PIPE, text=True)
        self.process_id = self._process.pid
        port, deadline = int(url.split(":")[2].partition("/")[0]), time.monotonic() + 10
        while not _listens(port) and time.monotonic() < deadline and self._process.poll() is None:
            time.sleep(0.02)

    def pictures(self, count: int, timeout: float = 10) -> list[tuple[int, float]]:
        """The first `count` of them, or all there are when it ends: number and seconds."""
        assert self._process.stdout is not None
        killer = threading.Timer(timeout, self._process.kill)
        killer.start()
        try:
            lines = [line for _, line in zip(range(count), self._process.stdout, strict=False)]
        finally:
            killer.cancel()
        return [tuple(json.loads(line)) for line in lines]

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


@contextlib.contextmanager
def media_server(url: str) -> Iterator[MediaServer]:
    server = MediaServer(url)
    try:
        yield server
    finally:
        server.kill()


def main() -> None:
    sys.path.insert(0, str(ROOT))
    import av

    from tests import clips

    av.logging.set_level(None)
    with contextlib.suppress(av.FFmpegError, OSError), av.open(sys.argv[1], container_options={"listen": "1"}) as container:
        for frame in container.decode(video=0):
            print(json.dumps((clips.read_index(clips.plane_array(frame)), frame.time)), flush=True)


if __name__ == "__main__":
    main()
