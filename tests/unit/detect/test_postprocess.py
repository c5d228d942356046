"""From raw rows to Instances: padding dropped, nonsense counted, boxes where they are in the frame."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest

from streamseg.core.types import Frame
from streamseg.datasets.coco_names import COCO
from streamseg.detect import heads
from streamseg.detect.heads import Candidates
from streamseg.detect.infer import Infer, Pending
from streamseg.detect.postprocess import Postprocess, gives_masks
from streamseg.detect.preprocess import Preprocess
from streamseg.engine import Outputs, open_engine
from streamseg.errors import BadOutput, ConfigError, EngineError
from streamseg.pixels.letterbox import Letterbox
from tests import graphs

CLASSES = ("person", "car", "dog")
SPEC = graphs.spec(classes=CLASSES)
PLAIN = Letterbox(1.0, 1.0, 0, 0, 200, 100)
"""A frame of 200x100 seen by the model as it is."""


def pending(*rows, letterbox=PLAIN, masks=None, detections=6, slot=0, batch=1) -> Pending:
    """`rows` of (score, label, x0, y0, x1, y1) in the model's input, padded."""
    n = len(rows)
    boxes, scores = np.zeros((batch, detections, 4), np.float32), np.zeros((batch, detections), np.float32)
    labels, grids = np.full((batch, detections), -1, np.int32), np.zeros((batch, detections, 28, 28), np.float32)
    for i, (score, label, *box) in enumerate(rows):
        boxes[slot, i], scores[slot, i], labels[slot, i] = box, score, label
    grids[slot, :n] = 1 if masks is None else masks
    future: Future[Outputs] = Future()
    future.set_result(Outputs({"boxes": boxes, "scores": scores, "labels": labels, "masks": grids}))
    frame = Frame(av.VideoFrame(letterbox.frame_width, letterbox.frame_height, "gray"), 0, 0, Fraction(1, 25))
    return Pending(frame, letterbox, future, slot)


GOOD = (0.9, 0, 10, 20, 50, 60)


@pytest.mark.parametrize(
    ("asked", "hint"), [("persn", r"; did you mean 'person'\?$"), ("unicorn", r"; nearest in spelling: '.*', '.*', '.*'; all")]
)
def test_of_many_classes_the_nearest_are_named_and_how_to_list_them(asked, hint):
    """All of COCO's 80 stood in the message."""
    said = rf"classes: there is no '{asked}'; this model knows 80 classes, which `streamseg models show MODEL` lists{hint}"
    with pytest.raises(ConfigError, match=said):
        Postprocess(graphs.spec(classes=tuple(COCO)), classes=[asked])


def test_padding_is_dropped_and_the_rest_kept_as_it_is():
    masks = np.random.default_rng(0).random((2, 28, 28), np.float32)
    result = Postprocess(SPEC)(pending(GOOD, (0.75, 2, 60, 10, 90, 40), masks=masks))
    assert result.boxes.tolist() == [[10, 20, 50, 60], [60, 10, 90, 40]]
    assert result.scores.tolist() == [np.float32(0.9), 0.75]
    assert result.labels.tolist() == [0, 2]
    assert result.instances.names == ["person", "dog"]
    np.testing.assert_array_equal(result.instances.masks, np.rint(masks * 255).astype(np.uint8))
    assert result.track_ids.tolist() == [0, 0]


def test_nothing_found_is_an_empty_result():
    process = Postprocess(SPEC)
    assert len(process(pending())) == 0
    assert (process.counters.frames, process.counters.bad_frames, process.counters.kept) == (1, 0, 0)


def test_its_own_row_of_the_batch_is_taken():
    result = Postprocess(SPEC)(pending(GOOD, slot=2, batch=4))
    assert result.boxes.tolist() == [[10, 20, 50, 60]]


def test_scores_below_conf_are_left_out_and_equal_ones_kept():
    process = Postprocess(SPEC, conf=0.5)
    result = process(pending(GOOD, (0.5, 1, 0, 0, 9, 9), (0.49, 2, 0, 0, 9, 9)))
    assert result.labels.tolist() == [0, 1]
    assert process.counters.low_score == 1


