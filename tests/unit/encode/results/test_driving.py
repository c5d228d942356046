"""The formats of driving, each read back by its own tool: TrackEval, Scalabel, kognic-openlabel; and by a spreadsheet's rules."""

import csv
import io
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from streamseg.core.types import Activity, Event, Instances, Occlusion
from streamseg.encode.csv_text import csv_line
from streamseg.encode.results.categories import NUIMAGES, bdd_names, kitti_types, nuimages_names
from tests.scenes import CLASSES
from tests.unit.encode.results.driving import drive, walk
from tests.unit.encode.results.helpers import without_ids, write
from tests.unit.encode.results.test_readers import quiet, shifted

mask_utils = pytest.importorskip("pycocotools.mask", reason="needs the extra 'train'")


def boxes_alone(result):
    found = result.instances
    return replace(result, instances=replace(found, masks=np.zeros((len(found), 0, 0), np.uint8), fine=()))


def empty(result):
    return replace(result, instances=Instances.empty(CLASSES), occlusion=None, scene=None, activity=None)


# --- KITTI ----------------------------------------------------------------------------------------------------------------


def test_kitti_is_what_trackeval_reads(tmp_path):
    trackeval = pytest.importorskip("trackeval")
    made = walk()
    write(tmp_path / "gt" / "label_02" / "0001.kitti.txt", made)
    write(tmp_path / "our" / "data" / "0001.kitti.txt", [shifted(r, 3) for r in made])
    for file in tmp_path.rglob("*.kitti.txt"):
        file.rename(file.with_name("0001.txt"))
    (tmp_path / "gt" / "evaluate_tracking.seqmap.training").write_text(f"0001 empty 000000 {len(made):06d}\n" * 2)
    with quiet():
        data = trackeval.datasets.Kitti2DBox(
            {
                "GT_FOLDER": str(tmp_path / "gt"),
                "TRACKERS_FOLDER": str(tmp_path),
                "TRACKERS_TO_EVAL": ["our"],
                "CLASSES_TO_EVAL": ["pedestrian"],
                "PRINT_CONFIG": False,
            }
        )
        raw = data.get_raw_seq_data("our", "0001")
        sequence = data.get_preprocessed_seq_data(raw, "pedestrian")
        score = trackeval.metrics.HOTA({"PRINT_CONFIG": False}).eval_sequence(sequence)
    assert sequence["num_gt_dets"] == sequence["num_tracker_dets"] == sum(len(r) for r in made)
    assert sequence["num_gt_ids"] == 4
    assert score["AssA"].mean() == pytest.approx(1.0, abs=0.2)
    assert 0.6 < score["LocA"].mean() < 0.99, "three pixels off, not more"


def test_kitti_says_what_is_known_and_the_kits_values_where_nothing_is(tmp_path):
    made = drive(3)
    n = len(made[1])
    extents = made[1].boxes.copy()
    extents[0] = [-100, 10, 100, 110]  # half of it is outside, less than half of the rest is seen
    hidden = Occlusion(np.full(n, 0.4, np.float32), np.zeros(n, np.int64), np.arange(n), np.arange(n) == 0, extents)
    one = made[1].instances.boxes.copy()
    one[0] = [0, 10, 60, 110]
    made[1] = replace(made[1], instances=replace(made[1].instances, boxes=one), occlusion=hidden)
    made[2] = replace(made[2], occlusion=None, scene=None)
    made.append(replace(without_ids(made[0]), frame=replace(made[0].frame, index=3)))
    sink = write(tmp_path / "a.kitti.txt", made)
    lines = [line.split(" ") for line in (tmp_path / "a.kitti.txt").read_text().splitlines()]
    assert {len(line) for line in lines} == {18}
    assert {line[0] for line in lines} == {"0", "1", "2"}
    first, *_, last = [line for line in lines if line[0] == "1"]
    assert first[2:10] == ["Pedestrian", "1", "2", "-10", "0.00", "10.00", "100.00", "110.00"], "amodal, inside the frame"
    assert first[10:18] == ["-1", "-1", "-1", "-1.00", "1.40", "10.00", "-10", "0.9000"]
    assert last[13:16] == ["-1000.00"] * 3
    unknown = next(line for line in lines if line[0] == "2")
    assert unknown[3:5] == ["-1", "3"]
    assert unknown[13:16] == ["-1000.00"] * 3
    assert any(f"{len(made[3])} masks that belong to no track" in words for words in sink.warnings)


