"""Every codec of the table, at every rate, size and clock that it takes, in every container, with and without alpha, 8 and 10 bit.

Each film is written as a run writes it and decoded again, a picture or two each: what an encoder refuses shows with the first.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.format import VideoFormat

from streamseg.encode import open_sink
from streamseg.encode.video.codecs import CODECS
from streamseg.encode.video.containers import CONTAINERS
from streamseg.errors import OutputError
from streamseg.pixels.planes import new_frame, views
from tests import clips
from tests.unit.encode.helpers import INFO, frames, rendered

NVENC = ("h264_nvenc", "hevc_nvenc")
HERE = [name for name in CODECS if name not in NVENC]
HOME = {name: next(suffix for suffix, kind in CONTAINERS.items() if name in kind.codecs) for name in HERE}
"""A container of each codec that can be had without a GPU."""
ROWS = [(suffix, name) for suffix, kind in CONTAINERS.items() for name in kind.codecs if name in HERE]

RATES = [Fraction(1, 10), Fraction(1, 3), 1, 5, 10, Fraction(25, 2), 15, Fraction(24000, 1001), 25, 50, 120, 240, 960]
SIZES = [(96, 64), (97, 65), (31, 33), (16, 16), (1, 1), (2, 300), (300, 3), (40, 1400), (1400, 40)]
CLOCKS = [Fraction(1, 90000), Fraction(1001, 30000), Fraction(1, 1000), Fraction(1, 12800), Fraction(1), Fraction(1, 10**6)]


def still(index: int, width: int, height: int, name: str) -> av.VideoFrame:
    """A picture in any format with a layout: a gradient and a block that tells pictures apart; alpha from clear to opaque."""
    made = new_frame(width, height, name)
    known = views(made)
    top = (1 << known.layout.depth) - 1
    for array, spec in known.planes:
        rows, columns = array.shape[:2]
        for place, component in enumerate(spec.components):
            ramp = np.linspace(0.1 + 0.2 * (component % 3), 0.9, columns)[None, :].repeat(rows, 0)
            ramp[: rows // 2, : columns // 3] = 0.3 + 0.1 * index
            if component == 3:
                ramp = np.linspace(0, 1, columns)[None, :].repeat(rows, 0)
            values = np.rint(ramp * top).astype(known.layout.dtype) << known.layout.lsb
            (array if array.ndim == 2 else array[..., place])[...] = values
    return made


def film(
    path: Path, codec: str, pictures: list[av.VideoFrame], rate=25, clock: Fraction | None = None, live=False, **options
) -> list[str]:
    """Write `pictures`, one each 1 / `rate` s or, on a slow clock, each tick; assert that times come back; what was warned of."""
    clock = 1 / Fraction(rate) if clock is None else clock
    step = max(1, round(1 / Fraction(rate) / clock))
    first = pictures[0]
    depth = max(c.bits for c in first.format.components)
    info = replace(INFO, pix_fmt=first.format.name, width=first.width, height=first.height, bit_depth=depth)
    info = replace(info, rate=Fraction(rate), time_base=clock, live=live)
    sink = open_sink(path, info, codec=codec, overwrite=True, **options)
    sink.open()
    try:
        for frame in frames(pictures, range(0, step * len(pictures), step), clock):
            sink(rendered(frame))
    except BaseException:
        sink.abort()
        raise
    sink.close()
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        times = [p.pts * stream.time_base for p in container.demux(stream) if p.size]
    # AVI counts frames of one length; a transport stream has its own clock, on which B-frames move all times by a constant.
    slack = {".mkv": Fraction(1, 1000), ".webm": Fraction(1, 1000), ".ts": Fraction(1, 90000), ".avi": clock / 2}.get(
        path.suffix, 0
    )
    first_time = min(times) if path.suffix in (".ts", ".avi") else 0
    wanted = [Fraction(i * step) * clock for i in range(len(pictures))]
    assert all(abs(a - first_time - b) <= slack for a, b in zip(sorted(times), wanted, strict=True)), (times, wanted)
    return sink.warnings


def decoded(path: Path) -> list[av.VideoFrame]:
    """The pictures; VP9 by libvpx, since FFmpeg's own decoder leaves its alpha out."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        if stream.codec_context.name != "vp9":
            return list(container.decode(stream))
        reader = av.CodecContext.create("libvpx-vp9", "r")
        return [f for p in container.demux(stream) for f in reader.decode(p)]


@pytest.mark.parametrize("codec", HERE)
def test_every_rate(codec, tmp_path):
    """x265 took no film of 12.5 frames a second or fewer: its lookahead was as short as a run of B-frames."""
    for rate in RATES:
        for name in ("yuv420p", "yuv420p10le"):
            film(tmp_path / f"a{HOME[codec]}", codec, [still(i, 96, 64, name) for i in range(2)], rate)
        film(tmp_path / f"a{HOME[codec]}", codec, [still(i, 96, 64, "yuv420p") for i in range(2)], rate, live=True)


