"""Somebody else's ONNX file is run: what the network is given, what comes of its answers, what its sidecar changes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper

from streamseg.detect.heads import HEADS, head_for
from streamseg.detect.heads.mask_rcnn import MaskRCNN
from streamseg.engine import open_engine
from streamseg.engine.tensorrt.compiler import compile_plan
from streamseg.engine.tensorrt.library import TENSORRT_RTX
from streamseg.errors import ConfigError, EngineError, ModelError
from streamseg.hub import foreign
from streamseg.hub.description import Evidence
from streamseg.hub.foreign import adapted, understand
from streamseg.hub.graph_spec import read_spec
from tests import graphs
from tests.foreign import foreign_model, mask_rcnn_rows
from tests.plugins import installed

NAMES = {"names": "{0: 'person', 1: 'car'}"}
GREY = np.full((1, 64, 96, 3), 51, np.uint8)  # a fifth


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("STREAMSEG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_a_foreign_file_runs_and_sees_its_own_range(tmp_path, engine):
    path = foreign_model(tmp_path / "theirs.onnx", mask_rcnn_rows(), metadata=NAMES, see="scores")
    with open_engine(path, engine=engine) as opened:
        answer = opened.submit(GREY).result()
        assert opened.spec.classes == ("person", "car")
        assert opened.spec.category_ids == (1, 3)
    np.testing.assert_allclose(answer["scores"][0], np.array([0.9, 0.8, 0]) + 0.2, atol=1e-5)
    assert answer["boxes"][0, 0].tolist() == [8, 8, 40, 40]


def test_it_is_adapted_once_and_again_when_its_sidecar_changes(tmp_path, cache):
    path = foreign_model(tmp_path / "theirs.onnx", mask_rcnn_rows(), metadata=NAMES, see="scores")
    first = adapted(understand(path))
    made = first.stat().st_mtime_ns
    assert adapted(understand(path)) == first
    assert first.stat().st_mtime_ns == made
    path.with_suffix(".yaml").write_text("input: {std: [1, 1, 1]}\nclasses: [walker, 7]\n")
    second = adapted(understand(path))
    assert second != first
    spec = read_spec(second)
    assert (spec.classes, spec.category_ids) == (("walker", "7"), (1, 2))
    with open_engine(path, engine="onnxruntime") as opened:
        assert opened.submit(GREY).result()["scores"][0, 0] == pytest.approx(51.9, abs=1e-4)


def test_a_sidecar_that_is_wrong_is_named_with_its_line(tmp_path):
    path = foreign_model(tmp_path / "theirs.onnx", mask_rcnn_rows(), metadata=NAMES)
    path.with_suffix(".yaml").write_text("family: mask-rcnn\ninput:\n  colour: grey\n")
    with pytest.raises(ConfigError, match=r"theirs\.yaml:3: input\.colour: 'grey' is not allowed; allowed: 'rgb' or 'bgr'"):
        understand(path)


CLOSE = {"output0": np.zeros((1, 7, 126), np.float32)}  # a YOLO of 3 classes: 126 cells of 64x96
WRONG = {
    "fewer classes": ("conf: 0.3\nclasses: [owl]", r":2: classes: 1 class named, but .*theirs\.onnx has 3: name 3"),
    "no axis": (
        "batch_axis: false",
        r":1: batch_axis: false \(found was true\): with that .*theirs\.onnx gives detections: float32 \[1, 1, 7, 126\], but "
        r"yolo reads detections: float32 \[B, 4 \+ C, N\]",
    ),
    "another layout": ("options:\n  rows: plain", r":2: options\.rows: plain \(found was columns\): with that"),
    "an option out of range": ("options:\n  nms: 3", r":2: options\.nms: 3 is not allowed; allowed: 0 to 1"),
    "a mistyped option": (
        "options: {nsm: 0.5}",
        r":1: options\.nsm: unknown key; did you mean 'nms'\? \(allowed: max_detections",
    ),
    "a mistyped output": (
        "outputs: {detectoins: output0}",
        r":1: outputs\.detectoins: unknown key; did you mean 'detections'\?",
    ),
    "two at once": (
        "options: {nms: 3, nsm: 1}",
        r":1: options\.nms: 3 is not allowed.*\n.*theirs\.yaml:1: options\.nsm: unknown key",
    ),
    "another tensor": ("outputs: {detections: out}", r":1: outputs\.detections: .* has no output 'out'; it gives output0"),
    "a mistyped key alone": ("inputs: {colour: bgr}", r":1: inputs: unknown key; did you mean 'input'\?"),
    "capitals alone": ("# mine\nClasses: [a, b, c]", r":2: Classes: unknown key; did you mean 'classes'\?"),
    "a key of a section alone": ("colour: bgr", r":1: colour: unknown key; did you mean `input: \{colour: \.\.\.\}`\?"),
    "no such family": ("family: yolov8", r":1: family: there is no head 'yolov8'; did you mean 'yolo'\?"),
    "one number for three": ("input: {std: 255}", r":1: input\.std: 255 is not allowed; expected a list of 3"),
    "two numbers for three": ("input: {mean: [1, 2]}", r":1: input\.mean: \[1, 2\] is not allowed; expected a list of 3$"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_a_sidecar_cannot_say_is_named_with_its_line(tmp_path, case):
    """It was passed over in silence, or answered with a path in the cache."""
    text, said = WRONG[case]
    path = foreign_model(tmp_path / "theirs.onnx", CLOSE, metadata={"names": "['a', 'b', 'c']", "stride": "32"})
    path.with_suffix(".yaml").write_text(text + "\n")
    with pytest.raises((ConfigError, ModelError), match=r"^.*theirs\.yaml" + said):
        open_engine(path)


@pytest.mark.parametrize(
    "text", ["nc: 3\nscales: {n: [1, 2]}\nbackbone: []\nhead: []\n", "train: a\nval: b\nnames: [a, b, c]\n"]
)
def test_a_trainers_file_that_lies_there_is_left_out(tmp_path, text):
    path = foreign_model(tmp_path / "theirs.onnx", CLOSE, metadata={"names": "['a', 'b', 'c']", "stride": "32"})
    path.with_suffix(".yaml").write_text(text)
    said = []
    assert understand(path, on_message=said.append).sidecar is None
    assert "says nothing about how theirs.onnx is read" in said[0]


ROWS = np.zeros((1, 300, 6), np.float32)
TOLD_NOTHING = {
    "yolo": {"output0": ROWS},
    "yolo-seg": {"output0": np.zeros((1, 300, 38), np.float32), "output1": np.zeros((1, 32, 16, 24), np.float32)},
    "ssd": {"out": np.zeros((1, 1, 10, 7), np.float32)},
    "detections": {"boxes": ROWS[..., :4], "scores": ROWS[..., 4], "labels": np.zeros((1, 300), np.int64)},
    "mmdeploy": {"dets": ROWS[..., :5], "labels": np.zeros((1, 300), np.int64)},
}


@pytest.mark.parametrize("family", TOLD_NOTHING)
def test_where_a_file_does_not_tell_its_labels_it_may_be_given_any_number_of_names(tmp_path, family):
    """`--classes owl,fox` for rows of six was refused: "has 80", which had been assumed."""
    path = foreign_model(tmp_path / "theirs.onnx", TOLD_NOTHING[family])
    found = understand(path)
    assert found.description.family == family
    assert "tell" in found.reasons["classes"]
    assert understand(path, classes=["owl", "fox"]).description.classes == ("owl", "fox")


# --- inputs and outputs of every kind ---------------------------------------------------------------------------------------------

PICTURE = np.zeros((1, 64, 96, 3), np.uint8)
PICTURE[..., 0], PICTURE[..., 1], PICTURE[..., 2] = 10, 20, 60  # R, G, B
PICTURE[0, :4] = 250


def probe(path, *, shape=(1, 3, 64, 96), dtype=TensorProto.FLOAT, opset=17, ir=8):
    """A model that answers `seen`: its own input, as it got it."""
    ends = [helper.make_tensor_value_info(name, dtype, list(shape)) for name in ("x", "seen")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["seen"])], "probe", ends[:1], ends[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir), path)
    return path


def described(path, **values):
    """With a sidecar that says all, so that no family need recognise it."""
    picture = {"name": "x"} | values.pop("input", {})
    said = {"family": "mask-rcnn", "input": picture, "outputs": {"seen": "seen"}, "classes": ["thing"]} | values
    path.with_suffix(".yaml").write_text(yaml.safe_dump(said))
    return path


def seen_by(path, engine, images=PICTURE, **options):
    with open_engine(path, engine=engine, **options) as opened:
        return opened.submit(images).result()["seen"]


def planes(images=PICTURE):
    return images.transpose(0, 3, 1, 2).astype(np.float32)


MEAN, STD = np.array([103.5, 116.3, 123.7], np.float32), np.array([57.4, 57.1, 58.4], np.float32)
SHIFTED = {"mean": [103.5, 116.3, 123.7], "std": [57.4, 57.1, 58.4]}


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
@pytest.mark.parametrize(
    ("made", "said", "expected"),
    [
        ({}, {"std": [255, 255, 255]}, planes() / 255),
        ({}, {"colour": "bgr"}, planes()[:, ::-1]),
        ({}, SHIFTED, (planes() - MEAN.reshape(3, 1, 1)) / STD.reshape(3, 1, 1)),
        ({}, {"colour": "bgr", **SHIFTED}, (planes()[:, ::-1] - MEAN.reshape(3, 1, 1)) / STD.reshape(3, 1, 1)),
        ({"shape": (1, 64, 96, 3)}, {"layout": "nhwc", "colour": "bgr", **SHIFTED}, (PICTURE[..., ::-1] - MEAN) / STD),
        ({"dtype": TensorProto.FLOAT16}, {"std": [255, 255, 255]}, planes() / 255),
        ({"dtype": TensorProto.UINT8}, {}, planes()),
        ({"dtype": TensorProto.UINT8}, {"colour": "bgr"}, planes()[:, ::-1]),
        ({"dtype": TensorProto.UINT8, "shape": (1, 64, 96, 3)}, {"layout": "nhwc"}, PICTURE),
        ({"shape": ("batch", 3, "height", "width")}, {"size": "64x96"}, planes()),
        ({"shape": ("batch", "c", "height", "width")}, {"size": "64x96"}, planes()),
        ({"shape": (1, 3, "height", "width")}, {"size": "64x96"}, planes()),
        *(
            ({"opset": opset, "ir": 3 + (opset > 8)}, {"std": [255, 255, 255]}, planes() / 255)
            for opset in (7, 9, 11, 12, 13, 18)
        ),
    ],
    ids=str,
)
def test_the_network_gets_the_picture_as_it_is_described(tmp_path, engine, made, said, expected):
    seen = seen_by(described(probe(tmp_path / "m.onnx", **made), input=said), engine)
    assert seen.shape == expected.shape
    np.testing.assert_allclose(seen.astype(np.float32), expected, rtol=2e-3 if "dtype" in made else 2e-6, atol=1e-6)
    assert seen.dtype == (np.uint8 if made.get("dtype") == TensorProto.UINT8 else np.float32)


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("opset", [11, 17])
def test_an_axis_of_the_batch_is_added_in_front_and_behind(tmp_path, engine, opset):
    """As torchvision's own export has it: a picture [3, H, W], rows [N, 4]."""
    path = described(probe(tmp_path / "m.onnx", shape=(3, "h", "w"), opset=opset), input={"size": "64x96"}, batch_axis=False)
    np.testing.assert_array_equal(seen_by(path, engine), planes())
    two = np.concatenate([PICTURE, PICTURE[:, ::-1]])
    np.testing.assert_array_equal(seen_by(path, engine, two, batch=2), planes(two))


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_a_dynamic_batch_stays_any(tmp_path, engine):
    path = described(probe(tmp_path / "m.onnx", shape=("n", 3, 64, 96)))
    assert read_spec(adapted(understand(path))).batch == 0
    two = np.concatenate([PICTURE, PICTURE[:, ::-1]])
    np.testing.assert_array_equal(seen_by(path, engine, two, batch=2), planes(two))