def test_only_the_classes_asked_for():
    process = Postprocess(SPEC, classes=["dog", "car"])
    result = process(pending(GOOD, (0.8, 1, 0, 0, 9, 9), (0.7, 2, 0, 0, 9, 9)))
    assert result.instances.names == ["car", "dog"]
    assert process.counters.other_class == 1


def test_results_are_ordered_by_score_whatever_the_graph_gives():
    result = Postprocess(SPEC)(pending((0.6, 0, 0, 0, 9, 9), (0.9, 1, 0, 0, 9, 9), (0.7, 2, 0, 0, 9, 9)))
    assert result.labels.tolist() == [1, 2, 0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"classes": ["car", "zebra"]}, "there is no 'zebra'; this model knows person, car, dog; all of them"),
        ({"classes": []}, "at least one is needed; this model knows"),
        ({"conf": 1.5}, "conf is 1.5; allowed: 0 to 1"),
        ({"conf": float("nan")}, "conf is nan"),
        ({"patience": 0}, "patience is 0"),
    ],
)
def test_bad_options_are_answered_at_once(options, said):
    with pytest.raises(ConfigError, match=said):
        Postprocess(SPEC, **options)


def test_boxes_return_to_the_frame_through_the_letterbox():
    """A 400x200 frame at half size, 10 pixels from the left and 20 from the top of the input."""
    letterbox = Letterbox(0.5, 0.5, 10, 20, 400, 200)
    result = Postprocess(SPEC)(pending((0.9, 0, 60, 45, 110, 95), letterbox=letterbox))
    assert result.boxes.tolist() == [[100, 50, 200, 150]]


def test_a_box_that_sticks_out_is_clipped_and_its_mask_with_it():
    """Left half out of the frame, and the mask set only in its left half: what is inside is empty; and the other way round."""
    left = np.zeros((28, 28), np.float32)
    left[:, :14] = 1
    masks = np.stack([left, 1 - left])
    result = Postprocess(SPEC)(pending((0.9, 0, -40, 10, 40, 50), (0.8, 0, -40, 10, 40, 50), masks=masks))
    assert result.boxes.tolist() == [[0, 10, 40, 50]] * 2
    inner = result.instances.masks[:, 2:-2, 2:-2]  # within a cell of the box's edges resampling blends
    assert inner[0].max() == 0
    assert inner[1].min() == 255


def test_boxes_wholly_in_the_padding_or_too_thin_are_dropped():
    letterbox = Letterbox(1.0, 1.0, 0, 50, 200, 100)  # 50 rows of padding above and below
    process = Postprocess(SPEC)
    rows = [(0.9, 0, 10, 5, 50, 45), (0.9, 0, 10, 155, 50, 190), (0.9, 0, 10, 80, 10.5, 90), (0.8, 1, 10, 60, 50, 90)]
    result = process(pending(*rows, letterbox=letterbox))
    assert result.boxes.tolist() == [[10, 10, 50, 40]]
    assert process.counters.empty == 3


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["box", "score", "mask"])
def test_a_row_that_is_not_finite_is_dropped_and_counted(value, where):
    masks = np.ones((2, 28, 28), np.float32)
    bad = [0.95, 1, 30, 30, 60, 60]
    if where == "box":
        bad[4] = value
    elif where == "score":
        bad[0] = value
    else:
        masks[0, 3, 4] = value
    process = Postprocess(SPEC)
    result = process(pending(tuple(bad), GOOD, masks=masks))
    assert result.labels.tolist() == [0]
    assert (process.counters.not_finite, process.counters.bad_frames, process.counters.kept) == (1, 1, 1)


@pytest.mark.parametrize(
    "bad",
    [
        (0.9, -1, 10, 10, 20, 20),  # a score without a label
        (0.9, -7, 10, 10, 20, 20),
        (1.5, 0, 10, 10, 20, 20),
        (-0.5, 0, 10, 10, 20, 20),
        (0.9, 0, 20, 10, 10, 20),  # inverted
        (0.9, 0, 10, 20, 20, 10),
        (0.9, 0, 10, 10, 1e9, 20),  # far out
    ],
)
def test_an_absurd_row_is_dropped_and_counted(bad):
    process = Postprocess(SPEC, conf=0)
    assert process(pending(bad, GOOD)).boxes.tolist() == [[10, 20, 50, 60]]
    assert (process.counters.absurd, process.counters.bad_frames) == (1, 0)
    assert len(process(pending(bad))) == 0
    assert (process.counters.absurd, process.counters.bad_frames) == (2, 1)


