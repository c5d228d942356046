"""Many cameras on one engine: films at their own speed for cameras, and a model whose answers are known."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import streamseg
from streamseg.errors import ConfigError
from streamseg.live.control import Control, Feed
from streamseg.live.live import Live
from streamseg.live.news import CameraStatus
from tests import clips

LONG = 20.0
"""Seconds; a test that waits for this has failed."""


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(clips.cfr(tmp_path_factory.mktemp("film") / "film.mp4", 20, 25))


@pytest.fixture
def watch(known: Path) -> Iterator[Callable[..., Live]]:
    """`watch(cameras)`: watch them with the model of `known`."""
    begun: list[Live] = []

    def begin(cameras: object, **options: object) -> Live:
        begun.append(Live(cameras, model=str(known), threads=1, **options))  # type: ignore[arg-type]
        begun[-1].start()
        return begun[-1]

    yield begin
    for live in begun:
        assert live.stop()


def status(live: Live, name: str) -> CameraStatus:
    return next(each for each in live.cameras() if each.name == name)


def until(live: Live, name: str, wanted: Callable[[CameraStatus], bool]) -> CameraStatus:
    deadline = time.monotonic() + LONG
    while not wanted(found := status(live, name)):
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
    return found


def test_cameras_are_watched_beside_one_that_is_away_and_one_that_is_none(watch, film):
    live = watch({"a": {"source": film, "loop": True}, "off": "rtsp://u:secret@127.0.0.1:9/x", "typo": "no-such.mp4"})
    seen = until(live, "a", lambda how: how.processed > 5)
    assert (seen.state, seen.width, seen.height) == ("watching", clips.WIDTH, clips.HEIGHT)
    assert until(live, "typo", lambda how: how.state == "failed").reason == "no-such.mp4: no such file"
    off = until(live, "off", lambda how: how.state == "lost")
    assert "connection refused" in off.reason
    assert "secret" not in f"{off} {live.options('off')}"
    health = live.health()
    assert not health["ok"]
    assert {name: how["state"] for name, how in health["cameras"].items()} == {"a": "watching", "off": "lost", "typo": "failed"}
    assert live.feed("a").snapshot().startswith(b"\xff\xd8")
    assert live.feed("a").latest().names == ["person"]


def test_cameras_come_and_go_while_others_are_watched(watch, film):
    live = watch({"a": {"source": film, "loop": True}})
    until(live, "a", lambda how: how.processed > 2)
    live.add("b", {"source": film, "loop": True})
    with pytest.raises(ConfigError, match="a camera 'b' already"):
        live.add("b", {"source": film})
    until(live, "b", lambda how: how.processed > 2)
    live.pause("b")
    until(live, "b", lambda how: how.state == "paused")
    live.resume("b")
    until(live, "b", lambda how: how.state == "watching")
    live.remove("b")
    with pytest.raises(ConfigError, match=r"no camera 'b'.*there are: a"):
        live.feed("b")
    how = status(live, "a")
    assert how.captured - how.processed - sum(how.skipped.values()) < 8  # in flight


def test_live_is_public():
    assert streamseg.Live is Live


def test_live_implements_what_the_page_and_others_ask_of_it(watch, film):
    live = watch({"a": film})
    control: Control = live
    feed: Feed = control.feed("a")
    assert feed.latest() is None or feed.latest().frame.width == clips.WIDTH
