"""Who listens to a source's packets hears all of them, also those that are left out for having come too late to be decoded."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import pytest

from streamseg.decode import Decoder
from tests import clips


class Ear:
    """Notes what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[int, bytes, int | None]] = []
        self.opened_with: list[list[str]] = []
        self.reasons: list[str] = []

    def opened(self, streams: Sequence[av.stream.Stream]) -> None:
        self.opened_with.append([stream.type for stream in streams])

    def packet(self, packet: av.Packet, at: float) -> None:
        assert at > 0
        self.heard.append((packet.stream_index, bytes(packet), packet.pts))

    def ended(self, reason: str) -> None:
        self.reasons.append(reason)


def packets_of(path: Path) -> list[tuple[int, bytes, int | None]]:
    with av.open(str(path)) as container:
        return [(p.stream_index, bytes(p), p.pts) for p in container.demux() if p.size]


def test_every_packet_of_a_file_is_heard_once(tmp_path: Path) -> None:
    film, ear = clips.cfr(tmp_path / "a.mp4", 12, audio=True), Ear()
    with Decoder(film, tap=ear) as decoder:
        assert len(list(decoder.frames())) == 12
    assert ear.heard == packets_of(film)
    assert ear.opened_with == [["video", "audio"]]
    assert len(ear.reasons) == 1


@pytest.fixture
def sender(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A camera that sends MPEG-TS as fast as it can, and then hangs up; its address and what it sends."""
    film = clips.ts(tmp_path / "a.ts", 60, audio=True)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)

        def send() -> None:
            with contextlib.suppress(OSError):
                peer, _ = server.accept()
                with peer:
                    peer.sendall(film.read_bytes())

        thread = threading.Thread(target=send, daemon=True)
        thread.start()
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}", film
    thread.join(5)


def test_what_a_camera_sends_too_fast_to_be_decoded_is_heard_too(sender: tuple[str, Path]) -> None:
    address, film = sender
    ear, sent = Ear(), packets_of(film)
    with Decoder(address, tap=ear, reconnect=0.1, timeout=5) as decoder:
        for _ in decoder.frames():
            if len(ear.heard) >= len(sent):
                break
    assert ear.heard == sent
    assert ear.opened_with == [["video", "audio"]]
