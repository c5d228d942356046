"""Takes from the bus what others are to be told, and puts it into an outbox at once: no receiver holds up the news."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from streamseg.live.bus import Bus
from streamseg.live.news import CameraChanged, CameraRemoved, CameraStatus, Happened, News, Warned
from streamseg.live.tell.event_json import as_data, utc_text

__all__ = ["Collector", "Complaints"]

_WAITING = 4096
"""News that wait while the disk is slow."""
_AWAY = ("lost", "failed")
_SAY_EVERY = 60.0


class Complaints:
    """Says to people what goes wrong with a receiver: each thing once, and again only after a minute."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._lock = threading.Lock()
        self._said: dict[str, float] = {}

    def __call__(self, text: str) -> None:
        """Tell it, unless it was just told. Never waits."""
        now = time.monotonic()
        with self._lock:
            if now - self._said.get(text, -_SAY_EVERY) < _SAY_EVERY:
                return
            self._said = {each: at for each, at in self._said.items() if now - at < _SAY_EVERY} | {text: now}
        self._bus.publish(Warned("", text, time.time()))


class Collector:
    """A thread that hands each event, and each camera's loss and return, to `take` as plain data with its thumbnail."""

    def __init__(self, bus: Bus, take: Callable[[dict[str, Any], bytes], None], name: str, say: Callable[[str], None]) -> None:
        self._take, self._say, self._name = take, say, name
        self._news = bus.subscribe(Happened, CameraChanged, CameraRemoved, size=_WAITING)
        self._states: dict[str, str] = {}
        self._thread = threading.Thread(target=self._run, name=f"{name} collector", daemon=True)

    @property
    def dropped(self) -> int:
        """News that were lost since this thread came too late for them."""
        return self._news.dropped

    def start(self) -> None:
        """Begin; what was told since the collector was made counts, too."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Take what has been told until now, and end."""
        self._news.close()
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        dropped = 0
        for news in self._news:
            data = self._data(news)
            if data is not None:
                self._take(data, news.thumbnail if isinstance(news, Happened) else b"")
            if self._news.dropped > dropped:
                self._say(f"{self._name}: {self._news.dropped - dropped} events were lost, since the disk is too slow for them")
                dropped = self._news.dropped

    def _data(self, news: News) -> dict[str, Any] | None:
        if isinstance(news, Happened):
            return as_data(news)
        if isinstance(news, CameraRemoved):
            self._states.pop(news.name, None)
        if not isinstance(news, CameraChanged):
            return None
        status = news.status
        before, self._states[status.name] = self._states.get(status.name, ""), status.state
        if status.state == before or (status.state not in _AWAY and (status.state != "watching" or before not in _AWAY)):
            # While it is lost, that it is tried again is no news.
            if status.state == "starting" and before in _AWAY:
                self._states[status.name] = before
            return None
        return _state_data(status)


def _state_data(status: CameraStatus) -> dict[str, Any]:
    data: dict[str, Any] = {
        "id": f"{status.name}-{status.state}-{status.since_utc:.3f}",
        "camera": status.name,
        "event": "state",
        "utc": utc_text(status.since_utc),
        "state": status.state,
    }
    return data | ({"reason": status.reason} if status.reason else {})
