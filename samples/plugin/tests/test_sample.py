"""Each thing that the sample brings, from Python and from pipeline files: what comes out is looked at."""

from __future__ import annotations

import dataclasses
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import streamseg
from streamseg.core.result import Result
from streamseg.detect.heads import head_for
from streamseg.engine import read_spec
from streamseg.errors import ConfigError, ModelError, OutputExists, SourceError
from streamseg.hub.catalog import resolve
from streamseg.hub.graph_file import TensorInfo, parse_graph
from streamseg.pixels.letterbox import Letterbox

GLOW = Path(__file__).resolve().parents[1] / "glow.yaml"
FILM = "discs://160x96?frames=6&rate=12"


def run(out: Path | list[Path], text: str | dict[str, Any] | None = None, **options: Any) -> streamseg.RunReport:
    """Run the source through the engine of the sample, so that no network is needed."""
    return streamseg.run(FILM, out, pipeline=text or {}, engine="bright", **options)


def pictures(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24", threads=1) for frame in container.decode(video=0)]


def results(**options: Any) -> list[Result]:
    return list(streamseg.stream(FILM, engine="bright", **options))


def test_the_source_is_read_with_its_times() -> None:
    found = results()
    assert [result.frame.pts * result.frame.time_base for result in found] == [Fraction(n, 12) for n in range(6)]
    assert (found[0].frame.width, found[0].frame.height) == (160, 96)
    with pytest.raises(SourceError, match="write discs://WIDTHxHEIGHT"):
        list(streamseg.stream("discs://large", engine="bright"))


def test_the_engine_finds_the_discs() -> None:
    for result in results():
        (low, high) = sorted(result.boxes.tolist(), key=lambda box: box[1])
        assert abs((low[1] + low[3]) / 2 - 96 * 0.3) < 2
        assert abs((high[1] + high[3]) / 2 - 96 * 0.7) < 2
        assert high[2] - high[0] > low[2] - low[0]


def test_the_stage_lets_the_largest_through() -> None:
    pipeline = {"stages": [{"largest": {"count": 1}}]}
    for alone, both in zip(results(pipeline=pipeline), results(), strict=True):
        areas = [(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in both.boxes.tolist()]
        assert np.allclose(alone.boxes, both.boxes[[int(np.argmax(areas))]], atol=1.5)
    with pytest.raises(ConfigError, match=r"stages\.0\.largest\.count: -1 is not allowed"):
        results(pipeline={"stages": [{"largest": {"count": -1}}]})


def test_the_effect_is_drawn_around_the_discs_alone(tmp_path: Path) -> None:
    glow = {"path": "{out}", "composite": [{"glow": {"strength": 1, "width": 100}}]}
    plain = {"path": str(tmp_path / "plain.mkv")}
    for output in (glow, plain):
        output["encode"] = {"codec": "ffv1"}
    run(tmp_path / "glow.mkv", {"outputs": {"picture": glow, "plain": plain}})
    for before, after in zip(pictures(tmp_path / "plain.mkv"), pictures(tmp_path / "glow.mkv"), strict=True):
        changed = np.abs(before.astype(int) - after).max(axis=2) > 8
        disc = before.min(axis=2) > 240
        assert changed.sum() > 100
        assert not (changed & disc).sum() > disc.sum() * 0.1
        assert not changed[:, -20:].any()  # far from both
    with pytest.raises(ConfigError, match=r"glow\.strength: 3 is not allowed; expected less than or equal to 1"):
        run(tmp_path / "x.mkv", {"outputs": {"a": {"composite": [{"glow": {"strength": 3}}]}}})


def test_the_pipeline_file_draws_it(tmp_path: Path) -> None:
    report = streamseg.run(FILM, tmp_path / "a.mkv", pipeline=GLOW, engine="bright", codec="ffv1")
    assert "largest" in report.stages
    colours = pictures(tmp_path / "a.mkv")[0].astype(int)
    assert (colours.max(axis=2) - colours.min(axis=2)).max() > 60  # the film itself is grey


def test_the_sink_writes_a_gif_at_the_films_times(tmp_path: Path) -> None:
    run(tmp_path / "a.gif")
    with av.open(str(tmp_path / "a.gif")) as container:
        frames = list(container.decode(video=0))
    assert [round(float(frame.pts * frame.time_base), 2) for frame in frames] == [round(n / 12, 2) for n in range(6)]
    with pytest.raises(OutputExists):
        run(tmp_path / "a.gif")


def test_the_format_counts(tmp_path: Path) -> None:
    run([tmp_path / "a.counts.csv", tmp_path / "a.jsonl"])
    head, *lines = [line.split(",") for line in (tmp_path / "a.counts.csv").read_text().splitlines()]
    told = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()][1:]
    told = [line for line in told if "instances" in line]
    assert head[:3] == ["frame", "time", "person"]
    assert [(int(cells[0]), int(cells[2])) for cells in lines] == [(line["frame"], len(line["instances"])) for line in told]


def test_the_head_reads_centres() -> None:
    spec = dataclasses.replace(read_spec(resolve("lite")), outputs={"detections": TensorInfo("float32", (1, 4, 6))})
    head = head_for(spec)
    assert head.name == "centres"
    rows = np.array([[50, 40, 20, 10, 0.9, 2], [9, 9, 2, 2, 0.01, 0], [1, 1, 1, 1, np.nan, 0]], np.float32)
    read = head({"detections": rows}, Letterbox(1.0, 1.0, 0, 0, 160, 96), 0.1)
    assert read.boxes[0].tolist() == [40, 35, 60, 45]
    assert (read.labels[0], len(read.scores)) == (2, 2)
    assert read.masks(np.array([0])).shape == (1, 28, 28)


def centre_model(path: Path) -> Path:
    """A model that finds a person in the middle of everything, and says so as `centres` reads it."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    rows = np.zeros((1, 2, 6), np.float32)
    rows[0, 0] = (48, 32, 24, 16, 0.9, 0)
    known = {"rows": rows, "axes": np.array([0, 1, 2, 3]), "zero": np.array(0, np.float32)}
    node = helper.make_node
    nodes = [
        node("Cast", ["images"], ["levels"], to=TensorProto.FLOAT),
        node("ReduceMax", ["levels", "axes"], ["most"], keepdims=0),
        node("Mul", ["most", "zero"], ["nothing"]),
        node("Add", ["rows", "nothing"], ["detections"]),
    ]
    graph = helper.make_graph(
        nodes,
        "centres",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, [1, 64, 96, 3])],
        [helper.make_tensor_value_info("detections", TensorProto.FLOAT, [1, 2, 6])],
        initializer=[numpy_helper.from_array(array, name) for name, array in known.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    told = parse_graph(Path(resolve("lite")).read_bytes(), "lite").metadata
    helper.set_model_props(model, {key: value for key, value in told.items() if "weights" not in key})
    onnx.save(model, path)
    return path


@pytest.mark.parametrize("head", ["auto", "centres", {"use": "streamseg_sample.centres:Centres"}], ids=str)
def test_the_head_is_chosen_by_fit_by_name_and_by_reference(head: Any, tmp_path: Path) -> None:
    model = centre_model(tmp_path / "centres.onnx")
    trust = isinstance(head, dict)
    found = list(streamseg.stream(FILM, model=model, engine="openvino", pipeline={"postprocess": {"head": head}}, trust=trust))
    assert [result.names for result in found] == [["person"]] * 6
    middle = found[0].boxes[0].reshape(2, 2).mean(axis=0)
    assert np.allclose(middle, (80, 48), atol=1)


def test_the_head_knows_the_files_of_another_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture of floats, planes, and names in the metadata: streamseg makes a graph of its own of it."""
    monkeypatch.setenv("STREAMSEG_CACHE", str(tmp_path / "cache"))
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto

    model = onnx.load(centre_model(tmp_path / "theirs.onnx"))
    picture = model.graph.input[0].type.tensor_type
    picture.elem_type = TensorProto.FLOAT
    for dim, length in zip(picture.shape.dim, (1, 3, 64, 96), strict=True):
        dim.dim_value = length
    onnx.helper.set_model_props(model, {"names": "{0: 'walker'}"})
    onnx.save(model, tmp_path / "theirs.onnx")
    options = {"model": tmp_path / "theirs.onnx", "engine": "openvino", "classes": "all"}
    assert [result.names for result in streamseg.stream(FILM, **options)] == [["walker"]] * 6
    with pytest.raises(ModelError, match=r"gives detections: .*; mask-rcnn expects"):
        next(streamseg.stream(FILM, family="mask-rcnn", **options))


@pytest.mark.parametrize(
    "use",
    [
        "outputs: {a: {path: '{out}', composite: [{use: 'streamseg_sample.glow:Glow', width: 50}]}}",
        "outputs: {a: {path: '{out}', use: 'streamseg_sample.gif:GifSink'}}",
        "decode: {use: 'streamseg_sample.discs:Discs'}",
        "stages: [{use: 'streamseg_sample.largest:Largest', after: smooth}]",
        "infer: {engine: {use: 'streamseg_sample.bright:ENGINE'}}",
    ],
)
def test_each_can_be_named_by_reference_where_the_file_is_trusted(use: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(use)
    options: dict[str, Any] = {"pipeline": file} | ({} if "engine" in use else {"engine": "bright"})
    with pytest.raises(ConfigError, match=r"mine\.yaml:1: .*would run code.*trust=True"):
        streamseg.run(FILM, tmp_path / "a.mkv", **options)
    assert streamseg.run(FILM, tmp_path / "a.mkv", trust=True, **options).frames_done == 6