# --- BDD100K --------------------------------------------------------------------------------------------------------------


def test_bdd_is_what_trackeval_reads(tmp_path):
    trackeval = pytest.importorskip("trackeval")
    made = [*walk(6), empty(walk(7)[6])]
    (tmp_path / "gt").mkdir()
    write(tmp_path / "our" / "data" / "a.bdd.json", [shifted(r, 3) if len(r) else r for r in made])
    (tmp_path / "our" / "data" / "a.bdd.json").rename(tmp_path / "our" / "data" / "a.json")
    truth = [{"index": r.frame.index, "labels": [label(r, i) for i in range(len(r))]} for r in made]
    (tmp_path / "gt" / "a.json").write_text(json.dumps(truth))
    with quiet():
        data = trackeval.datasets.BDD100K(
            {
                "GT_FOLDER": str(tmp_path / "gt"),
                "TRACKERS_FOLDER": str(tmp_path),
                "TRACKERS_TO_EVAL": ["our"],
                "PRINT_CONFIG": False,
            }
        )
        raw = data.get_raw_seq_data("our", "a")
        sequence = data.get_preprocessed_seq_data(raw, "pedestrian")
        score = trackeval.metrics.HOTA({"PRINT_CONFIG": False}).eval_sequence(sequence)
    assert sequence["num_tracker_dets"] == sequence["num_gt_dets"] == sum(len(r) for r in made)
    assert score["AssA"].mean() == pytest.approx(1.0, abs=0.2)


def label(result, i):
    x1, y1, x2, y2 = (float(v) for v in result.boxes[i])
    return {"id": str(result.track_ids[i]), "category": "pedestrian", "box2d": {"x1": x1, "y1": y1, "x2": x2 - 1, "y2": y2 - 1}}


def test_bdd_holds_masks_boxes_and_attributes_as_scalabel_has_them(tmp_path):
    made = [*drive(3), empty(walk(4)[3])]
    write(tmp_path / "a.bdd.json", made)
    frames = json.loads((tmp_path / "a.bdd.json").read_text())
    assert [f["frameIndex"] for f in frames] == [0, 1, 2, 3]
    assert frames[3]["labels"] == []
    assert len({f["name"] for f in frames}) == 4
    assert frames[0]["size"] == {"width": 640, "height": 360}
    assert frames[0]["intrinsics"]["focal"] == [500, 500]
    assert frames[0]["intrinsics"]["radial"] == [0.1, 0.01, 0.0], "k1, k2, k3; OpenCV has them in another order"
    for frame, result in zip(frames, made, strict=True):
        whole = list(result.segments(disjoint=True)) if len(result) else []
        for i, told in enumerate(frame["labels"]):
            (x0, y0, x1, y1), crop = whole[i]
            mask = mask_utils.decode(told["rle"]).astype(bool)
            assert np.array_equal(mask[y0:y1, x0:x1], crop)
            assert mask.sum() == crop.sum()
            box = [told["box2d"][k] for k in ("x1", "y1", "x2", "y2")]
            assert np.allclose(box, result.boxes[i] - [0, 0, 1, 1], atol=0.01), "Scalabel's last pixel lies inside"
            assert told["attributes"]["occluded"] == (result.occlusion.visible[i] < 0.95)
    assert frames[0]["labels"][0]["attributes"]["ttc"] == 2.0
    assert "ttc" not in frames[0]["labels"][-1]["attributes"], "not known"


def test_bdd_and_scalabels_own_reader(tmp_path):
    io_module = pytest.importorskip("scalabel.label.io", reason="read with scalabel, which is not installed")
    write(tmp_path / "a.bdd.json", drive(3))
    data = io_module.load(str(tmp_path / "a.bdd.json"))
    assert [frame.frameIndex for frame in data.frames] == [0, 1, 2]
    assert data.frames[0].labels[0].category == "pedestrian"
    assert len(io_module.group_and_sort(data.frames)) == 1


