"""--codec, --crf, --audio and --keep-grey reach the outputs that they speak of, whatever the pipeline file lists."""

from __future__ import annotations

import pytest

from streamseg.config import parse_pipeline
from streamseg.errors import ConfigError
from streamseg.pipeline.output_options import with_encoding
from streamseg.pipeline.outputs import plan

TWO = "outputs: {picture: {composite: [overlay], encode: {crf: 30}}, alpha: {path: '{stem}.alpha.mov', composite: [alpha]}}"


def planned(text: str, *given: str, codec=None, crf=None, audio=None, keep_grey=False):
    config = with_encoding(parse_pipeline(text, "test.yaml"), codec=codec, crf=crf, audio=audio, keep_grey=keep_grey)
    return {target.path: target for target in plan(config.outputs, given)}


@pytest.mark.parametrize("text", ["{}", "outputs: {output1: {path: http://127.0.0.1:8080, composite: [overlay]}}"])
def test_a_file_without_an_output_for_it(text):
    """They were ignored without a word: the film was H.264."""
    found = planned(text, "a.mkv", codec="ffv1", audio="none", keep_grey=True)["a.mkv"]
    assert (found.encode.codec, found.encode.audio, found.keep_grey) == ("ffv1", "none", True)
    assert [type(step.effect).__name__ for step in found.composite] == ["Overlay"]
    assert planned(text, "a.mkv")["a.mkv"].encode.codec == "auto"


def test_what_is_written_beside_it_keeps_its_own_codec():
    found = planned(TWO, "a.mkv", "b.mkv", codec="ffv1", audio="none", keep_grey=True)
    assert {path: target.encode.codec for path, target in found.items()} == {
        "a.mkv": "ffv1",
        "b.mkv": "ffv1",
        "a.alpha.mov": "auto",
    }
    assert all(target.encode.audio == "none" and target.keep_grey for target in found.values())
    assert found["a.mkv"].encode.crf == 30


def test_a_wrong_value_is_refused():
    with pytest.raises(ConfigError, match="audio"):
        planned("{}", "a.mkv", audio="loud")
