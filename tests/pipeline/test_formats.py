"""All formats and events at once, from a video to files: what a user gets with several -o."""

import csv
import io
import json
import zipfile
from importlib import resources

import cv2
import numpy as np
import pytest

import streamseg
from streamseg.cli.main import main
from streamseg.encode.results.jsonl import SCHEMA
from streamseg.errors import ConfigError
from streamseg.pipeline.build import build_pipeline
from tests import clips, graphs

jsonschema = pytest.importorskip("jsonschema", reason="needs the extra 'dev'")
mask_utils = pytest.importorskip("pycocotools.mask", reason="needs the extra 'train'")

WIDTH, HEIGHT, FRAMES = 96, 64, 30
EVENTS = """
events:
  confirm: 0.2
  hold: 0.1
  lines: {middle: [[0.5, 0], [0.5, 1]]}
  zones: {left: {points: [[0, 0], [40, 0], [40, 64], [0, 64]], dwell: 0.2s, classes: person}}
outputs: {picture: {composite: [overlay, zones, counts]}}
"""


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """A red box (person) goes from left to right, a green one (bicycle) stands; lossless, so that colours are exact."""
    return clips.moving_boxes(tmp_path_factory.mktemp("film") / "boxes.mkv", FRAMES)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return graphs.rectangle_model(tmp_path_factory.mktemp("model") / "boxes.onnx", size=(HEIGHT, WIDTH))


def config(text, model):
    made = streamseg.config.parse_pipeline(text, "test.yaml")
    return made.model_copy(update={"infer": made.infer.model_copy(update={"model": str(model), "threads": 1})})


@pytest.fixture(scope="module")
def outputs(film, model, tmp_path_factory):
    """One run, all formats."""
    folder = tmp_path_factory.mktemp("out")
    names = ["a.jsonl", "a.mots.txt", "a.mots/", "a.coco.json", "a.ytvis.json", "a.cvat.zip", "a.mkv"]
    names += ["a.kitti.txt", "a.bdd.json", "a.openlabel.json", "a.events.csv"]
    report = build_pipeline(film, config(EVENTS, model), [f"{folder}/{name}" for name in names]).run()
    return folder, report


def test_the_frames_of_a_part_have_the_numbers_of_the_film(film, model, tmp_path):
    """They began with 0: labels of CVAT lay on other pictures of the video than they were made for."""
    names = ["a.jsonl", "a.mots.txt", "a.mots/", "a.coco.json", "a.ytvis.json", "a.cvat.zip", "a/%04d.png"]
    text = "decode: {start: 0.4, duration: 0.2}\noutputs: {picture: {composite: []}}"
    build_pipeline(film, config(text, model), [f"{tmp_path}/{name}" for name in names]).run()
    part = list(range(10, 15))
    assert [line["frame"] for line in lines(tmp_path / "a.jsonl")[1:] if "event" not in line] == part
    assert {int(line.split()[0]) for line in (tmp_path / "a.mots.txt").read_text().splitlines()} <= set(part)
    assert sorted(p.name for p in (tmp_path / "a.mots").iterdir()) == [f"{i:06d}.png" for i in part]
    coco, tracks = (json.loads((tmp_path / f"a.{kind}.json").read_text()) for kind in ("coco", "ytvis"))
    assert [image["file_name"] for image in coco["images"]] == [f"{i:06d}.jpg" for i in part]
    assert {a["image_id"] for a in coco["annotations"]} <= {image["id"] for image in coco["images"]}
    assert tracks["videos"][0]["file_names"] == [f"boxes/{i:05d}.jpg" for i in part]
    with zipfile.ZipFile(tmp_path / "a.cvat.zip") as archive:
        assert [n for n in archive.namelist() if n.endswith("jpg")] == [f"default/images/frame_{i:06d}.jpg" for i in part]
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == [f"{i:04d}.png" for i in part]


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_line_is_as_the_schema_says(outputs):
    text = resources.files("streamseg.encode.results").joinpath("results.schema.json").read_text("utf-8")
    validator = jsonschema.Draft202012Validator(json.loads(text))
    validator.check_schema(validator.schema)
    written = lines(outputs[0] / "a.jsonl")
    for line in written:
        validator.validate(line)
    assert written[0]["schema"] == SCHEMA
    assert sum("frame" in line and "event" not in line for line in written) == FRAMES
    assert {line["event"] for line in written if "event" in line} == {"count", "enter", "dwell", "leave", "cross"}


