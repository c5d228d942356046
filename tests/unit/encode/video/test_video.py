"""Video files, decoded again by PyAV alone: times, colour, sound and pixels as they went in."""

import subprocess
import sys
import textwrap
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest

from streamseg.encode import open_sink
from streamseg.errors import OutputError
from streamseg.pixels.planes import views
from tests import clips
from tests.unit.encode.helpers import INFO, copy, frames, rendered, times, write

MAKERS = {
    "25 fps": clips.cfr,
    "29.97 fps": clips.ntsc,
    "variable, B-frames": clips.vfr,
}


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
@pytest.mark.parametrize("kind", MAKERS)
def test_mp4_and_mov_keep_every_tick(kind, suffix, tmp_path):
    source = MAKERS[kind](tmp_path / "in.mp4", audio=True)
    target = tmp_path / f"out{suffix}"
    sink = copy(source, target)
    with av.open(str(source)) as a, av.open(str(target)) as b:
        assert b.streams.video[0].time_base == a.streams.video[0].time_base
        assert b.streams[0].type == "video"
        assert b.streams.video[0].codec_context.has_b_frames
    assert times(target) == times(source)
    assert [clips.read_index(clips.plane_array(f)) for f in clips.decoded(target)] == list(range(sink.counters.frames))
    assert clips.packets(target) == clips.packets(source)
    assert sink.counters.packets_copied == len(clips.packets(source))
    assert sink.counters.bytes == target.stat().st_size


@pytest.mark.parametrize("suffix", [".mkv", ".webm", ".ts"])
def test_other_containers_keep_variable_times_within_their_clock(suffix, tmp_path):
    source = clips.vfr(tmp_path / "in.mp4")
    target = tmp_path / f"out{suffix}"
    copy(source, target)
    ours, theirs = times(target), times(source)
    # mpegts cannot start before its first decoding time: B-frames move all times by one constant.
    shift = ours[0] - theirs[0]
    assert (shift == 0) if suffix != ".ts" else (0 <= shift < Fraction(1, 5))
    assert len(ours) == len(theirs)
    assert max(abs(a - shift - b) for a, b in zip(ours, theirs, strict=True)) <= Fraction(1, 1000)


def test_avi_gets_its_one_rate(tmp_path):
    source = clips.ntsc(tmp_path / "in.mp4", audio=True)
    copy(source, tmp_path / "out.avi")
    with av.open(str(tmp_path / "out.avi")) as container:
        assert container.streams.video[0].average_rate == Fraction(30000, 1001)
    assert len(clips.decoded(tmp_path / "out.avi")) == len(clips.decoded(source))


