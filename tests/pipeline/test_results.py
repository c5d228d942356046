"""Look once, render as often as you like: what comes out of a results file is what comes out of looking again, to the byte."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import av
import numpy as np
import pytest

import streamseg as library
from streamseg.config import PipelineConfig, parse_pipeline
from streamseg.errors import ConfigError, OutputError, ResultsError
from streamseg.pipeline import build
from streamseg.pipeline.bench import bench
from streamseg.pipeline.build import build_pipeline
from streamseg.pipeline.stages import Step
from streamseg.record import open_results
from streamseg.system.output_files import open_locked
from tests import clips, graphs
from tests.full_disk import file_size_limit

WIDTH, HEIGHT, FRAMES = 96, 64, 12
EDIT = """
results: {keep: auto}
outputs:
  picture: {path: "{out}", composite: [blur: {where: background}], encode: {codec: png}}
  alpha: {path: "{stem}.alpha.mov", composite: [alpha]}
"""
PLAIN = "results: {keep: auto}\noutputs: {picture: {composite: [overlay]}}"
"""x264 with two threads gives other bits for the same pictures now and then: what is compared to the byte is in PNG."""


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """It finds red boxes (person) and green ones (bicycle)."""
    return graphs.rectangle_model(tmp_path_factory.mktemp("model") / "boxes.onnx", size=(HEIGHT, WIDTH))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    """A red box goes from left to right, a green one stands."""
    return clips.moving_boxes(tmp_path_factory.mktemp("film") / "boxes.mkv", FRAMES)


@pytest.fixture
def film(drawn, tmp_path) -> Path:
    return Path(shutil.copy(drawn, tmp_path / "film.mkv"))


@pytest.fixture
def config(model):
    def make(text: str = PLAIN, **infer: object) -> PipelineConfig:
        made = parse_pipeline(text, "test.yaml")
        return made.model_copy(update={"infer": made.infer.model_copy(update={"model": str(model), "threads": 1, **infer})})

    return make


class Looks:
    """Counts how often an engine was opened."""

    def __init__(self, monkeypatch) -> None:
        self.count, real = 0, build.opening.load_engine
        monkeypatch.setattr(
            build.opening, "load_engine", lambda *given: (setattr(self, "count", self.count + 1), real(*given))[1]
        )

    def took(self) -> int:
        count, self.count = self.count, 0
        return count


@pytest.fixture
def looks(monkeypatch) -> Looks:
    return Looks(monkeypatch)


def run(source, config, *outputs, say=None, **more):
    return build_pipeline(str(source), config, [str(path) for path in outputs], on_message=say, **more).run()


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".streamseg"
    }


def test_rendering_again_gives_the_same_bytes_and_loads_no_engine(film, config, tmp_path, looks):
    """Video, alpha master, PNG and JSON lines; the second run is of another folder, which has a copy of the results file."""
    one, two = tmp_path / "one", tmp_path / "two"
    first = run(film, config(EDIT), one / "a.mov", one / "png/%03d.png", one / "a.jsonl")
    assert looks.took() == 1
    assert (first.results["read"], first.results["frames"]) == (False, FRAMES)
    assert first.results["path"] == str(one / "film.streamseg")
    assert first.results["bytes"] == (one / "film.streamseg").stat().st_size
    two.mkdir()
    shutil.copy(one / "film.streamseg", two)
    said = []
    second = run(film, config(EDIT), two / "a.mov", two / "png/%03d.png", two / "a.jsonl", say=said.append)
    assert looks.took() == 0
    assert said == [f"results: {two}/film.streamseg is read ({FRAMES} frames; test, openvino, fp32); no network is loaded"]
    assert files(one) == files(two)
    assert {"a.mov", "a.alpha.mov", "a.jsonl", "png/011.png"} <= files(one).keys()
    assert second.results == {"path": str(two / "film.streamseg"), "read": True, "frames": FRAMES, "bytes": 0}
    assert (second.instances, second.objects, second.model) == (first.instances, first.objects, first.model)
    assert "infer" in first.stages
    assert [*second.stages][:4] == ["decode", "recall", "occlusion", "events"]


def test_lite_renders_again_to_the_byte(tmp_path, looks):
    """A picture of the docs, moved a little from frame to frame: people, cars, soft masks with fine grids."""
    photo = av.open(str(Path(__file__).parents[2] / "docs" / "pedestrians.jpg"))
    picture = next(photo.decode(video=0)).reformat(format="rgb24", threads=1).to_ndarray()
    film = tmp_path / "walk.mkv"
    with av.open(str(film), "w") as container:
        stream = container.add_stream("ffv1", rate=25, width=480, height=320, pix_fmt="yuv420p")
        for i in range(4):
            shown = np.ascontiguousarray(picture[40 : 40 + 320, 200 + 2 * i : 680 + 2 * i])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(shown, "rgb24").reformat(format="yuv420p", threads=1)))
        container.mux(stream.encode(None))
    edit = parse_pipeline(EDIT, "test.yaml")
    for folder in ("one", "two"):
        report = run(film, edit, tmp_path / folder / "%d.png", tmp_path / folder / "a.jsonl")
        shutil.copytree(tmp_path / "one", tmp_path / "two", ignore=lambda _, names: [n for n in names if "streamseg" not in n],
                        dirs_exist_ok=True)  # fmt: skip
    assert looks.took() == 1
    assert report.results["read"]
    assert report.instances > 4
    assert len(files(tmp_path / "two")) == 5
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_other_classes_need_no_network(film, config, tmp_path, looks):
    """Person alone, from the file of a run that showed bicycles: as if it had been looked at for that."""
    bicycles = config(f"postprocess: {{classes: bicycle}}\n{EDIT}")
    people = config(f"postprocess: {{classes: person}}\n{EDIT}")
    run(film, bicycles, tmp_path / "a.mov", tmp_path / "a.jsonl")
    again = run(film, people, tmp_path / "b.mov", tmp_path / "b.jsonl")
    assert looks.took() == 1
    fresh = run(film, people, tmp_path / "c/b.mov", tmp_path / "c/b.jsonl")
    assert looks.took() == 1
    assert set(fresh.objects) == {"person"}
    assert again.objects == fresh.objects
    for name in ("b.mov", "b.jsonl"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "c" / name).read_bytes()


@pytest.mark.parametrize(
    ("text", "infer", "said"),
    [
        ("postprocess: {conf: 0.3}", {}, "postprocess.conf was auto, and is 0.3"),
        ("track: {max_age: 2s}", {}, "track.max_age was 1.0, and is 2.0"),
        ("smooth: {edges: false}", {}, "smooth.edges was True, and is False"),
        ("decode: {deinterlace: frame}", {}, "decode.deinterlace was 'off', and is 'frame'"),
        ("", {"every": 2}, "infer.every was 1, and is 2"),
        ("", {"engine": "onnxruntime"}, "infer.engine was 'openvino', and is 'onnxruntime'"),
    ],
)
def test_a_file_of_other_settings_is_looked_at_anew_and_says_which(film, config, tmp_path, looks, text, infer, said):
    run(film, config(), tmp_path / "a.mkv")
    heard = []
    report = run(film, config(f"{text}\n{PLAIN}", **infer), tmp_path / "b.mkv", say=heard.append)
    assert looks.took() == 2
    expected = f"film.streamseg does not fit ({said}); the film is looked at anew, and it is replaced when that is done"
    assert heard[0] == f"results: {tmp_path}/{expected}"
    assert not report.results["read"]
    assert run(film, config(f"{text}\n{PLAIN}", **infer), tmp_path / "c.mkv").results["read"], "it has been replaced"


@pytest.mark.parametrize("text", ["events: {confirm: 1s}", "infer: {in_flight: 1}", "postprocess: {classes: all}"])
def test_settings_that_have_no_part_in_finding_do_not_matter(film, config, tmp_path, looks, text):
    run(film, config(), tmp_path / "a.mkv")
    assert run(film, config(f"{text}\n{PLAIN}"), tmp_path / "b.mkv").results["read"]
    assert looks.took() == 1


def test_what_was_taken_by_itself_may_be_asked_for_by_its_name(film, config, tmp_path):
    run(film, config(), tmp_path / "a.mkv")
    assert run(film, config(engine="openvino", precision="fp32"), tmp_path / "b.mkv").results["read"]


def test_another_model_and_another_film_are_noticed(film, config, tmp_path, looks):
    other = tmp_path / "other.onnx"
    graphs.constant_model(other, boxes=((5, 5, 30, 30),), scores=(0.9,), labels=(0,), size=(HEIGHT, WIDTH))
    heard = []
    run(film, config(), tmp_path / "a.mkv")
    run(film, config(model=str(other)), tmp_path / "b.mkv", say=heard.append)
    assert "does not fit (it was made by another model (test));" in heard[0]
    film.write_bytes(film.read_bytes() + b"more")
    heard.clear()
    run(film, config(model=str(other)), tmp_path / "c.mkv", say=heard.append)
    assert "does not fit (it is of another film);" in heard[0]
    assert looks.took() == 3


def test_films_of_one_name_do_not_take_each_others_file(film, config, tmp_path, looks):
    """film.mkv and film.mp4, rendered into one folder, in turn."""
    other = clips.cfr(tmp_path / "film.mp4", 5)
    for turn in range(2):
        assert run(film, config(), tmp_path / f"out/a{turn}.mov").results["path"] == str(tmp_path / "out/film.streamseg")
        kept = run(other, config(), tmp_path / f"out/b{turn}.mov").results
        assert (kept["path"], kept["read"]) == (str(tmp_path / "out/film.mp4.streamseg"), turn == 1)
    assert looks.took() == 2


def part(config, start=0.0, duration=None):
    return config.model_copy(update={"decode": config.decode.model_copy(update={"start": start, "duration": duration})})


def test_a_part_is_rendered_from_the_file_of_the_whole(film, config, tmp_path, looks):
    run(film, config(), tmp_path / "a.mkv")
    report = run(film, part(config(), 0.2, 0.16), tmp_path / "b.mov", tmp_path / "b.jsonl")
    assert (report.results["read"], report.frames_done, looks.took()) == (True, 4, 1)


def test_the_file_of_a_part_does_not_serve_more(film, config, tmp_path, looks):
    run(film, part(config(), 0.12, 0.2), tmp_path / "a.mkv")
    assert run(film, part(config(), 0.16, 0.08), tmp_path / "b.mkv").results["read"]
    heard = []
    run(film, part(config(), 0.2, 0.2), tmp_path / "c.mkv", say=heard.append)
    assert "does not fit (it ends at 0.32 s)" in heard[0]
    run(film, config(), tmp_path / "d.mkv", say=heard.append)
    assert "does not fit (it begins at 0.2 s)" in heard[2]
    assert looks.took() == 3
    with open_results(tmp_path / "film.streamseg") as results:
        assert (len(results), results.complete) == (FRAMES, True)


def test_the_work_of_hours_is_not_given_for_a_trial(film, config, tmp_path):
    """A short run with other settings keeps nothing, rather than to replace the whole film's results."""
    run(film, config(), tmp_path / "a.mkv")
    whole, heard = (tmp_path / "film.streamseg").read_bytes(), []
    other = part(config(f"postprocess: {{conf: 0.3}}\n{PLAIN}"), duration=0.1)
    assert run(film, other, tmp_path / "b.mkv", say=heard.append).results == {}
    assert "it holds more of the film, so it stays, and this run keeps none" in heard[0]
    assert (tmp_path / "film.streamseg").read_bytes() == whole


