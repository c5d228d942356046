"""Cameras of the network: found by WS-Discovery, and asked for their streams over SOAP, on loopback."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from streamseg.cli.main import app
from streamseg.errors import SourceError
from streamseg.live.discover import NetworkCamera, discover, probe_message, read_matches
from streamseg.live.onvif import CameraStream, streams_of
from tests.onvif_device import OnvifDevice

STREAMS = [
    ("main", "rtsp://127.0.0.1:554/main", "H264", 1920, 1080, 25),
    ("sub", "rtsp://127.0.0.1:554/sub?channel=1&amp;subtype=1", "H264", 640, 360, 10),
]


@pytest.fixture
def device() -> Iterator[OnvifDevice]:
    with OnvifDevice(STREAMS) as running:
        yield running


def test_a_camera_answers(device: OnvifDevice) -> None:
    """It has two addresses; the one from which it answers is taken."""
    (camera,) = discover(0.7, [f"127.0.0.1:{device.port}"])
    assert camera == NetworkCamera(
        "urn:uuid:00000000-0000-1000-8000-00125e000001", device.service, "Front Door", "M1065-L", "hall"
    )
    assert camera.host == "127.0.0.1"
    assert len(device.probes) == 2, "asked twice, as UDP loses packets, and listed once"


@pytest.mark.skipif(sys.platform != "linux", reason="needs a loopback called lo")
def test_all_of_a_network_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each network of the machine is asked; here the loopback stands for all."""
    lo = socket.if_nametoindex("lo")
    monkeypatch.setattr("streamseg.live.discover.socket.if_nameindex", lambda: [(lo, "lo")])
    with OnvifDevice(STREAMS, group="239.255.255.250") as device:
        monkeypatch.setattr("streamseg.live.discover.PORT", device.port)
        assert [camera.name for camera in discover(0.7)] == ["Front Door"]


def test_nobody_answers() -> None:
    assert discover(0.2, ["127.0.0.1:9"]) == []


@pytest.mark.parametrize("host", ["no.such.host.invalid", "127.0.0.1:http", "[::1"])
def test_a_host_that_is_none(host: str) -> None:
    with pytest.raises(SourceError, match="no host is known by this name"):
        discover(0.1, [host])


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"<a>", b"<a/>", b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"])
def test_an_answer_that_is_none(data: bytes) -> None:
    assert read_matches(data) == []


def test_another_implementation_of_ws_discovery_reads_the_question_and_writes_the_answer() -> None:
    message = pytest.importorskip("wsdiscovery.message", reason="needs WSDiscovery from PyPI")
    from wsdiscovery import QName, Scope
    from wsdiscovery.actions import constructProbeMatch
    from wsdiscovery.service import Service

    asked = message.parseSOAPMessage(probe_message(), "127.0.0.1")
    assert [kind.getLocalname() for kind in asked.getTypes()] == ["NetworkVideoTransmitter"]
    kind = QName("http://www.onvif.org/ver10/network/wsdl", "NetworkVideoTransmitter")
    scope = Scope("onvif://www.onvif.org/name/Yard")
    service = Service([kind], [scope], ["http://127.0.0.1/onvif/device_service"], "urn:uuid:1", "1")
    answer = message.createSOAPMessage(constructProbeMatch([service], asked.getMessageId()))
    assert read_matches(answer.encode(), "127.0.0.1") == [
        NetworkCamera("urn:uuid:1", "http://127.0.0.1/onvif/device_service", "Yard")
    ]


@pytest.fixture
def with_extra() -> None:
    pytest.importorskip("onvif", reason="needs the extra 'onvif'")


@pytest.mark.usefixtures("with_extra")
def test_its_streams(device: OnvifDevice) -> None:
    camera = NetworkCamera("", device.service)
    assert streams_of(camera, "admin", "secret") == [
        CameraStream("main", "rtsp://127.0.0.1:554/main", "H264", 1920, 1080, 25.0),
        CameraStream("sub", "rtsp://127.0.0.1:554/sub?channel=1&subtype=1", "H264", 640, 360, 10.0),
    ]


@pytest.mark.usefixtures("with_extra")
def test_a_wrong_password_is_told_and_not_shown(device: OnvifDevice) -> None:
    with pytest.raises(SourceError, match="it refuses the user name or password") as caught:
        streams_of(NetworkCamera("", device.service), "admin", "wr0ng")
    assert "wr0ng" not in str(caught.value)


@pytest.mark.usefixtures("with_extra")
def test_a_camera_that_is_gone() -> None:
    with pytest.raises(SourceError, match=r"^http://127.0.0.1:9/x: "):
        streams_of(NetworkCamera("", "http://127.0.0.1:9/x"), "admin", "x", timeout=5)


def test_without_a_terminal_nobody_can_be_asked_for_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STREAMSEG_CAMERA_PASSWORD", raising=False)
    said = CliRunner().invoke(app, ["cameras", "--at", "127.0.0.1:9", "--user", "admin"])
    assert "put it into STREAMSEG_CAMERA_PASSWORD" in str(said.exception)


@pytest.mark.usefixtures("with_extra")
def test_the_command(device: OnvifDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMSEG_CAMERA_PASSWORD", "secret")
    arguments = ["cameras", "--at", f"127.0.0.1:{device.port}", "--timeout", "0.3", "--user", "admin"]
    said = CliRunner().invoke(app, arguments)
    assert said.exit_code == 0
    assert "127.0.0.1  Front Door, M1065-L, hall" in said.stdout
    assert "rtsp://127.0.0.1:554/main  main, H264 1920x1080 25 fps" in said.stdout
    told = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert told["network"][0]["streams"][0]["address"] == "rtsp://127.0.0.1:554/main"
    assert "secret" not in said.stdout + json.dumps(told)
