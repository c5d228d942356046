"""The picture on a real GPU: never run yet, for want of one. `STREAMSEG_REQUIRE_GPU=1 pytest tests/gpu` runs them all."""

from __future__ import annotations

import json
import os
import sys

import numpy as np
import pytest

from streamseg.composite import Blur, Matte, Overlay, Pixelate
from streamseg.config import load_pipeline, override
from streamseg.decode import Decoder
from streamseg.device.upload import Uploader
from streamseg.engine.images import DeviceImage
from streamseg.gpu import Device, DeviceDecoding, DevicePicture, why_not_gpu
from streamseg.gpu.decode import why_not_nvdec
from streamseg.pipeline.build import build_pipeline
from streamseg.pixels import planes
from streamseg.pixels.orient import Orientation, turn
from tests import clips, graphs
from tests.unit import pictures
from tests.unit.gpu.cases import Case, apart, drawn, expected_drawn, expected_prepared, prepared
from tests.unit.pictures import assert_same

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def device(gpu) -> Device:
    if os.environ.get("TRITON_INTERPRET") == "1" and "triton" in sys.modules:
        pytest.skip("Triton interprets in this process")
    if (reason := why_not_gpu()) is not None:
        pytest.fail(reason) if os.environ.get("STREAMSEG_REQUIRE_GPU") == "1" else pytest.skip(reason)
    return Device()


def fetched(picture: DevicePicture) -> DevicePicture:
    """The same picture, to be downloaded."""
    stream = picture.device.stream()
    return DevicePicture(picture.device, picture.use(stream), picture.format, picture.tags, ready=picture.device.mark(stream))


@pytest.mark.parametrize("form", ["yuv420p", "nv12", "p010le", "yuv422p10le", "gray"])
@pytest.mark.parametrize("size", [(1920, 1080), (63, 47)])
def test_what_goes_up_comes_down(device, form, size):
    upload = Uploader(device)
    sources = [pictures.noise(form, *size, seed) for seed in range(8)]
    there = [fetched(upload(source)) for source in sources]  # all under way at once
    for picture in there:
        picture.prefetch(device.stream())
    for picture, source in zip(there, sources, strict=True):
        assert_same(picture.host(), source)


def test_memory_is_not_given_away_while_a_slow_reader_needs_it(device):
    """Uploads follow each other on one stream; each picture is let go at once, while its reader, on another, has not begun."""
    torch, upload, slow, fast = device.torch, Uploader(device), device.stream(), device.stream()
    kept = []
    for seed in range(30):
        source = pictures.noise("nv12", 640, 480, seed)
        picture = upload(source)
        with device.running(slow):
            torch.cuda._sleep(20_000_000)
            kept.append((picture.use(slow)[0].clone(), source))
        del picture
    slow.synchronize()
    fast.synchronize()
    for copy, source in kept:
        np.testing.assert_array_equal(copy.cpu().numpy(), planes.views(source).planes[0].array)


@pytest.mark.parametrize("form", ["nv12", "p010le"])
def test_turned(device, form):
    source, stream = pictures.noise(form, 640, 480), device.stream()
    for orientation in (Orientation(True, False, True), Orientation(False, True, True)):
        assert_same(fetched(Uploader(device)(source)).turned(orientation, stream).host(), turn(source, orientation))


