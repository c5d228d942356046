"""Webhooks, against a real server: signed, in order, and nothing lost while the receiver is away."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from streamseg.config.live_webhooks import WebhookConfig
from streamseg.errors import ConfigError
from streamseg.live.bus import Bus
from streamseg.live.news import CameraChanged, CameraStatus, Warned
from streamseg.live.tell.delivery import Backoff
from streamseg.live.tell.webhook import Webhook, signature
from tests.unit.live.tell.news import happened, until


class Receiver:
    """Answers each call with the next of `script`, 204 when there is none left; "drip" sends its answer a byte at a time."""

    def __init__(self, script: list[str] | None = None, port: int = 0) -> None:
        self.calls: list[tuple[dict[str, str], bytes]] = []
        self.script = script or []
        self.closing = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                step = receiver.script.pop(0) if receiver.script else "204"
                if step == "drip":
                    while not receiver.closing.wait(0.02):
                        self.wfile.write(b"H")
                    return
                receiver.calls.append(({name.lower(): value for name, value in self.headers.items()}, body))
                status, _, more = step.partition(" ")
                self.send_response(int(status))
                if more:
                    name, _, value = more.partition(": ")
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._http.daemon_threads = True
        self._http.block_on_close = False
        self.port = int(self._http.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}/hook"
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def data(self) -> list[Any]:
        return [json.loads(body) for _, body in self.calls]

    @property
    def ids(self) -> list[str]:
        return [data["id"] for data in self.data]

    def close(self) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()


def begin(ended: list[Any], folder: Path, url: str, bus: Bus | None = None, **options: Any) -> tuple[Bus, Webhook]:
    bus = bus or Bus()
    webhook = Webhook(WebhookConfig(url=url, **options), bus, folder, Backoff(0.01, 0.05))
    ended.append(webhook)
    webhook.start()
    return bus, webhook


def test_an_event_arrives_signed_and_once(tmp_path: Path, ended: list[Any]) -> None:
    receiver = Receiver()
    ended.append(receiver)
    bus, webhook = begin(ended, tmp_path, receiver.url, secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    bus.publish(happened())
    until(lambda: webhook.delivery.sent == 1)
    ((headers, body),) = receiver.calls
    assert json.loads(body) == {
        "id": "door-000001",
        "camera": "door",
        "event": "cross",
        "utc": "2026-11-30T17:05:00.250Z",
        "time": 12.5,
        "frame": 300,
        "epoch": 2,
        "track_id": 7,
        "class": "person",
        "place": "step",
        "direction": "in",
        "box": [1.0, 2.0, 30.0, 60.5],
    }
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()}"
    assert headers["webhook-id"] == "door-000001"
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 30
    assert len(webhook.outbox) == 0


def test_the_signature_is_the_one_that_standard_webhooks_prints() -> None:
    """The example in its specification, from the reference implementations' tests."""
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body) == expected


def test_a_receiver_that_is_down_loses_nothing_and_gets_all_in_order(tmp_path: Path, ended: list[Any]) -> None:
    receiver = Receiver()
    bus, webhook = begin(ended, tmp_path, receiver.url)
    warnings = bus.subscribe(Warned)
    bus.publish(happened(1))
    until(lambda: webhook.delivery.sent == 1)
    receiver.close()
    for number in range(2, 40):
        bus.publish(happened(number))
    until(lambda: webhook.delivery.failures >= 2)
    again = Receiver(port=receiver.port)
    ended.append(again)
    until(lambda: webhook.delivery.sent == 39)
    assert again.ids == [f"door-{number:06d}" for number in range(2, 40)]
    first, second = warnings.get(1), warnings.get(1)
    assert isinstance(first, Warned)
    assert "cannot be reached" in first.text
    assert isinstance(second, Warned)
    assert "again" in second.text
    assert warnings.get(0) is None, "one trouble is told once, and its end"


def test_what_waits_is_delivered_by_the_next_start(tmp_path: Path, ended: list[Any]) -> None:
    receiver = Receiver(["503"] * 1000)
    ended.append(receiver)
    bus, webhook = begin(ended, tmp_path, receiver.url)
    for number in range(3):
        bus.publish(happened(number))
    until(lambda: webhook.delivery.failures >= 1)
    ended.remove(webhook)
    webhook.stop(1.0)
    receiver.script.clear()
    receiver.calls.clear()
    begin(ended, tmp_path, receiver.url)
    until(lambda: len(receiver.calls) == 3)
    assert receiver.ids == ["door-000000", "door-000001", "door-000002"]