@pytest.mark.parametrize("codec", HERE)
def test_every_clock_and_length(codec, tmp_path):
    """libvpx took no film whose nominal rate was above its clock's: pictures seemed to last no time."""
    for clock in CLOCKS:
        film(tmp_path / f"a{HOME[codec]}", codec, [still(i, 96, 64, "yuv420p") for i in range(2)], 10, clock)
    for count in (1, 2, 3, 5):
        path = tmp_path / f"b{HOME[codec]}"
        film(path, codec, [still(i, 96, 64, "yuv420p") for i in range(count)])
        assert len(decoded(path)) == count


@pytest.mark.parametrize("codec", HERE)
def test_every_size_is_written_or_refused_before_anything_is(codec, tmp_path):
    """FFV1's slices did not fit into 63x65; SVT-AV1 waited for ever at 16x200."""
    path, refused = tmp_path / f"a{HOME[codec]}", []
    for size in SIZES:
        made, problem = [still(i, *size, "yuv420p") for i in range(2)], ""
        try:
            film(path, codec, made)
        except OutputError as error:
            problem = str(error)
        if problem:
            assert f"{size[0] + size[0] % 2}x{size[1] + size[1] % 2}; use " in problem
            assert not path.exists()
            refused.append(size)
            continue
        frame = decoded(path)[0]
        assert (frame.width - size[0], frame.height - size[1]) in {(0, 0), (size[0] % 2, size[1] % 2)}
        path.unlink()
    least = CODECS[codec].smallest
    assert refused == [(w, h) for w, h in SIZES if w + w % 2 < least[0] or h + h % 2 < least[1]]


def test_a_size_that_the_usual_codec_does_not_take_gets_another(tmp_path):
    film(tmp_path / "a.mp4", "auto", [still(i, 8, 8, "yuv420p10le") for i in range(2)])
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        assert next(container.decode(video=0)).format.name == "yuv420p10le"


@pytest.mark.parametrize(("suffix", "codec"), ROWS)
def test_every_row_with_and_without_alpha_8_and_10_bit(suffix, codec, tmp_path):
    """Transparent WebM failed for whatever is not 4:2:0: libvpx lists yuva444p, and refuses it."""
    clear_here = CODECS[codec].alpha and codec not in CONTAINERS[suffix].opaque
    count = 12 if suffix == ".ts" else 2  # FFmpeg opens no transport stream of less than 8 KB
    for depth, plain, clear in ((8, "yuv420p", "yuva420p"), (8, "yuv444p", "yuva444p"), (10, "yuv444p10le", "yuva444p10le")):
        warned = film(tmp_path / f"a{suffix}", codec, [still(i, 96, 64, plain) for i in range(count)])
        opaque = decoded(tmp_path / f"a{suffix}")
        assert len(opaque) == count
        bits = opaque[0].format.components[0].bits
        assert (bits < depth) == any("10 bits a sample become 8" in text for text in warned), warned
        if not clear_here:
            with pytest.raises(OutputError, match="cannot hold transparency"):
                film(tmp_path / f"b{suffix}", codec, [still(0, 96, 64, clear)], alpha=True)
            warned = film(tmp_path / f"b{suffix}", codec, [still(i, 96, 64, clear) for i in range(count)])
            assert any("transparency is left out" in text for text in warned)
            continue
        made = [still(i, 96, 64, clear) for i in range(count)]
        film(tmp_path / f"b{suffix}", codec, made, alpha=True)
        after = decoded(tmp_path / f"b{suffix}")
        assert len(after) == count
        assert max_alpha_error(made[0], after[0]) <= (3 if codec == "vp9" else 1.5)  # 10 bits to 8, in two steps


@pytest.mark.parametrize(("suffix", "codec"), ROWS)
def test_the_shape_of_pixels_is_noted_or_its_loss_said(suffix, codec, tmp_path):
    """Matroska and AVI lost it without a word with every codec that has no place for it itself."""
    made = [still(i % 4, 96, 64, "yuv420p") for i in range(12)]
    info = replace(INFO, sample_aspect_ratio=Fraction(16, 15), pix_fmt="yuv420p")
    sink = open_sink(tmp_path / f"a{suffix}", info, codec=codec)
    sink.open()
    for frame in frames(made):
        sink(rendered(frame))
    sink.close()
    said = [text for text in sink.warnings if "pixels of 16/15 will play as square ones" in text]
    with av.open(str(tmp_path / f"a{suffix}")) as container:
        kept = container.streams.video[0].sample_aspect_ratio == Fraction(16, 15)
    assert (kept, len(said)) in {(True, 0), (False, 1)}


RGB = {
    "rgb24": 8,
    "bgr24": 8,
    "bgr0": 8,
    "gbrp": 8,
    "rgba": 8,
    "bgra": 8,
    "gbrap": 8,
    "gbrp10le": 10,
    "rgb48le": 16,
    "rgba64le": 16,
}
EXACT = [(suffix, codec) for suffix, codec in ROWS if CODECS[codec].exact]


