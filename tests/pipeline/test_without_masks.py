"""Runs that find boxes alone: which effects and outputs can do with them, and what is said of the others, before the run."""

import json

import pyarrow.parquet as pq
import pytest

from streamseg.composite import DriveEffect
from streamseg.composite.effect import builtin
from streamseg.encode.kinds import FORMATS
from tests import clips

DRIVE = {name for name, kind in builtin().items() if issubclass(kind, DriveEffect)}
BOXES = {"counts", "overlay", "privacy", "zones"} | DRIVE
"""`privacy` hides the whole boxes."""
REFUSED = set(builtin()) - BOXES
NEED = {".mots.txt", ".mots", ".ytvis.json", ".cvat.zip", ".cutouts"}


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return clips.cfr(tmp_path_factory.mktemp("clip") / "in.mkv", frames=4)


def run(streamseg, clip, model, tmp_path, effect, output, masks):
    effects = {"overlay": "overlay", "none": "", "drive": ", ".join(sorted(DRIVE))}.get(effect, effect)
    file = tmp_path / "p.yaml"
    file.write_text(f"outputs: {{picture: {{composite: [{effects}]}}}}")
    chosen = ["--masks", masks] if masks else []
    return streamseg("run", clip, "-p", file, "--model", model, *chosen, "-o", tmp_path / output)


@pytest.mark.parametrize("effect", [*sorted(builtin().keys() - DRIVE), "drive"])
def test_every_effect_draws_boxes_or_says_that_it_cannot(streamseg, clip, known, tmp_path, effect):
    output = "out.mov" if effect != "drive" and builtin()[effect].alpha else "out.mkv"
    done = run(streamseg, clip, known, tmp_path, effect, output, "none")
    if effect not in REFUSED:
        assert done.returncode == 0, done.stderr
        return
    assert (done.returncode, builtin()[effect].needs_masks) == (3, True)
    assert f"{effect}: needs masks, and boxes alone were asked for" in " ".join(done.stderr.split())
    assert "--masks box" in " ".join(done.stderr.split())
    assert not (tmp_path / output).exists()
    assert run(streamseg, clip, known, tmp_path, effect, output, "box").returncode == 0


@pytest.mark.parametrize("ending", sorted(FORMATS))
def test_every_format_holds_boxes_or_says_that_it_cannot(streamseg, clip, known, tmp_path, ending):
    done = run(streamseg, clip, known, tmp_path, "none", f"out{ending}", "none")
    if ending in NEED:
        assert done.returncode == 3
        assert not (tmp_path / f"out{ending}").is_file()
        assert "this format holds masks, and boxes alone were asked for" in " ".join(done.stderr.split())
        assert run(streamseg, clip, known, tmp_path, "none", f"out{ending}", "box").returncode == 0
        return
    assert done.returncode == 0, done.stderr
    out = tmp_path / f"out{ending}"
    HOLD[ending](out if ending in BINARY else out.read_text("utf-8-sig"))


def in_otio(text):
    names = [child["name"] for track in json.loads(text)["tracks"]["children"] for child in track["children"]]
    assert [name for name in names if "person" in name]


def in_coco(text):
    found = json.loads(text)["annotations"]
    assert len(found) == 4
    assert found[0]["bbox"] == [20, 28, 40, 30]
    assert found[0]["area"] == 1200
    assert "segmentation" not in found[0]


def in_lines(text):
    found = [one for line in text.splitlines()[1:] for one in json.loads(line).get("instances", [])]
    assert len(found) == 4
    assert found[0]["box"] == [20, 28, 60, 58]
    assert "mask" not in found[0]
    assert found[0]["visible"] == 1


def in_kitti(text):
    found = [line.split(" ") for line in text.splitlines()]
    assert len(found) == 4
    assert found[0][6:10] == ["20.00", "28.00", "60.00", "58.00"]


def in_bdd(text):
    found = [label for frame in json.loads(text) for label in frame["labels"]]
    assert len(found) == 4
    assert found[0]["box2d"] == {"x1": 20, "y1": 28, "x2": 59, "y2": 57}
    assert found[0]["rle"] is None


def in_openlabel(text):
    found = [
        each["object_data"] for frame in json.loads(text)["openlabel"]["frames"].values() for each in frame["objects"].values()
    ]
    assert len(found) == 4
    assert found[0]["bbox"][0]["val"] == [40, 43, 40, 30]
    assert "poly2d" not in found[0]


def in_events(text):
    assert text.startswith("time,utc,frame,kind,track")


def in_parquet(path):
    found = pq.read_table(path).to_pylist()
    assert len(found) == 4
    assert [found[0][key] for key in ("x0", "y0", "x1", "y1")] == [20, 28, 60, 58]
    assert found[0]["mask"] is None


def in_frames(path):
    assert pq.read_table(path).column("objects").to_pylist() == [1] * 4


def in_nuimages(path):
    found = json.loads((path / "v1.0-streamseg" / "object_ann.json").read_text())
    assert [(each["bbox"], each["mask"]) for each in found] == [([20, 28, 60, 58], None)], "one key frame"


HOLD = {
    ".parquet": in_parquet,
    ".frames.parquet": in_frames,
    ".events.parquet": lambda path: pq.read_table(path).column("kind"),
    ".nuimages": in_nuimages,
    ".clips": lambda path: in_events((path / "clips.csv").read_text("utf-8-sig").removeprefix("clip,begin,end,at,")),
    ".jsonl": in_lines,
    ".ndjson": in_lines,
    ".otio": in_otio,
    ".coco.json": in_coco,
    ".kitti.txt": in_kitti,
    ".bdd.json": in_bdd,
    ".openlabel.json": in_openlabel,
    ".events.csv": in_events,
}
"""What each format holds of the boxes."""
BINARY = {".parquet", ".frames.parquet", ".events.parquet", ".nuimages", ".clips"}


def test_python_is_answered_in_its_own_words(clip, known):
    import streamseg

    with pytest.raises(streamseg.StreamsegError, match='masks="box"'):
        streamseg.run(clip, "unused.mots.txt", model=known, masks="none")
    results = list(streamseg.stream(clip, model=known, masks="none"))
    assert [len(result.boxes) for result in results] == [1] * 4
    assert not results[0].instances.has_masks
