"""Each stage alone, the whole pipeline against its bound, and against the loop that most people write, in one run.

    python benchmarks/pipeline.py [--clip FILE] [--rounds 3] [--json FILE]

The clip is a street scaled to 1280x720 (benchmarks/clips.py). Machines are noisy: loop and pipeline take turns, the ratio is taken
round by round, and the median is quoted. The loop runs with masks of the frame's size, and with supervision's CompactMask where
there is one; the faster of the two is the peer.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import clips
import loop

from streamseg import load_pipeline
from streamseg.cli import display
from streamseg.cli.doctor import doctor
from streamseg.pipeline.bench import bench
from streamseg.pipeline.build import build_pipeline


class Speed(NamedTuple):
    """Of one run."""

    fps: float
    core_ms: float
    """Of all threads, a frame, the engine's loading included."""


def ours(source: Path, folder: Path, number: int) -> Speed:
    """`streamseg run SOURCE -p drive -o out.mp4`."""
    began = time.process_time()
    report = build_pipeline(source, load_pipeline("drive"), [str(folder / f"ours-{number}.mp4")]).run()
    return Speed(report.fps, 1000 * (time.process_time() - began) / report.frames_done)


def theirs(source: Path, folder: Path, number: int) -> dict[str, Speed]:
    """The loop, by the way in which it gives masks to supervision."""
    speeds = {}
    for way in loop.WAYS:
        began = time.process_time()
        frames, seconds = loop.run(source, folder / f"loop-{number}-{way}.mp4", way=way)
        speeds[way] = Speed(frames / seconds, 1000 * (time.process_time() - began) / frames)
    return speeds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, default=None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    clip = arguments.clip or clips.street()

    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(arguments.rounds):
            stages = bench(str(clip), load_pipeline("drive"), arguments.frames).to_json()
            a, ways = ours(clip, Path(folder), number), theirs(clip, Path(folder), number)
            ratio = a.fps / max(speed.fps for speed in ways.values())
            rounds.append(
                {
                    "bench": stages,
                    "ours": a._asdict(),
                    "loop": {way: speed._asdict() for way, speed in ways.items()},
                    "ratio": ratio,
                    "of_bound": stages["fps"] / stages["bound_fps"],
                }
            )
            display.show_bench(stages)
            for name, speed in {"streamseg": a, **{f"loop, {way} masks": speed for way, speed in ways.items()}}.items():
                print(f"{name}: {speed.fps:.1f} fps, {speed.core_ms:.1f} core ms a frame")
            print(f"ratio to the faster loop {ratio:.2f}", flush=True)
    ratio = statistics.median(r["ratio"] for r in rounds)
    bound = statistics.median(r["of_bound"] for r in rounds)
    machine = doctor().as_dict()
    print(f"\n{machine['cpu']}, {machine['cores']} cores, {platform.platform()}")
    print(f"median of {len(rounds)} rounds: {ratio:.2f} times the loop, {bound:.2f} of the bound")
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine, "clip": clip.name, "rounds": rounds}, indent=2, default=str))


if __name__ == "__main__":
    main()
