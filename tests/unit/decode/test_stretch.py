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


def test_warnings_are_of_the_part(tmp_path: Path) -> None:
    """What the film's beginning tells is not told by each of its parts."""
    path = clips.cfr(tmp_path / "a.mp4", 30, video=B)
    for first, said in ((0, 1), (12, 0)):
        stretch = Stretch(path, None, first, first + 5, {"rate": 50})
        stretch.open()
        assert [each.count("of 50 frames a second is not used") for each in stretch.warnings] == [1] * said
        stretch.close()
        assert len(stretch.warnings) == said