def test_a_file_that_was_cut_off_serves_what_it_holds(film, config, tmp_path, looks):
    run(film, config(), tmp_path / "a.mkv")
    path = tmp_path / "film.streamseg"
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with open_results(path) as results:
        held = len(results)
    assert 0 < held < FRAMES
    assert run(film, part(config(), 0, (held - 1) / 25), tmp_path / "b.mkv").results["read"]
    heard = []
    run(film, config(), tmp_path / "c.mkv", say=heard.append)
    assert "where the run that wrote it was interrupted" in heard[0]
    assert looks.took() == 2


def test_an_interrupted_run_leaves_what_it_found(film, config, tmp_path):
    built = build_pipeline(str(film), config(), [str(tmp_path / "a.mkv")])
    built.runtime.interrupt(2)
    report = built.run()
    assert report.interrupted
    with open_results(tmp_path / "film.streamseg") as results:
        assert not results.complete


def test_a_damaged_record_is_named_and_nothing_is_drawn_in_its_place(film, config, tmp_path):
    run(film, config(), tmp_path / "a.mkv")
    path = tmp_path / "film.streamseg"
    data = bytearray(path.read_bytes())
    with open_results(path) as results:
        data[int(results._places[0, 5]) + 90] ^= 1
    path.write_bytes(data)
    with pytest.raises(ResultsError, match="the record of frame 5, at byte"):
        run(film, config(), tmp_path / "b.mkv")


