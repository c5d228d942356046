"""Memory over a long run: the pipeline on 10,000 frames, the resident size sampled once a second.

python benchmarks/memory.py [--times 40] [--every 1]        (bikes.mp4 has 250 frames)
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import threading
import time
from pathlib import Path

import clips

from streamseg import load_pipeline
from streamseg.config import override
from streamseg.pipeline.build import Pipeline, build_pipeline


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=40)
    parser.add_argument("--every", type=int, default=1, help="the network looks at every Nth frame")
    arguments = parser.parse_args()
    source = clips.repeated(clips.fetch()["bikes.mp4"], arguments.times)
    config = override(load_pipeline("drive"), {"infer": {"every": arguments.every}})
    samples: list[tuple[int, float, int, int]] = []
    last = 0.0

    def sample(pipeline: Pipeline) -> None:
        nonlocal last
        if time.monotonic() - last > 1:
            last = time.monotonic()
            samples.append((pipeline.tally.frames, resident_mb(), len(os.listdir("/proc/self/fd")), threading.active_count()))

    with tempfile.TemporaryDirectory() as folder:
        report = build_pipeline(source, config, [f"{folder}/out.mp4", f"{folder}/out.jsonl"]).run(sample)
    for frames, megabytes, files, threads in samples[:: max(1, len(samples) // 15)]:
        print(f"{frames:7d} frames  {megabytes:7.1f} MB  {files} files  {threads} threads")
    half = [megabytes for _, megabytes, _, _ in samples[len(samples) // 2 : -1]]
    print(f"{report.frames_done} frames at {report.fps:.1f} fps")
    print(f"second half: mean {statistics.mean(half):.1f} MB, max - mean {max(half) - statistics.mean(half):.1f} MB")
    quarter = len(samples) // 4
    early, late = (statistics.mean(s[1] for s in part) for part in (samples[quarter : 2 * quarter], samples[-quarter:-1]))
    print(f"second quarter {early:.1f} MB, last quarter {late:.1f} MB: growth {late - early:+.1f} MB")


if __name__ == "__main__":
    main()
