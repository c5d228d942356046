"""Many cameras on one engine: films at their own speed for cameras, and a model whose answers are known."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

import streamseg
from streamseg.core.result import Result
from streamseg.engine import GraphSpec, Outputs, read_spec
from streamseg.errors import ConfigError, EngineError
from streamseg.live.bus import Subscription
from streamseg.live.control import Control, Feed
from streamseg.live.live import Live
from streamseg.live.news import CameraStatus, Warned
from streamseg.pipeline import session
from tests import clips
from tests.rtsp_source import Camera, access_units

LONG = 20.0
"""Seconds; a test that waits for this has failed."""


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(clips.cfr(tmp_path_factory.mktemp("film") / "film.mp4", 20, 25))


@pytest.fixture(scope="module")
def long_film(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(clips.cfr(tmp_path_factory.mktemp("film") / "long.mp4", 1500, 25))


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


def test_a_camera_that_is_away_shows_why(watch):
    """Before it was ever seen, and after; the tracks of what it showed are no news then."""
    live = watch({"off": "rtsp://u:secret@127.0.0.1:9/x", "typo": "no-such.mp4"})
    for name, why in (("off", "connection refused"), ("typo", "no such file")):
        until(live, name, lambda how: how.reason != "" and how.state in ("lost", "failed"))
        wait = time.monotonic() + LONG
        while (shown := live.feed(name).latest()) is None and time.monotonic() < wait:
            time.sleep(0.02)
        assert shown is not None
        assert why in shown.frame.lost
        assert "secret" not in shown.frame.lost
        assert (shown.frame.width, shown.frame.height, len(shown)) == (1280, 720, 0)
        assert live.feed(name).snapshot().startswith(b"\xff\xd8")
        assert status(live, name).state in ("lost", "failed")
        assert status(live, name).rate == 0.0


@pytest.mark.long
def test_a_camera_that_is_lost_is_lost_until_its_own_pictures_come_again(watch, tmp_path):
    pictures = access_units(tmp_path, 250)
    with Camera(pictures, pause=0.02) as camera:
        live = watch({"door": f"rtsp://127.0.0.1:{camera.port}/main"})
        until(live, "door", lambda how: how.state == "watching")
    until(live, "door", lambda how: how.state == "lost")
    wait = time.monotonic() + LONG
    while not (shown := live.feed("door").latest()).frame.lost and time.monotonic() < wait:
        time.sleep(0.02)
    assert "the other side" in shown.frame.lost or "connection" in shown.frame.lost
    assert (shown.frame.width, shown.detected) == (clips.WIDTH, False)
    assert status(live, "door").state == "lost", "a placeholder is no picture of the camera"
    with Camera(pictures, pause=0.02, port=camera.port):
        until(live, "door", lambda how: how.state == "watching")
        wait = time.monotonic() + LONG
        while (shown := live.feed("door").latest()).frame.lost and time.monotonic() < wait:
            time.sleep(0.02)
    assert not shown.frame.lost


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


def said(news: Subscription, text: str) -> str:
    """What was said with `text` in it."""
    while (warned := news.get(LONG)) is not None:
        if text in warned.text:
            return warned.text
    raise AssertionError(f"nobody said {text!r}")


def test_an_edited_file_is_taken_over_and_what_was_changed_otherwise_stays(watch, film, tmp_path):
    path = tmp_path / "cameras.yaml"
    one = f"a: {{source: {film}, loop: true, conf: 0.3}}"
    path.write_text(f"cameras:\n  {one}\n  b: {{source: {film}, loop: true}}\n")
    live = watch(path)
    news = live.bus.subscribe(Warned)
    until(live, "a", lambda how: how.processed > 0 and how.state == "watching")
    live.change("a", {"classes": ["person"]})
    before, began = status(live, "a"), time.monotonic()

    path.write_text(f"cameras:\n  {one.replace('0.3', '0.4')}\n  c: {{source: {film}, loop: true}}\n")
    assert said(news, "was read again").endswith("c added; b removed; a: conf")
    assert time.monotonic() - began < 1.0 + 0.5, "on a busy machine"
    assert [each.name for each in live.cameras()] == ["a", "c"]
    assert (live.options("a")["conf"], live.options("a")["classes"]) == (0.4, ["person"])
    until(live, "c", lambda how: how.processed > 0)
    assert until(live, "a", lambda how: how.processed > before.processed).since_utc == before.since_utc, "not opened anew"

    path.write_text("cameras:\n  a: {source: x, conf: 4}\n  d: {sauce: 0}\n")
    told = said(news, "all goes on as it was")
    assert f"{path}:2: cameras.a.conf: 4 is not allowed" in told
    assert f"{path}:3: cameras.d.sauce: unknown key; did you mean 'source'?" in told
    path.write_text(f"cameras:\n  {one}\n  d: {{source: {film}, classes: [unicorn]}}\n")
    assert "camera d: classes: there is no 'unicorn'" in said(news, "all goes on as it was")
    assert [each.name for each in live.cameras()] == ["a", "c"]
    assert live.options("a")["conf"] == 0.4
    path.write_text(f"cameras:\n  {one}\n")  # back to what it was
    assert said(news, "was read again").endswith("c removed; a: conf")


def test_a_file_that_is_emptied_or_moved_away_changes_nothing_until_it_is_back(watch, film, tmp_path):
    path = tmp_path / "cameras.yaml"
    text = f"cameras:\n  a: {{source: {film}, loop: true}}\n"
    path.write_text(text)
    live = watch(path)
    news = live.bus.subscribe(Warned)
    until(live, "a", lambda how: how.processed > 0)
    path.write_text("")  # as an editor does before it writes
    assert "there are no cameras in it" in said(news, "all goes on as it was")
    path.unlink()
    assert f"{path} is gone, or cannot be read" in said(news, "all goes on as it was")
    before = status(live, "a")
    assert until(live, "a", lambda how: how.processed > before.processed).state == "watching"
    path.write_text(text.replace("true", "true, conf: 0.4"))
    assert said(news, "was read again").endswith(": a: conf")


def test_where_it_can_be_asked_for_again_it_goes_on_and_says_once_that_nothing_is_watched(known, tmp_path):
    path = tmp_path / "cameras.yaml"
    path.write_text("cameras: {typo: no-such.mp4}\n")
    live = Live(path, model=str(known), threads=1)
    news = live.bus.subscribe(Warned)
    with live:
        told = said(news, "nothing is watched any more")
        assert told == f"nothing is watched any more: every camera has failed; ask for it again by editing {path}"
        began = time.monotonic()
        live.run(0.6, until_over=True)
        assert time.monotonic() - began >= 0.6
        assert news.get(0) is None


class Hangs:
    """An engine whose answers never come."""

    name, device, precision, in_flight, together = "hanging", "none", "fp32", 1, 1

    def __init__(self, spec: GraphSpec) -> None:
        self.spec = spec

    def submit(self, images: object) -> Future[Outputs]:
        return Future()

    def close(self) -> None:
        """Would wait for good."""
        threading.Event().wait(LONG)


@pytest.fixture
def hanging(known: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = read_spec(known)
    monkeypatch.setattr(session, "load_engine", lambda config: Hangs(spec))


def test_an_engine_that_never_answers_ends_it(hanging, film, known):
    live = Live({"a": {"source": film, "loop": True}}, model=str(known), patience=0.5)
    live.start()
    began = time.monotonic()
    with pytest.raises(EngineError, match=r"hanging.* has not answered for \d+ s \(patience: 0.5 s\): it hangs"):
        live.run(LONG)
    assert not live.stop(), "it is left alone"
    assert time.monotonic() - began < LONG / 2


def test_stopping_waits_for_no_engine_that_hangs(hanging, film, known):
    live = Live({"a": {"source": film, "loop": True}, "off": "rtsp://127.0.0.1:9/x"}, model=str(known))
    live.start()
    until(live, "a", lambda how: how.captured > 3)
    began = time.monotonic()
    assert not live.stop()
    assert time.monotonic() - began < 5.5


@pytest.mark.parametrize("state", ["lost", "connecting", "failed", "paused"])
def test_stopping_takes_a_moment_in_every_state(watch, film, state):
    with contextlib.ExitStack() as open_:
        silent = open_.enter_context(socket.create_server(("127.0.0.1", 0)))  # takes connections, and says nothing
        silent.settimeout(LONG)
        connecting = f"rtsp://127.0.0.1:{silent.getsockname()[1]}/x"
        sources = {"lost": "rtsp://127.0.0.1:9/x", "connecting": connecting, "failed": "no-such.mp4", "paused": film}
        live = watch({"a": sources[state]})
        if state == "paused":
            live.pause("a")
        if state == "connecting":
            open_.enter_context(silent.accept()[0])
        else:
            until(live, "a", lambda how: how.state == state)
        began = time.monotonic()
        assert live.stop()
        assert time.monotonic() - began < 3


def test_stopping_while_the_engine_is_loaded_waits_for_it_no_longer_than_it_may(film, known, monkeypatch):
    loading = threading.Event()

    def load(config: object) -> None:
        loading.wait(LONG)
        raise EngineError("it was of no use")

    monkeypatch.setattr(session, "load_engine", load)
    live = Live({"a": film}, model=str(known))
    live.start()
    began = time.monotonic()
    assert not live.stop(1.0)
    assert time.monotonic() - began < 2
    loading.set()


def test_a_camera_may_be_kept_in_the_file_without_being_watched(watch, film):
    live = watch({"a": {"source": film, "loop": True, "enabled": False}})
    assert until(live, "a", lambda how: how.state == "paused").captured == 0
    assert live.health()["ok"]
    live.change("a", {"enabled": True})
    until(live, "a", lambda how: how.state == "watching")
    live.change("a", {"enabled": False})
    until(live, "a", lambda how: how.state == "paused")


def test_a_film_that_ends_ends_nothing_else(watch, film):
    live = watch({"short": film, "a": {"source": film, "loop": True}})
    ended = until(live, "short", lambda how: how.state == "stopped")
    assert (ended.reason, ended.captured) == ("the film has ended", 20)
    before = status(live, "a").processed
    until(live, "a", lambda how: how.processed > before + 25)


def test_live_is_public():
    assert streamseg.Live is Live


def test_live_implements_what_the_page_and_others_ask_of_it(watch, film):
    live = watch({"a": film})
    control: Control = live
    feed: Feed = control.feed("a")
    assert feed.latest() is None or feed.latest().frame.width == clips.WIDTH


def newest(live: Live, name: str, wanted: Callable[[Result], bool]) -> Result:
    """The first of its results that is as wanted."""
    deadline = time.monotonic() + LONG
    while (found := live.feed(name).latest()) is None or not wanted(found):
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
    return found


def test_what_is_found_watched_and_drawn_changes_without_opening_the_source_again(watch, long_film):
    live = watch({"a": {"source": long_film, "effects": "none", "lines": {"door": [[0.5, 0], [0.5, 1]]}}})
    first = newest(live, "a", lambda result: len(result.activity.total) > 0)
    (track,) = first.track_ids
    plain = live.feed("a").snapshot()

    live.change("a", {"classes": ["car"]})
    without = newest(live, "a", lambda result: not len(result.instances))
    live.change("a", {"classes": None, "conf": 0.4, "effects": "solid: {color: '#ff0000'}", "smooth": {"masks": "off"}})
    again = newest(live, "a", lambda result: len(result.instances) > 0)
    live.change("a", {"lines": {"door": [[0.5, 0], [0.5, 1]], "gate": [[0.2, 0], [0.2, 1]]}, "detect_every": 3})
    more = newest(live, "a", lambda result: "gate" in result.activity.lines and not result.detected)

    assert [r.frame.index for r in (first, without, again, more)] == sorted(
        {r.frame.index for r in (first, without, again, more)}
    )
    assert again.track_ids.tolist() in ([track], [track + 1]), "of the same tracker"
    assert more.activity.total["person"] >= 1, "the count goes on"
    assert status(live, "a").reconnects == 0
    assert live.feed("a").snapshot() != plain
    assert live.options("a")["conf"] == 0.4

    for wrong, said in (
        ({"classes": ["unicorn"]}, "camera a: classes: there is no 'unicorn'.*all of them: classes: all"),
        ({"effects": "blurr"}, "no such effect"),
        ({"conf": 3}, "conf"),
    ):
        with pytest.raises(ConfigError, match=said):
            live.change("a", wrong)
    assert live.options("a")["conf"] == 0.4
    index = more.frame.index
    newest(live, "a", lambda result: result.frame.index > index)


def test_another_source_is_opened_instead(watch, film, tmp_path):
    small = clips.cfr(tmp_path / "small.mp4", 20, 25, clips.Video((64, 48)))
    live = watch({"a": {"source": film, "loop": True}})
    until(live, "a", lambda how: how.processed > 2)
    live.change("a", {"source": str(small)})
    assert until(live, "a", lambda how: how.width == 64).captured > 2, "counts go on"


def test_a_track_is_named_and_hidden_while_it_runs(watch, film):
    live = watch({"a": {"source": film, "loop": True}})
    until(live, "a", lambda how: how.processed > 8)
    track = int(live.feed("a").latest().track_ids[0])
    processed, epoch = status(live, "a").processed, status(live, "a").epoch
    live.change("a", {"names": {str(track): "Anna"}})
    deadline = time.monotonic() + LONG
    while "Anna" not in (called := live.feed("a").latest().instances.called):
        assert time.monotonic() < deadline, called
        time.sleep(0.02)
    assert live.feed("a").latest().track_ids.tolist() == [track]  # nothing was opened anew
    with pytest.raises(ConfigError, match=f"camera a: names: {track}: ' ' is no name"):
        live.change("a", {"names": {track: " "}})
    live.change("a", {"hide": [track]})
    while len(live.feed("a").latest()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert live.options("a")["hide"] == [track]
    assert status(live, "a").processed > processed
    assert status(live, "a").epoch >= epoch