def test_last_duration_is_kept(tmp_path):
    last = 7
    made = frames([clips.picture(i) for i in range(3)], times=(0, 1, 3))
    made[2] = replace(made[2], duration=last)
    sink = open_sink(tmp_path / "out.mp4", INFO)
    sink.open()
    for frame in made:
        sink(rendered(frame))
    sink.close()
    with av.open(str(tmp_path / "out.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.duration * stream.time_base == Fraction(3 + last, 25)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_part_of_a_source_starts_at_zero_with_sound_in_step(suffix, tmp_path):
    source = clips.cfr(tmp_path / "in.mp4", 75, audio=True)
    target = tmp_path / f"out{suffix}"
    copy(source, target, start=1.0, duration=1.0)
    assert times(target) == [Fraction(i, 25) for i in range(25)]
    whole, part = clips.packets(source), clips.packets(target)
    with av.open(str(source)) as a, av.open(str(target)) as b:
        scale, ticks = a.streams.audio[0].time_base, b.streams.audio[0].time_base
    of = {data: pts for pts, _, data in whole}
    assert 40 <= len(part) <= 48  # 1 s of 1024 samples at 48 kHz are 46.9 packets
    for pts, _, data in part:
        assert abs(pts * ticks - (of[data] * scale - 1)) <= Fraction(1, 1000)


def test_late_first_picture_stays_late(tmp_path):
    """A video that begins 0.2 s after its sound: the times are facts, not to be moved to zero."""
    source = clips.write(tmp_path / "in.mp4", range(5, 25), Fraction(1, 25), audio=True)
    assert times(source)[0] == Fraction(1, 5)
    copy(source, tmp_path / "out.mp4")
    assert times(tmp_path / "out.mp4") == times(source)
    assert clips.packets(tmp_path / "out.mp4") == clips.packets(source)


def test_transport_stream_clock_is_moved_to_zero(tmp_path):
    source = clips.ts(tmp_path / "in.ts", 25, audio=True)
    copy(source, tmp_path / "out.mp4")
    ours, theirs = times(tmp_path / "out.mp4"), times(source)
    assert min(ours) < Fraction(1, 10)
    assert [t - ours[0] for t in ours] == [t - theirs[0] for t in theirs]
    # AAC loses the ADTS header that transport streams put before every packet, and nothing else.
    assert [p[2] for p in clips.packets(tmp_path / "out.mp4")] == [p[2][7:] for p in clips.packets(source)]
    sound = times_of_sound(tmp_path / "out.mp4")[0] - ours[0]
    assert abs(sound - (times_of_sound(source)[0] - theirs[0])) < Fraction(1, 1000)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_subtitles_survive(suffix, tmp_path):
    source = clips.with_subtitles(tmp_path / f"in{suffix}")
    copy(source, tmp_path / f"out{suffix}")
    kept = clips.packets(tmp_path / f"out{suffix}", "subtitles")
    # In mp4 the time between two texts is filled with empty samples of two bytes.
    assert [p for p in kept if p[2] != b"\0\0"] == [p for p in clips.packets(source, "subtitles") if p[2] != b"\0\0"]
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        assert container.streams.subtitles[0].language == "eng"


def test_track_that_does_not_fit_is_named(tmp_path):
    source = clips.with_subtitles(tmp_path / "in.mkv")
    sink = copy(source, tmp_path / "out.mp4")
    assert len(sink.warnings) == 1
    assert "subtitle" in sink.warnings[0]
    assert ".mp4" in sink.warnings[0]
    assert clips.packets(tmp_path / "out.mp4")[0][2] == clips.packets(source)[0][2]
    sink = copy(source, tmp_path / "out.webm")
    assert any("aac" in warning for warning in sink.warnings)
    assert len(clips.decoded(tmp_path / "out.webm")) == 45


def test_title_and_creation_time_survive(tmp_path):
    told = {"title": "Größe", "creation_time": "2024-05-06T07:08:09.000000Z"}
    source = clips.cfr(tmp_path / "in.mp4", 5, metadata=told)
    copy(source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert {k: container.metadata.get(k) for k in told} == told


SOUND = ["aac", "libopus", "flac", "pcm_s16le", "libmp3lame", "ac3", "alac"]


@pytest.mark.parametrize("codec", SOUND)
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm", ".avi", ".ts"])
def test_every_sound_is_copied_or_converted_by_name(codec, suffix, tmp_path):
    source, target = with_sound(tmp_path / "in.mkv", codec), tmp_path / f"out{suffix}"
    sink = copy(source, target)
    assert len(clips.decoded(target)) == 10
    if sink.warnings:
        assert codec != "aac" or suffix in (".webm", ".avi")
        assert f"audio stream 1 ({codec.removeprefix('lib').replace('mp3lame', 'mp3')}) is converted to " in sink.warnings[0]
        with av.open(str(target)) as container:
            assert sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0)) >= 0.4
    elif (codec, suffix) == ("aac", ".ts"):  # a header is put before each packet
        assert [p[2][7:] for p in clips.packets(target)] == [p[2] for p in clips.packets(source)]
    else:  # AVI begins with the packet that lies nearest to the first picture
        given, got = ([p[2] for p in clips.packets(path)] for path in (source, target))
        assert got == (given if suffix != ".avi" else given[-len(got) :])
        assert len(got) >= len(given) - (suffix == ".avi")


CHAPTERS = tuple(
    {"id": i, "start": i * 400, "end": i * 400 + 400, "time_base": Fraction(1, 1000), "metadata": {"title": f"part {i}"}}
    for i in range(3)
)


@pytest.mark.parametrize("start", [0, 0.48])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_chapters_survive_and_move_with_the_pictures(suffix, start, tmp_path):
    sink = open_sink(tmp_path / f"out{suffix}", replace(INFO, chapters=CHAPTERS, start=start))
    sink.open()
    first = round(start * 25)
    for frame in frames([clips.picture(i) for i in range(first, 30)], range(first, 30)):
        sink(rendered(frame))
    sink.close()
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        found = [(float(c["start"] * c["time_base"]), c["metadata"]["title"]) for c in container.chapters()]
    assert found == ([(0, "part 0"), (0.4, "part 1"), (0.8, "part 2")] if not start else [(0, "part 1"), (0.32, "part 2")])


@pytest.mark.parametrize("ticks", [1, 90_000, 1_000_000, 1_000_000_000])
def test_any_clock(ticks, tmp_path):
    """A still every second, MPEG, a camera's microseconds, nanoseconds."""
    sink = open_sink(tmp_path / "out.mp4", INFO)
    sink.open()
    at = [round(t * ticks) for t in ((0, 1, 2, 7) if ticks == 1 else (0, 0.04, 0.0811, 3.000001))]
    for frame in frames([clips.picture(i) for i in range(4)], at, Fraction(1, ticks)):
        sink(rendered(frame))
    sink.close()
    error = max(abs(a - Fraction(t, ticks)) for a, t in zip(times(tmp_path / "out.mp4"), at, strict=True))
    assert error <= (Fraction(1, 10_000_000) if ticks == 1_000_000_000 else 0)  # mp4 cannot hold a pause in nanoseconds


@pytest.mark.parametrize("colour", [clips.BT709, clips.BT601_FULL], ids=["bt709", "bt601 full"])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_colour_tags_survive(colour, suffix, tmp_path):
    source = clips.cfr(tmp_path / "in.mp4", 5, video=clips.Video(colour=colour))
    copy(source, tmp_path / f"out{suffix}")
    frame = clips.decoded(tmp_path / f"out{suffix}")[0]
    assert (frame.color_range, frame.colorspace) == (colour.range, colour.space)
    if suffix != ".webm":  # VP9 has no field for the other two; Matroska has, and FFmpeg's decoder prefers the codec's
        assert (frame.color_primaries, frame.color_trc) == (colour.primaries, colour.transfer)


def test_hdr_stays_ten_bit_and_tagged(tmp_path):
    source = clips.hdr10(tmp_path / "in.mp4")
    copy(source, tmp_path / "out.mp4")
    frame = clips.decoded(tmp_path / "out.mp4")[0]
    assert frame.format.components[0].bits > 8
    tags = clips.BT2020_PQ
    assert (frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc) == (
        tags.space,
        tags.range,
        tags.primaries,
        tags.transfer,
    )
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].codec_context.codec_tag == "hvc1"
    difference = clips.plane_array(frame).astype(int) - clips.plane_array(clips.decoded(source)[0])
    assert np.abs(difference).mean() < 8  # of 1023