def test_classes_have_the_names_of_each_data_set():
    names = ("person", "car", "motorcycle", "dog", "rider", "Traffic_Light", "sofa")
    assert kitti_types(names) == ["Pedestrian", "Car", "Misc", "Misc", "Cyclist", "Misc", "Misc"]
    assert bdd_names(names) == ["pedestrian", "car", "motorcycle", None, "rider", "traffic light", None]
    assert nuimages_names(names)[:4] == ["human.pedestrian.adult", "vehicle.car", "vehicle.motorcycle", "animal"]
    assert nuimages_names(names)[4:] == [None, None, None]
    assert nuimages_names(["vehicle.ego"]) == ["vehicle.ego"]
    assert len(NUIMAGES) == len(set(NUIMAGES)) == 25


def test_what_a_data_set_has_no_name_for_is_said(tmp_path):
    made = walk(2)
    made = [replace(r, instances=replace(r.instances, class_names=("sofa", *CLASSES[1:]))) for r in made]
    sink = write(tmp_path / "a.bdd.json", made)
    assert any("of class 'sofa' are left out" in words for words in sink.warnings)
    assert [frame["labels"] for frame in json.loads((tmp_path / "a.bdd.json").read_text())] == [[], []]


# --- OpenLABEL ------------------------------------------------------------------------------------------------------------


def opened(path):
    return json.loads(path.read_text())["openlabel"]


def test_openlabel_is_what_its_model_takes(tmp_path):
    models = pytest.importorskip("kognic.openlabel.models")
    made = drive(5)
    gone = replace(made[3], instances=made[3].instances[made[3].track_ids != 1], occlusion=None, scene=None)
    made = [*made[:3], gone, made[4], replace(empty(made[0]), frame=replace(made[0].frame, index=5))]
    write(tmp_path / "a.openlabel.json", made)
    read = models.OpenLabelAnnotation.model_validate_json((tmp_path / "a.openlabel.json").read_text())
    data = read.openlabel
    assert list(data.frames) == ["0", "1", "2", "3", "4", "5"]
    assert data.frame_intervals[0].model_dump() == {"frame_start": 0, "frame_end": 5}
    intervals = {uid: [(i.frame_start, i.frame_end) for i in o.frame_intervals] for uid, o in data.objects.items()}
    assert intervals["1"] == [(0, 2), (4, 4)], "closed, and a gap is none"
    assert intervals["2"] == [(0, 4)]
    for uid, frame in data.frames.items():
        there = {o for o, spans in intervals.items() if any(a <= int(uid) <= b for a, b in spans)}
        assert set(frame.objects) == there, "what is in the intervals is in the frames"
    assert data.objects["1"].type == "person"
    camera = data.streams["camera"].stream_properties
    assert camera["intrinsics_pinhole"]["camera_matrix"] == [500, 0, 320, 0, 0, 500, 180, 0, 0, 0, 1, 0]
    assert len(camera["intrinsics_pinhole"]["distortion_coeffs"]) == 5


def test_openlabel_holds_masks_to_the_pixel_and_boxes_by_their_middle(tmp_path):
    made = drive(2)
    ring = np.zeros((28, 28), np.uint8)
    ring[4:24, 4:24] = 255
    ring[10:18, 10:18] = 0  # a hole
    masks = made[0].instances.masks.copy()
    masks[0] = ring
    made[0] = replace(made[0], instances=replace(made[0].instances, masks=masks))
    write(tmp_path / "a.openlabel.json", made)
    frames = opened(tmp_path / "a.openlabel.json")["frames"]
    holes = 0
    for result in made:
        objects = frames[str(result.frame.index)]["objects"]
        for i, (mask, box) in enumerate(zip(result.masks, result.boxes, strict=True)):
            data = objects[str(result.track_ids[i])]["object_data"]
            lines = [np.floor(np.reshape(p["val"], (-1, 1, 2))).astype(np.int32) for p in data["poly2d"]]
            filled = cv2.fillPoly(np.zeros((360, 640), np.uint8), lines, 1).astype(bool)
            assert np.array_equal(filled, mask)
            holes += sum(p["hierarchy"][3] >= 0 for p in data["poly2d"])
            x, y, w, h = data["bbox"][0]["val"]
            assert np.allclose([x - w / 2, y - h / 2, x + w / 2, y + h / 2], box, atol=0.01)
    assert holes == 1


