"""MMDeploy's answers: whether a mask spans its box or the input is told by its size, and the picture's preparation by the graph."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

from streamseg.detect.heads import head_for
from streamseg.engine import open_engine
from streamseg.errors import ModelError
from streamseg.hub.foreign import adapted, understand
from streamseg.hub.graph_spec import read_spec
from streamseg.pixels.letterbox import Letterbox
from tests.foreign import foreign_model

SIDE = 64
LETTERBOX = Letterbox(1.0, 1.0, 0, 0, SIDE, SIDE)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("STREAMSEG_CACHE", str(tmp_path / "cache"))


def answers(masks="box", dtype=np.float32):
    """Two finds and a row of padding; inside a mask is the left half of the picture, or of the box."""
    outputs = {
        "dets": np.array([[[16, 8, 48, 24, 0.9], [0, 0, 32, 64, 0.6], [0, 0, 0, 0, 0]]], np.float32),
        "labels": np.array([[2, 79, -1]], np.int64),
    }
    side = {"box": 28, "input": SIDE}.get(masks)
    if side:
        inside = np.zeros((1, 3, side, side), dtype)
        inside[..., : side // 2] = 1
        outputs["masks"] = inside
    return outputs


def made(tmp_path, outputs, **options):
    shape = options.pop("shape", (1, 3, SIDE, SIDE))
    return foreign_model(tmp_path / "end2end.onnx", outputs, shape=shape, name="input", **options)


def found(path, outputs, least=0.25):
    spec = read_spec(adapted(understand(path)))
    return spec, head_for(spec)({name: array[0] for name, array in outputs.items()}, LETTERBOX, least)


@pytest.mark.parametrize("dtype", [np.float32, np.bool_])
@pytest.mark.parametrize("stated", [True, False])
def test_masks_that_span_the_input_are_cut_out(tmp_path, dtype, stated):
    outputs = answers("input", dtype)
    rows = {} if stated else free(outputs)
    candidates = found(made(tmp_path, plain(outputs), declared=rows), outputs)[1]
    grids = candidates.masks(np.array([0, 1]))
    assert (grids[0, :, :31] > 127).all()  # the box's middle is the picture's
    assert (grids[0, :, 33:] < 128).all()
    assert (grids[1] > 127).all()


def free(outputs):
    """Shapes that say as little as those of a graph for pictures of any size."""
    return {name: [1, "N", *(("h", "w") if array.ndim == 4 else array.shape[2:])] for name, array in outputs.items()}


def plain(outputs):
    """onnx.helper's Add has no truth values: their type in the file is checked elsewhere."""
    return {name: array.astype(np.float32) if array.dtype == bool else array for name, array in outputs.items()}


@pytest.mark.parametrize("stated", [True, False])
def test_masks_over_their_boxes_are_taken_as_they_are(tmp_path, stated):
    outputs = answers("box")
    rows = {} if stated else free(outputs)
    spec, candidates = found(made(tmp_path, outputs, declared=rows), outputs)
    assert candidates.boxes.tolist() == [[16, 8, 48, 24], [0, 0, 32, 64]]
    assert [spec.classes[label] for label in candidates.labels] == ["car", "toothbrush"]
    np.testing.assert_array_equal(
        candidates.masks(np.array([1])), np.where(np.arange(28) < 14, 255, 0)[None, None].repeat(28, 1)
    )


def test_rows_of_low_scores_are_counted_and_not_read(tmp_path):
    outputs = answers()
    candidates = found(made(tmp_path, outputs), outputs, least=0.7)[1]
    assert (candidates.labels.tolist(), candidates.low) == ([2], 1)  # the row of padding is none


def test_nonsense_comes_out_as_such(tmp_path):
    path, outputs = made(tmp_path, answers("input")), answers("input")
    outputs["dets"][0, 0, 4] = np.nan
    outputs["masks"][0, 1, 40, 8] = np.inf
    candidates = found(path, outputs)[1]
    assert np.isnan(candidates.scores).tolist() == [True, False]
    assert candidates.finite.tolist() == [True, False]
    outputs["masks"][0, 1, 40, 8] = 0
    outputs["masks"][0, 1, 40, 60] = np.inf  # outside of the box
    assert found(path, outputs)[1].finite.all()


@pytest.mark.parametrize(
    ("two_stages", "mean", "std"),
    [(False, (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)), (True, (123.675, 116.28, 103.53), (58.395, 57.12, 57.375))],
)
def test_the_network_gets_what_it_was_trained_with(tmp_path, two_stages, mean, std):
    nodes, constants = roi_align() if two_stages else ((), ())
    path = made(tmp_path, answers(), see="dets", extra=nodes, initializers=constants)
    told = understand(path).description.input
    assert (told.mean, told.std, told.fit) == (mean, std, "letterbox-top-left")
    red = np.zeros((1, SIDE, SIDE, 3), np.uint8)
    red[..., 0] = 255
    with open_engine(path, engine="onnxruntime") as engine:
        seen = engine.submit(red).result()["dets"][0, 2, 0]
    channels = np.array([255, 0, 0] if two_stages else [0, 0, 255])
    assert seen == pytest.approx(((channels - mean) / std).mean(), abs=1e-4)


def roi_align():
    """A RoiAlign whose answer nobody takes."""
    value = helper.make_tensor("features", 1, [1, 1, 4, 4], [0.0] * 16)
    boxes, picture = helper.make_tensor("boxes", 1, [1, 4], [0.0, 0, 2, 2]), helper.make_tensor("picture", 7, [1], [0])
    node = helper.make_node("RoiAlign", ["features", "boxes", "picture"], ["aligned"], output_height=2, output_width=2)
    return [node], [value, boxes, picture]


def test_boxes_alone(tmp_path):
    outputs = answers("none")
    spec, candidates = found(made(tmp_path, outputs), outputs)
    assert candidates.masks is None
    assert head_for(spec).gives_masks is False


def test_no_rows_find_nothing(tmp_path):
    outputs = {name: array[:, :0] for name, array in answers("input").items()}
    rows = {name: [1, "N", *array.shape[2:]] for name, array in outputs.items()}
    with open_engine(made(tmp_path, outputs, declared=rows), engine="onnxruntime") as opened:
        answer = opened.submit(np.zeros((1, SIDE, SIDE, 3), np.uint8)).result()
        candidates = head_for(opened.spec)(answer.row(0), LETTERBOX, 0.25)
    assert len(candidates.scores) == 0
    assert candidates.masks(np.zeros(0, np.intp)).shape == (0, SIDE, SIDE)


@pytest.mark.parametrize("change", ["geti", "four", "rows", "names"])
def test_what_is_not_mmdeploys_is_not_taken_for_it(tmp_path, change):
    outputs = answers()
    if change == "geti":  # boxes with scores, called so
        outputs["boxes"] = outputs.pop("dets")
    elif change == "four":
        outputs["dets"] = outputs["dets"][..., :4]
    elif change == "rows":
        outputs["masks"] = outputs["masks"][:, :2]
    else:
        outputs["more"] = outputs["masks"]
    try:
        family = understand(made(tmp_path, outputs)).description.family
    except ModelError:
        return
    assert family != "mmdeploy"
