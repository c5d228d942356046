"""Each format, read back by the field's own tool: pycocotools, TrackEval, and CVAT's archive as CVAT takes it apart."""

import contextlib
import io
import json
import zipfile
from dataclasses import replace

import cv2
import numpy as np
import pytest

from streamseg.core.types import Instances
from streamseg.encode.results.categories import coco_ids, mots_ids
from tests.scenes import CLASSES, PERSON, street
from tests.unit.encode.results.helpers import iou, results, without_ids, write

mask_utils = pytest.importorskip("pycocotools.mask", reason="needs the extra 'train'")


@pytest.fixture(scope="module")
def walk():
    """Two pairs of people who pass each other; the masks go on behind what hides them, so that they overlap."""
    return results(8, amodal=True)


@contextlib.contextmanager
def quiet():
    with contextlib.redirect_stdout(io.StringIO()):
        yield


# --- MOTS -----------------------------------------------------------------------------------------------------------------


def lines_of(path) -> list[list[str]]:
    return [line.split(" ") for line in path.read_text().splitlines()]


def test_mots_text_is_what_trackeval_reads(walk, tmp_path):
    """KITTI MOTS's loader refuses masks that overlap and ids that come twice in a frame."""
    trackeval = pytest.importorskip("trackeval")
    write(tmp_path / "gt" / "label_02" / "0001.mots.txt", walk)
    write(tmp_path / "our" / "data" / "0001.mots.txt", [shifted(r, 3) for r in walk])
    for file in tmp_path.rglob("*.mots.txt"):
        file.rename(file.with_name("0001.txt"))
    with quiet():
        data = trackeval.datasets.KittiMOTS(
            {
                "GT_FOLDER": str(tmp_path / "gt"),
                "TRACKERS_FOLDER": str(tmp_path),
                "TRACKERS_TO_EVAL": ["our"],
                "SEQ_INFO": {"0001": len(walk)},
                "CLASSES_TO_EVAL": ["pedestrian"],
                "PRINT_CONFIG": False,
            }
        )
        raw = data.get_raw_seq_data("our", "0001")
        sequence = data.get_preprocessed_seq_data(raw, "pedestrian")
        score = trackeval.metrics.HOTA({"PRINT_CONFIG": False}).eval_sequence(sequence)
    assert sequence["num_gt_dets"] == sequence["num_tracker_dets"] == sum(len(r) for r in walk)
    assert sequence["num_gt_ids"] == 4
    assert score["AssA"].mean() == pytest.approx(1.0, abs=0.2)
    assert 0.6 < score["LocA"].mean() < 0.99, "three pixels off, not more"


def shifted(result, pixels):
    boxes = result.instances.boxes + np.array([pixels, 0, pixels, 0], np.float32)
    return replace(
        result, instances=replace(result.instances, boxes=np.clip(boxes, 0, [640, 360, 640, 360]).astype(np.float32))
    )


def test_mots_text_gives_each_pixel_to_the_nearest(walk, tmp_path):
    write(tmp_path / "a.mots.txt", walk)
    seen = {}
    for frame, track, kind, height, width, rle in lines_of(tmp_path / "a.mots.txt"):
        assert (kind, height, width) == ("2", "360", "640")
        seen[int(frame), int(track)] = mask_utils.decode({"size": [360, 640], "counts": rle.encode()}).astype(bool)
    overlaps = 0
    for result in walk:
        whole = dict(zip(result.track_ids.tolist(), result.masks, strict=True))
        for i, track in enumerate(result.track_ids.tolist()):
            nearer = [whole[t] for j, t in enumerate(whole) if result.occlusion.order[j] < result.occlusion.order[i]]
            expected = whole[track] & ~np.any([np.zeros_like(whole[track]), *nearer], axis=0)
            overlaps += int((whole[track] & ~expected).any())
            assert np.array_equal(seen[result.frame.index, track], expected)
    assert overlaps > 4, "the scene has nothing in front of anything"


def test_mots_png_holds_class_and_instance(walk, tmp_path):
    write(tmp_path / "a.mots", walk)
    files = sorted((tmp_path / "a.mots").iterdir())
    assert [f.name for f in files] == [f"{r.frame.index:06d}.png" for r in walk]
    lines = lines_of(write_text(walk, tmp_path))
    numbers: dict[int, int] = {}
    for result, file in zip(walk, files, strict=True):
        picture = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        assert (picture.dtype, picture.shape) == (np.uint16, (360, 640))
        texts = {int(line[1]): line[5] for line in lines if int(line[0]) == result.frame.index}
        for track, counts in texts.items():
            mask = mask_utils.decode({"size": [360, 640], "counts": counts.encode()}).astype(bool)
            (value,) = np.unique(picture[mask])
            assert value // 1000 == 2
            assert numbers.setdefault(track, value) == value, "a track keeps its number"
        assert set(np.unique(picture)) == {0, *(numbers[t] for t in texts)}
    assert len(set(numbers.values())) == 4


