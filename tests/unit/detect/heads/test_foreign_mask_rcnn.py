"""Mask R-CNNs of other people: tiny files of each layout with known answers, run, and read into instances."""

from __future__ import annotations

from concurrent.futures import Future
from fractions import Fraction

import av
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from streamseg.core.types import Frame
from streamseg.detect.infer import Infer, Pending
from streamseg.detect.postprocess import Postprocess
from streamseg.detect.preprocess import Preprocess
from streamseg.engine import open_engine
from streamseg.engine.outputs import Outputs
from streamseg.errors import BadOutput, ConfigError, EngineUnavailable
from streamseg.hub.foreign import adapted, understand
from streamseg.hub.graph_spec import read_spec
from tests.foreign import foreign_model

HEIGHT, WIDTH = 64, 96
BOXES = np.array([[8, 8, 40, 40], [50, 10, 90, 60]], np.float32)
SCORES = np.array([0.9, 0.8], np.float32)
LEFT = np.zeros((28, 28), np.float32)
LEFT[:, :14] = 0.95
GRIDS = np.stack([LEFT, np.ones_like(LEFT)])
BOTH = ["openvino", "onnxruntime"]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("STREAMSEG_CACHE", str(tmp_path / "cache"))


def pasted() -> np.ndarray:
    """The two grids in pictures of the input's size, as torchvision gives them."""
    masks = np.zeros((2, 1, HEIGHT, WIDTH), np.float32)
    masks[0, 0, 8:40, 8:24] = 0.95
    masks[1, 0, 10:60, 50:90] = 1
    return masks


def torchvision(rows: int = 2, **changed: np.ndarray) -> dict[str, np.ndarray]:
    whole = {"boxes": BOXES, "labels": np.array([1, 3], np.int64), "scores": SCORES, "masks": pasted()}
    return {name: array[:rows] for name, array in whole.items()} | changed


def zoo(batch: bool = False, **changed: np.ndarray) -> dict[str, np.ndarray]:
    rows = {"labels": np.array([0, 2], np.int64), "boxes": np.hstack([BOXES, SCORES[:, None]]), "masks": GRIDS} | changed
    return {name: array[None] if batch else array for name, array in rows.items()}


def detectron2(count: int = 2, **changed: np.ndarray) -> dict[str, np.ndarray]:
    """Three rows, of which the last means nothing."""
    third = np.array([[0.1, 0.1, 0.9, 0.9]], np.float32)
    return {
        "num_detections_box_outputs": np.array([[count]], np.int32),
        "detection_boxes_box_outputs": np.concatenate([shares(), third])[None],
        "detection_scores_box_outputs": np.array([[0.9, 0.8, 0.7]], np.float32),
        "detection_classes_box_outputs": np.array([[0, 2, 5]], np.int32),
        "detection_masks": np.concatenate([GRIDS, GRIDS[:1]])[None],
    } | changed


def shares() -> np.ndarray:
    return BOXES / np.array([WIDTH, HEIGHT] * 2, np.float32)


def free(outputs: dict[str, np.ndarray], axis: int = 0) -> dict[str, list[int | str]]:
    """Declared as exporters do whose rows are as many as there are objects."""
    return {name: [*array.shape[:axis], "n", *array.shape[axis + 1 :]] for name, array in outputs.items()}


def found(path, engine="onnxruntime", conf=0.5):
    """What the pipeline's stages make of a grey frame of the input's size, and what was thrown out."""
    frame = Frame(av.VideoFrame.from_ndarray(np.full((HEIGHT, WIDTH, 3), 51, np.uint8), "rgb24"), 0, 0, Fraction(1, 25))
    with open_engine(path, engine=engine) as opened:
        spec = opened.spec
        postprocess = Postprocess(spec, conf)
        pending = Infer(opened)(Preprocess(*spec.size, spec.fit, spec.padding)(frame))
        return postprocess(pending).instances, postprocess.counters


def check(instances):
    np.testing.assert_allclose(instances.boxes, BOXES, atol=1e-4)
    np.testing.assert_allclose(instances.scores, SCORES, atol=1e-6)
    assert [instances.class_names[label] for label in instances.labels] == ["person", "car"]
    left = (instances.masks[0] > 127)[2:-2, 2:-2]
    half = left.shape[1] // 2
    assert left[:, : half - 1].all()
    assert not left[:, half + 1 :].any()
    assert (instances.masks[1] > 250)[2:-2, 2:-2].all()


