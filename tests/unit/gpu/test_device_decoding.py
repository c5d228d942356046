"""Pictures decoded on a device or uploaded to it. Frames in host memory, which say `cuda` and hand over planes, play NVDEC's."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import av
import pytest

from streamseg.decode import Decoder
from streamseg.decode import source_opener as opener_module
from streamseg.decode.reader import PacketReader
from streamseg.device import device as device_module
from streamseg.encode.video.hdr import static_options
from streamseg.errors import ConfigError, EngineUnavailable, SourceError, Unreadable
from streamseg.gpu import Device, DeviceDecoding, DevicePicture, choose_device
from streamseg.gpu import choose as choosing
from streamseg.gpu import decode as module
from streamseg.pixels import planes, sidedata
from streamseg.pixels.orient import UPRIGHT, Orientation, turn
from tests import clips, interlaced_clips, side_data
from tests.unit import pictures
from tests.unit.pictures import assert_same


@pytest.fixture(scope="module")
def device() -> Device:
    return Device("cpu")


@dataclass
class Surface:
    """What PyAV gives for a picture that NVDEC decoded."""

    real: av.VideoFrame

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    @property
    def format(self) -> Any:
        return SimpleNamespace(name="cuda")

    @property
    def sw_format(self) -> av.VideoFormat:
        return self.real.format


@pytest.fixture
def nvdec(monkeypatch):
    monkeypatch.setattr(module, "why_not_nvdec", lambda: None)


@pytest.mark.parametrize("form", ["nv12", "p010le"])
@pytest.mark.parametrize("orientation", [UPRIGHT, Orientation(True, True, False)], ids=["upright", "turned"])
def test_what_nvdec_decodes_stays_where_it_is(device, nvdec, form, orientation):
    hardware, real = DeviceDecoding(device, "nvdec"), pictures.noise(form, 64, 48)
    uploaded = hardware(Surface(real), orientation, fresh=True)
    assert isinstance(uploaded, DevicePicture)
    assert hardware.how == f"NVDEC ({form})"
    assert hardware.accel is not None
    assert hardware.accel.is_hw_owned
    assert (uploaded.pts, uploaded.time_base, uploaded.colorspace) == (1234, Fraction(1, 90000), 1)
    assert_same(uploaded.host(), turn(real, orientation))


def test_its_picture_is_a_copy_that_the_decoder_may_write_over(device, nvdec):
    real = pictures.noise("nv12", 64, 48)
    uploaded = DeviceDecoding(device)(Surface(real), UPRIGHT, fresh=False)
    for array, _ in planes.views(real).planes:
        array[...] = 0
    assert_same(uploaded.host(), pictures.noise("nv12", 64, 48))


@pytest.mark.parametrize(("form", "size"), [("nv12", (63, 47)), ("yuv444p", (64, 48))])
def test_what_dlpack_cannot_hand_over_comes_by_way_of_the_host(device, nvdec, form, size):
    hardware, real = DeviceDecoding(device), pictures.noise(form, *size)
    uploaded = hardware(Surface(real), UPRIGHT, fresh=False)
    assert isinstance(uploaded, DevicePicture)
    assert "by way of the CPU" in hardware.how
    assert_same(uploaded.host(), real)


def test_what_nvdec_does_not_decode_is_uploaded_and_it_is_said(device, nvdec):
    hardware = DeviceDecoding(device, "auto")
    assert isinstance(hardware(pictures.noise("yuv422p", 64, 48), UPRIGHT, fresh=False), DevicePicture)
    assert hardware.how == "CPU, uploaded (NVDEC does not decode it (yuv422p))"
    with pytest.raises(SourceError, match="does not decode yuv422p; use --decode auto"):
        DeviceDecoding(device, "nvdec")(pictures.noise("yuv422p", 64, 48), UPRIGHT, fresh=False)


def test_without_nvdec(device, monkeypatch):
    monkeypatch.setattr(module, "why_not_nvdec", lambda: "there is none")
    assert DeviceDecoding(device).accel is None
    hardware = DeviceDecoding(device, "cpu")
    hardware(pictures.noise("yuv420p", 64, 48), UPRIGHT, fresh=False)
    assert hardware.how == "CPU, uploaded (asked for)"
    with pytest.raises(SourceError, match="NVDEC is asked for, but there is none"):
        DeviceDecoding(device, "nvdec")


def test_why_there_is_no_nvdec_is_a_sentence():
    if (reason := module.why_not_nvdec()) is None:
        pytest.skip("there is one")
    assert "FFmpeg" in reason


def test_pictures_that_the_kernels_cannot_read_stay_in_host_memory(device):
    hardware, picture = DeviceDecoding(device), pictures.noise("rgb24", 64, 48)
    assert hardware(picture, UPRIGHT, fresh=False) is picture
    assert hardware.how == "CPU (rgb24 stays in host memory)"


def test_nothing_is_uploaded_where_the_network_turned_out_to_be_on_the_cpu(device):
    hardware, picture = DeviceDecoding(device), pictures.noise("yuv420p", 64, 48)
    hardware.uploads = False
    assert hardware(picture, UPRIGHT, fresh=False) is picture


@pytest.mark.parametrize("make", [clips.vfr, clips.hdr10, clips.rotated, clips.odd], ids=lambda make: make.__name__)
def test_a_decoder_gives_the_same_frames_on_a_device(device, tmp_path, make):
    source = make(tmp_path / "v.mp4")
    with Decoder(source) as decoder:
        here = list(decoder.frames())
        expected = decoder.info
    with Decoder(source, hardware=DeviceDecoding(device)) as decoder:
        there = list(decoder.frames())
        assert decoder.info == expected
    assert [(f.pts, f.duration, f.epoch, f.index) for f in there] == [(f.pts, f.duration, f.epoch, f.index) for f in here]
    for a, b in zip(there, here, strict=True):
        assert isinstance(a.picture, DevicePicture)
        copy = DevicePicture(device, a.picture.use(None), a.picture.format, a.picture.tags).host()
        assert_same(copy, planes.on_host(b.picture))


def test_where_nvdec_fails_the_cpu_decodes(device, nvdec, tmp_path, monkeypatch):
    """FFmpeg falls back by itself where NVDEC does not know a codec; not where it takes it and gives errors."""
    original = opener_module.open_container

    def opened(address, timeout, file=None, accel=None):
        if accel is not None:
            raise av.error.ExternalError(1, "Generic error in an external library")
        return original(address, timeout, file)

    monkeypatch.setattr(opener_module, "open_container", opened)
    source = clips.cfr(tmp_path / "v.mp4", frames=3)
    hardware = DeviceDecoding(device)
    with Decoder(source, hardware=hardware) as decoder:
        assert len(list(decoder.frames())) == 3
    assert "NVDEC failed" in hardware.how
    with pytest.raises(Unreadable):
        Decoder(source, hardware=DeviceDecoding(device, "nvdec")).open()


def test_interlaced_pictures_are_decoded_where_they_tell_their_fields(device, nvdec, tmp_path, monkeypatch):
    original, decode = opener_module.open_container, PacketReader._decode

    def by_nvdec(self, packet):
        for picture in decode(self, packet):
            if self._shared.accel is not None:
                picture.image = Surface(picture.image)
            yield picture

    monkeypatch.setattr(
        opener_module, "open_container", lambda address, timeout, file=None, accel=None: original(address, timeout)
    )
    monkeypatch.setattr(PacketReader, "_decode", by_nvdec)
    source = interlaced_clips.write(tmp_path / "v.mp4", order="bff", frames=3)
    hardware = DeviceDecoding(device)
    with Decoder(source, hardware=hardware) as decoder:
        assert [frame.field_order for frame in decoder.frames()] == ["bff"] * 3
    assert "NVDEC failed: interlaced pictures do not tell" in hardware.how
    with pytest.raises(Unreadable, match="--decode cpu"):
        Decoder(source, hardware=DeviceDecoding(device, "nvdec")).open()


def test_what_is_to_be_deinterlaced_is_decoded_by_the_cpu(device, nvdec, tmp_path):
    source, hardware = interlaced_clips.write(tmp_path / "v.mp4", frames=3), DeviceDecoding(device)
    with Decoder(source, hardware=hardware, deinterlace="frame") as decoder:
        made = list(decoder.frames())
    assert [isinstance(frame.picture, DevicePicture) for frame in made] == [True] * 3
    assert hardware.how == "CPU, uploaded (deinterlacing is done on the CPU)"
    with pytest.raises(ConfigError, match="use --decode auto"):
        Decoder(source, hardware=DeviceDecoding(device, "nvdec"), deinterlace="frame")


def test_hdr_metadata_reach_the_encoder(device, tmp_path):
    def options(**where):
        with Decoder(tmp_path / "v.mp4", **where) as decoder:
            kept = sidedata.copies(next(decoder.frames()).picture)
        return static_options("hevc", {}, kept)

    side_data.hdr10(tmp_path / "v.mp4")
    assert "master-display=" in options()["x265-params"]
    assert options(hardware=DeviceDecoding(device)) == options()


# --- which device ---------------------------------------------------------------------------------------------------------------


def test_frames_stay_in_host_memory_for_an_engine_on_the_cpu_without_a_word(monkeypatch):
    said: list[str] = []
    assert choose_device("openvino", "auto", on_message=said.append) is None
    assert choose_device("tensorrt", "host", require_gpu=True, on_message=said.append) is None
    assert said == []


def test_a_torch_without_cuda_is_said(monkeypatch):
    import torch

    monkeypatch.setattr(choosing, "computes_on_gpu", lambda engine: True)
    monkeypatch.setattr(choosing, "why_not_gpu", lambda: None)
    monkeypatch.setattr(device_module, "sleep_while_waiting", lambda: None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    said: list[str] = []
    assert choose_device("auto", "auto", on_message=said.append) is None
    assert "install one that is built for CUDA" in said[0]


def test_what_is_missing_is_said_or_an_error(monkeypatch):
    monkeypatch.setattr(choosing, "computes_on_gpu", lambda engine: True)
    monkeypatch.setattr(choosing, "why_not_gpu", lambda: "triton is not installed; run: pip install 'streamseg[gpu]'")
    said: list[str] = []
    assert choose_device("auto", "auto", on_message=said.append) is None
    assert said == ["frames stay in host memory: triton is not installed; run: pip install 'streamseg[gpu]'"]
    for options in ({"require_gpu": True}, {"decode": "nvdec"}):
        with pytest.raises(EngineUnavailable, match=r"triton is not installed.*--decode host"):
            choose_device("auto", options.pop("decode", "auto"), **options)
