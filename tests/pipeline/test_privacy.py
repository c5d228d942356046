"""Privacy in whole runs: no output shows what is hidden, whatever it is."""

from __future__ import annotations

import io
import json

import av
import numpy as np
import pytest

import streamseg
from streamseg.composite import Overlay, Privacy
from streamseg.errors import ConfigError
from tests import clips, graphs

INSIDE = np.s_[30:56, 24:58]
"""Of what the model of `known` finds in every picture."""
GREY = range(124, 129)
"""Codes of the luma of sRGB grey in limited range, as swscale and we round them."""


@pytest.fixture
def clip(tmp_path):
    return clips.cfr(tmp_path / "clip.mp4", frames=5)


def lumas(path) -> list[np.ndarray]:
    return [clips.plane_array(frame) for frame in clips.decoded(path)]


def flat(luma: np.ndarray) -> bool:
    return np.ptp(luma[INSIDE].astype(int)) <= 3


def test_no_output_shows_what_is_hidden(streamseg, known, clip, tmp_path) -> None:
    outputs = ["a.mkv", "still/%06d.png", "told.jsonl", "cut.cutouts"]
    where = [part for name in outputs for part in ("-o", tmp_path / name)]
    done = streamseg("run", clip, *where, "--privacy", "person", "--effects", "none", "--model", known, "--codec", "ffv1")
    assert done.returncode == 0, done.stderr
    assert not any(flat(luma) for luma in lumas(clip)), "the source shows something there"
    assert all(flat(luma) for luma in lumas(tmp_path / "a.mkv"))
    for file in sorted((tmp_path / "still").glob("*.png")):
        picture = next(av.open(str(file)).decode(video=0)).to_ndarray(format="gray", threads=1)
        assert flat(picture)
    for file in (tmp_path / "cut.cutouts").rglob("*.png"):
        picture = next(av.open(str(file)).decode(video=0)).to_ndarray(format="rgba", threads=1)
        assert np.ptp(picture[4:-4, 4:-4, :3].astype(int)) <= 3
    lines = [json.loads(line) for line in (tmp_path / "told.jsonl").read_text().splitlines()]
    frames = [line for line in lines if "instances" in line]
    assert all(line["privacy"][0]["hidden"] > 1000 for line in frames)
    assert "holds the outlines of what is hidden" in done.stderr


def test_the_same_in_python_and_from_a_file(known, clip, tmp_path) -> None:
    given = [
        {"privacy": "person"},
        {"privacy": Privacy(("person",))},
        {"pipeline": {"privacy": {"classes": "person"}}},
        {"privacy": ["person"], "margin": "4px 10%"},
    ]
    seen = []
    for options in given:
        results = list(streamseg.stream(clip, model=str(known), **options))
        seen.append([result.image() for result in results])
        assert all(np.ptp(picture[INSIDE].astype(int), axis=(0, 1)).max() <= 3 for picture in seen[-1])
    for other in seen[1:]:
        np.testing.assert_array_equal(seen[0], other)


def test_an_output_alone_may_hide_what_others_show(known, clip, tmp_path) -> None:
    pipeline = {
        "outputs": {
            "public": {"path": "{out}", "composite": [Privacy(("person",)), Overlay(contour=0, fill=0, label="")]},
            "own": {"path": "{stem}.own.mkv"},
        }
    }
    streamseg.run(clip, tmp_path / "a.mkv", pipeline=pipeline, model=str(known), codec="ffv1")
    assert all(flat(luma) for luma in lumas(tmp_path / "a.mkv"))
    assert not any(flat(luma) for luma in lumas(tmp_path / "a.own.mkv"))
    pipeline["outputs"]["public"]["composite"].reverse()
    with pytest.raises(ConfigError, match="privacy must be the first effect"):
        streamseg.run(clip, tmp_path / "b.mkv", pipeline=pipeline, model=str(known))