def test_openlabel_holds_numbers_with_their_deviations_and_events(tmp_path):
    made = drive(4)
    write(tmp_path / "a.openlabel.json", made)
    data = opened(tmp_path / "a.openlabel.json")
    first = data["frames"]["1"]["objects"][str(made[1].track_ids[0])]["object_data"]
    numbers = {each["name"]: each["val"] for each in first["num"]}
    assert (numbers["ttc"], numbers["ttc_std"], numbers["distance"]) == (2.0, 0.5, 10.0)
    assert first["point3d"][0]["val"] == [10.0, 1.0, 0.0], "ISO 8855: ahead, left, up"
    (event,) = data["events"].values()
    assert event["type"] == "alert"
    assert event["frame_intervals"] == [{"frame_start": 1, "frame_end": 1}], "when it happened, not when it was certain"
    assert {"name": "gap", "val": 7.0} in event["event_data"]["num"]
    (relation,) = data["relations"].values()
    assert relation["rdf_objects"] == [{"type": "object", "uid": str(made[2].track_ids[0])}]


def test_openlabel_by_the_standards_own_schema(tmp_path):
    from importlib import resources

    jsonschema = pytest.importorskip("jsonschema")
    pytest.importorskip("kognic.openlabel")
    write(tmp_path / "a.openlabel.json", [*drive(3), boxes_alone(drive(4, camera=None)[3])])
    text = resources.files("kognic.openlabel.schemas").joinpath("openlabel-1-0-0.json").read_text("utf-8")
    schema = json.loads(text)
    jsonschema.validators.validator_for(schema)(schema).validate(json.loads((tmp_path / "a.openlabel.json").read_text()))


# --- events ---------------------------------------------------------------------------------------------------------------


def table(path):
    return list(csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")))


def test_events_are_a_table(tmp_path):
    made = drive(4)
    found = made[2].instances
    named = replace(found, track_names={int(found.track_ids[0]): 'Jörg "J", 2'})
    leave = Event("leave", 0.08, int(found.track_ids[0]), "person", "=gate", seconds=1.5, utc=1796058000.5)
    told = Activity({}, {}, {}, {}, (*made[2].activity.events, leave))
    made[2] = replace(made[2], instances=named, activity=told)
    write(tmp_path / "a.events.csv", made)
    data = (tmp_path / "a.events.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    assert data.count(b"\r\n") == data.count(b"\n") == 3
    alert, left = table(tmp_path / "a.events.csv")
    assert (float(alert["time"]), alert["kind"]) == (pytest.approx(made[1].time), "alert")
    assert (alert["class"], alert["frame"]) == ("person", "2")
    assert (alert["ttc"], alert["ttc_std"], alert["distance"], alert["details"]) == ("1.9", "0.3", "", "gap=7")
    assert (left["name"], left["place"], left["seconds"]) == ('Jörg "J", 2', "'=gate", "1.5")
    assert left["utc"] == "2026-11-30T17:00:00.500Z"


def test_a_film_without_events_leaves_the_names_of_the_columns(tmp_path):
    write(tmp_path / "a.events.csv", walk(2))
    assert table(tmp_path / "a.events.csv") == []
    assert b"ttc_std" in (tmp_path / "a.events.csv").read_bytes()


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "＝1+1"])
def test_no_text_of_a_table_is_run_by_a_spreadsheet(text):
    (read,) = next(csv.reader(io.StringIO(csv_line([text]).decode(), newline="")))
    assert read == "'" + text


def test_numbers_of_a_table_stay_numbers():
    assert csv_line([-3.5, "-3.5", 1e-7, None, 0, -0.0, 12.0]) == b"-3.5,-3.5,0,,0,0,12\r\n"
