"""MQTT against a real broker: nothing that happened is lost, nothing counts twice, and what is retained is true."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from streamseg.config.live_mqtt import MqttConfig
from streamseg.core.types import Activity
from streamseg.live.news import Warned
from streamseg.live.tell.delivery import Backoff
from streamseg.live.tell.mqtt import Mqtt
from tests.unit.live.fakes import FakeControl
from tests.unit.live.tell.broker import AT_ONCE, Broker, Listener, needs_mosquitto
from tests.unit.live.tell.news import happened, until

pytestmark = needs_mosquitto


class Shown:
    """A result of which only the counts matter."""

    def __init__(self, **zones: int) -> None:
        inside = {name: {"inside": number, "entered": number, "left": 0} for name, number in zones.items()}
        self.activity = Activity({}, {}, {"step": {"in": 2, "out": 1}}, inside)


def control(*names: str) -> FakeControl:
    made = FakeControl({name: {"source": f"rtsp://user:secret@10.0.0.7/{name}", "conf": 0.5} for name in names})
    for name in names:
        made.say(name, state="watching", now={"person": 2}, total={"person": 5, "car": 1})
    return made


def begin(ended: list[Any], folder: Path, broker: Broker, cameras: FakeControl, **options: Any) -> Mqtt:
    options = {"broker": options.pop("address", f"mqtt://127.0.0.1:{broker.port}"), "interval": 0.1} | options
    mqtt = Mqtt(MqttConfig(**options), cameras, folder, Backoff(0.05, 0.3))
    ended.append(mqtt)
    mqtt.start()
    return mqtt


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_states_are_retained_and_follow_the_camera(tmp_path: Path, ended: list[Any], version: str) -> None:
    broker = Broker(tmp_path).start()
    ended.append(broker)
    cameras = control("door")
    cameras.feeds["door"]._result = Shown(crossing=1)  # type: ignore[assignment]
    mqtt = begin(ended, tmp_path, broker, cameras, version=version)
    until(lambda: mqtt.connected)
    first = Listener(broker.port)
    ended.append(first)
    until(lambda: first.last("streamseg/door/status"))
    late = Listener(broker.port, clean=True, client_id="late")
    ended.append(late)
    until(lambda: late.last("streamseg/door/status"))
    told = {topic.removeprefix("streamseg/"): payload.decode() for topic, payload, retained in late.messages if retained}
    data = json.loads(told.pop("door/status"))
    assert told == {
        "status": "online",
        "door/available": "online",
        "door/state": "watching",
        "door/count/person": "2",
        "door/count/car": "0",
        "door/total/person": "5",
        "door/total/car": "1",
        "door/zone/crossing": "1",
        "door/line/step/in": "2",
        "door/line/step/out": "1",
        "door/pause/state": "OFF",
        "door/conf/state": "0.5",
        "door/classes/state": "all",
        "door/detect_every/state": "1",
        "door/motion/state": "OFF",
        "door/record/state": "OFF",
    }
    assert data["zones"] == {"crossing": {"inside": 1, "entered": 1, "left": 0}}
    assert "secret" not in str(late.messages)
    cameras.say("door", state="lost", reason="nothing came in time", now={})
    until(lambda: late.last("streamseg/door/available") == b"offline")
    until(lambda: json.loads(late.last("streamseg/door/status") or b"{}").get("reason") == "nothing came in time")
    assert late.last("streamseg/door/count/person") == b"0"
    assert late.last("streamseg/door/zone/crossing") == b"0"


def test_a_broker_that_is_killed_loses_no_event_and_none_counts_twice(tmp_path: Path, ended: list[Any]) -> None:
    broker = Broker(tmp_path, *AT_ONCE).start()
    ended.append(broker)
    listener = Listener(broker.port, "streamseg/+/events")
    ended.append(listener)
    cameras = control("door")
    mqtt = begin(ended, tmp_path, broker, cameras)
    until(lambda: mqtt.connected)
    number = 0
    for _ in range(3):
        # What the broker has acknowledged and not yet saved dies with it: who listens is there before it is killed.
        until(lambda number=number: len({event["id"] for event in listener.events}) == number and mqtt.connected, 20)
        for _ in range(60):
            number += 1
            cameras.bus.publish(happened(number))
            time.sleep(0.001)
        broker.kill()
        for _ in range(60):
            number += 1
            cameras.bus.publish(happened(number))
        broker.start()
    until(lambda: mqtt.sent >= 1 and len(mqtt.outbox) == 0, 20)
    expected = [f"door-{n:06d}" for n in range(1, number + 1)]
    until(lambda: {event["id"] for event in listener.events} == set(expected), 20)
    seen: dict[str, None] = dict.fromkeys(event["id"] for event in listener.events)
    assert list(seen) == expected, "each once by its id, and in order"
    assert all(event["event_type"] == event["event"] == "cross" for event in listener.events)


def test_events_of_a_program_that_ended_are_told_by_the_next(tmp_path: Path, ended: list[Any]) -> None:
    broker = Broker(tmp_path)
    ended.append(broker)
    cameras = control("door")
    mqtt = begin(ended, tmp_path, broker, cameras)
    warnings = cameras.bus.subscribe(Warned)
    for number in (1, 2, 3):
        cameras.bus.publish(happened(number))
    until(lambda: len(mqtt.outbox) == 3 and mqtt.failures > 0)
    ended.remove(mqtt)
    mqtt.stop(2.0)
    broker.start()
    listener = Listener(broker.port, "streamseg/+/events")
    ended.append(listener)
    begin(ended, tmp_path, broker, control("door"))
    until(lambda: len(listener.events) == 3)
    assert [event["id"] for event in listener.events] == ["door-000001", "door-000002", "door-000003"]
    news = warnings.get(0)
    assert isinstance(news, Warned)
    assert "cannot be reached" in news.text
    assert "wait for it on disk" in news.text


def test_the_end_is_no_trouble(tmp_path: Path, ended: list[Any]) -> None:
    broker = Broker(tmp_path).start()
    ended.append(broker)
    cameras = control("door")
    warnings = cameras.bus.subscribe(Warned)
    mqtt = begin(ended, tmp_path, broker, cameras)
    until(lambda: mqtt.connected)
    ended.remove(mqtt)
    mqtt.stop(2.0)
    mqtt.stop(2.0)
    assert warnings.get(0) is None
    assert not mqtt._thread.is_alive()


def test_offline_is_said_at_the_end_and_by_the_broker_when_we_are_gone(tmp_path: Path, ended: list[Any]) -> None:
    broker = Broker(tmp_path).start()
    ended.append(broker)
    listener = Listener(broker.port, "streamseg/status")
    ended.append(listener)
    mqtt = begin(ended, tmp_path, broker, control("door"))
    until(lambda: listener.last("streamseg/status") == b"online")
    ended.remove(mqtt)
    mqtt.stop(2.0)
    until(lambda: listener.last("streamseg/status") == b"offline")
    mqtt = begin(ended, tmp_path, broker, control("door"))
    until(lambda: listener.last("streamseg/status") == b"online")
    # As if the power went: the socket breaks without a word.
    client = next(t for t in threading.enumerate() if t.name.startswith("paho-mqtt-client-streamseg"))._target.__self__  # type: ignore[attr-defined]
    with socket.socket(fileno=os.dup(client.socket().fileno())) as twin:
        twin.shutdown(socket.SHUT_RDWR)
    until(lambda: b"offline" in [p for t, p, _ in listener.messages][2:])
    until(lambda: listener.last("streamseg/status") == b"online")


def test_what_is_asked_is_done_and_told_and_what_cannot_be_is_said(tmp_path: Path, ended: list[Any]) -> None:
    broker = Broker(tmp_path).start()
    ended.append(broker)
    cameras = control("Küche.1")
    listener = Listener(broker.port)
    ended.append(listener)
    listener.say("streamseg/Kuche_1-b37cd5/pause/set", "ON", retain=True)
    mqtt = begin(ended, tmp_path, broker, cameras)
    until(lambda: listener.of("/pause/state"))
    topic = next(topic for topic, _, _ in listener.messages if topic.endswith("/pause/state")).removesuffix("/pause/state")
    assert topic.startswith("streamseg/Kuche_1-")
    assert cameras.cameras()[0].state == "watching", "a command that was retained is older than we are"
    listener.say(f"{topic}/pause/set", "on")
    until(lambda: listener.last(f"{topic}/pause/state") == b"ON")
    assert cameras.cameras()[0].state == "paused"
    listener.say(f"{topic}/pause/set", "OFF")
    until(lambda: listener.last(f"{topic}/pause/state") == b"OFF")
    for name, asked, so in (
        ("conf", "0.35", b"0.35"),
        ("classes", "person, car", b"person,car"),
        ("classes", "all", b"all"),
        ("detect_every", "auto", b"auto"),
        ("motion", "on", b"ON"),
        ("conf", "default", b"None"),
    ):
        listener.say(f"{topic}/{name}/set", asked)
        until(lambda name=name, so=so: listener.last(f"{topic}/{name}/state") == so)
    for name, asked, said in (
        ("conf", "7", b"conf: 7"),
        ("conf", "nan", b"conf: 'nan'"),
        ("pause", "maybe", b"write ON or OFF"),
    ):
        listener.say(f"{topic}/{name}/set", asked)
        until(lambda said=said: said in (listener.last(f"{topic}/error") or b""))
    assert listener.last(f"{topic}/conf/state") == b"None"
    assert mqtt.connected


def test_a_camera_that_is_gone_leaves_nothing_behind(tmp_path: Path, ended: list[Any]) -> None:
    """Removed while we run, and between two runs: no retained topic and no entity of it stays."""
    broker = Broker(tmp_path).start()
    ended.append(broker)
    cameras = control("door", "yard")
    watcher = Listener(broker.port)
    ended.append(watcher)
    mqtt = begin(ended, tmp_path, broker, cameras, home_assistant=True, thumbnails=True)
    until(lambda: mqtt._told._retained and len([t for t in mqtt._told._retained if t.endswith("config")]) == 2)
    cameras.bus.publish(happened(1, "yard", thumbnail=b"\xff\xd8"))
    until(lambda: "streamseg/yard/thumbnail" in mqtt._told._retained)
    cameras.remove("yard")
    until(lambda: not any("yard" in topic for topic in mqtt._told._retained))
    ended.remove(mqtt)
    mqtt.stop(2.0)
    other = begin(ended, tmp_path, broker, control("garage"), home_assistant=True)
    until(lambda: any("garage" in topic for topic in other._told._retained))
    until(lambda: not any("door" in topic for topic in other._told._retained))
    until(lambda: watcher.last("streamseg/door/total/person") == b"")
    late = Listener(broker.port, clean=True, client_id="late")
    ended.append(late)
    until(lambda: late.last("streamseg/garage/state"))
    assert not [topic for topic, _, _ in late.messages if "door" in topic or "yard" in topic]


def test_a_broker_that_stands_still_changes_no_rate(tmp_path: Path, ended: list[Any]) -> None:
    broker = Broker(tmp_path).start()
    ended.append(broker)
    cameras = control("door")
    mqtt = begin(ended, tmp_path, broker, cameras)
    until(lambda: mqtt.connected)

    def cost() -> float:
        begun = time.thread_time()
        for number in range(2000):
            cameras.bus.publish(happened(number, thumbnail=bytes(1000)))
        return time.thread_time() - begun

    before = cost()
    broker.kill(signal.SIGSTOP)
    still = cost()
    assert still < 4 * before + 0.05, "telling costs the camera's thread the same"
    begun = time.monotonic()
    ended.remove(mqtt)
    mqtt.stop(2.0)
    assert time.monotonic() - begun < 4
    broker.kill(signal.SIGCONT)


def test_user_password_and_refusal(tmp_path: Path, ended: list[Any]) -> None:
    passwords = tmp_path / "passwords"
    tool = shutil.which("mosquitto_passwd")
    if tool is None:
        pytest.skip("needs mosquitto_passwd, of Debian's package mosquitto")
    subprocess.run([tool, "-b", "-c", str(passwords), "cam", "p@ss:w/rd"], check=True, timeout=20)
    passwords.chmod(0o644)
    broker = Broker(tmp_path, f"password_file {passwords}", "allow_anonymous false").start()
    ended.append(broker)
    cameras = control("door")
    warnings = cameras.bus.subscribe(Warned)
    wrong = begin(ended, tmp_path, broker, cameras, user="cam", password="wrong-secret")
    until(lambda: wrong.failures > 1)
    said = warnings.get(1)
    assert isinstance(said, Warned)
    assert "refuses us: Not authorized" in said.text
    assert "wrong-secret" not in said.text
    ended.remove(wrong)
    wrong.stop(2.0)
    right = begin(ended, tmp_path, broker, cameras, user="cam", password="p@ss:w/rd")
    until(lambda: right.connected)


def test_two_programs_of_one_client_id_do_not_storm(tmp_path: Path, ended: list[Any]) -> None:
    broker = Broker(tmp_path).start()
    ended.append(broker)
    cameras = control("door")
    warnings = cameras.bus.subscribe(Warned)
    (tmp_path / "other").mkdir()
    begin(ended, tmp_path, broker, cameras, client_id="same")
    second = Mqtt(
        MqttConfig(broker=f"mqtt://127.0.0.1:{broker.port}", client_id="same"),
        control("door"),
        tmp_path / "other",
        Backoff(0.2, 60.0),
    )
    ended.append(second)
    second.start()
    said: list[str] = []
    until(lambda: isinstance(news := warnings.get(0.1), Warned) and not said.append(news.text) and "client id same" in said[-1])
    tries = second.failures
    time.sleep(1.5)
    assert second.failures <= tries + 2, "each time it waits twice as long, though it was let in"


@pytest.fixture
def certificates(tmp_path: Path) -> tuple[Path, Path, Path]:
    """An authority's certificate, and a server's with its key, for localhost."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl")
    ca, key, crt, request = (tmp_path / name for name in ("ca.pem", "key.pem", "crt.pem", "request.pem"))
    make = [openssl, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    run = lambda *command: subprocess.run(command, check=True, timeout=20, capture_output=True)  # noqa: E731
    run(*make, "-x509", "-subj", "/CN=test authority", "-keyout", str(tmp_path / "ca.key"), "-out", str(ca))
    run(
        *[part for part in make if part not in ("-days", "2")],
        "-subj",
        "/CN=localhost",
        "-keyout",
        str(key),
        "-out",
        str(request),
    )
    (tmp_path / "ext").write_text("subjectAltName=DNS:localhost\n")
    sign = [
        "-CA",
        str(ca),
        "-CAkey",
        str(tmp_path / "ca.key"),
        "-CAcreateserial",
        "-days",
        "2",
        "-extfile",
        str(tmp_path / "ext"),
    ]
    run(openssl, "x509", "-req", "-in", str(request), *sign, "-out", str(crt))
    for path in (ca, key, crt):
        path.chmod(0o644)
    return ca, crt, key


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # paho leaves a refused socket to the collector
def test_with_tls_and_only_to_who_can_be_trusted(
    tmp_path: Path, ended: list[Any], certificates: tuple[Path, Path, Path]
) -> None:
    ca, crt, key = certificates
    broker = Broker(tmp_path, f"certfile {crt}", f"keyfile {key}").start()
    ended.append(broker)
    cameras = control("door")
    warnings = cameras.bus.subscribe(Warned)
    address = f"mqtts://localhost:{broker.port}"
    unknown = begin(ended, tmp_path, broker, cameras, address=address)
    said = warnings.get(5)
    assert isinstance(said, Warned)
    assert "its certificate is not trusted" in said.text
    ended.remove(unknown)
    unknown.stop(2.0)
    known = begin(ended, tmp_path, broker, cameras, address=address, ca=str(ca))
    cameras.bus.publish(happened())
    until(lambda: known.sent == 1)
    ended.remove(known)
    known.stop(2.0)
    another = begin(ended, tmp_path, broker, cameras, address=f"mqtts://127.0.0.1:{broker.port}", ca=str(ca))
    until(lambda: another.failures > 0)
    assert not another.connected, "the certificate is not of that name"


def test_through_web_sockets(tmp_path: Path, ended: list[Any]) -> None:
    """Debian's Mosquitto has none: a server of web sockets stands before it, and hands on what comes."""
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.server import ServerConnection, serve

    broker = Broker(tmp_path).start()
    ended.append(broker)
    asked: list[str] = []

    def hand_on(client: ServerConnection) -> None:
        asked.append(client.request.path if client.request else "")
        with socket.create_connection(("127.0.0.1", broker.port)) as tcp:

            def back() -> None:
                while data := tcp.recv(4096):
                    client.send(data)
                client.close()

            thread = threading.Thread(target=back)
            thread.start()
            try:
                for data in client:
                    tcp.sendall(data if isinstance(data, bytes) else data.encode())
            except ConnectionClosed:
                pass
            tcp.shutdown(socket.SHUT_RDWR)
            thread.join(5)

    with serve(hand_on, "127.0.0.1", 0, subprotocols=["mqtt"]) as server:  # type: ignore[list-item]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        cameras = control("door")
        port = server.socket.getsockname()[1]
        mqtt = begin(ended, tmp_path, broker, cameras, address=f"ws://127.0.0.1:{port}/broker")
        cameras.bus.publish(happened())
        until(lambda: mqtt.sent == 1)
        ended.remove(mqtt)
        mqtt.stop(2.0)
        server.shutdown()
    assert asked == ["/broker"]
