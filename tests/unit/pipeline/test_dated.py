"""Outputs that are called after the time."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import av
import pytest

from streamseg.composite import Rendered
from streamseg.config.schema import EncodeConfig, OutputConfig
from streamseg.core.result import Result
from streamseg.core.types import Instances
from streamseg.decode import Decoder
from streamseg.encode import open_sink
from streamseg.errors import ConfigError, OutputError
from streamseg.pipeline.dated import DatedSink, Relay, is_dated, name_at
from streamseg.pipeline.outputs import plan
from tests import clips
from tests.unit.encode.helpers import INFO, frames

MOMENT = datetime(2026, 11, 30, 17, 8, 5, tzinfo=UTC)
NAME = "door_%Y-%m-%d_%H-%M-%S"


@pytest.fixture(autouse=True)
def in_utc() -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    time.tzset()
    yield
    os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
    time.tzset()


@pytest.mark.parametrize(
    ("path", "dated"),
    [
        ("door_%Y-%m-%d_%H-%M.mp4", True),
        ("%F/door.mkv", True),
        ("a/%H.jsonl", True),
        ("door_%m-%d.mp4", True),
        ("100%best.mp4", False),
        ("50%daily.mp4", False),
        ("frames/%06d.png", False),
        ("shots_%Y/%06d.png", False),
        ("http://127.0.0.1:8080/%Y%m", False),
    ],
)
def test_which_names_hold_the_time(path: str, dated: bool) -> None:
    assert is_dated(path) is dated


def test_the_time_in_a_name() -> None:
    assert name_at("a/door_%Y-%m-%d_%H-%M-%S_%j_100%%.mp4", MOMENT) == "a/door_2026-11-30_17-08-05_334_100%.mp4"


@pytest.mark.parametrize("path", ["door_%Y_%Q.mp4", "door_%Y%.mp4", "door_%Y_%.mp4"])
def test_what_is_no_part_of_a_time(path: str) -> None:
    with pytest.raises(OutputError, match="is no part of a time; allowed: %Y"):
        plan({}, [path])


def test_segments_need_a_name_with_the_time() -> None:
    configured = {"picture": OutputConfig(encode=EncodeConfig(segment="10m"))}
    with pytest.raises(ConfigError, match=r"door_%Y-%m-%d_%H-%M\.mp4"):
        plan(configured, ["door.mp4"])
    assert [target.path for target in plan(configured, ["door_%Y%m%d.mp4", "all.jsonl"])] == ["door_%Y%m%d.mp4", "all.jsonl"]


def test_the_time_and_each_track_are_too_much_for_a_name() -> None:
    with pytest.raises(OutputError, match="leave one of them out"):
        plan({}, ["%Y-%m_{track}.mp4"])


def _written(folder: Path, seconds: list[float], suffix: str = ".jsonl", segment: float | None = None) -> DatedSink:
    """Frames captured so many seconds after `MOMENT`."""
    sink = DatedSink(str(folder / f"{NAME}{suffix}"), INFO, open_sink, segment=segment)
    sink.open()
    made = frames([clips.picture(i) for i in range(len(seconds))], times=[round(25 * s) for s in seconds])
    for frame, after in zip(made, seconds, strict=True):
        live = replace(frame, utc=MOMENT.timestamp() + after)
        sink(Rendered(Result(live, Instances.empty(("person",))), live.picture))
    sink.close()
    sink.close()
    return sink


def test_one_file_where_no_segments_are_asked_for(tmp_path: Path) -> None:
    sink = _written(tmp_path, [0.5, 1.0, 4000.0])
    assert [path.name for path in tmp_path.iterdir()] == ["door_2026-11-30_17-08-05.jsonl"]
    assert (sink.counters.frames, sink.name) == (3, str(tmp_path / "door_2026-11-30_17-08-05.jsonl"))


def test_a_new_file_at_each_full_minute(tmp_path: Path) -> None:
    """The first is as long as the minute has left; a minute without a frame has no file."""
    sink = _written(tmp_path, [0.0, 54.9, 55.0, 60.0, 300.0], segment=60.0)
    found = {
        path.name: [json.loads(line)["frame"] for line in path.read_text().splitlines()[1:]] for path in tmp_path.iterdir()
    }
    assert found == {
        "door_2026-11-30_17-08-05.jsonl": [0, 1],
        "door_2026-11-30_17-09-00.jsonl": [2, 3],
        "door_2026-11-30_17-13-05.jsonl": [4],
    }
    assert sink.counters.frames == 5
    assert sink.name.endswith("17-13-05.jsonl (the last of 3 files)")


def test_the_hour_that_comes_twice_when_summer_time_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    begin = datetime(2026, 10, 25, 0, 59, 0, tzinfo=UTC).timestamp() - MOMENT.timestamp()  # 02:59 in summer
    _written(tmp_path, [begin + 60.0 * n for n in (0, 1, 59, 61)], segment=3600.0)
    found = {path.name: len(path.read_text().splitlines()) - 1 for path in tmp_path.iterdir()}
    assert found == {
        "door_2026-10-25_02-59-00.jsonl": 1,
        "door_2026-10-25_02-00-00.jsonl": 2,
        "door_2026-10-25_03-00-00.jsonl": 1,
    }
    _written(tmp_path / "minutes", [begin, begin + 3600.0], segment=60.0)
    assert sorted(path.name for path in (tmp_path / "minutes").iterdir()) == [
        "door_2026-10-25_02-59-00.jsonl",
        "door_2026-10-25_02-59-00_2.jsonl",
    ]


def test_no_file_is_overwritten(tmp_path: Path) -> None:
    """As after a kill: the same command again in the same second."""
    for _ in range(3):
        _written(tmp_path, [0.0])
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [
        "door_2026-11-30_17-08-05.jsonl",
        "door_2026-11-30_17-08-05_2.jsonl",
        "door_2026-11-30_17-08-05_3.jsonl",
    ]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_recording_says_in_its_tags_when_it_begins(tmp_path: Path, suffix: str) -> None:
    _written(tmp_path, [0.4, 1.0, 55.2, 56.0], suffix, segment=60.0)
    tags = {}
    for path in tmp_path.iterdir():
        with av.open(str(path)) as container:
            assert len(list(container.decode(video=0))) == 2
            tags[path.stem[-8:]] = container.metadata["creation_time"]
    assert tags == {"17-08-05": "2026-11-30T17:08:05.000000Z", "17-09-00": "2026-11-30T17:09:00.000000Z"}


def test_sound_goes_into_the_file_in_which_it_is_heard(tmp_path: Path) -> None:
    """A film of 4 s in segments of one: every part has about a second of sound."""
    film = clips.cfr(tmp_path / "film.mkv", 100, audio=True)
    folder = tmp_path / "parts"
    with Decoder(film) as decoder:
        relay = Relay(decoder.subscribe())
        make = partial(open_sink, passthrough=relay)
        start = iter([MOMENT.timestamp()])
        sink = DatedSink(
            str(folder / f"{NAME}.mp4"),
            decoder.info,
            lambda path, info: make(path, info=info),
            segment=1.0,
            relay=relay,
            now=lambda: next(start, MOMENT.timestamp()),
        )
        sink.open()
        for frame in decoder.frames():
            sink(Rendered(Result(frame, Instances.empty(("person",))), frame.picture))
        sink.close()
    seconds = []
    for path in sorted(folder.iterdir()):
        with av.open(str(path)) as container:
            sound, pictures = container.streams.audio[0], container.streams.video[0].frames
            seconds.append((pictures, float(sound.duration * sound.time_base)))
    assert [pictures for pictures, _ in seconds] == [25] * 4
    assert [heard for _, heard in seconds] == pytest.approx([1.0] * 4, abs=0.06)
