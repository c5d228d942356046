"""Fetch one file over HTTP, whole and checked or not at all; what was fetched before an interruption is not fetched again.

`FILE.part` holds the bytes so far, `FILE.part.json` which version of the file on the server they are of. A later request asks for
the rest of that version; a server that has another one, or that cannot send a part, sends all of it, and we begin again.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import random
import shutil
import time
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from streamseg.errors import ConfigError, ModelError, OutputError
from streamseg.system.callbacks import Message, Progress
from streamseg.system.folders import elsewhere, locked, make_folder
from streamseg.system.http import Answer, Broken, ask, host

__all__ = ["Patience", "download", "sha256_of"]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a download waits, and how often it tries."""

    timeout: float = 30.0
    """Seconds without a byte after which a connection counts as broken."""
    attempts: int = 5
    """Tries in a row that bring nothing new; 2 where the server was never reached."""
    pause: float = 1.0
    """Seconds before the second try; doubled for each further one, with jitter."""
    longest: float = 60.0
    """Seconds; the longest pause, also where the server asks for a longer one."""


def download(
    url: str,
    target: Path,
    *,
    sha256: str = "",
    force: bool = False,
    on_progress: Progress | None = None,
    on_message: Message | None = None,
    patience: Patience | None = None,
) -> str:
    """Fetch `url` (http or https) into the file `target`; returns its sha256, hexadecimal.

    `sha256` is the expected one or its beginning; empty: none is known. A `target` that is there and fits is kept, unless `force`.
    `on_message` is told what goes wrong and is tried again. Two processes that want one file take turns. Ctrl-C leaves what is
    needed to go on later.

    Raises ConfigError (not an address), ModelError (no network, an answer that is none, another hash than expected: then nothing
    is kept) or OutputError (no room, no right to write; what is here is kept).
    """
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise ConfigError(f"{url!r} is not an http:// or https:// address")
    make_folder(target.parent)
    fetch = _Fetch(url, target, bool(sha256), on_progress, on_message or (lambda _: None), patience or Patience())
    with locked(target.parent, f"{target.name}.lock", f"another process is fetching {target.name}; waiting for it", on_message):
        if target.is_file() and not force:
            found = sha256_of(target)
            if found.startswith(sha256):
                return found
        resumed = fetch.run()
        found = sha256_of(fetch.part)
        if not found.startswith(sha256) and resumed:
            fetch.on_message("the parts do not fit together: fetching all of it again")
            fetch.forget()
            fetch.run()
            found = sha256_of(fetch.part)
        if not found.startswith(sha256):
            fetch.forget()
            dots = "" if len(sha256) == 64 else "…"
            raise ModelError(
                f"the file from {url} has the sha256 {found}, expected was {sha256}{dots}: it is damaged or another file, and "
                "was deleted; try again, or another mirror (--url)"
            )
        fetch.finish()
    return found


