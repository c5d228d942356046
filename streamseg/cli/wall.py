"""What a person sees in the terminal while cameras are watched."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import TYPE_CHECKING, Self

from streamseg.live.news import CameraChanged, CameraRemoved, Warned

if TYPE_CHECKING:
    from streamseg.cli.display import Screen
    from streamseg.live.live import Live

__all__ = ["Wall"]


class Wall:
    """Tells of cameras, in a thread of its own, until it is left."""

    def __init__(self, live: Live, screen: Screen, quiet: bool) -> None:
        self._screen = screen
        self._news = live.bus.subscribe(CameraChanged, CameraRemoved, Warned)
        self._thread = threading.Thread(target=self._tell, name="wall", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._news.close()
        self._thread.join(1.0)

    def _tell(self) -> None:
        told: dict[str, tuple[str, str]] = {}
        for news in self._news:
            if isinstance(news, CameraChanged):
                how = news.status
                if told.get(how.name) != (how.state, how.reason):
                    told[how.name] = (how.state, how.reason)
                    self._screen.say(f"{how.name}: {how.state}{': ' if how.reason else ''}{how.reason}")
            elif isinstance(news, CameraRemoved):
                told.pop(news.name, None)
                self._screen.say(f"{news.name}: removed")
            elif isinstance(news, Warned):
                self._screen.say(f"{news.camera + ': ' if news.camera else ''}{news.text}")
