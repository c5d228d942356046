"""`streamseg eval` from photos to figures, with a model that finds coloured rectangles."""

import base64
import json
import re
import struct
import sys

import cv2
import numpy as np
import pytest

from streamseg import evaluate as ev
from streamseg.cli.main import main
from streamseg.detect.heads.mask_rcnn import MaskRCNN
from streamseg.errors import ConfigError, OutputExists, OutputIsInput, SourceNotFound
from streamseg.errors.extras import how_to_install
from tests import graphs

COLOURS = {"person": (255, 0, 0), "bicycle": (0, 255, 0), "car": (0, 0, 255), "motorcycle": (255, 255, 255)}
IDS = {"person": 1, "bicycle": 2, "car": 3, "motorcycle": 4}
SCENES = [
    ((96, 64), {"person": (8, 8, 32, 40), "car": (50, 10, 30, 30)}),
    # Twice the model's input: it sees every rectangle at half its size.
    ((192, 128), {"person": (100, 20, 60, 80), "bicycle": (10, 10, 60, 40)}),
    # Upright: letterboxed, with grey at the sides.
    ((64, 128), {"car": (0, 20, 40, 90)}),
    ((96, 64), {}),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return graphs.rectangle_model(tmp_path_factory.mktemp("model") / "rectangles.onnx")


@pytest.fixture
def data(tmp_path):
    """data(**changes): the scenes as a COCO data set with these keys of the document changed; returns its folder."""

    def make(scenes=SCENES, **changes):
        folder = tmp_path / "data"
        (folder / "images").mkdir(parents=True, exist_ok=True)
        images, annotations = [], []
        for number, ((width, height), things) in enumerate(scenes, 1):
            picture = np.full((height, width, 3), 60, np.uint8)
            for name, (x, y, w, h) in things.items():
                picture[y : y + h, x : x + w] = COLOURS[name][::-1]
                corners = [[x, y, x + w, y, x + w, y + h, x, y + h]]
                row = {"id": len(annotations) + 1, "image_id": number, "category_id": IDS[name], "area": w * h, "iscrowd": 0}
                annotations.append(row | {"bbox": [x, y, w, h], "segmentation": corners})
            cv2.imwrite(str(folder / "images" / f"{number}.png"), picture)
            images.append({"id": number, "file_name": f"{number}.png", "width": width, "height": height})
        categories = [{"id": identity, "name": name} for name, identity in IDS.items()]
        document = {"images": images, "annotations": annotations, "categories": categories}
        (folder / "instances.json").write_text(json.dumps({**document, **changes}))
        return folder

    return make


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_a_model_that_is_right_scores_one_hundred_in_every_engine(data, model, engine):
    told, steps = [], []
    done = ev.evaluate(
        data(), model=model, engine=engine, threads=1, on_message=told.append, on_progress=lambda *t: steps.append(t)
    )
    report = done.to_json()
    for name in ("person", "bicycle", "car"):
        assert report["box"]["per_class"][name] == {"AP": 100, "AP50": 100}
        assert report["mask"]["per_class"][name] == {"AP": 100, "AP50": 100}
    assert report["mask"]["per_class"]["motorcycle"] == {"AP": None, "AP50": None}
    assert report["apr"]["50"] == report["apr"]["70"] == report["boundary"]["f"] == 100
    # All but single pixels at corners, where a soft mask falls below one half.
    assert min(report["pq"]["PQ"], report["semantic"]["mean_iou"], report["semantic"]["pixel_accuracy"]) > 99.9
    assert (report["images"], report["objects"], report["detections"]) == (4, 5, 5)
    assert (report["engine"], report["model"], report["size"], report["precision"]) == (engine, "test", "64x96", "fp32")
    assert len(report["sha256"]) == 64
    assert engine in told[0]
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert any("truck" in sentence for sentence in report["warnings"])


def test_both_engines_find_the_same(data, model):
    folder = data()
    rows = [ev.evaluate(folder, model=model, engine=engine, threads=1).coco_results() for engine in ("openvino", "onnxruntime")]
    assert rows[0] == rows[1]
    (folder / "found.json").write_text(json.dumps(rows[0]))
    assert ev.coco_ap(folder / "instances.json", folder / "found.json")["mask"]["AP50"] == pytest.approx(100)


def test_what_is_not_labelled_is_not_false(data, model):
    scenes = [((96, 64), {"person": (8, 8, 32, 40), "car": (50, 10, 30, 30)})]
    folder = data(scenes)
    document = json.loads((folder / "instances.json").read_text())
    document["annotations"] = [a for a in document["annotations"] if a["category_id"] == 1]

    def quality():
        (folder / "instances.json").write_text(json.dumps(document))
        return ev.evaluate(folder, model=model).scores.pq["per_class"]["car"]

    assert quality()["FP"] == 1
    document["images"][0]["labelled_category_ids"] = [1]
    assert quality()["FP"] == 0


def test_photos_that_cannot_be_read_are_counted(data, model):
    folder = data()
    (folder / "images" / "1.png").write_text("not a picture")
    cv2.imwrite(str(folder / "images" / "2.png"), np.zeros((9, 9, 3), np.uint8))
    (folder / "images" / "3.png").unlink()
    done = ev.evaluate(folder, model=model)
    assert len(done.cases) == 1
    sentences = " ".join(done.warnings)
    for message in (
        "2 × photo that cannot be read, left out",
        "1.png",
        "9x9",
        "192x128",
        "1 × image file is missing, left out",
    ):
        assert message in sentences


@pytest.mark.parametrize(
    ("tag", "size", "box"),
    [
        (3, (96, 64), (56, 16, 32, 40)),
        (6, (64, 96), (16, 8, 40, 32)),
        (8, (64, 96), (8, 56, 40, 32)),
        (6, (96, 64), (8, 8, 32, 40)),
    ],
    ids=["upside down", "clockwise", "counter-clockwise", "annotated as stored"],
)
def test_the_orientation_that_a_camera_notes_is_heeded_if_the_annotations_do(data, model, tag, size, box):
    """EXIF orientation, CIPA DC-008. Stored: 96x64 with a rectangle of 32x40 at (8, 8)."""
    folder = data([(size, {})])
    stored = np.full((64, 96, 3), 60, np.uint8)
    stored[8:48, 8:40] = (0, 0, 255)
    jpeg = cv2.imencode(".jpg", stored, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    exif = b"Exif\0\0II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, tag, 0, 0)
    tagged = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]
    (folder / "images" / "1.png").write_bytes(tagged)
    [case] = ev.evaluate(folder, model=model).cases
    assert case.detections[0].box == pytest.approx(box, abs=2)


def test_nonsense_from_the_network_is_said(data, tmp_path):
    broken = graphs.constant_model(tmp_path / "nan.onnx", boxes=[[1, 1, 20, 20], [40, 5, 60, 30]], scores=[np.nan, 0.9])
    done = ev.evaluate(data(), model=broken)
    assert sum(len(case.detections) for case in done.cases) == 4
    assert any(s.startswith("4 × detection that is not finite or impossible, left out") for s in done.warnings)


def test_objects_unknown_to_the_model_are_said_and_left_out(data, model):
    categories = [{"id": identity, "name": name} for name, identity in IDS.items()] + [{"id": 50, "name": "spoon"}]
    folder = data(categories=categories)
    document = json.loads((folder / "instances.json").read_text())
    document["annotations"].append(document["annotations"][0] | {"id": 99, "category_id": 50})
    document["images"][0]["exhaustive"] = False
    (folder / "instances.json").write_text(json.dumps(document))
    done = ev.evaluate(folder, model=model)
    assert "spoon" not in done.to_json()["classes"]
    assert done.scores.mask["AP"] == pytest.approx(100)
    assert any("does not know spoon" in sentence for sentence in done.warnings)
    assert any("1 photos are not labelled exhaustively" in sentence for sentence in done.warnings)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"conf": 2}, "conf is 2"), ({"limit": 0}, "limit is 0"), ({"size": "big"}, "size: 'big'"), ({"engine": "cuda"}, "cuda")],
)
def test_bad_options(data, model, options, message):
    with pytest.raises(ConfigError, match=message):
        ev.evaluate(data(), model=model, **options)