def test_a_label_beyond_the_classes_is_counted_by_itself_and_ends_no_run():
    """The list of classes was wrong, not the network's answer; the first labels are named."""
    process = Postprocess(SPEC, patience=2)
    for label in (7, 3, 4, 9, 8, 5):
        assert len(process(pending((0.9, label, 10, 10, 20, 20), (0.2, 6, 10, 10, 20, 20)))) == 0
    assert process(pending((0.9, 3, 10, 10, 20, 20), GOOD)).boxes.tolist() == [[10, 20, 50, 60]]
    counters = process.counters
    assert (counters.unknown_label, counters.absurd, counters.bad_frames, counters.low_score) == (7, 0, 0, 6)
    [said] = counters.sentences(len(CLASSES))
    assert said.startswith("7 detections with labels beyond the model's 3 classes (as 3, 4, 7, 8, 9) left out: name all its")


def test_nothing_is_said_of_what_was_sound():
    process = Postprocess(SPEC)
    process(pending(GOOD, (0.2, 1, 10, 10, 20, 20)))
    assert process.counters.sentences(3) == []
    process(pending(GOOD, (1.5, 1, 10, 10, 20, 20)))
    [said] = process.counters.sentences(3)
    assert said.startswith("1 impossible detection left out: 0 with NaN or infinity, 1 with a box")


@pytest.mark.parametrize(("masks", "side"), [("auto", 28), ("box", 1), ("none", 0)])
def test_a_frame_that_was_not_looked_at_says_whether_there_are_masks_as_the_others_do(masks, side):
    process = Postprocess(SPEC, masks=masks)
    skipped = Pending(pending(GOOD).frame, PLAIN, None, 0)
    assert [process(each).instances.side for each in (skipped, pending(), pending(GOOD))] == [side] * 3


def test_the_limits_themselves_are_sound():
    process = Postprocess(SPEC, conf=0)
    rows = [(1.0, len(CLASSES) - 1, 10, 10, 20, 20), (0.0, 0, 30, 30, 40, 40)]
    result = process(pending(*rows))
    assert result.scores.tolist() == [1.0, 0.0]
    assert (process.counters.absurd, process.counters.bad_frames) == (0, 0)
    process(pending((0.5, 0, 10, 10, 10, 20)))
    assert process.counters.absurd == 0, "a box without width is dropped, but no nonsense"


def test_bad_frames_in_a_row_end_the_run_and_a_good_one_starts_the_count_again():
    process = Postprocess(SPEC, patience=3)
    bad = (np.nan, 0, 10, 10, 20, 20)
    for row in (bad, bad, GOOD, bad, bad):
        process(pending(row))
    with pytest.raises(BadOutput, match="3 frames in a row"):
        process(pending(bad))
    assert process.counters.bad_frames == 5


def test_a_bad_frame_below_conf_counts_as_well():
    """A broken network is broken, whatever the user wants to see of it."""
    process = Postprocess(SPEC, conf=0.9, classes=["dog"], patience=2)
    row = (0.1, 0, np.nan, 10, 20, 20)
    process(pending(row))
    with pytest.raises(BadOutput):
        process(pending(row))


def test_an_engines_error_comes_through():
    failed: Future[Outputs] = Future()
    failed.set_exception(EngineError("openvino failed"))
    waiting = pending(GOOD)
    with pytest.raises(EngineError, match="openvino failed"):
        Postprocess(SPEC)(Pending(waiting.frame, waiting.letterbox, failed, 0))


def rgb_frame(picture: np.ndarray) -> Frame:
    return Frame(av.VideoFrame.from_ndarray(picture, "rgb24"), 0, 0, Fraction(1, 25))