def test_busy_is_waited_for_and_refused_is_given_up(tmp_path: Path, ended: list[Any]) -> None:
    receiver = Receiver(["429 Retry-After: 0", "307 Location: /elsewhere", "401", "204", "422", "422", "422", "204"])
    ended.append(receiver)
    bus, webhook = begin(ended, tmp_path, receiver.url)
    warnings = bus.subscribe(Warned)
    for number in (1, 2, 3):
        bus.publish(happened(number))
    until(lambda: webhook.delivery.sent == 2)
    assert receiver.ids == ["door-000001"] * 4 + ["door-000002"] * 3 + ["door-000003"]
    assert webhook.delivery.refused == 1
    said = []
    while isinstance(news := warnings.get(0), Warned):
        said.append(news.text)
    assert any("refuses a message, which is given up: answers 422" in text for text in said)


def test_a_receiver_that_answers_byte_by_byte_is_hung_up_on(tmp_path: Path, ended: list[Any]) -> None:
    receiver = Receiver(["drip", "204"])
    ended.append(receiver)
    bus, webhook = begin(ended, tmp_path, receiver.url, timeout=0.1)
    bus.publish(happened())
    until(lambda: webhook.delivery.sent == 1)
    assert webhook.delivery.failures == 1


def test_stopping_waits_for_no_receiver(tmp_path: Path, ended: list[Any]) -> None:
    receiver = Receiver(["drip"])
    ended.append(receiver)
    bus, webhook = begin(ended, tmp_path, receiver.url, timeout=60)
    bus.publish(happened())
    until(lambda: webhook._call._socket is not None)
    ended.remove(webhook)
    begun = time.monotonic()
    webhook.stop(0.4)
    assert time.monotonic() - begun < 2


def test_filters_and_templates(tmp_path: Path, ended: list[Any]) -> None:
    receiver = Receiver()
    ended.append(receiver)
    body = {"text": 'A "$class" goes $direction at $camera$$', "n": 3, "id": "$id", "list": ["$place"]}
    options = {"cameras": ["door"], "classes": "person", "events": "cross", "places": ["step"], "body": body, "thumbnail": True}
    bus, webhook = begin(ended, tmp_path, receiver.url, **options)
    bus.publish(happened(1, camera="yard"))
    bus.publish(happened(2, name="cat"))
    bus.publish(happened(3, name="person", thumbnail=b"\xff\xd8jpeg"))
    until(lambda: webhook.delivery.sent == 1)
    assert receiver.data == [
        {
            "text": 'A "person" goes in at door$',
            "n": 3,
            "id": "door-000003",
            "list": ["step"],
            "thumbnail": base64.b64encode(b"\xff\xd8jpeg").decode(),
        }
    ]


def test_a_camera_that_is_lost_and_back_is_an_event(tmp_path: Path, ended: list[Any]) -> None:
    receiver = Receiver()
    ended.append(receiver)
    bus, webhook = begin(ended, tmp_path, receiver.url, events=["state"])
    for state, since in (
        ("starting", 1.0),
        ("watching", 2.0),
        ("lost", 3.0),
        ("starting", 4.0),
        ("lost", 5.0),
        ("watching", 6.0),
    ):
        bus.publish(CameraChanged(CameraStatus("door", "rtsp://h", state, since, reason="gone" if state == "lost" else "")))
    bus.publish(happened())
    until(lambda: webhook.delivery.sent == 2)
    assert [(data["event"], data["state"], data.get("reason")) for data in receiver.data] == [
        ("state", "lost", "gone"),
        ("state", "watching", None),
    ]
    assert len(set(receiver.ids)) == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"url": "ftp://h/x"}, "is not an address"),
        ({"url": "http://user:pa ss@h/x"}, r"\*\*\*@h/x"),
        ({"url": "http://h", "secret": 12345}, "not shown here"),
        ({"url": "http://h", "events": ["crosss"]}, "did you mean 'cross'"),
        ({"url": "http://h", "body": {"a": "$klass"}}, "did you mean 'class'"),
        ({"url": "http://h", "body": {"a": "5$"}}, r"written \$\$"),
        ({"url": "http://h", "headers": {"A b": "c"}}, "not the name of a header"),
    ],
)
def test_what_cannot_be_is_refused_without_showing_a_secret(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        WebhookConfig(**options)
    assert "12345" not in str(caught.value)
    assert "pa ss" not in str(caught.value)


def test_secrets_come_from_files_and_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text("hush\n")
    monkeypatch.setenv("HOOK_KEY", "hush2")
    config = WebhookConfig(
        url="http://h", secret={"file": str(tmp_path / "key")}, headers={"Authorization": {"env": "HOOK_KEY"}}
    )
    assert config.secret is not None
    assert (config.secret.get(), config.headers["Authorization"].get()) == ("hush", "hush2")
    assert "hush" not in repr(config)
    with pytest.raises(ConfigError, match="cannot read"):
        Webhook(WebhookConfig(url="http://h", secret={"file": str(tmp_path / "none")}), Bus(), tmp_path).start()