@pytest.mark.parametrize(("suffix", "codec"), EXACT)
def test_rgb_stays_rgb_where_the_codec_is_lossless(suffix, codec, tmp_path):
    """It became YUV 4:4:4 of limited range: 71 % of the pixels came back changed."""
    deepest = max(c.bits for name in formats_of(codec) for c in VideoFormat(name).components)
    for name, depth in RGB.items():
        made = [still(i, 97 if codec != "utvideo" else 96, 64, name) for i in range(2)]
        has_alpha = any(c.is_alpha for c in made[0].format.components)
        warned = film(tmp_path / f"a{suffix}", codec, made, alpha=has_alpha and CODECS[codec].alpha)
        if depth > deepest:
            assert any(f"{depth} bits a sample become {deepest}" in text for text in warned), (name, warned)
            continue
        for before, after in zip(made, decoded(tmp_path / f"a{suffix}"), strict=True):
            assert after.format.is_rgb
            assert np.array_equal(
                channels(after, has_alpha and CODECS[codec].alpha, depth),
                channels(before, has_alpha and CODECS[codec].alpha, depth),
            ), name


@pytest.mark.parametrize(("name", "held"), [("gray", "gray"), ("gray10le", "gray10le"), ("gray16le", "gray16le")])
def test_grey_stays_grey_in_ffv1(name, held, tmp_path):
    made = still(1, 96, 64, name)
    made.color_range = 1
    film(tmp_path / "a.mkv", "ffv1", [made])
    after = decoded(tmp_path / "a.mkv")[0]
    assert (after.format.name, after.color_range) == (held, 1)
    assert np.array_equal(clips.plane_array(after), clips.plane_array(made))


@pytest.mark.parametrize("codec", ["png", "qtrle"])
@pytest.mark.parametrize("limited", [False, True])
def test_grey_keeps_its_brightness_in_codecs_of_rgb(codec, limited, tmp_path):
    made = still(1, 96, 64, "gray")
    made.color_range = 1 if limited else 2
    film(tmp_path / "a.mov", codec, [made])
    codes = clips.plane_array(made).astype(float)
    wanted = np.clip((codes - 16) * 255 / 219, 0, 255) if limited else codes
    back = channels(decoded(tmp_path / "a.mov")[0], False, 8)
    assert np.abs(back - wanted[..., None]).max() <= 1


REFUSED = {
    "h264_vaapi": "VA-API's",
    "hevc_qsv": "Intel's (Quick Sync) hardware encoder",
    "h264_videotoolbox": "Apple's",
    "mpeg4": "has no settings for it",
    "libx266": "FFmpeg knows no such encoder",
    "prores": ".mov .mkv can hold it",
}


@pytest.mark.parametrize("codec", REFUSED)
def test_a_codec_that_cannot_be_had_is_refused_with_the_reason(codec, tmp_path):
    with pytest.raises(OutputError) as caught:
        open_sink(tmp_path / "a.mp4", INFO, codec=codec).open()
    assert REFUSED[codec] in str(caught.value)
    assert "allowed: auto, h264" in str(caught.value)


def test_svt_av1_says_nothing_of_itself(tmp_path):
    """It wrote some ten lines to standard error, in spite of -q."""
    code = f"""
        from tests.unit.encode.helpers import write
        from tests import clips
        write({str(tmp_path / "a.mkv")!r}, [clips.picture(i) for i in range(2)], codec="av1")
    """
    lines = "\n".join(line.strip() for line in code.splitlines())
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(decoded(tmp_path / "a.mkv")) == 2


# --- helpers --------------------------------------------------------------------------------------------------------------


def formats_of(codec: str) -> list[str]:
    return [
        f.name
        for f in av.codec.Codec(CODECS[codec].encoder, "w").video_formats or ()
        if "f16" not in f.name and "f32" not in f.name
    ]


def channels(picture: av.VideoFrame, alpha: bool, depth: int) -> np.ndarray:
    """R, G, B (and alpha) [h, w, 3 or 4] in codes of `depth` bits."""
    from streamseg.pixels.planes import reformat, supported

    picture = supported(picture)
    known = views(picture)
    if len(known.planes) == 1 or known.layout.family == "rgb":
        found = {
            c: (p.array if p.array.ndim == 2 else p.array[..., i])
            for p in known.planes
            for i, c in enumerate(p.spec.components)
        }
    else:
        return channels(reformat(picture, "rgb24"), alpha, depth)
    stacked = np.stack([found[c] for c in range(4 if alpha else 3)], axis=2).astype(int)
    return (
        stacked
        if known.layout.depth == depth
        else np.rint(stacked * ((1 << depth) - 1) / ((1 << known.layout.depth) - 1)).astype(int)
    )


def max_alpha_error(before: av.VideoFrame, after: av.VideoFrame) -> float:
    """In 255ths."""

    def of(picture: av.VideoFrame) -> np.ndarray:
        known = views(picture)
        plane = next(p for p in known.planes if 3 in p.spec.components)
        values = plane.array if plane.array.ndim == 2 else plane.array[..., plane.spec.components.index(3)]
        return values.astype(float) * 255 / ((1 << known.layout.depth) - 1)

    from streamseg.pixels.planes import supported

    return float(np.abs(of(before) - of(supported(after))).max())
