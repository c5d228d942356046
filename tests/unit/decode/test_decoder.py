"""Files in, frames out: every picture, its exact time, its own planes."""

from __future__ import annotations

import gc
import os
import resource
import threading
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from streamseg.core.types import Frame
from streamseg.decode import Decoder, open_source
from streamseg.errors import ConfigError, NoVideo
from tests import clips
from tests.clips import Video, plane_array, read_index


def planes(picture: av.VideoFrame) -> list[bytes]:
    return [plane_array(picture, i).tobytes() for i in range(len(picture.planes))]


def run(source: object, **options: object) -> tuple[Decoder, list[Frame]]:
    with Decoder(source, **options) as decoder:  # type: ignore[arg-type]
        return decoder, list(decoder.frames())


MAKERS = {
    "cfr.mp4": clips.cfr,
    "ntsc.mkv": clips.ntsc,
    "vfr.mp4": clips.vfr,
    "hevc10.mkv": clips.hdr10,
    "h264-10.mp4": lambda p: clips.hdr10(p, codec="libx264"),
    "nv12.nut": clips.nv12,
    "odd.mp4": clips.odd,
    "ts.ts": clips.ts,
    "ffv1.mkv": lambda p: clips.lossless(p, pix_fmt="yuv422p10le"),
    "mpeg4.avi": lambda p: clips.cfr(p, video=Video(codec="mpeg4", colour=clips.Colour())),
}


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("name", MAKERS)
def test_every_frame_comes_as_libav_decodes_it(tmp_path: Path, name: str, threads: int) -> None:
    path = MAKERS[name](tmp_path / name)
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "NONE"
        expected = list(container.decode(video=0))
    decoder, frames = run(path, threads=threads)
    assert [f.pts for f in frames] == [e.pts for e in expected]
    assert {f.time_base for f in frames} == {expected[0].time_base}
    assert [planes(f.picture) for f in frames] == [planes(e) for e in expected]
    assert [f.picture.format.name for f in frames] == [e.format.name for e in expected]
    assert [f.index for f in frames] == list(range(len(frames)))
    assert {f.epoch for f in frames} == {0}
    assert decoder.counters.frames == len(frames)
    assert decoder.warnings == []


def test_uneven_times_and_b_frames_are_kept_to_the_tick(tmp_path: Path) -> None:
    path = clips.vfr(tmp_path / "vfr.mkv")
    kinds = {f.pict_type for f in clips.decoded(path)}
    assert 3 in kinds, "the clip has no B-frames: it tests nothing"
    _, frames = run(path)
    assert [f.pts * f.time_base for f in frames] == [Fraction(t, 50) for t in clips.UNEVEN]


def test_ntsc_times_do_not_drift(tmp_path: Path) -> None:
    decoder, frames = run(clips.ntsc(tmp_path / "ntsc.mp4", 60))
    assert frames[-1].pts * frames[-1].time_base == Fraction(59 * 1001, 30000)
    assert decoder.info.rate == Fraction(30000, 1001)


@pytest.mark.parametrize("colour", [clips.BT709, clips.BT601_FULL, clips.BT2020_PQ, clips.BT2020_HLG])
def test_colour_tags_are_on_the_picture_and_in_the_info(tmp_path: Path, colour: clips.Colour) -> None:
    decoder, frames = run(clips.cfr(tmp_path / "c.mp4", 3, video=Video(colour=colour)))
    picture = frames[-1].picture
    tags = (int(picture.colorspace), int(picture.color_range), int(picture.color_primaries), int(picture.color_trc))
    assert tags == (colour.space, colour.range, colour.primaries, colour.transfer)
    info = decoder.info.color
    assert (info.space, info.range, info.primaries, info.transfer) == tags
    assert info.is_hdr == (colour.transfer in (16, 18))


def test_the_container_s_colour_tags_fill_in_for_the_codec_s(tmp_path: Path) -> None:
    """FFV1 writes no tags into its pictures, Matroska does beside them."""
    _, frames = run(clips.lossless(tmp_path / "t.mkv"))
    assert (int(frames[0].picture.colorspace), int(frames[0].picture.color_trc)) == (1, 1)


def test_info_tells_what_the_file_is(tmp_path: Path) -> None:
    path = clips.cfr(tmp_path / "clip.mp4", 30, video=Video(pix_fmt="yuv420p10le"), audio=True, metadata={"title": "a day"})
    info = open_source(path).info
    assert (info.name, info.kind, info.live, info.width, info.height) == (str(path), "file", False, 96, 64)
    assert (info.pix_fmt, info.bit_depth, info.rate, info.frame_count) == ("yuv420p10le", 10, 25, 30)
    assert info.duration == pytest.approx(1.2, abs=0.03)
    assert info.metadata["title"] == "a day"
    assert [(s.type, s.codec) for s in info.streams] == [("video", "h264"), ("audio", "aac")]
    assert "mp4" in info.container


