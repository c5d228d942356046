"""Transparency of VP8 and VP9 in WebM, which is stored beside each picture, and which FFmpeg's own decoders leave out."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from streamseg.decode import Decoder
from streamseg.pixels.planes import views
from tests import clips
from tests.unit.encode.helpers import copy


def clear(path: Path, codec: str, frames: int = 30) -> Path:
    """A film whose alpha is a ramp from left to right, a little further on with each picture."""
    with av.open(str(path), "w") as container:
        options = {"crf": "4", "b": "2M", "auto-alt-ref": "0", "lag-in-frames": "0", "deadline": "realtime"}
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = clips.WIDTH, clips.HEIGHT, "yuva420p"
        for number in range(frames):
            made, plain = av.VideoFrame(clips.WIDTH, clips.HEIGHT, "yuva420p"), clips.picture(number)
            for into, of in zip(views(made).planes, views(plain).planes, strict=False):
                into.array[...] = of.array
            views(made).planes[3].array[...] = ramp(number)
            made.pts, made.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(made))
        container.mux(stream.encode(None))
    return path


def ramp(number: int) -> np.ndarray:
    return np.clip(np.linspace(0, 200, clips.WIDTH) + number, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
def test_alpha_of_every_picture_is_read(codec, tmp_path):
    with Decoder(clear(tmp_path / "a.webm", codec)) as decoder:
        assert decoder.info.pix_fmt == "yuva420p"
        found = list(decoder.frames())
    assert [frame.time for frame in found] == [pytest.approx(i / 25) for i in range(30)]
    for number, frame in enumerate(found):
        alpha = views(frame.picture).planes[3].array
        assert np.abs(alpha.astype(int) - ramp(number)).max() <= 6
        assert clips.read_index(clips.plane_array(frame.picture)) == number


def test_a_part_of_it_begins_at_the_same_picture(tmp_path):
    source = clear(tmp_path / "a.webm", "libvpx-vp9")
    with Decoder(source, start=0.48, duration=0.2) as decoder:
        found = list(decoder.frames())
    assert [clips.read_index(clips.plane_array(frame.picture)) for frame in found] == [12, 13, 14, 15, 16]
    assert all(frame.picture.format.name == "yuva420p" for frame in found)


@pytest.mark.parametrize(("target", "codec"), [("b.mov", "auto"), ("b.mkv", "auto"), ("b.webm", "auto"), ("b.mp4", "auto")])
def test_it_goes_into_whatever_holds_it_and_is_spoken_of_elsewhere(target, codec, tmp_path):
    sink = copy(clear(tmp_path / "a.webm", "libvpx-vp9", 3), tmp_path / target, codec=codec)
    said = any("transparency is left out" in warning for warning in sink.warnings)
    assert said == (target == "b.mp4")
    if not said:
        with Decoder(tmp_path / target) as decoder:
            picture = next(decoder.frames()).picture
        plane = next(p for p in views(picture).planes if 3 in p.spec.components)
        top = (1 << views(picture).layout.depth) - 1
        assert np.abs(plane.array * (255 / top) - ramp(0)).max() <= 8


def test_a_film_without_alpha_is_read_as_before(tmp_path):
    source = clips.cfr(tmp_path / "a.webm", 3, video=clips.Video(codec="libvpx-vp9", options={"deadline": "realtime"}))
    with Decoder(source) as decoder:
        assert (decoder.info.pix_fmt, decoder.info.codec) == ("yuv420p", "vp9")
