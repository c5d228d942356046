"""A model file is either one of ours, or is answered with a ModelError before a runtime has read it."""

from __future__ import annotations

import hashlib
import os
import random

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from streamseg.detect.heads.mask_rcnn import declared
from streamseg.engine import open_engine, read_spec
from streamseg.errors import EngineError, ModelError
from streamseg.hub.graph_file import parse_graph
from tests import graphs


def test_a_good_file_says_what_it_takes_and_gives(tmp_path):
    path = graphs.constant_model(tmp_path / "m.onnx", size=(48, 80), detections=5, classes=["cat", "dog"])
    spec = read_spec(path)
    assert (spec.name, spec.size, spec.batch, spec.outputs) == ("test", (48, 80), 1, declared(5, 28, 1))
    assert (spec.classes, spec.category_ids) == (("cat", "dog"), (17, 18))
    assert (spec.precision, spec.score_threshold) == ("fp32", 0.05)
    assert spec.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_dynamic_batch_is_told_from_a_fixed_one(tmp_path):
    assert read_spec(graphs.rectangle_model(tmp_path / "any.onnx", batch=None)).batch == 0
    assert read_spec(graphs.rectangle_model(tmp_path / "four.onnx", batch=4)).batch == 4


def test_our_reader_agrees_with_the_onnx_package(tmp_path):
    path = graphs.rectangle_model(tmp_path / "m.onnx", nan_when_bright=True)
    model, ours = onnx.load(path), parse_graph(path.read_bytes(), "m")
    assert ours.metadata == {p.key: p.value for p in model.metadata_props}
    assert ours.operators == {n.op_type for n in model.graph.node}
    assert list(ours.outputs) == [o.name for o in model.graph.output]
    assert ours.external == set()


def test_initializers_listed_as_inputs_too_are_not_inputs(tmp_path):
    def old_style(model):
        model.graph.input.append(helper.make_tensor_value_info("scores_tail", TensorProto.INT64, [2]))

    assert read_spec(graphs.rewritten(graphs.constant_model(tmp_path / "m.onnx"), old_style)).size == (64, 96)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", r"is not an ONNX file: it is empty$"),
        (b"hello, this is text\n" * 50, "is not an ONNX file: it is a text, which begins 'hello, this is text'$"),
        (b"<!DOCTYPE html>\n<html>404</html>", "is not an ONNX file: it is a page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", r"is a pointer of Git LFS, .* \(git lfs pull\)"),
        (b"PK\x03\x04" + b"\x00" * 60, r"is a zip archive, as torch\.save writes: export ONNX"),
        (b"\x80\x02}q\x00." + b"\x00" * 60, "is a pickle, as torch"),
        (b"\x00\x00\x00\x20ftypisom" + b"\x00" * 60, "is not an ONNX file: it is a video"),
        (b"\x00" * 100, "not an ONNX file|0 graphs"),
    ],
)
def test_a_file_that_is_not_onnx(tmp_path, content, said):
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=said):
        read_spec(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"gone\.onnx: No such file"):
        read_spec(tmp_path / "gone.onnx")


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"streamseg.format": None}, "not one of streamseg's"),
        ({"streamseg.format": "9"}, "format '9'; this version reads '1'"),
        ({"streamseg.classes": None}, "streamseg.classes"),
        ({"streamseg.classes": "person,car"}, "'person,car', expected a JSON list"),
        ({"streamseg.classes": '["car", "car"]'}, "different names"),
        ({"streamseg.classes": "{}"}, "expected a JSON list"),
        ({"streamseg.category_ids": "[1, 2]"}, "must be 8 integers"),
        ({"streamseg.score_threshold": "low"}, r"'low', expected a number in \[0, 1\)"),
    ],
)
def test_wrong_metadata_is_named(tmp_path, metadata, said):
    path = graphs.constant_model(tmp_path / "m.onnx", metadata=metadata)
    with pytest.raises(ModelError, match=said):
        read_spec(path)


