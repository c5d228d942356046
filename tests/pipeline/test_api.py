"""The library as a user writes it: `stream`, `run`, and what a Result offers."""

import gc
import json
import subprocess
import sys
import threading
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

import streamseg
from streamseg.errors import ConfigError, SourceNotFound
from tests import clips
from tests.pipeline.conftest import BOX


def test_results_come_lazily_with_everything_in_them(tmp_path, known):
    source = clips.vfr(tmp_path / "a.mp4")
    results = list(streamseg.stream(source, model=known))
    assert [r.frame.index for r in results] == list(range(len(clips.UNEVEN)))
    assert [r.time for r in results] == pytest.approx([t / 50 for t in clips.UNEVEN])
    first = results[0]
    assert first.names == ["person"]
    assert first.scores == pytest.approx([0.9])
    assert first.boxes[0] == pytest.approx(BOX)
    assert {int(r.track_ids[0]) for r in results} == {1}


def test_the_network_may_look_at_every_third_frame(tmp_path, known):
    source = clips.cfr(tmp_path / "a.mp4", 8)
    results = list(streamseg.stream(source, model=known, detect_every=3))
    assert [r.detected for r in results] == [i % 3 == 0 for i in range(8)]
    assert all(r.track_ids.tolist() == [1] for r in results), "masks and identities are carried to the others"
    assert all(r.detected for r in streamseg.stream(source, model=known, detect_every="auto")), (
        "a file waits: nothing to keep up with"
    )
    with pytest.raises(ConfigError, match="not a number of frames from 1 to 100, nor auto"):
        next(streamseg.stream(source, model=known, detect_every=0))


def test_a_run_may_look_at_every_third_frame(tmp_path, make_config):
    source, out = clips.cfr(tmp_path / "a.mp4", 8), tmp_path / "o.jsonl"
    streamseg.run(source, out, pipeline=make_config(), detect_every=3)
    frames = [json.loads(line) for line in out.read_text().splitlines()][1:]
    assert [(f["detected"], len(f["instances"])) for f in frames if "instances" in f] == [(i % 3 == 0, 1) for i in range(8)]
    with pytest.raises(ConfigError, match="not a number of frames"):
        streamseg.run(source, tmp_path / "p.jsonl", pipeline=make_config(), detect_every="often")


@pytest.mark.parametrize(
    "wrong",
    ["postprocess: {classes: cra}", "events: {zones: {yard: {points: [[0, 0], [1, 0], [1, 1]], classes: cra}}}"],
    ids=["postprocess", "a zone"],
)
def test_unknown_classes_are_told_before_an_engine_is_loaded(wrong, tmp_path, make_config, monkeypatch):
    from streamseg.engine import choose

    def never(*_: object, **__: object) -> None:
        raise AssertionError("an engine was about to be loaded")

    monkeypatch.setattr(choose, "CANDIDATES", [replace(c, open=never) for c in choose.CANDIDATES])
    source, out = clips.cfr(tmp_path / "a.mp4", 2), tmp_path / "o.mp4"
    with pytest.raises(ConfigError, match=r"'cra'.*this model knows"):
        streamseg.run(source, out, pipeline=make_config(wrong + "\noutputs: {picture: {composite: [overlay]}}"))
    assert not out.exists()


def test_masks_are_the_frames_size(tmp_path, known):
    result = next(streamseg.stream(clips.cfr(tmp_path / "a.mp4", 3), model=known))
    x0, y0, x1, y1 = (int(v) for v in BOX)
    mask = result.masks[0]
    assert (mask.shape, mask.dtype) == ((clips.HEIGHT, clips.WIDTH), bool)
    assert mask[y0 + 1 : y1 - 1, x0 + 1 : x1 - 1].all()
    assert mask.sum() == pytest.approx((x1 - x0) * (y1 - y0), rel=0.1)
    assert len(result.masks) == len(list(result.masks)) == len(result.masks[:1]) == 1
    with pytest.raises(IndexError):
        result.masks[1]


def test_plot_is_the_picture_with_something_drawn(tmp_path, known):
    result = next(streamseg.stream(clips.cfr(tmp_path / "a.mp4", 3), model=known))
    plain, drawn = result.image(), result.plot()
    assert plain.shape == drawn.shape == (clips.HEIGHT, clips.WIDTH, 3)
    assert not np.array_equal(plain, drawn)
    assert np.array_equal(result.plot("bgr24"), drawn[..., ::-1])
    assert np.array_equal(result.image(), plain), "drawing leaves the frame alone"


def test_json_is_plain_and_the_mask_is_coco_rle(tmp_path, known):
    mask_utils = pytest.importorskip("pycocotools.mask", reason="needs the extra 'train'")
    result = next(streamseg.stream(clips.cfr(tmp_path / "a.mp4", 3), model=known))
    data = json.loads(json.dumps(result.to_json()))
    (instance,) = data["instances"]
    assert (instance["class"], instance["track_id"], data["frame"], data["time"]) == ("person", 1, 0, 0.0)
    assert np.array_equal(mask_utils.decode(instance["mask"]).astype(bool), result.masks[0])


