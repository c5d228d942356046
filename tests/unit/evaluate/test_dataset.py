"""What annotation files hold, and what is wrong in them."""

import json

import pytest

from streamseg.datasets.faults import Faults
from streamseg.datasets.segments import Crop
from streamseg.errors import ConfigError, SourceNotFound
from streamseg.evaluate.categories import match_categories, parse_pools
from streamseg.evaluate.dataset import cases_of, locate, read_dataset, read_rle
from tests.unit.evaluate.scenes import HEIGHT, WIDTH, rectangle, text_rle

SQUARE = [[10, 10, 30, 10, 30, 30, 10, 30]]
ROW = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 20], "area": 400, "iscrowd": 0, "segmentation": SQUARE}


@pytest.fixture
def write(tmp_path):
    """write(*annotations, **image): a data set of one photo; returns its file."""

    def make(*rows, **image):
        entry = {"id": 1, "file_name": "a.png", "width": WIDTH, "height": HEIGHT, **image}
        categories = [{"id": 1, "name": "person"}, {"id": 3, "name": "car"}]
        (tmp_path / "images").mkdir(exist_ok=True)
        (tmp_path / "images" / "a.png").touch()
        path = tmp_path / "instances.json"
        path.write_text(json.dumps({"images": [entry], "annotations": list(rows), "categories": categories}))
        return path

    return make


@pytest.mark.parametrize(
    "form",
    [
        SQUARE,
        # Down the columns: ten and ten pixels more, then twenty pixels in each of twenty columns, then the rest.
        {"size": [HEIGHT, WIDTH], "counts": [10 * HEIGHT + 10, *([20, HEIGHT - 20] * 19), 20, 71 * HEIGHT - 30]},
        text_rle(rectangle(10, 10, 20, 20)),
    ],
    ids=["polygon", "run lengths", "text"],
)
def test_every_form_of_a_mask_is_read(write, form):
    truth = read_dataset(write(ROW | {"segmentation": form, "iscrowd": 1})).photos[0].truths[0]
    crop = Crop.of(truth.rle)
    assert (crop.x, crop.y, crop.mask.shape, crop.area) == (10, 10, (20, 20), 400)
    assert truth.crowd
    assert truth.box == (10, 10, 20, 20)