def bright_pixels(path):
    """A model that answers the places of all values above 200: as many rows as there are."""
    nodes = [
        helper.make_node("Greater", ["x", "high"], ["bright"]),
        helper.make_node("NonZero", ["bright"], ["columns"]),
        helper.make_node("Transpose", ["columns"], ["rows"], perm=[1, 0]),
        helper.make_node("Unsqueeze", ["rows", "first"], ["seen"]),
    ]
    constants = [numpy_helper.from_array(np.float32(200), "high"), numpy_helper.from_array(np.array([0]), "first")]
    graph = helper.make_graph(
        nodes,
        "bright",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 64, 96])],
        [helper.make_tensor_value_info("seen", TensorProto.INT64, [1, "n", 4])],
        initializer=constants,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_rows_of_any_number_run_on_cpus(tmp_path, engine):
    path = described(bright_pixels(tmp_path / "m.onnx"))
    assert read_spec(adapted(understand(path))).free_rows == ("seen",)
    dark = np.zeros_like(PICTURE)
    dark[0, 5, 7, 1] = 255
    both = seen_by(path, engine, np.concatenate([PICTURE, dark]), batch=2)
    assert both.shape == (2, 3 * 4 * 96, 4)  # the four bright lines of the first
    assert both[1, 0].tolist() == [0, 1, 5, 7]
    assert not both[1, 1:].any()
    assert seen_by(path, engine, np.zeros_like(PICTURE)).shape == (1, 0, 4)