def test_cover_art_is_not_taken_for_the_video(tmp_path: Path) -> None:
    song = clips.audio_only(tmp_path / "song.m4a")
    art = clips.save_image(tmp_path / "art.jpg", 1)
    with (
        av.open(str(song)) as source,
        av.open(str(art), format="jpeg_pipe") as picture,
        av.open(str(tmp_path / "tagged.m4a"), "w", format="mp4") as out,
    ):
        sound = out.add_stream_from_template(source.streams.audio[0])
        cover = out.add_stream_from_template(picture.streams.video[0])
        cover.disposition = av.stream.Disposition.attached_pic
        for container, target in ((picture, cover), (source, sound)):
            for packet in (p for p in container.demux() if p.size):
                packet.stream = target
                out.mux(packet)
    with pytest.raises(NoVideo, match=r"tagged\.m4a"):
        Decoder(tmp_path / "tagged.m4a").open()


STARTS = (0.04, 0.3, 0.5, 0.96, 1.16)


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("name", ["s.mp4", "s.mkv", "s.ts", "s.h264", "open-gop.mkv"])
def test_start_is_exact_to_the_frame(tmp_path: Path, name: str, start: float) -> None:
    """Also where libav seeks behind the start (transport streams, open GOPs) or cannot seek (.h264)."""
    hevc = {"x265-params": "log-level=none:pools=1:open-gop=1:bframes=3:keyint=10:min-keyint=10"}
    video = Video(codec="libx265", options=hevc) if "open" in name else Video(b_frames=2, gop=10)
    path = clips.cfr(tmp_path / name, 30, video=video, container_format="h264" if name.endswith("h264") else None)
    _, everything = run(path)
    first = everything[0].time
    wanted = [f for f in everything if f.time - first >= start - 1e-9]
    decoder, frames = run(path, start=start)
    assert [f.pts for f in frames] == [f.pts for f in wanted]
    assert [planes(f.picture) for f in frames] == [planes(f.picture) for f in wanted]
    assert [f.index for f in frames] == [f.index for f in wanted], "as in the source"
    assert decoder.info.start_pts == frames[0].pts


def test_duration_ends_by_time_not_by_count(tmp_path: Path) -> None:
    decoder, frames = run(clips.vfr(tmp_path / "v.mp4"), start=0.1, duration=0.16)
    assert [round(f.time * 50) for f in frames] == [t for t in clips.UNEVEN if 5 <= t < 13]
    assert decoder.warnings == [], "stopping on purpose is no early end"


def test_the_count_of_a_cut_is_estimated(tmp_path: Path) -> None:
    decoder, frames = run(clips.cfr(tmp_path / "c.mp4", 50), start=0.4, duration=0.8)
    assert decoder.info.frame_count == len(frames) == 20


def test_a_start_behind_the_end_is_said(tmp_path: Path) -> None:
    with pytest.raises(NoVideo, match=r"5 s.*1\.20 s"):
        Decoder(clips.cfr(tmp_path / "c.mp4"), start=5.0).open()


IMPOSSIBLE = ({"start": -1}, {"duration": 0}, {"rate": -25}, {"rate": 0}, {"timeout": 0}, {"start": float("nan")})


@pytest.mark.parametrize("option", IMPOSSIBLE)
def test_impossible_options_are_refused(option: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(option))):
        Decoder("x.mp4", **option)  # type: ignore[arg-type]


def test_realtime_keeps_to_the_clock(tmp_path: Path) -> None:
    path = clips.vfr(tmp_path / "v.mp4")
    with Decoder(path, realtime=True, duration=0.5) as decoder:
        seen = [(time.monotonic(), f) for f in decoder.frames()]
    start = seen[0][0]
    for at, frame in seen:
        assert at - start >= frame.time - 0.01, "early"
        assert at - start <= frame.time + 0.15, "late"
        assert abs(at - frame.arrived) < 0.05


def test_stop_ends_a_paced_source_at_once(tmp_path: Path) -> None:
    path = clips.write(tmp_path / "slow.mp4", [0, 50], Fraction(1, 1))
    with Decoder(path, realtime=True) as decoder:
        threading.Timer(0.2, decoder.stop).start()
        begin = time.monotonic()
        frames = list(decoder.frames())
    assert len(frames) == 1
    assert time.monotonic() - begin < 1.0