MASTERING = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"


def test_hdr10_metadata_survives(tmp_path):
    """Mastering display and light levels, which a television maps its brightness by."""
    video = clips.Video(codec="libx265", pix_fmt="yuv420p10le", colour=clips.BT2020_PQ)
    video.options = {"x265-params": f"log-level=none:pools=1:master-display={MASTERING}:max-cll=1000,400"}
    source = clips.cfr(tmp_path / "in.mp4", 4, video=video)
    copy(source, tmp_path / "out.mp4")

    def of(path):
        wanted = ("MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL")
        return {d.type.name: bytes(d) for d in clips.decoded(path)[0].side_data if d.type.name in wanted}

    assert len(of(source)) == 2
    assert of(tmp_path / "out.mp4") == of(source)


def test_sample_aspect_ratio_survives(tmp_path):
    write(tmp_path / "out.mp4", [clips.picture(i) for i in range(3)], replace(INFO, sample_aspect_ratio=Fraction(16, 15)))
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(16, 15)


EXACT = ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuva420p", "yuva444p10le"]


@pytest.mark.parametrize("pix_fmt", EXACT)
def test_lossless_codec_gives_the_same_planes(pix_fmt, tmp_path):
    """Nothing on the way to the encoder changes a sample."""
    made = [picture(pix_fmt, i) for i in range(3)]
    write(tmp_path / "out.mkv", made, codec="ffv1")
    for before, after in zip(made, clips.decoded(tmp_path / "out.mkv"), strict=True):
        assert after.format.name == pix_fmt
        assert_same_planes(before, after)