def write_text(made, tmp_path):
    write(tmp_path / "b.mots.txt", made)
    return tmp_path / "b.mots.txt"


def test_mots_classes():
    assert mots_ids(CLASSES) == [2, 3, 1, 4, 5, 6, 7, 8]
    many = mots_ids([f"thing {i}" for i in range(12)])
    assert 10 not in many
    assert len(set(many)) == 12


def test_masks_without_a_track_are_left_out_and_said(walk, tmp_path):
    made = [walk[0], without_ids(walk[1])]
    for name in ("a.mots.txt", "a.mots", "a.cvat.zip", "a.ytvis.json"):
        sink = write(tmp_path / name, made)
        assert any(f"{len(walk[1])} masks" in w for w in sink.warnings), name
    assert {line[0] for line in lines_of(tmp_path / "a.mots.txt")} == {"0"}


def test_numbers_are_reused_when_a_thousand_tracks_have_passed(tmp_path):
    base = results(1)[0]
    one = base.instances[:1]
    made = [
        replace(base, instances=replace(one, track_ids=np.array([t])), occlusion=None, frame=replace(base.frame, index=t))
        for t in range(1, 1011)
    ]
    sink = open_numbers(made)
    assert max(sink[0]) == 999
    assert sink[0][999:] == list(range(1, 12)), "those unseen for longest"
    assert "11 share" in sink[1][0]


def open_numbers(made):
    from streamseg.encode.results.mots import InstanceNumbers

    numbers = InstanceNumbers("a.mots")
    return [numbers.of(r.instances)[0] for r in made], numbers.warnings()


# --- CVAT -----------------------------------------------------------------------------------------------------------------


def test_cvat_archive_taken_apart_as_cvat_does(tmp_path):
    """Datumaro's rule: class, track = divmod(value, 1000); the label is line `class` of labels.txt; tracks are told by number."""
    made = results(4, scene=street(), skip=30)
    write(tmp_path / "a.cvat.zip", made)
    with zipfile.ZipFile(tmp_path / "a.cvat.zip") as archive:
        assert archive.testzip() is None
        labels = archive.read("default/instances/labels.txt").decode().split()
        assert tuple(labels) == CLASSES
        tracks: dict[int, set[int]] = {}
        for result in made:
            stem = f"frame_{result.frame.index:06d}"
            image = cv2.imdecode(np.frombuffer(archive.read(f"default/images/{stem}.jpg"), np.uint8), cv2.IMREAD_COLOR)
            assert image.shape == (360, 640, 3)
            assert np.abs(image.astype(int) - result.image("bgr24")).mean() < 4
            picture = cv2.imdecode(np.frombuffer(archive.read(f"default/instances/{stem}.png"), np.uint8), -1)
            found = {divmod(int(v), 1000): picture == v for v in np.unique(picture) if v}
            assert len({track for _, track in found}) == len(found), "numbers are unique over classes"
            names = sorted(labels[kind - 1] for kind, _ in found)
            assert names == sorted(n for n, m in zip(result.names, disjoint(result), strict=True) if m.any())
            for i, mask in enumerate(disjoint(result)):
                (number,) = [t for (_, t), m in found.items() if np.array_equal(m, mask)] if mask.any() else [0]
                tracks.setdefault(int(result.track_ids[i]), set()).add(number)
    assert all(len(numbers - {0}) == 1 for numbers in tracks.values())


def disjoint(result):
    made = []
    for (x0, y0, x1, y1), crop in result.segments(disjoint=True):
        mask = np.zeros((360, 640), bool)
        mask[y0:y1, x0:x1] = crop
        made.append(mask)
    return made


# --- COCO -----------------------------------------------------------------------------------------------------------------


