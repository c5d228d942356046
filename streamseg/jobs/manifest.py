"""What a job has done so far: `streamseg-job.json` in the folder of its outputs.

    {"schema": "streamseg.job/1", "of": 12, "began": "2026-11-30T11:50:00+00:00", "folder": "/films", "command": ["run", "."],
     "films": {"/films/a.mov": {"name": "a", "status": "done", "source": {"size": 1048576, "modified_ns": 17…, "sha256": "…"},
                                "settings": "9f2c…", "outputs": [{"path": "/out/a.mp4", "size": 52428}],
                                "frames": 250, "seconds": 9.1, "ended": "2026-11-30T12:00:00+00:00", "error": null}}}

`of` is how many films the job has, `began` when it was last begun, `command` and `folder` how and where, if a person did that with
a command that holds no password. `status` is running (also of a job that was killed), done,
failed or interrupted. `sha256` is that of the source's first and last MiB and its size; `settings` that of all that was asked for.
All paths are absolute.

Of many films one changes at a time: what has changed since the file was written stands in `streamseg-job.log`, a line a film, and
goes into it now and then. Both are sound however a job ended: a last line that is cut off is as if it were not there.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Literal

from streamseg.decode.images import SUFFIXES as STILLS
from streamseg.errors import OutputError, scrub
from streamseg.system.output_files import Claim, make_folder, replace_atomically

__all__ = ["NAME", "Book", "Entry", "Manifest", "SourceState"]

NAME = "streamseg-job.json"
LOG = "streamseg-job.log"
_SHARE = 50
"""The log goes into the file when it has a line for each so many films: of fewer films each change is written at once."""
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
class Book:
    """What stands in the file of a folder."""

    films: dict[str, Entry] = field(default_factory=dict)
    """By absolute path of the source."""
    damaged: str = ""
    """What is wrong with it; it is then as if there were none."""
    of: int = 0
    """Films of the job; 0: not known."""
    began: str = ""
    """When it was last begun, ISO 8601."""
    command: tuple[str, ...] = ()
    """How it was begun, behind `streamseg`; empty: not known."""
    folder: str = ""
    """Where that command was given."""

    @classmethod
    def read(cls, folder: Path) -> Book:
        """The book of a folder; an empty one where there is none."""
        try:
            data = json.loads((folder / NAME).read_text("utf-8"))
            if data["schema"] != SCHEMA:
                return cls(damaged=f"it is of the kind {data['schema']}, not {SCHEMA}")
            films = {path: Entry.from_json(entry) for path, entry in data["films"].items()} | dict(_logged(folder / LOG))
            told = (int(data.get("of", 0)), str(data.get("began", "")), tuple(map(str, data.get("command", ()))))
            return cls(films, "", *told, str(data.get("folder", "")))
        except (FileNotFoundError, NotADirectoryError):
            return cls()
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            return cls(damaged=f"it cannot be read ({error})")


def _logged(path: Path) -> Iterator[tuple[str, Entry]]:
    """The films of a log; what is no line of ours is passed over, as one that was cut off."""
    try:
        data = path.read_bytes()
    except OSError:
        return
    for line in data.splitlines():
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
            [(source, entry)] = json.loads(b"{" + line + b"}").items()
            yield source, Entry.from_json(entry)


@dataclass(slots=True)
class Manifest:
    """The book, held by this process: a second job with the same outputs is refused."""

    place: Path
    """The folder that it is in."""
    book: Book
    _lines: dict[str, str] = field(default_factory=dict)
    """Of each film, as it stands in the file."""
    _claim: Claim | None = None
    _log: BinaryIO | None = None
    _logged: int = 0
    """Lines of the log."""

    @classmethod
    def hold(cls, folder: Path, of: int = 0, command: Sequence[str] = ()) -> Manifest:
        """Read what is there, and keep other jobs away until `close`; `of`: films of the job; `command`: how it was begun.

        Raises OutputError.
        """
        make_folder(folder)
        try:
            claim = Claim(folder, NAME)
        except OSError as error:
            raise OutputError(f"{folder}: cannot be written: {error.strerror or error}") from error
        book = Book.read(folder)
        book.of, book.began = of, datetime.now(UTC).isoformat(timespec="seconds")
        secret = any(scrub(word) != word for word in command)
        book.command, book.folder = ((), "") if secret or not command else (tuple(command), os.getcwd())
        manifest = cls(folder, book, {source: _line(source, entry) for source, entry in book.films.items()}, claim)
        manifest._logged = (folder / LOG).exists()
        return manifest

    @property
    def films(self) -> dict[str, Entry]:
        """By absolute path of the source."""
        return self.book.films

    @property
    def damaged(self) -> str:
        """What was wrong with the file that was there."""
        return self.book.damaged

    def put(self, source: str, entry: Entry) -> None:
        """Note a film. Raises OutputError where that cannot be written."""
        self.films[source] = entry
        self._lines[source] = line = _line(source, entry)
        try:
            if self._log is None or self._logged * _SHARE >= len(self._lines):
                self._write()
            else:
                self._log.write(line.encode() + b"\n")
                self._log.flush()
                os.fsync(self._log.fileno())
                self._logged += 1
        except OSError as error:
            raise OutputError(f"{self.place / NAME}: cannot be written: {error.strerror or error}") from error

    def _write(self) -> None:
        """All of it into the file, and an empty log."""
        book = self.book
        how = {"of": book.of, "began": book.began}
        how |= {"folder": book.folder, "command": list(book.command)} if book.command else {}
        films = ",\n".join(self._lines.values())
        text = f'{{"schema": "{SCHEMA}", {json.dumps(how)[1:-1]}, "films": {{\n{films}\n}}}}\n'
        replace_atomically(self.place / NAME, text.encode(), synced=True)
        if self._log is None:
            self._log = (self.place / LOG).open("wb")
        self._log.truncate(0)
        self._log.seek(0)
        self._logged = 0

    def close(self) -> None:
        """Let others have it. Twice is harmless."""
        if self._log is not None:
            with contextlib.suppress(OSError):
                if self._logged:
                    self._write()
                self._log.close()
                self._log = None
                (self.place / LOG).unlink(missing_ok=True)
        if self._claim is not None:
            self._claim.release()
            self._claim = None
