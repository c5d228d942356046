"""Files laid out as Ultralytics' YOLO with masks answers: recognised, run, and read as what stands in them."""

from __future__ import annotations

from concurrent.futures import Future
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from streamseg.core.types import Frame, Instances
from streamseg.detect.heads import head_for, prototypes
from streamseg.detect.infer import Pending
from streamseg.detect.postprocess import Postprocess
from streamseg.engine import Outputs, open_engine
from streamseg.errors import BadOutput, ConfigError, ModelError
from streamseg.hub.description import Evidence
from streamseg.hub.foreign import adapted, understand
from streamseg.hub.graph_file import parse_graph
from streamseg.hub.graph_spec import GraphSpec, read_spec
from streamseg.pixels.letterbox import Letterbox
from tests.foreign import foreign_model

HEIGHT, WIDTH, EXTRA = 64, 96, 4
BOXES = 8 * 12 + 4 * 6 + 2 * 3
NAMES = ("person", "car", "dog")
LAYOUTS = ("columns", "plain", "objectness", "finished")
MADE = {"task": "segment", "stride": "32", "imgsz": "[64, 96]", "names": str(dict(enumerate(NAMES)))}
Row = tuple[tuple[float, float, float, float], float, int]
# A car, the same car not so well, a person in its place, and a dog that is hardly one.
ROWS: tuple[Row, ...] = (
    ((16, 8, 80, 40), 0.9, 1),
    ((17, 8, 80, 41), 0.8, 1),
    ((16, 8, 80, 40), 0.7, 0),
    ((4, 4, 20, 20), 0.1, 2),
)
LEFT = np.zeros((1, EXTRA, HEIGHT // 4, WIDTH // 4), np.float32)
LEFT[0, 0] = np.where(np.arange(WIDTH // 4) < WIDTH // 8, 10, -10)
"""The first prototype: whatever it is, it lies left of the middle."""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("STREAMSEG_CACHE", str(tmp_path / "cache"))


def answer(layout: str, rows=ROWS, classes: int = len(NAMES)) -> np.ndarray:
    """`rows` (xyxy, score, label), each drawn by the first prototype, as a network of that layout answers them."""
    if layout == "finished":
        table = np.zeros((1, 20, 6 + EXTRA), np.float32)
        for i, (box, score, label) in enumerate(r for r in rows if r != ROWS[1]):  # it has seen itself which is the better
            table[0, i, :7] = *box, score, label, 1
        return table
    first = 5 if layout == "objectness" else 4
    count = BOXES * (3 if layout == "objectness" else 1)
    table = np.zeros((1, count, first + classes + EXTRA), np.float32)
    table[0, :, :4] = (20, 20, 8, 8)
    for i, ((x0, y0, x1, y1), score, label) in enumerate(rows):
        row = table[0, 7 * i + 3]
        row[:4] = (x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0
        row[4] = 0.95 if layout == "objectness" else 0
        row[first + label] = score / 0.95 if layout == "objectness" else score
        row[first + classes] = 1
    return table.transpose(0, 2, 1) if layout == "columns" else table


def written(path: Path, layout: str, metadata=MADE, rows=ROWS, classes: int = len(NAMES), **more) -> Path:
    shape = more.pop("shape", (1, 3, HEIGHT, WIDTH))
    outputs = {"output0": answer(layout, rows, classes), "output1": more.pop("prototypes", LEFT)}
    return foreign_model(path, outputs, metadata=metadata, shape=shape, **more)


def seen(spec: GraphSpec, outputs: dict[str, np.ndarray], conf: float = 0.25) -> tuple[Instances, Postprocess]:
    """What becomes of these arrays of one picture, the frame being of the input's size."""
    future: Future[Outputs] = Future()
    future.set_result(Outputs(outputs))
    frame = Frame(av.VideoFrame(WIDTH, HEIGHT, "yuv420p"), 0, 0, Fraction(1, 25))
    post = Postprocess(spec, conf, patience=1)
    return post(Pending(frame, Letterbox(1.0, 1.0, 0, 0, WIDTH, HEIGHT), future, 0)).instances, post


def read(path: Path, rows: np.ndarray, drawn: np.ndarray = LEFT, conf: float = 0.25) -> tuple[Instances, Postprocess]:
    return seen(read_spec(adapted(understand(path))), {"detections": rows, "prototypes": drawn}, conf)


@pytest.mark.parametrize(
    ("engine", "stripped"),
    [("openvino", False), ("openvino", True), ("onnxruntime", False)],
    ids=["openvino", "stripped", "ort"],
)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_is_recognised_run_and_read(tmp_path, layout, stripped, engine):
    path = written(tmp_path / "theirs.onnx", layout, {} if stripped else MADE)
    foreign = understand(path)
    assert (foreign.description.family, foreign.description.options["rows"]) == ("yolo-seg", layout)
    with open_engine(path, engine=engine) as opened:
        got = opened.submit(np.zeros((1, HEIGHT, WIDTH, 3), np.uint8)).result()
        found, post = seen(opened.spec, {name: got[name] for name in got})
    np.testing.assert_allclose(found.scores, [0.9, 0.7], atol=1e-6)
    assert found.labels.tolist() == [1, 0]
    np.testing.assert_allclose(found.boxes, [ROWS[0][0], ROWS[2][0]], atol=1e-4)
    if not stripped:
        assert found.names == ["car", "person"]
    assert post.counters.low_score >= (1 if layout == "finished" else BOXES - 3)
    middle = found.side // 2  # the box reaches as far to the left of the picture's middle as to the right
    assert (found.masks[:, :, : middle - 3] > 250).all()
    assert (found.masks[:, :, middle + 3 :] < 5).all()
    # Between the cells left and right of the middle the logits fall from 10 to -10: half way, and not a cell off.
    assert np.abs(found.masks[0, :, middle - 1 : middle + 1].mean() - 127.5) < 3


def test_what_the_file_says_is_told_from_what_is_assumed(tmp_path):
    stated = understand(written(tmp_path / "a.onnx", "columns"))
    bare = understand(written(tmp_path / "b.onnx", "columns", {}))
    assert stated.description.classes == NAMES
    assert bare.description.classes == ("class0", "class1", "class2")
    assert "task: segment" in stated.reasons["family"]
    assert stated.reasons["input.std"].startswith("assumed: ")
    assert bare.description.options == stated.description.options
    file = parse_graph((tmp_path / "a.onnx").read_bytes(), "a")
    head = type(head_for(read_spec(adapted(stated))))
    assert head.recognise(file).evidence == Evidence.METADATA
    assert head.recognise(parse_graph((tmp_path / "b.onnx").read_bytes(), "b")).evidence == Evidence.NAMES


@pytest.mark.parametrize("layout", ["columns", "plain", "objectness"])
def test_of_one_class(tmp_path, layout):
    rows = ((ROWS[0][0], 0.9, 0),)
    path = written(tmp_path / "one.onnx", layout, {}, rows, 1)
    foreign = understand(path)
    assert (foreign.description.options["rows"], foreign.description.classes) == (layout, ("class0",))
    found, _ = read(path, answer(layout, rows, 1))
    assert found.scores.tolist() == [pytest.approx(0.9)]


@pytest.mark.parametrize(("layout", "dims"), [("columns", ["b", 11, "n"]), ("objectness", ["b", "n", 12])])
def test_a_file_of_any_size_takes_that_of_its_metadata(tmp_path, layout, dims):
    declared = {"output0": dims, "output1": ["b", EXTRA, "h", "w"]}
    path = written(tmp_path / "any.onnx", layout, shape=("b", 3, "h", "w"), declared=declared)
    described = understand(path).description
    assert (described.options["rows"], described.input.size, described.input.multiple) == (layout, (64, 96), 32)
    assert read_spec(adapted(understand(path))).size == (64, 96)


def test_a_finished_answer_is_known_by_its_metadata_where_no_length_is(tmp_path):
    declared = {"output0": ["b", "n", 6 + EXTRA], "output1": ["b", EXTRA, "h", "w"]}
    path = written(tmp_path / "any.onnx", "finished", MADE | {"end2end": "True"}, shape=("b", 3, "h", "w"), declared=declared)
    assert understand(path).description.options["rows"] == "finished"


def test_parts_that_do_not_fit_together_are_refused_with_what_they_are(tmp_path):
    path = written(tmp_path / "odd.onnx", "columns", prototypes=np.zeros((1, 7, 16, 24), np.float32))
    with pytest.raises(
        ModelError, match=r"3 classes, but output0 is float32 \[1, 11, 126\] and output1 float32 \[1, 7, 16, 24\]"
    ):
        understand(path)


def test_the_sidecar_decides_how_much_may_overlap_and_how_many_stay(tmp_path):
    path = written(tmp_path / "theirs.onnx", "columns")
    for text, count in (("{nms: 1.0}", 3), ("{nms: 0.7, max_detections: 1}", 1)):
        path.with_suffix(".yaml").write_text(f"options: {text}\n")
        assert len(read(path, answer("columns"))[0]) == count
    path.with_suffix(".yaml").write_text("options: {mask_side: 20}\n")
    assert read(path, answer("columns"))[0].masks.shape == (2, 20, 20)
    for wrong in ("mask_side: 113", "nms: 7", "rows: upside-down", "max_detections: 0"):
        path.with_suffix(".yaml").write_text(f"options: {{{wrong}}}\n")
        with pytest.raises(ConfigError, match=r"theirs\.yaml:1: options\." + wrong.split(":", maxsplit=1)[0]):
            read(path, answer("columns"))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_nothing_found_is_no_instance(tmp_path, layout):
    path = written(tmp_path / "none.onnx", layout, rows=())
    found, post = read(path, answer(layout, ()), conf=0.0 if layout == "finished" else 0.25)
    assert len(found) == 0
    assert post.counters.bad_frames == 0


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_answer_of_no_numbers_breaks_the_run_and_one_such_row_does_not(tmp_path, layout):
    path = written(tmp_path / "nan.onnx", layout)
    table = answer(layout)
    with pytest.raises(BadOutput, match="nonsense"):
        read(path, np.full_like(table, np.nan))
    with pytest.raises(BadOutput, match="nonsense"):
        read(path, table, np.full_like(LEFT, np.nan))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_inverted_box_is_counted_and_suppresses_none(tmp_path, layout):
    path = written(tmp_path / "odd.onnx", layout)
    rows = (*ROWS, ((80, 40, 16, 8), 0.99, 1))
    found, post = read(path, answer(layout, rows))
    assert found.scores.tolist() == [pytest.approx(0.9), pytest.approx(0.7)]
    assert post.counters.absurd == 1


def test_a_label_that_there_is_not_is_counted(tmp_path):
    path = written(tmp_path / "odd.onnx", "finished")
    found, post = read(path, answer("finished", (ROWS[0], (ROWS[2][0], 0.8, 7), (ROWS[3][0], 0.7, float("nan")))))
    assert len(found) == 1
    assert (post.counters.unknown_label, post.counters.absurd) == (1, 1)


def test_only_masks_of_kept_instances_are_drawn(tmp_path, monkeypatch):
    drawn = []
    over = prototypes.over_boxes
    monkeypatch.setattr(
        prototypes, "over_boxes", lambda masks, *more: drawn.extend(m.shape for m in masks) or over(masks, *more)
    )
    path = written(tmp_path / "theirs.onnx", "columns")
    read(path, answer("columns"), conf=0.8)
    assert drawn == [(10, 18)], "of the one that scores so much, and no more of the picture than it takes, and a cell around"


def test_masks_lie_where_they_do_in_the_picture(tmp_path):
    """A disc, drawn at a quarter of the input's size: over its box it is a disc again, to a fraction of a pixel."""
    yy, xx = np.mgrid[0 : HEIGHT // 4, 0 : WIDTH // 4] * 4 + 2.0
    disc = LEFT.copy()
    disc[0, 0] = 24 - np.hypot(xx - 50, yy - 33)
    rows = (((26.0, 9.0, 74.0, 57.0), 0.9, 1),)
    path = written(tmp_path / "disc.onnx", "columns", rows=rows, prototypes=disc)
    found, _ = read(path, answer("columns", rows), disc)
    side = found.side
    v, u = (np.mgrid[0:side, 0:side] + 0.5) / side * 2 - 1
    inside = found.masks[0] > 127
    outside = np.hypot(u, v) * 24 - 24
    assert inside[outside < -0.4].all()
    assert not inside[outside > 0.4].any()


def test_openvino_keeps_the_slice_that_yolo26_gathers_from(tmp_path):
    """It would take it away and fail: boxes, scores and coefficients are sliced off, and the rows with the best scores gathered."""
    table = np.random.default_rng(0).random((1, 20, 10), np.float32)
    best = np.tile(np.array([3, 17, 5]).reshape(1, 3, 1), (1, 1, 4))
    values = {"zero": np.array([0]), "four": np.array([4]), "last": np.array([2]), "best": best, "table": table}
    node = helper.make_node
    nodes = [
        node("ReduceMax", ["images"], ["light"], keepdims=0),
        node("Add", ["table", "light"], ["moving"]),
        node("Slice", ["moving", "zero", "four", "last"], ["boxes"]),
        node("GatherElements", ["boxes", "best"], ["gathered"], axis=1),
        node("ReduceMax", ["gathered"], ["most"], keepdims=0),
        node("Add", ["rows", "most"], ["output0"]),
        node("Add", ["drawn", "light"], ["output1"]),
    ]
    values |= {"rows": np.zeros_like(answer("columns")), "drawn": LEFT}
    given = helper.make_tensor_value_info("images", 1, [1, 3, HEIGHT, WIDTH])
    outputs = [helper.make_tensor_value_info(n, 1, values[v].shape) for n, v in (("output0", "rows"), ("output1", "drawn"))]
    tensors = [numpy_helper.from_array(value, name) for name, value in values.items()]
    model = helper.make_model(
        helper.make_graph(nodes, "gathering", [given], outputs, tensors),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    onnx.save(model, tmp_path / "26.onnx")
    with open_engine(tmp_path / "26.onnx", engine="openvino") as opened:
        got = opened.submit(np.zeros((1, HEIGHT, WIDTH, 3), np.uint8)).result()
    np.testing.assert_allclose(got["detections"], table[0, [3, 17, 5], :4].max(), rtol=1e-6)
