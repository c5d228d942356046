"""Which detections a run shows: those above the model's own confidence, or above the user's."""

from dataclasses import replace

import pytest

import streamseg
from streamseg.detect.postprocess import Postprocess
from streamseg.errors import ModelError
from streamseg.pipeline import makers
from streamseg.pipeline.build import build_pipeline
from streamseg.pipeline.stages import Step
from tests import clips, graphs


@pytest.mark.parametrize(
    ("stated", "options", "shown"),
    [
        (None, {}, 0),  # 0.5, as ever
        ("0.3", {}, 1),
        ("0.3", {"conf": 0.45}, 0),
        (None, {"conf": 0.3}, 1),
        ("0.3", {"pipeline": {"postprocess": {"conf": "auto"}}}, 1),
    ],
)
def test_a_model_states_from_which_score_on_its_detections_count(tmp_path, stated, options, shown):
    model = graphs.constant_model(tmp_path / "m.onnx", scores=[0.4], metadata={"streamseg.conf": stated})
    source = clips.cfr(tmp_path / "a.mp4", 6)
    assert [len(result) for result in streamseg.stream(source, model=model, **options)] == [shown] * 6


@pytest.mark.parametrize(("conf", "followed"), [("0.5", 0), ("0.3", 1)])
def test_what_carries_an_object_on_scales_with_it(tmp_path, make_config, conf, followed):
    """A second detection of 0.08 is below a fifth of 0.5, not of 0.3: postprocessing leaves it out, or hands it to the tracker."""
    boxes = [(8, 8, 40, 40), (50, 8, 80, 40)]
    model = graphs.constant_model(tmp_path / "m.onnx", boxes=boxes, scores=[0.9, 0.08], metadata={"streamseg.conf": conf})
    handed = []

    class Look:
        def __call__(self, result):
            handed.append(len(result))
            return result

    config = make_config("outputs: {picture: {composite: [overlay]}}", model)
    look = Step("look", "looks", "Result", lambda context: Look(), after="postprocess")
    build_pipeline(str(clips.cfr(tmp_path / "a.mp4", 3)), config, [str(tmp_path / "b.mp4")], extra=[look]).run()
    assert handed == [1 + followed] * 3


@pytest.mark.parametrize(("part", "followed"), [("full", 1), ("proposals", 0)])
def test_proposals_are_shown_from_the_score_asked_for_and_no_lower(tmp_path, part, followed):
    """They lie over each other: one of 0.3 carried the track of one of 0.9 on, and was drawn though 0.8 had been asked for."""
    model = graphs.constant_model(tmp_path / "m.onnx", scores=[0.9], metadata={"streamseg.part": part})
    shown = [len(result) for result in fading(tmp_path, model, to=0.6)]
    assert (shown[0], shown[6]) == (1, followed)


def test_an_object_is_followed_down_to_a_share_of_the_score_asked_for(tmp_path):
    """0.8 was asked for: with three fifths of the model's own 0.5 it was shown down to 0.3."""
    model = graphs.constant_model(tmp_path / "m.onnx", scores=[0.9])
    assert [[len(result) for result in fading(tmp_path, model, to=to)][-1] for to in (0.55, 0.4)] == [1, 0]


def fading(folder, model, to):
    """Results of a film in which the one object's score falls to `to` after a few frames; 0.8 is asked for."""

    class Fade(Postprocess):
        def __call__(self, pending):
            read = self.head
            self.head = lambda *given: replace(
                found := read(*given), scores=found.scores * 0 + (0.9 if pending.frame.index < 5 else to)
            )
            try:
                return super().__call__(pending)
            finally:
                self.head = read

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(makers, "Postprocess", Fade)
        return list(streamseg.stream(clips.cfr(folder / "a.mp4", 75), model=model, conf=0.8))


def test_a_confidence_that_cannot_be_is_named(tmp_path):
    model = graphs.constant_model(tmp_path / "m.onnx", metadata={"streamseg.conf": "high"})
    with pytest.raises(ModelError, match=r"streamseg\.conf in its metadata is 'high', expected a number"):
        next(streamseg.stream(clips.cfr(tmp_path / "a.mp4", 2), model=model))
