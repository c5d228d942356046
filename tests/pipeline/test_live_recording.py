"""Cameras that are recorded while they are watched: films at their own speed stand for cameras."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest

from streamseg.config.live_record import CameraRecord, RecordConfig, record_of
from streamseg.errors import ConfigError
from streamseg.live.config import load_live, read_live
from streamseg.live.live import Live
from tests import clips
from tests.unit.live.keep.cameras import numbers

LONG = 20.0


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> str:
    video = clips.Video(gop=25, options={"sc_threshold": "0"})
    return str(clips.cfr(tmp_path_factory.mktemp("film") / "film.mp4", 50, 25, video, audio=True))


@pytest.fixture
def watch(known: Path, tmp_path: Path) -> Iterator[Callable[..., Live]]:
    begun: list[Live] = []

    def begin(cameras: dict[str, object]) -> Live:
        file = read_live({"cameras": cameras, "record": {"folder": str(tmp_path / "r")}}, "cameras")
        begun.append(Live(file, model=str(known), threads=1))
        begun[-1].start()
        return begun[-1]

    yield begin
    for live in begun:
        live.stop()


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_camera_is_recorded_packet_by_packet_with_a_clip_of_its_event(watch, film, tmp_path):
    live = watch({"door": {"source": film, "record": {"segment": 1e9, "clips": {"before": 1, "after": 0.5}}}})
    wait_for(lambda: live.cameras()[0].recording.endswith(".part.mp4"))
    wait_for(lambda: live.cameras()[0].state == "stopped")
    wait_for(lambda: live.keeper.store.search(kind="count"))
    live.stop()
    (whole,) = [file for file in live.keeper.store.files("door") if not file.clip]
    assert numbers(live.keeper.folder / whole.path) == list(range(50))
    with av.open(str(live.keeper.folder / whole.path)) as container:
        assert sum(1 for p in container.demux(audio=0) if p.size) > 80
    found = live.keeper.archive.search("person")
    assert found[0]["class"] == "person"
    assert found[0]["clip"]
    assert live.keeper.archive.thumbnail(found[0]["id"]).startswith(b"\xff\xd8")
    seen = numbers(live.keeper.archive.clip(found[0]["id"]))
    assert seen[0] % 25 == 0
    assert seen == list(range(seen[0], seen[-1] + 1))


def test_what_is_shown_is_recorded_where_the_cameras_own_picture_shows_too_much(watch, film):
    record = {"what": "shown", "segment": 1e9, "clips": "off"}
    live = watch({"door": {"source": film, "record": record, "effects": ["pixelate"], "loop": True}})
    wait_for(lambda: live.cameras()[0].processed > 30)
    live.stop()
    (whole,) = live.keeper.store.files("door")
    with av.open(str(live.keeper.folder / whole.path)) as container:
        assert not container.streams.audio
        pictures = list(container.decode(video=0))
    assert len(pictures) > 20
    assert all(later.pts > earlier.pts for earlier, later in pairwise(pictures))
    assert pictures[0].time_base == Fraction(1, 90000)


def test_private_cameras_are_not_recorded_as_they_are(film):
    with pytest.raises(ConfigError, match=r"camera door: record\.what is camera.*write record: \{what: shown\}"):
        record_of("door", {"record": {"what": "camera"}, "privacy": "person"})
    assert record_of("door", {"record": "on", "privacy": "person"}).what == "shown"
    assert record_of("door", {"record": "on"}).what == "camera"
    assert record_of("door", {"record": "on", "privacy": "off"}).what == "camera"
    assert record_of("door", {"record": "on"}, private=True).what == "shown"
    assert record_of("door", {"record": "off", "privacy": "person"}) is None


def test_the_file_in_the_documentation_can_be_read_and_shows_the_defaults(tmp_path):
    text = (Path(__file__).parents[2] / "docs" / "keeping.md").read_text().split("```yaml\n")[1].split("```")[0]
    (tmp_path / "cameras.yaml").write_text(text)
    file = load_live(tmp_path / "cameras.yaml")
    assert file.config.record == RecordConfig()
    assert record_of("door", file.cameras["door"]) == CameraRecord(what="camera")
    yard = record_of("yard", file.cameras["yard"])
    assert (yard.continuous, yard.clips.events, yard.clips.classes) == (False, ("enter", "cross"), ("person", "car"))
    assert yard.clips.longest == yard.segment == 300


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ("{folder: x}", "cameras.door.record.folder"),
        ("{segment: -3s}", "cameras.door.record.segment"),
        ("{clips: {events: [entered]}}", "cameras.door.record.clips.events"),
        ("{container: avi}", "cameras.door.record.container"),
        ("sometimes", "cameras.door.record"),
    ],
)
def test_what_cannot_be_recorded_is_said_with_its_line(tmp_path, record, said):
    path = tmp_path / "cameras.yaml"
    path.write_text(f"cameras:\n  door:\n    source: rtsp://a/b\n    record: {record}\n")
    with pytest.raises(ConfigError) as caught:
        load_live(path)
    assert said in str(caught.value)
    assert "line 4" in str(caught.value) or ":4" in str(caught.value)
