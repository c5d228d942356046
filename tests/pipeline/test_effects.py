"""Effects from the shell, from a pipeline file and from Python: the same film."""

from __future__ import annotations

import numpy as np
import pytest

import streamseg
from streamseg.composite import Background, Chain, Outline, Overlay, Remove, Solid
from streamseg.errors import ConfigError, SourceNotFound
from tests import clips

CHAIN = Solid(color="blue", grow=4) >> Outline(color="white")
TEXT = "solid: {color: blue, grow: 4} >> outline: {color: white}"


@pytest.fixture
def clip(tmp_path):
    return clips.cfr(tmp_path / "clip.mp4", frames=4)


def pictures(path) -> list[np.ndarray]:
    return [frame.to_ndarray() for frame in clips.decoded(path)]


def test_one_chain_in_shell_file_and_python(streamseg, known, clip, tmp_path, make_config) -> None:
    import streamseg as package

    file = tmp_path / "mine.yaml"
    file.write_text("outputs: {picture: {path: '{out}', composite: [solid: {color: blue, grow: 4}, outline: {color: white}]}}")
    common = {"model": str(known), "codec": "ffv1"}
    done = streamseg("run", clip, "-o", tmp_path / "a.mkv", "--effects", TEXT, "--model", known, "--codec", "ffv1")
    assert done.returncode == 0, done.stderr
    package.run(clip, tmp_path / "b.mkv", pipeline=file, **common)
    package.run(clip, tmp_path / "c.mkv", effects=CHAIN, **common)
    steps = [{"solid": {"color": "blue", "grow": 4}}, Outline(color="white")]
    package.run(clip, tmp_path / "d.mkv", effects=steps, **common)
    package.run(clip, tmp_path / "e.mkv", pipeline={"outputs": {"picture": {"path": "{out}", "composite": CHAIN}}}, **common)
    package.run(clip, tmp_path / "none.mkv", effects="none", **common)
    a, plain = pictures(tmp_path / "a.mkv"), pictures(tmp_path / "none.mkv")
    for other in "bcde":
        np.testing.assert_array_equal(a, pictures(tmp_path / f"{other}.mkv"))
    np.testing.assert_array_equal(plain, pictures(clip))
    assert (a[0] != plain[0]).any()


def test_they_speak_of_what_is_asked_for_and_leave_what_lies_beside(known, clip, tmp_path) -> None:
    pipeline = {"outputs": {"picture": {"path": "{out}"}, "matte": {"path": "{stem}.matte.mkv", "composite": ["matte"]}}}
    report = streamseg.run(clip, tmp_path / "a.mkv", pipeline=pipeline, effects=Solid(), model=str(known), codec="ffv1")
    assert {output.path for output in report.outputs} >= {str(tmp_path / "a.mkv")}
    x, y = 0.4, 0.65  # of the picture's size: inside what the model finds
    for name, inside in (("a.mkv", 16), ("a.matte.mkv", 255)):
        luma = clips.plane_array(clips.decoded(tmp_path / name)[0])
        assert luma[int(y * len(luma)), int(x * luma.shape[1])] == pytest.approx(inside, abs=2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("blurr", "--effects.*no such effect.*blur"),
        ("blur: {strenght: 1}", "--effects.*strenght.*strength"),
        ("blur: {strength: 3}", "--effects.*strength.*3"),
        ("blur >> >> outline", "--effects.*nothing on one side"),
        ("blur: {strength", "--effects.*cannot be read"),
        ("solid: {color: '#zzz'}", "--effects.*#zzz.*no colour"),
    ],
)
def test_a_mistake_is_told_with_the_flag(streamseg, clip, tmp_path, known, text, message) -> None:
    import re

    done = streamseg("run", clip, "-o", tmp_path / "a.mp4", "--effects", text, "--model", known)
    assert done.returncode == 3
    assert re.search(message, done.stderr.replace("\n", " ")), done.stderr


def test_a_background_that_is_not_there_is_told_before_anything_is_written(known, clip, tmp_path) -> None:
    with pytest.raises(SourceNotFound, match=r"background: .*gone\.jpg"):
        streamseg.run(clip, tmp_path / "a.mkv", effects=Background(source=str(tmp_path / "gone.jpg")), model=str(known))
    assert not (tmp_path / "a.mkv").exists()


def test_a_result_is_drawn_with_any_effect(known, clip) -> None:
    (result, *_) = streamseg.stream(clip, model=str(known))
    np.testing.assert_array_equal(result.draw(Overlay()), result.plot())
    drawn = result.draw(CHAIN)
    assert drawn.shape == result.plot().shape
    assert (drawn != result.image()).any()
    assert isinstance(CHAIN, Chain)
    with pytest.raises(ConfigError, match=r"unknown class 'sofa'"):
        result.draw(Solid(classes=["sofa"]))


def test_an_object_is_taken_out_and_the_report_says_what_was_not_seen(known, clip, tmp_path) -> None:
    """The model finds its person at one place all the time, so that nothing behind it is ever seen."""
    never = {"path": "{stem}.never.mkv", "composite": [{"remove": {"show": "missing", "grow": 0, "feather": 0}}]}
    pipeline = {"outputs": {"picture": {"path": "{out}"}, "never": never}}
    marked = Remove(missing="mark", color="white", grow=0, feather=0) >> Outline(color="white")
    common = {"model": str(known), "codec": "ffv1"}
    report = streamseg.run(clip, tmp_path / "a.mkv", pipeline=pipeline, effects=marked, **common)
    assert sum("100.0 % was never seen" in warning for output in report.outputs for warning in output.warnings) == 2
    picture, matte = (clips.plane_array(clips.decoded(tmp_path / name)[2]) for name in ("a.mkv", "a.never.mkv"))
    y, x = int(0.65 * len(picture)), int(0.4 * picture.shape[1])
    assert (picture[y, x], matte[y, x], matte[1, 1]) == (235, 255, 0)
    assert len(clips.decoded(tmp_path / "a.mkv")) == len(clips.decoded(clip))
    assert [f.pts * f.time_base for f in clips.decoded(tmp_path / "a.mkv")] == [
        f.pts * f.time_base for f in clips.decoded(clip)
    ]


@pytest.mark.parametrize("effects", [Outline() >> Remove(), Remove() >> Remove()])
def test_remove_stands_first_and_once(known, clip, tmp_path, effects) -> None:
    with pytest.raises(ConfigError, match="remove must be the first effect"):
        streamseg.run(clip, tmp_path / "a.mkv", effects=effects, model=str(known))
