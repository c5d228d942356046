"""systemd is told the truth, over a real socket as it has one."""

from __future__ import annotations

import itertools
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamseg.live.news import Warned
from streamseg.live.tell.systemd import Notifier, Systemd
from tests.unit.live.fakes import FakeControl

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="systemd is Linux's")


class Inbox:
    """What systemd would have received."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        self._socket.settimeout(5.0)
        self.environment = {"NOTIFY_SOCKET": address}

    def next(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self._socket.recv(4096).decode().split("\n"))

    def until(self, field: str) -> dict[str, str]:
        while field not in (found := self.next()):
            pass
        return found

    def empty(self) -> None:
        self._socket.setblocking(False)
        try:
            while self._socket.recv(4096):
                pass
        except BlockingIOError:
            self._socket.settimeout(5.0)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def inbox(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Inbox]:
    made = Inbox(
        str(tmp_path / "notify") if request.param == "path" else f"@streamseg-test-{os.getpid()}-{time.monotonic_ns()}"
    )
    yield made
    made.close()


def watched() -> FakeControl:
    return FakeControl({"door": {"source": "0"}, "yard": {"source": "1"}})


def test_ready_is_said_when_every_camera_was_seen_or_found_to_be_away(inbox: Inbox) -> None:
    cameras = watched()
    service = Systemd(cameras, inbox.environment)
    cameras.say("door", since_utc=1796058300.0)
    cameras.say("yard", since_utc=1796058300.0)
    service._look()
    since = "since 2026-11-30 17:05:00 UTC"
    assert inbox.next() == {"STATUS": f"0 of 2 cameras watched; door is starting {since}; yard is starting {since}"}
    cameras.say("door", state="watching")
    cameras.say("yard", state="lost", reason="no route\nto host")
    service._look()
    assert inbox.next() == {"READY": "1", "STATUS": f"1 of 2 cameras watched; yard is lost {since}: no route to host"}
    service.stop(1.0)
    assert inbox.next()["STOPPING"] == "1"


@pytest.mark.parametrize("inbox", ["path"], indirect=True)
def test_the_dog_is_fed_while_frames_move_and_not_when_they_stand_still(inbox: Inbox) -> None:
    cameras = watched()
    warnings = cameras.bus.subscribe(Warned)
    environment = inbox.environment | {"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}
    service = Systemd(cameras, environment, patience=0.1)
    cameras.say("door", state="watching", captured=1, processed=1)
    cameras.say("yard", state="lost")
    end = time.monotonic() + 0.15
    number = 1
    while time.monotonic() < end:
        number += 1
        cameras.say("door", captured=number, processed=number)
        service._look()
        assert inbox.until("WATCHDOG")["WATCHDOG"] == "1", "a camera that is away is no reason to begin anew"
        time.sleep(0.03)
    end = time.monotonic() + 0.15
    while time.monotonic() < end:
        number += 1
        cameras.say("door", captured=number)  # frames come, and the engine answers none
        time.sleep(0.03)
    inbox.empty()
    service._look()
    service.stop(1.0)
    assert "WATCHDOG" not in inbox.next()
    said = warnings.get(1)
    assert isinstance(said, Warned)
    assert "door stands still" in said.text


def test_the_thread_feeds_it_often_enough_and_ends(inbox: Inbox) -> None:
    cameras = watched()
    service = Systemd(cameras, inbox.environment | {"WATCHDOG_USEC": "150000"})
    service.start()
    fed = [inbox.until("WATCHDOG") and time.monotonic() for _ in range(4)]
    service.stop(2.0)
    assert max(later - earlier for earlier, later in itertools.pairwise(fed)) < 0.15
    assert inbox.until("STOPPING")


def test_without_systemd_nothing_happens() -> None:
    service = Systemd(watched(), {})
    service.start()
    service.stop(1.0)
    assert Notifier({}).tell(READY="1") is False
    assert Notifier({"NOTIFY_SOCKET": "/nowhere/at/all"}).tell(READY="1") is False
    assert Notifier({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}).watchdog == 0.0, (
        "another process is meant"
    )


def test_a_reload_is_said_with_its_time(inbox: Inbox) -> None:
    Notifier(inbox.environment).reloading()
    found = inbox.next()
    assert found["RELOADING"] == "1"
    assert abs(int(found["MONOTONIC_USEC"]) / 1e6 - time.monotonic()) < 5