def test_other_inputs_are_answered_with_what_is_expected(tmp_path):
    good = graphs.constant_model(tmp_path / "m.onnx")
    original = good.read_bytes()

    def float_input(model):
        model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT

    def planar(model):
        model.graph.input[0].CopyFrom(helper.make_tensor_value_info("images", TensorProto.UINT8, [1, 3, 64, 96]))

    def any_size(model):
        model.graph.input[0].CopyFrom(helper.make_tensor_value_info("images", TensorProto.UINT8, [1, "h", "w", 3]))

    def extra_input(model):
        model.graph.input.append(helper.make_tensor_value_info("scale", TensorProto.FLOAT, [1]))

    for change in (float_input, planar, any_size, extra_input):
        with pytest.raises(ModelError, match=r"expected only images: uint8 \[B, H, W, 3\]"):
            read_spec(graphs.rewritten(good, change))
        good.write_bytes(original)


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        (TensorProto.FLOAT, [1, "n"]),
        (TensorProto.FLOAT, [2, 8]),
        (TensorProto.FLOAT, ["batch", 8]),
        (TensorProto.FLOAT, []),
        (TensorProto.FLOAT, [1, 0]),
        (TensorProto.STRING, [1, 8]),
        (TensorProto.BFLOAT16, [1, 8]),
    ],
)
def test_outputs_that_no_engine_can_give_as_arrays_are_refused(tmp_path, kind, shape):
    def change(model):
        model.graph.output[1].CopyFrom(helper.make_tensor_value_info("scores", kind, shape))

    with pytest.raises(ModelError, match=r"gives boxes: float32 .*; expected tensors \[1, \.\.\.\] of numbers"):
        read_spec(graphs.rewritten(graphs.constant_model(tmp_path / "m.onnx"), change))


def test_a_graph_without_outputs_is_refused(tmp_path):
    def change(model):
        del model.graph.output[:]

    with pytest.raises(ModelError, match="gives nothing"):
        read_spec(graphs.rewritten(graphs.constant_model(tmp_path / "m.onnx"), change))


def test_outputs_of_any_names_and_types_are_kept_as_they_are_declared(tmp_path):
    """What they mean is a head's matter: integers, halves, masks of another size and missing ones pass here."""

    def change(model):
        del model.graph.output[1]
        model.graph.output[0].CopyFrom(helper.make_tensor_value_info("dets", TensorProto.FLOAT16, [1, 100, 5]))
        model.graph.output[1].type.tensor_type.elem_type = TensorProto.INT64

    outputs = read_spec(graphs.rewritten(graphs.constant_model(tmp_path / "m.onnx"), change)).outputs
    assert list(outputs) == ["dets", "labels", "masks"]
    assert {name: str(info) for name, info in outputs.items()} == {
        "dets": "float16 [1, 100, 5]",
        "labels": "int64 [1, 8]",
        "masks": "float32 [1, 8, 28, 28]",
    }


def test_operators_that_no_engine_has_are_refused_and_those_of_tensorrt_are_kept_in_mind(tmp_path):
    """Whether an engine has TensorRT's plug-ins is for the engine to say (tests of engine.choose)."""

    def with_operator(name, domain):
        return lambda model: model.graph.node.append(helper.make_node(name, ["images"], ["x"], domain=domain))

    with pytest.raises(ModelError, match=r"com\.example::Wave.*no engine here has"):
        read_spec(graphs.rewritten(graphs.constant_model(tmp_path / "m.onnx"), with_operator("Wave", "com.example")))
    for domain in ("trt.plugins", "TRT", ""):
        spec = read_spec(
            graphs.rewritten(graphs.constant_model(tmp_path / "m.onnx"), with_operator("EfficientNMS_TRT", domain))
        )
        assert spec.plugins == ("EfficientNMS_TRT",)


def test_any_damage_is_a_model_error_and_nothing_else(tmp_path):
    """Cut anywhere, or with random bytes changed, a file is refused or still well-formed: never another exception."""
    data = graphs.rectangle_model(tmp_path / "m.onnx").read_bytes()
    path = tmp_path / "damaged.onnx"
    chance = random.Random(7)
    refused = 0
    for step in range(400):
        if step < 200:
            damaged = data[: chance.randrange(len(data))]
        else:
            changed = bytearray(data)
            for _ in range(chance.randrange(1, 20)):
                changed[chance.randrange(len(changed))] = chance.randrange(256)
            damaged = bytes(changed)
        path.write_bytes(damaged)
        try:
            read_spec(path)
        except ModelError:
            refused += 1
    assert refused > 200


def test_external_weights_beside_the_model_are_read_and_hashed(tmp_path):
    path = graphs.constant_model(tmp_path / "m.onnx", boxes=[(1, 2, 30, 40)])
    weights = graphs.move_weights(path)
    spec = read_spec(path)
    assert spec.weights == (weights.resolve(),)
    assert spec.sha256 == hashlib.sha256(path.read_bytes() + weights.read_bytes()).hexdigest()
    for name in ("openvino", "onnxruntime"):
        with open_engine(path, engine=name) as engine:
            answer = engine.submit(np.zeros((1, 64, 96, 3), np.uint8)).result()
            assert answer["boxes"][0, 0].tolist() == [1, 2, 30, 40]