def test_supervision_takes_it(tmp_path, known):
    pytest.importorskip("supervision")
    result = next(streamseg.stream(clips.cfr(tmp_path / "a.mp4", 3), model=known))
    detections = result.to_supervision()
    assert len(detections) == 1
    assert detections.mask.shape == (1, clips.HEIGHT, clips.WIDTH)
    assert detections.tracker_id.tolist() == [1]
    assert list(detections.data["class_name"]) == ["person"]


def test_leaving_the_loop_ends_the_threads(tmp_path, known):
    source = clips.cfr(tmp_path / "a.mp4", 60)
    before = threading.active_count()
    for result in streamseg.stream(source, model=known):
        if result.frame.index == 5:
            break
    del result
    assert threading.active_count() <= before


def test_an_error_in_the_loop_and_the_garbage_collector_end_the_threads(tmp_path, known):
    source = clips.cfr(tmp_path / "a.mp4", 60)
    before = set(threading.enumerate())

    def fail():
        for result in streamseg.stream(source, model=known):
            print(1 / (result.frame.index - 3))

    with pytest.raises(ZeroDivisionError):
        fail()
    assert set(threading.enumerate()) <= before

    class Holder:
        results = streamseg.stream(source, model=known)

    holder = Holder()
    holder.itself = holder
    next(holder.results)
    assert set(threading.enumerate()) > before
    del Holder, holder
    gc.collect()
    assert set(threading.enumerate()) <= before


def test_memory_does_not_grow_with_the_length(tmp_path, known):
    source = clips.cfr(tmp_path / "a.mp4", 400)
    tracemalloc.start()
    sizes = [tracemalloc.get_traced_memory()[0] for _ in streamseg.stream(source, model=known)]
    tracemalloc.stop()
    # The least of some: how many frames are under way at a moment differs.
    assert min(sizes[350:]) - min(sizes[60:110]) < 100_000


def test_filters_and_errors(tmp_path, known):
    source = clips.cfr(tmp_path / "a.mp4", 3)
    assert [len(r) for r in streamseg.stream(source, model=known, classes=["car"])] == [0, 0, 0]
    assert [len(r) for r in streamseg.stream(source, model=known, conf=0.95)] == [0, 0, 0]
    with pytest.raises(ConfigError, match="'cra'"):
        list(streamseg.stream(source, model=known, classes=["cra"]))
    with pytest.raises(ConfigError, match="conf"):
        streamseg.stream(source, model=known, conf=2)
    with pytest.raises(SourceNotFound, match=r"none\.mp4"):
        list(streamseg.stream(tmp_path / "none.mp4", model=known))


def test_run_writes_the_output_and_reports(tmp_path, make_config):
    source = clips.cfr(tmp_path / "a.mp4", 10)
    report = streamseg.run(source, tmp_path / "b.mp4", pipeline=make_config())
    assert report.frames_done == len(clips.decoded(tmp_path / "b.mp4")) == 10
    assert report.objects == {"person": 1}
    assert report.fps > 0
    assert json.loads(json.dumps(report.to_json()))["stages"]["infer"]["items"] == 10


@pytest.mark.parametrize("output", [{"picture": "a.mp4"}, 3, b"a.mp4", ["a.mp4", None], {"a.mp4"}], ids=repr)
def test_what_is_no_path_is_no_output(output, tmp_path, make_config, monkeypatch):
    monkeypatch.chdir(tmp_path)
    clip = clips.cfr(tmp_path / "v.mp4", 3)
    with pytest.raises(ConfigError, match=r"a path or a list of paths.*'NAME=PATH'"):
        streamseg.run(clip, output, pipeline=make_config())
    assert [p.name for p in tmp_path.iterdir()] == ["v.mp4"]


def test_a_folder_gets_the_film_and_a_pattern_gets_images(tmp_path, make_config):
    clip = clips.cfr(tmp_path / "walk.mkv", 3)
    config = make_config("outputs: {picture: {composite: [overlay], path: '{out}'}}")
    streamseg.run(clip, tmp_path / "seen", pipeline=config)
    streamseg.run(clip, f"{tmp_path}/images/*.png", pipeline=config)
    assert [p.name for p in (tmp_path / "seen").iterdir()] == ["walk.mkv"]
    assert len(clips.decoded(tmp_path / "seen" / "walk.mkv")) == 3
    assert sorted(p.name for p in (tmp_path / "images").iterdir()) == [f"{n:06d}.png" for n in range(3)]


def test_the_light_base_imports_no_torch():
    code = "import sys, streamseg.cli.main, streamseg.pipeline.build, streamseg.api; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
