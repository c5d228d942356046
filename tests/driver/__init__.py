"""NVIDIA's driver, played by the host: `cuda.c` and `nvcuvid.c` have its binary interface; cuda-bindings and FFmpeg are real.

A process finds them in LD_LIBRARY_PATH, which counts when it starts: what uses them is run in children.
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

__all__ = ["Driven", "answers", "compiled"]

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


class Driven:
    """Calls of this room's modules in processes that find the stand-in, forked from one that has imported what they need."""

    def __init__(self, libraries: Path) -> None:
        found = os.environ.get("LD_LIBRARY_PATH")
        path = f"{libraries}:{found}" if found else str(libraries)
        self._child = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "tests.driver.serve"],
            cwd=HERE.parents[1],
            env=os.environ | {"LD_LIBRARY_PATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Driven:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.communicate()

    def run(self, module: str, *arguments: object, **environment: str) -> Any:
        """What `main(*arguments)` of `tests.driver.MODULE` prints last, as JSON. AssertionError with its last words if it fails."""
        assert self._child.stdin
        assert self._child.stdout
        asked = {"module": module, "arguments": [str(a) for a in arguments], "environment": environment}
        print(json.dumps(asked), file=self._child.stdin, flush=True)
        done = json.loads(self._child.stdout.readline())
        assert done["code"] == 0, done["err"][-3000:]
        return json.loads(done["out"].splitlines()[-1])


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