def test_frames_that_the_network_does_not_look_at_show_the_one_before(known, clip, tmp_path) -> None:
    report = streamseg.run(
        clip, tmp_path / "a.mkv", privacy="person", detect_every=2, effects="none", model=str(known), codec="ffv1"
    )
    source, shown = lumas(clip), lumas(tmp_path / "a.mkv")
    beside = np.s_[:16]  # the number of the frame
    told = [clips.read_index(luma) for luma in shown]
    assert told == [0, 0, 2, 2, 4]
    assert [clips.read_index(luma) for luma in source] == [0, 1, 2, 3, 4]
    assert all(len(luma[beside]) for luma in shown)
    assert report.privacy[0]["needed"]["hold"]["frames"] == 2


def test_what_is_not_shown_is_hidden_all_the_same(known, clip, tmp_path) -> None:
    """The network is asked for cars; people are hidden, and are not told of."""
    streamseg.run(
        clip, [tmp_path / "a.mkv", tmp_path / "a.jsonl"], privacy="person", classes="car", model=str(known), codec="ffv1"
    )
    assert all(flat(luma) for luma in lumas(tmp_path / "a.mkv"))
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert all(not line["instances"] for line in lines if "instances" in line)


def test_below_what_is_shown_is_hidden_too(tmp_path, clip) -> None:
    model = graphs.constant_model(tmp_path / "doubt.onnx", boxes=((20.0, 28.0, 60.0, 58.0),), scores=(0.06,), size=(64, 96))
    streamseg.run(clip, tmp_path / "a.mkv", privacy="person", effects="none", model=str(model), codec="ffv1")
    assert all(flat(luma) for luma in lumas(tmp_path / "a.mkv"))
    streamseg.run(
        clip, tmp_path / "b.mkv", privacy="classes: person, score: 0.3", effects="none", model=str(model), codec="ffv1"
    )
    assert not any(flat(luma) for luma in lumas(tmp_path / "b.mkv")), "as it is asked for"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"privacy": "persson"}, "unknown class 'persson'.*did you mean"),
        ({"margin": "4px"}, "nothing says what: name classes"),
        ({"privacy": "person", "margin": "four"}, "margin is 'four'"),
        ({"privacy": "person: yes: no"}, "cannot be read"),
        ({"privacy": "person", "results": "a.streamseg"}, "leave --results out|leave results out"),
        ({"privacy": "person", "select": "largest"}, "leave one of them out"),
        ({"privacy": "person", "decode": "nvdec"}, "host memory"),
    ],
)
def test_what_cannot_be_is_refused(known, clip, tmp_path, options, said) -> None:
    with pytest.raises(ConfigError, match=said):
        streamseg.run(clip, tmp_path / "a.mkv", model=str(known), **options)
    assert not (tmp_path / "a.mkv").exists()


def test_resumed_answers_know_what_was_nonsense(tmp_path) -> None:
    """A results file keeps that an answer could not be read."""
    from dataclasses import replace
    from fractions import Fraction

    from streamseg.record.frames import pack, read_columns, unpack
    from tests.unit.pictures import instances, noise, result

    given = replace(result(noise("gray", 32, 32), instances([])), answered=False)
    columns = read_columns(pack(given), 3, "x")
    assert unpack(columns, given.instances.class_names, Fraction(1, 90000), "x").of(given.frame).answered is False


def test_a_camera_shows_nobody_wherever_it_is_looked_at(known, clip) -> None:
    """Its newest result, its snapshot; and its own packets are not recorded."""
    import time

    from streamseg.live.live import Live

    live = Live({"door": {"source": str(clip), "loop": True, "privacy": "person", "effects": []}}, model=str(known), threads=1)
    with live:
        wait = time.monotonic() + 20
        while ((result := live.feed("door").latest()) is None or result.frame.lost) and time.monotonic() < wait:
            time.sleep(0.02)
        assert result is not None
        assert np.ptp(result.image()[INSIDE].astype(int), axis=(0, 1)).max() <= 3
        picture = next(av.open(io.BytesIO(live.feed("door").snapshot())).decode(video=0)).to_ndarray(format="gray", threads=1)
        assert np.ptp(picture[INSIDE].astype(int)) <= 6
        with pytest.raises(ConfigError, match=r"record\.what is camera"):
            live.add("yard", {"source": str(clip), "privacy": "person", "record": {"what": "camera"}})
