"""A pipeline around a model whose answers are known."""

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from streamseg.cli.main import main
from streamseg.config import PipelineConfig, parse_pipeline
from tests import graphs

BOX = (20.0, 28.0, 60.0, 58.0)
"""What the model of `known` finds in every picture, in pixels of its 64x96 input."""


@pytest.fixture(scope="session")
def known(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of input 64x96 that always finds one person, at `BOX`, with a full mask."""
    path = tmp_path_factory.mktemp("model") / "known.onnx"
    graphs.constant_model(path, boxes=(BOX,), scores=(0.9,), labels=(0,), size=(64, 96))
    return path


@pytest.fixture
def make_config(known: Path):
    """`make_config(yaml)`: a pipeline of that text with the known model in it."""

    def make(text: str = "outputs: {picture: {composite: [overlay]}}", model: Path = known, **infer: object) -> PipelineConfig:
        config = parse_pipeline(text, "test.yaml")
        chosen = config.infer.model_copy(update={"model": str(model), "threads": 1, **infer})
        return config.model_copy(update={"infer": chosen})

    return make


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def streamseg(monkeypatch, capfd):
    """Call the console script's function as the shell would, without the second that a new interpreter takes."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["streamseg", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        return Done(ended.value.code or 0, out, err)

    return call