def test_a_file_of_an_unknown_kind_is_never_replaced(film, config, tmp_path):
    (tmp_path / "film.streamseg").write_bytes(b"nothing of ours")
    heard = []
    report = run(film, config(), tmp_path / "a.mkv", say=heard.append)
    assert (report.frames_done, report.results) == (FRAMES, {})
    assert "no results file of streamseg, so it stays" in heard[0]
    assert (tmp_path / "film.streamseg").read_bytes() == b"nothing of ours"
    (tmp_path / "mine.streamseg").write_bytes(b"nothing of ours")
    with pytest.raises(ResultsError, match="no results file of streamseg"):
        run(film, config(f"results: {{keep: {tmp_path}/mine.streamseg}}"), tmp_path / "b.mkv")
    assert (tmp_path / "mine.streamseg").read_bytes() == b"nothing of ours"


def test_a_file_asked_for_by_name_is_not_replaced_by_another_film(film, config, tmp_path):
    text = f"results: {{keep: {tmp_path}/mine.streamseg}}"
    run(film, config(text), tmp_path / "a.mkv")
    film.write_bytes(film.read_bytes() + b"more")
    with pytest.raises(ResultsError, match=r"mine\.streamseg: it is of another film; choose another name, or pass --overwrite"):
        run(film, config(text), tmp_path / "b.mkv")
    assert not run(film, config(text), tmp_path / "b.mkv", overwrite=True).results["read"]


