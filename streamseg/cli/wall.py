"""What a person sees in the terminal while cameras are watched: a table that is kept up to date, and lines of what happens.

Where there is no terminal, as in a log, there are the lines alone, and a summary once in a while.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.live import Live as Refreshed
from rich.markup import escape
from rich.table import Table

from streamseg.live.news import CameraChanged, CameraRemoved, CameraStatus, News, Warned

if TYPE_CHECKING:
    from streamseg.cli.display import Screen
    from streamseg.live.live import Live

__all__ = ["Wall", "summary", "table"]

REFRESH = 0.5
"""Seconds between two looks of the table."""
SUMMARY = 60.0
"""Seconds between two summaries where there is no terminal."""
_COLOURS = {"watching": "green", "lost": "red", "failed": "red", "starting": "yellow", "paused": "dim", "stopped": "dim"}


class Wall:
    """Tells of cameras, in a thread of its own, until it is left."""

    def __init__(self, live: Live, screen: Screen, quiet: bool) -> None:
        self._live, self._screen, self._quiet = live, screen, quiet
        self._told: dict[str, tuple[str, str]] = {}
        self._news = live.bus.subscribe(CameraChanged, CameraRemoved, Warned)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._tell, name="wall", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        self._news.close()
        self._thread.join(1.0)

    def _tell(self) -> None:
        console = self._screen.console
        moving = console.is_terminal and not self._quiet
        with self._table() if moving else contextlib.nullcontext() as shown:
            next_at = time.monotonic() + (REFRESH if moving else SUMMARY)
            while not self._ended.is_set():
                news = self._news.get(max(0.0, next_at - time.monotonic()))
                if news is not None:
                    self._say(news)
                if time.monotonic() < next_at:
                    continue
                next_at = time.monotonic() + (REFRESH if moving else SUMMARY)
                if shown is not None:
                    shown.update(table(self._live.cameras(), time.time()), refresh=True)
                else:
                    self._screen.say(summary(self._live.cameras()))
        while (left := self._news.get(0)) is not None:
            self._say(left)

    @contextlib.contextmanager
    def _table(self) -> Iterator[Refreshed]:
        with Refreshed(console=self._screen.console, auto_refresh=False, transient=True) as shown:
            yield shown

    def _say(self, news: News) -> None:
        if isinstance(news, CameraChanged):
            how = news.status
            if self._told.get(how.name) != (how.state, how.reason):
                self._told[how.name] = (how.state, how.reason)
                self._screen.say(f"{how.name}: {how.state}{': ' if how.reason else ''}{how.reason}")
        elif isinstance(news, CameraRemoved):
            self._told.pop(news.name, None)
            self._screen.say(f"{news.name}: removed")
        elif isinstance(news, Warned):
            self._screen.say(f"{news.camera + ': ' if news.camera else ''}{news.text}")


def table(cameras: Sequence[CameraStatus], now: float) -> Table:
    """How each camera is, a row each; `now` in seconds since 1970."""
    shown = Table("camera", "", "size", "fps", "latency p50 / p95", "left out", "now", "total", box=None, pad_edge=False)
    for how in cameras:
        latency = how.latency_ms
        seconds = max(0, round(now - how.since_utc))
        since = (
            f" {_length(seconds)}: {how.reason}" if how.reason else f" {_length(seconds)}" if how.state != "watching" else ""
        )
        shown.add_row(
            escape(how.name),
            f"[{_COLOURS[how.state]}]{how.state}[/]{escape(since)}",
            f"{how.width}x{how.height}" if how.width else "",
            f"{how.rate:.1f}" if how.state == "watching" else "",
            f"{latency['p50']:.0f} / {latency['p95']:.0f} ms" if latency and how.state == "watching" else "",
            f"{100 * sum(how.skipped.values()) / how.captured:.0f} %" if how.captured else "",
            escape(_counts(how.now)),
            escape(_counts(how.total)),
        )
    return shown


def summary(cameras: Sequence[CameraStatus]) -> str:
    """All cameras in a line, for a log."""
    parts = []
    for how in cameras:
        if how.state != "watching":
            parts.append(f"{how.name} {how.state}")
            continue
        left_out = f", {sum(how.skipped.values())} left out" if how.skipped else ""
        latency = f", {how.latency_ms['p50']:.0f} ms" if how.latency_ms else ""
        parts.append(f"{how.name} {how.rate:.1f} fps{latency}{left_out}")
    return "; ".join(parts) or "no cameras"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count)


def _length(seconds: int) -> str:
    """Of time, in words."""
    if seconds < 60:
        return f"for {seconds} s"
    return f"for {seconds // 60} min" if seconds < 3600 else f"for {seconds // 3600} h {seconds // 60 % 60} min"
