"""The soak: cameras, faults and changes at random but seeded, and what must stay true all the while.

- no call of `Live` raises but ConfigError, and none waits;
- counts only grow, and processed + skipped frames are no more than captured ones;
- a camera that gives pictures again is watched again within `BACK` seconds;
- the camera with privacy never shows a person, whatever happens to it;
- memory, open files and threads do not grow (slopes by Theil and Sen of what is least, so that a peak is no slope);
- it ends within five seconds, and gives back its threads and files.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from random import Random

import numpy as np

from streamseg.live.live import Live
from streamseg.live.news import CameraStatus
from tests import graphs
from tests.soak.cameras import BOX, INPUT, SIZES, Camera, covered

__all__ = ["Report", "soak"]

BACK = 45.0
"""Seconds: libav's own timeouts, back-off with jitter, and a busy machine."""
STEP = 1.0
WARM = 0.3
"""Share of the time in which memory may grow: libraries, caches, allocators."""
WINDOWS = 6
"""Parts of the time, of each of which the least is taken."""
MOST_MEMORY, MOST_FILES, MOST_THREADS = 6.0, 1.0, 1.0
"""Growth a minute that is no leak: megabytes, files, threads. A restarted camera's allocator keeps a few megabytes."""
CACHES = 40.0
"""Megabytes that may come in a short run on the whole: labels of new tracks, pictures of new sizes fill caches that are bounded."""
STATES = {"starting", "watching", "lost", "paused", "failed"}


