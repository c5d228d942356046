"""A run that goes on after it was cut off: what it keeps, in the folder `.NAME.job` beside its first output.

    job.json             what is asked for: source, pipeline, outputs, versions; written once
    done.jsonl           a line for each finished part of an output, with its SHA-256
    answers-….streamseg  the network's answers (see `answers`)
    OUTPUT/…             the parts of a video, encoded (see `encode.video.segments`)

A part counts if its line stands in `done.jsonl` and its bytes have that hash, so that it does not matter which of all files a power
cut has spoiled. The folder goes when the run is done.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import av

from streamseg.config.schema import PipelineConfig
from streamseg.decode import SourceInfo
from streamseg.decode.address import Address, parse_source
from streamseg.encode import is_address
from streamseg.engine import Engine, GraphSpec
from streamseg.errors import ConfigError, OutputError
from streamseg.jobs.answers import KeptAnswers
from streamseg.pipeline.decide import edits_of
from streamseg.pipeline.outputs import Target
from streamseg.pipeline.results import place_of
from streamseg.record.source_key import file_key, images_key, same_source
from streamseg.system.output_files import make_folder, open_locked, replace_atomically
from streamseg.system.standard_streams import is_stdout
from streamseg.system.version import installed_version

__all__ = ["SavedProgress", "finished", "folder_of", "part_of", "why_not_resumable"]

SCHEMA = "streamseg.resume/1"
_AGAIN = ("file", "images", "trip")
"""Sources that give the same a second time."""
PART_SECONDS = 6
"""Of film in a part: three key frames' distance."""


class SavedProgress:
    """See `pipeline.answers.Progress`. Held by this process until `close`."""

    def __init__(self, source: object, config: PipelineConfig, targets: Sequence[Target], *, overwrite: bool = False) -> None:
        """Take up what is there. Nothing is begun yet.

        overwrite: what is there of another run is given up. Raises ConfigError for what cannot be gone on with, OutputError where
        the run that was cut off was another one, or still runs.
        """
        _refuse(source, config, targets)
        self.folder = folder_of(targets)
        self._asked = _asked(str(source), config, targets, self.folder)
        self._done: dict[str, str] = {}
        self._log: Any = None
        self._lock = threading.Lock()
        self._answers: KeptAnswers | None = None
        self.length = 0
        self.threads = os.cpu_count() or 1
        self.goes_on = False
        """An earlier run has begun."""
        make_folder(self.folder.parent)
        existed = self.folder.exists()
        make_folder(self.folder)
        try:
            self._fd: int | None = open_locked(self.folder / "lock", self.folder)
        except OSError as error:
            raise OutputError(f"{self.folder}: cannot be written: {error.strerror or error}") from error
        try:
            if existed:
                self._take_up(overwrite)
        except BaseException:
            self.close()
            raise

    def _take_up(self, overwrite: bool) -> None:
        try:
            begun = json.loads((self.folder / "job.json").read_text("utf-8"))
        except (OSError, ValueError):
            begun = {}  # never begun, or its first write was cut off
        if begun.get("schema") != SCHEMA or not isinstance(begun.get("length"), int):
            self._forget()
            return
        if differs := list(_differences(begun, self._asked)):
            if overwrite:
                self._forget()
                return
            raise OutputError(
                f"{self.folder}: the run that was cut off asked for something else ({'; '.join(differs[:3])}); run the command "
                "that began it, or pass --overwrite to begin anew"
            )
        self.length, self.threads, self.goes_on = begun["length"], int(begun.get("threads", self.threads)), True
        self._done = dict(_lines(self.folder / "done.jsonl"))

    def _forget(self) -> None:
        for path in self.folder.iterdir():
            if path.name != "lock":
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def begin(self, info: SourceInfo) -> None:
        """See Progress."""
        if info.live or info.kind not in _AGAIN:
            raise ConfigError(f"--resume: {info.name} cannot be read again from its beginning; leave --resume out")
        if not self.goes_on:
            self.length = part_of(info)

    def opened(self) -> None:
        """See Progress."""
        if not self.goes_on:
            data = {"schema": SCHEMA, "length": self.length, "threads": self.threads, **self._asked}
            try:
                replace_atomically(self.folder / "job.json", json.dumps(data, indent=1).encode() + b"\n", synced=True)
            except OSError as error:
                raise OutputError(f"{self.folder}: cannot be written: {error.strerror or error}") from error

    def answers(self, config: PipelineConfig, spec: GraphSpec, engine: Engine) -> KeptAnswers:
        """See Progress."""
        infer = config.infer
        every = infer.every if isinstance(infer.every, int) else 1
        self._answers = KeptAnswers(self.folder, spec, engine, every=every, batch=infer.batch)
        return self._answers

    def keeper(self, name: str) -> OutputKeeper:
        """See Progress."""
        return OutputKeeper(self, name)

    def digest(self, part: str) -> str | None:
        """SHA-256 of a part; None: it is not finished."""
        with self._lock:
            return self._done.get(part)

    def note(self, part: str, sha256: str) -> None:
        """A part is finished. Raises OutputError."""
        with self._lock:
            self._done[part] = sha256
            try:
                if self._log is None:
                    _cut(self.folder / "done.jsonl")
                    self._log = (self.folder / "done.jsonl").open("ab", buffering=0)
                self._log.write(json.dumps({"part": part, "sha256": sha256}).encode() + b"\n")
            except OSError as error:
                raise OutputError(f"{self.folder}: cannot be written: {error.strerror or error}") from error

    def close(self, *, done: bool = False) -> None:
        """Give it back; `done`: nothing need be kept. Twice is harmless."""
        fd, self._fd = self._fd, None
        if fd is None:
            return
        if self._answers is not None:
            with contextlib.suppress(OutputError):
                self._answers.close()
        if self._log is not None:
            self._log.close()
        done = done or not (self.folder / "job.json").exists()
        if done:
            with contextlib.suppress(OSError):
                (self.folder / "job.json").unlink(missing_ok=True)  # first: what is left then is known to be of no use
            shutil.rmtree(self.folder, ignore_errors=True)
        os.close(fd)
        if done:
            shutil.rmtree(self.folder, ignore_errors=True)  # Windows deletes no file that is open


