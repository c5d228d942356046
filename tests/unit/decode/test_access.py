"""Frames by number and by time are those of playing the film from its beginning, to the bit, whatever the container and codec.

Reports that these inputs are made after: wrong frames of .mpg (opencv #20227), of variable rates (opencv #9053) and of AVI
(decord #195), of VP8 in WebM (decord #91), of times that repeat (decord #54), of many B-frames (decord #365), where pictures are
two fields (opencv #12810), where fewer frames can be decoded than are promised (decord #2, #83, #373, torchcodec #1363), before
the first frame (torchcodec #331), and where a seek leads behind a key frame (torchcodec #1077).
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest

from streamseg.core.types import Frame
from streamseg.decode import Decoder
from streamseg.decode.access import RandomAccess
from streamseg.errors import ConfigError, StreamsegError
from tests import animations, clips, interlaced_clips
from tests.clips import Video

B = Video(b_frames=3, gop=8)
X265 = "log-level=none:pools=1:bframes=3:keyint=8:min-keyint=8:scenecut=0:open-gop="


def coded(codec: str, **options: str) -> Video:
    return Video(codec=codec, gop=8, options=options)


def x264(params: str) -> Video:
    return Video(gop=8, b_frames=0, options={"x264-params": params})


def edit_list(path: Path) -> Path:
    """An edit list that cuts off the first five pictures."""
    clips.cfr(path, 30, video=B)
    data = bytearray(path.read_bytes())
    scale = struct.unpack_from(">I", data, data.find(b"mdhd") + 4 + 4 + (8 if data[data.find(b"mdhd") + 4] == 0 else 16))[0]
    at = data.find(b"elst") + 12
    duration, begin = struct.unpack_from(">II", data, at)
    struct.pack_into(">II", data, at, duration - 200, begin + scale // 5)
    path.write_bytes(data)
    return path


def joined(path: Path) -> Path:
    one = clips.cfr(path.with_name("one.ts"), 20, video=B)
    path.write_bytes(one.read_bytes() * 2)
    return path


def cut_off(path: Path) -> Path:
    whole = clips.cfr(path.with_name("whole.mp4"), 30, video=B, container_options={"movflags": "faststart"})
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    return path


def amid_a_group(path: Path) -> Path:
    whole = clips.cfr(path.with_name("whole.ts"), 30, video=B)
    path.write_bytes(whole.read_bytes()[188 * 30 :])
    return path


MPEG2, MPEG4 = coded("mpeg2video", bf="2", threads="1"), coded("mpeg4", bf="2")
GOOD = {"lag-in-frames": "16", "auto-alt-ref": "1", "deadline": "good", "b": "200k"}
KINDS: dict[str, Callable[[Path], Path]] = {
    **{f"b3.{s}": lambda p: clips.cfr(p, 30, video=B) for s in ("mp4", "mkv", "mov", "ts", "avi", "flv", "nut")},
    **{f"open.{s}": lambda p: clips.cfr(p, 30, video=x264("b-adapt=0:bframes=3:open-gop=1:scenecut=0")) for s in ("mp4", "ts")},
    "refresh.mkv": lambda p: clips.cfr(p, 40, video=x264("intra-refresh=1:keyint=12:scenecut=0")),
    "hevc-open.mkv": lambda p: clips.cfr(p, 30, video=coded("libx265", **{"x265-params": f"{X265}1"})),
    "hevc-closed.mp4": lambda p: clips.cfr(p, 30, video=coded("libx265", **{"x265-params": f"{X265}0"})),
    **{f"vfr.{s}": lambda p: clips.vfr(p, video=Video(b_frames=3, gop=6)) for s in ("mp4", "mkv", "ts")},
    "mpeg2.mpg": lambda p: clips.cfr(p, 30, video=MPEG2, container_format="mpeg"),
    "mpeg2.ts": lambda p: clips.cfr(p, 30, video=MPEG2),
    **{f"mpeg4.{s}": lambda p: clips.cfr(p, 30, video=MPEG4) for s in ("ts", "avi", "mp4")},
    "vp8.webm": lambda p: clips.cfr(p, 30, video=coded("libvpx", **GOOD)),
    "vp9.webm": lambda p: clips.cfr(p, 30, video=coded("libvpx-vp9", **GOOD)),
    "one-key.mkv": lambda p: clips.cfr(p, 30, video=Video(b_frames=3, gop=600)),
    "repeated.mkv": lambda p: clips.duplicate_pts(p, codec="libx264"),
    "raw.h264": lambda p: clips.raw_h264(p, 24),
    "size.ts": clips.size_change,
    "joined.ts": joined,
    "late.mkv": lambda p: clips.write(p, range(100, 130), Fraction(1, 25), B, rate=Fraction(25)),
    "turned.mp4": lambda p: clips.rotated(p, 90, 20),
    "fields.ts": lambda p: interlaced_clips.write_fields(p, frames=12),
    "fragments.mp4": lambda p: clips.cfr(p, 30, video=B, container_options={"movflags": "frag_keyframe+empty_moov"}),
    "no-cues.mkv": lambda p: clips.cfr(p, 30, video=B, container_options={"live": "1"}),
    "edit-list.mp4": edit_list,
    "cut-off.mp4": cut_off,
    "amid-a-group.ts": amid_a_group,
    "animation.png": animations.write,
    "stills": lambda p: clips.image_folder(p, 6),
}


def told(frame: Frame) -> tuple[object, ...]:
    """All that a frame says, and its pixels."""
    picture = frame.picture
    pixels = [clips.plane_array(picture, i).tobytes() for i in range(len(picture.planes))]
    times = (frame.index, frame.pts, frame.duration, frame.epoch, frame.field_order, frame.synthetic_pts)
    return (*times, picture.format.name, picture.width, picture.height, *pixels)


def played(path: Path) -> list[Frame]:
    """From the beginning, up to where it breaks off."""
    frames: list[Frame] = []
    try:
        with Decoder(path) as decoder:
            frames.extend(decoder.frames())
    except StreamsegError:
        with Decoder(path) as decoder:
            given = decoder.frames()
            frames = []
            try:
                while True:
                    frames.append(next(given))
            except (StopIteration, StreamsegError):
                pass
    return frames


@pytest.mark.parametrize("kind", KINDS)
def test_every_frame_is_that_of_playing_the_film(tmp_path: Path, kind: str) -> None:
    """In any order, with room for a few frames only, so that most are decoded anew."""
    path = KINDS[kind](tmp_path / kind)
    frames = played(path)
    wanted = [told(frame) for frame in frames]
    order = [*range(len(frames))]
    random.Random(kind).shuffle(order)
    with_room = RandomAccess(path, cache=40_000)
    assert [told(with_room.frame(number)) == wanted[number] for number in order] == [True] * len(order)
    assert len(with_room) == len(frames)
    assert told(with_room.at(frames[-1].time)) == wanted[-1]
    with_room.close()
    at_once = RandomAccess(path)
    assert len(at_once) == len(frames), "asked first of all"
    assert [at_once.at(frame.time).index for frame in frames] == [frame.index for frame in frames]
    for number in (len(frames), len(frames) + 1000):
        with pytest.raises(IndexError, match=f"there is no frame {number}: it has {len(frames)}"):
            at_once.frame(number)
    at_once.close()


@pytest.mark.parametrize("kind", ["mpeg4.ts", "mpeg2.mpg", "open.ts", "hevc-open.mkv"])
def test_a_start_gives_the_frame_that_playing_gives(tmp_path: Path, kind: str) -> None:
    """Seen: grey pictures with the numbers of others (MPEG-4 in a transport stream), pictures at wrong times (MPEG-PS)."""
    path = KINDS[kind](tmp_path / kind)
    frames = played(path)
    for frame in frames[1::3]:
        with Decoder(path, start=frame.time - frames[0].time) as decoder:
            first = next(decoder.frames())
            assert told(first) == told(frame), frame


def test_times_between_and_outside_of_frames(tmp_path: Path) -> None:
    path = clips.vfr(tmp_path / "a.mkv")
    access, frames = RandomAccess(path), played(path)
    for frame, after in pairwise(frames):
        assert access.at((frame.time + after.time) / 2).index == frame.index
    with pytest.raises(IndexError, match="nothing is shown at -1 s: it begins at 0 s"):
        access.at(-1)
    with pytest.raises(IndexError, match=r"nothing is shown at 99 s: it ends at"):
        access.at(99)
    access.close()


def test_a_packet_that_cannot_be_decoded_does_not_shift_the_numbers_for_good(tmp_path: Path) -> None:
    path = clips.cfr(tmp_path / "a.mp4", 30, video=B)
    with av.open(str(path)) as container:
        place = [(p.pos, p.size) for p in container.demux(video=0) if p.size][12]
    data = bytearray(path.read_bytes())
    data[place[0] : place[0] + place[1]] = bytes(place[1])
    path.write_bytes(data)
    frames = played(path)
    assert len(frames) == 29
    access = RandomAccess(path)
    assert [told(access.frame(number)) for number in range(29)] == [told(frame) for frame in frames]
    assert len(access) == 29
    assert "1 packets could not be decoded" in access.warnings[0]
    access.close()


def test_a_group_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stepping back through a group of pictures opens the film once, not once a frame."""
    path = clips.cfr(tmp_path / "a.mp4", 40, video=Video(b_frames=3, gop=20))
    access, opened = RandomAccess(path), []
    real = Decoder.open
    monkeypatch.setattr(Decoder, "open", lambda self: (opened.append(1), real(self))[1])
    for number in range(39, 19, -1):
        assert access.frame(number).index == number
    assert len(opened) == 1
    for number in range(20, 40):
        access.frame(number)
    assert len(opened) == 1
    access.close()


def test_what_cannot_be_read_again_is_refused(tmp_path: Path) -> None:
    path = clips.cfr(tmp_path / "a.mp4", 4)
    access = RandomAccess(path)
    access.close()
    access.close()
    with pytest.raises(ConfigError, match="it has been closed"):
        access.frame(0)
