"""The whole pipeline with frames that live on a device, against the one in host memory: same frames, times, results and pictures.

torch's CPU stands in for the GPU and Triton interprets the kernels, in a process of its own: it must be told before it is imported.
"""

from __future__ import annotations

import json
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import av
import numpy as np
import pytest

from streamseg.pixels import planes
from tests import clips, graphs

EFFECTS = {
    "matte": [{"matte": {}}],
    "alpha, which has no kernel, and blur": [{"blur": {}}, {"alpha": {}}],
    "overlay and counts": [{"overlay": {}}, {"counts": {}}],
    "nothing": [],
}


def _interpret() -> None:
    os.environ["TRITON_INTERPRET"] = "1"


@pytest.fixture(scope="module")
def elsewhere():
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_interpret) as pool:
        yield lambda *args: pool.submit(process, *args).result(100)


def process(
    source: str, model: str, effects: list, outputs: list[str], on_device: bool, batch: int = 1, every: int = 1
) -> list[str]:
    """Run the drive pipeline with these effects; gives what it said."""
    from streamseg.config import load_pipeline, override
    from streamseg.gpu import Device
    from streamseg.pipeline.build import build_pipeline

    changes = {
        "infer": {"model": model, "engine": "onnxruntime", "batch": batch, "every": every},
        "preprocess": {"size": "auto"},
        "postprocess": {"classes": "all"},
        "outputs": {"picture": {"path": "{out}", "composite": effects, "encode": {"codec": "ffv1"}}},
    }
    said: list[str] = []
    config = override(load_pipeline("drive"), changes)
    built = build_pipeline(source, config, outputs, on_message=said.append, device=Device("cpu") if on_device else None)
    built.run()
    return said


def moving(path: Path, form: str = "yuv420p", frames: int = 5) -> Path:
    """Two coloured rectangles, one of which moves, lossless; the time between frames varies."""
    with av.open(str(path), "w") as sink:
        stream = sink.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, form
        for i in range(frames):
            rgb = np.full((64, 96, 3), 90, np.uint8)
            rgb[10:40, 4 + 6 * i : 36 + 6 * i] = (230, 20, 20)
            rgb[40:60, 60:92] = (20, 230, 20)
            picture = av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(format=form, threads=1)
            picture.pts = 40 * i + (i * i) % 7
            sink.mux(stream.encode(picture))
        sink.mux(stream.encode())
    return path


def pictures(path: Path) -> list[tuple[int, list[np.ndarray]]]:
    with av.open(str(path)) as file:
        return [(f.pts, [array.astype(int) for array, _ in planes.views(f).planes]) for f in file.decode(video=0)]


def compared(tmp_path, elsewhere, effects, source, **more):
    model = graphs.rectangle_model(tmp_path / "m.onnx", size=(32, 48), batch=None)
    found = []
    for name, on_device in (("host", False), ("device", True)):
        outputs = [str(tmp_path / f"{name}.mkv"), str(tmp_path / f"{name}.jsonl")]
        said = elsewhere(str(source), str(model), effects, outputs, on_device, *more.values())
        lines = [json.loads(line) for line in (tmp_path / f"{name}.jsonl").read_text().splitlines()]
        found.append((pictures(tmp_path / f"{name}.mkv"), lines, said))
    (here, results, _), (there, same_results, said) = found
    assert [pts for pts, _ in there] == [pts for pts, _ in here]
    assert len(here) == 5
    for (_, mine), (_, theirs) in zip(there, here, strict=True):
        assert max(int(np.abs(a - b).max()) for a, b in zip(mine, theirs, strict=True)) <= 1
    return results, same_results, said


@pytest.mark.parametrize("effects", EFFECTS.values(), ids=EFFECTS)
def test_pictures_and_results_are_those_of_the_host(tmp_path, elsewhere, effects):
    results, same, said = compared(tmp_path, elsewhere, effects, moving(tmp_path / "in.mkv"))
    assert same == results
    assert sum(len(line.get("instances", [])) for line in results) >= 10, "there was something to draw"
    assert any(line.startswith("decode: CPU, uploaded") and line.endswith("frames live on cpu") for line in said)


def test_10_bits_batches_and_frames_that_the_network_leaves_out(tmp_path, elsewhere):
    source = moving(tmp_path / "in.mkv", "yuv420p10le")
    results, same, _ = compared(tmp_path, elsewhere, [{"overlay": {}}], source, batch=2, every=2)
    assert [len(line.get("instances", [])) for line in same] == [len(line.get("instances", [])) for line in results]


def test_a_source_that_changes_its_size(tmp_path, elsewhere):
    source = clips.size_change(tmp_path / "in.ts", frames=3)
    model = graphs.constant_model(tmp_path / "m.onnx", size=(32, 48))
    for name, on_device in (("host", False), ("device", True)):
        elsewhere(str(source), str(model), [], [str(tmp_path / f"{name}.mkv")], on_device)
    here, there = pictures(tmp_path / "host.mkv"), pictures(tmp_path / "device.mkv")
    assert [pts for pts, _ in there] == [pts for pts, _ in here]
    for (_, mine), (_, theirs) in zip(there, here, strict=True):
        for a, b in zip(mine, theirs, strict=True):
            np.testing.assert_array_equal(a, b)