def test_what_is_sure_enough_is_as_the_model_says(data, tmp_path):
    model = graphs.constant_model(tmp_path / "m.onnx", scores=[0.4], metadata={"streamseg.conf": "0.3"})
    assert [ev.evaluate(data(), model=model, **given).to_json()["conf"] for given in ({}, {"conf": 0.7})] == [0.3, 0.7]


def test_the_page_shows_the_worst_photos(data, model, tmp_path):
    folder = data()
    document = json.loads((folder / "instances.json").read_text())
    document["annotations"][0]["category_id"] = 2  # the person of photo 1 is now missed and false
    document["images"][1]["file_name"] = "<b>&.png"
    (folder / "images" / "2.png").rename(folder / "images" / "<b>&.png")
    (folder / "instances.json").write_text(json.dumps(document))
    done = ev.evaluate(folder, model=model)
    worst = done.worst(2)
    assert worst[0][0].photo.image_id == 1
    assert worst[0][1] == pytest.approx(50, abs=1)  # one matched of one false, one missed
    page = tmp_path / "worst.html"
    ev.write_page(done, page, 3)
    text = page.read_text()
    assert text.count("<figure>") == 3
    assert "1 matched, 1 false, 1 missed" in text
    assert "&lt;b&gt;&amp;.png" in text
    assert "<b>&.png" not in text
    assert not re.search(r"(src|href)=\"(?!data:)", text)
    pictures = [cv2.imdecode(np.frombuffer(base64.b64decode(p), np.uint8), 1) for p in re.findall(r"base64,([^\"]+)", text)]
    assert len(pictures) == 6
    found, true = pictures[0][..., ::-1].astype(int), pictures[1][..., ::-1].astype(int)
    # Photo 1, inside the red rectangle (under its label): vermillion over it where it was found, yellow where it is missed.
    assert np.abs(found[40, 24] - (0.55 * np.array([255, 0, 0]) + 0.45 * np.array([213, 94, 0]))).max() < 12
    assert np.abs(true[40, 24] - (0.55 * np.array([255, 0, 0]) + 0.45 * np.array([240, 228, 66]))).max() < 12