BAD = {
    "unknown category": ({"category_id": 99}, "unknown category"),
    "other image": ({"image_id": 7}, "image that the file does not list"),
    "no mask, no box": ({"segmentation": None, "bbox": [1, 1, 0, 5]}, "neither a mask nor a box"),
    "two corners": ({"segmentation": [[1, 1, 5, 5]]}, "malformed"),
    "not numbers": ({"segmentation": [["a", 1, 5, 5, 5, 1]]}, "malformed"),
    "outside": ({"segmentation": [[900, 900, 950, 900, 950, 950]]}, "malformed"),
    "box outside": ({"segmentation": [], "bbox": [900, 900, 5, 5]}, "outside its image"),
    "wrong size": ({"segmentation": text_rle(rectangle(1, 1, 5, 5)) | {"size": [9, 9]}}, "another size"),
    "broken text": ({"segmentation": {"size": [HEIGHT, WIDTH], "counts": "o00O9m99"}}, "malformed"),
    "too many runs": ({"segmentation": {"size": [HEIGHT, WIDTH], "counts": [5, 10**9]}}, "malformed"),
    "empty": ({"segmentation": {"size": [HEIGHT, WIDTH], "counts": [HEIGHT * WIDTH]}}, "malformed"),
    "text for another size": ({"segmentation": {"size": [HEIGHT, WIDTH], "counts": "T38d0L4"}}, "malformed"),
    "neither text nor list": ({"segmentation": {"size": [HEIGHT, WIDTH], "counts": True}}, "malformed"),
    "too large for a number": ({"segmentation": {"size": [10**400, WIDTH], "counts": "0"}}, "malformed"),
    "an outline of a thousand kilometres": ({"segmentation": [[0, 0, 1e9, 0, 1e9, 1e9]]}, "malformed"),
    "a category that is a list": ({"category_id": [1]}, "unknown category"),
    "an image that is an object": ({"image_id": {"a": 1}}, "image that the file does not list"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_left_out_counted_and_named(write, case):
    change, kind = BAD[case]
    dataset = read_dataset(write(ROW, ROW | {"id": 2} | change))
    assert len(dataset.photos[0].truths) == 1
    [sentence] = dataset.faults.sentences()
    assert sentence.startswith("1 × ")
    assert "left out" in sentence
    assert kind in sentence
    assert "annotation 2" in sentence


def test_a_box_alone_is_an_object_of_unknown_mask(write):
    truth = read_dataset(write({k: v for k, v in ROW.items() if k not in ("segmentation", "area")})).photos[0].truths[0]
    assert (truth.has_mask, truth.ignored, truth.area) == (False, True, 400)


def test_categories_that_were_not_looked_for_are_left_out(write):
    photo = read_dataset(write(ROW, ROW | {"id": 2, "category_id": 3}, labelled_category_ids=[3])).photos[0]
    assert [t.category_id for t in photo.truths] == [3]
    dataset = read_dataset(write(ROW, labelled_category_ids=[1]))
    rows = [
        {"image_id": 1, "category_id": c, "score": 0.5, "segmentation": text_rle(rectangle(1, 1, 9, 9))} for c in (1, 3, 99)
    ]
    rows.append(rows[0] | {"segmentation": {"size": [1, 1], "counts": "01"}})
    [case] = cases_of(dataset, rows)
    assert [d.category_id for d in case.detections] == [1]
    assert dataset.faults.total == 2


@pytest.mark.parametrize("listed", [["person"], [[1]], "all", 7])
def test_ids_that_are_none_match_no_category(write, listed):
    """Raised ValueError or TypeError."""
    photo = read_dataset(write(ROW, labelled_category_ids=listed)).photos[0]
    assert len(photo.truths) == (0 if isinstance(listed, list) else 1)


@pytest.mark.parametrize(
    "text", ['{"images": 1e400', "[" * 10**5, "9" * 5000, '{"images": [{"id": 1e400, "width": 1, "height": 1}]}']
)
def test_numbers_beyond_bounds_are_no_annotations(tmp_path, text):
    (tmp_path / "a.json").write_text(text if not text.endswith("]}") else text[:-1] + ', "annotations": [], "categories": []}')
    with pytest.raises(ConfigError, match=r"a\.json"):
        read_dataset(tmp_path / "a.json")


def test_a_name_that_no_file_can_have_is_missing(write):
    with pytest.raises(SourceNotFound, match="image file is missing"):
        read_dataset(write(ROW, file_name="a" * 5000))


def test_missing_pictures(write, tmp_path):
    path = write(ROW)
    document = json.loads(path.read_text())
    for number, name in ((2, "b.png"), (3, "../instances.json"), (4, "/etc/passwd"), (5, "..\\x.png")):
        document["images"].append({"id": number, "file_name": name, "width": 9, "height": 9})
    path.write_text(json.dumps(document))
    dataset = read_dataset(path)
    assert [photo.path.name for photo in dataset.photos] == ["a.png"]
    found = {kind: fault.count for kind, fault in dataset.faults.kinds.items()}
    assert found == {"image file is missing, left out": 1, "image whose name leads out of the folder, left out": 3}
    with pytest.raises(SourceNotFound, match=r"nothing to evaluate.*a\.png.*--images"):
        read_dataset(path, tmp_path / "elsewhere")


def test_limit_counts_photos_that_are_there(write, tmp_path):
    path = write(ROW)
    document = json.loads(path.read_text())
    entry = document["images"][0]
    document["images"] = [entry | {"id": i, "file_name": "gone.png" if i < 3 else "a.png"} for i in range(10)]
    path.write_text(json.dumps(document))
    assert [p.image_id for p in read_dataset(path, limit=2).photos] == [3, 4]


def test_other_files_are_refused(tmp_path, write):
    with pytest.raises(SourceNotFound, match="no such file or folder"):
        locate(tmp_path / "none")
    with pytest.raises(SourceNotFound, match=r"no instances\.json"):
        locate(tmp_path)
    path = write(ROW)
    assert locate(tmp_path) == path
    good = json.loads(path.read_text())
    for change, message in (
        ({"categories": None}, "not a COCO annotation file"),
        ({"images": [{"id": 1}]}, "'width' is missing"),
        ({"images": [good["images"][0]] * 2}, "image ids must differ"),
        ({"annotations": [5]}, "not a COCO annotation file"),
    ):
        path.write_text(json.dumps(good | change))
        with pytest.raises(ConfigError, match=message):
            read_dataset(path)
    path.write_text('{"images": [\n}')
    with pytest.raises(ConfigError, match=":2: not JSON"):
        read_dataset(path)
    path.write_bytes(b"\xff\xfe\x00{")
    with pytest.raises(ConfigError, match="not JSON"):
        read_dataset(path)


def test_classes_go_to_categories_by_name_then_by_coco_id():
    classes, ids = ("person", "car", "motorcycle"), (1, 3, 4)
    assert match_categories(classes, ids, {7: "Car", 9: "person"}) == {0: 9, 1: 7}
    assert match_categories(classes, ids, {1: "person", 4: "motorbike"}) == {0: 1, 2: 4}
    # Their own numbering: 4 is something else.
    assert match_categories(classes, ids, {2: "person", 4: "tree"}) == {0: 2}
    with pytest.raises(ConfigError, match=r"no class in common.*person, car, motorcycle.*tree"):
        match_categories(classes, ids, {4: "tree"})


def test_pools():
    assert parse_pools(["vehicles=car, bus"]) == {"vehicles": ("car", "bus")}
    for text in ("vehicles", "=car", "vehicles=", "vehicles=,"):
        with pytest.raises(ConfigError, match="not a pool"):
            parse_pools([text])


def test_a_few_of_many_are_named():
    faults = Faults()
    for i in range(10):
        faults.add("annotation of an unknown category", f"number {i}")
    assert faults.sentences() == ["10 × annotation of an unknown category, left out (as number 0; number 1; number 2)"]


def test_run_lengths_that_do_not_fill_the_picture_are_no_mask():
    assert read_rle({"size": [4, 4], "counts": [4, 4]}, 4, 4) is None
    assert read_rle({"size": [4, 4], "counts": [20, -4]}, 4, 4) is None
    assert read_rle({"counts": [16]}, 4, 4) is None
    assert read_rle(5, 4, 4) is None
