"""A part of a film has the frames of reading it from its beginning, to the bit, whatever the container and codec."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from streamseg.core.types import Frame
from streamseg.decode import Decoder
from streamseg.decode.cuts import Cuts, cuts
from streamseg.decode.promise import promised
from streamseg.decode.stretch import Stretch
from streamseg.decode.timetable import Timetable
from streamseg.errors import ConfigError, StreamsegError
from tests import clips, interlaced_clips
from tests.clips import Video
from tests.unit.decode.test_access import KINDS, B, coded, told, x264

Told = tuple[object, ...]


def damaged(path: Path, at: int = 20) -> Path:
    """A packet of zeros amid the film."""
    clips.cfr(path, 40, video=B)
    with av.open(str(path)) as container:
        place, size = [(p.pos, p.size) for p in container.demux(video=0) if p.size][at]
    data = bytearray(path.read_bytes())
    data[place : place + size] = bytes(size)
    path.write_bytes(data)
    return path


def holes(path: Path) -> Path:
    """A transport stream of which packets were lost."""
    whole = clips.cfr(path.with_name("whole.ts"), 40, video=Video(b_frames=3, gop=8, size=(320, 240))).read_bytes()
    middle = len(whole) // 188 // 2 * 188
    path.write_bytes(whole[:middle] + whole[middle + 3 * 188 :])
    return path


def grown(path: Path) -> Path:
    """Another size amid the film, on one clock."""
    clips.write(path.with_name("a.ts"), range(20), Fraction(1, 25), Video(gop=8))
    clips.write(path.with_name("b.ts"), range(20, 40), Fraction(1, 25), Video(gop=8, size=(128, 96)))
    path.write_bytes(path.with_name("a.ts").read_bytes() + path.with_name("b.ts").read_bytes())
    return path


def there_and_back(path: Path) -> Path:
    """Another size, and again the first one: an epoch that only those can count who have seen both changes."""
    for number, size in enumerate(((96, 64), (128, 96), (96, 64))):
        clips.write(
            path.with_name(f"{number}.ts"), range(20 * number, 20 * number + 20), Fraction(1, 25), Video(gop=8, size=size)
        )
    path.write_bytes(b"".join(path.with_name(f"{number}.ts").read_bytes() for number in range(3)))
    return path


def cut_off(path: Path, video: Video = B) -> Path:
    whole = clips.cfr(path.with_name(f"whole{path.suffix}"), 40, video=video)
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    return path


def longer_sound(path: Path) -> Path:
    """Sound that goes on for a second behind the last picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, width=96, height=64, options={"bf": "2", "g": "8", "threads": "1"})
        tone = clips.Tone(container)
        for number in range(40):
            frame = clips.picture(number)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
            tone.play_until(number / 25)
        container.mux(stream.encode(None))
        tone.play_until(2.6)
        tone.finish()
    return path


def shown(times: range, **more: Any) -> Callable[[Path], Path]:
    return lambda path: clips.write(path, times, Fraction(1, 25), B, rate=Fraction(25), **more)


