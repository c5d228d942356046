"""Cameras of this machine: their names and formats, and a source that is given by name. The kernel is stood in for."""

from __future__ import annotations

import errno
import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from streamseg.decode import devices
from streamseg.decode.address import parse_source
from streamseg.decode.devices import CameraFormat, LocalCamera, local_cameras, named
from streamseg.errors import SourceNotFound

HEADER = Path("/usr/include/linux/videodev2.h")


class Kernel:
    """Answers as drivers do: by device a list of formats, each with sizes and their intervals; None: no camera."""

    def __init__(self, drivers: dict[str, dict[bytes, dict[tuple[int, int], list[tuple[int, int]]]] | None]) -> None:
        self._drivers = drivers

    def __call__(self, fd: int, request: int, data: bytearray) -> int:
        formats = self._drivers[Path(os.readlink(f"/proc/self/fd/{fd}")).name]
        if request == devices._QUERYCAP:
            own = 0x00800000 if formats is None else 0x1
            struct.pack_into("=16s32s32sIII", data, 0, b"uvcvideo", b"a card", b"usb-1", 0, 0x80000001, own)
            return 0
        index = struct.unpack_from("=I", data)[0]
        codecs = list(formats or {})
        try:
            if request == devices._ENUM_FMT:
                assert struct.unpack_from("=I", data, 4)[0] == 1, "V4L2_BUF_TYPE_VIDEO_CAPTURE"
                struct.pack_into("=4s", data, 44, codecs[index])
            elif request == devices._ENUM_SIZES:
                sizes = list((formats or {})[bytes(data[4:8])])
                struct.pack_into("=III", data, 8, 1, *sizes[index])
            elif request == devices._ENUM_INTERVALS:
                size = struct.unpack_from("=II", data, 8)
                struct.pack_into("=III", data, 16, 1, *(formats or {})[bytes(data[4:8])][size][index])
        except IndexError:
            raise OSError(errno.EINVAL, "Invalid argument") from None
        return 0


@pytest.fixture
def machine(tmp_path: Path) -> tuple[Path, Path]:
    """Three devices: a camera, its metadata, another camera."""
    for number, name in ((0, "HD Pro Webcam C920"), (1, "HD Pro Webcam C920"), (10, "Integrated Camera: Integrated C")):
        folder = tmp_path / "class" / f"video{number}"
        folder.mkdir(parents=True)
        (folder / "name").write_text(f"{name}\n")
        (tmp_path / f"video{number}").write_bytes(b"")
    return tmp_path / "class", tmp_path


def test_names_and_formats(machine: tuple[Path, Path]) -> None:
    kernel = Kernel(
        {
            "video0": {b"YUYV": {(640, 480): [(1, 30), (1, 15)]}, b"MJPG": {(1280, 720): [(1, 30)], (1920, 1080): []}},
            "video1": None,
            "video10": {},
        }
    )
    assert local_cameras(*machine, kernel) == [
        LocalCamera(
            0,
            "HD Pro Webcam C920",
            "usb-1",
            (
                CameraFormat("YUYV", 640, 480, 30.0),
                CameraFormat("MJPG", 1280, 720, 30.0),
                CameraFormat("MJPG", 1920, 1080, 0.0),
            ),
        ),
        LocalCamera(10, "Integrated Camera: Integrated C", "usb-1"),
    ]


def test_a_machine_without_cameras(tmp_path: Path) -> None:
    assert local_cameras(tmp_path / "none") == []


def test_a_camera_that_may_not_be_opened_is_listed(machine: tuple[Path, Path]) -> None:
    (machine[1] / "video0").unlink()
    first = local_cameras(*machine, Kernel({"video1": None, "video10": {}}))[0]
    assert (first.name, first.problem) == ("HD Pro Webcam C920", "No such file or directory")


CAMERAS = [LocalCamera(0, "HD Pro Webcam C920", "a"), LocalCamera(2, "HD Pro Webcam C922", "b"), LocalCamera(4, "Desk", "c")]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("Desk", [4]), ("desk", [4]), ("hd pro webcam c922", [2]), ("HD Pro", [0, 2]), ("Webcam", []), ("", []), ("De", [4])],
)
def test_which_camera_is_meant(text: str, numbers: list[int]) -> None:
    assert [camera.number for camera in named(text, CAMERAS)] == numbers


def test_a_source_by_its_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("streamseg.decode.address.local_cameras", lambda: CAMERAS)
    monkeypatch.setattr("streamseg.decode.address.Path.exists", lambda self: str(self).startswith("/dev/video"))
    assert parse_source("desk").url == "/dev/video4"
    assert parse_source("desk").name == "Desk (/dev/video4)"
    with pytest.raises(
        SourceNotFound, match=r"HD Pro: 2 cameras are called so: HD Pro Webcam C920 \(0\), HD Pro Webcam C922 \(2\)"
    ):
        parse_source("HD Pro")


def test_a_file_that_is_not_there_is_told_with_the_cameras(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("streamseg.decode.address.local_cameras", lambda: CAMERAS)
    with pytest.raises(SourceNotFound, match=r"dsk: no such file.*cameras of this machine: .*Desk"):
        parse_source("dsk")
    with pytest.raises(SourceNotFound, match=r"^film.mp4: no such file$"):
        parse_source("film.mp4")


@pytest.mark.skipif(not HEADER.exists() or shutil.which("cc") is None, reason="needs Debian's linux-libc-dev and a C compiler")
def test_structures_are_the_kernels(tmp_path: Path) -> None:
    source = tmp_path / "sizes.c"
    source.write_text(
        "#include <linux/videodev2.h>\n#include <stddef.h>\n#include <stdio.h>\nint main(void) {\n"
        'printf("%lu %lu %lu %lu %lu %lu %lu %lu", (unsigned long)VIDIOC_QUERYCAP, (unsigned long)VIDIOC_ENUM_FMT,\n'
        "(unsigned long)VIDIOC_ENUM_FRAMESIZES, (unsigned long)VIDIOC_ENUM_FRAMEINTERVALS,\n"
        "sizeof(struct v4l2_capability), sizeof(struct v4l2_fmtdesc),\n"
        "sizeof(struct v4l2_frmsizeenum), sizeof(struct v4l2_frmivalenum));\n"
        'printf(" %zu %zu %zu", offsetof(struct v4l2_capability, device_caps), offsetof(struct v4l2_fmtdesc, pixelformat),\n'
        "offsetof(struct v4l2_frmivalenum, discrete)); }\n"
    )
    subprocess.run(["cc", str(source), "-o", str(tmp_path / "sizes")], check=True, timeout=60)
    said = subprocess.run([str(tmp_path / "sizes")], check=True, capture_output=True, text=True, timeout=10).stdout
    ours = [devices._QUERYCAP, devices._ENUM_FMT, devices._ENUM_SIZES, devices._ENUM_INTERVALS]
    ours += [each.size for each in (devices._CAPABILITY, devices._FORMAT, devices._SIZE, devices._INTERVAL)]
    assert [int(each) for each in said.split()] == [*ours, 88, 44, 20]
