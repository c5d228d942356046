"""A folder of a recorder's files as one source: times, pictures and sound at the joints."""

import os
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from streamseg.decode import Decoder
from streamseg.errors import NoVideo
from tests import clips

STEP = Fraction(1, 25)


def part(folder: Path, second: int, first: int, frames: int = 25, **more) -> Path:
    """A file that begins at that second of the clock, with pictures from number `first` on; of 1 s, as usual."""
    return clips.cfr(folder / f"202405171430{second:02}_0000{second:02}F.MP4", frames, audio=True, first_index=first, **more)


def read(folder: Path, **more):
    """(number, time, epoch) of each frame, when sound packets begin and end, and what was said."""
    with Decoder(folder, trip="front", **more) as decoder:
        through = decoder.subscribe(["audio"])
        frames, sound = [], []
        for frame in decoder.frames():
            number = clips.read_index(clips.plane_array(frame.picture))
            frames.append((number, frame.pts * frame.time_base, frame.epoch))
            sound += through.take(frame.time)
        sound += through.take()
        spans = [(float(p.pts * p.time_base), float((p.pts + p.duration) * p.time_base)) for p in sound]
        return frames, spans, decoder.warnings


def check_seamless(frames, spans, count: int) -> None:
    assert [number for number, _, _ in frames] == list(range(count))
    assert all(b[1] - a[1] == STEP for a, b in pairwise(frames))
    assert {epoch for _, _, epoch in frames} == {0}
    assert all(-0.011 < b[0] - a[1] < 0.022 for a, b in pairwise(spans))  # half a packet of sound over each other, one missing


def test_files_go_on_where_the_one_before_ended(tmp_path: Path) -> None:
    for number in range(4):
        part(tmp_path, number, 25 * number, video=clips.Video(b_frames=2))
    frames, spans, said = read(tmp_path)
    check_seamless(frames, spans, 100)
    assert not said


@pytest.mark.parametrize("again", [1, 3, 20])
def test_pictures_and_sound_that_a_file_repeats_are_left_out(tmp_path: Path, again: int) -> None:
    """Also where each file was coded by itself, and worse."""
    part(tmp_path, 0, 0)
    part(tmp_path, 1, 25 - again, video=clips.Video(options={"crf": "30"}))
    part(tmp_path, 2, 50 - 2 * again)
    frames, spans, said = read(tmp_path)
    check_seamless(frames, spans, 75 - 2 * again)
    assert not said


def test_pictures_that_are_only_alike_stay(tmp_path: Path) -> None:
    """A car that stands: nothing moves, so that nothing can be told, and nothing is taken away."""
    for second in range(2):
        still(tmp_path / f"2024051714300{second}_00000{second}F.MP4", second)
    with Decoder(tmp_path, trip="front") as decoder:
        assert sum(1 for _ in decoder.frames()) == 50


def still(path: Path, seed: int) -> None:
    """25 pictures of a place, with noise."""
    random = np.random.default_rng(seed)
    base = np.random.default_rng(9).integers(40, 200, (64, 96))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, width=96, height=64, pix_fmt="yuv420p", options={"crf": "18"})
        for _ in range(25):
            noisy = np.clip(base + random.normal(0, 2, base.shape), 0, 255).astype(np.uint8)
            frame = av.VideoFrame(96, 64, "yuv420p")
            for number, plane in enumerate((noisy, np.full((32, 48), 128, np.uint8), np.full((32, 48), 128, np.uint8))):
                clips.fill_plane(frame, number, plane)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def test_where_something_is_missing_time_is_kept_and_an_epoch_begins(tmp_path: Path) -> None:
    part(tmp_path, 0, 0)
    part(tmp_path, 30, 100)
    frames, spans, _ = read(tmp_path)
    assert frames[24][1:] == (24 * STEP, 0)
    assert frames[25][1:] == (30, 1)
    assert next(begin for begin, _ in spans if begin > 3) == pytest.approx(30, abs=0.03)


def test_a_file_that_breaks_off_or_cannot_be_read_costs_itself_alone(tmp_path: Path) -> None:
    part(tmp_path, 0, 0)
    broken = part(tmp_path, 1, 25, container_options={"movflags": "faststart"})
    broken.write_bytes(broken.read_bytes()[: broken.stat().st_size * 2 // 3])
    rubbish = part(tmp_path, 2, 50)
    rubbish.write_bytes(rubbish.read_bytes().replace(b"avc1", b"xxxx"))
    part(tmp_path, 4, 100)
    frames, _, said = read(tmp_path)
    assert [n for n, _, e in frames if e == 0][:35] == list(range(35))
    assert [n for n, _, e in frames if e == 1] == list(range(100, 125))
    assert next(t for n, t, e in frames if e == 1) == pytest.approx(4, abs=0.5)
    assert any("01_000001F.MP4" in text and "the trip goes on" in text for text in said)
    assert any("02_000002F.MP4" in text and "left out" in text for text in said)


def test_another_size_or_another_sound_in_between(tmp_path: Path) -> None:
    part(tmp_path, 0, 0)
    clips.cfr(tmp_path / "20240517143001_000001F.MP4", 25, video=clips.Video(size=(128, 96)))
    part(tmp_path, 2, 50)
    frames, _, said = read(tmp_path)
    assert len(frames) == 75
    assert [frames[i][2] for i in (0, 25, 50)] == [0, 1, 2]
    assert all(b[1] > a[1] for a, b in pairwise(frames))
    assert any("changes to 128x96" in text for text in said)


def test_start_and_duration_are_those_of_the_trip(tmp_path: Path) -> None:
    for number in range(3):
        part(tmp_path, number, 25 * number)
    frames, spans, _ = read(tmp_path, start=1.6, duration=1.0)
    assert [number for number, _, _ in frames] == list(range(40, 65))
    assert spans[0][0] >= 1.0
    with Decoder(tmp_path, trip="front", start=1.6) as decoder:
        assert next(iter(decoder.frames())).index == 40


def test_one_file_is_open_at_a_time(tmp_path: Path) -> None:
    for number in range(12):
        part(tmp_path, number, 5 * number, 5)
    most, before = 0, len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    with Decoder(tmp_path, trip="front") as decoder:
        decoder.subscribe()
        for _ in decoder.frames():
            most = max(most, len(os.listdir("/proc/self/fd")) - before if before else 0)
    assert most <= 4  # the first, the one that is read, the next, and the folder of this count


def test_nothing_can_be_read(tmp_path: Path) -> None:
    path = part(tmp_path, 0, 0)
    path.write_bytes(path.read_bytes().replace(b"avc1", b"xxxx"))
    with pytest.raises(NoVideo):
        Decoder(tmp_path, trip="front").open()