@pytest.mark.parametrize(("width", "height"), [(640, 360), (360, 640), (321, 239), (96, 64), (48, 200)])
def test_a_rectangle_in_the_frame_is_found_where_it_is(tmp_path, width, height):
    """Through the real letterbox, a real engine and back: within two pixels of the model's input."""
    model = graphs.rectangle_model(tmp_path / "m.onnx", colours=["red", "blue"], size=(128, 192))
    picture = np.zeros((height, width, 3), np.uint8)
    red = (width // 8, height // 4, width // 2, height // 2)
    blue = (width // 2, height // 2, width, height)  # touches the frame's corner
    for (x0, y0, x1, y1), colour in ((red, (255, 0, 0)), (blue, (0, 0, 255))):
        picture[y0:y1, x0:x1] = colour
    with open_engine(model) as engine:
        result = Postprocess(engine.spec)(Infer(engine)(Preprocess(128, 192)(rgb_frame(picture))))
    assert result.labels.tolist() == [0, 1]
    scale = min(192 / width, 128 / height)
    np.testing.assert_allclose(result.boxes, [red, blue], atol=2 / scale)
    assert result.boxes.min() >= 0
    assert (result.boxes[:, 2:] <= (width, height)).all()


def test_masks_of_what_is_not_kept_are_never_decoded():
    """A family whose masks must be computed, each at a cost: low scores, other classes and boxes outside of the frame cost none."""
    decoded = []

    class Counting:
        def __init__(self, head) -> None:
            self.head = head

        def __call__(self, arrays, letterbox, least):
            assert least == 0.5
            found = self.head(arrays, letterbox, least)

            def masks(rows):
                decoded.append(rows.tolist())
                return found.masks(rows)

            return replace(found, masks=masks, low=100)

    process = Postprocess(SPEC, conf=0.5, classes=["person"])
    process.head = Counting(process.head)
    rows = [(0.6, 0, 10, 20, 50, 60), (0.9, 1, 0, 0, 9, 9), (0.4, 0, 0, 0, 9, 9), (0.8, 0, 300, 0, 400, 50), GOOD]
    result = process(pending(*rows))
    assert decoded == [[4, 0]]
    assert result.scores.tolist() == [np.float32(0.9), np.float32(0.6)]
    assert (process.counters.low_score, process.counters.other_class, process.counters.empty) == (101, 1, 1)


def test_masks_are_the_models_the_whole_box_or_none():
    """A box that the frame cuts off stays its whole mask; where none are wanted none are decoded."""
    rows = pending(GOOD, (0.75, 2, 150, -40, 250, 40), masks=np.full((2, 28, 28), 0.75))
    assert Postprocess(SPEC)(rows).instances.masks.shape == (2, 28, 28)
    whole = Postprocess(SPEC, masks="box")(rows)
    assert whole.boxes.tolist() == [[10, 20, 50, 60], [150, 0, 200, 40]]
    assert whole.instances.masks.tolist() == [[[255]], [[255]]]
    process = Postprocess(SPEC, masks="none")
    alone = process(rows)
    assert alone.boxes.tolist() == whole.boxes.tolist()
    assert alone.instances.masks.shape == (2, 0, 0)
    assert process(pending()).instances.masks.shape == (0, 0, 0)


class BoxesAlone:
    """A head of a family that has no masks."""

    name, layout, gives_masks = "boxes", "boxes alone", False

    def __init__(self, spec):
        pass

    @staticmethod
    def fits(spec):
        return True

    def __call__(self, arrays, letterbox, least):
        n = len(arrays["boxes"])
        return Candidates(arrays["boxes"], arrays["scores"], arrays["labels"].astype(np.int64), np.ones(n, bool), None)


def test_a_family_without_masks_gives_boxes_alone(monkeypatch):
    monkeypatch.setitem(heads.HEADS, "mask-rcnn", BoxesAlone)
    assert not gives_masks(SPEC)
    assert gives_masks(SPEC, None, "box")
    rows = pending(GOOD, detections=1)
    assert not Postprocess(SPEC)(rows).instances.has_masks
    assert Postprocess(SPEC, masks="box")(rows).instances.masks.tolist() == [[[255]]]
