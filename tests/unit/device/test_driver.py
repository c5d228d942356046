"""cuda-bindings and FFmpeg as they are, on a driver that the host plays (`tests/driver`): no GPU, but the real calls."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streamseg.decode import Decoder
from streamseg.pixels import planes
from tests import clips, driver
from tests.driver.decoded import fingerprint

ROOM = str(64 << 20)


@pytest.fixture(scope="session")
def driven(tmp_path_factory) -> Iterator[driver.Driven]:
    with driver.Driven(driver.compiled(tmp_path_factory.mktemp("driver"))) as driven:
        yield driven


@pytest.fixture
def decoded(driven, tmp_path):
    """What a child decodes on the stand-in, whose pictures are those that the CPU decodes."""

    def decode(source: Path, mode: str = "nvdec", *more: object, **environment: str) -> dict[str, Any]:
        folder = tmp_path / "pictures"
        if not folder.exists():
            folder.mkdir()
            for part in sorted(source.parent.glob(f"{source.stem}.?{source.suffix}")) or [source]:
                driver.answers(part, folder)
        found = driven.run("decoded", source, mode, *more, STANDIN_PICTURES=str(folder), **environment)
        assert isinstance(found, dict)
        return found

    return decode


def here(source: Path) -> list[list[Any]]:
    with Decoder(source) as decoder:
        return [[f.pts, f.duration, f.epoch, fingerprint(planes.on_host(f.picture))] for f in decoder.frames()]


def full_hd(path: Path) -> Path:
    """Coded with 1088 lines."""
    return clips.cfr(path, frames=12, video=clips.Video(size=(1920, 1080)))


SOURCES = [
    (clips.vfr, ".mp4"),
    (clips.hdr10, ".mp4"),
    (clips.rotated, ".mp4"),
    (clips.ts, ".ts"),
    (clips.size_change, ".ts"),
    (full_hd, ".mp4"),
]


@pytest.mark.parametrize(("make", "suffix"), SOURCES, ids=lambda value: getattr(value, "__name__", None))
def test_nvdec_gives_the_cpus_frames(decoded, tmp_path, make, suffix):
    source = make(tmp_path / f"clip{suffix}")
    found = decoded(source)
    assert found["how"] == ("NVDEC (p010le)" if make is clips.hdr10 else "NVDEC (nv12)")
    assert found["frames"] == here(source)


def test_a_machine_with_many_cores(decoded, tmp_path):
    """libav takes a surface a thread, and NVDEC has 32: FFmpeg gave such films to the CPU."""
    source = clips.cfr(tmp_path / "clip.mp4", video=clips.Video(options={"refs": "16", "bf": "3"}))
    found = decoded(source, "nvdec", 64)
    assert "error" not in found
    assert found["frames"] == here(source)


@pytest.mark.parametrize("fault", ["unsupported", "create", "0"])
def test_what_nvdec_cannot_decode_the_cpu_does_or_it_is_said(decoded, tmp_path, fault):
    source = clips.cfr(tmp_path / "clip.mp4")
    found = decoded(source, "auto", STANDIN_NVDEC=fault)
    assert found["how"].startswith("CPU, uploaded (NVDEC ")
    assert found["warnings"] == []
    assert found["frames"] == here(source)
    assert "NVDEC" in decoded(source, "nvdec", STANDIN_NVDEC=fault)["error"]


def test_pictures_that_nvdec_loses_on_the_way_are_counted(decoded, tmp_path):
    source = clips.cfr(tmp_path / "clip.mp4")
    found = decoded(source, "auto", STANDIN_NVDEC="9")
    assert 0 < len(found["frames"]) < 12
    assert any("packets could not be decoded, their pictures are missing; --decode cpu" in line for line in found["warnings"])


def test_a_gpu_without_memory_for_pictures(decoded, tmp_path):
    source = full_hd(tmp_path / "clip.mp4")
    assert decoded(source, "nvdec", STANDIN_MEMORY=ROOM)["frames"] == here(source)
    assert "the GPU has no memory left" in decoded(source, "nvdec", STANDIN_MEMORY="1000000")["error"]
    found = decoded(source, "auto", STANDIN_MEMORY="1000000")
    assert "no memory left" in found["how"]
    assert found["frames"] == here(source)


def test_from_the_middle(decoded, tmp_path):
    source = clips.cfr(tmp_path / "clip.mp4", frames=50, video=clips.Video(gop=10))
    times = [frame[:2] for frame in decoded(source, "nvdec", 0, 1.0)["frames"]]
    assert times == [frame[:2] for frame in here(source)[25:]]


def test_the_runtimes_driver_calls(driven):
    found = driven.run("called", STANDIN_MEMORY=ROOM)
    assert found["gpu"] == ["Stand-in", 8, 9, 8 << 30]
    assert found["back"] == [*range(50), *range(50)]
    assert found["graphs"] == 1
    assert (found["unattached"], found["attached"]) == ("CUDA: invalid device context (CUDA_ERROR_INVALID_CONTEXT)", "done")
    assert found["too much"] == "the GPU is out of memory"


def test_a_driver_that_shows_no_gpu(driven):
    found = driven.run("called", STANDIN_NO_GPU="1")
    assert "CUDA_VISIBLE_DEVICES hides them" in found["error"]
