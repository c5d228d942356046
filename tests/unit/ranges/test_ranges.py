"""A film that is made in ranges gives the files of one that is made in one piece, byte for byte."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from streamseg.config.load import load_pipeline
from streamseg.config.schema import PipelineConfig
from streamseg.engine import Engine
from streamseg.jobs import progress
from streamseg.jobs.resume import ResumableRun
from streamseg.pipeline import opening
from streamseg.pipeline.outputs import plan
from streamseg.ranges import plan as planning
from streamseg.ranges.film import DividedFilm, Task, run_in_ranges, run_task
from streamseg.ranges.plan import Model, divide
from tests import clips, graphs, interlaced_clips, telemetry_files

SIZE = (clips.HEIGHT, clips.WIDTH)


@pytest.fixture(autouse=True)
def _short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of 0.4 s, ranges of 0.8 s: short films have many."""
    monkeypatch.setattr(progress, "PART_SECONDS", 0.4)
    monkeypatch.setattr(planning, "RANGE_SECONDS", 0.8)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Finds the bright square, and what else is bright."""
    return graphs.rectangle_model(tmp_path_factory.mktemp("model") / "rectangles.onnx", size=SIZE)


@pytest.fixture
def engine(model: Path) -> Iterator[Engine]:
    config = load_pipeline("drive").model_copy(
        update={"infer": load_pipeline("drive").infer.model_copy(update={"model": str(model)})}
    )
    engine = opening.load_engine(config)
    yield engine
    engine.close()


def with_model(config: PipelineConfig, model: Path, **more: object) -> PipelineConfig:
    infer = config.infer.model_copy(update={"model": str(model), **more})
    asked = config.postprocess.model_copy(update={"classes": None})
    return config.model_copy(update={"infer": infer, "postprocess": asked})


def begun(source: Path, config: PipelineConfig, outputs: Sequence[str], engine: Engine) -> DividedFilm | str:
    """The film, divided; or why not."""
    targets = plan(config.outputs, outputs, str(source))
    held = progress.SavedProgress(str(source), config, targets, overwrite=True)
    order = divide(str(source), config, outputs, targets, held, Model(engine.spec, engine.name, engine.precision))
    if isinstance(order, str):
        held.close(done=True)
        return order
    return DividedFilm(order, targets, held)


def in_ranges(
    source: Path,
    config: PipelineConfig,
    outputs: Sequence[str],
    engine: Engine,
    pick: Callable[[list[Task]], Task] | None = None,
) -> DividedFilm:
    """Run it in ranges."""
    film = begun(source, config, outputs, engine)
    assert isinstance(film, DividedFilm), film
    try:
        run_in_ranges(film, lambda: engine, pick=pick)
    finally:
        film.progress.close(done=True)
    return film


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def same(source: Path, config: PipelineConfig, names: Sequence[str], engine: Engine, tmp_path: Path) -> int:
    """Run it both ways, and compare all files; how many ranges it had."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    uncut = ResumableRun(str(source), config, [str(whole / name) for name in names], engine=engine).run()
    film = in_ranges(source, config, [str(parts / name) for name in names], engine, random.Random(3).choice)
    expected, got = files(whole), files(parts)
    assert got.keys() == expected.keys()
    assert [name for name in expected if expected[name] != got[name]] == []
    assert {name.rpartition("/")[2] for name in names} <= expected.keys()
    report = film.report
    assert report is not None
    for each in ("frames_in", "frames_done", "instances", "objects", "events", "detected", "model", "precision", "dropped"):
        assert getattr(report, each) == getattr(uncut, each), each
    told = [[text.replace(str(parts), str(whole)) for text in output.warnings] for output in report.outputs]
    assert told == [list(output.warnings) for output in uncut.outputs]
    return len(film.order)


