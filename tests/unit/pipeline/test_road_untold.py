"""Effects that show the road say so where nobody looks at it: an output that stays empty is no riddle."""

import pytest

from streamseg.config import load_pipeline, parse_pipeline
from streamseg.pipeline.outputs import plan
from streamseg.pipeline.where import road_untold


def told(text: str) -> str:
    config = parse_pipeline(text, "x.yaml")
    (target,) = plan(config.outputs, ["a.mp4"])
    return road_untold(config, target)


OUTPUT = "outputs: {a: {path: '{out}', composite: [%s]}}\n"


@pytest.mark.parametrize("effect", ["alerts", "birdseye", "corridor", "hidden", "lead", "overlay: {label: '{name} {ttc:>9}'}"])
def test_an_effect_that_would_draw_nothing_is_named(effect):
    name = effect.partition(":")[0]
    said = told(OUTPUT % f"trails, {effect}, legend")
    assert said == f"a.mp4: {name}: nothing is known of the road; scene: on in the pipeline file looks at it"
    assert told("scene: on\n" + OUTPUT % effect) == ""
    assert told("scene: {camera_height: 1.2}\n" + OUTPUT % effect) == ""
    assert told("scene: off\n" + OUTPUT % effect) == "", "it was meant"


def test_effects_that_need_no_road_say_nothing():
    assert told(OUTPUT % "trails, legend, instruments, overlay, counts") == ""
    config = load_pipeline("drive")
    assert road_untold(config, plan(config.outputs, ["a.mp4"])[0]) == ""
