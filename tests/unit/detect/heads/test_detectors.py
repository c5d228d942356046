"""Detectors of boxes alone: what a file of each layout is taken for, and what is read of it, with answers worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from streamseg.detect.heads import HEADS, head_for
from streamseg.detect.heads.yolox import cell_count
from streamseg.errors import ConfigError, ModelError
from streamseg.hub.foreign import adapted, recognise, understand
from streamseg.hub.graph_file import parse_graph
from streamseg.hub.graph_spec import read_spec
from streamseg.pixels.letterbox import Letterbox
from tests.foreign import foreign_model

H, W = 64, 96
PLAIN = Letterbox(1.0, 1.0, 0, 0, W, H)
NAMES = str(dict(enumerate(("person", "car", "dog"))))
ULTRALYTICS = {"stride": "32", "task": "detect", "names": NAMES}
CELLS = cell_count(H, W)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("STREAMSEG_CACHE", str(tmp_path / "cache"))


def filled(shape, rows, axis=1):
    """Zeros, the first of them along `axis` being `rows`."""
    array = np.zeros(shape, np.float32)
    for i, row in enumerate(rows):
        array[(0, i) if axis == 1 else (0, slice(None), i)] = row
    return array


def columns(*rows, count=CELLS):
    return {"output0": filled((1, 7, count), rows, axis=2)}


# Two of one car, of which the worse overlaps the better by 0.8, and a dog on the same place.
ANCHORS = [(20, 30, 20, 20, 0, 0.9, 0), (20, 30, 16, 20, 0, 0.8, 0), (20, 30, 20, 20, 0, 0, 0.7)]
TWO = [(10, 20, 30, 40, 0.9, 1), (10, 20, 30, 40, 0.7, 2)]
RAW = filled((1, CELLS, 8), [(0.5, 0.5, np.log(2), np.log(1), 0.9, 0.1, 1, 0), (0,) * 8])
RAW[0, 96 + 5] = (1.5, 0.25, 0, 0, 0.8, 0, 0, 0.5)  # the second grid, of 6 columns: column 5, row 0

LAYOUTS = {
    "v8": (columns(*ANCHORS), ULTRALYTICS, "yolo", TWO),
    "v8 without metadata": (columns(*ANCHORS), {}, "yolo", TWO),
    "v5": ({"output0": filled((1, 3 * CELLS, 8), [(*a[:4], 0.5, *a[4:]) for a in ANCHORS])}, ULTRALYTICS, "yolo", None),
    "v5 without metadata": ({"o": filled((1, 3 * CELLS, 8), [(*a[:4], 0.5, *a[4:]) for a in ANCHORS])}, {}, "yolo", None),
    "v5 with its grids": (
        {"output": filled((1, 3 * CELLS, 8), []), "345": np.zeros((1, 3, 8, 12, 8), np.float32)},
        ULTRALYTICS,
        "yolo",
        [],
    ),
    "finished": ({"output0": filled((1, 300, 6), TWO)}, {**ULTRALYTICS, "end2end": "True"}, "yolo", TWO),
    "finished without metadata": ({"output0": filled((1, 300, 6), TWO)}, {}, "yolo", TWO),
    "rt-detr": (
        {"output0": filled((1, 300, 7), [(20 / W, 30 / H, 20 / W, 20 / H, 0, 0.9, 0), (0.5, 0.5, 0.5, 0.5, 0.6, 0, 0)])},
        ULTRALYTICS,
        "yolo",
        [TWO[0], (24, 16, 72, 48, 0.6, 0)],
    ),
    "yolox": ({"output": RAW}, {"names": NAMES}, "yolox", [(-4, 0, 12, 8, 0.9, 1), (96, -4, 112, 12, 0.4, 2)]),
    "caffe": (
        {
            "detection_out": np.array(
                [[[[0, 2, 0.9, 10 / W, 20 / H, 30 / W, 40 / H], [-1, 1, 0.8, 0, 0, 1, 1], [0, 1, 1, 0, 0, 1, 1]]]], "f4"
            )
        },
        {"names": NAMES},
        "ssd",
        TWO[:1],
    ),
    "torchvision": (
        {"1021": np.array([r[:4] for r in TWO], "f4"), "900": np.array([0.9, 0.7], "f4"), "77": np.array([2, 3])},
        {"names": NAMES},
        "detections",
        TWO,
    ),
    "tensorflow": (
        {
            "detection_classes": np.array([[2, 3, 1]], "f4"),
            "num_detections": np.array([2], "f4"),
            "detection_scores": np.array([[0.9, 0.7, 0.5]], "f4"),
            "detection_boxes": np.array([[[20 / H, 10 / W, 40 / H, 30 / W]] * 3], "f4"),
        },
        {"names": NAMES},
        "detections",
        TWO,
    ),
    "efficient nms": (
        {
            "num_dets": np.array([[2]], np.int32),
            "det_boxes": np.array([[r[:4] for r in TWO] * 2], "f4"),
            "det_scores": np.array([[0.9, 0.7, 0, 0]], "f4"),
            "det_classes": np.array([[1, 2, 0, 0]], np.int32),
        },
        {"names": NAMES},
        "detections",
        TWO,
    ),
    "dense": (
        {
            "scores": np.array([[[0, 0.9, 0], [0, 0.8, 0], [0, 0, 0.7]]], "f4"),
            "boxes": np.array([[[10, 20, 30, 40], [12, 20, 28, 40], [10, 20, 30, 40]]], "f4"),
        },
        {"names": NAMES},
        "dense",
        TWO,
    ),
}


def read(path, arrays, least=0.3):
    spec = read_spec(adapted(understand(path)))
    known = understand(path).description
    named = {ours: arrays[theirs] for ours, theirs in known.outputs.items()}
    head = head_for(spec)
    assert (head.gives_masks, spec.classes) == (False, ("person", "car", "dog"))
    return head({name: array[0] if known.batch_axis else array for name, array in named.items()}, PLAIN, least)


def rows_of(found):
    order = np.argsort(-found.scores)
    return np.concatenate([found.boxes, found.scores[:, None], found.labels[:, None]], axis=1)[order]


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_is_recognised_and_read(tmp_path, name):
    arrays, metadata, family, expected = LAYOUTS[name]
    metadata = metadata if metadata or "finished" not in name else {}
    path = foreign_model(tmp_path / "theirs.onnx", arrays, shape=(1, 3, H, W), metadata=metadata)
    found = recognise(parse_graph(path.read_bytes(), "theirs"), path)
    assert found.description.family == family
    if not metadata:  # as many classes as the numbers tell, named by the reader
        assert len(found.description.classes) == (80 if "finished" in name else 3)
        named = "[person, car, dog]"
        path.with_suffix(".yaml").write_text(f"classes: {named}\n")
    if expected is None:
        expected = [(*row[:4], row[4] / 2, row[5]) for row in TWO]
    np.testing.assert_allclose(rows_of(read(path, arrays)), np.array(expected).reshape(-1, 6), atol=1e-3)


def test_a_yolox_that_was_exported_with_its_decoder_is_not_decoded_again(tmp_path):
    """As `--decode_in_inference` writes it, of the same shape: read as raw, all boxes would lie in a corner (reported often)."""
    import onnx
    from onnx import helper

    rows = {"output": filled((1, CELLS, 8), [(20, 30, 20, 20, 0.9, 0, 1, 0)])}
    extra = [helper.make_node("Exp", ["images"], ["unused"])]
    path = foreign_model(tmp_path / "decoded.onnx", rows, shape=(1, 3, H, W), metadata={"names": NAMES}, extra=extra)
    onnx.checker.check_model(str(path))
    assert understand(path).description.options["decoded"] is True
    np.testing.assert_allclose(rows_of(read(path, rows)), [TWO[0]], atol=1e-4)


@pytest.mark.parametrize("task", ["pose", "obb", "classify", "segment"])
def test_what_finds_more_than_boxes_is_not_taken_for_a_detector(tmp_path, task):
    """Key points behind the boxes would be read as classes."""
    path = foreign_model(tmp_path / "p.onnx", columns(*ANCHORS), shape=(1, 3, H, W), metadata={**ULTRALYTICS, "task": task})
    with pytest.raises(ModelError, match="no family here knows that"):
        recognise(parse_graph(path.read_bytes(), "p"), path)


@pytest.mark.parametrize(
    "outputs",
    [
        {"pred_logits": np.zeros((1, 100, 92), "f4"), "pred_boxes": np.zeros((1, 100, 4), "f4")},
        {"output": np.zeros((1, CELLS + 1, 8), "f4")},
        {"output": np.zeros((1, 7, 5), "f4")},
        {"output": np.zeros((1, 2, 9, 7), "f4")},
        {"boxes": np.zeros((3, 4), "f4"), "scores": np.zeros((3,), "f4"), "labels": np.zeros((3,), "f4")},
        {"a": np.zeros((1, 3, 8, 12, 8), "f4")},
    ],
    ids=["logits", "a row too many", "too few", "two lists of rows", "labels that are no whole numbers", "grids alone"],
)
def test_what_only_looks_like_one_is_refused(tmp_path, outputs):
    path = foreign_model(tmp_path / "p.onnx", outputs, shape=(1, 3, H, W))
    with pytest.raises(ModelError, match="no family here knows that"):
        recognise(parse_graph(path.read_bytes(), "p"), path)


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
def test_nonsense_comes_out_as_nonsense_and_stops_nothing(tmp_path, name, value):
    """Scores that are NaN must come out, to be counted; nothing may fail, and nothing take long."""
    arrays, metadata, _, _ = LAYOUTS[name]
    path = foreign_model(tmp_path / "theirs.onnx", arrays, shape=(1, 3, H, W), metadata=metadata)
    if not metadata:
        path.with_suffix(".yaml").write_text("classes: [person, car, dog]\n")
    broken = {each: np.full_like(a, value) if a.dtype.kind == "f" else np.full_like(a, -9) for each, a in arrays.items()}
    found = read(path, broken)
    assert len(found.boxes) == len(found.scores) == len(found.labels)
    if np.isnan(value) and name != "caffe" and "tensorflow" not in name:
        assert np.isnan(found.scores).all()
        assert len(found.scores) or "nms" in name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nms": 2}, r"p\.yaml:1: options\.nms: 2 is not allowed; allowed: 0 to 1"),
        ({"nms": True}, r"options\.nms: True is not allowed"),
        ({"max_detections": 0}, r"options\.max_detections: 0 is not allowed; allowed: a whole number from 1 on"),
        ({"rows": "sideways"}, r"options\.rows: .sideways. is not allowed; allowed: columns, plain, objectness, finished"),
        ({"normalised": 3}, r"options\.normalised: 3 is not allowed; allowed: true or false"),
    ],
)
def test_options_that_make_no_sense_are_named(tmp_path, options, message):
    path = foreign_model(tmp_path / "p.onnx", columns(*ANCHORS), shape=(1, 3, H, W), metadata=ULTRALYTICS)
    text = ", ".join(f"{key}: {str(value).lower()}" for key, value in options.items())
    path.with_suffix(".yaml").write_text(f"options: {{{text}}}\n")
    with pytest.raises(ConfigError, match=message):
        understand(path)


@pytest.mark.parametrize("name", sorted(HEADS))
def test_a_head_says_which_options_it_takes_and_what_is_usual_can_be(name):
    options = HEADS[name].options
    assert all(option.usual is None or option.sound(option.usual) for option in options.values())
    assert not any(option.sound("nonsense") or option.sound(-1) or option.sound(None) for option in options.values())


def test_a_description_within_a_graph_is_checked_as_well(tmp_path):
    """It may be of another version, or written by hand."""
    path = foreign_model(tmp_path / "p.onnx", columns(*ANCHORS), shape=(1, 3, H, W), metadata=ULTRALYTICS)
    spec = read_spec(adapted(understand(path)))
    with pytest.raises(ModelError, match=r"options: nms is 2; allowed: 0 to 1"):
        head_for(replace(spec, options={"nms": 2}))


def test_none_of_them_claims_masks():
    assert {name for name, head in HEADS.items() if getattr(head, "gives_masks", True) is False} >= {
        "yolo",
        "yolox",
        "ssd",
        "detections",
        "dense",
    }
