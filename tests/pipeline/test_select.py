"""Objects chosen, named, merged and forbidden, from the shell, in Python and in a pipeline file: what is in the outputs then."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import av
import numpy as np
import OpenEXR
import pytest

import streamseg as library
from streamseg.config import PipelineConfig, parse_pipeline
from streamseg.edits import Edits
from streamseg.errors import ConfigError
from streamseg.pipeline.build import build_pipeline
from streamseg.record import open_results
from tests import clips, graphs

WIDTH, HEIGHT, FRAMES = 96, 64, 12
LEFT, RIGHT, GREEN = (4, 24, 24, 56), (66, 30, 80, 54), (40, 8, 54, 20)
"""A large person on the left, a smaller car on the right; a bicycle, which is gone after half of the film."""


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """It finds a red box (person), a green (bicycle) and a blue one (car)."""
    return graphs.rectangle_model(tmp_path_factory.mktemp("model") / "boxes.onnx", size=(HEIGHT, WIDTH))


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> Path:
    pictures = np.full((FRAMES, HEIGHT, WIDTH, 3), 20, np.uint8)
    for i, rgb in enumerate(pictures):
        boxes = [(LEFT, (255, 0, 0)), (RIGHT, (0, 0, 255)), *([(GREEN, (0, 255, 0))] if i < 6 else [])]
        for (x0, y0, x1, y1), colour in boxes:
            rgb[y0:y1, x0:x1] = colour
    return clips.of_arrays(tmp_path_factory.mktemp("film") / "film.mkv", pictures)


@pytest.fixture
def config(model):
    def make(text: str = "") -> PipelineConfig:
        made = parse_pipeline("results: {keep: auto}\n" + text, "test.yaml")
        return made.model_copy(update={"infer": made.infer.model_copy(update={"model": str(model), "threads": 1})})

    return make


def run(film: Path, config: PipelineConfig, *outputs: Path) -> list[str]:
    """Run it; what was said, warnings of the report included."""
    said: list[str] = []
    report = build_pipeline(film, config, list(map(str, outputs)), overwrite=True, on_message=said.append).run()
    return [*said, *report.warnings]


def instances(path: Path) -> list[list[dict]]:
    """Of each frame of a .jsonl file."""
    lines = map(json.loads, path.read_text().splitlines()[1:])
    return [line["instances"] for line in lines if "instances" in line]


def places(path: Path) -> set[str]:
    """Which of the boxes are in a .jsonl file."""
    known = {"left": LEFT, "right": RIGHT, "green": GREEN}
    boxes = [np.array(each["box"]) for frame in instances(path) for each in frame]
    return {name for name, box in known.items() for found in boxes if np.abs(found - box).max() < 4}


@pytest.fixture(scope="module")
def looked(film, model, tmp_path_factory) -> Path:
    """A folder with the results file of the film, and all that was found as JSON lines."""
    folder = tmp_path_factory.mktemp("looked")
    library.run(film, folder / "all.jsonl", pipeline={"outputs": {}}, model=model, threads=1, results="auto")
    return folder


@pytest.fixture
def ids(looked, tmp_path) -> dict[str, int]:
    """The numbers of the three tracks, as the results file in `tmp_path` has them."""
    shutil.copytree(looked, tmp_path, dirs_exist_ok=True)
    middles = {"left": 14, "right": 73, "green": 47}
    frame = instances(tmp_path / "all.jsonl")[2]
    return {
        name: next(e["track_id"] for e in frame if abs((e["box"][0] + e["box"][2]) / 2 - x) < 4) for name, x in middles.items()
    }


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("largest", {"left"}),
        ("largest bicycle", {"green"}),
        ("bicycle", {"green"}),
        ("not bicycle", {"left", "right"}),
        ("at 0:00.1 73,40", {"right"}),
        ("person, car, not largest", {"right"}),
        ("none", set()),
    ],
)
def test_what_is_selected_is_in_the_outputs_and_nothing_else(film, config, ids, tmp_path, text, shown):
    run(film, config(f"select: {text!r}"), tmp_path / "out.jsonl")
    assert places(tmp_path / "out.jsonl") == shown
    assert len(instances(tmp_path / "out.jsonl")) == FRAMES, "frames without it are kept"


def test_the_film_is_looked_at_first_once_and_rendered_again_without_a_network(film, config, tmp_path):
    """What has to be known of the whole film is, and what was found is kept for every other wish."""
    said = run(film, config("select: largest"), tmp_path / "a.jsonl")
    assert any("largest" in line and "done first" in line for line in said)
    assert any(line.startswith("select: largest: person#") and line.endswith("(1 of 3 tracks)") for line in said)
    results = tmp_path / "film.streamseg"
    before = results.read_bytes()
    again = run(film, config("select: largest bicycle"), tmp_path / "b.jsonl")
    assert not any("done first" in line for line in again)
    assert any("no network is loaded" in line for line in again)
    assert places(tmp_path / "b.jsonl") == {"green"}
    assert results.read_bytes() == before
    with open_results(results) as found:
        assert (len(found), len(found.tracks()), found.complete) == (FRAMES, 3, True)


PICTURES = 'outputs: {picture: {path: "{out}", composite: [blur: {where: %s, strength: 1}], encode: {codec: ffv1}}}'


def planes(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(threads=1, format="rgb24") for frame in container.decode(video=0)]


def test_where_of_an_effect_means_the_same_looked_at_or_read(film, config, tmp_path):
    text = PICTURES % "'background of largest'"
    run(film, config(text), tmp_path / "one.mkv")
    run(film, config(text), tmp_path / "two.mkv")
    original = planes(film)
    for one, two, source in zip(planes(tmp_path / "one.mkv"), planes(tmp_path / "two.mkv"), original, strict=True):
        assert np.array_equal(one, two)
        x0, y0, x1, y1 = LEFT
        assert np.array_equal(one[y0 + 6 : y1 - 6, x0 + 6 : x1 - 6], source[y0 + 6 : y1 - 6, x0 + 6 : x1 - 6])
        x0, y0, x1, y1 = RIGHT
        assert (one[y0:y1, x0:x1] != source[y0:y1, x0:x1]).mean() > 0.3, "the other one is blurred"


def test_where_means_the_largest_of_what_is_selected(film, config, tmp_path):
    run(film, config("select: bicycle\n" + PICTURES % "'background of largest'"), tmp_path / "out.mkv")
    changed = planes(tmp_path / "out.mkv")[2] != planes(film)[2]
    assert not changed[GREEN[1] + 5 : GREEN[3] - 5, GREEN[0] + 5 : GREEN[2] - 5].any()
    assert changed[LEFT[1] : LEFT[3], LEFT[0] : LEFT[2]].mean() > 0.3


def test_nothing_is_left_where_no_results_are_kept(film, model, monkeypatch, tmp_path):
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    found = list(library.stream(film, model=model, select="largest"))
    assert [result.names for result in found] == [["person"]] * FRAMES
    assert [*folder.iterdir()] == []
    assert not (film.parent / "film.streamseg").exists()


def test_python_takes_a_selection_and_a_session_does_too(film, model):
    chosen = ~library.Selection.of_class("bicycle") & ~library.Selection.largest()
    alone = [result.boxes[0, 0] for result in library.stream(film, model=model, select=chosen)]
    assert np.allclose(alone, RIGHT[0], atol=3)
    with library.Session(model=model) as session:
        assert [len(result) for result in session.stream(film, select=chosen)] == [1] * FRAMES
        assert [len(result) for result in session.stream(film)][:3] == [3] * 3, "the session's engine is still open"


def test_edits_beside_the_results_are_made(film, config, ids, tmp_path):
    sidecar = tmp_path / "film.streamseg.json"
    edits = Edits().rename(ids["left"], "Anna").forbid(ids["green"]).select("others", "all, not Anna")
    edits.save(sidecar)
    said = run(film, config(), tmp_path / "out.jsonl")
    assert f"edits: {sidecar}: 1 name, 1 forbidden track" in said
    frames = instances(tmp_path / "out.jsonl")
    assert [sorted(each.get("name", "") for each in frame) for frame in frames] == [["", "Anna"]] * FRAMES
    run(film, config("select: others"), tmp_path / "others.jsonl")
    assert places(tmp_path / "others.jsonl") == {"right"}
    run(film, config("select: {edits: off}"), tmp_path / "off.jsonl")
    assert places(tmp_path / "off.jsonl") == {"left", "right", "green"}
    elsewhere = tmp_path / "mine.json"
    Edits().merge(ids["green"], ids["right"]).save(elsewhere)
    with pytest.raises(ConfigError, match=rf"{elsewhere}: merge: .* are seen at once in frame 0.*--edits off"):
        run(film, config(f"select: {{edits: '{elsewhere}'}}"), tmp_path / "x.jsonl")


def test_a_split_and_a_merge_change_who_is_who(film, config, ids, tmp_path):
    Edits().split(ids["right"], 0.24, 90).merge(90, ids["green"]).rename(90, "Both").save(tmp_path / "film.streamseg.json")
    run(film, config("select: Both"), tmp_path / "out.jsonl")
    frames = instances(tmp_path / "out.jsonl")
    assert [[each["track_id"] for each in frame] for frame in frames] == [[90]] * FRAMES
    assert {each["class"] for frame in frames for each in frame} == {"car"}, "the class of the first of the merged"


def test_a_pipelines_classes_do_not_hide_what_is_named(film, config, ids, tmp_path):
    persons = "postprocess: {classes: [person, car]}\n"
    for text, shown in {
        "all": {"left", "right"},
        "bicycle, car": {"right", "green"},
        f"'#{ids['green']}'": {"green"},
        "largest bicycle": {"green"},
        f"'not #{ids['left']}'": {"right"},
    }.items():
        run(film, config(f"{persons}select: {text}"), tmp_path / "out.jsonl")
        assert places(tmp_path / "out.jsonl") == shown, text


@pytest.mark.parametrize("keep", ["auto", "off"])
def test_what_a_selection_cannot_mean_is_said_before_anything_is_drawn(film, config, ids, tmp_path, keep):
    for text, said in {
        "persons": "select: persons is neither a class nor a name.*did you mean 'person'",
        "at 9s 1,1": "select: at 9 1,1: the film ends at 0.480 s",
        "largest dog": "select: .*dog",
    }.items():
        made = config(f"select: {text}")
        made = made.model_copy(update={"results": made.results.model_copy(update={"keep": keep})})
        with pytest.raises(ConfigError, match=said):
            run(film, made, tmp_path / "out.jsonl")
    with pytest.raises(ConfigError, match="outputs: picture: blur: where: there is no track 77"):
        run(film, config(PICTURES % "'background of #77, largest'"), tmp_path / "out.mkv")


def test_what_happens_live_cannot_be_looked_at_first(film, model):
    pictures = [np.zeros((HEIGHT, WIDTH, 3), np.uint8)] * 3
    with pytest.raises(ConfigError, match=r"largest.*looked at.*cannot be done first: its pictures are given by a program"):
        list(library.stream(pictures, model=model, select="largest", rate=25))
    with pytest.raises(ConfigError, match="cannot be done first"):
        list(library.stream(film, model=model, select="largest", realtime=True))
    assert [len(result) for result in library.stream(pictures, model=model, select="person", rate=25)] == [0, 0, 0]


def test_a_number_that_was_never_seen_is_told(film, model):
    report = library.run(film, film.parent / "x.jsonl", model=model, select="#77", pipeline={}, overwrite=True)
    assert any("#77 was in no frame" in warning for warning in report.warnings)


def test_the_verb_shows_tracks_and_writes_what_was_decided(streamseg, film, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = streamseg("tracks", film, "--model", model, "--json")
    assert shown.returncode == 0, shown.stderr
    told = json.loads(shown.stdout)["tracks"]
    assert sorted(each["class"] for each in told) == ["bicycle", "car", "person"]
    assert {"film.streamseg", "film.tracks.html", "film.tracks.png"} == {entry.name for entry in tmp_path.iterdir()}
    left, right = (next(each["track_id"] for each in told if each["class"] == name) for name in ("person", "car"))
    done = streamseg(
        "tracks", film, "-o", "none", "--name", f"{left}=Anna", "--split", f"{right}@0.2", "--save", "hero=Anna, bicycle"
    )
    assert done.returncode == 0, done.stderr
    assert [f"#{left} is called Anna" in done.stderr, "hero = Anna or bicycle" in done.stderr] == [True, True]
    assert "Anna" in done.stdout
    hero = json.loads(streamseg("tracks", film, "-o", "none", "--select", "hero", "--json").stdout)["tracks"]
    assert [each["name"] or each["class"] for each in hero] == ["Anna", "bicycle"]
    again = streamseg("tracks", film, "-o", "none", "--split", f"{right}@0.4", "--forbid", "Anna")
    assert again.returncode == 3
    assert "'Anna') is forbidden: take it out of one of both" in again.stderr
    for wrong, said in {
        "--name=3": "--name 3: write TRACK=NAME",
        "--split=3": "--split 3: write TRACK@TIME",
        "--merge=3": "--merge 3: write two tracks",
        "--relabel=3=boat": "--relabel 3=boat: there is no class 'boat'",
        "--allow=3": "--allow 3: it is not forbidden",
        "--forbid=zebra": "--forbid zebra: 'zebra' is no track",
        "-oa.jpg": "a contact sheet is a .html page or a .png picture",
    }.items():
        refused = streamseg("tracks", film, wrong)
        assert (refused.returncode, said in refused.stderr) == (3, True), refused.stderr


def test_results_that_a_person_worked_on_are_not_replaced(film, config, ids, tmp_path):
    """Seen: a run with another setting looked anew, and the numbers that the edits speak of were gone."""
    Edits().rename(ids["left"], "Anna").save(tmp_path / "film.streamseg.json")
    before = (tmp_path / "film.streamseg").read_bytes()
    other = config("track: {max_age: 2s}")
    with pytest.raises(
        ConfigError, match=r"track\.max_age was 1\.0, and is 2\.0.*edits in .*streamseg\.json are of its tracks"
    ):
        run(film, other, tmp_path / "out.jsonl")
    assert (tmp_path / "film.streamseg").read_bytes() == before
    elsewhere = other.model_copy(update={"results": other.results.model_copy(update={"keep": str(tmp_path / "b.streamseg")})})
    run(film, elsewhere, tmp_path / "out.jsonl")
    assert places(tmp_path / "out.jsonl") == {"left", "right", "green"}


def test_results_that_were_cut_short_are_found_again_and_the_edits_hold(film, config, ids, tmp_path):
    """Seen: refused with the advice to keep others elsewhere, which would have left the names behind."""
    Edits().rename(ids["left"], "Anna").save(tmp_path / "film.streamseg.json")
    whole = (tmp_path / "film.streamseg").read_bytes()
    (tmp_path / "film.streamseg").write_bytes(whole[: len(whole) // 2])
    run(film, config(), tmp_path / "out.jsonl")
    frames = instances(tmp_path / "out.jsonl")
    assert all(sum(each.get("name") == "Anna" for each in frame) == 1 for frame in frames)
    assert len(frames) == FRAMES
    assert (tmp_path / "film.streamseg").read_bytes() == whole


def test_every_exr_of_a_sequence_has_the_layers_of_all_that_are_seen_in_it(film, config, tmp_path):
    """The bicycle is gone after half of the film, and is known before its first picture."""
    said = run(film, config(), tmp_path / "%d.exr")
    assert "which tracks an EXR has layers for is known when the whole film has been looked at" in " ".join(said)
    Edits().rename(1, "Anna").save(tmp_path / "film.streamseg.json")
    (tmp_path / "named").mkdir()
    made = config().model_copy(
        update={"results": config().results.model_copy(update={"keep": str(tmp_path / "film.streamseg")})}
    )
    said = run(film, made, tmp_path / "named" / "%d.exr")
    assert any("is read" in line for line in said)
    layers: dict[str, set[tuple[str, ...]]] = {}
    for folder in (tmp_path, tmp_path / "named"):
        for file in folder.glob("*.exr"):
            names = OpenEXR.File(str(file), separate_channels=True).channels()
            mattes = sorted(name for name in names if name.endswith(".A") and not name.startswith("Crypto"))
            layers.setdefault(folder.name, set()).add(tuple(mattes))
    (plain,), (named,) = (layers[folder.name] for folder in (tmp_path, tmp_path / "named"))
    assert len(plain) == 3
    assert {name.partition("_")[0] for name in plain} == {"person", "car", "bicycle"}
    assert "Anna.A" in named


def test_outputs_in_another_folder_use_what_was_found_and_named_in_this_one(film, config, ids, tmp_path, monkeypatch):
    """Seen: `streamseg tracks` keeps both where a person is, and with -o cut/{track}.mov the names were unknown."""
    monkeypatch.chdir(tmp_path)
    Edits().rename(ids["left"], "Anna").save("film.streamseg.json")
    said = run(film, config("select: Anna, car"), Path("cut/{class}/{track}.jsonl"))
    assert any("no network is loaded" in line for line in said)
    assert {path.relative_to("cut").as_posix() for path in Path("cut").rglob("*") if path.is_file()} == {
        "person/Anna.jsonl",
        f"car/{ids['right']}.jsonl",
    }