@pytest.mark.parametrize("engine", BOTH)
@pytest.mark.parametrize("shape", [(3, HEIGHT, WIDTH), (1, 3, HEIGHT, WIDTH)])
def test_torchvisions_rows_are_read_from_picture_masks(tmp_path, engine, shape):
    rows = torchvision()
    path = foreign_model(tmp_path / "tv.onnx", rows, shape=shape, declared=free(rows))
    instances, counters = found(path, engine)
    check(instances)
    assert instances.masks.shape == (2, 96, 96)  # a cell for each pixel of the input, were the box all of it
    assert counters.bad_frames == 0


def test_outputs_that_nobody_named_are_told_by_type_and_rank(tmp_path):
    rows = dict(zip(["boxes.55", "2525", "2524", "3122"], torchvision().values(), strict=True))
    path = foreign_model(tmp_path / "tv.onnx", rows, shape=(3, HEIGHT, WIDTH), declared=free(rows), name="image.1")
    assert understand(path).description.outputs == {"boxes": "boxes.55", "labels": "2525", "scores": "2524", "masks": "3122"}
    check(found(path)[0])


def test_the_labels_layer_tells_how_many_classes_there_are(tmp_path):
    bias = numpy_helper.from_array(np.zeros(3, np.float32), "roi_heads.box_predictor.cls_score.bias")
    path = foreign_model(tmp_path / "tv.onnx", torchvision(), shape=(3, HEIGHT, WIDTH), initializers=[bias])
    assert understand(path).description.classes == ("class0", "class1")
    other = foreign_model(tmp_path / "zoo.onnx", torchvision(), shape=(3, HEIGHT, WIDTH))
    description = understand(other).description
    assert (len(description.classes), description.category_ids[:2]) == (90, (1, 2))  # COCO's ids from 1 on
    assert understand(other, classes=["cell", "wall", "car"]).description.classes == ("cell", "wall", "car")


@pytest.mark.parametrize("engine", BOTH)
def test_masks_are_taken_before_they_are_pasted(tmp_path, engine):
    """torchvision pastes in a loop over the rows, which costs a picture a row, and which OpenVINO cannot read at a fixed size."""
    path = tmp_path / "tv.onnx"
    rows = {name: array for name, array in torchvision().items() if name != "masks"} | {"grids": GRIDS[:, None]}
    foreign_model(path, rows, shape=(3, HEIGHT, WIDTH))
    model = onnx.load(path)
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Cast", ["i"], ["picture"], to=TensorProto.FLOAT)],
        "paste",
        [helper.make_tensor_value_info("i", TensorProto.INT64, []), helper.make_tensor_value_info("go", TensorProto.BOOL, [])],
        [helper.make_tensor_value_info("on", TensorProto.BOOL, []), helper.make_empty_tensor_value_info("picture")],
    )
    model.graph.initializer.extend(
        [
            numpy_helper.from_array(np.array([0, 0, 1, 1, 0, 0, 1, 1]), "around"),
            numpy_helper.from_array(np.array(0), "first"),
            numpy_helper.from_array(np.array([1]), "axis"),
        ]
    )
    model.graph.node.extend(
        [
            helper.make_node("Pad", ["grids", "around"], ["padded"]),
            helper.make_node("Shape", ["padded"], ["sizes"]),
            helper.make_node("Gather", ["sizes", "first"], ["count"]),
            helper.make_node("Loop", ["count", ""], ["pictures"], body=body),
            helper.make_node("Unsqueeze", ["pictures", "axis"], ["masks"]),
        ]
    )
    del model.graph.output[3]
    model.graph.output.append(helper.make_tensor_value_info("masks", TensorProto.FLOAT, ["n", "one", "h", "w"]))
    onnx.save(model, path)
    understood = understand(path)
    assert understood.description.outputs["masks"] == "grids"
    ours = onnx.load(adapted(understood))
    assert not {"Loop", "Pad"} & {node.op_type for node in ours.graph.node}
    instances, _ = found(path, engine)
    check(instances)
    assert instances.masks.shape == (2, 28, 28)


@pytest.mark.parametrize("engine", BOTH)
def test_the_rows_of_onnxs_model_zoo_have_masks_of_their_boxes(tmp_path, engine):
    rows = torchvision(masks=GRIDS[:, None])
    path = foreign_model(tmp_path / "z.onnx", rows, shape=(3, HEIGHT, WIDTH), declared=free(rows), name="image", see="scores")
    description = understand(path).description
    assert (description.input.colour, description.options["masks"], len(description.classes)) == ("bgr", "box", 80)
    # Grey 51 less the three means is -62.9 on average: the scores see what the network was given.
    assert found(path, engine, conf=0.0)[1].low_score == 2
    path.with_suffix(".yaml").write_text("input: {mean: [51, 51, 51]}\n")
    check(found(path, engine)[0])


