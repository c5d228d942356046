"""The store of compiled engines: each a folder with the plan, a manifest of what it was made from, and the compiler's log.

    ~/.cache/streamseg/engines/                        or elsewhere (`folders.engines_root`)
        lite-320x576-fp32-tensorrt-rtx-3f0c.../        named after the fingerprint of the manifest's key
            plan   manifest.json   layers.json   build.log

A plan is native code: before one is handed out, it must be ours (owner, permissions, no links), its folder must bear the name that
its manifest's key has, and its bytes the hash that the manifest states. A folder appears whole or not at all, by renaming; who
builds holds a lock, which the system releases if the builder is killed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from streamseg.engine.manifest import Key, Manifest
from streamseg.errors import ModelError, OutputError
from streamseg.system.callbacks import Message
from streamseg.system.folders import engines_root, waiting_lock
from streamseg.system.output_files import NOT_TEXT

if TYPE_CHECKING:
    from streamseg.engine.tensorrt.builder import Built

__all__ = ["Entry", "Store"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A folder of the store."""

    path: Path
    manifest: Manifest | None
    """None if it cannot be read."""
    problem: str | None
    """Why it must not be used, as far as can be told without reading the plan."""

    @property
    def plan(self) -> Path:
        """The plan's path."""
        return self.path / "plan"