@pytest.mark.parametrize(
    "change",
    [
        {"time": None},
        {"instances": [{}]},
        {"surprise": 1},
        {"event": "cross"},
        {"total": {"person": 0}},
    ],
)
def test_the_schema_refuses_what_is_wrong(outputs, change):
    text = resources.files("streamseg.encode.results").joinpath("results.schema.json").read_text("utf-8")
    line = lines(outputs[0] / "a.jsonl")[1] | change
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(json.loads(text)).validate(line)


def test_events_say_what_happened_once(outputs):
    folder, report = outputs
    events = [line for line in lines(folder / "a.jsonl") if "event" in line]
    people = [e for e in events if e["class"] == "person"]
    assert [e["event"] for e in people if e["event"] != "count"] == ["enter", "dwell", "leave", "cross"]
    leave, cross = people[-2:]
    # The middle of the red box, x = 14 + 2 i, passes 40 with frame 13 and 48 with frame 17, at 25 frames a second.
    assert leave["time"] == pytest.approx(13 / 25, abs=0.09)
    assert cross["time"] == pytest.approx(17 / 25, abs=0.09)
    assert (cross["place"], cross["direction"]) == ("middle", "right_to_left")
    assert not [e for e in events if e["class"] == "bicycle" and e["event"] != "count"]
    assert report.objects == {"person": 1, "bicycle": 1}
    assert report.events["lines"] == {"middle": {"left_to_right": 0, "right_to_left": 1}}
    assert (report.events["zones"]["left"]["entered"], report.events["zones"]["left"]["left"]) == (1, 1)
    last = [line for line in lines(folder / "a.jsonl") if "event" not in line][-1]
    assert last["now"] == last["total"] == {"person": 1, "bicycle": 1}


def test_all_formats_tell_of_the_same_masks(outputs):
    folder, _ = outputs
    truth = {}
    for frame in (line for line in lines(folder / "a.jsonl")[1:] if "event" not in line):
        for instance in frame["instances"]:
            truth[frame["frame"], instance["track_id"]] = mask_utils.decode(instance["mask"]).astype(bool)
    assert len(truth) == 2 * FRAMES
    coco = json.loads((folder / "a.coco.json").read_text())
    from_coco = {(a["image_id"] - 1, a["track_id"]): mask_utils.decode(a["segmentation"]) for a in coco["annotations"]}
    video = json.loads((folder / "a.ytvis.json").read_text())
    from_video = {
        (t, a["id"]): mask_utils.decode(mask_utils.frPyObjects(mask, HEIGHT, WIDTH))
        for a in video["annotations"]
        for t, mask in enumerate(a["segmentations"])
        if mask
    }
    from_text = {}
    for line in (folder / "a.mots.txt").read_text().splitlines():
        frame, track, _, height, width, counts = line.split(" ")
        from_text[int(frame), int(track)] = mask_utils.decode({"size": [int(height), int(width)], "counts": counts.encode()})
    from_bdd = {
        (frame["frameIndex"], int(label["id"])): mask_utils.decode(label["rle"])
        for frame in json.loads((folder / "a.bdd.json").read_text())
        for label in frame["labels"]
    }
    for told in (from_coco, from_video, from_text, from_bdd):
        assert told.keys() == truth.keys()
        assert all(np.array_equal(told[key].astype(bool), mask) for key, mask in truth.items())
    with zipfile.ZipFile(folder / "a.cvat.zip") as archive:
        for t in range(FRAMES):
            packed = archive.read(f"default/instances/frame_{t:06d}.png")
            pictures = [
                cv2.imread(str(folder / "a.mots" / f"{t:06d}.png"), -1),
                cv2.imdecode(np.frombuffer(packed, np.uint8), -1),
            ]
            for picture in pictures:
                found = [picture == value for value in np.unique(picture) if value]
                assert len(found) == 2
                assert all(any(np.array_equal(truth[t, k], mask) for mask in found) for k in {key[1] for key in truth})


def test_the_table_of_events_says_what_the_lines_say(outputs):
    folder, _ = outputs
    said = [line for line in lines(folder / "a.jsonl") if "event" in line]
    text = (folder / "a.events.csv").read_bytes().decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [(r["kind"], int(r["track"]), r["class"], r["place"]) for r in rows] == [
        (e["event"], e["track_id"], e["class"], e.get("place", "")) for e in said
    ]
    assert [float(r["time"]) for r in rows] == [pytest.approx(e["time"]) for e in said]
    openlabel = json.loads((folder / "a.openlabel.json").read_text())["openlabel"]
    assert [e["type"] for e in openlabel["events"].values()] == [e["event"] for e in said]


