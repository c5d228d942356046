"""Campaign over memory that is not there: from some frame on libav, or the whole process, gets no allocation above a size.

The run must end with an error of ours, or well; what it wrote until then must be whole files that can be read.

Not tried, since FFmpeg 8.1 and PyAV 18 themselves crash there: an encoder that is being opened when memory ends, and allocations of
less than eight kilobytes that fail (structures of frames and packets, the index of an mp4).
"""

from __future__ import annotations

import ctypes
import json
import random
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from streamseg.config import parse_pipeline
from streamseg.engine.openvino import why_not_openvino
from streamseg.errors import StageError, StreamsegError
from streamseg.pipeline.build import build_pipeline
from tests import clips
from tests.fuzz.base import Wrong
from tests.fuzz.media import KnownEngine

FRAMES = 60
OPENED = 30
"""Frames, of which the first has come to the encoder when the last is in the network: more than fit between them."""
PATIENCE = 30.0
"""Seconds in which it must have."""
NEVER = 2**31 - 1
"""libav's own limit of one allocation."""
OUTPUTS = ("out.mkv", "out.mp4", "out.mov", "out.ts", "out.avi", "out.webm", "frames/%06d.png")


@dataclass
class Case:
    """Where memory ends."""

    at: int
    """Frame from which on it is short."""
    frames: int
    """Frames for which it is."""
    who: str
    """libav: no allocation above `room`; process: no more than `room` bytes of address space on top of what it has."""
    room: int
    output: str


class Memory:
    """See the module."""

    name, count = "memory", 200

    def prepare(self, folder: Path) -> None:
        """A clip whose planes, packets and tables are of many sizes."""
        self.clip = folder / "clip.mp4"
        if not self.clip.exists():
            part = folder / "part.mp4"
            clips.cfr(part, FRAMES, Fraction(25), clips.Video((320, 240), b_frames=2), audio=True)
            part.rename(self.clip)
        why_not_openvino()  # choosing a device loads it
        # PyAV's own, which is loaded already; OpenCV brings another.
        [library] = Path(av.__file__).parents[1].glob("av.libs/libavutil*")
        self.limit: Callable[[ctypes.c_size_t], None] = ctypes.CDLL(str(library)).av_max_alloc

    def make(self, rng: random.Random) -> Case:
        """A point in time, and how much is left."""
        who = rng.choice(("libav", "libav", "process"))
        room = int(2 ** rng.uniform(13, 19)) if who == "libav" else rng.choice((0, int(2 ** rng.uniform(12, 26))))
        return Case(rng.randrange(OPENED, FRAMES - 5), rng.choice((1, 4, FRAMES)), who, room, rng.choice(OUTPUTS))

    def save(self, case: Case, folder: Path) -> Path:
        """Write it down."""
        path = folder / "input.txt"
        path.write_text(f"{case}\n")
        return path

    def run(self, case: Case, folder: Path) -> str:
        """Run the clip, with too little memory for a while."""
        usual = resource.getrlimit(resource.RLIMIT_AS)
        config = parse_pipeline("outputs: {picture: {composite: [overlay]}}", "fuzz.yaml")
        outputs = [folder / case.output, folder / "out.jsonl"]
        engine = Starving(case, self.limit, usual)
        built = build_pipeline(self.clip, config, [str(path) for path in outputs], engine=engine)
        engine.opened = lambda: built.report().outputs[0].frames > 0
        try:
            report = built.run()
            outcome = f"{case.who}: run"
        except StageError as error:
            report, outcome = None, f"{case.who}: StageError of {type(error.__cause__).__name__}"
        except StreamsegError as error:
            report, outcome = None, f"{case.who}: {type(error).__name__}"
        finally:
            self.limit(ctypes.c_size_t(NEVER))
            resource.setrlimit(resource.RLIMIT_AS, usual)
        frames = check(outputs, built.report().outputs[0].frames)
        if report is not None and frames != FRAMES and not report.warnings:
            raise Wrong(f"{frames} of {FRAMES} frames were written, and nothing is said of it")
        return outcome


class Starving(KnownEngine):
    """Takes the memory away when it sees its frame."""

    def __init__(self, case: Case, limit: Callable[[ctypes.c_size_t], None], usual: tuple[int, int]) -> None:
        self.case, self.limit, self.usual, self.seen = case, limit, usual, -1
        self.opened: Callable[[], bool] = lambda: True

    def submit(self, images: Any) -> Any:
        """See Engine."""
        answer = super().submit(images)
        self.seen += 1
        if self.seen == self.case.at:
            self._await_encoder()
            self._shorten()
        elif self.seen == self.case.at + self.case.frames:
            self.limit(ctypes.c_size_t(NEVER))
            resource.setrlimit(resource.RLIMIT_AS, self.usual)
        return answer

    def _await_encoder(self) -> None:
        """On a busy machine its thread may not have come to open it yet."""
        deadline = time.monotonic() + PATIENCE
        while not self.opened():
            if time.monotonic() > deadline:
                raise Wrong(f"no frame came to the encoder in {PATIENCE:.0f} s, though {self.seen} are in the network")
            time.sleep(0.005)

    def _shorten(self) -> None:
        if self.case.who == "libav":
            self.limit(ctypes.c_size_t(self.case.room))
            return
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + self.case.room, self.usual[1]))


def check(outputs: list[Path], written: int) -> int:
    """Frames of the first output, which must be readable, as must be the lines of the second."""
    film, lines = outputs
    if lines.exists():
        for line in lines.read_text("utf-8").splitlines():
            json.loads(line)
    if film.suffix == ".png":
        return sum(1 for path in film.parent.glob("*.png") if clips.decoded(path))
    if not film.exists():
        if written > OPENED:  # more than an encoder keeps back
            raise Wrong(f"{written} frames were encoded, but there is no {film.name}")
        return 0
    try:
        with av.open(str(film), format="mpegts" if film.suffix == ".ts" else None) as container:
            return sum(1 for _ in container.decode(video=0))
    except (av.FFmpegError, IndexError) as error:
        raise Wrong(f"{film.name} of {film.stat().st_size} bytes cannot be read: {error}") from error
