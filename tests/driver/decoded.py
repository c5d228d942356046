"""Child: decode SOURCE with `DeviceDecoding` in MODE, and print what came, and how. The host's memory stands in for the GPU's."""

from __future__ import annotations

import ctypes
import hashlib
import json
import sys
from typing import Any

import torch

from streamseg.decode import Decoder
from streamseg.errors import StreamsegError
from streamseg.gpu import Device, DeviceDecoding
from streamseg.pixels import planes

__all__ = ["fingerprint", "hardware"]


class _Tensor(ctypes.Structure):
    """The beginning of DLPack's DLTensor."""

    _fields_ = (("data", ctypes.c_void_p), ("device", ctypes.c_int32), ("number", ctypes.c_int32))


_CPU, _CUDA = 1, 2
_from_dlpack = torch.from_dlpack


def _in_host_memory(capsule: Any) -> Any:
    """What says that it lies on a GPU, as what it is."""
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    tensor = ctypes.cast(pointer(capsule, b"dltensor"), ctypes.POINTER(_Tensor)).contents
    assert tensor.device == _CUDA
    tensor.device = _CPU
    return _from_dlpack(capsule)


def hardware(mode: str) -> DeviceDecoding:
    """On the CPU in the GPU's place, with NVDEC's pictures in its memory."""
    torch.from_dlpack = _in_host_memory
    return DeviceDecoding(Device("cpu"), mode)  # type: ignore[arg-type]


def fingerprint(picture: Any) -> str:
    """Of the samples, whether chroma is interleaved or not."""
    deep = picture.format.components[0].bits > 8
    plain = planes.convert(picture, "yuv420p10le" if deep else "yuv420p")
    return hashlib.sha256(b"".join(array.tobytes() for array, _ in planes.views(plain).planes)).hexdigest()


def main(source: str, mode: str, threads: str = "0", start: str = "0") -> None:
    """See above."""
    found: dict[str, Any] = {"frames": []}
    try:
        there = hardware(mode)
        with Decoder(source, hardware=there, threads=int(threads), start=float(start)) as decoder:
            for frame in decoder.frames():
                found["frames"].append([frame.pts, frame.duration, frame.epoch, fingerprint(frame.picture)])
            found |= {"warnings": decoder.warnings, "how": there.how}
    except StreamsegError as error:
        found["error"] = f"{type(error).__name__}: {error}"
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