@pytest.mark.parametrize("engine", BOTH)
@pytest.mark.parametrize("batch", [False, True])
def test_open_model_zoos_and_getis_rows(tmp_path, engine, batch):
    padding = {name: np.concatenate([array, np.zeros_like(array[:1])]) for name, array in zoo().items()}
    rows = zoo(batch, **padding)
    path = foreign_model(
        tmp_path / "omz.onnx", rows, shape=(1, 3, HEIGHT, WIDTH), name="image", declared=free(rows, axis=int(batch))
    )
    description = understand(path).description
    assert (description.input.colour, description.input.fit, len(description.classes)) == ("bgr", "stretch", 80)
    instances, counters = found(path, engine, conf=0.0)
    check(instances)
    assert (counters.empty, counters.absurd, counters.low_score) == (0, 0, 0)  # rows of zeros are padding


def test_model_apis_metadata_say_what_a_file_of_geti_is(tmp_path):
    said = {
        "model_info model_type": "MaskRCNN",
        "model_info labels": "otx_empty_lbl traffic_light car",
        "model_info mean_values": "123.675 116.28 103.53",
        "model_info scale_values": "58.395 57.12 57.375",
        "model_info resize_type": "fit_to_window_letterbox",
        "model_info pad_value": "114",
    }
    path = foreign_model(tmp_path / "g.onnx", zoo(batch=True), shape=(1, 3, HEIGHT, WIDTH), name="image", metadata=said)
    description = understand(path).description
    assert description.classes == ("traffic light", "car")
    assert description.input.model_dump(include={"mean", "std", "fit", "padding", "colour"}) == {
        "mean": (123.675, 116.28, 103.53),
        "std": (58.395, 57.12, 57.375),
        "fit": "letterbox",
        "padding": 114,
        "colour": "rgb",
    }


@pytest.mark.parametrize("odd", [{"model_info mean_values": "red green blue"}, {"model_info pad_value": "-3"}])
def test_metadata_that_make_no_sense_are_as_if_they_were_not_there(tmp_path, odd):
    said = {"model_info model_type": "MaskRCNN", **odd}
    path = foreign_model(tmp_path / "g.onnx", zoo(batch=True), shape=(1, 3, HEIGHT, WIDTH), name="image", metadata=said)
    picture = understand(path).description.input
    assert (picture.mean, picture.padding) == ((0.0, 0.0, 0.0), 0)


@pytest.mark.parametrize("engine", BOTH)
def test_the_rows_of_nvidias_detectron2_sample(tmp_path, engine):
    path = foreign_model(tmp_path / "d2.onnx", detectron2(), shape=(1, 3, HEIGHT, WIDTH), name="input_tensor")
    instances, counters = found(path, engine)
    check(instances)
    assert counters.kept == 2  # as many as it counts


def plugin_file(path, domain=""):
    foreign_model(path, detectron2(), shape=(1, 3, HEIGHT, WIDTH), name="input_tensor")
    model = onnx.load(path)
    node = helper.make_node("EfficientNMS_TRT", ["input_tensor"], ["num_detections_box_outputs"], domain=domain)
    for each in [n for n in model.graph.node if n.output[0] == "num_detections_box_outputs"]:
        model.graph.node.remove(each)
    model.graph.node.append(node)
    if domain:
        model.opset_import.append(helper.make_opsetid(domain, 1))
    onnx.save(model, path)
    return path


@pytest.mark.parametrize("domain", ["", "TRT"])
@pytest.mark.parametrize("engine", [*BOTH, "auto"])
def test_tensorrts_plugins_are_missed_by_the_engine_that_has_none(tmp_path, engine, domain):
    path = plugin_file(tmp_path / "d2.onnx", domain)
    assert read_spec(adapted(understand(path))).plugins == ("EfficientNMS_TRT",)
    with pytest.raises(EngineUnavailable, match=r"it has no operator EfficientNMS_TRT.*the engine tensorrt"):
        open_engine(path, engine=engine)


