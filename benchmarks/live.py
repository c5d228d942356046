"""Many cameras on one engine that has less compute than they need: latency, fairness, the account of frames, memory.

    python benchmarks/live.py [--cameras 4] [--minutes 10] [--still N] [--clip FILE] [--camera KEY=VALUE] [--engine KEY=VALUE]

The cameras are one film of 1280x720 (benchmarks/clips.py: a street, again and again) at its own speed. What is told is compared
with what was seen: frames that are missing in what is shown must be those that the account says were skipped. `--still N`: N of the
cameras show their first picture all the time, with noise, as where nothing happens.

The goal: p99 of capture to composited picture within two frame intervals and one inference; of equal cameras the one with the
most processed frames has at most 1.2 times those of the one with the fewest; memory flat. It is only met or missed where nothing
else runs on the machine: the load is told, too.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import clips
import numpy as np
import yaml


def frozen(clip: Path, seconds: float, target: Path) -> Path:
    """The first picture for so long, coded anew, with the noise that a camera has."""
    with av.open(str(clip)) as source, av.open(str(target), "w") as film:
        picture = next(source.decode(video=0)).to_ndarray(format="yuv420p", threads=1)
        stream = film.add_stream("libx264", rate=25, options={"preset": "ultrafast", "crf": "28"})
        stream.height, stream.width, stream.pix_fmt = picture.shape[0] * 2 // 3, picture.shape[1], "yuv420p"
        noise = np.random.default_rng(0)
        for number in range(round(seconds * 25)):
            noisy = np.clip(picture + noise.integers(-2, 3, picture.shape, np.int8), 0, 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(noisy, format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            film.mux(stream.encode(frame))
        film.mux(stream.encode())
    return target


class Seen:
    """What is shown of one camera: frames, and those missing between them."""

    def __init__(self) -> None:
        self.frames = self.missing = 0
        self.took: list[float] = []
        """Seconds from capture to here, once it is measured."""
        self.measured = False
        self.last = -1

    def __call__(self, rendered: Any) -> None:
        index = rendered.result.frame.index
        self.missing += index - self.last - 1
        self.frames, self.last = self.frames + 1, index
        if self.measured:
            self.took.append(time.monotonic() - rendered.result.frame.arrived)


def _options(given: list[str]) -> dict[str, Any]:
    """KEY=VALUE, values as in a file of cameras."""
    return {name: yaml.safe_load(value) for name, value in (each.split("=", 1) for each in given)}


def _memory() -> float:
    """MB of this process in memory now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Watch for so long, and tell."""
    import threading

    import streamseg

    seconds = 60 * options.minutes
    film = clips.repeated(options.clip, round(seconds / 10) + 6)
    still = frozen(options.clip, seconds + 60, folder / "still.mp4") if options.still else film
    names = [f"camera{number}" for number in range(1, options.cameras + 1)]
    sources = {name: {"source": str(still if at < options.still else film)} for at, name in enumerate(names)}
    more = {
        name: json.loads(value) if value[:1] in "0123456789[{" else value
        for name, value in (o.split("=", 1) for o in options.camera)
    }
    engine = {name: int(value) if value.isdecimal() else value for name, value in (o.split("=", 1) for o in options.engine)}
    live = streamseg.Live({name: how | more for name, how in sources.items()}, **engine)
    seen = {name: Seen() for name in names}
    for name in names:
        live.feed(name).tap(seen[name])
    memory: list[float] = []
    with live:
        while not all(status.processed > 25 for status in live.cameras()):
            time.sleep(0.2)
        time.sleep(options.warm_up)
        for each in seen.values():
            each.measured = True
        began, cpu, loads = time.monotonic(), time.process_time(), []
        first = {status.name: status for status in live.cameras()}
        while (left := began + seconds - time.monotonic()) > 0:
            time.sleep(min(5.0, left))
            memory.append(_memory())
            loads.append(os.getloadavg()[0])
            print(f"{time.monotonic() - began:5.0f} s  {memory[-1]:.0f} MB  {_line(live)}", file=sys.stderr)
        cores = (time.process_time() - cpu) / (time.monotonic() - began)
        threads, last = threading.active_count(), {status.name: status for status in live.cameras()}
    done = {name: last[name].processed - first[name].processed for name in names}
    groups = [names[options.still :], names[: options.still]]
    half = len(memory) // 2
    return {
        "cameras": {
            name: {
                "captured": last[name].captured,
                "processed": last[name].processed,
                "detected": last[name].detected,
                "gated": last[name].gated,
                "skipped": dict(last[name].skipped),
                "latency_ms": {f"p{p}": round(1000 * float(np.percentile(seen[name].took, p)), 1) for p in (50, 95, 99)},
                "told_ms": dict(last[name].latency_ms),
                "rate": round(done[name] / seconds, 2),
                "seen": seen[name].frames,
                "seen_missing": seen[name].missing,
            }
            for name in names
        },
        "fairness": [round(max(done[n] for n in group) / max(1, min(done[n] for n in group)), 3) for group in groups if group],
        "memory_mb": {"half": round(memory[half], 1), "end": round(memory[-1], 1)},
        "threads": threads,
        "cores": round(cores, 2),
        "load": round(sum(loads) / len(loads), 1),
    }


def _line(live: Any) -> str:
    return "  ".join(f"{s.rate:.0f}/s p99 {s.latency_ms.get('p99', 0):.0f} ms" for s in live.cameras())


def main() -> None:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--warm-up", type=float, default=10, metavar="SECONDS")
    parser.add_argument("--still", type=int, default=0)
    parser.add_argument("--clip", type=Path)
    parser.add_argument("--camera", action="append", default=[], metavar="KEY=VALUE", help="an option of every camera")
    parser.add_argument("--engine", action="append", default=[], metavar="KEY=VALUE", help="an option of the engine")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    options.clip = options.clip or clips.street()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(options, Path(folder))
    for name, camera in found["cameras"].items():
        print(name, json.dumps(camera))
    print(json.dumps({key: value for key, value in found.items() if key != "cameras"}))
    if options.json:
        options.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
