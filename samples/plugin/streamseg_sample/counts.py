"""A result format: a table of how many of each class there are in each frame, as comma-separated values."""

from __future__ import annotations

from streamseg.core.result import Result
from streamseg.encode import FormatSink
from streamseg.system.output_files import OutputFile


class CountsSink(FormatSink):
    """Writes `NAME.counts.csv`: a line a frame, complete on disk as soon as it is written."""

    def _begin(self, first: Result) -> None:
        self._file = OutputFile(self.path, self._overwrite)
        self._append("frame", "time", *first.instances.class_names)

    def _write(self, result: Result) -> None:
        found, names = result.instances, result.instances.class_names
        counts = [int((found.labels == label).sum()) for label in range(len(names))]
        self._append(result.frame.index, f"{result.time:.6f}", *counts)

    def _finish(self) -> None:
        self._file.close()

    def _append(self, *cells: object) -> None:
        self._file.append(",".join(map(str, cells)).encode() + b"\n")
        self.counters.bytes = self._file.size
