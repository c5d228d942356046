"""The cameras that are plugged into this machine (Video4Linux2): what they are called, and the pictures that they give.

Numbers of devices change from one start to the next; names do not. So a camera may be given as a source by its name.
"""

from __future__ import annotations

import contextlib
import os
import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CameraFormat", "LocalCamera", "local_cameras", "named"]

# linux/videodev2.h; each request's number holds the size of its structure.
_QUERYCAP, _ENUM_FMT, _ENUM_SIZES, _ENUM_INTERVALS = 0x80685600, 0xC0405602, 0xC02C564A, 0xC034564B
_CAPABILITY = struct.Struct("=16s32s32sIII12x")
_FORMAT = struct.Struct("=III32s4sI12x")
_SIZE = struct.Struct("=I4sIII16x8x")
_INTERVAL = struct.Struct("=I4sIIIII16x8x")
_CAPTURE, _DEVICE_CAPS = 0x1, 0x80000000
_DISCRETE = 1
_MOST = 64
"""Entries of a list that are asked for, at most: a driver could go on for ever."""

Ioctl = Callable[[int, int, bytearray], object]


@dataclass(frozen=True, slots=True)
class CameraFormat:
    """One kind of pictures that a camera gives."""

    codec: str
    """Four characters: MJPG, YUYV, H264."""
    width: int
    height: int
    rate: float
    """Frames a second, the highest; 0: it does not say."""


@dataclass(frozen=True, slots=True)
class LocalCamera:
    """A camera of this machine."""

    number: int
    name: str
    bus: str
    """Where it is plugged in, as `usb-0000:00:14.0-1`: it tells two of the same name apart."""
    formats: tuple[CameraFormat, ...] = ()
    problem: str = ""
    """Why it could not be asked, as for want of permission."""

    @property
    def path(self) -> str:
        """Its device."""
        return f"/dev/video{self.number}"


def local_cameras(
    folder: Path = Path("/sys/class/video4linux"), dev: Path = Path("/dev"), ioctl: Ioctl | None = None
) -> list[LocalCamera]:
    """All devices that give pictures, by number; none on systems without Video4Linux."""
    found = []
    for entry in sorted(folder.glob("video[0-9]*"), key=lambda each: int(each.name.removeprefix("video"))):
        with contextlib.suppress(OSError):  # unplugged meanwhile
            name = (entry / "name").read_text("utf-8", "replace").strip()
            camera = _asked(dev / entry.name, name, ioctl or _kernel())
            if camera is not None:
                found.append(camera)
    return found


def named(text: str, cameras: list[LocalCamera]) -> list[LocalCamera]:
    """Those that a person means by a name: called just so; else those whose names begin with it. Case does not count."""
    wanted = text.strip().lower()
    if not wanted:
        return []
    exactly = [camera for camera in cameras if camera.name.lower() == wanted]
    return exactly or [camera for camera in cameras if camera.name.lower().startswith(wanted)]


def _kernel() -> Ioctl:
    if sys.platform == "win32":
        raise OSError("no Video4Linux")
    import fcntl

    return fcntl.ioctl


def _asked(device: Path, name: str, ioctl: Ioctl) -> LocalCamera | None:
    """What a device says; None if it gives no pictures (metadata, an output)."""
    number = int(device.name.removeprefix("video"))
    try:
        fd = os.open(device, os.O_RDWR | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        return LocalCamera(number, name, "", problem=error.strerror or str(error))
    try:
        data = bytearray(_CAPABILITY.size)
        ioctl(fd, _QUERYCAP, data)
        _, _, bus, _, all_, own = _CAPABILITY.unpack(data)
        if not (own if all_ & _DEVICE_CAPS else all_) & _CAPTURE:
            return None
        return LocalCamera(number, name, _text(bus), tuple(_formats(fd, ioctl)))
    except OSError as error:
        return LocalCamera(number, name, "", problem=error.strerror or str(error))
    finally:
        os.close(fd)


def _formats(fd: int, ioctl: Ioctl) -> Iterator[CameraFormat]:
    for index in range(_MOST):
        data = bytearray(_FORMAT.pack(index, _CAPTURE, 0, b"", b"", 0))
        if not _answers(ioctl, fd, _ENUM_FMT, data):
            return
        codec = _FORMAT.unpack(data)[4]
        for width, height in _sizes(fd, ioctl, codec):
            yield CameraFormat(_text(codec), width, height, _rate(fd, ioctl, codec, width, height))


def _sizes(fd: int, ioctl: Ioctl, codec: bytes) -> Iterator[tuple[int, int]]:
    for index in range(_MOST):
        data = bytearray(_SIZE.pack(index, codec, 0, 0, 0))
        if not _answers(ioctl, fd, _ENUM_SIZES, data):
            return
        _, _, kind, first, second = _SIZE.unpack(data)
        if kind == _DISCRETE:
            yield first, second
            continue
        # Any size within limits: min_width, max_width, step_width, min_height, max_height, step_height.
        _, width, _, _, height, _ = struct.unpack_from("=6I", data, 12)
        yield width, height
        return


def _rate(fd: int, ioctl: Ioctl, codec: bytes, width: int, height: int) -> float:
    best = 0.0
    for index in range(_MOST):
        data = bytearray(_INTERVAL.pack(index, codec, width, height, 0, 0, 0))
        if not _answers(ioctl, fd, _ENUM_INTERVALS, data):
            break
        *_, kind, numerator, denominator = _INTERVAL.unpack(data)
        best = max(best, denominator / numerator if numerator else 0.0)
        if kind != _DISCRETE:  # the shortest interval comes first
            break
    return best


def _answers(ioctl: Ioctl, fd: int, request: int, data: bytearray) -> bool:
    """False at the end of a list, and where the driver knows none."""
    try:
        ioctl(fd, request, data)
    except OSError:
        return False
    return True


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("utf-8", "replace").strip()