def as_many_as_it_is_bright(path, outputs, shape, scale):
    """A file that gives as many of the rows as its first code, times `scale`, says."""
    nodes, constants = [], [numpy_helper.from_array(np.array([0]), "zero"), numpy_helper.from_array(np.float32(scale), "scale")]
    nodes += [
        helper.make_node("ReduceMax", ["image"], ["most"], keepdims=0),
        helper.make_node("Mul", ["most", "scale"], ["scaled"]),
        helper.make_node("Round", ["scaled"], ["rounded"]),
        helper.make_node("Cast", ["rounded"], ["count"], to=TensorProto.INT64),
        helper.make_node("Unsqueeze", ["count", "zero"], ["counts"]),
    ]
    for name, array in outputs.items():
        constants.append(numpy_helper.from_array(array, f"all_{name}"))
        nodes.append(helper.make_node("Slice", [f"all_{name}", "zero", "counts", "zero"], [name]))
    infos = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), free({name: array})[name])
        for name, array in outputs.items()
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, "rows", [image], infos, initializer=constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.mark.parametrize("engine", BOTH)
@pytest.mark.parametrize("kind", ["torchvision", "open model zoo"])
def test_rows_differ_from_picture_to_picture(tmp_path, engine, kind):
    if kind == "torchvision":
        path = as_many_as_it_is_bright(tmp_path / "tv.onnx", torchvision(), [3, HEIGHT, WIDTH], 255)
    else:
        path = as_many_as_it_is_bright(tmp_path / "omz.onnx", zoo(), [1, 3, HEIGHT, WIDTH], 1)
    with open_engine(path, engine=engine) as opened:
        infer, postprocess = Infer(opened), Postprocess(opened.spec, 0.5)
        prepare = Preprocess(*opened.spec.size, opened.spec.fit, opened.spec.padding)
        for count in (2, 0, 1, 2):
            grey = np.full((HEIGHT, WIDTH, 3), count, np.uint8)
            frame = Frame(av.VideoFrame.from_ndarray(grey, "rgb24"), 0, 0, Fraction(1, 25))
            instances = postprocess(infer(prepare(frame))).instances
            np.testing.assert_allclose(instances.boxes, BOXES[:count], atol=1e-4)
            assert len(instances.masks) == count
    assert (postprocess.counters.bad_frames, postprocess.counters.kept) == (0, 5)


HOSTILE = {
    "a score that is NaN": (torchvision(scores=np.array([np.nan, 0.8], np.float32)), "not_finite"),
    "a mask that is NaN": (torchvision(masks=np.full_like(pasted(), np.nan)), "not_finite"),
    "a label beyond the last": (torchvision(labels=np.array([91, 2**40], np.int64)), "unknown_label"),
    "the background": (torchvision(labels=np.array([0, -5], np.int64)), "absurd"),
    "a box that is infinite": (torchvision(boxes=np.full((2, 4), np.inf, np.float32)), "not_finite"),
}


def read(spec, rows):
    """What is made of rows as they would come from an engine."""
    frame = Frame(av.VideoFrame.from_ndarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8), "rgb24"), 0, 0, Fraction(1, 25))
    letterbox = Preprocess(*spec.size, spec.fit, spec.padding)(frame).letterbox
    answer = Future()
    answer.set_result(Outputs({name: array[None] for name, array in rows.items()}, spec.outputs))
    postprocess = Postprocess(spec, 0.5)
    return postprocess(Pending(frame, letterbox, answer, 0)).instances, postprocess.counters


@pytest.mark.parametrize("case", HOSTILE)
def test_nonsense_is_counted_and_dropped(tmp_path, case):
    sound, (rows, counter) = torchvision(), HOSTILE[case]
    path = foreign_model(tmp_path / "tv.onnx", sound, shape=(3, HEIGHT, WIDTH), declared=free(sound))
    instances, counters = read(read_spec(adapted(understand(path))), rows)
    thrown = 1 if case == "a score that is NaN" else 2
    assert (len(instances), getattr(counters, counter)) == (2 - thrown, thrown)


def test_a_count_that_cannot_be_is_cut(tmp_path):
    for count, kept in ((-3, 0), (2**31 - 1, 3)):
        path = foreign_model(tmp_path / f"{kept}.onnx", detectron2(count), shape=(1, 3, HEIGHT, WIDTH), name="input_tensor")
        assert found(path)[1].kept == kept


def test_rows_of_different_numbers_are_told(tmp_path):
    rows = torchvision(scores=np.array([0.9], np.float32))
    path = foreign_model(tmp_path / "tv.onnx", rows, shape=(3, HEIGHT, WIDTH), declared=free(rows))
    with pytest.raises(BadOutput, match="boxes 2, labels 2, scores 1, masks 2"):
        found(path)


def test_masks_without_a_pixel_are_told(tmp_path):
    rows = torchvision(masks=np.zeros((2, 1, 0, 0), np.float32))
    declared = {**free(rows), "masks": ["n", 1, "h", "w"]}
    path = foreign_model(tmp_path / "tv.onnx", rows, shape=(3, HEIGHT, WIDTH), declared=declared)
    with pytest.raises(BadOutput, match=r"masks of 0x0"):
        found(path)


def test_options_that_make_no_sense_are_told(tmp_path):
    path = foreign_model(tmp_path / "tv.onnx", torchvision(), shape=(3, HEIGHT, WIDTH))
    path.with_suffix(".yaml").write_text("options: {masks: half}\n")
    with pytest.raises(ConfigError, match=r"tv\.yaml:1: options\.masks: 'half' is not allowed; allowed: picture, box"):
        understand(path)