@pytest.mark.parametrize(("given", "held"), [("nv12", "yuv420p"), ("p010le", "yuv420p10le"), ("gray", "yuv420p")])
def test_formats_that_encoders_lack_are_only_rearranged(given, held, tmp_path):
    made = [picture(given, i) for i in range(2)]
    write(tmp_path / "out.mkv", made, codec="ffv1")
    after = clips.decoded(tmp_path / "out.mkv")[1]
    shift = 6 if given == "p010le" else 0
    assert after.format.name in {held, given}
    assert np.array_equal(clips.plane_array(after), clips.plane_array(made[1]) >> shift)
    if given != "gray":
        chroma = clips.plane_array(made[1], 1) >> shift
        assert np.array_equal(clips.plane_array(after, 1), chroma[:, :, 0])
        assert np.array_equal(clips.plane_array(after, 2), chroma[:, :, 1])


def test_grey_becomes_playable_without_changing_a_level(tmp_path):
    made = [picture("gray", i) for i in range(3)]
    write(tmp_path / "out.mp4", made, crf=0)
    after = clips.decoded(tmp_path / "out.mp4")[0]
    assert after.format.name in {"yuv420p", "yuvj420p"}
    assert np.array_equal(clips.plane_array(after), clips.plane_array(made[0]))
    assert np.all(clips.plane_array(after, 1) == 128)


def test_rgb_is_converted_with_the_matrix_that_is_tagged(tmp_path):
    """Pure red and green blocks come back within rounding through 4:4:4; a wrong matrix is off by twenty.

    In ProRes, which has no RGB: what is lossless keeps RGB as it is.
    """
    red_green = av.VideoFrame(64, 48, "rgb24")
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[:, :32, 0], pixels[:, 32:, 1] = 200, 180
    clips.fill_plane(red_green, 0, pixels)
    write(tmp_path / "out.mov", [red_green], codec="prores", crf=1)
    frame = clips.decoded(tmp_path / "out.mov")[0]
    assert frame.format.name.startswith("yuv444p1")
    assert frame.colorspace == 1
    back = frame.to_ndarray(format="rgb24", src_colorspace="ITU709", src_color_range="MPEG", dst_color_range="JPEG", threads=1)
    assert np.abs(back[8:40, 4:28].astype(int) - (200, 0, 0)).max() <= 3
    assert np.abs(back[8:40, 36:60].astype(int) - (0, 180, 0)).max() <= 3


@pytest.mark.parametrize(("size", "padded"), [((97, 65), (98, 66)), ((96, 65), (96, 66)), ((97, 64), (98, 64))])
def test_odd_size_is_padded_with_its_own_edge(size, padded, tmp_path):
    made = [clips.picture(i, *size) for i in range(3)]
    sink = write(tmp_path / "out.mp4", made, crf=1)
    frame = clips.decoded(tmp_path / "out.mp4")[0]
    assert (frame.width, frame.height) == padded
    assert any("padded" in warning for warning in sink.warnings)
    luma = clips.plane_array(frame).astype(int)
    assert np.abs(luma[: size[1], : size[0]] - clips.plane_array(made[0])).max() <= 6
    assert np.abs(luma[-1] - luma[size[1] - 1]).max() <= 6
    assert np.abs(luma[:, -1] - luma[:, size[0] - 1]).max() <= 6


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p"])
def test_odd_size_stays_where_the_codec_can(pix_fmt, tmp_path):
    suffix = ".webm" if pix_fmt == "yuv420p" else ".mp4"
    sink = write(tmp_path / f"out{suffix}", [clips.picture(i, 97, 65, pix_fmt) for i in range(3)])
    frame = clips.decoded(tmp_path / f"out{suffix}")[0]
    assert (frame.width, frame.height) == (97, 65)
    assert not sink.warnings


