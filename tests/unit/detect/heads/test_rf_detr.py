"""RF-DETR's answers: which pairs of a query and a class are taken, where their boxes lie, how their masks are cut out."""

from __future__ import annotations

import numpy as np
import pytest

from streamseg.detect.heads import head_for
from streamseg.engine import open_engine
from streamseg.errors import ConfigError, ModelError
from streamseg.hub.foreign import adapted, understand
from streamseg.hub.graph_spec import read_spec
from streamseg.pixels.letterbox import Letterbox
from tests.foreign import foreign_model

SIDE, QUERIES, COLUMNS = 32, 4, 4
LETTERBOX = Letterbox(1.0, 1.0, 0, 0, SIDE, SIDE)
LOW = -9.0


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("STREAMSEG_CACHE", str(tmp_path / "cache"))


def answers(queries=QUERIES, columns=COLUMNS, masks="masks"):
    """One query found as two classes, another as one; inside a mask is the left half of the picture."""
    dets = np.full((1, queries, 4), 0.5, np.float32)
    labels = np.full((1, queries, columns), LOW, np.float32)
    outputs = {"dets": dets, "labels": labels}
    if queries:
        dets[0, 1] = 0.5, 0.25, 0.5, 0.25
        labels[0, 1, 0], labels[0, 1, 2], labels[0, 3, 1] = 2.0, 1.0, 0.5
    if masks:
        outputs[masks] = np.full((1, queries, 8, 8), -4, np.float32)
        outputs[masks][..., :4] = 4
    return outputs


def made(tmp_path, outputs=None, **options):
    shape = options.pop("shape", (1, 3, SIDE, SIDE))
    return foreign_model(tmp_path / "detr.onnx", outputs or answers(), shape=shape, name="input", **options)


def found(path, outputs=None):
    """What the head reads of these answers, as the graph that is made of the file gives them."""
    spec = read_spec(adapted(understand(path)))
    rows = {("masks" if name == "4245" else name): array[0] for name, array in (outputs or answers()).items()}
    return spec, head_for(spec)(rows, LETTERBOX, 0.25)


@pytest.mark.parametrize("masks", ["masks", "4245"])
def test_a_query_is_found_as_each_class_that_reaches_the_score(tmp_path, masks):
    spec, candidates = found(made(tmp_path, answers(masks=masks)), answers(masks=masks))
    assert (spec.family, spec.fit, spec.classes) == ("rf-detr", "stretch", ("class0", "class1", "class2"))
    order = np.argsort(-candidates.scores)
    np.testing.assert_allclose(candidates.scores[order], 1 / (1 + np.exp([-2.0, -1.0, -0.5])), atol=1e-6)
    assert candidates.labels[order].tolist() == [0, 2, 1]
    np.testing.assert_allclose(candidates.boxes[order], [[8, 4, 24, 12], [8, 4, 24, 12], [8, 8, 24, 24]])
    grids = candidates.masks(order)
    assert grids.shape == (3, 8, 8)
    assert (grids[:, :, :4] > 127).all()  # the picture's left half is the box's, too
    assert (grids[:, :, 4:] < 128).all()
    assert candidates.low == QUERIES - 3


def test_the_network_gets_what_it_was_trained_with(tmp_path):
    path = made(tmp_path, see="labels")
    grey = np.full((1, SIDE, SIDE, 3), 51, np.uint8)
    with open_engine(path, engine="onnxruntime") as engine:
        seen = engine.submit(grey).result()["labels"][0, 0, 0] - LOW
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    assert seen == pytest.approx(((0.2 - mean) / std).mean(), abs=1e-4)


@pytest.mark.parametrize(
    ("columns", "names", "ids"),
    [
        (91, {1: "person", 3: "car", 90: "toothbrush"}, {3: 3, 90: 90}),  # COCO's ids, as the published models
        (3, {0: "class0", 1: "class1"}, {0: 1, 1: 2}),  # one trained further: the last is no object
        (2, {0: "class0"}, {0: 1}),
    ],
)
def test_labels_are_named(tmp_path, columns, names, ids):
    path = made(tmp_path, answers(columns=columns) if columns > 2 else answers_of_one_class())
    spec = read_spec(adapted(understand(path)))
    assert len(spec.classes) == (91 if columns == 91 else columns - 1)
    assert {label: spec.classes[label] for label in names} == names
    assert {label: spec.category_ids[label] for label in ids} == ids


def answers_of_one_class():
    outputs = answers()
    return outputs | {"labels": outputs["labels"][:, :, :2]}


