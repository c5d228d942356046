"""Deletes recordings that are old, or too many, oldest first: only those that streamseg wrote, and never protected ones."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av

from streamseg.config.live_record import RecordConfig
from streamseg.encode.video.remux import AV_ERRORS
from streamseg.errors import OutputError
from streamseg.live.keep.names import Named, free_name, named
from streamseg.live.keep.recording import MARK
from streamseg.live.keep.rows import KeptFile
from streamseg.live.keep.store import EventStore
from streamseg.system.output_files import open_locked

__all__ = ["Retention", "protect"]

_DAY = 86400.0
_AT_ONCE = 64 * 2**20
"""Bytes that are freed, at least, when the disk is full."""


def protect(store: EventStore, path: str, protected: bool = True) -> None:
    """Never delete a recording (`KeptFile.path`), or let it be deleted again. Raises OutputError where there is none.

    It is made read-only, so that it stays so without the data base, too.
    """
    file = store.folder / path
    try:
        mode = file.stat().st_mode
        file.chmod(mode & ~0o222 if protected else mode | 0o200)
    except OSError as error:
        raise OutputError(f"{file}: cannot be protected: {error.strerror or error}") from error
    store.protect(path, protected)


class Retention:
    """Keeps the folder of recordings within what the configuration says. `warn` hears what people should know."""

    def __init__(self, store: EventStore, config: RecordConfig, warn: Callable[[str], None]) -> None:
        self._store, self._folder, self._config, self._warn = store, store.folder, config, warn
        self._told_full = False

    # -- finding what is there -----------------------------------------------------------------------------------------------

    def adopt(self) -> list[KeptFile]:
        """Note recordings that the data base does not know, also of cameras that are gone; finish those that were cut off."""
        known = {file.path for file in self._store.files()}
        found = []
        for path, about in list(self._recordings()):
            if not about.part and self._relative(path) in known:
                continue
            file = self._look_at(path, about)
            if file is not None:
                self._store.add_file(file)
                if file.clip:
                    self._store.link(file)
                found.append(file)
        return found

    def _files(self) -> list[KeptFile]:
        """What may be deleted, oldest first; where the data base cannot be read, as a full disk may have it, what is found."""
        try:
            return self._store.files()
        except OutputError:
            found = [self._look_at(path, about) for path, about in self._recordings() if not about.part]
            return sorted((each for each in found if each is not None), key=lambda each: each.begin_utc)

    def _recordings(self) -> Iterator[tuple[Path, Named]]:
        for path in sorted(self._folder.glob("*/*/*")):
            about = named(path)
            if about is not None and path.is_file() and not path.is_symlink():
                yield path, about

    def _look_at(self, path: Path, about: Named) -> KeptFile | None:
        """What it is; None where it is being written, or is not ours."""
        if about.part:
            try:
                os.close(open_locked(path, path))
            except (OutputError, OSError):
                return None
            if path.stat().st_size == 0:
                path.unlink()
                return None
        try:
            with av.open(str(path), metadata_errors="replace") as container:
                comment = {key.lower(): value for key, value in container.metadata.items()}.get("comment", "")
                seconds = (container.duration or 0) / 1e6
        except AV_ERRORS:
            return None
        if not comment.startswith(MARK):
            return None
        if about.part:
            whole = free_name(path.with_name(path.name.replace(".part", "")), beside=False)
            path.rename(whole)
            path = whole
        camera = comment.removeprefix(MARK).split("; ")[0]
        end = about.begin_utc + seconds
        return KeptFile(self._relative(path), camera, about.clip, about.begin_utc, end, path.stat().st_size)

    def _relative(self, path: Path) -> str:
        return path.relative_to(self._folder).as_posix()

    # -- deleting ------------------------------------------------------------------------------------------------------------

    def sweep(self, now: float | None = None) -> list[str]:
        """Delete what is too old or too much; what was deleted. `now`: UTC seconds."""
        now, config = time.time() if now is None else now, self._config
        files = self._files()
        gone = []
        for file in files:
            days = config.clip_days if file.clip else config.days
            if days is not None and file.end_utc < now - days * _DAY and self._delete(file):
                gone.append(file.path)
        files = [file for file in files if file.path not in gone]
        if config.bytes:
            gone += self._free(files, sum(file.size for file in files) - config.bytes)
        if config.free and (lacking := config.free - self._room()) > 0:
            deleted = self._free([file for file in files if file.path not in gone], lacking)
            if deleted:
                self._warn(f"the disk is nearly full: {len(deleted)} of the oldest recordings were deleted")
            gone += deleted
        if config.event_days is not None:
            self._store.forget_events(now - config.event_days * _DAY)
        if config.clip_days is not None:
            self._store.forget_events(now - config.clip_days * _DAY, thumbnails=True)
        self._sweep_logs(now)
        return gone

    def make_room(self) -> bool:
        """A write has failed for want of room: whether something could be deleted."""
        if not self._config.free:
            return False
        gone = self._free(self._files(), _AT_ONCE)
        if gone:
            self._warn(f"the disk is full: {len(gone)} of the oldest recordings were deleted")
        return bool(gone)

    def _room(self) -> int:
        try:
            return shutil.disk_usage(self._folder).free
        except OSError:
            return 2**62

    def _free(self, files: list[KeptFile], size: int) -> list[str]:
        """Delete the oldest until so many bytes are free."""
        gone = []
        for file in files:
            if size <= 0:
                break
            if self._delete(file):
                gone.append(file.path)
                size -= file.size
        return gone

    def _delete(self, file: KeptFile) -> bool:
        """Whether it was there, was what it was noted as, and could be deleted."""
        path = self._folder / file.path
        try:
            about = path.lstat()
        except FileNotFoundError:
            self._store.forget_file(file.path)  # somebody has deleted or moved it
            return False
        except OSError:
            return False
        if file.protected or not about.st_mode & stat.S_IWUSR:  # a person who makes a file read-only wants to keep it
            return False
        if not stat.S_ISREG(about.st_mode) or about.st_size != file.size or named(path) is None:
            return False  # another file has its name now
        try:
            path.unlink()
        except OSError as error:
            if not self._told_full:
                self._told_full = True
                self._warn(f"{path}: cannot be deleted: {error.strerror or error}")
            return False
        self._store.forget_file(file.path)
        with contextlib.suppress(OSError):  # not empty
            path.parent.rmdir()
        return True

    def _sweep_logs(self, now: float) -> None:
        """The events of days that are long gone."""
        days = self._config.event_days
        if days is None:
            return
        oldest = time.strftime("%Y-%m-%d", time.localtime(now - days * _DAY))
        for path in self._folder.glob("*/*/events.jsonl"):
            if re.fullmatch(r"\d{4}-\d\d-\d\d", path.parent.name) and path.parent.name < oldest and not path.is_symlink():
                with contextlib.suppress(OSError):
                    path.unlink()
                    path.parent.rmdir()