@pytest.mark.parametrize(("other", "bars"), [((48, 64), "sides"), ((192, 64), "top")])
def test_another_size_is_fitted_into_the_first(other, bars, tmp_path):
    made = [clips.picture(0), clips.picture(1, *other), clips.picture(2)]
    sink = write(tmp_path / "out.mkv", made, codec="ffv1")
    assert sink.counters.resized == 1
    assert sink.counters.frames == 3
    first, middle, last = (clips.plane_array(f) for f in clips.decoded(tmp_path / "out.mkv"))
    assert first.shape == middle.shape == (64, 96)
    assert np.array_equal(first, clips.plane_array(made[0]))
    assert np.array_equal(last, clips.plane_array(made[2]))
    if bars == "sides":
        assert np.all(middle[:, :20] == 16)
        assert np.all(middle[:, -20:] == 16)
        inside = middle[:, 24:72]
    else:
        assert np.all(middle[:14] == 16)
        assert np.all(middle[-14:] == 16)
        inside = middle[16:48]
    assert clips.read_index(inside) == 1


def test_another_format_and_range_is_brought_to_the_first(tmp_path):
    """A camera that comes back with full-range pictures must not change its brightness."""
    limited, full = picture("yuv420p", 1), picture("yuvj420p", 1)
    limited.color_range, full.color_range = 1, 2
    clips.fill_plane(limited, 0, np.full((64, 96), 235, np.uint8))
    clips.fill_plane(full, 0, np.full((64, 96), 255, np.uint8))
    write(tmp_path / "out.mkv", [limited, full], codec="ffv1")
    assert [int(clips.plane_array(f).mean()) for f in clips.decoded(tmp_path / "out.mkv")] == [235, 235]