def test_tensorrt_refuses_rows_of_any_number_and_says_why(tmp_path):
    spec = read_spec(adapted(understand(described(bright_pixels(tmp_path / "m.onnx")))))
    with pytest.raises(
        EngineError, match=r"as many rows as it finds objects \(seen\), and tensorrt-rtx needs fixed lengths: use a CPU"
    ):
        compile_plan(TENSORRT_RTX, spec)


def test_weights_in_a_file_beside_it_come_along(tmp_path, cache):
    path = foreign_model(tmp_path / "theirs.onnx", mask_rcnn_rows(), metadata=NAMES)
    weights = graphs.move_weights(path, "theirs.data")
    made = adapted(understand(path))
    assert [kept.name for kept in read_spec(made).weights] == ["theirs.data"]
    weights.unlink()
    with open_engine(made, engine="openvino") as opened:
        assert opened.submit(GREY).result()["boxes"][0, 0].tolist() == [8, 8, 40, 40]


def test_names_that_ours_would_collide_with_are_moved_out_of_the_way(tmp_path):
    """Inner tensors may be called as our input or as the family's outputs, and outputs crosswise."""
    rows = mask_rcnn_rows()
    swapped = {"scores": rows["boxes"], "boxes": rows["scores"], "labels": rows["labels"], "images": rows["masks"]}
    path = foreign_model(tmp_path / "m.onnx", swapped, name="masks")
    outputs = {"boxes": "scores", "scores": "boxes", "labels": "labels", "masks": "images"}
    described(path, input={"name": "masks"}, outputs=outputs, classes=["a", "b"])
    for engine in ("openvino", "onnxruntime"):
        with open_engine(path, engine=engine) as opened:
            answer = opened.submit(GREY).result()
        for name, value in rows.items():
            np.testing.assert_array_equal(answer[name], value)