def test_another_runs_file_is_left_alone(film, config, tmp_path):
    fd = open_locked(tmp_path / "film.streamseg", tmp_path / "film.streamseg")
    heard = []
    try:
        assert run(film, config(), tmp_path / "a.mkv", say=heard.append).results == {}
        assert any("is not kept: another run is writing it" in line for line in heard)
        with pytest.raises(ResultsError, match="empty"):
            run(film, config(f"results: {{keep: {tmp_path}/film.streamseg}}"), tmp_path / "b.mkv")
    finally:
        os.close(fd)


def test_a_folder_that_cannot_be_written_is_said(film, config, tmp_path):
    """A file stands where the folder would be: root may write into folders that are read-only."""
    (tmp_path / "there").write_text("")
    with pytest.raises(OutputError, match="cannot make this folder"):
        run(film, config(f"results: {{keep: {tmp_path}/there/a.streamseg}}"), tmp_path / "a.mkv")


def test_a_read_only_folder_costs_the_file_alone(film, config, tmp_path, monkeypatch):
    def refused(path, head, replace):
        raise OutputError(f"{path}: cannot be written: Permission denied")

    monkeypatch.setattr("streamseg.pipeline.results.RecordWriter", refused)
    heard = []
    assert run(film, config(), tmp_path / "a.mkv", say=heard.append).frames_done == FRAMES
    assert any("film.streamseg is not kept: cannot be written: Permission denied; --results FILE.streamseg" in s for s in heard)


