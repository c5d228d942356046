"""What a camera sends is in its recording, packet by packet, from the first key frame on."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import av
import pytest

from streamseg.config.live_record import CameraRecord
from streamseg.live.keep import continuous
from streamseg.live.keep.clock import SteadyClock
from streamseg.live.keep.names import named
from streamseg.live.keep.packets import StoredPacket
from streamseg.live.keep.recorder import CameraRecorder
from streamseg.system.output_files import OutputFile
from tests import clips
from tests.unit.live.keep.cameras import Notes, film, now, numbers, play, settle

DAY = 86400.0
"""Of a recording's segment: no test runs over its end, except about midnight UTC, where there is one file more."""


def recorder(folder: Path, notes: Notes, **options: object) -> CameraRecorder:
    options = {"segment": 40 * 365 * DAY, "clips": "off"} | options
    made = CameraRecorder("door", folder, CameraRecord(**options), notes)  # type: ignore[arg-type]
    made.start()
    return made


def video_packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(p) for p in container.demux(video=0) if p.size]


@pytest.mark.parametrize(("name", "b_frames"), [("a.mp4", 0), ("a.mkv", 2), ("a.ts", 0)])
def test_a_recording_holds_each_packet_of_picture_and_sound(tmp_path: Path, name: str, b_frames: int) -> None:
    source, notes = film(tmp_path / name, 3, b_frames=b_frames), Notes()
    made = recorder(tmp_path / "r", notes)
    play(made, source, now())
    assert made.stop()
    (path,) = notes.paths
    assert path.suffix == ".mp4"
    assert path.parent.parent == tmp_path / "r" / "door"
    assert named(path) is not None
    assert numbers(path) == list(range(75))
    if name != "a.ts":  # which has no length before each unit, as mp4 wants it
        assert video_packets(path) == video_packets(source)
        assert [p[2] for p in clips.packets(path)] == [p[2] for p in clips.packets(source) if p[0] is None or p[0] >= 0]
    with av.open(str(path)) as container:
        assert container.metadata["comment"] == "streamseg recording of door"
        assert container.duration == pytest.approx(3e6, abs=0.1e6)
        sound, picture = container.streams.audio[0], container.streams.video[0]
        starts = [float((s.start_time or 0) * s.time_base) for s in (sound, picture)]
        assert abs(starts[0] - starts[1]) < 0.1  # sound that a file stores before the first picture
    assert notes.said == []
    assert list((tmp_path / "r").rglob("*.part*")) == []


def test_a_film_that_is_joined_amid_begins_with_its_key_frame(tmp_path: Path) -> None:
    source, notes = film(tmp_path / "a.ts", 3), Notes()
    made = recorder(tmp_path / "r", notes)
    with av.open(str(source)) as container:
        made.feed.opened(tuple(container.streams))
        for packet in container.demux():
            if packet.size and packet.dts is not None and packet.dts * packet.time_base > 0.4:
                made.feed.packet(packet, now())
    assert made.stop()
    assert numbers(notes.paths[0]) == list(range(25, 75))


@pytest.mark.parametrize("codec", ["libx265", "mjpeg", "mpeg4"])
def test_other_codecs_are_copied_too(tmp_path: Path, codec: str) -> None:
    source, notes = film(tmp_path / "a.mkv", 1, audio=False, codec=codec), Notes()
    made = recorder(tmp_path / "r", notes)
    play(made, source, now())
    assert made.stop()
    assert len(video_packets(notes.paths[0])) == 25
    assert numbers(notes.paths[0]) == list(range(25))