def test_coco_is_what_pycocotools_reads(walk, tmp_path):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    write(tmp_path / "a.coco.json", walk)
    with quiet():
        coco = COCO(str(tmp_path / "a.coco.json"))
    assert [image["id"] for image in coco.loadImgs(coco.getImgIds())] == [r.frame.index + 1 for r in walk]
    assert coco.getCatIds(["person"]) == [1]
    for result in walk:
        annotations = coco.loadAnns(coco.getAnnIds(imgIds=result.frame.index + 1))
        assert [a["track_id"] for a in annotations] == result.track_ids.tolist()
        for annotation, mask in zip(annotations, result.masks, strict=True):
            assert np.array_equal(coco.annToMask(annotation).astype(bool), mask)
            assert annotation["area"] == mask.sum()
            assert mask_utils.toBbox(annotation["segmentation"]).tolist() == annotation["bbox"]
    with quiet():
        again = coco.loadRes(json.loads((tmp_path / "a.coco.json").read_text())["annotations"])
        evaluation = COCOeval(coco, again, "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1.0), "AP of the file against itself, through its scores"


def test_coco_category_ids_are_cocos():
    assert coco_ids(["person", "dog", "toothbrush", "drone", "truck", "rocket"]) == [1, 18, 90, 91, 8, 92]


def test_coco_of_frames_without_instances(walk, tmp_path):
    empty = replace(walk[0], instances=Instances.empty(CLASSES), occlusion=None)
    write(tmp_path / "a.coco.json", [empty])
    data = json.loads((tmp_path / "a.coco.json").read_text())
    assert (len(data["images"]), data["annotations"], data["categories"][0]["name"]) == (1, [], "person")


# --- YouTube-VIS ----------------------------------------------------------------------------------------------------------


def test_youtube_vis_has_one_annotation_a_track(tmp_path):
    made = results(6, amodal=True)
    gone = replace(made[2], instances=made[2].instances[made[2].track_ids != 2], occlusion=None)
    late = replace(made[0], instances=made[0].instances[made[0].track_ids != 3], occlusion=None)
    made[0], made[2] = late, gone
    write(tmp_path / "a.ytvis.json", made)
    data = json.loads((tmp_path / "a.ytvis.json").read_text())
    (video,) = data["videos"]
    assert (video["length"], video["width"], video["height"], video["file_names"][0]) == (6, 640, 360, "walk/00000.jpg")
    assert [a["id"] for a in data["annotations"]] == [1, 2, 3, 4]
    for annotation in data["annotations"]:
        assert annotation["category_id"] == coco_ids(CLASSES)[PERSON]
        assert annotation["score"] == pytest.approx(0.9, abs=1e-3)
        for key in ("segmentations", "bboxes", "areas"):
            assert len(annotation[key]) == 6
        for t, result in enumerate(made):
            entry = annotation["segmentations"][t]
            known = dict(zip(result.track_ids.tolist(), result.masks, strict=True))
            if annotation["id"] not in known:
                assert entry is annotation["bboxes"][t] is annotation["areas"][t] is None
                continue
            mask = mask_utils.decode(mask_utils.frPyObjects(entry, 360, 640)).astype(bool)
            assert iou(mask, known[annotation["id"]]) > 0.99
            assert annotation["areas"][t] == mask.sum()
    absent = [[t for t, s in enumerate(a["segmentations"]) if s is None] for a in data["annotations"]]
    assert absent == [[], [2], [0], []]


def test_youtube_vis_is_what_trackeval_reads(walk, tmp_path):
    trackeval = pytest.importorskip("trackeval")
    gt, ours = tmp_path / "gt" / "youtube_vis_val", tmp_path / "tr" / "youtube_vis_val" / "our" / "data"
    ours.mkdir(parents=True)
    write(gt / "gt.ytvis.json", walk)
    annotations = json.loads((gt / "gt.ytvis.json").read_text())["annotations"]
    for annotation in annotations:  # as a submission has them: compressed, without what only annotations have
        masks = annotation["segmentations"]
        annotation["segmentations"] = [
            {"size": m["size"], "counts": mask_utils.frPyObjects(m, 360, 640)["counts"].decode()} if m else None for m in masks
        ]
    (ours / "results.json").write_text(json.dumps(annotations))
    with quiet():
        data = trackeval.datasets.YouTubeVIS(
            {
                "GT_FOLDER": f"{tmp_path}/gt/",
                "TRACKERS_FOLDER": f"{tmp_path}/tr/",
                "SPLIT_TO_EVAL": "val",
                "TRACKERS_TO_EVAL": ["our"],
                "CLASSES_TO_EVAL": ["person"],
                "PRINT_CONFIG": False,
            }
        )
        sequence = data.get_preprocessed_seq_data(data.get_raw_seq_data("our", "walk"), "person")
        score = trackeval.metrics.HOTA({"PRINT_CONFIG": False}).eval_sequence(sequence)
    assert score["HOTA"].mean() == pytest.approx(1.0)
    assert (sequence["num_gt_ids"], sequence["num_timesteps"]) == (4, len(walk))


def test_youtube_vis_scales_where_the_source_changes_its_size(tmp_path):
    (first,) = results(1)
    boxes = (first.instances.boxes / 2).astype(np.float32)
    small = replace(first.frame, index=1, picture=first.frame.picture.reformat(width=320, height=180, threads=1))
    second = replace(first, frame=small, instances=replace(first.instances, boxes=boxes), occlusion=None)
    write(tmp_path / "a.ytvis.json", [first, second])
    for annotation in json.loads((tmp_path / "a.ytvis.json").read_text())["annotations"]:
        one, two = (mask_utils.decode(mask_utils.frPyObjects(m, 360, 640)).astype(bool) for m in annotation["segmentations"])
        assert two.shape == (360, 640)
        assert iou(one, two) > 0.97
