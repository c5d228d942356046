"""Which detections a run shows: those above the model's own confidence, or above the user's."""

import pytest

import streamseg
from streamseg.errors import ModelError
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


def test_a_confidence_that_cannot_be_is_named(tmp_path):
    model = graphs.constant_model(tmp_path / "m.onnx", metadata={"streamseg.conf": "high"})
    with pytest.raises(ModelError, match=r"streamseg\.conf in its metadata is 'high', expected a number"):
        next(streamseg.stream(clips.cfr(tmp_path / "a.mp4", 2), model=model))
