"""A clip shows some seconds before an event and some after it, from a key frame on."""

from __future__ import annotations

import time
from pathlib import Path

import av
import pytest

from streamseg.config.live_record import CameraRecord
from streamseg.live.keep import clips as clips_module
from streamseg.live.keep.packets import StoredPacket
from streamseg.live.keep.recorder import CameraRecorder
from streamseg.live.keep.ring import Ring
from tests import clips
from tests.unit.live.keep.cameras import Notes, film, now, numbers, play, settle


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds, a key frame each second."""
    return film(tmp_path_factory.mktemp("source") / "a.mp4", 10)


def recorder(folder: Path, notes: Notes, **options: object) -> CameraRecorder:
    chosen = CameraRecord(continuous=False, clips={"before": 2, "after": 1} | options)  # type: ignore[arg-type]
    made = CameraRecorder("door", folder, chosen, notes)
    made.start()
    return made


def test_a_clip_begins_with_the_key_frame_before_the_time_before_the_event(tmp_path: Path, source: Path) -> None:
    notes, begin = Notes(), now()
    made = recorder(tmp_path, notes)
    play(made, source, begin, until=6, ends=None)
    made.notice("e1", begin + 5.5)
    play_rest(made, source, begin, 6)
    assert made.stop()
    (clip,) = notes.files
    assert clip.clip
    assert clip.events == ("e1",)
    assert clip.path.parent == tmp_path / "door" / "clips"
    seen = numbers(clip.path)
    assert seen[0] == 75, "3.5 s is wanted, the key frame before it is at 3 s"
    assert seen == list(range(75, seen[-1] + 1))
    assert abs(seen[-1] - 6.5 * 25) <= 1
    with av.open(str(clip.path)) as container:
        assert container.duration == pytest.approx(3.5e6, abs=0.1e6)
        assert container.streams.audio
    assert len(clips.packets(clip.path)) > 3.3 * 48000 / 1024


def play_rest(made: CameraRecorder, source: Path, begin: float, start: float, end: float = 1e9) -> None:
    """Go on with what `play(until=start)` did not give, over the same connection."""
    with av.open(str(source)) as container:
        for packet in container.demux():
            seconds = float((packet.dts or 0) * packet.time_base) if packet.size else -1
            if start <= seconds < end:
                made.feed.packet(packet, begin + seconds)


def test_an_event_that_is_told_late_still_has_its_beginning(tmp_path: Path, source: Path) -> None:
    """The network was slow, or an object must be seen for a while before it counts."""
    notes, begin = Notes(), now() - 9
    made = recorder(tmp_path, notes)
    play(made, source, begin, ends=None)
    made.notice("e1", begin + 3)
    assert made.stop()
    seen = numbers(notes.clips[0])
    assert seen[0] == 25
    assert abs(seen[-1] - 4 * 25) <= 1


def test_events_that_overlap_share_a_clip_and_others_have_their_own(tmp_path: Path, source: Path) -> None:
    notes, begin = Notes(), now()
    made = recorder(tmp_path, notes, before=0.5, after=0.5)
    play(made, source, begin, ends=None)
    for name, at in (("e1", 1.5), ("e2", 2.2), ("e3", 6.5)):
        made.notice(name, begin + at)
    assert made.stop()
    first, second = notes.files
    assert first.events == ("e1", "e2")
    assert second.events == ("e3",)
    assert (numbers(first.path)[0], numbers(second.path)[0]) == (25, 150)
    assert abs(numbers(first.path)[-1] - 2.7 * 25) <= 1
    assert abs(numbers(second.path)[-1] - 7 * 25) <= 1


def test_a_clip_that_grows_too_long_goes_on_in_another_file_and_nothing_is_lost(tmp_path: Path, source: Path) -> None:
    notes, begin = Notes(), now()
    made = recorder(tmp_path, notes, longest=3)
    play(made, source, begin, until=1, ends=None)
    for step in range(1, 9):
        made.notice(f"e{step}", begin + step)
        play_rest(made, source, begin, step, step + 1)
    assert made.stop()
    parts = [numbers(path) for path in notes.clips]
    assert len(parts) == 3
    together = [number for part in parts for number in part]
    assert together == list(range(together[-1] + 1))
    assert together[-1] >= 9 * 25 - 2


def test_a_camera_that_is_lost_amid_a_clip_goes_on_in_another(tmp_path: Path, source: Path) -> None:
    notes, begin = Notes(), now()
    made = recorder(tmp_path, notes, after=4)
    play(made, source, begin, until=3, ends=None)
    made.notice("e1", begin + 2.5)
    made.feed.ended("no data")
    play(made, film(tmp_path / "b.mp4", 4, codec="mpeg4", first=100), begin + 4)
    assert made.stop()
    first, second = notes.files
    assert first.events == second.events == ("e1",)
    assert numbers(first.path) == list(range(75))
    assert numbers(second.path)[0] == 100
    assert abs(numbers(second.path)[-1] - (100 + 2.5 * 25)) <= 1


def test_an_event_that_is_told_after_the_camera_was_lost_has_its_clip_too(tmp_path: Path, source: Path) -> None:
    notes, begin = Notes(), now()
    made = recorder(tmp_path, notes)
    play(made, source, begin, until=4, ends=None)
    made.notice("e1", begin + 2.5)
    made.feed.ended("no data")
    made.notice("e2", begin + 3)
    made.notice("e3", begin + 30)
    assert made.stop()
    assert [file.events for file in notes.files] == [("e1",)]
    assert notes.late == ["e2"]


def test_a_clip_is_finished_though_the_camera_sends_nothing_more(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clips_module, "LATE", 0.1)
    notes, begin = Notes(), now() - 20
    made = recorder(tmp_path, notes)
    play(made, source, begin, until=4, ends=None)
    made.notice("e1", begin + 3)
    settle(made)
    deadline = time.monotonic() + 5
    while not notes.files and time.monotonic() < deadline:
        time.sleep(0.05)
    assert notes.clips
    assert made.stop()


def test_memory_holds_what_is_asked_for_and_no_more() -> None:
    ring = Ring(5.0, most=1000)

    def packet(at: float, size: int) -> StoredPacket:
        return StoredPacket(0, bytes(size), 0, 0, 1, clips.Fraction(1, 25), True, at)

    for second in range(100):
        for part in range(4):
            ring.add(packet(second + part / 4, 10), part == 0)
    held = list(ring.since(0))
    assert held[0].at == 94, "99.75 less 5 is 94.75; the key frame before it"
    assert not ring.shortened
    for second in range(100, 110):
        ring.add(packet(second, 400), True)
    assert sum(len(p.data) for p in ring.since(0)) <= 1000
    assert ring.shortened
