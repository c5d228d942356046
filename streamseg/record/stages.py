"""The two stages round a results file: one writes it, the other reads it in place of all that looks."""

from __future__ import annotations

from streamseg.core.result import Result
from streamseg.core.types import Frame
from streamseg.errors import OutputError, ResultsError
from streamseg.record.read import Results
from streamseg.record.write import RecordWriter

__all__ = ["Recall", "Record"]


class Record:
    """Writes each result as it comes by, and passes it on.

    The file is finished by who knows how the run ended (`finish`), not with the stage.
    """

    def __init__(self, writer: RecordWriter, *, must: bool) -> None:
        """`must`: somebody asked for this file, so that a full disk is an error; else the run goes on without it."""
        self.writer: RecordWriter | None = writer
        self._must = must
        self.path, self.frames, self.bytes = writer.path, 0, 0
        self.warnings: list[str] = []

    def __call__(self, result: Result) -> Result:
        """The same result. Raises OutputError where it must be kept and cannot."""
        if self.writer is not None:
            try:
                self.writer.write(result)
            except OutputError as error:
                self._give_up(error)
            else:
                self.frames += 1
        return result

    def _give_up(self, error: OutputError) -> None:
        if self._must:
            raise error
        assert self.writer is not None
        self.writer.discard()  # what it holds is room for the output, if the disk is full
        self.writer, self.frames = None, 0
        self.warnings.append(f"{error}; it is given up, and the run goes on without it")

    def finish(self, *, complete: bool) -> None:
        """Close the file; `complete`: it holds all that was asked for. Raises OutputError where it must be kept and cannot."""
        if self.writer is not None:
            try:
                self.writer.close(complete=complete)
            except OutputError as error:
                self._give_up(error)
            else:
                self.bytes = self.writer.size


class Recall:
    """Finds what a results file holds of each frame."""

    def __init__(self, results: Results) -> None:
        self.results = results

    def __call__(self, frame: Frame) -> Result:
        """The result of a frame, as it was when it was found. Raises ResultsError where the file holds none, or one damaged."""
        try:
            record = self.results[frame.index]
        except IndexError as error:
            raise ResultsError(f"{error}; look at the film anew: delete the file, or --results off") from error
        if (record.pts, record.width, record.height) != (frame.pts, frame.width, frame.height):
            raise ResultsError(
                f"{self.results.path}: frame {frame.index} was shown at {record.time:.3f} s, {record.width}x{record.height}, and "
                f"is now at {frame.time:.3f} s, {frame.width}x{frame.height}: it is of another film; delete it, or --results off"
            )
        return record.of(frame)

    def close(self) -> None:
        """Close the file."""
        self.results.close()
