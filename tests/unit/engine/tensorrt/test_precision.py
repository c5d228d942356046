"""What the engine inspector says of a plan's types, in the forms of several versions."""

from __future__ import annotations

import json

import pytest

from streamseg.engine.tensorrt.precision import check_plan, plan_types
from streamseg.errors import EngineError


def plan(*outputs: object) -> str:
    layers = [{"Name": f"conv{i}", "LayerType": "CaskConvolution", "Outputs": [output]} for i, output in enumerate(outputs)]
    return json.dumps({"Layers": [{"Name": "c", "LayerType": "Constant", "Outputs": [{"Datatype": "INT8"}]}, *layers]})


@pytest.mark.parametrize(
    ("output", "found"),
    [
        ({"Format/Datatype": "Channel major FP16 format where channel % 8 == 0"}, "fp16"),
        ({"Format/Datatype": "Row major linear FP32 format"}, "fp32"),
        ({"DataType": "Half", "Format": "kLINEAR"}, "fp16"),
        ({"DataType": "Float"}, "fp32"),
        ({"DataType": "BFloat16"}, "bf16"),
        ({"Format/Datatype": "Thirty-two wide channel vectorized row major Int8 format"}, "int8"),
    ],
)
def test_types_are_found_in_what_each_version_writes(output, found):
    assert plan_types(plan(output)) == {found: 1}


@pytest.mark.parametrize("text", ["", "no JSON", "[]", "{}", '{"Layers": ["a name only"]}', plan({"Name": "x"})])
def test_a_plan_that_does_not_say_is_not_refused(text):
    assert plan_types(text) == {}
    check_plan(plan_types(text), "fp16", "m.onnx")


def test_another_precision_than_asked_for_is_an_error():
    half, single = {"DataType": "Half"}, {"DataType": "Float"}
    check_plan(plan_types(plan(half, half, single)), "fp16", "m.onnx")  # a conversion that was fused
    with pytest.raises(EngineError, match=r"built for fp16, but the plan's convolutions are 2 fp32"):
        check_plan(plan_types(plan(single, single)), "fp16", "m.onnx")


def test_an_int8_convolution_may_give_float():
    """What was seen in TensorRT-RTX's plans: input and weights int8, output float, for 89 of lite's 90 convolutions."""
    layer = {
        "LayerType": "CaskConvolution",
        "Inputs": [{"Name": "Half", "Format/Datatype": "Int8"}],
        "Outputs": [{"Format/Datatype": "Float"}],
        "Weights": {"Type": "Int8", "Count": 9},
    }
    assert plan_types(json.dumps({"Layers": [layer, layer | {"Weights": None}]})) == {"int8": 2}
    assert plan_types('{"Layers": null}') == {}