@pytest.fixture
def command(monkeypatch, capfd):
    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["streamseg", "eval", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        return ended.value.code or 0, out, err

    return call


def test_the_command(command, data, model, tmp_path):
    folder, written, page = data(), tmp_path / "new" / "q.json", tmp_path / "p.html"
    code, out, err = command(
        folder,
        "--model",
        model,
        "--json",
        written,
        "--page",
        page,
        "--worst",
        1,
        "--pool",
        "wheels=bicycle,car,motorcycle",
        "--limit",
        3,
    )
    assert code == 0, err
    assert "engine: " in err
    assert out.count("wheels (pooled)") == 1  # in the table of AP only
    [ranked, confident] = [line.split() for line in out.splitlines() if line.strip().startswith("person")]
    assert ranked == ["person", *["100.0"] * 6]
    assert (len(confident), confident[-1]) == (8, "2")
    assert "3 photos, 5 objects, 5 detections" in out
    report = json.loads(written.read_text())
    assert report["box"]["pools"]["wheels"]["AP"] == report["mask"]["AP"] == 100
    assert report["mask"]["per_class"]["motorcycle"]["AP"] is None
    assert page.read_text().count("<figure>") == 1


def test_the_command_refuses(command, data, model, tmp_path):
    folder = data()
    before = (folder / "instances.json").read_bytes()
    video = tmp_path / "talk.mp4"
    video.write_bytes(b"mine")
    for arguments, error in (
        (["--json", folder / "instances.json"], OutputIsInput),
        (["--page", folder / "images" / "1.png"], OutputIsInput),
        (["--json", model], OutputIsInput),
        (["--json", video], OutputExists),
        (["--pool", "wheels=tram"], ConfigError),
        (["--images", tmp_path / "none"], SourceNotFound),
    ):
        code, _, err = command(folder, "--model", model, *arguments)
        assert code == error.exit_code, err
        assert err.splitlines()[-1].startswith("streamseg: ")
        assert "Traceback" not in err
    assert ((folder / "instances.json").read_bytes(), video.read_bytes()) == (before, b"mine")
    code, _, err = command(tmp_path / "none.json", "--model", model)
    assert (code, "none.json" in err) == (SourceNotFound.exit_code, True)


def test_the_extra_is_named_where_it_is_missing(command, data, monkeypatch):
    for name in [name for name in sys.modules if name.startswith(("streamseg.evaluate", "pycocotools"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("streamseg.evaluate", raising=False)
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    code, _, err = command(data())
    assert code == 17, err
    assert how_to_install("eval") in err


def test_of_boxes_alone_box_ap_is_measured(command, data, model, tmp_path, monkeypatch):
    """No figure of masks is made up for a model that has none."""
    monkeypatch.setattr(MaskRCNN, "__init__", lambda self, spec: setattr(self, "gives_masks", False))
    written, page = tmp_path / "q.json", tmp_path / "p.html"
    code, out, err = command(data(), "--model", model, "--json", written, "--page", page, "--pool", "w=bicycle,car")
    assert code == 0, err
    report = json.loads(written.read_text())
    assert report["box"]["AP"] == report["box"]["pools"]["w"]["AP"] == 100
    assert [report[name] for name in ("mask", "apr", "semantic", "pq", "boundary", "calibration")] == [None] * 6
    assert "box  AP 100.0" in out
    assert "mask " not in out.replace("mask AP", "")
    assert "boxes alone" in " ".join(out.split())
    assert page.read_text().count("<figure>") == 0
    rows = ev.evaluate(tmp_path / "data", model=model, threads=1).coco_results()
    assert len(rows) == 5
    assert "segmentation" not in rows[0]
    assert len(rows[0]["bbox"]) == 4


def test_without_masks_the_model_is_measured_without_its_mask_branch(command, data, model):
    code, out, err = command(data(), "--model", model, "--masks", "none")
    assert code == 0, err
    assert "box  AP 100.0" in out
    assert "boxes alone" in " ".join(out.split())
    assert "AR10 100.0, AR100 100.0" in out


def test_what_knows_no_classes_is_measured_by_objects_alone(data, tmp_path):
    """Of two persons, a car and a bicycle it finds what is red, the persons: half of the objects."""

    part = graphs.rectangle_model(
        tmp_path / "red.onnx", colours=["red"], classes=["object"], metadata={"streamseg.part": "class-agnostic"}
    )
    done = ev.evaluate(data(scenes=SCENES[:2]), model=part, threads=1, head="class-agnostic")
    assert list(done.to_json()["classes"]) == ["object"]
    report = done.to_json()
    assert report["objects"] == 4
    assert report["box"]["AR100"] == report["mask"]["AR100"] == 50
    assert report["box"]["per_class"].keys() == {"object"}


@pytest.mark.parametrize("wrong", [{"head": "x"}, {"masks": "box"}])
def test_parts_that_cannot_be_measured(data, model, wrong):
    with pytest.raises(ConfigError, match="allowed: "):
        ev.evaluate(data(), model=model, **wrong)