MORE: dict[str, Callable[[Path], Path]] = {
    "ten-bit.mkv": lambda p: clips.hdr10(p, 24),
    "intra.mp4": lambda p: clips.cfr(p, 24, video=Video(gop=1)),
    "intra.mkv": lambda p: clips.cfr(p, 24, video=Video(gop=1)),
    "pyramid.mp4": lambda p: clips.cfr(p, 60, video=x264("bframes=7:b-pyramid=normal:ref=8:keyint=15:scenecut=0:b-adapt=0")),
    "open-pyramid.mkv": lambda p: clips.cfr(p, 60, video=x264("bframes=5:ref=6:keyint=10:open-gop=1:scenecut=0:b-adapt=0")),
    "interlaced.ts": lambda p: interlaced_clips.write(p, frames=24),
    "interlaced.mkv": lambda p: interlaced_clips.write(p, order="bff", frames=24),
    "before-zero.mkv": shown(range(-10, 30), container_options={"avoid_negative_ts": "disabled"}),
    "before-zero.mp4": shown(range(-10, 30), container_options={"avoid_negative_ts": "disabled"}),
    "late.ts": shown(range(2500, 2540)),
    "ntsc.mp4": lambda p: clips.ntsc(p, 40, video=B),
    "ntsc.mkv": lambda p: clips.ntsc(p, 40, video=B),
    "mjpeg.avi": lambda p: clips.cfr(p, 24, video=Video(codec="mjpeg", pix_fmt="yuvj420p")),
    "simple.avi": lambda p: clips.cfr(p, 24, video=Video(codec="mpeg4", gop=6)),
    "ffv1.mkv": lambda p: clips.lossless(p, 24, pix_fmt="yuv422p10le"),
    "prores.mov": lambda p: clips.cfr(p, 24, video=Video(codec="prores_ks", pix_fmt="yuv422p10le")),
    "mpeg2.mxf": lambda p: clips.cfr(p, 30, video=coded("mpeg2video", bf="2", threads="1")),
    "wmv2.asf": lambda p: clips.cfr(p, 24, video=coded("wmv2")),
    "av1.webm": lambda p: clips.cfr(p, 24, video=coded("libsvtav1", preset="12")),
    "turned.mov": lambda p: clips.rotated(p, 270, 24),
    "odd.mkv": lambda p: clips.odd(p, 24),
    "numbers": lambda p: clips.image_folder(p, 9),
    "alpha.mov": lambda p: clips.cfr(p, 12, video=Video(codec="qtrle", pix_fmt="argb")),
    "one.mp4": lambda p: clips.cfr(p, 1),
    "one.mkv": lambda p: clips.cfr(p, 1),
    "two.mp4": lambda p: clips.cfr(p, 2),
    "sound.mp4": lambda p: clips.cfr(p, 40, video=B, audio=True),
    "sound.mkv": lambda p: clips.cfr(p, 40, video=B, audio=True),
    "sound.ts": lambda p: clips.cfr(p, 40, video=B, audio=True),
    "longer-sound.mp4": longer_sound,
    "longer-sound.mkv": longer_sound,
    "longer-sound.ts": longer_sound,
    "text.mkv": lambda p: clips.with_subtitles(p, 40),
    "damaged.mp4": damaged,
    "damaged.mkv": damaged,
    "damaged-key.mp4": lambda p: damaged(p, 24),
    "damaged-at-last.mp4": lambda p: damaged(p, 39),
    "holes.ts": holes,
    "grown.ts": grown,
    "there-and-back.ts": there_and_back,
    "cut-off.mkv": cut_off,
    "cut-off.ts": cut_off,
    "cut-off.webm": lambda p: cut_off(p, coded("libvpx")),
}

FROM_BEGINNING = ("b3.avi", "mpeg4.avi", "raw.h264", "amid-a-group.ts", "before-zero.mkv")
IN_PART = ("size.ts", "mpeg2.mpg", "fields.ts", "wmv2.asf")
"""Those of which a stretch has to be decoded from the film's beginning; or one that does not begin there."""
DAMAGED = ("damaged", "holes", "grown", "there-and-back", "cut-off")


def all_of(source: Any) -> tuple[list[Told], str]:
    """What all frames tell, and the error behind them."""
    frames: list[Told] = []
    try:
        source.open()
        frames.extend(tell(frame) for frame in source.frames())
    except StreamsegError as error:
        return frames, str(error)
    finally:
        source.close()
    return frames, ""


def tell(frame: Frame) -> Told:
    return (*told(frame), frame.time_base, frame.corrupt)


