"""Two films at once: on one Session, and in two processes with an engine each. Throughput of both, in turns, as a ratio.

    python benchmarks/sessions.py [--clip FILE] [--frames 150] [--rounds 5] [--json FILE] [--batch 1] [--max-wait 5ms]

Each way runs in processes of its own, which open their engines before the clock starts (how long that took is told). A film goes
through `drive`, every frame through the network, into an H.264 file. The clip is a street of 1280x720 (benchmarks/clips.py).

Ratios are taken round by round, with the order swapped in every other, and their medians are quoted. Where other work takes the
cores, the scheduler gives two processes, which have more threads, more of them than one: look at the frames a core second then.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import clips

WAYS = {"one session": [2], "two processes": [1, 1]}
"""Films of each process."""


def work(options: argparse.Namespace) -> None:
    """One process: open a session, wait for the word, run so many films at once, tell."""
    import streamseg

    began = time.perf_counter()
    more = {} if options.max_wait is None else {"max_wait": options.max_wait}
    with streamseg.Session(
        batch=options.batch, in_flight=options.in_flight, threads=options.threads, engine=options.engine, **more
    ) as session:
        opened = time.perf_counter() - began
        print("ready", flush=True)
        sys.stdin.readline()
        before = _cpu()

        def run(number: int) -> None:
            target = options.folder / f"{os.getpid()}-{number}.mp4"
            done.append(session.run(str(options.clip), target, pipeline=options.pipeline, duration=options.frames / 25))

        done: list[streamseg.RunReport] = []
        threads = [threading.Thread(target=run, args=(number,)) for number in range(options.work)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        cpu = _cpu() - before
    assert len(done) == options.work
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    frames = sum(report.frames_done for report in done)
    print(json.dumps({"frames": frames, "cpu": cpu, "opening": opened, "memory": memory}), flush=True)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measure(films: list[int], arguments: list[str]) -> dict[str, float]:
    """Frames a second, processor time a frame and memory (MiB, at most) of processes that run so many films each, side by side."""
    command = [sys.executable, __file__, *arguments, "--work"]
    called = time.perf_counter()
    processes = [
        subprocess.Popen([*command, str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for count in films
    ]
    for process in processes:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"  # noqa: PT018
    began = time.perf_counter()
    starting = began - called
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    told: list[dict[str, Any]] = []
    ends = []
    for process in processes:
        assert process.stdout is not None
        told.append(json.loads(process.stdout.readline()))
        ends.append(time.perf_counter() - began)
        process.communicate()
    frames = sum(one["frames"] for one in told)
    return {
        "fps": frames / max(ends),
        "core_fps": frames / sum(one["cpu"] for one in told),
        "opening": max(one["opening"] for one in told),
        "fps_with_opening": frames / max(end + one["opening"] for end, one in zip(ends, told, strict=True)),
        "fps_from_call": frames / (starting + max(ends)),
        "memory": sum(one["memory"] for one in told),
        "frames": frames,
    }


def _line(one: dict[str, float]) -> str:
    return (
        f"{one['fps']:.1f} fps, {one['fps_with_opening']:.1f} with the opening ({one['opening']:.1f} s), "
        f"{1000 / one['core_fps']:.1f} core ms a frame, {one['memory']:.0f} MiB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, default=None)
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pipeline", default="drive")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--in-flight", type=int, default=2)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--max-wait", default=None)
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--work", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options)
        return
    options.clip = options.clip or clips.street()
    rounds: list[dict[str, dict[str, float]]] = []
    with tempfile.TemporaryDirectory() as folder:
        given = ["--clip", str(options.clip), "--folder", folder]
        for name in ("frames", "pipeline", "engine", "batch", "in_flight", "threads", "max_wait"):
            if (value := getattr(options, name)) is not None:
                given += [f"--{name.replace('_', '-')}", str(value)]
        for number in range(options.rounds):
            ways = list(WAYS) if number % 2 == 0 else list(reversed(WAYS))
            rounds.append({way: measure(WAYS[way], given) for way in ways})
            for path in Path(folder).iterdir():
                path.unlink()
            for way in WAYS:
                print(f"{way}: {_line(rounds[-1][way])}", flush=True)
    for what, name in (
        ("fps", "fps"),
        ("fps with the opening", "fps_with_opening"),
        ("fps from the call of the program on", "fps_from_call"),
        ("frames a core second", "core_fps"),
    ):
        ratios = [r["one session"][name] / r["two processes"][name] for r in rounds]
        print(f"{what}: median ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"load {load:.1f} on {os.cpu_count()} cores")
    if options.json is not None:
        options.json.write_text(json.dumps(rounds, indent=2))


if __name__ == "__main__":
    main()