def test_source_picture_types_do_not_command_the_encoder(tmp_path):
    """A decoded picture says I, P or B; passed on, x264 obeys, and an all-I source would make an all-I output."""
    source = clips.cfr(tmp_path / "in.mp4", 30, video=clips.Video(gop=1))
    copy(source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        keys = [p.is_keyframe for p in container.demux(video=0) if p.size]
    assert keys == [True, *[False] * 28, True]  # the last one is ours: see `Choice.ends_with_key`


def test_times_that_do_not_grow_are_dropped_and_counted(tmp_path):
    sink = open_sink(tmp_path / "out.mp4", INFO)
    sink.open()
    for frame in frames([clips.picture(i) for i in range(5)], times=(0, 1, 1, 0, 2)):
        sink(rendered(frame))
    sink.close()
    assert times(tmp_path / "out.mp4") == [0, Fraction(1, 25), Fraction(2, 25)]
    assert (sink.counters.frames, sink.counters.dropped) == (3, 2)


ALPHA = {".mov": "yuva444p10le", ".mkv": "yuva420p", ".webm": "yuva420p"}


@pytest.mark.parametrize("suffix", ALPHA)
def test_alpha_is_kept_exactly(suffix, tmp_path):
    """Every 8 bit alpha value comes back; colour within the codec's loss."""
    made = picture("yuva420p", 3)
    alpha = np.tile(np.linspace(0, 255, 96).astype(np.uint8), (64, 1))
    views(made).planes[3].array[...] = alpha
    write(tmp_path / f"out{suffix}", [made], alpha=True)
    frame = decode_alpha(tmp_path / f"out{suffix}")
    plane = alpha_plane(frame)
    bits = frame.format.components[3].bits
    assert frame.format.name.startswith("yuva")
    restored = plane.astype(int) * 255 / ((1 << bits) - 1)
    limit = 0.51 if suffix != ".webm" else 3  # VP9's alpha is lossy
    assert np.abs(restored - alpha).max() <= limit


def test_alpha_in_a_container_that_cannot_hold_it_is_refused_at_once(tmp_path):
    sink = open_sink(tmp_path / "out.mp4", INFO, alpha=True)
    with pytest.raises(OutputError, match=r"\.mov"):
        sink.open()
    with pytest.raises(OutputError, match="prores"):
        open_sink(tmp_path / "out.mov", INFO, alpha=True, codec="h264").open()
    assert not list(tmp_path.iterdir())


def test_crf_changes_quality(tmp_path):
    made = [clips.picture(i, 320, 240) for i in range(10)]
    sizes = [write(tmp_path / f"{crf}.mp4", made, crf=crf).counters.bytes for crf in (5, 45)]
    assert sizes[0] > 2 * sizes[1]


@pytest.mark.parametrize("codec", ["h264", "hevc"])
@pytest.mark.parametrize("count", [1, 2, 3, 29, 30, 31])
def test_a_short_film_is_no_longer_than_its_pictures(codec, count, tmp_path):
    """B-frames put another picture last in the file, whose duration then had to reach to the end: 30 pictures read 29 a second."""
    path = tmp_path / "out.mp4"
    info = replace(INFO, rate=Fraction(30), time_base=Fraction(1, 30))
    sink = open_sink(path, info, codec=codec)
    sink.open()
    for frame in frames([clips.picture(i) for i in range(count)], time_base=Fraction(1, 30)):
        sink(rendered(frame))
    sink.close()
    assert times(path) == [Fraction(i, 30) for i in range(count)]
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.duration * stream.time_base == Fraction(count, 30)
        assert stream.average_rate == 30
        packets = [packet for packet in container.demux(stream) if packet.pts is not None]
        assert packets[-1].pts == max(packet.pts for packet in packets)
        assert {packet.duration * packet.time_base for packet in packets} == {Fraction(1, 30)}


@pytest.mark.parametrize(
    ("name", "codec", "expected"),
    [("a.mp4", "hevc", "hevc"), ("a.mp4", "libx264", "h264"), ("a.mkv", "vp9", "vp9"), ("a.mp4", "av1", "libdav1d")],
)
def test_codec_is_what_was_asked_for(name, codec, expected, tmp_path):
    write(tmp_path / name, [clips.picture(i) for i in range(4)], codec=codec)
    with av.open(str(tmp_path / name)) as container:
        assert container.streams.video[0].codec_context.name == expected


def test_live_output_holds_no_picture_back(tmp_path):
    """Every picture handed over reaches the muxer at once: no lookahead, no B-frames."""
    sink = open_sink(tmp_path / "out.ts", replace(INFO, live=True))
    sink.open()
    for count, frame in enumerate(frames([clips.picture(i) for i in range(12)]), 1):
        sink(rendered(frame))
        # mpegts itself ends a picture where the next one begins; the first ones announce the stream.
        assert count < 3 or len(clips.decoded(tmp_path / "out.ts")) >= count - 1
    sink.close()


def test_outputs_that_convert_one_picture_at_a_time_do_not_meet(tmp_path):
    """`VideoFrame.reformat` keeps its swscale context in the picture: two threads crash the process. It runs in a child."""
    code = """
        import threading
        from fractions import Fraction
        from streamseg.pixels.planes import reformat
        from tests import clips
        made = [clips.picture(i, 640, 480) for i in range(60)]
        for picture in made:
            picture.colorspace, picture.color_primaries, picture.color_trc = 9, 9, 16
        seen, together = set(), threading.Barrier(3)
        def convert(name):
            for picture in made:
                together.wait()
                reformat(picture, name)
        threads = [threading.Thread(target=convert, args=(name,)) for name in ("rgb24", "yuv444p10le")]
        for thread in threads:
            thread.start()
        for picture in made:
            together.wait()
            for _ in range(200):
                seen.add((picture.colorspace, picture.color_primaries, picture.color_trc))
        for thread in threads:
            thread.join()
        assert seen == {(9, 9, 16)}, seen
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("source", [3, "rtsp://camera/1", "-", None])
def test_sources_that_are_no_files_are_no_matter(source, tmp_path):
    assert write(tmp_path / "out.mp4", [clips.picture(0)], source=source).counters.frames == 1


# --- helpers --------------------------------------------------------------------------------------------------------------


def with_sound(path, codec: str):
    """Ten pictures and 0.4 s of a tone in `codec`."""
    with av.open(str(path), "w") as container:
        video, sound = container.add_stream("libx264", rate=25), container.add_stream(codec, rate=48000)
        video.width, video.height = 96, 64
        sound.codec_context.layout = "stereo"
        sound.codec_context.open()
        size = sound.codec_context.frame_size or 1024
        convert = av.AudioResampler(sound.codec_context.format, "stereo", 48000)
        coded = [p for frame in frames([clips.picture(i) for i in range(10)]) for p in video.encode(frame.picture)]
        for start in range(0, 19200, size):
            tone = np.sin(np.arange(start, start + size) / 20).astype(np.float32)
            block = av.AudioFrame.from_ndarray(np.stack([tone, tone]), format="fltp", layout="stereo")
            block.sample_rate, block.pts, block.time_base = 48000, start, Fraction(1, 48000)
            coded += [p for part in convert.resample(block) for p in sound.encode(part)]
        coded += video.encode(None) + sound.encode(None)
        for packet in sorted(coded, key=lambda p: p.dts * p.time_base):
            container.mux(packet)
    return path


def picture(pix_fmt: str, index: int) -> av.VideoFrame:
    """As `clips.picture`, with a gradient in the alpha plane too."""
    if "a4" not in pix_fmt:
        return clips.picture(index, pix_fmt=pix_fmt)
    made, plain = av.VideoFrame(96, 64, pix_fmt), clips.picture(index, pix_fmt=pix_fmt.replace("yuva", "yuv"))
    for into, of in zip(views(made).planes, views(plain).planes, strict=False):
        into.array[...] = of.array
    top = (1 << made.format.components[3].bits) - 1
    views(made).planes[3].array[...] = np.linspace(0, top, 96).astype(int)
    return made


def times_of_sound(path) -> list[Fraction]:
    with av.open(str(path)) as container:
        return [p.pts * p.time_base for p in container.demux(audio=0) if p.size]


def alpha_plane(frame: av.VideoFrame) -> np.ndarray:
    return views(frame).planes[3].array


def assert_same_planes(before: av.VideoFrame, after: av.VideoFrame) -> None:
    for a, b in zip(views(before).planes, views(after).planes, strict=True):
        assert np.array_equal(a.array, b.array)


def decode_alpha(path) -> av.VideoFrame:
    """The first picture; VP9's alpha needs libvpx, FFmpeg's own decoder drops it."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        if stream.codec_context.name != "vp9":
            return next(container.decode(stream))
        decoder = av.CodecContext.create("libvpx-vp9", "r")
        for packet in container.demux(stream):
            for frame in decoder.decode(packet):
                return frame
    raise AssertionError("no picture")


def test_a_deep_picture_with_exif_is_encoded(tmp_path):
    """PyAV lists no side data where one is EXIF, which every TIFF has; HDR's metadata were looked for there: ValueError."""
    source = tmp_path / "frame.tiff"
    with av.open(str(source), "w", format="image2", options={"update": "1"}) as container:
        stream = container.add_stream("tiff")
        stream.width, stream.height, stream.pix_fmt = 96, 64, "rgb48le"
        container.mux(stream.encode(clips.picture(5, pix_fmt="rgb48le")))
    with pytest.raises(ValueError, match="not a valid Type"):
        _ = clips.decoded(source)[0].side_data  # once PyAV knows EXIF, this test shows nothing
    copy(source, tmp_path / "out.mp4")
    [frame] = clips.decoded(tmp_path / "out.mp4")
    assert frame.format.components[0].bits > 8
    assert clips.read_index(clips.plane_array(frame), 4095) == 5
