"""Each stage alone, the whole pipeline against its bound, and against the loop that most people write, in one run.

    python benchmarks/pipeline.py [--clip FILE] [--rounds 3] [--json FILE]

The clip is a street scaled to 1280x720 (benchmarks/clips.py). Machines are noisy: loop and pipeline take turns, the ratio is taken
round by round, and the median is quoted.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
from pathlib import Path

import clips
import loop

from streamseg import load_pipeline
from streamseg.cli import display
from streamseg.cli.doctor import doctor
from streamseg.pipeline.bench import bench
from streamseg.pipeline.build import build_pipeline


def ours(source: Path, folder: Path, number: int) -> float:
    """Frames a second of `streamseg run SOURCE -p drive -o out.mp4`."""
    return build_pipeline(source, load_pipeline("drive"), [str(folder / f"ours-{number}.mp4")]).run().fps


def theirs(source: Path, folder: Path, number: int) -> float:
    frames, seconds = loop.run(source, folder / f"loop-{number}.mp4")
    return frames / seconds


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
            a, b = ours(clip, Path(folder), number), theirs(clip, Path(folder), number)
            rounds.append(
                {"bench": stages, "ours_fps": a, "loop_fps": b, "ratio": a / b, "of_bound": stages["fps"] / stages["bound_fps"]}
            )
            display.show_bench(stages)
            print(f"streamseg {a:.1f} fps, loop {b:.1f} fps, ratio {a / b:.2f}", flush=True)
    ratio = statistics.median(r["ratio"] for r in rounds)
    bound = statistics.median(r["of_bound"] for r in rounds)
    machine = doctor().as_dict()
    print(f"\n{machine['cpu']}, {machine['cores']} cores, {platform.platform()}")
    print(f"median of {len(rounds)} rounds: {ratio:.2f} times the loop, {bound:.2f} of the bound")
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine, "clip": clip.name, "rounds": rounds}, indent=2, default=str))


if __name__ == "__main__":
    main()