def traffic(path: Path, frames: int, pix_fmt: str = "yuv420p", codec: str = "libx264") -> Path:
    """A red box crosses before a green one, a blue one blinks, and at frame 70 another shot begins; a tone beside it."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options={"bf": "2", "x265-params": "log-level=none"})
        stream.width, stream.height, stream.pix_fmt = 2 * clips.WIDTH, 2 * clips.HEIGHT, pix_fmt
        stream.codec_context.gop_size, stream.codec_context.thread_count = 9, 1
        tone = clips.Tone(container)
        noise = np.random.default_rng(5).integers(0, 90, (2 * clips.HEIGHT, 2 * clips.WIDTH, 3), np.uint8)
        for i in range(frames):
            rgb = noise.copy() if i < 70 else noise[::-1, ::-1] // 2
            rgb[40:90, 90:130] = (0, 255, 0)
            if i % 40 < 30:
                rgb[20:60, 10 : 40 + i % 9] = (0, 0, 255)
            left = 3 * i % 200
            rgb[50:110, max(0, left - 20) : left + 20] = (255, 0, 0)
            frame = av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(format=pix_fmt, threads=1)
            frame.pts, frame.time_base = i, Fraction(1, 25)
            container.mux(stream.encode(frame))
            tone.play_until(i / 25)
        container.mux(stream.encode(None))
        tone.finish()
    return path


def joined(path: Path) -> Path:
    """Two recordings, one behind the other: the clock begins anew."""
    one = clips.cfr(path.with_name("one.ts"), 55, video=clips.Video(gop=9, b_frames=2), audio=True)
    path.write_bytes(one.read_bytes() * 2)
    return path


def timecoded(path: Path, frames: int) -> Path:
    """At 29.97 a second, from a drop-frame timecode on, with two chapters."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(30000, 1001), options={"bf": "0"})
        stream.width, stream.height, stream.codec_context.gop_size = clips.WIDTH, clips.HEIGHT, 10
        stream.metadata["timecode"] = "01:00:59;28"
        named = {"time_base": Fraction(1, 1000), "metadata": {"title": "one"}}
        container.set_chapters([{"id": i, "start": 1000 * i, "end": 1000 * i + 1000, **named} for i in range(2)])
        for number in range(frames):
            frame = clips.picture(number)
            frame.pts, frame.time_base = number, Fraction(1001, 30000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


FILMS: dict[str, Callable[[Path], Path]] = {
    "b-frames": lambda folder: traffic(folder / "film.mp4", 100),
    "whole parts": lambda folder: traffic(folder / "film.mp4", 80),
    "one more": lambda folder: traffic(folder / "film.mp4", 81),
    "matroska": lambda folder: traffic(folder / "film.mkv", 100),
    "10 bit": lambda folder: traffic(folder / "film.mov", 90, "yuv420p10le", "libx265"),
    "timecode": lambda folder: timecoded(folder / "film.mov", 90),
    "subtitles": lambda folder: clips.with_subtitles(folder / "film.mkv", 90),
    "rotated": lambda folder: clips.rotated(folder / "film.mov", 90, 80),
    "uneven": lambda folder: clips.write(
        folder / "film.mp4", [3 * i + i % 3 for i in range(90)], Fraction(1, 75), clips.Video(gop=9), rate=Fraction(25)
    ),
    "transport": lambda folder: clips.cfr(folder / "film.ts", 90, video=clips.Video(gop=9, b_frames=2), audio=True),
    "joined": lambda folder: joined(folder / "film.ts"),
    "images": lambda folder: clips.image_folder(folder / "film", 90),
    "deinterlaced": lambda folder: interlaced_clips.write(folder / "film.mkv", frames=90, options={"g": "9", "bf": "0"}),
}

LONG = ("whole parts", "matroska", "rotated")


@pytest.mark.parametrize("name", [pytest.param(each, marks=[pytest.mark.long] if each in LONG else []) for each in FILMS])
def test_any_order_of_tasks_gives_the_files_of_one_run(name: str, model: Path, engine: Engine, tmp_path: Path) -> None:
    config = with_model(load_pipeline("drive"), model)
    if name == "deinterlaced":
        config = config.model_copy(update={"decode": config.decode.model_copy(update={"deinterlace": "frame"})})
    names = [
        "a.mov" if name in ("10 bit", "timecode") else "a.mp4",
        "a.mkv",
        "a.jsonl",
        "a.coco.json",
        "a.mots.txt",
        "a.events.csv",
    ]
    assert same(FILMS[name](tmp_path), config, names, engine, tmp_path) >= 2


@pytest.mark.parametrize("pipeline", ["drive", "edit"])
def test_the_pipelines_that_are_shipped(pipeline: str, model: Path, engine: Engine, tmp_path: Path) -> None:
    config = with_model(load_pipeline(pipeline), model)
    config = config.model_copy(update={"preprocess": config.preprocess.model_copy(update={"size": None})})
    assert same(traffic(tmp_path / "film.mp4", 110), config, ["a.mp4", "b.mkv", "c.jsonl"], engine, tmp_path) >= 3


def test_the_network_looks_at_some_frames_alone(model: Path, engine: Engine, tmp_path: Path) -> None:
    config = with_model(load_pipeline("drive"), model, every=3)
    assert same(traffic(tmp_path / "film.mp4", 190), config, ["a.mp4", "a.jsonl"], engine, tmp_path) >= 2


def test_where_the_vehicle_was_is_known_in_every_range(model: Path, engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "drive.gpx").write_text(telemetry_files.gpx(range(60)))
    config = with_model(load_pipeline("drive"), model)
    asked = {"telemetry": str(tmp_path / "drive.gpx"), "telemetry_offset": 0.0, "camera_height": 1.3}
    config = config.model_copy(update={"scene": config.scene.model_copy(update=asked)})
    assert same(traffic(tmp_path / "film.mp4", 110), config, ["a.mp4", "a.jsonl"], engine, tmp_path) >= 3
    lines = (tmp_path / "parts" / "a.jsonl").read_text().splitlines()
    assert sum('"latitude"' in line for line in lines) >= 100


def test_a_film_goes_on_with_what_is_there_and_sound(model: Path, engine: Engine, tmp_path: Path) -> None:
    source, config = traffic(tmp_path / "film.mp4", 100), with_model(load_pipeline("drive"), model)
    whole, parts = tmp_path / "whole" / "a.mp4", [str(tmp_path / "parts" / name) for name in ("a.mp4", "a.jsonl")]
    ResumableRun(str(source), config, [str(whole)], engine=engine).run()
    film = begun(source, config, parts, engine)
    assert isinstance(film, DividedFilm)
    film.running.add(Task("join"))  # nobody joins it
    random.seed(11)
    while ready := film.ready():
        film.took(task := random.choice(ready), run_task(task, film.order, lambda: engine))
    film.progress.close()
    folder = film.order.folder
    for name in ("picture/000001.packets", film.order.found(2), film.order.answers(1)):
        (folder / name).write_bytes(b"spoiled")
    again = begun(source, config, parts, engine)
    assert isinstance(again, DividedFilm)
    told = {task for k in range(len(again.order)) for task in (Task("look", k), Task("find", k), Task("draw", k))} - again.done
    assert {Task("draw", 0), Task("look", 1), Task("find", 2)} <= told
    run_in_ranges(again, lambda: engine)
    again.progress.close(done=True)
    assert (tmp_path / "parts" / "a.mp4").read_bytes() == whole.read_bytes()
    assert not folder.exists()


@pytest.mark.parametrize(
    ("names", "more", "why"),
    [
        (["a-%04d.png"], {}, "neither a video nor"),
        (["a-{track}.mkv"], {}, "neither a video nor"),
        (["a.cvat.zip"], {}, "pictures of its own"),
        (["a.mp4"], {"decode": {"start": 1.0}}, "only a span"),
        (["a.mp4"], {"decode": {"deinterlace": "field"}}, "when they are decoded"),
        (["a.mp4"], {"select": {"objects": "largest"}}, "looked at"),
    ],
)
def test_what_is_not_divided_says_why(
    names: list[str], more: dict[str, dict[str, object]], why: str, model: Path, engine: Engine, tmp_path: Path
) -> None:
    config = with_model(load_pipeline("drive"), model)
    for section, values in more.items():
        config = config.model_copy(update={section: getattr(config, section).model_copy(update=values)})
    told = begun(clips.cfr(tmp_path / "film.mp4", 100), config, [str(tmp_path / name) for name in names], engine)
    assert isinstance(told, str)
    assert why in told


def test_a_short_film_and_one_with_far_key_frames_stay_whole(model: Path, engine: Engine, tmp_path: Path) -> None:
    config = with_model(load_pipeline("drive"), model)
    assert begun(clips.cfr(tmp_path / "s.mp4", 15), config, [str(tmp_path / "a.mp4")], engine) == "it has 15 pictures only"
    far = clips.cfr(tmp_path / "f.mp4", 120, 25, clips.Video(gop=500))
    assert "key frames" in str(begun(far, config, [str(tmp_path / "b.mp4")], engine))


def test_one_machine_goes_on_with_what_many_began_and_the_other_way_round(model: Path, engine: Engine, tmp_path: Path) -> None:
    source, config = traffic(tmp_path / "film.mp4", 100), with_model(load_pipeline("drive"), model)
    names = ("a.mp4", "a.jsonl")
    whole, one, other = ([str(tmp_path / folder / name) for name in names] for folder in ("whole", "one", "other"))
    ResumableRun(str(source), config, whole, engine=engine).run()
    film = begun(source, config, one, engine)
    assert isinstance(film, DividedFilm)
    while len([task for task in film.done if task.kind == "draw"]) < 2:
        film.took(task := film.ready()[0], run_task(task, film.order, lambda: engine))
    film.progress.close()
    assert film.order.folder.exists()
    ResumableRun(str(source), config, one, engine=engine).run()
    assert not film.order.folder.exists()

    cut_off = ResumableRun(str(source), config, other, engine=engine)
    cut_off.run(lambda pipeline: pipeline.runtime.interrupt(2) if pipeline.tally.frames >= 60 else None)
    again = begun(source, config, other, engine)
    if isinstance(again, DividedFilm):  # else it was done before the interrupt came
        run_in_ranges(again, lambda: engine)
        again.progress.close(done=True)
    expected = files(tmp_path / "whole")
    assert files(tmp_path / "one") == expected
    assert files(tmp_path / "other") == expected