def test_pictures_stay_valid_after_the_source_is_closed(tmp_path: Path) -> None:
    with Decoder(clips.cfr(tmp_path / "c.mp4", 20)) as decoder:
        frames = list(decoder.frames())
    assert [read_index(plane_array(f.picture)) for f in frames] == list(range(20))


def test_the_first_frame_is_not_lost_nor_given_twice(tmp_path: Path) -> None:
    """open() decodes it to complete the info."""
    with Decoder(clips.cfr(tmp_path / "c.mp4", 5)) as decoder:
        assert np.array_equal([read_index(plane_array(f.picture)) for f in decoder.frames()], range(5))
        assert list(decoder.frames()) == []


def test_chapters_are_carried(tmp_path: Path) -> None:
    path = tmp_path / "c.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height = 96, 64
        chapter = {"id": 1, "start": 0, "end": 400, "time_base": Fraction(1, 1000), "metadata": {"title": "dawn"}}
        container.set_chapters([chapter])
        for number in range(10):
            frame = clips.picture(number)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    chapters = open_source(path).info.chapters
    assert [(c["metadata"]["title"], c["end"] * c["time_base"]) for c in chapters] == [("dawn", Fraction(2, 5))]


def test_memory_needs_no_garbage_collection(tmp_path: Path) -> None:
    """PyAV's side data hold their picture in a cycle: 60 pictures of 1 MB stayed until a collection."""
    path = clips.cfr(tmp_path / "big.mp4", 60, video=Video(size=(1280, 720), options={"preset": "ultrafast"}))

    def resident() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20

    with Decoder(path, threads=1) as decoder:
        frames = decoder.frames()
        for _ in range(20):
            next(frames)
        gc.collect()
        gc.disable()
        try:
            before = resident()
            for _ in frames:
                pass
            assert resident() - before < 15
        finally:
            gc.enable()


VP9 = {"auto-alt-ref": "1", "lag-in-frames": "10", "deadline": "good", "cpu-used": "4"}
NUMBERED: dict[str, Video] = {
    "n.mp4": Video(b_frames=3, gop=10),
    "n.mov": Video(b_frames=3, gop=10),
    "fragments.mp4": Video(b_frames=3, gop=10),
    "n.mkv": Video(b_frames=8, gop=10),
    "n.nut": Video(b_frames=3, gop=10),
    "n.flv": Video(b_frames=3, gop=10),
    "n.ts": Video(b_frames=3, gop=10),
    "n.webm": Video(codec="libvpx-vp9", gop=20, options=VP9),
    "n.avi": Video(codec="mpeg4", options={"bf": "2"}, gop=10, colour=clips.Colour()),
    "n.mpg": Video(codec="mpeg2video", options={"bf": "2"}, gop=10, colour=clips.Colour()),
}


@pytest.mark.parametrize("name", NUMBERED)
def test_frames_are_numbered_as_in_the_source_also_where_reading_begins_later(tmp_path: Path, name: str) -> None:
    """With uneven times a number cannot be worked out from the rate. Seen: each run began with 0."""
    even = name.endswith(("avi", "mpg"))
    times = range(60) if even else [t + 41 * n for n in range(4) for t in clips.UNEVEN]
    options = {"movflags": "frag_keyframe+empty_moov"} if name.startswith("fragments") else None
    path = clips.write(
        tmp_path / name, times, Fraction(1, 25 if even else 50), NUMBERED[name], rate=Fraction(25), container_options=options
    )
    _, everything = run(path)
    assert [f.index for f in everything] == list(range(len(times)))
    for start in (0.5, 1.3, 1.9):
        _, frames = run(path, start=start)
        wanted = [f for f in everything if f.time - everything[0].time >= start - 1e-9]
        assert [(f.index, f.pts) for f in frames] == [(f.index, f.pts) for f in wanted]


def test_pictures_that_an_edit_list_cuts_off_have_no_number(tmp_path: Path) -> None:
    whole = clips.cfr(tmp_path / "whole.mp4", 50, video=Video(b_frames=3, gop=10))
    path = tmp_path / "cut.mp4"
    with av.open(str(whole)) as source, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        shift = round(Fraction(9, 25) / source.streams.video[0].time_base)
        for packet in (p for p in source.demux(video=0) if p.size):
            packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, stream
            out.mux(packet)
    decoder, everything = run(path)
    assert len(everything) == 41, "the clip has no edit list: it tests nothing"
    assert decoder.info.frame_count == 41
    _, frames = run(path, start=1.0)
    assert frames[0].index == 25
    assert read_index(plane_array(frames[0].picture)) == 34


