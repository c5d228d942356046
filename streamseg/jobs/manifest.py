"""What a job has done so far: `streamseg-job.json` in the folder of its outputs, whole at every moment.

    {"schema": "streamseg.job/1", "of": 12, "began": "2026-11-30T11:50:00+00:00",
     "films": {"/films/a.mov": {"name": "a", "status": "done", "source": {"size": 1048576, "modified_ns": 17…, "sha256": "…"},
                                "settings": "9f2c…", "outputs": [{"path": "/out/a.mp4", "size": 52428}],
                                "frames": 250, "seconds": 9.1, "ended": "2026-11-30T12:00:00+00:00", "error": null}}}

`of` is how many films the job has, `began` when it was last begun. `status` is running (also of a job that was killed), done,
failed or interrupted. `sha256` is that of the source's first and last MiB and its size; `settings` that of all that was asked for.
All paths are absolute.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from streamseg.decode.images import SUFFIXES as STILLS
from streamseg.errors import OutputError
from streamseg.system.output_files import Claim, make_folder, replace_atomically

__all__ = ["NAME", "Entry", "Manifest", "SourceState"]

NAME = "streamseg-job.json"
SCHEMA = "streamseg.job/1"
_ENDS = 1 << 20


@dataclass(frozen=True, slots=True)
class SourceState:
    """What tells whether a source is still the same."""

    size: int
    """Bytes; of a folder of images, of all of them."""
    modified_ns: int
    """Of a folder, the newest."""
    sha256: str
    """Of size, first and last MiB; of a folder, of the names and sizes of its images."""

    @classmethod
    def of(cls, source: Path) -> SourceState:
        """Raises OSError."""
        if source.is_dir():
            there = sorted(each for each in source.iterdir() if each.suffix.lower() in STILLS and not each.name.startswith("."))
            found = [(each.name, each.stat()) for each in there]
            digest = hashlib.sha256(json.dumps([(name, stat.st_size) for name, stat in found]).encode())
            newest = max((stat.st_mtime_ns for _, stat in found), default=0)
            return cls(sum(stat.st_size for _, stat in found), newest, digest.hexdigest())
        with source.open("rb") as file:
            stat = os.fstat(file.fileno())
            digest = hashlib.sha256(str(stat.st_size).encode())
            digest.update(file.read(_ENDS))
            file.seek(max(0, stat.st_size - _ENDS))
            digest.update(file.read(_ENDS))
        return cls(stat.st_size, stat.st_mtime_ns, digest.hexdigest())

    def same(self, other: SourceState) -> bool:
        """Whether the content is the same, as far as can be told; a file that was only copied or touched is."""
        return (self.size, self.sha256) == (other.size, other.sha256)


@dataclass(frozen=True, slots=True)
class Entry:
    """One film."""

    name: str
    status: Literal["running", "done", "failed", "interrupted"]
    settings: str
    source: SourceState | None = None
    outputs: tuple[tuple[str, int], ...] = ()
    """Path and bytes of each."""
    frames: int = 0
    seconds: float = 0.0
    ended: str = ""
    error: str | None = None

    def as_json(self) -> dict[str, Any]:
        """As it stands in the file."""
        data = dataclasses.asdict(self)
        return data | {"outputs": [{"path": path, "size": size} for path, size in self.outputs]}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Entry:
        """Raises KeyError, TypeError or ValueError for what is none."""
        outputs = tuple((str(each["path"]), int(each["size"])) for each in data["outputs"])
        source = None if data["source"] is None else SourceState(**data["source"])
        return cls(**data | {"outputs": outputs, "source": source})

    @property
    def there(self) -> bool:
        """Whether all outputs lie where they were written, in their size."""
        return bool(self.outputs) and all(size_of(Path(path)) == size for path, size in self.outputs)


def _line(source: str, entry: Entry) -> str:
    return f"{json.dumps(source)}: {json.dumps(entry.as_json())}"


def size_of(path: Path) -> int:
    """Bytes of a file, or of the files in a folder; -1 where there is none."""
    try:
        return sum(each.stat().st_size for each in path.iterdir() if each.is_file()) if path.is_dir() else path.stat().st_size
    except OSError:
        return -1


@dataclass(slots=True)
class Manifest:
    """The file, held by this process: a second job with the same outputs is refused."""

    folder: Path
    films: dict[str, Entry] = field(default_factory=dict)
    """By absolute path of the source."""
    damaged: str = ""
    """What is wrong with the file that was there; it is then as if there were none."""
    of: int = 0
    """Films of the job; 0: not known."""
    began: str = ""
    """When it was last begun, ISO 8601."""
    _lines: dict[str, str] = field(default_factory=dict)
    """Of each film, as it stands in the file: there may be thousands, of which one changes."""
    _claim: Claim | None = None

    @classmethod
    def hold(cls, folder: Path, of: int = 0) -> Manifest:
        """Read what is there, and keep other jobs away until `close`; `of`: films of the job. Raises OutputError."""
        make_folder(folder)
        try:
            claim = Claim(folder, NAME)
        except OSError as error:
            raise OutputError(f"{folder}: cannot be written: {error.strerror or error}") from error
        manifest = cls(folder, *cls.read(folder), of=of, began=datetime.now(UTC).isoformat(timespec="seconds"))
        manifest._lines = {source: _line(source, entry) for source, entry in manifest.films.items()}
        manifest._claim = claim
        return manifest

    @staticmethod
    def read(folder: Path) -> tuple[dict[str, Entry], str]:
        """The films in the file of a folder, and what is wrong with it."""
        try:
            data = json.loads((folder / NAME).read_text("utf-8"))
            if data["schema"] != SCHEMA:
                return {}, f"it is of the kind {data['schema']}, not {SCHEMA}"
            return {path: Entry.from_json(entry) for path, entry in data["films"].items()}, ""
        except (FileNotFoundError, NotADirectoryError):
            return {}, ""
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            return {}, f"it cannot be read ({error})"

    @staticmethod
    def about(folder: Path) -> tuple[int, str]:
        """`of` and `began` of the book of a folder; 0 and nothing where it does not say."""
        try:
            data = json.loads((folder / NAME).read_text("utf-8"))
            return int(data.get("of", 0)), str(data.get("began", ""))
        except (OSError, ValueError, AttributeError, TypeError):
            return 0, ""

    def put(self, source: str, entry: Entry) -> None:
        """Note a film. Raises OutputError where the file cannot be written."""
        self.films[source] = entry
        self._lines[source] = _line(source, entry)
        films = ",\n".join(self._lines.values())
        head = f'"schema": "{SCHEMA}", "of": {self.of}, "began": {json.dumps(self.began)}'
        text = f'{{{head}, "films": {{\n{films}\n}}}}\n'
        try:
            replace_atomically(self.folder / NAME, text.encode(), synced=True)
        except OSError as error:
            raise OutputError(f"{self.folder / NAME}: cannot be written: {error.strerror or error}") from error

    def close(self) -> None:
        """Let others have it. Twice is harmless."""
        if self._claim is not None:
            self._claim.release()
            self._claim = None
