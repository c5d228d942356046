"""Pushes a shared stream to a media server for as long as it is asked to, and never waits for that server.

The server may be off, refuse, stand still or be restarted: it is tried again, after growing pauses. Each connection is a process of
its own (see `relay`), which is killed when the server takes nothing for some seconds.
"""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Literal

from streamseg.encode.stream import relay
from streamseg.encode.stream.listener import Listener
from streamseg.encode.stream.shared import SharedStream
from streamseg.encode.stream.targets import push_target
from streamseg.encode.stream.unit import StreamFormat, Unit
from streamseg.errors import scrub

__all__ = ["PushState", "Pusher"]

PushState = Literal["connecting", "pushing", "waiting", "closed"]
"""`connecting`: for the first time or again. `waiting`: until it is tried again; the reason says why."""

_HANDSHAKE = 10.0
_PATIENCE = 4.0
"""Seconds of pictures that a server may leave untaken."""
_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
_GOOD = 10.0
"""Seconds of a connection after which the pauses begin anew."""
_FAREWELL = 1.5


class Pusher:
    """One push. `start` and `close` may be called from any thread; what `told` is given is for people."""

    def __init__(self, stream: SharedStream, address: str, told: Callable[[PushState, str], None] | None = None) -> None:
        """Raises OutputError for an address that cannot be pushed to."""
        self.target = push_target(address)
        self.state: PushState = "connecting"
        self.reason = ""
        """Why it is not pushing."""
        self.connections = 0
        """Times that a server took the stream."""
        self.pictures = 0
        self.bytes = 0
        self._stream, self._told = stream, told
        self._closing = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._listener: Listener | None = None
        self._said = ""
        """What the process, or who ended it, gave as the reason."""
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=f"push {self.target.host}", daemon=True)
        self._changed = threading.Condition()

    def start(self) -> None:
        """Begin; it does not wait."""
        self._thread.start()

    def wait(self, timeout: float) -> bool:
        """Whether the server took the stream within `timeout` seconds; False at once where it failed."""
        with self._changed:
            self._changed.wait_for(lambda: self.state != "connecting", timeout)
            return self.state == "pushing"

    def end(self) -> None:
        """Begin to say farewell to the server; `close` waits for it."""
        self._closing.set()
        listener = self._listener
        if listener is not None:
            listener.end("closed")

    def close(self) -> None:
        """Say farewell to the server and end, within three seconds at most."""
        self.end()
        if self._thread.ident is not None:
            self._thread.join(_FAREWELL)
            self._kill()
            self._thread.join(_FAREWELL)
        self._say("closed", self.reason)

    def _run(self) -> None:
        tries = 0
        while not self._closing.is_set() and not self._stream.closed:
            began = time.monotonic()
            self._say("connecting", self.reason)
            why = self._push()
            if self._closing.is_set():
                return
            if not why:  # the format has changed
                continue
            tries = 0 if time.monotonic() - began > _GOOD else tries
            self._say("waiting", why)
            pause = _PAUSES[min(tries, len(_PAUSES) - 1)] * random.uniform(0.75, 1.25)
            tries += 1
            self._closing.wait(pause)

    def _push(self) -> str:
        """One connection, as long as it lasts: why it ended, or nothing where it has to be made anew for another format."""
        listener = self._listener = self._stream.listen(self._hang_up_on_slow, patience=_PATIENCE)
        try:
            format, first = listener.get(), listener.get()
            if not isinstance(format, StreamFormat) or not isinstance(first, Unit):
                return listener.ended
            with self._relay(format.init + first.fragment, listener) as process:
                assert process.stdin is not None
                failed = self._feed(process.stdin, listener, first)
            said = self._said
            if not failed and not said:
                return ""
            return said or listener.ended or "the connection broke off"
        finally:
            self._listener = None
            listener.close()

    def _feed(self, into: IO[bytes], listener: Listener, unit: Unit) -> bool:
        """Give units to the process until they end or another format comes; whether it failed."""
        try:
            while True:
                data = unit.data if self.target.muxer == "whip" else unit.sample
                into.write(relay.HEAD.pack(len(data), unit.ticks, unit.key) + data)
                into.flush()
                self.pictures += 1
                self.bytes += len(data)
                message = listener.get()
                if not isinstance(message, Unit):
                    return message is None
                unit = message
        except OSError:  # it has ended, or was killed
            return True

    @contextlib.contextmanager
    def _relay(self, begin: bytes, listener: Listener) -> Iterator[subprocess.Popen[bytes]]:
        asked = {"url": self.target.url, "format": self.target.muxer, "options": self.target.options, "begin": begin.hex()}
        self._said = ""
        process = subprocess.Popen(
            [sys.executable, "-P", str(Path(relay.__file__))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for us: it ends when its input does
        )
        assert process.stdin is not None
        assert process.stdout is not None
        with self._lock:
            self._process = process
        hearing = threading.Thread(target=self._hear, args=(process.stdout, listener), name="push answers", daemon=True)
        hearing.start()
        late = threading.Timer(_HANDSHAKE, self._give_up)
        late.start()
        try:
            with contextlib.suppress(OSError):
                process.stdin.write(json.dumps(asked).encode() + b"\n")
                process.stdin.flush()
            yield process
        finally:
            late.cancel()
            with contextlib.suppress(OSError):
                process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_FAREWELL)
            self._kill()
            process.wait()
            hearing.join()
            process.stdout.close()

    def _hear(self, answers: IO[bytes], listener: Listener) -> None:
        for line in answers:
            text = line.decode(errors="replace").strip()
            if text == "connected":
                self.connections += 1
                self._say("pushing", "")
            else:
                self._said = scrub(text)
        listener.end("the connection broke off")  # the process has ended: wait for no more pictures

    def _give_up(self) -> None:
        if self.state == "connecting":
            self._said = f"the server did not answer within {_HANDSHAKE:.0f} s"
            self._kill()

    def _hang_up_on_slow(self) -> None:
        listener = self._listener
        if listener is not None and listener.slow:
            self._said = self._said or f"the server takes nothing: {listener.ended}"
            self._kill()

    def _kill(self) -> None:
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.kill()

    def _say(self, state: PushState, reason: str) -> None:
        with self._changed:
            same = (state, reason) == (self.state, self.reason)
            self.state, self.reason = state, reason
            self._changed.notify_all()
        if not same and self._told is not None:
            self._told(state, reason)
