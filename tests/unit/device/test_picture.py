"""A picture on a device and on its way there and back. torch's CPU stands in for the GPU."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest

from streamseg.composite import Alpha, Blur, Compositor, Overlay
from streamseg.core.result import Result
from streamseg.core.types import Frame
from streamseg.device import picture as module
from streamseg.device.upload import Uploader
from streamseg.errors import EngineError
from streamseg.gpu import Device, DeviceCompositor, DevicePicture
from streamseg.pixels import color, planes
from streamseg.pixels.orient import Orientation, turn
from streamseg.pixels.sidedata import Kept
from streamseg.temporal.flow import small_luma
from streamseg.track.appearance import histograms
from streamseg.track.camera import small_grey
from tests.unit import pictures

FORMATS = ["yuv420p", "nv12", "p010le", "yuv422p10le", "yuv444p", "nv21", "gray", "rgb24"]


@pytest.fixture(scope="module")
def device() -> Device:
    return Device("cpu")


def only_there(picture: DevicePicture) -> DevicePicture:
    """The same picture without the one in host memory that it was made of."""
    return DevicePicture(picture.device, picture.use(None), picture.format, picture.tags)


@pytest.mark.parametrize("size", [(64, 48), (63, 47)])
@pytest.mark.parametrize("form", FORMATS)
def test_what_goes_up_comes_down(device, form, size):
    picture = pictures.noise(form, *size)
    there = Uploader(device)(picture)
    assert (there.width, there.height, there.format.name) == (*size, form)
    assert color.encoding(there) == color.encoding(picture)
    back = only_there(there).host()
    assert (back.pts, back.time_base, back.format.name) == (picture.pts, picture.time_base, form)
    assert color.encoding(back) == color.encoding(picture)
    for mine, theirs in zip(planes.views(back).planes, planes.views(picture).planes, strict=True):
        np.testing.assert_array_equal(mine.array, theirs.array)


def test_an_uploaded_picture_is_not_downloaded(device):
    picture = pictures.noise("yuv420p", 64, 48)
    there = Uploader(device)(picture)
    assert planes.on_host(there) is picture
    assert planes.supported(there) is picture


def test_the_planes_are_typed_as_the_kernels_take_them(device):
    from streamseg.gpu.kernels import Surface

    deep = Surface.of(Uploader(device)(pictures.noise("p010le", 64, 48)), None)
    assert [(p.dtype, tuple(p.shape)) for p in deep.planes] == [
        (device.torch.uint16, (48, 64)),
        (device.torch.uint16, (24, 32, 2)),
    ]


def test_the_memory_outlives_the_picture_that_was_downloaded_from(device):
    there = only_there(Uploader(device)(pictures.noise("nv12", 64, 48, seed=3)))
    back = there.host()
    del there
    for _ in range(50):  # whatever was let go is used again
        device.torch.zeros(64 * 48)
    expected = planes.views(pictures.noise("nv12", 64, 48, seed=3)).planes[0].array
    np.testing.assert_array_equal(planes.views(back).planes[0].array, expected)


def test_it_is_downloaded_once_whoever_asks(device, monkeypatch):
    there, made = only_there(Uploader(device)(pictures.noise("yuv420p", 64, 48))), []
    original, barrier = module.to_host, threading.Barrier(4)
    monkeypatch.setattr(module, "to_host", lambda *args: made.append(1) or original(*args))

    def ask(_: int) -> av.VideoFrame:
        barrier.wait(10)
        there.prefetch(None)
        return there.host()

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(ask, range(4)))
    assert made == [1]
    assert all(picture is found[0] for picture in found)


ORIENTATIONS = [Orientation(t, x, y) for t in (False, True) for x in (False, True) for y in (False, True)]


@pytest.mark.parametrize("orientation", ORIENTATIONS, ids=str)
@pytest.mark.parametrize("form", ["nv12", "p010le", "yuv420p"])
def test_turned_on_the_device_as_in_host_memory(device, form, orientation):
    picture = pictures.noise(form, 62, 48)
    made = only_there(Uploader(device)(picture)).turned(orientation, None)
    expected = turn(picture, orientation)
    assert (made.width, made.height) == (expected.width, expected.height)
    for mine, theirs in zip(planes.views(made.host()).planes, planes.views(expected).planes, strict=True):
        np.testing.assert_array_equal(mine.array, theirs.array)


def test_the_stages_that_look_at_the_picture_on_the_host_see_the_same(device):
    picture = pictures.noise("nv12", 200, 120)
    here = Frame(picture, 0, 0, Fraction(1, 25))
    there = Frame(only_there(Uploader(device)(picture)), 0, 0, Fraction(1, 25))
    found = pictures.instances([[10, 10, 60, 90], [80, 20, 150, 100]])
    np.testing.assert_array_equal(small_grey(there)[0], small_grey(here)[0])
    np.testing.assert_array_equal(small_luma(there), small_luma(here))
    np.testing.assert_array_equal(histograms(there, found), histograms(here, found))
    np.testing.assert_array_equal(Result(there, found).image(), Result(here, found).image())
    assert repr(there) == repr(here)


def test_side_data_are_those_of_the_picture_or_what_was_copied(device):
    there = Uploader(device)(pictures.noise("yuv420p", 64, 48))
    assert list(there.side_data) == []
    kept = Kept("MASTERING_DISPLAY_METADATA", b"abc")
    picture = DevicePicture(device, there.use(None), there.format, there.tags, side_data=[kept])
    assert [bytes(data) for data in picture.side_data] == [b"abc"]
    assert [bytes(data) for data in picture.turned(Orientation(flip_x=True), None).side_data] == [b"abc"]


def test_no_memory_is_an_error_that_says_what_to_do(device, monkeypatch):
    def none(*args: object) -> None:
        raise device.torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB.")

    monkeypatch.setattr(device, "empty", none)
    with pytest.raises(EngineError, match=r"no memory left for pictures.*--decode host"):
        Uploader(device)(pictures.noise("nv12", 64, 48))


def test_who_asks_for_an_array_gets_the_picture(device):
    picture = pictures.noise("yuv420p", 64, 48)
    there = only_there(Uploader(device)(picture))
    np.testing.assert_array_equal(there.to_ndarray(format="rgb24", threads=1), picture.to_ndarray(format="rgb24", threads=1))


def test_where_no_effect_draws_the_decoders_picture_goes_on(device):
    there = only_there(Uploader(device)(pictures.noise("nv12", 64, 48)))
    shown = DeviceCompositor([Overlay()], device)(pictures.result(there, pictures.instances([])))
    assert shown.picture is there
    assert DeviceCompositor([], device)(shown.result).picture is there


def test_an_effect_without_a_kernel_draws_in_host_memory(device):
    picture = pictures.noise("yuv420p", 64, 48)
    found = pictures.instances([[10, 5, 60, 40]])
    drawn = DeviceCompositor([Alpha()], device)(pictures.result(only_there(Uploader(device)(picture)), found)).picture
    expected = Compositor([Alpha()])(pictures.result(picture, found)).picture
    assert isinstance(drawn, av.VideoFrame)
    for mine, theirs in zip(planes.views(drawn).planes, planes.views(expected).planes, strict=True):
        np.testing.assert_array_equal(mine.array, theirs.array)


def test_interlaced_pictures_are_drawn_on_in_host_memory(device, monkeypatch):
    """The kernels know no fields; the CPU's effects do."""
    monkeypatch.setattr("streamseg.gpu.kernels.CompositeKernels.__call__", lambda *_: pytest.fail("drawn by a kernel"))
    picture, found = pictures.noise("nv12", 64, 48), pictures.instances([[10, 5, 60, 40]])
    results = [pictures.result(p, found) for p in (only_there(Uploader(device)(picture)), picture)]
    results = [replace(r, frame=replace(r.frame, field_order="tff")) for r in results]
    drawn = DeviceCompositor([Blur("instances")], device)(results[0]).picture
    expected = Compositor([Blur("instances")])(results[1]).picture
    for mine, theirs in zip(planes.views(drawn).planes, planes.views(expected).planes, strict=True):
        np.testing.assert_array_equal(mine.array, theirs.array)


def test_the_switch_interval_is_the_programs_own_again_after_the_last_run(monkeypatch):
    """It was set for good as soon as a device was made."""
    device, before = Device("cpu"), sys.getswitchinterval()
    monkeypatch.setattr(device, "on_gpu", True)
    first, second = device.at_work(), device.at_work()
    assert sys.getswitchinterval() == before
    with first, second:
        assert sys.getswitchinterval() == pytest.approx(0.0005, rel=0.01)
    assert sys.getswitchinterval() == before