def test_a_model_whose_labels_begin_at_one_is_read_with_an_offset(tmp_path):
    path = made(tmp_path)
    path.with_suffix(".yaml").write_text("classes: [cat, dog, cow]\noptions: {label_offset: 1}\n")
    spec, candidates = found(path)
    assert [spec.classes[label] for label in candidates.labels] == ["dog", "cat"]  # of columns 2 and 1; 0 is no class
    path.with_suffix(".yaml").write_text("classes: [cat, dog, cow]\noptions: {label_offset: 2}\n")
    with pytest.raises(ConfigError, match=r"\.yaml:2: options\.label_offset: 2 \(found was 0\): .* tells 4 labels apart; 3"):
        adapted(understand(path))
    path.with_suffix(".yaml").write_text("options: {label_offset: 1.5}\n")
    with pytest.raises(ConfigError, match=r"options\.label_offset: 1\.5 is not allowed; allowed: a whole number"):
        understand(path)


def test_fewer_names_than_labels_leave_the_others_out(tmp_path):
    path = made(tmp_path)
    path.with_suffix(".yaml").write_text("classes: [cat]\n")
    assert found(path)[1].labels.tolist() == [0]
    path.with_suffix(".yaml").write_text("classes: [a, b, c, d, e]\n")
    with pytest.raises(
        ConfigError, match=r"yaml:1: classes: .* tells 4 labels apart; 5 classes were named: give as many or fewer"
    ):
        adapted(understand(path))


def test_nonsense_comes_out_as_such(tmp_path):
    outputs = answers()
    outputs["labels"][0, 0, 0] = np.nan
    outputs["masks"][0, 3, 4, 4] = np.inf
    candidates = found(made(tmp_path), outputs)[1]
    assert np.isnan(candidates.scores).sum() == 1
    assert dict(zip(candidates.labels.tolist(), candidates.finite.tolist(), strict=True))[1] is False  # query 3's


def test_what_a_mask_holds_outside_of_its_box_does_not_matter(tmp_path):
    outputs = answers()
    outputs["masks"][0, :, 7, 7] = np.nan
    assert found(made(tmp_path), outputs)[1].finite.all()


def test_the_best_are_taken_where_there_are_too_many(tmp_path):
    outputs = answers()
    outputs["labels"][0] = np.linspace(1, 2.5, QUERIES * COLUMNS).reshape(QUERIES, COLUMNS)
    path = made(tmp_path, outputs)
    path.with_suffix(".yaml").write_text("options: {max_detections: 2}\n")
    scores = found(path, outputs)[1].scores
    np.testing.assert_allclose(np.sort(scores), 1 / (1 + np.exp(-np.linspace(1, 2.5, 16)[[13, 14]])), atol=1e-6)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_batches_of_any_number(tmp_path, engine):
    path = made(tmp_path, shape=("batch", 3, SIDE, SIDE), declared={n: ["batch", *a.shape[1:]] for n, a in answers().items()})
    with open_engine(path, engine=engine) as opened:
        answer = opened.submit(np.zeros((2, SIDE, SIDE, 3), np.uint8)).result()
        assert len(head_for(opened.spec)(answer.row(1), LETTERBOX, 0.25).scores) == 3


def test_boxes_alone(tmp_path):
    spec, candidates = found(made(tmp_path, answers(masks="")), answers(masks=""))
    assert candidates.masks is None
    assert head_for(spec).gives_masks is False
    assert len(candidates.scores) == 3


def test_no_queries_find_nothing(tmp_path):
    path = made(tmp_path, answers(queries=0), declared={n: [1, "q", *a.shape[2:]] for n, a in answers().items()})
    candidates = found(path, answers(queries=0))[1]
    assert len(candidates.scores) == 0
    assert candidates.masks(np.zeros(0, np.intp)).shape == (0, 8, 8)


@pytest.mark.parametrize("change", ["keypoints", "five", "rows", "int", "two"])
def test_what_is_not_rf_detr_is_not_taken_for_it(tmp_path, change):
    outputs = answers()
    if change == "keypoints":
        outputs["keypoints"] = outputs.pop("masks")[:, :, 0]
    elif change == "five":
        outputs["dets"] = np.zeros((1, QUERIES, 5), np.float32)
    elif change == "rows":
        outputs["masks"] = outputs["masks"][:, :2]
    elif change == "int":
        outputs["labels"] = outputs["labels"].astype(np.int64)
    else:
        outputs["more"] = outputs["masks"]
    with pytest.raises(ModelError, match="no family here knows that"):
        understand(made(tmp_path, outputs))