@pytest.mark.parametrize("claim", ["../secret.bin", "/etc/passwd", "sub/weights.bin", "..", "", "a\\b", "link.bin"])
def test_external_weights_outside_of_the_folder_are_refused(tmp_path, claim):
    folder = tmp_path / "model"
    path = graphs.constant_model(folder / "m.onnx")
    graphs.move_weights(path, claim=claim)
    (tmp_path / "secret.bin").write_bytes(bytes(1 << 16))
    os.symlink("../secret.bin", folder / "link.bin")
    with pytest.raises(ModelError, match=r"only a plain file name|leads out of the model's folder"):
        read_spec(path)


def test_external_weights_hidden_in_attributes_and_subgraphs_are_found(tmp_path):
    def stolen(name: str) -> TensorProto:
        tensor = numpy_helper.from_array(np.zeros(4, np.float32), name)
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", "../secret.bin"
        return tensor

    def in_constant(model):
        model.graph.node.append(helper.make_node("Constant", [], ["x"], value=stolen("x")))

    def in_branch(model):
        branch = helper.make_graph([], "b", [], [], initializer=[stolen("y")])
        model.graph.node.append(helper.make_node("If", ["c"], ["z"], then_branch=branch, else_branch=branch))

    def in_function(model):
        node = helper.make_node("Constant", [], ["x"], value=stolen("x"))
        model.functions.append(helper.make_function("f", "F", [], ["x"], [node], [helper.make_opsetid("", 20)]))

    for i, change in enumerate((in_constant, in_branch, in_function)):
        with pytest.raises(ModelError, match=r"'\.\./secret\.bin'"):
            read_spec(graphs.rewritten(graphs.constant_model(tmp_path / f"{i}" / "m.onnx"), change))


def test_weights_other_than_those_the_graph_was_exported_with_are_refused(tmp_path):
    """Of the right length, so that every offset fits: a runtime would compute nonsense without a word."""
    path = graphs.constant_model(tmp_path / "m.onnx")
    weights = graphs.move_weights(path)
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(data)
    with pytest.raises(ModelError, match=r"weights in weights\.bin are not those that .*m\.onnx was exported with"):
        read_spec(path)


def test_external_weights_that_are_missing_or_cut_short(tmp_path):
    path = graphs.constant_model(tmp_path / "m.onnx")
    weights = graphs.move_weights(path)
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelError, match="cut short"):
        read_spec(path)
    weights.unlink()
    with pytest.raises(ModelError, match="put it beside the model"):
        read_spec(path)


def test_graphs_nested_without_end_are_refused(tmp_path):
    """A hostile file must not exhaust the stack."""

    def nest(model):
        graph = helper.make_graph([], "inner", [], [])
        for _ in range(12):
            graph = helper.make_graph([helper.make_node("If", ["c"], ["z"], then_branch=graph)], "g", [], [])
        model.graph.node.append(helper.make_node("If", ["c"], ["z"], then_branch=graph))

    with pytest.raises(ModelError, match="nested deeper"):
        read_spec(graphs.rewritten(graphs.constant_model(tmp_path / "m.onnx"), nest))


@pytest.mark.parametrize("domain", ["", "ai.onnx", "ai.onnx.ml"])
def test_operators_of_a_version_that_there_is_not_are_refused(tmp_path, domain):
    """OpenVINO counts down from there to the last that it knows: it seemed to hang."""

    def change(model):
        model.opset_import.append(helper.make_opsetid(domain, 2**62))

    with pytest.raises(ModelError, match="versions of operators that there are not"):
        read_spec(graphs.rewritten(graphs.constant_model(tmp_path / "m.onnx"), change))


def test_a_graph_that_openvino_cannot_name_is_an_error_of_the_engine(tmp_path):
    """Its message quotes the name of an operator that is not UTF-8: UnicodeDecodeError."""
    path = graphs.constant_model(tmp_path / "m.onnx")
    data = path.read_bytes()
    path.write_bytes(data.replace(b"scores_value", b"scores_valu\xb9", 1))
    with pytest.raises(EngineError, match="cannot compile"):
        open_engine(path, engine="openvino", threads=1)