class Store:
    """The engines under one folder, which is made when the first is added."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = (root or engines_root()).resolve()  # a cache is often a link to a larger disk

    def entries(self) -> list[Entry]:
        """All engines, sound or not, by name."""
        try:
            names = sorted(path.name for path in self.root.iterdir() if not path.name.startswith("."))
        except OSError:
            return []
        return [self._entry(self.root / name) for name in names]

    def get(self, key: Key) -> Entry | None:
        """The engine of that key, sound or not; None if there is none."""
        path = self.root / key.folder
        return self._entry(path) if os.path.lexists(path) else None

    def add(self, key: Key, make: Callable[[], Built], on_message: Message | None = None) -> Entry:
        """The engine of that key, made by `make` unless it is there and sound; waits if another process is making it.

        Raises OutputError if it cannot be written; then nothing of it is left.
        """
        with self._locked(key.folder, on_message):
            there = self.get(key)
            if there is not None and self.problem(there) is None:
                return there
            for leftover in self.root.glob(f".building-{key.folder}-*"):  # of a builder that was killed
                shutil.rmtree(leftover, ignore_errors=True)
            self._write(key, make())
        return self._entry(self.root / key.folder)

    def problem(self, entry: Entry) -> str | None:
        """Why the engine must not be used; None if it is sound. Reads the whole plan."""
        try:
            self.read_plan(entry)
        except ModelError as error:
            return str(error)
        return None

    def read_plan(self, entry: Entry) -> bytes:
        """The plan, once nothing speaks against handing it to a runtime. Raises ModelError."""
        if entry.problem is not None or entry.manifest is None:
            raise ModelError(f"the engine {entry.path} is refused: {entry.problem}; remove it: streamseg engines prune")
        try:
            plan = entry.plan.read_bytes()
        except OSError as error:
            raise ModelError(f"cannot read the engine {entry.plan}: {error.strerror}") from error
        found, stated = hashlib.sha256(plan).hexdigest(), entry.manifest.plan_sha256
        if found != stated:
            raise ModelError(
                f"the engine {entry.plan} is refused: its sha256 is {found[:12]}…, its manifest says {stated[:12]}…: it is damaged "
                "or was changed; remove it: streamseg engines prune"
            )
        return plan

    def build_log(self, entry: Entry) -> str:
        """What the compiler said, in printable characters. Raises ModelError."""
        path = entry.path / "build.log"
        try:
            problem = _distrust(path)
            text = "" if problem else path.read_text("utf-8", "replace")
        except OSError as error:
            problem, text = f"{path.name}: {error.strerror}", ""
        if problem is not None:
            raise ModelError(f"the engine {entry.path} has no log to show: {problem}")
        return "".join(c if c.isprintable() or c in "\n\t" else f"\\x{ord(c):02x}" for c in text)

    def remove(self, entry: Entry) -> None:
        """Delete an engine. Raises OutputError."""
        try:
            entry.path.unlink() if entry.path.is_symlink() or entry.path.is_file() else shutil.rmtree(entry.path)
        except OSError as error:
            raise OutputError(f"cannot remove the engine {entry.path}: {error.strerror}") from error

    def cache(self, name: str) -> bytes:
        """A compiler's or runtime's cache kept beside the engines, checked against the hash it was kept with; empty if none."""
        path = self.root / ".caches" / _slug(name)
        try:
            if _distrust(path) is not None:
                return b""
            data = path.read_bytes()
        except OSError:
            return b""
        return data[32:] if hashlib.sha256(data[32:]).digest() == data[:32] else b""

    def keep_cache(self, name: str, data: bytes) -> None:
        """Keep a cache for next time. A failure is no error: it only costs time then."""
        path = self.root / ".caches" / _slug(name)
        with contextlib.suppress(OSError):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            whole = hashlib.sha256(data).digest() + data
            temporary = path.with_name(f"{path.name}.{os.getpid()}")
            try:
                _write_file(temporary, whole)
                temporary.rename(path)
            finally:
                temporary.unlink(missing_ok=True)

    def _entry(self, path: Path) -> Entry:
        manifest, problem = None, None
        try:
            problem = next((p for p in map(_distrust, (self.root, path, path / "manifest.json", path / "plan")) if p), None)
            if problem is None:
                manifest = Manifest.model_validate_json((path / "manifest.json").read_bytes())
                problem = _contradiction(path, manifest)
        except OSError as error:
            problem = f"it is not whole ({Path(error.filename or path).name}: {error.strerror})"
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            problem = f"its manifest is not one ({'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']})"
        return Entry(path, manifest, problem)

    def _write(self, key: Key, built: Built) -> None:
        from streamseg.engine.tensorrt.precision import summary

        manifest = Manifest(
            key=key,
            plan_sha256=hashlib.sha256(built.plan).hexdigest(),
            plan_bytes=len(built.plan),
            built=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds=round(built.seconds, 2),
            layers=summary(built.layers),
        )
        target, temporary = self.root / key.folder, self.root / f".building-{key.folder}-{os.getpid()}"
        try:
            try:
                temporary.mkdir(mode=0o700)
                _write_file(temporary / "plan", built.plan)
                _write_file(temporary / "layers.json", json.dumps([layer._asdict() for layer in built.layers]).encode())
                _write_file(temporary / "build.log", built.log.encode())
                _write_file(temporary / "manifest.json", manifest.model_dump_json(indent=2).encode())
                if os.path.lexists(target):
                    self.remove(self._entry(target))
                temporary.rename(target)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
        except OSError as error:
            raise OutputError(
                f"cannot write the engine {target} ({len(built.plan) / 1e6:.0f} MB): {error.strerror}; make room, or name another "
                "folder in STREAMSEG_ENGINES"
            ) from error

    @contextlib.contextmanager
    def _locked(self, name: str, on_message: Message | None) -> Iterator[None]:
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            if (problem := _distrust(self.root)) is not None:  # before minutes of compiling for nothing
                raise OutputError(f"cannot keep engines in {self.root}: {problem}; or name another folder in STREAMSEG_ENGINES")
            locks = self.root / ".locks"
            locks.mkdir(mode=0o700, exist_ok=True)
            lock = waiting_lock(locks / name, f"another process is building {name}; waiting for it", on_message)
        except OSError as error:
            raise OutputError(
                f"cannot keep engines in {self.root}: {error.strerror}; name another folder in STREAMSEG_ENGINES"
            ) from error
        with lock:
            yield


def _write_file(path: Path, data: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | NOT_TEXT, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _distrust(path: Path) -> str | None:
    """Why somebody else could have written it; None if only this user or root could."""
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return f"{path.name} is a link"
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        return f"{path.name} is no file"
    if (whose := getattr(os, "geteuid", None)) is None:
        return None  # Windows: rights are lists there, which a user's own folder inherits
    if status.st_uid not in (whose(), 0):
        return f"{path.name} belongs to another user (id {status.st_uid})"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"other users may write {path.name} (chmod go-w)"
    return None


def _contradiction(path: Path, manifest: Manifest) -> str | None:
    if manifest.key.folder != path.name:
        return "its manifest is that of another engine"
    size = (path / "plan").stat().st_size
    return None if size == manifest.plan_bytes else f"the plan has {size} bytes, its manifest says {manifest.plan_bytes}"


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name).lstrip(".")
