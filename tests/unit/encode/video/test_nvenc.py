"""When NVENC is taken, and how; no GPU here opens it, so that what it writes is for a machine that has one."""

from __future__ import annotations

from fractions import Fraction

import av
import pytest
from av.video.format import VideoFormat

from streamseg.encode import open_sink
from streamseg.encode.video import codecs, nvenc
from streamseg.encode.video.codecs import choose_codec
from streamseg.errors import OutputError
from tests.unit.encode.helpers import INFO

PLAIN = ["yuv420p", "nv12"]


def form(name: str) -> VideoFormat:
    return VideoFormat(name, 64, 48)


@pytest.fixture
def there(monkeypatch):
    monkeypatch.setattr(codecs, "why_not_nvenc", lambda encoder, size: None)


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".ts"])
def test_plain_pictures_on_a_gpu_that_has_it(there, suffix, name):
    choice = choose_codec(suffix, form(name), gpu=True)
    assert (choice.name, choice.pix_fmt) == ("h264_nvenc", name)
    assert choice.options["cq"] == "21"
    assert choice.options["bf"] == "0"


@pytest.mark.parametrize(
    ("suffix", "name", "expected"),
    [
        (".mp4", "yuv420p10le", "hevc"),  # x265 writes HDR metadata, which do not reach NVENC
        (".mp4", "yuv444p", "h264"),
        (".mov", "yuva444p", "prores"),
        (".webm", "yuv420p", "vp9"),
        (".avi", "yuv420p", "h264"),
        (".mp4", "rgb24", "h264"),
    ],
)
def test_other_pictures_and_files_stay_with_the_cpu(there, suffix, name, expected):
    assert choose_codec(suffix, form(name), gpu=True).name == expected


def test_not_without_being_asked_nor_where_it_does_not_open(there, monkeypatch):
    assert choose_codec(".mp4", form("nv12")).name == "h264"
    monkeypatch.setattr(codecs, "why_not_nvenc", lambda encoder, size: "it does not open")
    assert choose_codec(".mp4", form("nv12"), gpu=True).name == "h264"


def test_a_size_that_the_chip_does_not_take_stays_with_the_cpu(monkeypatch):
    """A film of 96x64 or of 8K would have failed with its first picture."""
    monkeypatch.setattr(
        codecs, "why_not_nvenc", lambda encoder, size: None if size == (1280, 720) else "too small or too large"
    )
    names = [choose_codec(".mp4", VideoFormat("nv12", *size), gpu=True).name for size in ((1280, 720), (96, 64), (7680, 4320))]
    assert names == ["h264_nvenc", "h264", "h264"]


def test_quality_0_is_none_that_nvenc_knows():
    """To NVENC it means the preset's bit rate, not the best quality."""
    with pytest.raises(OutputError, match=r"crf 0 is out of range for h264_nvenc; allowed: 1 \(best\)"):
        choose_codec(".mp4", form("nv12"), codec="h264_nvenc", crf=0)


def test_by_name(there):
    assert choose_codec(".mp4", form("yuv420p"), codec="hevc_nvenc", crf=30).options["cq"] == "30"
    assert choose_codec(".mp4", form("yuv420p"), codec="hevc_nvenc").tag == "hvc1"
    assert choose_codec(".mkv", form("yuv420p10le"), codec="hevc_nvenc").pix_fmt == "p010le", "no bit is lost"
    with pytest.raises(OutputError, match=r"cannot be used in a \.webm file"):
        choose_codec(".webm", form("yuv420p"), codec="h264_nvenc")


def test_live_nothing_is_kept_back(there):
    assert choose_codec(".mkv", form("nv12"), gpu=True, live=True).options["delay"] == "0"


def test_why_not_is_a_sentence():
    if (reason := nvenc.why_not_nvenc()) is None:
        pytest.skip("there is one")
    assert "Operation not permitted" not in reason or "data-centre" in reason
    assert any(word in reason for word in ("NVIDIA driver", "video part", "encoder does not open", "this FFmpeg")), reason
    assert nvenc.why_not_nvenc("no_such_nvenc") == "this FFmpeg was built without it"


@pytest.mark.parametrize("codec", ["h264_nvenc", "hevc_nvenc"])
def test_asked_for_and_not_there_is_an_error_before_anything_is_written(codec, tmp_path, monkeypatch):
    """It said "Operation not permitted", with the first picture."""
    reason = "it needs an NVIDIA GPU, and this machine has no NVIDIA driver (libcuda.so.1)"
    monkeypatch.setattr(codecs, "why_not_nvenc", lambda encoder, size: reason)
    with pytest.raises(OutputError) as caught:
        open_sink(tmp_path / "a.mp4", INFO, codec=codec).open()
    assert f"{codec!r} cannot be used here: {reason}; use h264 or hevc" in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize(("codec", "name"), [("h264_nvenc", "nv12"), ("h264_nvenc", "yuv444p"), ("hevc_nvenc", "p010le")])
def test_ffmpeg_knows_every_option(there, codec, name, live):
    """They are read before the GPU is looked for."""
    choice = choose_codec(".mkv", VideoFormat(name, 640, 360), codec=codec, live=live)
    context = av.VideoCodecContext.create(codec, "w")
    context.width, context.height, context.pix_fmt, context.time_base = 640, 360, choice.pix_fmt, Fraction(1, 25)
    context.options = dict(choice.options)
    problem: Exception | None = None
    try:
        context.open()
    except av.FFmpegError as error:  # there is no GPU
        problem = error
    assert not isinstance(problem, av.error.ArgumentError), problem