def test_packets_that_show_no_picture_have_no_number(tmp_path: Path) -> None:
    """VP8's alternate references: here each key frame comes once more, hidden, before itself."""
    path = tmp_path / "hidden.webm"
    shown = clips.cfr(tmp_path / "n.webm", 40, video=Video(codec="libvpx", gop=10))
    with av.open(str(shown)) as source, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in (p for p in source.demux(video=0) if p.size):
            if packet.is_keyframe and packet.pts:
                data = bytes(packet)
                hidden = av.Packet(bytes([data[0] & ~0x10]) + data[1:])
                hidden.pts = hidden.dts = packet.pts - 10
                hidden.time_base, hidden.is_keyframe, hidden.stream = packet.time_base, True, stream
                out.mux(hidden)
            packet.stream = stream
            out.mux(packet)
    assert len(clips.packets(path, "video")) == 43
    _, frames = run(path, start=1.4)
    assert [f.index for f in frames] == [read_index(plane_array(f.picture)) for f in frames] == [35, 36, 37, 38, 39]


def test_images_are_numbered_as_in_their_folder(tmp_path: Path) -> None:
    _, frames = run(clips.image_folder(tmp_path / "stills", 6), start=0.3, rate=10)
    assert [f.index for f in frames] == [3, 4, 5]


def test_a_rate_that_says_nothing_is_said_to_be_unused(tmp_path: Path) -> None:
    decoder, frames = run(clips.cfr(tmp_path / "a.mp4", 4), rate=5)
    assert any("rate of 5 frames a second is not used" in warning for warning in decoder.warnings)
    assert frames[1].time == pytest.approx(frames[0].time + 1 / 25)
    decoder, frames = run(clips.raw_h264(tmp_path / "a.h264"), rate=5)
    assert not any("not used" in warning for warning in decoder.warnings)
    assert frames[1].time == pytest.approx(frames[0].time + 1 / 5)
    assert not run(clips.cfr(tmp_path / "b.mp4", 4))[0].warnings


BARE = {
    "bare.mjpeg": Video(codec="mjpeg", pix_fmt="yuvj420p", colour=clips.Colour()),
    "bare.h264": Video(b_frames=3),
    "bare.hevc": Video(codec="libx265", b_frames=3),
    "bare.m2v": Video(codec="mpeg2video", colour=clips.Colour()),
    "bare.obu": Video(codec="libsvtav1", options={"preset": "12"}),
    "pngs": Video(codec="png", pix_fmt="rgb24", colour=clips.Colour(space=0)),
}
"""Streams that hold pictures and no times."""


def bare(path: Path, video: Video) -> Path:
    """Ten pictures, one after the other, in a file without a container."""
    rated = clips.cfr(path.with_name(f"{path.stem}.{'nut' if path.suffix != '.obu' else 'mkv'}"), 10, 25, video)
    if path.suffix in (".obu", ".h264", ".hevc"):
        return clips.cfr(path, 10, 25, video, container_format=path.suffix[1:])
    with av.open(str(rated)) as container:
        path.write_bytes(b"".join(bytes(p) for p in container.demux(video=0) if p.size))
    return path


@pytest.mark.parametrize("pipe", [False, True])
@pytest.mark.parametrize("name", BARE)
def test_the_rate_of_a_bare_stream_is_the_users(tmp_path: Path, name: str, pipe: bool) -> None:
    """libav makes their times up. Seen: --rate was said to be unused, since "the source has times of its own"."""
    path = bare(tmp_path / name, BARE[name])
    source = tmp_path / "fifo"
    if pipe:
        os.mkfifo(source)
        threading.Thread(target=lambda: source.write_bytes(path.read_bytes()), daemon=True).start()
    decoder, frames = run(source if pipe else path, rate=Fraction(30000, 1001))
    assert [f.pts * f.time_base for f in frames] == [Fraction(1001 * i, 30000) for i in range(10)]
    assert all(f.synthetic_pts for f in frames)
    assert (decoder.info.rate, decoder.warnings) == (Fraction(30000, 1001), [])
    if not pipe:
        assert any("no times of its own; " in line and "--rate" in line for line in run(path)[0].warnings)
        _, frames = run(path, rate=10, start=0.45)
        assert [(f.index, round(f.time, 6)) for f in frames] == [(i, i / 10) for i in range(5, 10)]


def test_a_rate_does_not_change_what_a_source_says_of_itself(tmp_path: Path) -> None:
    decoder, _ = run(clips.cfr(tmp_path / "a.mkv", 20), rate=5)
    assert (decoder.info.rate, decoder.info.frame_count) == (25, 20)
