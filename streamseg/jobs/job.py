"""Many films with one engine, one after the other: what is done is left alone, what fails is told and holds nobody up."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from streamseg.config.schema import PipelineConfig
from streamseg.encode import is_address
from streamseg.engine import Engine
from streamseg.errors import ConfigError, EngineError, OutputExists, SourceError, StreamsegError
from streamseg.jobs.films import Film, find_films, means_films
from streamseg.jobs.manifest import NAME, Book, Entry, Manifest, SourceState, size_of
from streamseg.jobs.outcome import FilmReport, JobReport
from streamseg.jobs.places import folder_of, outputs_of, places
from streamseg.jobs.resume import ResumableRun, Run
from streamseg.pipeline.build import Pipeline
from streamseg.pipeline.opening import load_engine, tuned
from streamseg.pipeline.outputs import Target
from streamseg.pipeline.report import RunReport
from streamseg.pipeline.split import is_split, literal_folder
from streamseg.system.callbacks import Message

__all__ = ["Job", "open_film"]

Watch = Callable[[Pipeline], AbstractContextManager[Callable[[Pipeline], None] | None]]
"""Entered while a film runs; what it gives is called ten times a second."""


@dataclass(slots=True)
class Job:
    """A job that is prepared: its films are found, and their outputs are known not to be in each other's way."""

    films: dict[Film, list[Target]]
    config: PipelineConfig
    outputs: Sequence[str]
    folder: Path
    overwrite: bool
    on_message: Message | None
    resume: bool = False
    """A film that was cut off goes on where it was."""
    command: Sequence[str] = ()
    """What a person typed behind `streamseg`; empty: a program began it."""
    interrupted: int | None = None
    """The signal that ended it."""
    _running: Pipeline | None = None
    _engine: Engine | None = None
    _settings: str = field(default="")
    _known: dict[str, Entry] = field(default_factory=dict)
    """The films of the book, as it was when the job was prepared."""

    @classmethod
    def prepare(
        cls,
        sources: Sequence[str],
        config: PipelineConfig,
        outputs: Sequence[str],
        *,
        overwrite: bool = False,
        resume: bool = False,
        on_message: Message | None = None,
    ) -> Job:
        """Find the films, and refuse what cannot be. Opens no film and no engine. Raises StreamsegError."""
        folder = folder_of(outputs, one=not means_films(sources))
        known = Book.read(folder).films
        written = [Path(path) for entry in known.values() for path, _ in entry.outputs]
        inside = [folder] if not any(os.path.realpath(folder) == os.path.realpath(source) for source in sources) else []
        films = find_films(sources, [*inside, *written])
        if config.decode.realtime:
            raise ConfigError("realtime: a job of several films does not play them at their own speed; leave it out")
        _refuse_files_of_one(config, films)
        films = [
            dataclasses.replace(f, name=known[_key(f)].name) if _key(f) in known else f for f in films
        ]  # who came first keeps its name
        films = [dataclasses.replace(films[0], only=True)] if len(films) == 1 else films
        job = cls(places(films, config, outputs), config, outputs, folder, overwrite, on_message, resume)
        job._settings, job._known = _settings(config, outputs), known
        return job

    def interrupt(self, number: int) -> None:
        """End after the frames that are under way; a second time, at once. For `process.handle_signals`."""
        self.interrupted = number
        if self._running is not None:
            self._running.runtime.interrupt(number)

    def run(
        self,
        watch: Watch | None = None,
        on_film: Callable[[int, Film], None] | None = None,
        on_done: Callable[[FilmReport], None] | None = None,
    ) -> JobReport:
        """Run what is not done yet. Raises StreamsegError only for what concerns all films: the engine, the book of the job."""
        began, reports = time.monotonic(), list[FilmReport]()
        manifest = Manifest.hold(self.folder, len(self.films), self.command)
        try:
            if manifest.damaged:
                self.say(f"{self.folder / NAME}: {manifest.damaged}; a new one is begun")
            for number, film in enumerate(self.films, 1):
                if self.interrupted is not None:
                    break
                if on_film is not None:
                    on_film(number, film)
                reports.append(self._one(film, manifest, watch))
                if on_done is not None:
                    on_done(reports[-1])
        finally:
            manifest.close()
            self._close_engine()
        left = len(self.films) - len(reports)
        return JobReport(tuple(reports), left, time.monotonic() - began, str(self.folder / NAME))

    def _one(self, film: Film, manifest: Manifest, watch: Watch | None) -> FilmReport:
        """Run one film, unless it is done. Its errors are told; those of the engine's opening and of the book are raised."""
        entry = self.begin(film, manifest)
        if isinstance(entry, FilmReport):
            return entry
        engine = self._open_engine(film)
        manifest.put(_key(film), entry)
        try:
            report = self._run(film, engine, watch)
        except StreamsegError as error:
            if isinstance(error, EngineError):
                self._close_engine()  # another film gets a fresh one
            return self.failed(film, manifest, entry, str(error))
        return self.ended(film, manifest, entry, report)

    def begin(self, film: Film, manifest: Manifest) -> Entry | FilmReport:
        """What is to be noted of a film that is run now; or what became of one that is not, since it is done or cannot be."""
        before = manifest.films.get(_key(film))
        entry = Entry(film.name, "running", self._settings)
        try:
            entry = dataclasses.replace(entry, source=SourceState.of(film.source))
            why = self._outdated(before, entry)
            if before is not None and why is None:
                return FilmReport(str(film.source), film.name, "skipped")
            if before is not None and before.status == "done":
                self.say(f"{film.name}: rendered anew, since {why}")
            self._refuse_foreign(film, before)
            return dataclasses.replace(entry, outputs=tuple((path, -1) for path in self._files(film)))
        except (StreamsegError, OSError) as error:
            told = f"{film.source}: cannot be read: {error.strerror or error}" if isinstance(error, OSError) else str(error)
            return self.failed(film, manifest, dataclasses.replace(entry, outputs=()), told)

    def would(self, film: Film) -> str:
        """What would become of a film: empty, it is run; `done`, nothing; else in words why it fails. Writes nothing."""
        before = self._known.get(_key(film))
        try:
            entry = Entry(film.name, "running", self._settings, SourceState.of(film.source))
            if before is not None and self._outdated(before, entry) is None:
                return "done"
            self._refuse_foreign(film, before)
        except OSError as error:
            return f"{film.source}: cannot be read: {error.strerror or error}"
        except StreamsegError as error:
            return str(error)
        return ""

    def ended(self, film: Film, manifest: Manifest, entry: Entry, report: RunReport) -> FilmReport:
        """Note a film that was run."""
        status: Literal["done", "interrupted"] = "interrupted" if report.interrupted else "done"
        manifest.put(_key(film), _ended(entry, status, frames=report.frames_done, seconds=round(report.seconds, 3)))
        return FilmReport(str(film.source), film.name, status, None, report)

    def cut_off(self, film: Film, manifest: Manifest, entry: Entry, frames: int) -> FilmReport:
        """Note a film that several were at when the job was interrupted; `frames`: how far it is known."""
        manifest.put(_key(film), _ended(entry, "interrupted", frames=frames))
        return FilmReport(str(film.source), film.name, "interrupted")

    def failed(self, film: Film, manifest: Manifest, entry: Entry, error: str) -> FilmReport:
        """Note a film that could not be run."""
        manifest.put(_key(film), _ended(entry, "failed", error=error))
        return FilmReport(str(film.source), film.name, "failed", error)

    def _outdated(self, before: Entry | None, now: Entry) -> str | None:
        """Why a film has to be rendered; None: it is done, and nothing has changed."""
        if before is None or before.status != "done":
            return "it is not done"
        if self.overwrite:
            return "--overwrite was given"
        if before.source is None or now.source is None or not before.source.same(now.source):
            return "the source has changed"
        if before.settings != now.settings:
            return "other settings were given"
        return None if before.there else "its outputs are not as they were written"

    def _refuse_foreign(self, film: Film, before: Entry | None) -> None:
        """Raise OutputExists for what this job has not written."""
        ours = {path for path, _ in before.outputs} if before is not None else set()
        for path in self._files(film):
            if not self.overwrite and path not in ours and os.path.isfile(path):
                raise OutputExists(
                    f"{path}: already exists, and is not of this job; pass --overwrite to replace it, or move it away"
                )

    def _files(self, film: Film) -> list[str]:
        return [os.path.abspath(_place(target.path)) for target in self.films[film] if not is_address(target.path)]

    def _run(self, film: Film, engine: Engine, watch: Watch | None) -> RunReport:
        run = open_film(film, self.config, self.outputs, engine, resume=self.resume, on_message=self.on_message)
        self._running = pipeline = run.pipeline
        try:
            if self.interrupted is not None:
                pipeline.runtime.interrupt(self.interrupted)
            with contextlib.nullcontext() if watch is None else watch(pipeline) as on_tick:
                return run.run(on_tick)
        finally:
            self._running = None

    def _open_engine(self, film: Film) -> Engine:
        if self._engine is None:
            self.config = tuned(self.config, self.on_message)
            self._engine = load_engine(self.config, self.on_message, self.films[film])
        return self._engine

    def _close_engine(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()

    def say(self, text: str) -> None:
        """Tell the user."""
        if self.on_message is not None:
            self.on_message(text)


def open_film(
    film: Film, config: PipelineConfig, outputs: Sequence[str], engine: Engine, *, resume: bool, on_message: Message | None
) -> Run:
    """The run of one film, open. Raises StreamsegError."""
    run_of = ResumableRun if resume else Run
    run = run_of(
        str(film.source), config, outputs_of(film, config, outputs), overwrite=True, engine=engine, on_message=on_message
    )
    if run.pipeline.live:
        run.close()
        raise SourceError(f"{film.source}: this happens live, and has no end; run it by itself")
    return run


def _refuse_files_of_one(config: PipelineConfig, films: Sequence[Film]) -> None:
    """Raise ConfigError for a results file, or edits, that are of one film, where there are several."""
    for name, value in (("--results", config.results.keep), ("--edits", config.select.edits)):
        if len(films) > 1 and value not in ("auto", "off"):
            raise ConfigError(f"{name} {value}: this is a file of one film, and the job has {len(films)}; allowed: auto, off")


def _key(film: Film) -> str:
    return os.path.abspath(film.source)


def _place(path: str) -> Path:
    """The file that an output is, or the folder of its images, or of its files for each track."""
    if is_split(path):
        return literal_folder(path)
    return Path(path).parent if "%" in Path(path).name else Path(path)


def _ended(entry: Entry, status: Literal["done", "interrupted", "failed"], **more: Any) -> Entry:
    """The entry of a film that is over, with what it has written."""
    there = tuple((path, size) for path, _ in entry.outputs if (size := size_of(Path(path))) >= 0)
    return dataclasses.replace(
        entry, status=status, outputs=there, ended=datetime.now(UTC).isoformat(timespec="seconds"), **more
    )


def _settings(config: PipelineConfig, outputs: Sequence[str]) -> str:
    """What tells whether all was asked for as it is now: the pipeline, the model's file, and where outputs go."""
    model = Path(config.infer.model)
    file = hashlib.sha256(model.read_bytes()).hexdigest() if model.suffix == ".onnx" and model.is_file() else ""
    asked = json.dumps([config.model_dump(mode="json"), [os.path.abspath(text) for text in outputs], file], sort_keys=True)
    return hashlib.sha256(asked.encode()).hexdigest()
