"""--preview: the same film, small and soon."""

import av
import pytest

from streamseg.composite import Alpha
from streamseg.config import parse_pipeline
from streamseg.decode import Decoder
from streamseg.pipeline.configure import configure
from tests import clips, interlaced_clips


def test_a_preview_is_the_same_film_at_a_quarter_of_the_size(streamseg, known, tmp_path):
    source = clips.vfr(tmp_path / "in.mp4", video=clips.Video(size=(384, 256)), audio=True)
    done = streamseg("run", source, "--model", known, "-p", "edit", "-o", tmp_path / "look.mp4", "--preview")
    assert done.returncode == 0, done.stderr
    with av.open(str(tmp_path / "look.mp4")) as small, av.open(str(tmp_path / "look.alpha.mov")) as alpha:
        assert {(s.width, s.height) for s in (small.streams.video[0], alpha.streams.video[0])} == {(96, 64)}
    there, here = clips.decoded(source), clips.decoded(tmp_path / "look.mp4")
    assert [f.pts * f.time_base for f in here] == [f.pts * f.time_base for f in there]
    assert [clips.read_index(clips.plane_array(f)) for f in here] == list(range(len(there)))
    assert clips.packets(tmp_path / "look.mp4") == clips.packets(source)


@pytest.mark.parametrize(("size", "small"), [((97, 61), (24, 16)), ((100, 50), (24, 12)), ((8, 4), (2, 2))])
def test_small_sizes_are_even(size, small, tmp_path):
    source = clips.lossless(tmp_path / "in.mkv", 2, size=size)
    with Decoder(source, shrink=4) as decoder:
        assert (decoder.info.width, decoder.info.height) == small
        assert {(f.width, f.height) for f in decoder.frames()} == {small}


def test_interlaced_pictures_become_progressive(streamseg, known, tmp_path):
    source = interlaced_clips.write(tmp_path / "a.mp4")
    done = streamseg("run", source, "--model", known, "-o", tmp_path / "o.mp4", "--preview")
    assert done.returncode == 0, done.stderr
    assert set(interlaced_clips.orders(tmp_path / "o.mp4")) == {None}


def test_lengths_in_pixels_become_smaller_and_what_was_asked_for_stays(tmp_path):
    text = """
events: {lines: {a: [[40, 80], [400, 80]], b: [[0.1, 0.5], [0.9, 0.5]]}}
outputs: {picture: {composite: [{alpha: {grow: 8, feather: 4}}], encode: {shape: {grow: -2}}}}
"""
    config = configure({"pipeline": parse_pipeline(text, "t.yaml"), "preview": True, "size": "320x576", "detect_every": 3})
    assert config.events.lines["a"].points == ((10, 20), (100, 20))
    assert config.events.lines["b"].points == ((0.1, 0.5), (0.9, 0.5))
    assert config.outputs["picture"].composite[0].effect == Alpha(grow=2, feather=1)
    assert config.outputs["picture"].encode.shape.grow == -0.5
    assert (config.preprocess.size, config.infer.every) == ((320, 576), 3)
    assert configure({"preview": True}).preprocess.size == "smallest"
