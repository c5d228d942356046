"""Many tiny films, one in a hundred of them broken: films a second, and whether the driver's memory grows.

    python benchmarks/many_films.py [--films 10000] [--on ray --workers 2]

All films are links to one of twelve pictures; the network is a graph that answers at once, so that what is measured is the job.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import streamseg
from tests import clips, graphs

BROKEN = (b"", b"no film at all", b"\0\0\0\x18ftypisom")


def make(folder: Path, count: int) -> None:
    """`count` films below `folder`, a hundred a folder."""
    good = clips.cfr(folder.parent / "good.mp4", 12)
    whole = good.read_bytes()
    for k in range(count):
        path = folder / f"{k // 100:04d}" / f"film {k:05d}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        if k % 100 == 37:
            path.write_bytes((*BROKEN, whole[: len(whole) // 2])[k // 100 % 4])
        else:
            os.link(good, path)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--films", type=int, default=10_000)
    asked.add_argument("--on")
    asked.add_argument("--workers", type=int)
    options = asked.parse_args()
    base = Path(tempfile.mkdtemp(prefix="streamseg-many-"))
    try:
        make(base / "films", options.films)
        model = graphs.constant_model(base / "known.onnx", boxes=((20.0, 28.0, 60.0, 58.0),), scores=(0.9,), labels=(0,))
        config = streamseg.load_pipeline("drive")
        began = time.monotonic()
        watch = _Memory()
        watch.start()
        report = streamseg.run_many(
            str(base / "films"),
            str(base / "out" / "{name}.jsonl"),
            pipeline=config,
            model=str(model),
            threads=1,
            on=options.on,
            workers=options.workers,
        )
        watch.stop()
        seconds = time.monotonic() - began
        done, failed = len(report.having("done")), report.having("failed")
        print(
            f"{done} done, {len(failed)} failed of {options.films} in {seconds:.0f} s: {options.films / seconds:.1f} films a second"
        )
        print(f"memory, MB, at each tenth of the time: {' '.join(f'{each / 1e6:.0f}' for each in watch.tenths())}")
        print("\n".join(sorted({(film.error or "").rpartition(": ")[2] for film in failed})))
        written = sum(1 for _ in (base / "out").rglob("*.jsonl"))
        assert written == done == options.films - len(failed), written
    finally:
        shutil.rmtree(base, ignore_errors=True)


class _Memory:
    """Looks at this process's memory every half second."""

    def __init__(self) -> None:
        self.seen: list[float] = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _look(self) -> None:
        while not self._end.wait(0.5):
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            self.seen.append(float(pages * os.sysconf("SC_PAGE_SIZE")))

    def stop(self) -> None:
        self._end.set()
        self._thread.join()

    def tenths(self) -> list[float]:
        return [self.seen[min(len(self.seen) - 1, len(self.seen) * k // 10)] for k in range(11)]


if __name__ == "__main__":
    main()