@dataclass
class Report:
    """What came of it."""

    faults: list[str] = field(default_factory=list)
    """What was not true that must be."""
    done: Counter[str] = field(default_factory=Counter)
    samples: list[tuple[float, float, int, int]] = field(default_factory=list)
    """Minutes since the start, megabytes, files, threads."""
    frames: int = 0
    private: int = 0
    """Pictures of the camera with privacy that were looked at."""

    def slopes(self) -> tuple[float, float, float]:
        """Of megabytes, files and threads, a minute, once warm: of the least in each of some windows.

        Cameras come and go, and with them threads and connections; what leaks is there when few are left, too.
        """
        warm = [each for each in self.samples if each[0] >= WARM * self.samples[-1][0]]
        size = max(1, -(-len(warm) // WINDOWS))
        windows = [warm[at : at + size] for at in range(0, len(warm), size)]
        times = [window[len(window) // 2][0] for window in windows]
        found = []
        for column in (1, 2, 3):
            least = list(zip(times, (min(each[column] for each in window) for window in windows), strict=True))
            steps = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(least, 2) if b[0] > a[0]]
            found.append(float(np.median(steps)) if steps else 0.0)
        return found[0], found[1], found[2]

    def judged(self) -> list[str]:
        """All faults, leaks among them."""
        memory, files, threads = self.slopes()
        leaks = [
            ("memory", memory, MOST_MEMORY, "MB"),
            ("files", files, MOST_FILES, ""),
            ("threads", threads, MOST_THREADS, ""),
        ]
        spent = (1 - WARM) * self.samples[-1][0]
        filled = memory * spent < CACHES
        told = [
            f"{what} grows by {by:.1f} {unit} a minute"
            for what, by, most, unit in leaks
            if by > most and not (what == "memory" and filled)
        ]
        return self.faults + told


def _sample(began: float) -> tuple[float, float, int, int]:
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # what is free is given back, so that what is left is used
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    files = len(os.listdir("/proc/self/fd"))
    megabytes = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    return (time.monotonic() - began) / 60, megabytes, files, threading.active_count()


class _Soak:
    def __init__(self, seed: int, folder: Path, *, leak: bool, say: Callable[[str], None]) -> None:
        self.random, self.report, self._say = Random(seed), Report(), say
        model = graphs.constant_model(folder / "known.onnx", boxes=(BOX,), scores=(0.9,), labels=(0,), size=INPUT)
        self.cameras = {name: Camera(seed + at) for at, name in enumerate(("door", "yard", "till", "private"))}
        effects = [{"use": "tests.soak.leak:Leaking"}] if leak else ["overlay"]
        self.options = {
            name: {"source": each.address, "effects": effects}
            | ({"privacy": "person", "effects": []} if name == "private" else {})
            for name, each in self.cameras.items()
        }
        self.live = Live(self.options, model=str(model), threads=1, trust=leak)
        self.paused: set[str] = set()
        self.counts: dict[str, CameraStatus] = {}
        self.removed: set[str] = set()

    # --- what happens ---------------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """One thing at random."""
        name = self.random.choice(list(self.cameras))
        actions = [self.off, self.on, self.on, self.stall, self.damage, self.resize, self.pause, self.resume, self.resume]
        actions += [self.change, self.again, self.snapshot, self.deaf, self.nothing, self.nothing]
        action = self.random.choice(actions)
        self.report.done[action.__name__] += 1
        try:
            action(name)
        except Exception as error:  # whatever it is, it is a fault
            self.report.faults.append(f"{action.__name__} {name}: {type(error).__name__}: {error}")

    def off(self, name: str) -> None:
        self.cameras[name].off()

    def on(self, name: str) -> None:
        if not self.cameras[name].good:
            self.cameras[name].on()

    def stall(self, name: str) -> None:
        self.cameras[name].running.clear()

    def damage(self, name: str) -> None:
        self.cameras[name].damage.set()

    def resize(self, name: str) -> None:
        self.cameras[name].become(self.random.choice(SIZES))

    def pause(self, name: str) -> None:
        self.live.pause(name)
        self.paused.add(name)

    def resume(self, name: str) -> None:
        self.live.resume(name)
        self.paused.discard(name)
        self.cameras[name].good_since = max(self.cameras[name].good_since, time.monotonic())

    def change(self, name: str) -> None:
        options = self.random.choice(
            [{"conf": 0.4}, {"conf": 0.6}, {"detect_every": 2}, {"detect_every": 1}, {"classes": "all"}]
        )
        self.live.change(name, options)
        self.cameras[name].good_since = max(self.cameras[name].good_since, time.monotonic())

    def again(self, name: str) -> None:
        """Removed and added."""
        self.live.remove(name)
        self.live.add(name, self.options[name])
        self.counts.pop(name, None)
        self.paused.discard(name)
        self.cameras[name].good_since = max(self.cameras[name].good_since, time.monotonic())

    def snapshot(self, name: str) -> None:
        self.live.feed(name).snapshot()

    def deaf(self, name: str) -> None:
        """A listener that never reads, for a moment."""
        listener = self.live.bus.subscribe(size=2)
        time.sleep(0.05)
        listener.close()

    def nothing(self, name: str) -> None:
        pass

    # --- what must be true ----------------------------------------------------------------------------------------------------

    def check(self) -> None:
        began = time.monotonic()
        found = {each.name: each for each in self.live.cameras()}
        self.live.health()
        if time.monotonic() - began > 2.0:
            self.report.faults.append(f"asking how the cameras are took {time.monotonic() - began:.1f} s")
        if found.keys() != self.cameras.keys():
            self.report.faults.append(f"cameras: {sorted(found)}")
        for name, status in found.items():
            self._check_camera(name, status)
        self._check_private()

    def _check_camera(self, name: str, status: CameraStatus) -> None:
        fault = self.report.faults.append
        if status.state not in STATES:
            fault(f"{name} is {status.state}: {status.reason}")
        if status.processed + sum(status.skipped.values()) > status.captured:
            fault(f"{name}: processed {status.processed} + skipped {dict(status.skipped)} > captured {status.captured}")
        before = self.counts.get(name)
        if before is not None and (status.captured < before.captured or status.processed < before.processed):
            fault(f"{name}: counts fell from {before.captured}, {before.processed} to {status.captured}, {status.processed}")
        self.report.frames += max(0, status.processed - (before.processed if before is not None else 0))
        self.counts[name] = status
        camera = self.cameras[name]
        if camera.good and name not in self.paused and status.state != "watching":
            since = time.monotonic() - camera.good_since
            if since > BACK:
                fault(f"{name} gives pictures for {since:.0f} s, and is {status.state}: {status.reason}")
                camera.good_since = time.monotonic()

    def _check_private(self) -> None:
        result = self.live.feed("private").latest()
        if result is None or result.frame.lost:
            return
        self.report.private += 1
        if not covered(result.image()):
            self.report.faults.append(f"a person is seen in frame {result.frame.index}, epoch {result.frame.epoch}")

    def run(self, minutes: float) -> None:
        began, told = time.monotonic(), 0.0
        while (spent := time.monotonic() - began) < 60 * minutes:
            self.step()
            time.sleep(STEP)
            self.check()
            self.report.samples.append(_sample(began))
            if spent - told >= 30:
                told, (_, memory, files, threads) = spent, self.report.samples[-1]
                self._say(
                    f"{spent / 60:.1f} min: {self.report.frames} frames, {memory:.0f} MB, {files} files, {threads} threads"
                )


def soak(minutes: float, seed: int, *, leak: bool = False, say: Callable[[str], None] = lambda text: None) -> Report:
    """Run it; `leak`: with a stage that leaks, which must be found."""
    with tempfile.TemporaryDirectory() as folder:
        running = _Soak(seed, Path(folder), leak=leak, say=say)
        report = running.report
        try:
            running.live.start()
            running.run(minutes)
        finally:
            began = time.monotonic()
            ended = running.live.stop()
            took = time.monotonic() - began
            for camera in running.cameras.values():
                with contextlib.suppress(OSError):
                    camera.off()
        if not ended or took > 5:
            report.faults.append(f"it {'ended' if ended else 'did not end'} after {took:.1f} s")
    return report
