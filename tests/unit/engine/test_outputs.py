"""Named arrays: what an engine gives is what the graph declares, or an error that says what is not."""

from __future__ import annotations

import numpy as np
import pytest

from streamseg.engine import Outputs
from streamseg.engine.base import PooledEngine
from streamseg.errors import EngineError
from streamseg.hub.graph_file import TensorInfo
from tests import graphs

DECLARED = {"dets": TensorInfo("float32", (0, 3, 5)), "labels": TensorInfo("int64", (0, 3))}


def arrays(count: int = 2) -> dict[str, np.ndarray]:
    dets = np.arange(count * 15, dtype=np.float32).reshape(count, 3, 5)
    return {"dets": dets, "labels": np.arange(count * 3).reshape(count, 3)}


def test_arrays_are_taken_by_name_and_by_picture():
    given = arrays(3)
    outputs = Outputs(given, DECLARED)
    assert (outputs.batch, list(outputs)) == (3, ["dets", "labels"])
    assert outputs["dets"] is given["dets"]
    assert {name: array.shape for name, array in outputs.row(2).items()} == {"dets": (3, 5), "labels": (3,)}
    assert outputs.row(2)["labels"].tolist() == [6, 7, 8]
    part = outputs.rows(1, 3)
    assert part.batch == 2
    assert part.row(0)["labels"].tolist() == [3, 4, 5]
    assert np.shares_memory(part["dets"], given["dets"]), "a slice is no copy"
    assert repr(outputs) == "Outputs(dets: float32 [3, 3, 5], labels: int64 [3, 3])"


def test_there_is_no_way_to_change_which_arrays_they_are():
    given = arrays()
    outputs = Outputs(given)
    del given["labels"]
    assert list(outputs) == ["dets", "labels"]
    with pytest.raises(TypeError):
        outputs["dets"] = np.zeros((2, 3, 5), np.float32)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"labels": np.zeros((2, 3), np.int32)}, r"labels is declared as int64 \[any, 3\], but is int32 \[2, 3\]"),
        ({"dets": np.zeros((2, 3, 6), np.float32)}, r"dets is declared as float32 \[any, 3, 5\], but is float32 \[2, 3, 6\]"),
        ({"dets": np.zeros((2, 15), np.float32)}, r"dets is declared .* but is float32 \[2, 15\]"),
        ({"more": np.zeros(2)}, "declares dets, labels, but the engine gave dets, labels, more"),
        ({"labels": np.zeros((1, 3), np.int64)}, r"one number of pictures, got dets \[2, 3, 5\], labels \[1, 3\]"),
        ({"labels": np.zeros((), np.int64)}, "one number of pictures"),
    ],
)
def test_what_was_not_declared_is_refused(change, said):
    with pytest.raises(ValueError, match=said):
        Outputs(arrays() | change, DECLARED)


def test_no_arrays_at_all_are_refused():
    with pytest.raises(ValueError, match="got no array"):
        Outputs({})


def test_an_engine_whose_answer_is_not_what_the_graph_declares_fails_by_name():
    spec = graphs.spec(size=(64, 96), detections=1)
    good = {name: np.zeros((1, *info.shape[1:]), info.dtype) for name, info in spec.outputs.items()}
    for wrong, said in ((good | {"masks": good["masks"][..., :14]}, "masks is declared"), ({}, "no array")):
        engine = PooledEngine("odd", "test", spec, [lambda _, answer=wrong: answer], 1)
        with engine, pytest.raises(EngineError, match=rf"odd failed to run test\.onnx: .*{said}"):
            engine.submit(np.zeros((1, 64, 96, 3), np.uint8)).result(5)