@pytest.mark.parametrize("kind", [*KINDS, *(kind for kind in MORE if not kind.startswith(DAMAGED))])
def test_a_part_is_that_of_the_film(tmp_path: Path, kind: str) -> None:
    path = (KINDS | MORE)[kind](tmp_path / kind)
    frames, error = all_of(Decoder(path))
    length = max(1, len(frames) // 7)
    fell = []
    for first in range(0, len(frames) + length, length):
        stretch = Stretch(path, None, first, first + length, {}, falls_back=True)
        part, why = all_of(stretch)
        assert part == frames[first : first + length], first
        assert why == (error if first + length > len(frames) else "")
        fell.append(stretch.fell_back)
    assert all(fell) or kind not in FROM_BEGINNING, fell
    assert not any(fell) or kind in (*FROM_BEGINNING, *IN_PART), fell
    assert all_of(Stretch(path, None, len(frames) - 1, None, {}, falls_back=True)) == (frames[-1:], error)
    assert all_of(Stretch(path, None, 0, None, {})) == (frames, error)


@pytest.mark.parametrize("kind", [kind for kind in MORE if kind.startswith(DAMAGED)])
def test_parts_of_a_damaged_film_are_all_right_or_one_says_so(tmp_path: Path, kind: str) -> None:
    """What comes behind damage has fewer before it than packets promise: only who decodes the damaged part can know."""
    path, options = MORE[kind](tmp_path / kind), {"threads": 1}
    frames, error = all_of(Decoder(path, threads=1))
    table = promised(path, opened(path), options)
    assert isinstance(table, Timetable), table
    table = Timetable.unpacked(table.packed())
    parts, odd = [], []
    for first in range(0, len(frames), 10):
        part, why = all_of(Stretch(path, table, first, first + 10, options))
        parts += part
        odd += [why] if why else []
    assert odd or parts == frames
    assert bool(odd) == (kind != "damaged.mkv"), odd  # its packets promise what is left
    assert all_of(Stretch(path, table, 0, None, options, falls_back=True)) == (frames, error)


def opened(path: Path) -> Any:
    with Decoder(path) as decoder:
        return decoder.info


@pytest.mark.parametrize(
    "options",
    [
        {"deinterlace": "frame"},
        {"deinterlace": "field"},
        {"fields": "progressive", "rotate": 90, "mirror": True},
        {"shrink": 2, "threads": 3},
        {"start": 0.4},
        {"start": 0.41, "duration": 0.83},
        {"duration": 1.0},
        {"start": 1.5, "duration": 9.0},
    ],
)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_options_of_a_run_are_kept(tmp_path: Path, suffix: str, options: dict[str, Any]) -> None:
    """`first` and `end` count the pictures of the run, whose numbers are those of the film."""
    slow = {"x264-params": "keyint=8:bframes=2:scenecut=0:tff=1:b-adapt=0"}
    path = interlaced_clips.write(tmp_path / f"a{suffix}", frames=40, options=slow)
    frames, _ = all_of(Decoder(path, **options))
    info = opened_with(path, options)
    assert len(frames) > 1
    for first in range(0, len(frames), 3):
        stretch = Stretch(path, None, first, first + 3, options, falls_back=True)
        assert all_of(stretch) == (frames[first : first + 3], ""), first
        assert stretch.info == info
        assert bool(stretch.fell_back) == (options.get("deinterlace") == "field"), stretch.fell_back


def opened_with(path: Path, options: dict[str, Any]) -> Any:
    with Decoder(path, **options) as decoder:
        return decoder.info


def test_a_film_is_cut_near_its_key_frames_or_it_is_said_why_not(tmp_path: Path) -> None:
    path = clips.cfr(tmp_path / "a.mp4", 100, video=Video(gop=40, b_frames=2))
    found = cuts(path, 10, {})
    assert isinstance(found, Cuts)
    assert (found.total, found.starts, found.vain) == (100, (0, 10, 40, 50, 80, 90), (0, 10, 0, 10, 0, 10))
    assert found.longest == 30
    assert "100 pictures only" in str(cuts(path, 100, {}))
    rare = clips.cfr(tmp_path / "b.mp4", 100, video=Video(gop=400, b_frames=2))
    assert "its key frames are 4 s apart" in str(cuts(rare, 10, {"deinterlace": "off"}))
    assert "a span of it" in str(cuts(path, 10, {"start": 1}))
    assert "deinterlace: field" in str(cuts(path, 10, {"deinterlace": "field"}))
    with pytest.raises(StreamsegError, match="nothing there"):
        cuts(tmp_path / "nothing there.mp4", 10, {})


def test_a_film_whose_pictures_lean_on_those_before_a_key_frame_is_not_cut(tmp_path: Path) -> None:
    """The table of key frames is missing, so that every picture counts as one."""
    path = clips.cfr(tmp_path / "a.mov", 60, video=Video(codec="qtrle", pix_fmt="rgb24", gop=60))
    path.write_bytes(path.read_bytes().replace(b"stss", b"free"))
    assert cuts(path, 10, {}) == "its pictures depend on those before their key frame, from 1.20 s on"


def promising(source: Path, path: Path, every: int) -> Path:
    """Recovery points (ITU-T H.264, D.1.8) before each `every`th picture of a film, which are none: a case of Blu-rays."""
    with av.open(str(source)) as film, av.open(str(path), "w") as into:
        stream = into.add_stream_from_template(film.streams.video[0])
        for number, packet in enumerate(packet for packet in film.demux(video=0) if packet.size):
            data = bytes(packet)
            at = next(i for i in range(len(data)) if data[i : i + 3] == b"\0\0\1" and data[i + 3] & 31 in (1, 5))
            point = b"" if number % every else b"\0\0\1\6\6\1\xc4\x80"
            made = av.Packet(data[:at] + point + data[at:])
            made.pts, made.dts, made.time_base, made.stream = packet.pts, packet.dts, packet.time_base, stream
            into.mux(made)
    return path


def test_key_frames_that_only_promise_to_be_some_are_tried(tmp_path: Path) -> None:
    """One in forty pictures is a key frame, and one in ten says that it is one."""
    plain = clips.cfr(tmp_path / "a.ts", 120, video=x264("keyint=40:ref=4:scenecut=0:repeat-headers=1"))
    path = promising(plain, tmp_path / "b.ts", 10)
    table = promised(path, opened(path), {})
    assert isinstance(table, Timetable)
    assert (len(table.keys), len(table.unsure)) == (12, 9)
    frames, _ = all_of(Decoder(path))
    assert all_of(Stretch(path, table, 30, 40, {}))[0] != frames[30:40], "what is decoded from there looks whole, and is not"
    found = cuts(path, 20, {})
    assert isinstance(found, Cuts)
    assert (found.starts, found.vain) == ((0, 20, 40, 60, 80, 100), (0, 20, 0, 20, 0, 20))
    for first in (0, 20, 30, 40, 55, 80, 100):
        assert all_of(Stretch(path, found.table, first, first + 20, {}))[0] == frames[first : first + 20], first
    everywhere = clips.cfr(
        tmp_path / "c.ts", 120, video=x264("keyint=20:open-gop=1:bframes=3:b-adapt=0:scenecut=0:repeat-headers=1")
    )
    found = cuts(everywhere, 20, {})
    assert isinstance(found, Cuts)
    assert len(found.starts) == 6, "pictures that promise it, and hold it"
    assert len(found.table.unsure) == 5


def recordings(path: Path, begins: tuple[int, ...], audio: bool, skip: int = 0) -> Path:
    """Recordings of a camera, joined, that begin at these pictures of its clock; skip: packets lost of all but the first."""
    whole = b""
    for number, begin in enumerate(begins):
        one = path.with_name(f"one{number}.ts")
        clips.write(one, range(begin, begin + 40), Fraction(1, 25), B, rate=Fraction(25), audio=audio)
        whole += one.read_bytes()[188 * skip if number else 0 :]
    path.write_bytes(whole)
    return path


@pytest.mark.parametrize(
    ("begins", "audio"),
    [((0, 0, 0), False), ((0, 0, 0), True), ((0, 2000, 4000), False), ((4000, 2000, 0), False), ((0, 41, 20), False)],
)
def test_recordings_that_were_joined_are_cut_also_behind_the_joint(
    tmp_path: Path, begins: tuple[int, ...], audio: bool
) -> None:
    """Two or three places of the file have one time, or the clock leaps: key frames are sought by their place."""
    path = recordings(tmp_path / "a.ts", begins, audio)
    frames, _ = all_of(Decoder(path))
    assert len(frames) == 120
    found = cuts(path, 10, {})
    assert isinstance(found, Cuts)
    assert len(found.table.jumps) == (1 if begins[1] == 41 else 2)
    assert len(found.starts) > 10
    table = Timetable.unpacked(found.table.packed())
    for first in range(0, 120, 7):
        assert all_of(Stretch(path, table, first, first + 7, {})) == (frames[first : first + 7], ""), first


def test_a_recording_that_begins_amid_a_group_is_said(tmp_path: Path) -> None:
    path = recordings(tmp_path / "a.ts", (0, 0, 0), False, skip=30)
    frames, _ = all_of(Decoder(path))
    parts, odd = [], []
    for first in range(0, len(frames), 10):
        part, why = all_of(Stretch(path, None, first, first + 10, {}))
        parts += part
        odd += [why] if why else []
    assert odd


def test_what_a_part_cannot_be(tmp_path: Path) -> None:
    path = clips.cfr(tmp_path / "a.mp4", 10)
    for first, end in ((-1, 2), (4, 4), (5, 2)):
        with pytest.raises(ConfigError, match="are none"):
            Stretch(path, None, first, end, {})
    assert all_of(Stretch(path, None, 10, None, {})) == ([], "")
    assert all_of(Stretch(path, None, 99, 200, {})) == ([], "")


def test_a_part_can_be_stopped(tmp_path: Path) -> None:
    path = clips.cfr(tmp_path / "a.mp4", 30, video=B)
    stretch = Stretch(path, None, 12, None, {})
    stretch.open()
    frames = stretch.frames()
    assert next(frames).index == 12
    stretch.stop()
    assert list(frames) == []
    stretch.close()
    stretch.close()


@pytest.mark.parametrize("rate", [None, 24000 / 1001, 12.5])
def test_a_folder_of_images_is_cut_anywhere(tmp_path: Path, rate: float | None) -> None:
    folder, options = clips.image_folder(tmp_path / "a", 12), {"rate": rate}
    found = cuts(folder, 3, options)
    assert isinstance(found, Cuts)
    assert (found.total, found.starts, found.vain) == (12, (0, 3, 6, 9), (0, 0, 0, 0))
    frames, _ = all_of(Decoder(folder, **options))
    table = Timetable.unpacked(found.table.packed())
    assert [each for k in range(0, 12, 3) for each in all_of(Stretch(folder, table, k, k + 3, options))[0]] == frames
    clips.save_image(folder / "frame5.png", 5, size=(32, 32))
    assert "its picture or its clock changes" in all_of(Stretch(folder, table, 3, 6, options))[1]
    (folder / "frame5.png").write_bytes(b"nothing")
    assert "not an image" in all_of(Stretch(folder, table, 3, 6, options))[1]
