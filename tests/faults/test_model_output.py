"""FAILURES.md, "NaN/Inf or absurd boxes": discard and count; N in a row is BadOutput. Injected by graphs that emit them."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from streamseg.core.types import Frame
from streamseg.detect.infer import Infer
from streamseg.detect.postprocess import Postprocess
from streamseg.detect.preprocess import Preprocess
from streamseg.engine import open_engine
from streamseg.errors import BadOutput
from tests import graphs


def frame(index: int, picture: np.ndarray) -> Frame:
    return Frame(av.VideoFrame.from_ndarray(picture, "rgb24"), index, index, Fraction(1, 25))


def red_square() -> np.ndarray:
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[16:48, 24:72] = (255, 0, 0)
    return picture


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_a_network_that_gives_nan_for_some_frames_goes_on(tmp_path, name):
    model = graphs.rectangle_model(tmp_path / "m.onnx", nan_when_bright=True)
    glare = np.full((64, 96, 3), 255, np.uint8)
    with open_engine(model, engine=name) as engine:
        process = Postprocess(engine.spec, patience=5)
        infer, prepare = Infer(engine), Preprocess(64, 96)
        pictures = [*[glare] * 4, red_square(), *[glare] * 4]
        results = [process(infer(prepare(frame(i, p)))) for i, p in enumerate(pictures)]
    assert [len(r) for r in results] == [0, 0, 0, 0, 1, 0, 0, 0, 0]
    assert results[4].instances.names == ["person"]
    assert process.counters.bad_frames == 8
    assert process.counters.not_finite >= 8
    assert [r.frame.index for r in results] == list(range(9)), "a frame was lost with its instances"


@pytest.mark.parametrize("box", [(np.nan, 8, 40, 40), (8, 8, np.inf, 40), (40, 40, 8, 8), (-1e30, 8, 1e30, 40)])
def test_a_network_that_gives_only_nonsense_ends_the_run(tmp_path, box):
    model = graphs.constant_model(tmp_path / "m.onnx", boxes=[box])
    with open_engine(model) as engine:
        process = Postprocess(engine.spec, patience=4)
        infer, prepare = Infer(engine), Preprocess(64, 96)
        for i in range(3):
            assert len(process(infer(prepare(frame(i, red_square()))))) == 0
        with pytest.raises(BadOutput, match=r"4 frames in a row.*--engine") as caught:
            process(infer(prepare(frame(3, red_square()))))
    assert caught.value.exit_code == 16


def test_one_bad_row_does_not_take_the_good_ones_with_it(tmp_path):
    boxes = [(10, 10, 50, 50), (50, 50, 10, 10), (20, 20, 60, 60)]
    model = graphs.constant_model(tmp_path / "m.onnx", boxes=boxes)
    with open_engine(model) as engine:
        process = Postprocess(engine.spec, patience=2)
        infer, prepare = Infer(engine), Preprocess(64, 96)
        for i in range(5):
            result = process(infer(prepare(frame(i, red_square()))))
            assert result.boxes.tolist() == [[10, 10, 50, 50], [20, 20, 60, 60]]
    assert process.counters.absurd == 5
    assert process.counters.bad_frames == 0