def test_a_full_disk_costs_the_file_alone_where_nobody_asked_for_it(film, config, tmp_path):
    report = run(film, config(PLAIN.replace("overlay", "matte")), tmp_path / "a.mkv")
    room = report.results["bytes"] - 500
    (tmp_path / "film.streamseg").unlink()
    assert (tmp_path / "a.mkv").stat().st_size < room
    built = build_pipeline(str(film), config(PLAIN.replace("overlay", "matte")), [str(tmp_path / "c.mkv")])
    with file_size_limit(room):
        report = built.run()
    assert report.frames_done == FRAMES
    assert "writing the results file failed" in report.warnings[0]
    assert "the run goes on without it" in report.warnings[0]
    assert not (tmp_path / "film.streamseg").exists()
    text = PLAIN.replace("overlay", "matte").replace("auto", f"{tmp_path}/b.streamseg")
    asked = build_pipeline(str(film), config(text), [str(tmp_path / "b.mkv")])
    with file_size_limit(room), pytest.raises(OutputError, match="frames before it are kept"):
        asked.run()
    with open_results(tmp_path / "b.streamseg") as results:
        assert 0 < len(results) < FRAMES


def arrays():
    return iter([np.zeros((HEIGHT, WIDTH, 3), np.uint8)] * 3)


def test_what_comes_only_once_has_no_results_file(config, tmp_path):
    heard = []
    report = build_pipeline(arrays(), config(), [str(tmp_path / "a.mkv")], on_message=heard.append).run()
    assert (report.results, sorted(path.name for path in tmp_path.iterdir())) == ({}, ["a.mkv"])
    assert not [line for line in heard if "results" in line]
    asked = config(f"results: {{keep: {tmp_path}/a.streamseg}}")
    with pytest.raises(ConfigError, match="its pictures are given by a program, so that no results file can be kept of it"):
        build_pipeline(arrays(), asked, [str(tmp_path / "b.mkv")])


@pytest.mark.parametrize("text", ["decode: {realtime: true}", "decode: {policy: drop_oldest}"])
def test_where_frames_may_be_left_out_none_is_kept(film, config, tmp_path, text):
    assert run(film, config(f"{text}\n{PLAIN}"), tmp_path / "a.mkv").results == {}
    with pytest.raises(ConfigError, match="frames may be left out"):
        run(film, config(f"{text}\nresults: {{keep: {tmp_path}/a.streamseg}}"), tmp_path / "b.mkv")


def test_a_programs_own_stage_that_has_a_part_in_finding_is_no_key(film, config, tmp_path):
    before = Step("mine", "does nothing", "Result", lambda context: lambda result: result, after="track")
    behind = Step("mine", "does nothing", "Result", lambda context: lambda result: result, after="edit")
    assert run(film, config(), tmp_path / "a.mkv", extra=[before]).results == {}
    assert run(film, config(), tmp_path / "b.mkv", extra=[behind]).results["frames"] == FRAMES


def test_a_folder_of_images_is_a_film(film, config, tmp_path, looks):
    run(film, config("outputs: {picture: {composite: []}}"), tmp_path / "shot/%03d.png")
    assert run(tmp_path / "shot", config(), tmp_path / "out/a.mkv").results["path"] == str(tmp_path / "out/shot.streamseg")
    assert run(tmp_path / "shot", config(), tmp_path / "out/b.mkv").results["read"]
    os.utime(tmp_path / "shot/003.png", (1, 1))
    assert not run(tmp_path / "shot", config(), tmp_path / "out/c.mkv").results["read"]
    assert looks.took() == 3