def test_the_same_file_gives_the_same_bytes(tmp_path, monkeypatch):
    path = foreign_model(tmp_path / "theirs.onnx", mask_rcnn_rows(), metadata=NAMES | {"zebra": "1", "ant": "2"})
    first = adapted(understand(path)).read_bytes()
    monkeypatch.setenv("STREAMSEG_CACHE", str(tmp_path / "another"))
    assert adapted(understand(path)).read_bytes() == first


# --- sizes ------------------------------------------------------------------------------------------------------------------------


def test_a_model_of_any_size_runs_at_the_one_asked_for(tmp_path):
    path = described(probe(tmp_path / "m.onnx", shape=(1, 3, "h", "w")), input={"multiple": 32})
    with pytest.raises(ConfigError, match=r"pictures of any size, and nothing says which: give --size HEIGHTxWIDTH"):
        open_engine(path, engine="onnxruntime")
    for size in ((64, 96), (128, 32)):
        assert seen_by(path, "onnxruntime", np.zeros((1, *size, 3), np.uint8), size=size).shape == (1, 3, *size)
    with pytest.raises(ConfigError, match="65x96 is not possible: sides are multiples of 32; take 64x96"):
        open_engine(path, engine="onnxruntime", size=(65, 96))


def test_a_model_of_one_size_names_it(tmp_path):
    path = described(probe(tmp_path / "m.onnx"))
    with pytest.raises(ModelError, match=r"m\.onnx takes 64x96, not 32x32: leave the size out, or export"):
        open_engine(path, size=(32, 32))
    path = described(path, input={"size": "32x96"})
    with pytest.raises(ModelError, match=r"m\.yaml:\d+: input\.size: .*m\.onnx takes 64x96, not 32x96: leave the size out"):
        open_engine(path)


# --- families ---------------------------------------------------------------------------------------------------------------------


class Twin(MaskRCNN):
    """Another family that knows such files by as good evidence."""

    name = "twin"

    @staticmethod
    def recognise(file):
        found = MaskRCNN.recognise(file)
        return found and replace(found, description=found.description.model_copy(update={"family": "twin"}))


def test_of_two_families_that_know_a_file_one_must_be_named(tmp_path, monkeypatch):
    monkeypatch.setitem(HEADS, "twin", Twin)
    path = foreign_model(tmp_path / "theirs.onnx", mask_rcnn_rows(), metadata=NAMES)
    with pytest.raises(
        ModelError, match=r"may be mask-rcnn or twin: say which \(--family mask-rcnn, or family: in theirs\.yaml\)"
    ):
        understand(path)
    assert read_spec(adapted(understand(path, "twin"))).family == "twin"
    path.with_suffix(".yaml").write_text("family: twin\n")
    assert understand(path).description.family == "twin"
    assert understand(path, "mask-rcnn").description.family == "mask-rcnn"


