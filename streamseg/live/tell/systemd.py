"""Tells systemd that the program is ready, how it is, and that it lives: sd_notify(3), a datagram for each message.

The watchdog of the unit (WatchdogSec=) is fed only while frames really move: a camera that says it is watched and stands still,
or an engine that gives no answer, lets systemd start the program anew. A camera that is away does not: no restart brings it back.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Mapping

from streamseg.live.control import Control
from streamseg.live.health import Progress, health
from streamseg.live.tell.collect import Complaints

__all__ = ["Notifier", "Systemd"]

_UNIX: int = getattr(socket, "AF_UNIX", 1)
_LOOK = 1.0
_LONGEST_STATUS = 400


class Notifier:
    """Messages to who has started this program, if that is systemd."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """environment: with NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID as systemd gives them."""
        address = environment.get("NOTIFY_SOCKET", "")
        # A path, or @NAME in the abstract name space (man 3 sd_notify).
        self._address = f"\0{address[1:]}" if address.startswith("@") else address if address.startswith("/") else ""
        usec, pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
        ours = not pid or pid == str(os.getpid())
        self.watchdog = int(usec) / 1e6 if self._address and ours and usec.isdigit() else 0.0
        """Seconds without a sign of life after which systemd ends the program; 0: it does not ask for any."""

    @property
    def asked(self) -> bool:
        """Whether anybody listens."""
        return bool(self._address)

    def tell(self, **fields: str) -> bool:
        """`tell(READY="1", STATUS="...")`. Whether it was sent; does not raise, and does not wait."""
        if not self._address:
            return False
        text = "\n".join(f"{name}={value.replace(chr(10), ' ')}" for name, value in fields.items())
        try:
            with socket.socket(_UNIX, socket.SOCK_DGRAM | getattr(socket, "SOCK_CLOEXEC", 0)) as out:
                out.setblocking(False)
                out.sendto(text.encode("utf-8", "replace"), self._address)
        except OSError:
            return False
        return True

    def reloading(self) -> None:
        """The file of cameras is being read again; `ready` ends that."""
        self.tell(RELOADING="1", MONOTONIC_USEC=str(time.monotonic_ns() // 1000))


class Systemd:
    """A service: `start`, `stop`."""

    name = "systemd"

    def __init__(self, control: Control, environment: Mapping[str, str] | None = None, patience: float = 60.0) -> None:
        """patience: seconds for which a camera may stand still."""
        self._control = control
        self.notifier = Notifier(os.environ if environment is None else environment)
        self._progress = Progress(patience)
        self._say = Complaints(control.bus)
        self._stopping = threading.Event()
        self._ready = False
        self._status = ""
        self._thread = threading.Thread(target=self._run, name="systemd", daemon=True)

    def start(self) -> None:
        """Begin."""
        if self.notifier.asked:
            self._thread.start()

    def stop(self, timeout: float) -> None:
        """Say that the program ends. Twice is harmless."""
        if not self._stopping.is_set():
            self._stopping.set()
            self.notifier.tell(STOPPING="1", STATUS="stopping")
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        every = min(_LOOK, self.notifier.watchdog / 3 or _LOOK)
        while not self._stopping.wait(every):
            self._look()

    def _look(self) -> None:
        # If this never returns, since a lock is never given back, the dog is not fed either.
        cameras = self._control.cameras()
        now = health(cameras, time.time())
        fields: dict[str, str] = {}
        if not self._ready and not any(each.state == "starting" for each in cameras):
            self._ready = True
            fields["READY"] = "1"
        if (status := now.summary[:_LONGEST_STATUS]) != self._status:
            fields["STATUS"] = self._status = status
        stuck = self._progress.stuck(cameras, time.monotonic())
        for name in stuck:
            self._say(f"{name} stands still, though it is said to be watched: systemd is no longer told that the program lives")
        if self.notifier.watchdog and not stuck:
            fields["WATCHDOG"] = "1"
        if fields:
            self.notifier.tell(**fields)