def test_one_photo_keeps_nothing_unless_that_is_asked_for(config, tmp_path):
    photo = clips.save_image(tmp_path / "photo.png", 7)
    assert run(photo, config(), tmp_path / "a.png").results == {}
    assert run(photo, config(f"results: {{keep: {tmp_path}/a.streamseg}}"), tmp_path / "b.png").results["frames"] == 1


def test_bench_measures_the_recording_and_does_not_read_its_own_file(film, config, tmp_path):
    measured = bench(film, config(), 6)
    assert {"infer", "record"} <= {*measured.stages}
    assert "recall" not in measured.stages
    assert measured.frames == 6
    assert [path for path in tmp_path.iterdir() if path.suffix == ".streamseg"] == []


def test_a_quick_look_neither_reads_nor_replaces_what_was_found(film, model, tmp_path, streamseg):
    arguments = ["run", film, "-p", "edit", "--model", model, "-o"]
    assert streamseg(*arguments, tmp_path / "a.mp4").returncode == 0
    kept = (tmp_path / "film.streamseg").read_bytes()
    done = streamseg(*arguments, tmp_path / "b.mp4", "-o", "alpha=none", "--preview")
    assert done.returncode == 0, done.stderr
    assert "results" not in done.stderr
    assert (tmp_path / "film.streamseg").read_bytes() == kept


def test_in_python_a_file_is_kept_and_read_where_it_is_named(film, model, tmp_path, looks):
    path = tmp_path / "kept" / "boxes.streamseg"
    first = [result.to_json() for result in library.stream(film, model=model, results=path)]
    with open_results(path) as results:
        assert results.complete
        assert [len(record) for record in results] == [len(frame["instances"]) for frame in first]
    looks.took()
    again = list(library.stream(film, model=model, classes="bicycle", results=path))
    assert looks.took() == 0
    assert all(result.names == ["bicycle"] for result in again)
    assert [result.to_json() for result in library.stream(film, model=model, results=path)] == first
    report = library.run(film, tmp_path / "a.mkv", model=model, results=path, classes="all")
    assert report.results["read"]
    with library.Session(model=model) as session:
        assert session.run(film, tmp_path / "b.mkv", results=path, classes="all").results["read"]
        assert len([*session.stream(film, results=tmp_path / "none" / "c.streamseg", conf=0.4)]) == FRAMES


def test_a_stream_that_is_left_early_keeps_what_was_found(film, model, tmp_path):
    results = library.stream(film, model=model, results=tmp_path / "a.streamseg")
    next(results)
    results.close()
    with open_results(tmp_path / "a.streamseg") as kept:
        assert not kept.complete
        assert len(kept) >= 1


def test_the_shell_says_what_is_kept_and_read(film, model, tmp_path, streamseg):
    arguments = ["run", film, "-p", "edit", "--model", model, "-o"]
    done = streamseg(*arguments, tmp_path / "a.mp4")
    assert done.returncode == 0, done.stderr
    assert f"results: {tmp_path}/film.streamseg ({FRAMES} frames, 0.0 MB)" in done.stderr
    done = streamseg(*arguments, tmp_path / "b.mp4", "--classes", "bicycle")
    assert "film.streamseg is read (12 frames; test, openvino, fp32); no network is loaded" in done.stderr
    done = streamseg(*arguments, tmp_path / "c.mp4", "--results", "off")
    assert "results" not in done.stderr
    done = streamseg(*arguments, tmp_path / "d.mp4", "--results", "film.mp4")
    assert done.returncode == 3
    assert "--results: 'film.mp4' is not allowed; write auto, off, or the name of a results file" in done.stderr
