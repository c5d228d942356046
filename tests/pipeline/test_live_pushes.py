"""A camera's stream is pushed to media servers while it is watched; its source is not opened anew for that."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from streamseg.errors import ConfigError
from streamseg.live.live import Live
from tests import clips
from tests.unit.encode.stream.media_server import free_port, media_server

LONG = 20.0


@pytest.mark.long
def test_a_camera_is_pushed_to_a_server_that_its_options_name(known: Path, tmp_path: Path) -> None:
    film = clips.cfr(tmp_path / "film.mp4", 250, 25, clips.Video((192, 128)))
    address = f"rtmp://127.0.0.1:{free_port()}/live"
    live = Live({"door": {"source": str(film), "loop": True, "effects": "none"}}, model=str(known), threads=1)
    live.start()
    try:
        with media_server(f"{address}/door") as server:
            until(lambda: live.cameras()[0].processed > 2)
            assert live.feed("door").stream.encoded == 0  # nobody looks
            live.change("door", {"push": [address + "/{name}", "srt://h:1?passphrase=secret-secret"]})
            until(lambda: "pushing" in live.cameras()[0].pushes.values())
            numbers = [number for number, _ in server.pictures(10)]
            assert numbers == sorted(set(numbers))
            assert live.cameras()[0].epoch == 0
            told = f"{live.options('door')} {live.cameras()}"
            assert f"{address}/{{name}}" in told
            assert "secret-secret" not in told
            live.change("door", {"push": None})
            until(lambda: not live.feed("door").stream.stats()["listeners"])
            with pytest.raises(ConfigError, match=r"camera door: push: .*a stream is pushed to rtsp, .*not to ftp"):
                live.change("door", {"push": "ftp://10.0.0.2/x"})
    finally:
        assert live.stop()


def until(what: object) -> None:
    deadline = time.monotonic() + LONG
    while not what():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.02)
