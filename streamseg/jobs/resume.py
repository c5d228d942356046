"""One film's run that can be gone on with: the same command, given again after a crash, a kill or Ctrl-C, goes on where it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from streamseg.config.schema import PipelineConfig
from streamseg.decode.address import as_source
from streamseg.engine import Engine
from streamseg.jobs.progress import SavedProgress
from streamseg.jobs.room import Room
from streamseg.pipeline.build import Pipeline, build_pipeline
from streamseg.pipeline.opening import Source
from streamseg.pipeline.outputs import plan
from streamseg.pipeline.report import RunReport
from streamseg.system.callbacks import Message

__all__ = ["ResumableRun", "Run"]


class Run:
    """A pipeline that is run once, and forgotten."""

    def __init__(
        self,
        source: Source,
        config: PipelineConfig,
        outputs: Sequence[str],
        *,
        overwrite: bool = False,
        on_message: Message | None = None,
        engine: Engine | None = None,
    ) -> None:
        """Open it, as `build_pipeline` does. Raises StreamsegError."""
        self.pipeline: Pipeline = build_pipeline(
            source, config, outputs, overwrite=overwrite, on_message=on_message, engine=engine
        )
        self._room = self._room_of(on_message)

    def _room_of(self, on_message: Message | None, kept: Path | None = None) -> Room:
        """The room that it has; a run that has none is closed. Raises OutputError."""
        room = Room(self.pipeline, on_message, kept=kept)
        try:
            room.before()
        except BaseException:
            self.pipeline.close()
            raise
        return room

    def run(self, on_tick: Callable[[Pipeline], None] | None = None) -> RunReport:
        """Run to the end, a signal, or a disk that is nearly full. Raises the run's first error, OutputError in the last case."""
        report = self.pipeline.run(self._room.watch(on_tick))
        self._room.check()
        return report

    def close(self) -> None:
        """Give back what is open, for a run that is not run."""
        self.pipeline.close()


class ResumableRun(Run):
    """A pipeline and what it keeps. Byte for byte, its outputs are those of a run with `resume` that was never cut off."""

    def __init__(
        self,
        source: Source,
        config: PipelineConfig,
        outputs: Sequence[str],
        *,
        overwrite: bool = False,
        on_message: Message | None = None,
        engine: Engine | None = None,
    ) -> None:
        """Open it, as `build_pipeline` does. Raises StreamsegError, also where the run that was cut off was another one."""
        targets = plan(config.outputs, outputs, as_source(source))
        self._progress = SavedProgress(source, config, targets, overwrite=overwrite)
        if self._progress.goes_on and on_message is not None:
            on_message(f"resume: goes on from what {self._progress.folder} keeps")
        try:
            self.pipeline = build_pipeline(
                source,
                config,
                outputs,
                overwrite=overwrite or self._progress.goes_on,
                on_message=on_message,
                engine=engine,
                progress=self._progress,
            )
            self._room = self._room_of(on_message, self._progress.folder)
        except BaseException:
            self._progress.close(done=not self._progress.goes_on)
            raise

    def run(self, on_tick: Callable[[Pipeline], None] | None = None) -> RunReport:
        """Run to the end, or a signal; only at the end is what was kept removed. Raises the run's first error."""
        done = False
        try:
            report = super().run(on_tick)
            done = not report.interrupted
        finally:
            self._progress.close(done=done)
        return report

    def close(self) -> None:
        """Give back what is open, for a run that is not run."""
        self.pipeline.close()
        self._progress.close(done=not self._progress.goes_on)
