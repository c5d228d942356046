"""Somebody else's ONNX file from the command line: imported, shown, listed, run on a video, measured, removed."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from streamseg import evaluate as ev
from streamseg.hub import catalog, foreign
from tests import clips
from tests.foreign import foreign_model, mask_rcnn_rows

NAMES = {"names": "{0: 'person', 1: 'car'}"}


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    monkeypatch.setenv("STREAMSEG_MODELS", str(tmp_path / "mine"))
    monkeypatch.setenv("STREAMSEG_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def theirs(tmp_path):
    return foreign_model(tmp_path / "Their Model.onnx", mask_rcnn_rows(), metadata=NAMES)


@pytest.fixture
def clip(tmp_path):
    return clips.cfr(tmp_path / "a.mp4", 3, video=clips.Video((192, 192)))


def boxes(path):
    """The boxes of the first frame of a results file, by class."""
    frames = [json.loads(line) for line in path.read_text().splitlines()]
    first = next(frame for frame in frames if frame.get("instances"))
    return {each["class"]: [round(v) for v in each["box"]] for each in first["instances"]}


def test_from_a_file_to_a_video(streamseg, theirs, clip, tmp_path):
    done = streamseg("run", clip, "--model", theirs, "--classes", "all", "-o", tmp_path / "a.jsonl", "--conf", "0.5")
    assert done.returncode == 0, done.stderr
    # A square of 192 lies 64 high and wide in the middle of 64x96: scaled by 1/3, 16 columns of padding on either side.
    assert boxes(tmp_path / "a.jsonl") == {"person": [0, 24, 72, 120], "car": [102, 30, 192, 180]}

    done = streamseg("models", "import", theirs)
    assert done.returncode == 0, done.stderr
    assert "their-model: mask-rcnn, 2 classes" in done.stderr
    about = tmp_path / "mine" / "their-model" / "their-model.yaml"
    assert "fit: letterbox  # assumed: as most models" in about.read_text()
    about.write_text(about.read_text().replace("fit: letterbox", "fit: stretch"))
    done = streamseg("run", clip, "--model", "their-model", "--classes", "all", "-o", tmp_path / "b.jsonl", "--conf", "0.5")
    assert done.returncode == 0, done.stderr
    assert boxes(tmp_path / "b.jsonl") == {"person": [16, 24, 80, 120], "car": [100, 30, 180, 180]}

    (row,) = [row for row in json.loads(streamseg("models", "--json").stdout) if row["name"] == "their-model"]
    assert (row["size"], row["classes"], row["state"]) == ("64x96", ["person", "car"], "imported, mask-rcnn")
    assert streamseg("models", "remove", "their-model").returncode == 0
    assert not about.exists()


def test_labels_that_have_no_name_are_told_after_the_run(streamseg, tmp_path, clip):
    rows = mask_rcnn_rows() | {"labels": np.array([[0, 7, -1]], np.int32)}
    model = foreign_model(tmp_path / "m.onnx", rows, metadata=NAMES)
    done = streamseg("run", clip, "--model", model, "--classes", "all", "-o", tmp_path / "a.jsonl", "--conf", "0.5")
    assert (done.returncode, len(boxes(tmp_path / "a.jsonl"))) == (0, 1)
    said = " ".join(done.stderr.split())
    assert "warning: 3 detections with labels beyond the model's 2 classes (as 7) left out: name all its classes" in said


def test_what_was_assumed_is_shown_with_its_reason(streamseg, theirs):
    shown = streamseg("models", "show", theirs)
    assert shown.returncode == 0, shown.stderr
    rows = [line.split() for line in shown.stdout.splitlines()]
    assert ["input.std", "255,", "255,", "255", "assumed:", "0", "to", "1,", "as", "most", "models"] in rows
    theirs.with_suffix(".yaml").write_text("input: {colour: bgr}\n")
    facts = json.loads(streamseg("models", "show", theirs, "--json").stdout)
    assert facts["values"]["input.colour"] == ["bgr", "Their Model.yaml says so; found was 'rgb'"]
    assert facts["values"]["input.layout"] == ["nchw", "its shape is float32 [1, 3, 64, 96]"]
    assert facts["outputs"]["masks"] == "float32 [1, 3, 28, 28]"
    assert (facts["family"], facts["classes"], facts["engines"]) == ("mask-rcnn", ["person", "car"], "all")
    assert (facts["masks"], ["masks", "yes"] in rows) == (True, True)


def test_a_model_without_masks_says_so(streamseg, tmp_path):
    detector = foreign_model(tmp_path / "detector.onnx", {"output0": np.zeros((1, 300, 6), np.float32)})
    shown = streamseg("models", "show", detector)
    assert "masks none: boxes alone (run --masks box takes each box for its mask)" in " ".join(shown.stdout.split())
    assert json.loads(streamseg("models", "show", detector, "--json").stdout)["masks"] is False


def test_a_foreign_file_is_read_and_hashed_once(theirs, monkeypatch):
    """To tell whose it is, and again to understand it."""
    read, hashed = [], []
    monkeypatch.setattr(foreign, "read_bytes", lambda path: read.append(path) or path.read_bytes())
    digests = foreign.digests
    monkeypatch.setattr(foreign, "digests", lambda *given: hashed.append(given) or digests(*given))
    made, known = catalog.resolve_foreign(theirs)
    assert (read, len(hashed), known.path) == ([theirs], 1, theirs)
    assert catalog.resolve(theirs) == made


def test_ours_are_shown_as_well(streamseg):
    facts = json.loads(streamseg("models", "show", "lite", "--size", "256x448", "--json").stdout)
    assert facts["input"].startswith("256x448, letterbox")
    assert (facts["family"], len(facts["classes"]), facts["values"]) == ("mask-rcnn", 8, {})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            (),
            "classes: there is no 'bicycle', 'motorcycle', 'bus', 'truck'; this model knows person, car; all of them",
        ),
        (("--size", "32x32"), "takes 64x96, not 32x32: leave the size out"),
        (("--family", "mask-rcn"), "--family: 'mask-rcn' is not allowed; allowed: 'auto', 'mask-rcnn'"),
        (
            ("--precision", "int8"),
            "Their Model.onnx is fp32, not int8: leave the precision out, or give a graph that is int8",
        ),
    ],
)
def test_what_such_a_model_cannot_do_is_said(streamseg, theirs, clip, tmp_path, options, said):
    done = streamseg("run", clip, "--model", theirs, *options, "-o", tmp_path / "a.jsonl")
    assert done.returncode in (3, 13)
    assert said in " ".join(done.stderr.split())
    assert not (tmp_path / "a.jsonl").exists()


def test_what_is_no_model_is_told_without_advice_that_leads_nowhere(streamseg, clip, tmp_path):
    """A film was to be imported as a model, by its path, and was an unknown model by its name."""
    done = streamseg("run", clip, "--model", clip, "-o", tmp_path / "a.jsonl")
    assert f"streamseg: {clip} is no model: give an .onnx file, or a name that `streamseg models` lists" in done.stderr
    done = streamseg("run", clip, "--model", "yolo11n.onxx", "-o", tmp_path / "a.jsonl")
    assert "there is no model file yolo11n.onxx; give the path of an .onnx file, or a name" in done.stderr


def test_export_of_a_foreign_graph_says_what_can_be_done_instead(streamseg, theirs, tmp_path):
    assert streamseg("models", "import", theirs).returncode == 0
    for model in (str(theirs), "their-model"):
        done = streamseg("export", model, "-o", tmp_path / "out")
        said = " ".join(done.stderr.split())
        assert (
            f"which runs as it is (streamseg run SOURCE --model {model}): for another size or precision export it anew" in said
        )


def test_a_family_is_for_files_of_others_alone(streamseg, clip, tmp_path):
    done = streamseg("run", clip, "--model", "lite", "--family", "mask-rcnn", "-o", tmp_path / "a.jsonl")
    assert "the model lite is one of streamseg's own, which say what they are: leave the family ('mask-rcnn') out" in " ".join(
        done.stderr.split()
    )


def test_names_and_the_size_are_given_where_the_file_has_none(streamseg, tmp_path, clip):
    path = foreign_model(tmp_path / "any.onnx", mask_rcnn_rows(), metadata=NAMES, shape=(1, 3, "h", "w"))
    names = tmp_path / "names.txt"
    names.write_text("owl\nbarn door\n")
    done = streamseg("models", "import", path, "--classes-file", names, "--size", "96x96", "--name", "owls")
    assert done.returncode == 0, done.stderr
    facts = json.loads(streamseg("models", "show", "owls", "--json").stdout)
    assert (facts["classes"], facts["input"][:5]) == (["owl", "barn door"], "96x96")
    done = streamseg("run", clip, "--model", "owls", "--classes", "owl", "-o", tmp_path / "a.jsonl", "--conf", "0.5")
    assert done.returncode == 0, done.stderr
    assert boxes(tmp_path / "a.jsonl") == {"owl": [16, 16, 80, 80]}  # 192 in 96: halved
    facts = json.loads(streamseg("models", "show", "owls", "--size", "64x192", "--json").stdout)
    assert facts["input"].startswith("64x192")
    names.write_text("owl\n\nbarn door\n")
    assert "names.txt:2: a name is needed" in streamseg("models", "import", path, "--classes-file", names).stderr
    done = streamseg("models", "import", path, "--classes", "owl", "--size", "96x96")
    assert f"1 class named, but {path} has 2: name 2" in done.stderr


def test_it_is_measured_by_the_names_of_its_classes(tmp_path, theirs):
    """The data set numbers its categories otherwise."""
    data = tmp_path / "data"
    (data / "images").mkdir(parents=True)
    cv2.imwrite(str(data / "images" / "1.png"), np.zeros((64, 96, 3), np.uint8))
    things = {7: (8, 8, 32, 32), 3: (50, 10, 40, 50)}
    rows = [
        {"id": i, "image_id": 1, "category_id": i, "area": w * h, "iscrowd": 0, "bbox": [x, y, w, h]}
        | {"segmentation": [[x, y, x + w, y, x + w, y + h, x, y + h]]}
        for i, (x, y, w, h) in things.items()
    ]
    document = {
        "images": [{"id": 1, "file_name": "1.png", "width": 96, "height": 64}],
        "annotations": rows,
        "categories": [{"id": 3, "name": "Car"}, {"id": 7, "name": "person"}],
    }
    (data / "instances.json").write_text(json.dumps(document))
    report = ev.evaluate(data, model=theirs, engine="openvino", threads=1).to_json()
    for name in ("person", "Car"):
        assert report["box"]["per_class"][name] == {"AP": 100, "AP50": 100}
        assert report["mask"]["per_class"][name] == {"AP": 100, "AP50": 100}