def test_clips_of_events_are_cut_out_of_the_film(film, model, tmp_path):
    text = EVENTS.replace("composite: [overlay, zones, counts]", "composite: [], encode: {clips: {before: 0.2s, after: 0.1}}")
    build_pipeline(film, config(text, model), [f"{tmp_path}/a.clips", f"{tmp_path}/a.jsonl"]).run()
    rows = list(csv.DictReader(io.StringIO((tmp_path / "a.clips" / "clips.csv").read_bytes().decode("utf-8-sig"), newline="")))
    told = [line["event"] for line in lines(tmp_path / "a.jsonl") if line.get("event", "count") != "count" and "event" in line]
    assert sorted(row["kind"] for row in rows) == sorted(told)
    assert all((tmp_path / "a.clips" / row["clip"]).is_file() for row in rows)


def test_clips_would_show_what_privacy_hides(film, model, tmp_path):
    with pytest.raises(ConfigError, match=r"a\.clips: clips are copied from the source, and would show what privacy hides"):
        build_pipeline(film, config("privacy: person", model), [f"{tmp_path}/a.clips"]).run()
    assert not (tmp_path / "a.clips" / "clips.csv").exists()


def test_an_interrupt_leaves_whole_files(film, model, tmp_path):
    names = ["a.mots.txt", "a.coco.json", "a.ytvis.json", "a.cvat.zip"]
    pipeline = build_pipeline(film, config(EVENTS, model), [str(tmp_path / name) for name in names])
    pipeline.run(on_tick=lambda running: running.runtime.stop())
    count = len(json.loads((tmp_path / "a.coco.json").read_text())["images"])
    assert 1 <= count <= FRAMES
    assert json.loads((tmp_path / "a.ytvis.json").read_text())["videos"][0]["length"] == count
    assert zipfile.ZipFile(tmp_path / "a.cvat.zip").testzip() is None
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(names)


def test_one_output_that_fails_leaves_the_others(film, model, tmp_path, monkeypatch):
    from streamseg.encode.results.coco import CocoSink
    from streamseg.errors import OutputError

    def full(self, result):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(CocoSink, "_write", full)
    with pytest.raises(OutputError, match=r"a\.coco\.json: writing it failed: No space left"):
        build_pipeline(film, config(EVENTS, model), [f"{tmp_path}/a.coco.json", f"{tmp_path}/a.jsonl"]).run()
    assert len([line for line in lines(tmp_path / "a.jsonl") if "event" not in line]) == FRAMES + 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("events:\n  lines: {a: [[0, 0]]}", r"test\.yaml:2: events\.lines\.a.*two different points"),
        ("events:\n  zones:\n    a: [[0, 0], [1, 1]]", r"test\.yaml:3: .*three or more"),
        (
            "events:\n  zones:\n    a: {points: [[0, 0], [1, 1], [0, 1]], dwel: 3s}",
            r"test\.yaml:3: .*dwel.*did you mean 'dwell'",
        ),
        ("events:\n  confrim: 1", r"test\.yaml:2: .*did you mean 'confirm'"),
        (
            "events: {lines: {a: [[0, 0], [1, 1]]}, zones: {a: [[0, 0], [1, 1], [0, 1]]}}",
            "'a' is the name of a line and of a zone",
        ),
        ("outputs:\n  a:\n    composite:\n      - zones: {fill: 2}", r"test\.yaml:4: .*fill must be from 0 to 1"),
    ],
)
def test_a_bad_pipeline_file_is_answered_with_its_line(text, message):
    with pytest.raises(ConfigError, match=message):
        streamseg.config.parse_pipeline(text, "test.yaml")


def test_an_unknown_class_is_said_before_anything_is_written(film, model, tmp_path):
    text = EVENTS.replace("classes: person", "classes: dragon")
    with pytest.raises(ConfigError, match=r"left: unknown class 'dragon'; this model knows person"):
        build_pipeline(film, config(text, model), [str(tmp_path / "a.jsonl")]).run()


def test_the_command_line_tells_of_events(film, model, tmp_path, monkeypatch, capsys):
    (tmp_path / "mine.yaml").write_text(EVENTS)
    arguments = ["streamseg", "run", str(film), "-p", str(tmp_path / "mine.yaml"), "-o", str(tmp_path / "a.jsonl")]
    monkeypatch.setattr("sys.argv", [*arguments, "--model", str(model)])
    with pytest.raises(SystemExit) as done:
        main()
    assert done.value.code == 0
    said = "".join(capsys.readouterr())
    assert "line middle: 0 left to right, 1 right to left" in said
    assert "zone left: 1 entered, 1 left, 0 inside" in said