def with_alaw(path: Path) -> Path:
    """A camera's usual sound, which mp4 cannot hold."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("mjpeg", rate=25, width=96, height=64, pix_fmt="yuvj420p")
        sound = container.add_stream("pcm_alaw", rate=8000, layout="mono")
        for number in range(25):
            container.mux(video.encode(clips.picture(number).reformat(format="yuvj420p", threads=1)))
            tone = av.AudioFrame(format="s16", layout="mono", samples=320)
            tone.sample_rate, tone.pts, tone.time_base = 8000, 320 * number, clips.Fraction(1, 8000)
            tone.planes[0].update(bytes(640))
            container.mux(sound.encode(tone))
        for stream in (video, sound):
            container.mux(stream.encode(None))
    return path


def test_sound_that_mp4_cannot_hold_makes_it_mkv(tmp_path: Path) -> None:
    notes = Notes()
    made = recorder(tmp_path / "r", notes)
    play(made, with_alaw(tmp_path / "a.mov"), now())
    assert made.stop()
    (path,) = notes.paths
    assert path.suffix == ".mkv"
    with av.open(str(path)) as container:
        assert container.streams.audio[0].codec_context.name == "pcm_alaw"
        assert sum(p.size for p in container.demux(audio=0)) == 25 * 320
    assert notes.said == []


def test_sound_that_the_asked_container_cannot_hold_is_said_and_left_out(tmp_path: Path) -> None:
    notes = Notes()
    made = recorder(tmp_path / "r", notes, container="mp4")
    play(made, with_alaw(tmp_path / "a.mov"), now())
    assert made.stop()
    assert numbers(notes.paths[0]) == list(range(25))
    assert notes.said == ["sound (pcm_alaw) is not recorded: a .mp4 file cannot hold it; write container: mkv"]


def test_a_new_segment_begins_with_a_key_frame_and_nothing_is_lost_between(tmp_path: Path) -> None:
    source, notes = film(tmp_path / "a.mp4", 5), Notes()
    made = recorder(tmp_path / "r", notes, segment=2)
    play(made, source, now())
    assert made.stop()
    parts = [numbers(path) for path in notes.paths]
    assert [number for part in parts for number in part] == list(range(125))
    assert 3 <= len(parts) <= 4
    assert all(part[0] % 25 == 0 for part in parts)
    sounds = [len(clips.packets(path)) for path in notes.paths]
    assert sum(sounds) >= len(clips.packets(source)) - len(parts)  # those that would sound before a first picture


def test_a_lost_camera_begins_another_file_and_the_gap_is_noted(tmp_path: Path) -> None:
    first, second, notes = film(tmp_path / "a.mp4", 1), film(tmp_path / "b.mp4", 1, codec="mpeg4", first=25), Notes()
    made = recorder(tmp_path / "r", notes)
    came = play(made, first, now(), ends="no data for 5.0 s")
    play(made, second, came + 12)
    assert made.stop()
    assert [numbers(path) for path in notes.paths] == [list(range(25)), list(range(25, 50))]
    seconds, reason = notes.gaps[0]
    assert seconds == pytest.approx(12, abs=0.2)
    assert reason == "no data for 5.0 s"
    with av.open(str(notes.paths[1])) as container:
        said = container.metadata["comment"]
    assert said.startswith("streamseg recording of door; nothing was recorded for 12.")
    assert said.endswith("s before this: no data for 5.0 s")


def test_a_clock_that_starts_anew_does_not_end_the_recording(tmp_path: Path) -> None:
    source, notes = film(tmp_path / "a.mkv", 1), Notes()
    made = recorder(tmp_path / "r", notes)
    with av.open(str(source)) as container:
        made.feed.opened(tuple(container.streams))
        packets = [p for p in container.demux() if p.size]
        begin = now()
        for turn in (0, 1):
            for packet in packets:
                made.feed.packet(packet, begin + turn + max(0.0, float((packet.dts or 0) * packet.time_base)))
    assert made.stop()
    (path,) = notes.paths
    assert numbers(path) == 2 * list(range(25))
    with av.open(str(path)) as container:
        assert container.duration == pytest.approx(2e6, abs=0.1e6)


def test_nothing_is_ever_overwritten(tmp_path: Path) -> None:
    source, notes = film(tmp_path / "a.mp4", 1), Notes()
    begin = now()
    for _ in range(2):
        made = recorder(tmp_path / "r", notes)
        play(made, source, begin)
        assert made.stop()
    assert len(set(notes.paths)) == 2
    assert [numbers(path) for path in notes.paths] == 2 * [list(range(25))]
    assert all(named(path) for path in notes.paths)


def test_a_full_disk_ends_the_file_and_recording_goes_on_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamseg.live.keep.shelf._FIRST_WAIT", 0.0)
    source, notes, written, full = film(tmp_path / "a.mp4", 3), Notes(), [0], [True]
    real = OutputFile.write

    def write(self: OutputFile, data: bytes) -> int:
        written[0] += len(data)
        if full[0] and written[0] > 30_000:
            self.error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            raise self.error
        return real(self, data)

    monkeypatch.setattr(OutputFile, "write", write)
    monkeypatch.setattr(continuous, "SYNC", 0.2)
    made = recorder(tmp_path / "r", notes)
    came = play(made, source, now())
    settle(made)
    full[0] = False
    play(made, source, came + 1)
    assert made.stop()
    monkeypatch.undo()
    assert numbers(notes.paths[0]) == list(range(len(numbers(notes.paths[0]))))
    assert len(numbers(notes.paths[0])) > 10
    assert numbers(notes.paths[-1]) == list(range(75))
    stood, goes = notes.said
    assert stood.startswith("recording stands still: ")
    assert "No space left on device" in stood
    assert goes == "recording goes on"
    assert "No space left on device" in notes.gaps[0][1]


def test_what_was_read_in_one_go_began_when_it_was_sent(tmp_path: Path) -> None:
    """libav looks into a connection for seconds, and then gives all that came meanwhile."""
    source, notes = film(tmp_path / "a.mp4", 3), Notes()
    made = recorder(tmp_path / "r", notes)
    begin = now()
    with av.open(str(source)) as container:
        made.feed.opened(tuple(container.streams))
        for packet in container.demux():
            if packet.size:
                made.feed.packet(packet, begin + max(2.0, float((packet.dts or 0) * packet.time_base)))
    assert made.stop()
    (file,) = notes.files
    assert file.end_utc - file.begin_utc == pytest.approx(2.96, abs=0.05)


def test_hevc_bears_the_mark_that_all_players_know(tmp_path: Path) -> None:
    source, notes = film(tmp_path / "a.ts", 1, codec="libx265"), Notes()
    made = recorder(tmp_path / "r", notes)
    play(made, source, now())
    assert made.stop()
    (path,) = notes.paths
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.codec_tag == "hvc1"
    assert numbers(path) == list(range(25))


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_a_camera_that_changes_its_size_goes_on_in_another_file(tmp_path: Path, codec: str) -> None:
    """Over one connection, as where somebody sets it in the camera's own page."""
    parts = []
    for number, size in enumerate([(96, 64), (128, 96)]):
        video = clips.Video(size=size, codec=codec, gop=25)
        part = tmp_path / f"{number}.ts"
        parts.append(clips.cfr(part, 25, 25, video, container_format="mpegts", first_index=25 * number))
    notes = Notes()
    made = recorder(tmp_path / "r", notes)
    begin = now()
    for number, part in enumerate(parts):
        with av.open(str(part)) as container:
            if number == 0:
                made.feed.opened(tuple(container.streams))
            for packet in container.demux(video=0):
                if packet.size:
                    made.feed.packet(packet, begin + number + float(packet.dts * packet.time_base))
    assert made.stop()
    assert [numbers(path) for path in notes.paths] == [list(range(25)), list(range(25, 50))]
    with av.open(str(notes.paths[1])) as container:
        assert (container.streams.video[0].width, container.streams.video[0].height) == (128, 96)
    assert notes.gaps == []


def test_a_clock_that_leaps_ahead_leaves_no_hole_and_a_pause_stays_one() -> None:
    clock, tick = SteadyClock(), clips.Fraction(1, 90000)

    def time_of(seconds: float, at: float, stream: int = 0) -> float:
        ticks = round(seconds * 90000)
        return float((clock(StoredPacket(stream, b"", ticks, ticks, 0, tick, True, at)).pts or 0) * tick)

    assert [time_of(5, 100.0), time_of(5.04, 100.04)] == [5, 5.04]
    assert time_of(0.02, 100.0, stream=1) == pytest.approx(0.02)
    assert time_of(30_000, 100.08) == pytest.approx(5.08), "the camera's clock was set"
    assert time_of(30_000.04, 100.12) == pytest.approx(5.12)
    assert time_of(40_000, 100.08, stream=1) == pytest.approx(0.10), "its sound with it"
    assert time_of(30_060, 160.12) == pytest.approx(65.08), "a minute without motion"
    assert time_of(3, 160.16) == pytest.approx(65.12), "it was switched off and on"
    unknown = clock(StoredPacket(0, b"", None, None, 0, tick, True, 160.20))
    assert float((unknown.pts or 0) * tick) == pytest.approx(65.16), "it tells no times"
