"""The media servers that one camera is pushed to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any

from pydantic import BeforeValidator

from streamseg.encode.stream import SharedStream
from streamseg.encode.stream.push import Pusher, PushState
from streamseg.encode.stream.targets import push_target
from streamseg.errors import OutputError

__all__ = ["CameraPushes", "Pushes"]

HOLDER = "{name}"
"""Stands in an address for the camera's name, so that `defaults` can say it for all."""


def _addresses(value: Any) -> Any:
    """One address, or a list of them. Raises ValueError."""
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, list | tuple) or not all(isinstance(each, str) for each in given):
        raise ValueError("push is an address, as rtsp://server:8554/{name}, or a list of them")
    for each in given:
        try:
            push_target(each.replace(HOLDER, "name"))
        except OutputError as error:
            raise ValueError(str(error)) from None
    if len(set(given)) < len(given):
        raise ValueError("push names the same address twice")
    return tuple(given)


Pushes = Annotated[tuple[str, ...], BeforeValidator(_addresses)]
"""Addresses of media servers (rtsp, rtmp, srt, udp, whip), each with its own credentials in it."""


class CameraPushes:
    """Pushes a camera's stream, from the one encode that viewers have, too. Thread-safe."""

    def __init__(self, camera: str, stream: SharedStream, warn: Callable[[str], None]) -> None:
        """`warn` hears of servers that are away, and that are back."""
        self._camera, self._stream, self._warn = camera, stream, warn
        self._lock = threading.Lock()
        self._pushers: dict[str, Pusher] = {}
        self._away: set[str] = set()

    def take(self, addresses: str | Sequence[str]) -> None:
        """Push to these from now on, and to no others; who stays hears nothing of it. It waits for no server."""
        gone = self._change(addresses)
        if gone:
            threading.Thread(target=_farewell, args=(gone,), name="farewell", daemon=True).start()

    def close(self) -> None:
        """Say farewell to all, within some seconds."""
        _farewell(self._change(()))

    def _change(self, addresses: str | Sequence[str]) -> list[Pusher]:
        """Who is to go, and knows it."""
        given = [addresses] if isinstance(addresses, str) else addresses
        wanted = [each.replace(HOLDER, self._camera) for each in given]
        with self._lock:
            gone = [self._pushers.pop(each) for each in [*self._pushers] if each not in wanted]
            for each in wanted:
                if each not in self._pushers:
                    self._pushers[each] = Pusher(self._stream, each, partial(self._hear, each))
                    self._pushers[each].start()
        for pusher in gone:
            pusher.end()
        return gone

    def states(self) -> Mapping[str, str]:
        """Server, without credentials → `pushing`, or why not."""
        with self._lock:
            pushers = [*self._pushers.values()]
        return {each.target.name: each.reason or each.state for each in pushers}

    def _hear(self, address: str, state: PushState, reason: str) -> None:
        pusher = self._pushers.get(address)
        if pusher is None:
            return
        if state == "waiting" and address not in self._away:
            self._away.add(address)
            self._warn(f"push to {pusher.target.name}: {reason}; it is tried again")
        elif state == "pushing" and address in self._away:
            self._away.discard(address)
            self._warn(f"push to {pusher.target.name}: the server takes it now")


def _farewell(pushers: Sequence[Pusher]) -> None:
    for pusher in pushers:
        pusher.close()
