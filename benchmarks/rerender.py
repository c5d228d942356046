"""What rendering from a results file costs, compared with decoding, drawing and encoding alone.

    python -m benchmarks.rerender FILM [--pipeline edit] [--duration 10] [--rounds 5]

The film is looked at once. Then it is rendered from its results file, and, alternating with that in one process, with all results
already in memory: that is decode, draw and encode alone. Printed is the median of the second's processor time over the first's, the
same of elapsed time, and the size of the file.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from streamseg.config import PipelineConfig, load_pipeline
from streamseg.pipeline.build import Pipeline, build_pipeline
from streamseg.record import FrameRecord, open_results
from streamseg.record.stages import Recall


class Loaded:
    """Results that are all in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with open_results(path) as results:
            self.records = {record.index: record for record in results}

    def __getitem__(self, number: int) -> FrameRecord:
        return self.records[number]

    def __len__(self) -> int:
        return len(self.records)

    def close(self) -> None:
        """Nothing is open."""


def main() -> None:
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("film")
    parser.add_argument("--pipeline", default="edit")
    parser.add_argument("--duration", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    config = load_pipeline(given.pipeline)
    config = config.model_copy(update={"decode": config.decode.model_copy(update={"duration": given.duration})})
    with tempfile.TemporaryDirectory(prefix="streamseg-rerender-") as folder:
        kept = Path(folder) / "kept.streamseg"
        config = config.model_copy(update={"results": config.results.model_copy(update={"keep": str(kept)})})
        looked = _timed(_built(given.film, config, folder))
        loaded = Loaded(kept)
        times: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
        for turn in range(2 * given.rounds):
            built, in_memory = _built(given.film, config, folder), turn % 2 == 1
            if in_memory:
                recall = next(stage for _, stage in built.trunk.stages if isinstance(stage, Recall))
                recall.close()
                recall.results = loaded  # type: ignore[assignment]
            times[in_memory].append(_timed(built))
        instances = sum(len(record) for record in loaded.records.values())
        print(f"{len(loaded)} frames, {instances} instances, {kept.stat().st_size / max(1, instances):.0f} bytes an instance")
    for name, at in (("processor", 0), ("elapsed", 1)):
        alone, read = (statistics.median(pair[at] for pair in times[which]) for which in (True, False))
        pace = f"{1000 * read / len(loaded):.1f} ms a frame, {looked[at] / read:.1f} times as fast as looking, too"
        print(f"{name} time: {alone / read:.3f} of decode, draw and encode alone; {pace}")


def _built(film: str, config: PipelineConfig, folder: str) -> Pipeline:
    return build_pipeline(film, config, [f"{folder}/out.mp4"], overwrite=True)


def _timed(built: Pipeline) -> tuple[float, float]:
    """Processor and elapsed seconds of a run."""
    cpu, began = time.process_time(), time.perf_counter()
    built.run()
    return time.process_time() - cpu, time.perf_counter() - began


if __name__ == "__main__":
    main()