def sha256_of(path: Path) -> str:
    """Of a file's bytes, hexadecimal. Raises ModelError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class _Fetch:
    """One download: tries until the part file is whole."""

    url: str
    target: Path
    checked: bool
    """The hash is known: parts that do not fit together will be found out."""
    on_progress: Progress | None
    on_message: Message
    patience: Patience

    @property
    def part(self) -> Path:
        """What was fetched so far."""
        return self.target.with_name(f"{self.target.name}.part")

    @property
    def notes(self) -> Path:
        """Which version of the file the part is of."""
        return self.target.with_name(f"{self.target.name}.part.json")

    def forget(self) -> None:
        """Delete what was fetched."""
        with contextlib.suppress(OSError):  # what cannot be deleted cannot be written either, which is said then
            for path in (self.part, self.notes):
                path.unlink(missing_ok=True)

    def finish(self) -> None:
        """Make the part the file."""
        try:
            with self.part.open("rb") as file:
                os.fsync(file.fileno())
            self.part.replace(self.target)
            self.notes.unlink(missing_ok=True)
        except OSError as error:
            raise self._unwritable(error) from error

    def run(self) -> bool:
        """Fetch until all is here; returns whether some of it is of an earlier request. Raises ModelError or OutputError."""
        failures, most = 0, self._size()
        while True:
            try:
                return self._try()
            except Broken as broken:
                if broken.changed:
                    self.forget()
                size = self._size()
                failures = 0 if size > most else failures + 1
                most = max(most, size)
                # Who was never reached is hardly reached a minute later; a connection that was lost may come back.
                if failures >= (2 if broken.offline and not most else self.patience.attempts):
                    raise ModelError(self._advice(broken)) from broken
                pause = self.patience.pause * 2 ** max(failures - 1, 0) * random.uniform(0.75, 1.25)
                pause = min(max(pause, broken.wait), self.patience.longest)
                self.on_message(f"{broken}; trying again in {pause:.0f} s" + (f", from byte {size} on" if size else ""))
                time.sleep(pause)

    def _advice(self, broken: Broken) -> str:
        if not broken.offline:
            kept = "; what came is kept: the same command goes on from there" if self._size() else ""
            return f"cannot fetch {self.url}: {broken}, {self.patience.attempts} times without anything new{kept}"
        return (
            f"cannot reach {host(self.url)}: {broken}. Without a connection: fetch {self.url} on another machine, and here run "
            "`streamseg models import FILE`. Behind a proxy: set https_proxy. From a mirror: --url or STREAMSEG_MODELS_URL"
        )

    def _try(self) -> bool:
        """One request, from where the part ends; returns whether the part's beginning was of use."""
        notes = self._read_notes()
        offset = self._size()
        if offset and offset == notes.get("bytes"):
            return True
        answer = ask(self.url, offset, str(notes.get("validator", "")), self.patience.timeout)
        with answer.response:
            if answer.first and answer.total != notes.get("bytes"):
                raise Broken("the file on the server has changed", changed=True)
            try:
                self.notes.write_text(json.dumps({"validator": answer.validator, "bytes": answer.total}))
                self._check_room(answer)
                with self.part.open("ab" if answer.first else "wb") as file:
                    self._copy(answer, file)
            except OSError as error:
                raise self._unwritable(error) from error
        size = self._size()
        if answer.total is not None and size != answer.total:
            raise Broken(f"the connection ended after {size} of {answer.total} bytes", changed=size > answer.total)
        return answer.first > 0

    def _copy(self, answer: Answer, file: IO[bytes]) -> None:
        done = answer.first
        while True:
            if self.on_progress is not None:
                self.on_progress(done, answer.total)
            chunk = answer.read()
            if not chunk:
                return
            file.write(chunk)
            file.flush()
            done += len(chunk)

    def _check_room(self, answer: Answer) -> None:
        """Raise OutputError if there is no room for the rest, before it is downloaded."""
        if answer.total is None:
            return
        folder, rest = self.part.parent, answer.total - answer.first
        freed = 0 if answer.first else self._size()  # by the part that is begun anew
        free = shutil.disk_usage(folder).free + freed
        if rest > free:
            raise OutputError(
                f"{self.target.name} needs {rest / 1e6:.0f} MB more, but {folder} has room for {free / 1e6:.0f} MB; "
                f"{elsewhere(folder)}"
            )

    def _unwritable(self, error: OSError) -> OutputError:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        kept = f"; {self._size()} bytes are kept, and the same command goes on from there" if full else ""
        return OutputError(f"cannot write {self.part}: {error.strerror}{kept}; {elsewhere(self.part)}")

    def _size(self) -> int:
        try:
            return self.part.stat().st_size
        except OSError:
            return 0

    def _read_notes(self) -> dict[str, Any]:
        """What the part is of; a part of which that is not known, or could not be checked, is forgotten."""
        with contextlib.suppress(OSError, ValueError):
            notes = json.loads(self.notes.read_bytes())
            if isinstance(notes, dict) and (notes.get("validator") or self.checked):
                return notes
        if self._size():
            self.forget()
        return {}
