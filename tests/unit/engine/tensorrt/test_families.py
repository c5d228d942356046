"""Graphs made of other people's models, in the real TensorRT-RTX compiler, which needs no GPU."""

from __future__ import annotations

import numpy as np
import pytest

from streamseg.engine.tensorrt import TENSORRT_RTX, compile_plan
from streamseg.hub.foreign import adapted, understand
from streamseg.hub.graph_spec import read_spec
from tests.foreign import foreign_model

ROWS = 4
LAYOUTS = {
    "rf-detr": {
        "dets": np.zeros((1, ROWS, 4), np.float32),
        "labels": np.zeros((1, ROWS, 91), np.float32),
        "4245": np.zeros((1, ROWS, 16, 16), np.float32),
    },
    "mmdeploy": {
        "dets": np.zeros((1, ROWS, 5), np.float32),
        "labels": np.zeros((1, ROWS), np.int64),
        "masks": np.zeros((1, ROWS, 64, 64), np.float32),
    },
}


def spec_of(tmp_path, monkeypatch, family):
    monkeypatch.setenv("STREAMSEG_CACHE", str(tmp_path / "cache"))
    outputs = LAYOUTS[family]
    path = foreign_model(tmp_path / f"{family}.onnx", outputs, shape=(1, 3, 64, 64), name="input", see="dets")
    return read_spec(adapted(understand(path)))


@pytest.mark.long
@pytest.mark.parametrize("family", LAYOUTS)
def test_a_layout_of_fixed_lengths_compiles(tmp_path, monkeypatch, family):
    spec = spec_of(tmp_path, monkeypatch, family)
    built = compile_plan(TENSORRT_RTX, spec, capabilities=["sm_89"])
    assert "Detected 1 inputs and 3 output network tensors" in built.log
