"""WebRTC: a real viewer gets the packets of the shared encode; what cannot be answered is refused in words."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from streamseg.encode.stream import SharedStream
from tests import clips
from tests.unit.encode.helpers import frames, rendered
from tests.unit.live.fakes import FakeControl
from tests.unit.live.web.served import served

aiortc = pytest.importorskip("aiortc")
NO_VIDEO = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"


@pytest.fixture
def control() -> FakeControl:
    return FakeControl({"door": {"source": "0"}})


@pytest.fixture
def url(control: FakeControl) -> Iterator[str]:
    with served(control, max_viewers=1) as port:
        yield f"http://127.0.0.1:{port}/live/door/whep"


def post(url: str, body: str, kind: str = "application/sdp") -> httpx.Response:
    return httpx.post(url, content=body, headers={"Content-Type": kind}, timeout=10)


def test_what_cannot_be_answered_is_refused_in_words(url: str) -> None:
    assert post(url.replace("door", "cellar"), "v=0").status_code == 404
    assert post(url, "{}", "application/json").status_code == 415
    assert post(url, "v" * 100_000).status_code == 413
    for offer in ("", "nonsense", NO_VIDEO):
        answer = post(url, offer)
        assert (answer.status_code, answer.text.startswith("this offer cannot be answered")) == (400, True)
    assert httpx.delete(f"{url}/unknown").status_code == 404


def test_without_aiortc_it_says_what_to_install(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiortc", None)
    answer = post(url, NO_VIDEO)
    assert (answer.status_code, "[webrtc]" in answer.text) == (501, True)


@pytest.mark.long
@pytest.mark.skipif("not __import__('aioice').ice.get_host_addresses(True, False)", reason="only a loopback address is there")
def test_a_viewer_sees_the_frames_and_no_second_encoder_runs(control: FakeControl, url: str) -> None:
    stream, ending = control.feeds["door"].stream, threading.Event()

    def film() -> None:
        for number, frame in enumerate(frames(clips.picture(i % 200, 320, 240) for i in range(400))):
            stream.put(rendered(frame))
            if ending.wait(0.02) or number == 399:
                return

    camera = threading.Thread(target=film, daemon=True)
    camera.start()
    try:
        seen = asyncio.run(asyncio.wait_for(watch(url, stream), 20))
    finally:
        ending.set()
        camera.join(5)
    assert seen == list(range(seen[0], seen[0] + len(seen)))
    deadline = time.monotonic() + 5
    while stream.stats()["listeners"]:  # its DELETE was heard
        assert time.monotonic() < deadline
        time.sleep(0.01)


async def watch(url: str, stream: SharedStream) -> list[int]:
    """The numbers in some pictures."""
    asked: list[float] = []
    want_key = stream.want_key
    stream.want_key = lambda: (asked.append(time.monotonic()), want_key())[1]  # type: ignore[method-assign]
    connection = aiortc.RTCPeerConnection(aiortc.RTCConfiguration([]))
    transceiver = connection.addTransceiver("video", direction="recvonly")
    try:
        await connection.setLocalDescription(await connection.createOffer())
        answer = await asyncio.to_thread(post, url, connection.localDescription.sdp)
        assert answer.status_code == 201
        assert "VP8" not in answer.text
        assert (await asyncio.to_thread(post, url, connection.localDescription.sdp)).status_code == 503  # one viewer at most
        await connection.setRemoteDescription(aiortc.RTCSessionDescription(answer.text, "answer"))
        track = transceiver.receiver.track
        seen = []
        for _ in range(12):
            frame = await asyncio.wait_for(track.recv(), 10)
            seen.append(clips.read_index(clips.plane_array(frame)))
        ssrc = next(iter(transceiver.receiver._RTCRtpReceiver__remote_streams))
        before = len(asked)
        await transceiver.receiver._send_rtcp_pli(ssrc)
        while len(asked) == before:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(httpx.delete, httpx.URL(url).join(answer.headers["Location"]))
        return seen
    finally:
        await connection.close()
