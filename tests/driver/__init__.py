"""NVIDIA's driver, played by the host: `cuda.c` and `nvcuvid.c` have its binary interface; cuda-bindings and FFmpeg are real.

A process finds them in LD_LIBRARY_PATH, which counts when it starts: what uses them is run as a child.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np

__all__ = ["answers", "compiled", "run"]

HERE = Path(__file__).parent


def compiled(folder: Path) -> Path:
    """The libraries, built into `folder`."""
    for source, name in (("cuda.c", "libcuda.so.1"), ("nvcuvid.c", "libnvcuvid.so.1")):
        command = [
            "gcc",
            "-shared",
            "-fPIC",
            "-O1",
            "-Wall",
            str(HERE / source),
            "-o",
            str(folder / name),
            f"-Wl,-soname,{name}",
        ]
        subprocess.run(command, check=True)
    return folder


def run(libraries: Path, module: str, *arguments: object, **environment: str) -> Any:
    """What `python -m tests.driver.MODULE` prints last, as JSON. AssertionError with its last words if it fails."""
    found = os.environ.get("LD_LIBRARY_PATH")
    path = f"{libraries}:{found}" if found else str(libraries)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", f"tests.driver.{module}", *map(str, arguments)],
        cwd=HERE.parents[1],
        env=os.environ | {"LD_LIBRARY_PATH": path} | environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def answers(source: Path, folder: Path) -> None:
    """Write what NVDEC has to answer for `source`: its pictures in coding order, of the coded size, one file a size."""
    with av.open(str(source)) as file:
        order = [packet.pts for packet in file.demux(video=0) if packet.size]
    with av.open(str(source)) as file:
        context = file.streams.video[0].codec_context
        pictures = {}
        for picture in file.decode(video=0):
            deep = picture.format.components[0].bits > 8
            form = "p010le" if deep else "nv12"
            coded = np.zeros((context.coded_height * 3 // 2, context.coded_width), np.uint16 if deep else np.uint8)
            for plane, top in zip(picture.reformat(format=form, threads=1).planes, (0, context.coded_height), strict=True):
                rows = np.frombuffer(plane, coded.dtype).reshape(-1, plane.line_size // coded.itemsize)
                height, width = plane.height, picture.width + picture.width % 2
                coded[top : top + height, :width] = rows[:height, :width]
            pictures[picture.pts] = (f"{context.coded_width}x{context.coded_height}", coded)
    for pts in order:
        name, coded = pictures[pts]
        with (folder / name).open("ab") as out:
            out.write(coded.tobytes())
