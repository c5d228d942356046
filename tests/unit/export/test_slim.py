"""A graph keeps each constant once, and answers as before."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from streamseg.export.onnx_file import slim


def constant(name: str, value: float) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(np.full(3, value, np.float32), f"t{name}"))


def graph() -> onnx.ModelProto:
    """x + a + b + c + d, of which a, b are alike and c, d are, and an output that is a constant like c."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [3])
    sums = [helper.make_node("Add", [left, right], [out]) for left, right, out in
            (("x", "a", "s1"), ("s1", "b", "s2"), ("s2", "c", "s3"), ("s3", "d", "y"))]  # fmt: skip
    made = helper.make_graph(
        [constant("c", 10), constant("d", 10), constant("z", 10), *sums],
        "g",
        [x],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [3]) for name in ("y", "z")],
        [numpy_helper.from_array(np.ones(3, np.float32), name) for name in ("a", "b")],
        value_info=[helper.make_tensor_value_info("s1", TensorProto.FLOAT, [3])],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def test_equal_constants_are_merged_and_the_answers_stay() -> None:
    model = graph()
    slim(model)
    onnx.checker.check_model(model, full_check=True)
    assert [t.name for t in model.graph.initializer] == ["a"]
    assert [n.output[0] for n in model.graph.node if n.op_type == "Constant"] == ["c", "z"], "z is an output"
    assert not model.graph.value_info
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    y, z = session.run(["y", "z"], {"x": np.arange(3, dtype=np.float32)})
    assert y.tolist() == [22, 23, 24]
    assert z.tolist() == [10, 10, 10]


def test_constants_that_differ_in_type_or_place_stay_apart() -> None:
    model = graph()
    model.graph.initializer[1].CopyFrom(numpy_helper.from_array(np.ones(3, np.float32), "b"))
    model.graph.initializer[1].data_location = TensorProto.EXTERNAL
    model.graph.initializer.append(numpy_helper.from_array(np.ones(3, np.float64), "e"))
    slim(model)
    assert [t.name for t in model.graph.initializer] == ["a", "b", "e"]