CASES = [
    Case("nv12", 640, 360),
    Case("yuv420p", 1280, 720),
    Case("p010le", 640, 360),
    Case("yuv422p10le", 322, 182),
    Case("yuv444p", 321, 181),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_networks_picture_is_that_of_the_cpu(device, case):
    box, image = prepared(case, (320, 576), "cuda")
    expected_box, expected = expected_prepared(case, (320, 576))
    assert box == expected_box
    gap = np.abs(image.astype(int) - expected)
    assert gap.max() <= 1
    assert np.count_nonzero(gap) < 0.01 * gap.size


BOXES = ((20.5, 30.0, 300.0, 170.0), (150.0, 60.0, 320.0, 180.0), (0.0, 0.0, 60.0, 90.0))


@pytest.mark.parametrize("form", ["nv12", "yuv420p", "p010le"])
@pytest.mark.parametrize("effect", [Overlay(), Blur(), Pixelate(), Matte()], ids=lambda e: type(e).__name__)
def test_effects_are_those_of_the_cpu(device, form, effect):
    case = Case(form, 320, 180, boxes=BOXES, effects=(effect,), fine=60)
    (name, mine), (expected_name, theirs) = drawn(case, "cuda", repeat=2), expected_drawn(case)
    assert name == expected_name
    most, share = apart(mine, theirs, name)
    assert most <= 1
    assert share < 0.02


def test_nvdec_decodes_what_the_cpu_decodes(device, tmp_path):
    if (reason := why_not_nvdec()) is not None:
        # Containers often lack the driver's video part; anything else is a fault of ours where a GPU is required.
        required = os.environ.get("STREAMSEG_REQUIRE_GPU") == "1" and "libnvcuvid" not in reason
        pytest.fail(reason) if required else pytest.skip(reason)
    source = clips.cfr(tmp_path / "v.mp4", frames=40, video=clips.Video(size=(320, 192)))
    with Decoder(source) as decoder:
        here = list(decoder.frames())
    with Decoder(source, hardware=DeviceDecoding(device, "nvdec")) as decoder:
        there = list(decoder.frames())
    assert [(f.pts, f.duration, f.epoch) for f in there] == [(f.pts, f.duration, f.epoch) for f in here]
    for a, b in zip(there, here, strict=True):
        assert_same(planes.convert(a.picture, "yuv420p"), planes.on_host(b.picture))


@pytest.mark.parametrize("make", [clips.vfr, clips.hdr10, clips.rotated, clips.odd, clips.ts], ids=lambda make: make.__name__)
def test_whatever_the_source_the_decoder_gives_the_same_frames(device, tmp_path, make):
    source = make(tmp_path / "v.mp4")
    with Decoder(source) as decoder:
        here = list(decoder.frames())
    with Decoder(source, hardware=DeviceDecoding(device, "auto")) as decoder:
        there = list(decoder.frames())
    assert [(f.pts, f.duration, f.epoch) for f in there] == [(f.pts, f.duration, f.epoch) for f in here]
    for a, b in zip(there, here, strict=True):
        assert_same(planes.convert(a.picture, b.picture.format.name), planes.on_host(b.picture))


ENGINES = ["tensorrt", "tensorrt-rtx", "torch"]


def opened(name: str, model, batch: int):
    """An engine on the GPU, or a skip that says why it does not run here."""
    from streamseg.engine import CANDIDATES, open_engine

    reason = next(c for c in CANDIDATES if c.name == name).why_not()
    if reason is not None:
        pytest.skip(f"{name}: {reason}")
    return open_engine(model, engine=name, batch=batch)


@pytest.mark.parametrize("name", ENGINES)
def test_engines_take_pictures_where_they_lie(device, name):
    torch = device.torch
    with opened(name, "lite", 4) as engine:
        images = np.random.default_rng(0).integers(0, 256, (4, *engine.spec.size, 3), np.uint8)
        expected = engine.submit(images).result()
        for _ in range(20):
            stream, batch = device.stream(), []
            for image in images:
                with device.running(stream):
                    torch.cuda._sleep(1_000_000)  # not made yet when it is handed over
                    tensor = torch.from_numpy(image).to(device.where, non_blocking=True)
                batch.append(DeviceImage(tensor, device.mark(stream)))
            answer = engine.submit(batch).result()
            np.testing.assert_allclose(answer["scores"], expected["scores"], atol=1e-4)


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("decode", ["auto", "cpu"])
def test_a_pipeline_on_the_gpu_gives_what_it_gives_in_host_memory(device, tmp_path, name, decode):
    source = clips.cfr(tmp_path / "in.mp4", frames=30, video=clips.Video(size=(640, 384)))
    found = []
    for where in ("host", decode):
        changes = {
            "decode": {"device": where},
            "infer": {"engine": name, "batch": 2},
            "postprocess": {"classes": "all", "conf": 0.2},
        }
        config = override(load_pipeline("drive"), changes)
        outputs = [str(tmp_path / f"{where}.mkv"), str(tmp_path / f"{where}.jsonl")]
        from streamseg.engine import CANDIDATES

        if (reason := next(c for c in CANDIDATES if c.name == name).why_not()) is not None:
            pytest.skip(f"{name}: {reason}")
        said: list[str] = []
        report = build_pipeline(str(source), config, outputs, on_message=said.append).run()
        assert report.frames_done == 30
        assert any("frames live on cuda" in line for line in said) == (where != "host")
        found.append([json.loads(line) for line in (tmp_path / f"{where}.jsonl").read_text().splitlines()])
    here, there = found
    assert [line["pts"] for line in there] == [line["pts"] for line in here]


def test_in_the_steady_state_nothing_is_allocated(device, tmp_path):
    """torch's allocator asks the driver for memory while the first frames pass, and never again."""
    torch = device.torch
    upload, source = Uploader(device), pictures.noise("nv12", 1280, 720)
    for round_ in range(3):
        for _ in range(50):
            fetched(upload(source)).host()
        torch.cuda.synchronize()
        if round_ == 0:
            before = torch.cuda.memory_reserved()
    assert torch.cuda.memory_reserved() == before


def test_a_run_that_may_not_fall_back_runs_on_the_gpu(device, tmp_path):
    model = graphs.rectangle_model(tmp_path / "m.onnx", size=(64, 96), batch=None)
    source = clips.cfr(tmp_path / "in.mp4", frames=5)
    config = override(
        load_pipeline("drive"), {"infer": {"model": str(model), "require_gpu": True}, "preprocess": {"size": "auto"}}
    )
    from streamseg.engine.tensorrt import LIBRARIES
    from streamseg.engine.tensorrt.opener import why_not

    if all(why_not(library) for library in LIBRARIES.values()):
        pytest.skip("; ".join(f"{library.name}: {why_not(library)}" for library in LIBRARIES.values()))
    assert build_pipeline(str(source), config, [str(tmp_path / "out.mp4")]).run().frames_done == 5
