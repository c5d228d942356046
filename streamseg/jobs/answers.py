"""The network's answers on disk: results files, one for each time that a run was begun, each going on where those before it end."""

from __future__ import annotations

from pathlib import Path

from streamseg.core.result import Result
from streamseg.core.types import Frame
from streamseg.engine import Engine, GraphSpec
from streamseg.errors import OutputError, ResultsError
from streamseg.record import ENDING, FrameRecord, RecordWriter, Results

__all__ = ["KeptAnswers"]


class KeptAnswers:
    """See `pipeline.answers.Answers`. `known`, `recall` and `keep` may be called from a thread each."""

    def __init__(self, folder: Path, spec: GraphSpec, engine: Engine, *, every: int, batch: int) -> None:
        """`every` and `batch`: how frames go to the network. It is asked again from a frame on with which a batch began in a run
        that was not cut off, so that it sees the same frames together. Raises OutputError where what is there is of another one.
        """
        self._folder, self._spec, self._engine = folder, spec, f"{engine.name} {engine.precision}"
        self._files: list[Results] = []
        for path in sorted(folder.glob(f"answers-*{ENDING}"), reverse=True):  # the newest first
            try:
                self._files.append(Results(path))
            except ResultsError:
                path.unlink(missing_ok=True)  # cut off within its head: it holds nothing
        for file in self._files:
            if (was := file.head.get("engine")) != self._engine:
                self.close()
                raise OutputError(
                    f"{folder}: the run that was cut off used {was}, and this one {self._engine}: their results differ; go on with "
                    "the same engine and precision, or delete the folder to begin anew"
                )
        self._ready: dict[int, FrameRecord] = {}
        self._writer: RecordWriter | None = None
        self._ended = not self._files
        self._until = self._last_common(every, batch) if self._files and every * batch > 1 else None

    def _last_common(self, every: int, batch: int) -> int:
        """The number of the first frame that has to be asked for again."""
        number = min(file.first for file in self._files if file.first is not None) if any(map(len, self._files)) else 0
        asked, until = 0, number
        while (record := self._find(number)) is not None:
            if record.detected:
                until = number if asked % batch == 0 else until
                asked += 1
            number += 1
        return until

    def _find(self, number: int) -> FrameRecord | None:
        for file in self._files:
            try:
                if number in file:
                    return file[number]
            except ResultsError:
                continue  # damaged: perhaps an older one has it, else it is asked for again
        return None

    def known(self, frame: Frame) -> bool:
        """See Answers."""
        if self._ended:
            return False
        record = self._find(frame.index) if self._until is None or frame.index < self._until else None
        if record is None or record.pts != frame.pts:
            self._ended = True
            return False
        self._ready[frame.index] = record
        return True

    def recall(self, frame: Frame) -> Result:
        """See Answers."""
        return self._ready.pop(frame.index).of(frame)

    def keep(self, result: Result) -> None:
        """See Answers."""
        if self._writer is None:
            head = {"classes": list(self._spec.classes), "time_base": str(result.frame.time_base), "engine": self._engine}
            taken = [int(path.stem.rpartition("-")[2]) for path in self._folder.glob(f"answers-*{ENDING}")]
            self._writer = RecordWriter(self._folder / f"answers-{max(taken, default=-1) + 1:04d}{ENDING}", head)
        self._writer.write(result)

    def close(self) -> None:
        """Close the files. Twice is harmless."""
        for file in self._files:
            file.close()
        if self._writer is not None:
            self._writer.close(complete=False)