class OutputKeeper:
    """What is finished of one output: see `encode.sink.Keeper`."""

    def __init__(self, progress: SavedProgress, name: str) -> None:
        self._progress, self._name = progress, name
        self.length, self.threads = progress.length, progress.threads

    def path(self, part: str) -> Path:
        """See Keeper."""
        folder = self._progress.folder / self._name
        make_folder(folder)
        return folder / part

    def digest(self, part: str) -> str | None:
        """See Keeper."""
        return self._progress.digest(f"{self._name}/{part}")

    def note(self, part: str, sha256: str) -> None:
        """See Keeper."""
        self._progress.note(f"{self._name}/{part}", sha256)


def part_of(info: SourceInfo) -> int:
    """Pictures in a part of a video of this source."""
    return max(1, round(PART_SECONDS * min(float(info.rate or 25), 240)))


def finished(folder: Path) -> dict[str, str]:
    """What is finished of a run that keeps its parts in `folder`: SHA-256 of each, by its name there."""
    return dict(_lines(folder / "done.jsonl"))


def folder_of(targets: Sequence[Target]) -> Path:
    """Where a run keeps what it has done. Raises ConfigError where it has no file."""
    for target in targets:
        if not is_address(target.path) and not is_stdout(target.path):
            path = Path(target.path)
            path = path.parent if "%" in path.name and path.parent.name else path
            return path.with_name(f".{path.name}.job")
    raise ConfigError("--resume: a run without a file as its output leaves nothing to go on from; leave --resume out")


def why_not_resumable(source: object, config: PipelineConfig, targets: Sequence[Target]) -> str | None:
    """Why a run cannot be gone on with; None: it can. Raises SourceNotFound where nothing is."""
    try:
        _refuse(source, config, targets)
        folder_of(targets)
    except ConfigError as error:
        return str(error)
    return None