def test_better_evidence_goes_before_worse(tmp_path, monkeypatch):
    class Sure(Twin):
        @staticmethod
        def recognise(file):
            return replace(Twin.recognise(file), evidence=Evidence.METADATA)

    monkeypatch.setitem(HEADS, "twin", Sure)
    assert understand(foreign_model(tmp_path / "m.onnx", mask_rcnn_rows(), metadata=NAMES)).description.family == "twin"


def test_a_family_of_an_installed_package_knows_files_that_none_of_ours_does(tmp_path, monkeypatch):
    source = """
from streamseg.detect.heads import MaskRCNN
from streamseg.hub.description import Description, Evidence, InputDescription, Recognised

class Ovals(MaskRCNN):
    layout = "ovals: float32 [B, N, 5]"

    @staticmethod
    def recognise(file):
        if list(file.outputs) != ["ovals"]:
            return None
        (name,) = file.inputs
        about = Description(family="ovals", input=InputDescription(name=name), outputs={"ovals": "ovals"}, classes=("egg",))
        return Recognised(about, Evidence.NAMES, {"family": "it gives ovals"})

    @staticmethod
    def fits(spec):
        return list(spec.outputs) == ["ovals"]
"""
    installed(tmp_path, monkeypatch, {"head": {"ovals": "oval_head:Ovals", "lost": "no_such:Head"}}, {"oval_head": source})
    path = foreign_model(tmp_path / "eggs.onnx", {"ovals": np.zeros((1, 4, 5), np.float32)})
    spec = read_spec(adapted(understand(path)))
    assert (spec.family, spec.classes) == ("ovals", ("egg",))
    assert type(head_for(spec)).__name__ == "Ovals"


# --- number formats ---------------------------------------------------------------------------------------------------------------


def convolutions(path, kinds, dtype=TensorProto.FLOAT):
    """A convolution for each type of `kinds`, one behind the other; the file's ends are of `dtype`."""
    nodes, constants, last = [], [], "x"
    for i, kind in enumerate(kinds):
        code = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
        constants.append(numpy_helper.from_array(np.eye(3, dtype=kind).reshape(3, 3, 1, 1), f"w{i}"))
        nodes.append(helper.make_node("Cast", [last], [f"c{i}"], to=code))
        nodes.append(helper.make_node("Conv", [f"c{i}", f"w{i}"], [f"y{i}"]))
        last = f"y{i}"
    nodes.append(helper.make_node("Cast", [last], ["seen"], to=dtype))
    ends = [helper.make_tensor_value_info(name, dtype, [1, 3, 64, 96]) for name in ("x", "seen")]
    graph = helper.make_graph(nodes, "convolutions", ends[:1], ends[1:], initializer=constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return described(path)


@pytest.mark.parametrize(
    ("kinds", "dtype", "precision"),
    [
        (["float32", "float32"], TensorProto.FLOAT, "fp32"),
        (["float16"], TensorProto.FLOAT16, "fp16"),
        (["float16"], TensorProto.FLOAT, "fp16"),  # YOLO26 with half=True: its ends stay float32
        (["float32", "float16"], TensorProto.FLOAT, "mixed"),
    ],
    ids=str,
)
def test_the_precision_is_that_of_the_weights(tmp_path, kinds, dtype, precision):
    path = convolutions(tmp_path / "m.onnx", kinds, dtype)
    spec = read_spec(adapted(understand(path)))
    assert spec.precision == precision
    for engine in ("openvino", "onnxruntime"):
        np.testing.assert_allclose(seen_by(path, engine), planes(), atol=0.13)
    if precision == "mixed" or dtype == TensorProto.FLOAT16:
        assert compile_plan(TENSORRT_RTX, spec, capabilities=["sm_89"]).plan


def test_of_many_that_need_it_at_once_one_adapts_it(tmp_path, monkeypatch):
    path = foreign_model(tmp_path / "theirs.onnx", mask_rcnn_rows(), metadata=NAMES)
    known, made = understand(path), []
    adapt = foreign.adapt
    monkeypatch.setattr(foreign, "adapt", lambda *given: made.append(given) or adapt(*given))
    said: list[str] = []
    with ThreadPoolExecutor(8) as pool:
        found = {future.result() for future in [pool.submit(adapted, known, None, said.append) for _ in range(8)]}
    assert len(found) == len(made) == 1
    assert "theirs.onnx: mask-rcnn, 2 classes; adapted, once" in said
    assert not list(found.pop().parent.glob(".*.onnx.*"))
