"""Films on web servers that do not do all that they say."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from streamseg.decode import Decoder
from streamseg.errors import SourceLost, Unreadable
from streamseg.pipeline.probe import probe
from tests import clips, http_source
from tests.clips import Video, plane_array, read_index
from tests.http_source import Server

FRAMES = 20
BIG = Video(size=(480, 320), options={"crf": "0", "preset": "ultrafast"})
"""Larger than what libav reads ahead."""


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """By name; the index of the .mp4 stands at its end."""
    folder = tmp_path_factory.mktemp("films")
    written = [clips.cfr(folder / name, FRAMES, video=BIG) for name in ("a.mp4", "a.mkv", "a.ts")]
    fast = clips.cfr(folder / "fast.mp4", FRAMES, video=BIG, container_options={"movflags": "faststart"})
    return {path.name: path.read_bytes() for path in (*written, fast)}


def read(url: str, **options: object) -> list[int]:
    with Decoder(url, timeout=2.0, reconnect=1.0, **options) as decoder:  # type: ignore[arg-type]
        assert not decoder.info.live
        frames = [read_index(plane_array(frame.picture)) for frame in decoder.frames()]
        assert decoder.warnings == []
    return frames


@pytest.mark.parametrize("at_most", [0, 100_000], ids=["closes", "breaks off"])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_a_server_that_closes_after_each_answer_gives_its_whole_film(films: dict[str, bytes], name: str, at_most: int) -> None:
    """Seen: libav asked over the closed connection, forgot the length, and the film was read again and again as a live stream."""
    with Server({"/film": http_source.parts(films[name], at_most=at_most)}) as server:
        assert read(f"{server.url}/film") == list(range(FRAMES))
        assert read(f"{server.url}/film", spool=10**8) == list(range(FRAMES))
        assert read(f"{server.url}/film", start=0.4) == list(range(10, FRAMES))
        told = probe(f"{server.url}/film", timeout=2.0)
    assert (told["live"], told["warnings"], told["timing"]["looked_at"]) == (False, [], FRAMES)
    assert told["duration"] == pytest.approx(FRAMES / 25, abs=0.05)


@pytest.mark.parametrize("refuse", ["416", "whole"])
def test_a_server_that_offers_parts_and_refuses_them(films: dict[str, bytes], refuse: str) -> None:
    """Seen: "not a video, or damaged", also with --spool; a .ts was read again and again."""
    with Server({f"/{name}": http_source.parts(film, refuse=refuse) for name, film in films.items()}) as server:
        for name in ("a.mkv", "a.ts", "fast.mp4"):
            assert read(f"{server.url}/{name}") == list(range(FRAMES))
            assert probe(f"{server.url}/{name}", timeout=2.0)["timing"]["looked_at"] == FRAMES
        with pytest.raises(Unreadable, match="index of this MP4 or MOV stands at its end"):
            read(f"{server.url}/a.mp4")
        assert read(f"{server.url}/a.mp4", spool=10**8) == list(range(FRAMES))


def test_a_film_without_a_length_ends(films: dict[str, bytes]) -> None:
    """Seen: taken for a live stream, which is read again where it ends."""
    with Server({f"/{name}": http_source.unmeasured(lambda name=name: films[name]) for name in films}) as server:  # type: ignore[misc]
        for name in ("a.mkv", "fast.mp4"):
            assert read(f"{server.url}/{name}") == list(range(FRAMES))
        with pytest.raises(Unreadable, match="index of this MP4 or MOV stands at its end"):
            read(f"{server.url}/a.mp4")


def test_a_connection_without_a_picture_is_no_return(tmp_path: Path) -> None:
    """Seen: the time of `reconnect` began anew with each, for ever."""
    movflags = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    data = clips.cfr(tmp_path / "a.mp4", FRAMES, container_options=movflags).read_bytes()
    given = [data]
    answer = http_source.unmeasured(lambda: given.pop() if given else data[: data.index(b"moof") - 4])
    frames = []
    with Server({"/cam": answer}) as server, Decoder(f"{server.url}/cam", timeout=2.0, reconnect=1.0) as decoder:
        assert decoder.info.live
        begin = time.monotonic()
        with pytest.raises(SourceLost, match=r"did not come back within 1 s"):
            frames.extend(decoder.frames())
    assert len(frames) + decoder.counters.skipped == FRAMES
    assert time.monotonic() - begin < 3.0
    assert len(decoder.warnings) == 1


def test_a_film_that_tells_nothing_of_its_end_is_read_once(films: dict[str, bytes]) -> None:
    """Seen: read again and again, for ever. A live stream does not begin with the same packet each time."""
    with Server({"/film": http_source.unmeasured(lambda: films["a.ts"])}) as server:
        with Decoder(f"{server.url}/film", timeout=2.0, reconnect=2.0) as decoder:
            assert decoder.info.live
            frames = [read_index(plane_array(frame.picture)) for frame in decoder.frames()]
        assert read(f"{server.url}/film", spool=10**8) == list(range(FRAMES))
        told = probe(f"{server.url}/film", timeout=2.0)
    assert (told["live"], told["timing"]["looked_at"] > 0) == (True, True)
    assert frames == sorted(set(frames))
    assert decoder.counters.reconnects == 1
    assert any("a film, which has ended" in said and "--spool" in said for said in decoder.warnings)