def _refuse(source: object, config: PipelineConfig, targets: Sequence[Target]) -> None:
    """Raise ConfigError for what is another thing the second time, SourceNotFound where nothing is."""
    if not isinstance(source, str | os.PathLike) or _parsed(source, config).kind not in _AGAIN:
        raise ConfigError("--resume: only files and folders of images can be gone on with; leave --resume out")
    if any(is_stdout(target.path) for target in targets):
        raise ConfigError("--resume: what went to standard output is gone; write a file, or leave --resume out")
    if config.decode.realtime or config.decode.policy == "drop_oldest":
        raise ConfigError("--resume: what is left out to keep up differs each time; leave out realtime and policy: drop_oldest")
    if config.decode.use is not None:
        raise ConfigError("--resume: a source of your own cannot be gone on with; leave --resume out")


def _parsed(source: str | os.PathLike[str], config: PipelineConfig) -> Address:
    return parse_source(source, trip=config.decode.trip)


def _asked(source: str, config: PipelineConfig, targets: Sequence[Target], folder: Path) -> dict[str, Any]:
    """All that the result depends on, as it stands in `job.json`; outputs as they lie from there, so that all may be moved."""
    address = _parsed(source, config)
    images = address.images or [part.path for part in address.parts]
    model = Path(config.infer.model)
    return {
        "source": images_key(images) if images else file_key(Path(source)),
        "pipeline": config.model_dump(mode="json"),
        "outputs": {
            target.name: os.path.relpath(target.path, folder.parent) for target in targets if not is_address(target.path)
        },
        "edits": _edits(config, targets, source),
        "model": file_key(model) if model.suffix == ".onnx" and model.is_file() else {},
        "versions": {"streamseg": installed_version(), "av": av.__version__},
    }


def _edits(config: PipelineConfig, targets: Sequence[Target], source: str) -> dict[str, Any]:
    """What a person decided about the tracks, of which the pictures depend, too."""
    place = place_of(config, targets, source)
    for path in (place, None if place is None else Path(place.name)):
        if edits := edits_of(config, path)[0]:
            return edits.to_json()
    return {}


def _differences(begun: Mapping[str, Any], asked: Mapping[str, Any]) -> Iterator[str]:
    """What is asked for now and was not, in words."""
    if not same_source(begun.get("source"), asked["source"]):
        yield "the source has changed"
    if begun.get("model") and asked["model"] and not same_source(begun.get("model"), asked["model"]):
        yield "the model has changed"
    if begun.get("edits", {}) != asked["edits"]:
        yield "the edits of its tracks have changed"
    for part in ("pipeline", "outputs", "versions"):
        before, now = _flat(begun.get(part)), _flat(asked[part])
        for key in dict.fromkeys((*before, *now)):
            if before.get(key) != now.get(key):
                yield f"{part if part != 'pipeline' else ''} {key} was {before.get(key)}, and is {now.get(key)}".strip()


def _flat(value: object, name: str = "") -> dict[str, Any]:
    if not isinstance(value, dict | list):
        return {name: value}
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    return {key: each for part, inner in pairs for key, each in _flat(inner, f"{name}.{part}" if name else str(part)).items()}


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """The parts that a log names, up to the first line that is none: what follows was never written, or is spoiled."""
    try:
        data = path.read_bytes()
    except OSError:
        return
    for line in data.splitlines(keepends=True):
        try:
            said = json.loads(line) if line.endswith(b"\n") else None
            yield str(said["part"]), str(said["sha256"])  # type: ignore[index]
        except (ValueError, KeyError, TypeError):
            return


def _cut(path: Path) -> None:
    """Take off what a crash has left behind the last whole line."""
    with contextlib.suppress(FileNotFoundError):
        whole = b"".join(json.dumps({"part": part, "sha256": sha256}).encode() + b"\n" for part, sha256 in _lines(path))
        if path.stat().st_size != len(whole):
            path.write_bytes(whole)
